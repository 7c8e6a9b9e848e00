"""What the auditor says of obligations, from the log alone."""

from __future__ import annotations

from typing import Any

from policies.duties import Duties
from policies.findings import Check
from schemas.usage import UsageKind as K
from schemas.usage import UsageRecord

SECOND = 1_000_000


def record(kind: K, at: int, **fields: Any) -> UsageRecord:
    detail = fields.pop("detail", {"duty": "obligation[0]", "period": 1, "due": "2026-12-01T00:00:00+00:00"})
    return UsageRecord(
        id=f"urn:r:{kind}:{at}",
        at=at * SECOND,
        kind=kind,
        log="did:web:us.example",
        agreement="urn:a:1",
        counterparty="did:web:lab.example",
        action="http://www.w3.org/ns/odrl/2/delete",
        detail=detail,
        **fields,
    )


def taken(*records: UsageRecord) -> Duties:
    duties = Duties()
    for entry, one in enumerate(records):
        duties.take(entry, one)
    return duties


def test_a_duty_is_told_as_it_stands_last_and_that_it_was_late() -> None:
    (late,) = taken(
        record(K.OBLIGATION_DUE, 1), record(K.OBLIGATION_OVERDUE, 2), record(K.OBLIGATION_FULFILLED, 3)
    ).summaries
    assert (late.state, late.was_overdue, late.due) == ("fulfilled", True, "2026-12-01T00:00:00+00:00")
    (kept,) = taken(record(K.OBLIGATION_DUE, 1), record(K.OBLIGATION_FULFILLED, 3)).summaries
    assert (kept.state, kept.was_overdue) == ("fulfilled", False)


def test_periods_and_the_receipts_of_a_consumer_are_told_apart() -> None:
    second = {"duty": "obligation[0]", "period": 2}
    found = taken(
        record(K.OBLIGATION_OVERDUE, 1),
        record(K.OBLIGATION_FULFILLED, 2, detail=second),
        record(K.OBLIGATION_FULFILLED, 3, detail={"receipt": "urn:receipt:1"}),
        record(K.OBLIGATION_FULFILLED, 4, detail={"receipt": "urn:receipt:2"}),
    ).summaries
    assert [one.state for one in found] == ["overdue", "fulfilled", "fulfilled", "fulfilled"]


def test_a_use_that_was_permitted_while_a_duty_was_overdue_is_a_finding() -> None:
    permit = record(K.ACCESS_DECISION, 200, decision="permit")
    found = taken(record(K.OBLIGATION_OVERDUE, 100), permit).findings
    assert [(one.check, one.entry, one.agreement) for one in found] == [(Check.DECISION, 1, "urn:a:1")]
    assert "overdue" in found[0].what


def test_neither_a_denial_nor_a_use_after_the_receipt_or_within_the_grace_is_one() -> None:
    overdue, kept = record(K.OBLIGATION_OVERDUE, 100), record(K.OBLIGATION_FULFILLED, 150)
    assert taken(overdue, record(K.ACCESS_DECISION, 200, decision="deny")).findings == []
    assert taken(overdue, kept, record(K.ACCESS_DECISION, 200, decision="permit")).findings == []
    assert taken(overdue, record(K.ACCESS_DECISION, 159, decision="permit")).findings == []
