"""An audit finds what is wrong with a log, and names the entry."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.commands.evidence import _print
from connector.commands.terminal import out
from policies.audit import Evidence, audit
from policies.evidence.checkpoint import Checkpoint
from policies.evidence.commitment import commit
from policies.evidence.note import SigningKey, sign
from policies.evidence.tree import leaf_hash, root
from policies.findings import MEANING, Check
from policies.use import released_detail
from schemas.errors import Malformed
from schemas.usage import UsageKind
from schemas.vocab import DPV, HANSA, ODRL
from tests.log_builders import (
    AGREEMENT,
    HOSPITAL,
    KEY,
    ORIGIN,
    Told,
    agreement,
    evidence,
    flipped,
    found,
    honest,
    large,
    salt,
    terms_of,
)
from tests.policy_builders import LAB, NOON, RESEARCH, limit


def test_an_honest_log_holds_and_says_who_used_what() -> None:
    report = audit(honest().evidence())
    assert report.holds, report.findings
    assert (report.size, report.decisions, report.open_streams) == (10, 3, 0)
    used, denied = report.uses
    assert (used.counterparty, used.agreement, used.purpose) == (LAB, AGREEMENT, RESEARCH)
    assert (used.rows, used.streams, used.denied) == (700, 2, 0)
    assert (denied.rows, denied.streams, denied.denied, denied.purpose) == (0, 0, 1, None)
    assert used.first is not None
    assert used.last is not None
    assert NOON < used.first < used.last
    assert report.as_json()["uses"][0]["rows"] == 700


def test_every_check_has_a_meaning() -> None:
    assert set(MEANING) == set(Check)


def test_a_log_of_many_tiles_holds() -> None:
    assert audit(large(600)).holds


# --- the tree ----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_flipped_bit_in_a_record_names_its_entry(data: st.DataObject) -> None:
    whole = honest().evidence()
    entry = data.draw(st.integers(0, len(whole.records) - 1))
    record, salted = whole.records[entry] or (b"", b"")
    part, bit = data.draw(st.sampled_from([0, 1])), data.draw(st.integers(0, 7))
    at = data.draw(st.integers(0, len((record, salted)[part]) - 1))
    changed = (flipped(record, at, bit), salted) if part == 0 else (record, flipped(salted, at, bit))
    records = [*whole.records[:entry], changed, *whole.records[entry + 1 :]]
    report = audit(replace(whole, records=records))
    assert (Check.TREE, entry) in found(report)
    assert {finding.entry for finding in report.findings if finding.check is Check.TREE} == {entry}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_flipped_bit_in_a_file_is_found(data: st.DataObject) -> None:
    whole = _LARGE
    path = data.draw(st.sampled_from(sorted(whole.files)))
    at = data.draw(st.integers(0, len(whole.files[path]) - 1))
    report = audit(replace(whole, files={**whole.files, path: flipped(whole.files[path], at)}))
    assert report.failed(Check.TILES)
    assert {finding.check for finding in report.findings} == {Check.TILES}


_LARGE = large(600)


@pytest.mark.parametrize("path", ["tile/0/001", "tile/entries/001"])
def test_a_flipped_byte_in_a_tile_or_bundle_names_the_entry(path: str) -> None:
    width = len(_LARGE.files[path]) // 256
    report = audit(replace(_LARGE, files={**_LARGE.files, path: flipped(_LARGE.files[path], 7 * width + 5)}))
    assert found(report) == {(Check.TILES, 256 + 7)}
    assert path in str(report.findings[0])


def test_a_missing_file_is_named_and_said_once() -> None:
    for path in ("tile/0/000", "tile/entries/000", "tile/1/000.p/2"):
        files = {name: data for name, data in _LARGE.files.items() if name != path}
        report = audit(replace(_LARGE, files=files))
        assert len(report.findings) == 1
        assert path in str(report.findings[0])


def test_a_record_that_is_missing_is_named() -> None:
    whole = honest().evidence()
    report = audit(replace(whole, records=[*whole.records[:-1], None]))
    assert (Check.RECORD, len(whole.records) - 1) in found(report)
    report = audit(replace(whole, records=whole.records[:-1]))
    assert (Check.RECORD, len(whole.records) - 1) in found(report)


def test_records_that_were_all_rewritten_do_not_make_the_signed_root() -> None:
    whole, other = honest().evidence(), honest()
    other.records[3] = other.records[3].model_copy(update={"counterparty": "did:web:nobody.example"})
    forged = other.evidence(checkpoint=whole.checkpoint)
    report = audit(forged)
    assert (Check.TREE, None) in found(report)


def test_two_records_that_changed_places_are_both_named() -> None:
    whole = honest().evidence()
    records = list(whole.records)
    records[4], records[5] = records[5], records[4]
    assert {(Check.TREE, 4), (Check.TREE, 5)} <= found(audit(replace(whole, records=records)))


# --- signature and history ---------------------------------------------------------------------------


def test_a_checkpoint_signed_by_another_key_is_found() -> None:
    whole = honest().evidence()
    other = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    assert found(audit(replace(whole, keys=(other.verifier,)))) == {(Check.SIGNATURE, None)}
    assert found(audit(replace(whole, keys=()))) == {(Check.SIGNATURE, None)}


def test_a_checkpoint_of_another_log_is_found() -> None:
    whole = honest().evidence()
    assert found(audit(replace(whole, origin="lab.example/usage"))) == {(Check.SIGNATURE, None)}


def test_a_flipped_byte_in_the_checkpoint_is_found_or_makes_it_unreadable() -> None:
    whole = honest().evidence()
    for at in range(len(whole.checkpoint)):
        try:
            report = audit(replace(whole, checkpoint=flipped(whole.checkpoint, at)))
        except Malformed:
            continue
        assert report.failed(Check.SIGNATURE)


def test_a_log_that_grew_is_consistent_with_what_was_seen() -> None:
    told = honest()
    earlier = told.evidence()
    seen = Checkpoint(ORIGIN, len(earlier.records), _root(earlier))
    told.decided("s4").reserved("s4", 10).settled("s4", 10)
    assert audit(told.evidence(seen=seen)).holds


def test_a_log_that_was_rewritten_or_shortened_since_it_was_seen_is_found() -> None:
    told = honest()
    earlier = told.evidence()
    seen = Checkpoint(ORIGIN, len(earlier.records), _root(earlier))
    told.records[0] = told.records[0].model_copy(update={"dataset": "urn:another"})
    assert found(audit(told.evidence(seen=seen))) == {(Check.HISTORY, None)}
    told = honest()
    told.records.pop()
    assert found(audit(told.evidence(seen=seen))) == {(Check.HISTORY, None)}


def _root(whole: Evidence) -> bytes:
    return root(leaf_hash(commit(*opened)) for opened in whole.records if opened)


# --- records and agreements --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [b"", b"no JSON", b"[]", b'{"id":"a"}', b'{ "id": "a"}', b"\xff\xfe", b"[" * 5000],
)
def test_a_committed_record_that_cannot_be_read_is_named(record: bytes) -> None:
    told = honest()
    opened = [(item.canonical(), salt(at)) for at, item in enumerate(told.records)]
    opened.append((record, salt(len(opened))))
    report = audit(evidence(opened, {AGREEMENT: terms_of(told.agreed)}))
    assert found(report) == {(Check.RECORD, len(opened) - 1)}


def test_a_record_of_another_log_or_with_an_id_used_twice_is_named() -> None:
    told = honest()
    told.records[1] = told.records[1].model_copy(update={"log": "did:web:other.example"})
    told.records[2] = told.records[2].model_copy(update={"id": told.records[0].id})
    assert found(audit(told.evidence())) == {(Check.RECORD, 1), (Check.RECORD, 2)}


def test_an_agreement_that_cannot_be_had_is_named_once() -> None:
    report = audit(honest().evidence(agreements={}))
    assert found(report) == {(Check.AGREEMENT, 1)}


def test_an_agreement_with_other_terms_than_were_signed_is_found() -> None:
    told = honest()
    wider = terms_of(agreement(limit("rowCount", "lteq", 10_000_000)))
    report = audit(told.evidence(agreements={AGREEMENT: wider}))
    assert report.failed(Check.AGREEMENT)
    claimed = wider.model_copy(update={"digest": terms_of(told.agreed).digest})
    assert audit(told.evidence(agreements={AGREEMENT: claimed})).failed(Check.AGREEMENT)


@pytest.mark.parametrize(
    ("member", "value"), [("assigner", "did:web:other.example"), ("target", "urn:hansa:hospital:heart")]
)
def test_a_use_under_an_agreement_of_others_or_for_another_dataset_is_found(member: str, value: str) -> None:
    told = Told(agreed=agreement().model_copy(update={member: value})).finalized().decided("s1")
    report = audit(told.reserved("s1", 5).evidence())
    where = (0,) if member == "assigner" else (0, 1, 2, 3)  # a stranger's agreement is said once
    assert found(report) == {(Check.AGREEMENT, entry) for entry in where}
    assert value in str(report.findings[0])


def test_a_decision_about_no_dataset_is_found() -> None:
    told = Told().finalized().decided("s1", dataset=None)
    assert found(audit(told.evidence())) == {(Check.AGREEMENT, 2)}


def test_a_consumer_may_log_an_agreement_for_others_that_it_refused_but_not_conclude_it() -> None:
    taken = terms_of(agreement()).model_copy(update={"role": "consumer"})
    told = Told()
    told.tell(UsageKind.NEGOTIATION_AGREED, dataset="urn:asked")
    told.tell(UsageKind.NEGOTIATION_TERMINATED, dataset="urn:asked")
    assert audit(told.evidence(agreements={AGREEMENT: taken})).holds
    report = audit(Told().finalized().evidence(agreements={AGREEMENT: taken}))
    assert found(report) == {(Check.AGREEMENT, 1)}
    ours = Told(agreed=agreement().model_copy(update={"assigner": LAB, "assignee": HOSPITAL}))
    taken = terms_of(ours.agreed).model_copy(update={"role": "consumer"})
    assert audit(ours.finalized().evidence(agreements={AGREEMENT: taken})).holds
    ours.tell(UsageKind.AGREEMENT_REVOKED)  # which only the giver can
    assert found(audit(ours.evidence(agreements={AGREEMENT: taken}))) == {(Check.AGREEMENT, 2)}


@pytest.mark.parametrize("entry", [1, 2, 3, 4])
def test_a_record_without_the_digest_of_its_agreement_is_named(entry: int) -> None:
    told = honest()
    told.records[entry] = told.records[entry].model_copy(update={"policy": None})
    assert found(audit(told.evidence())) == {(Check.AGREEMENT, entry)}


@pytest.mark.parametrize(
    "kind", ["access.decision", "stream.reserved", "stream.settled", "agreement.revoked", "transfer.started"]
)
def test_a_record_that_names_no_agreement_is_not_skipped(kind: str) -> None:
    told = honest()
    told.tell(UsageKind(kind), agreement=None)
    assert found(audit(told.evidence())) == {(Check.RECORD, 10)}


def test_a_record_that_is_dated_back_is_named() -> None:
    told = Told().finalized()
    told.at -= timedelta(seconds=61)  # and one on: 60 back, which a clock may be put
    assert audit(told.decided("s1").evidence()).holds
    told.at -= timedelta(seconds=2)
    report = audit(told.decided("s2").evidence())
    assert found(report) == {(Check.RECORD, 3)}
    assert "12:00:02" in str(report.findings[0])
    assert "11:59:01" in str(report.findings[0])


# --- decisions, limits, streams ----------------------------------------------------------------------


def test_a_permit_that_the_agreement_denies_is_found() -> None:
    told = Told().finalized().decided("s1", purpose=DPV + "Marketing")
    report = audit(told.evidence())
    assert found(report) == {(Check.DECISION, 2)}
    assert "purpose" in str(report.findings[0])


def test_a_denial_that_the_agreement_permits_is_found() -> None:
    assert found(audit(Told().finalized().decided("s1", "deny").evidence())) == {(Check.DECISION, 2)}


def test_a_permit_after_the_last_day_is_found() -> None:
    told = Told(at=datetime(2026, 12, 1, tzinfo=UTC)).finalized().decided("s1")
    assert found(audit(told.evidence())) == {(Check.DECISION, 2)}


def test_a_decision_on_totals_that_never_were_is_found() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 400).decided("s2", rows_before=399)
    assert found(audit(told.evidence())) == {(Check.DECISION, 4)}


def test_a_decision_that_opens_no_stream_may_have_been_overtaken_by_one_that_reads() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 400).decided(None, rows_before=0)
    assert audit(told.evidence()).holds
    told = Told().finalized().decided("s1").reserved("s1", 400).decided("s2", rows_before=0)
    assert found(audit(told.evidence())) == {(Check.DECISION, 4)}


def test_a_permit_before_the_agreement_stood_is_found() -> None:
    assert found(audit(Told().decided("s1").evidence())) == {(Check.DECISION, 0)}


def test_rows_past_the_cap_are_found() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 1000).reserved("s1", 1)
    report = audit(told.evidence())
    assert found(report) == {(Check.LIMIT, 4)}
    assert "1001 rows; at most 1000" in str(report.findings[0])


def test_two_streams_that_pass_the_cap_together_are_found() -> None:
    told = Told().finalized().decided("s1").decided("s2").reserved("s1", 600).reserved("s2", 600)
    assert found(audit(told.evidence())) == {(Check.LIMIT, 5)}


def test_rows_given_back_may_be_used_again() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 1000).settled("s1", 10)
    assert audit(told.decided("s2").reserved("s2", 990).settled("s2", 990).evidence()).holds


def test_rows_after_the_last_moment_are_found() -> None:
    told = (
        Told(at=datetime(2026, 11, 30, 23, 59, 50, tzinfo=UTC)).finalized().decided("s1").reserved("s1", 10)
    )
    told.at = datetime(2026, 12, 1, 0, 1, tzinfo=UTC)
    assert found(audit(told.reserved("s1", 10).evidence())) == {(Check.LIMIT, 4)}


def test_a_reservation_that_hides_what_was_used_is_found() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 100).reserved("s1", 100, rows_before=0)
    assert found(audit(told.evidence())) == {(Check.LIMIT, 4)}


def test_rows_without_a_permit_are_found() -> None:
    assert found(audit(Told().finalized().reserved("s1", 10).evidence())) == {(Check.STREAM, 2)}
    told = Told().finalized().decided("s1", "deny", purpose=DPV + "Marketing").reserved("s1", 10)
    assert (Check.STREAM, 3) in found(audit(told.evidence()))


def test_rows_after_a_revocation_are_found() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 10)
    told.tell(UsageKind.AGREEMENT_REVOKED)
    assert found(audit(told.reserved("s1", 10).evidence())) == {(Check.LIMIT, 5)}


def test_a_permit_long_after_a_revocation_is_found_and_one_that_crossed_it_is_not() -> None:
    told = Told().finalized()
    told.tell(UsageKind.AGREEMENT_REVOKED)
    assert audit(told.decided("s1").evidence()).holds
    told.at += timedelta(minutes=1)
    assert found(audit(told.decided("s2").evidence())) == {(Check.DECISION, 4)}


def test_a_stream_that_sent_more_than_it_reserved_is_found() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 10).settled("s1", 11)
    assert found(audit(told.evidence())) == {(Check.LIMIT, 4)}


def test_a_stream_settled_twice_is_found_and_counted_once() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 10).settled("s1", 10).settled("s1", 10)
    report = audit(told.evidence())
    assert found(report) == {(Check.STREAM, 5)}
    assert report.uses[0].rows == 10


def test_a_stream_for_somebody_else_than_was_decided_is_found() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 10, counterparty="did:web:friend.example")
    assert found(audit(told.evidence())) == {(Check.STREAM, 3)}


def test_a_stream_that_a_crash_left_open_is_settled_with_all_it_reserved() -> None:
    told = Told().finalized().decided("s1").reserved("s1", 10).reserved("s1", 20)
    report = audit(told.evidence())
    assert (report.open_streams, report.as_json()["uses"][0]["openRows"]) == (1, 30)
    with out.capture() as shown:
        _print(report)
    assert "up to 30 more rows, not settled" in shown.get()
    nothing = dict.fromkeys(("counterparty", "dataset", "policy", "action", "purpose", "transfer"))
    told.settled("s1", 30, detail={"end": "crashed"}, **nothing)
    report = audit(told.evidence())
    assert report.holds
    assert (report.uses[0].rows, report.uses[0].open_rows, report.open_streams) == (30, 0, 0)


def test_a_log_signed_over_false_records_is_still_found_out() -> None:
    """Whoever holds the key can sign what he likes; the replay judges what was signed."""
    told = Told().finalized().decided("s1").reserved("s1", 5000, rows_before=0).settled("s1", 5000)
    whole = told.evidence()
    text = Checkpoint(ORIGIN, len(whole.records), _root(whole)).encode()
    report = audit(replace(whole, checkpoint=sign(text, KEY).encode()))
    assert {finding.check for finding in report.findings} == {Check.LIMIT}


def _served_for(giver: str, said: str | None) -> Told:
    """The log of a data plane under an agreement that another participant gave, and what it says of that."""
    told = Told(agreement().model_copy(update={"assigner": giver}))
    told.tell(UsageKind.NEGOTIATION_FINALIZED, detail={"onBehalfOf": said} if said else {})
    return told.decided("s1").reserved("s1", 400).settled("s1", 400)


def test_an_agreement_of_another_participant_holds_only_where_the_log_says_on_whose_behalf() -> None:
    assert audit(_served_for("provider", "provider").evidence()).holds
    for said in (None, "somebody-else"):
        (finding,) = audit(_served_for("provider", said).evidence()).findings
        assert finding.check is Check.AGREEMENT
        assert f"is provider, not {HOSPITAL}" in finding.what


# --- counted limits ----------------------------------------------------------------------------------


def counted(*terms: dict[str, object]) -> Told:
    """A log under an agreement of these limits."""
    return Told(agreement(*terms)).finalized()


def unit(name: str) -> dict[str, object]:
    return {"leftOperand": ODRL + "unitOfCount", "operator": "eq", "rightOperand": HANSA + name}


def count(most: int) -> dict[str, object]:
    return {"leftOperand": ODRL + "count", "operator": "lteq", "rightOperand": most}


def test_as_many_requests_as_were_agreed_hold_and_one_more_is_found() -> None:
    told = counted(count(2)).decided("s1").decided("s2")
    assert audit(told.evidence()).holds
    report = audit(told.decided("s3").evidence())
    assert found(report) == {(Check.DECISION, 4)}
    assert "2 of 2 requests" in str(report.findings[0])


@pytest.mark.parametrize("named", [0, 1, 3])
def test_a_request_more_cannot_be_let_through_by_counting_fewer(named: int) -> None:
    told = counted(count(2)).decided("s1").decided("s2").decided("s3", requests_before=named)
    report = audit(told.evidence())
    assert (Check.DECISION, 4) in found(report)
    assert f"decided on {named} requests used, but the agreement stood at 2" in str(report.findings)


def test_an_opening_that_counts_as_nothing_is_found() -> None:
    report = audit(counted(count(2)).decided("s1", requests=0).evidence())
    assert found(report) == {(Check.LIMIT, 2)}
    assert "counts as 0 requests" in str(report.findings[0])


def test_a_request_is_given_back_only_where_nothing_was_sent_and_the_provider_failed() -> None:
    def ended(rows: int, end: str) -> Told:
        told = counted(count(1)).decided("s1").reserved("s1", 10)
        told.settled("s1", rows, requests=0, epochs=None if rows else 0, detail={"end": end})
        told.requests -= 1
        told.epochs -= rows == 0
        again: dict[str, Any] = {"epochs": 0, "epochs_before": 0} if rows else {}
        return told.decided("s2", **again)

    assert audit(ended(0, "failed").evidence()).holds
    assert audit(ended(0, "crashed").evidence()).holds
    assert (Check.LIMIT, 4) in found(audit(ended(1, "failed").evidence()))
    assert (Check.LIMIT, 4) in found(audit(ended(0, "complete").evidence()))


@pytest.mark.parametrize(("requests", "epochs"), [(0, None), (None, 0)])
def test_an_epoch_is_given_back_exactly_with_a_request_that_came_to_nothing(
    requests: int | None, epochs: int | None
) -> None:
    told = counted(count(1), unit("epoch")).decided("s1")
    told.settled("s1", 0, requests=requests, epochs=epochs, detail={"end": "failed"})
    report = audit(told.evidence())
    assert (Check.LIMIT, 3) in found(report)
    assert f"it is to give back {int(requests == 0)}" in str(report.findings)


APART: dict[str, object] = {
    "leftOperand": HANSA + "notTogether",
    "operator": "isAllOf",
    "rightOperand": ["a", "b"],
}


def test_columns_that_must_stay_apart_are_found_where_all_of_them_were_let_go() -> None:
    def opened(*columns: str) -> dict[str, Any]:
        return {"detail": {"start": 0, **released_detail(columns)}}

    told = counted(APART).decided("s1", **opened("a")).decided("s2", **opened()).decided("s3", **opened("a"))
    assert audit(told.evidence()).holds
    report = audit(told.decided("s4", **opened("b")).evidence())
    assert found(report) == {(Check.DECISION, 5)}
    assert "columns 'a', 'b' were all let go under the agreement that keeps them apart" in str(
        report.findings
    )


@pytest.mark.parametrize("said", [None, "a", '{"a": 1}', "[1]", 5])
def test_an_opening_that_does_not_say_which_of_columns_to_be_kept_apart_it_lets_go_is_found(
    said: Any,
) -> None:
    detail = {"start": 0} if said is None else {"start": 0, "apart": said}
    report = audit(counted(APART).decided("s1", detail=detail).evidence())
    assert found(report) == {(Check.DECISION if said is None else Check.RECORD, 2)}


def test_an_epoch_goes_on_after_a_break_and_a_second_one_is_found() -> None:
    told = counted(count(1), unit("epoch")).decided("s1").reserved("s1", 400).settled("s1", 400)
    on: dict[str, Any] = {"detail": {"start": 380}, "epochs": 0, "epochs_before": 0}
    assert audit(told.decided("s2", **on).evidence()).holds
    told.reserved("s2", 10).settled("s2", 10)
    back: dict[str, Any] = {"detail": {"start": 100}, "epochs": 0, "epochs_before": 0}
    report = audit(told.decided("s3", **back).evidence())
    assert (Check.DECISION, 8) in found(report)
    assert "0 epochs used, but the agreement stood at 1" in str(report.findings[0])
    assert (Check.LIMIT, 8) in found(report), "and it counted as none"
    told = counted(count(1), unit("epoch")).decided("s1").decided("s2")
    assert found(audit(told.evidence())) == {(Check.DECISION, 3)}


def test_bytes_past_their_limit_are_found() -> None:
    most = limit("byteCount", "lteq", 4000)
    told = counted(most).decided("s1").reserved("s1", 400)
    assert audit(told.evidence()).holds
    report = audit(told.reserved("s1", 1).evidence())
    assert found(report) == {(Check.LIMIT, 4)}
    assert "4010 bytes; at most 4000" in str(report.findings[0])
    report = audit(counted(most).decided("s1").reserved("s1", 400, bytes_before=-10).evidence())
    assert found(report) == {(Check.LIMIT, 3)}
    told = counted(most).decided("s1").reserved("s1", 40).settled("s1", 40, byte_count=401)
    assert "sent 401 bytes, but had reserved 400" in str(audit(told.evidence()).findings)
    told = counted(most).decided("s1").reserved("s1", 400).decided("s2", bytes_before=0)
    assert (Check.DECISION, 4) in found(audit(told.evidence()))


def test_a_stream_that_was_faster_than_its_rate_is_found() -> None:
    told = counted(limit("rate", "lteq", "600/PT1M")).decided("s1").reserved("s1", 600)
    report = audit(told.reserved("s1", 10).evidence())
    assert report.holds, "ten a second, and a second has passed"
    report = audit(told.reserved("s1", 11).evidence())
    assert found(report) == {(Check.LIMIT, 5)}
    assert "11 rows reserved at once; 600 per 0:01:00 let 10 go then" in str(report.findings[0])


def test_a_use_too_long_after_the_first_delivery_is_found() -> None:
    told = counted(limit("elapsedSinceDelivery", "lteq", "PT1H")).decided("s1").reserved("s1", 1)
    told.at += timedelta(hours=1)
    report = audit(told.decided("s2").evidence())
    assert found(report) == {(Check.DECISION, 4)}
