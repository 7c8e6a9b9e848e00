"""How agreements that we gave end or change: at once, after their notice, or since consent was withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.adapters.sql import SqlStores
from connector.negotiation.revocation import Revocations
from schemas.base import Role
from schemas.errors import Forbidden, NotFound
from schemas.odrl import Offer
from schemas.usage import UsageKind, UsageRecord
from tests.store_builders import AGREEMENT, negotiation, signed
from tests.streaming import limit

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NOTICE = (limit("revocable", "eq", "true"), limit("notice", "eq", "P14D"))
CONSENT = (limit("consent/patient", "eq", "given"),)


class Desk:
    """Revocations over real stores, under a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.stores = SqlStores(f"sqlite:///{folder}/desk.db")
        self.ended: list[tuple[str, str]] = []
        self.reminded: list[datetime] = []
        self._numbers = iter(range(1000))
        self.revocations = Revocations(
            store=self.stores.negotiations,
            record=self.record,
            clock=lambda: self.now,
            remind=self.reminded.append,
            ended=self._end,
        )

    def record(self, kind: UsageKind, **fields: Any) -> UsageRecord:
        at = int(self.now.timestamp() * 1_000_000)
        return UsageRecord(id=f"urn:r:{next(self._numbers)}", at=at, kind=kind, log="did:web:us", **fields)

    def _end(self, agreement: str, why: str) -> int:
        self.ended.append((agreement, why))
        return 1

    def agree(self, identity: str = AGREEMENT, *constraints: dict[str, Any], **changes: Any) -> str:
        rules = Offer.read({"@id": "", "permission": [{"action": "use", "constraint": list(constraints)}]})
        asked = negotiation()
        self.stores.negotiations.add(asked)
        made = signed(asked.pid, identity=identity, final=True, **changes)
        terms = made.agreement.model_copy(update={"permission": rules.permission})
        object.__setattr__(made, "agreement", terms)
        self.stores.negotiations.save(asked, seen=0, agreement=made)
        return identity

    def told(self) -> list[UsageRecord]:
        self.stores.usage.sequence()
        return [UsageRecord.model_validate_json(one.record) for one in self.stores.usage.entries(0, 100)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.stores.close()


def test_without_a_notice_an_agreement_ends_at_once(desk: Desk) -> None:
    revoked, ended = desk.revocations.revoke(desk.agree(), "the study ended")
    assert (revoked.revoked, revoked.epoch, ended) == ("the study ended", 1, 1)
    assert desk.ended == [(AGREEMENT, "the agreement was revoked: the study ended")]


def test_a_notice_is_kept_shown_and_logged_and_ends_on_the_day(desk: Desk) -> None:
    desk.agree(AGREEMENT, *NOTICE)
    planned, ended = desk.revocations.revoke(AGREEMENT, "the study ends")
    due = NOW + timedelta(days=14)
    assert (planned.revoked, planned.ends, planned.ends_why, ended) == (None, due, "the study ends", 0)
    assert desk.reminded == [due]
    (told,) = desk.told()
    assert (told.kind, told.detail) == (
        UsageKind.AGREEMENT_CHANGED,
        {"ends": due.isoformat(), "notice": "P14D"},
    )
    desk.now = due - timedelta(microseconds=1)
    desk.revocations.tick()
    assert desk.stores.negotiations.agreement(AGREEMENT).revoked is None
    assert not planned.has_ended(desk.now)
    desk.now = due
    assert planned.has_ended(desk.now)
    desk.revocations.tick()
    held = desk.stores.negotiations.agreement(AGREEMENT)
    assert (held.revoked, held.epoch) == ("the study ends", 1)
    assert desk.ended == [(AGREEMENT, "the agreement was revoked: the study ends")]
    desk.revocations.tick()
    assert len(desk.ended) == 1


def test_asked_again_the_notice_does_not_begin_anew(desk: Desk) -> None:
    desk.agree(AGREEMENT, *NOTICE)
    first, _ = desk.revocations.revoke(AGREEMENT, "the study ends")
    desk.now += timedelta(days=3)
    again, _ = desk.revocations.revoke(AGREEMENT, "really")
    assert (again.ends, again.ends_why) == (first.ends, "the study ends")
    assert len(desk.told()) == 1


def test_an_emergency_breaks_the_notice_and_says_so(desk: Desk) -> None:
    desk.agree(AGREEMENT, *NOTICE)
    desk.revocations.revoke(AGREEMENT, "the study ends")
    revoked, ended = desk.revocations.revoke(AGREEMENT, "stop", emergency="data of a child leaked")
    assert (revoked.revoked, ended) == ("stop (emergency: data of a child leaked)", 1)


def test_of_several_notices_the_longest_holds(desk: Desk) -> None:
    rules = [
        {"action": "use", "constraint": [NOTICE[0], limit("notice", "eq", days)]} for days in ("P3D", "P1M")
    ]
    desk.agree()
    held = desk.stores.negotiations.agreement(AGREEMENT)
    permission = Offer.read({"@id": "", "permission": rules}).permission
    object.__setattr__(held, "agreement", held.agreement.model_copy(update={"permission": permission}))
    with desk.stores.database.write() as connection:
        desk.stores.negotiations.put_agreement(connection, held)
    planned, _ = desk.revocations.revoke(AGREEMENT, "the study ends")
    assert planned.ends == datetime(2026, 12, 25, 12, 0, tzinfo=UTC)


def test_withdrawn_consent_changes_the_agreements_that_ask_for_it_and_no_others(desk: Desk) -> None:
    desk.agree("urn:a:consent", *CONSENT)
    desk.agree("urn:a:free")
    desk.agree("urn:a:elsewhere", *CONSENT, target="urn:dataset:2")
    assert desk.revocations.consent_withdrawn("urn:dataset:1", "consent was withdrawn") == ["urn:a:consent"]
    epochs = {one.agreement.id: one.epoch for one in desk.stores.negotiations.agreements()}
    assert epochs == {"urn:a:consent": 1, "urn:a:free": 0, "urn:a:elsewhere": 0}
    (told,) = desk.told()
    assert (told.kind, told.agreement, told.reasons) == (
        UsageKind.AGREEMENT_CHANGED,
        "urn:a:consent",
        ("consent withdrawn", "consent was withdrawn"),
    )
    assert desk.ended == []


def test_only_the_giver_revokes(desk: Desk) -> None:
    desk.agree("urn:a:theirs", role=Role.CONSUMER)
    with pytest.raises(Forbidden, match="only it can revoke"):
        desk.revocations.revoke("urn:a:theirs", "no")
    with pytest.raises(NotFound, match="urn:a:none"):
        desk.revocations.revoke("urn:a:none", "no")
    assert desk.told() == []
