"""The ledger of obligations: each thing told once, exact under restarts and with second processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from connector.adapters.sql import SqlStores
from connector.obligations import service
from connector.obligations.entry import Stage
from connector.obligations.service import LOOK, LOOK_AGAIN, Ledger
from connector.trust.ports import Signed
from policies.use import UseTotals
from schemas.base import Role
from schemas.errors import Forbidden, IllegalMove, Malformed, NotFound, StorageUnavailable
from schemas.identity import generate_key, public_jwk, verify_claims
from schemas.odrl import Duty
from schemas.receipts import Receipt, sign_receipt
from schemas.usage import UsageKind, UsageRecord
from schemas.vocab import HANSA, ODRL
from tests.store_builders import AGREEMENT, NOW, PEER, negotiation, signed

US = "did:web:us.example"
DELETE, REPORT = ODRL + "delete", ODRL + "inform"
DAY = timedelta(days=1)
LATER = timedelta(seconds=61)


def duty(action: str, **limits: str) -> Duty:
    constraint = [
        {
            "leftOperand": (HANSA if name == "consequence" else ODRL) + name,
            "operator": "lteq" if name == "delayPeriod" else "eq",
            "rightOperand": value,
        }
        for name, value in limits.items()
    ]
    return Duty.read({"action": action, "constraint": constraint})


@dataclass
class Drawn:
    """What was done about overdue duties."""

    fails: bool = False
    done: list[tuple[str, ...]] = field(default_factory=list)

    def suspend(self, agreement: str, why: str) -> None:
        if self.fails:
            raise StorageUnavailable("the disk is full")
        self.done.append(("suspend", agreement))

    def terminate(self, agreement: str, why: str) -> None:
        self.done.append(("terminate", agreement))

    def resume(self, agreement: str) -> None:
        if self.fails:
            raise StorageUnavailable("the disk is full")
        self.done.append(("resume", agreement))

    def resting(self) -> set[str]:
        last = {agreement: what for what, agreement in self.done}
        return {agreement for agreement, what in last.items() if what == "suspend"}


class Office:
    """A provider's ledger under a clock that is moved by hand; `process` opens it again."""

    def __init__(self, open_stores: Callable[[], SqlStores]) -> None:
        self._open_stores = open_stores
        self.stores = open_stores()
        self.now = NOW
        self.delivered: Any = None
        self.key = generate_key()
        self.drawn = Drawn()
        self._numbers = iter(range(10_000))
        self.ledger = self.process()

    def process(self) -> Ledger:
        return Ledger(
            store=self._open_stores().obligations,
            agreements=self.stores.negotiations,
            usage=self,
            signatures=self,
            consequences=self.drawn,
            did=US,
            clock=lambda: self.now,
        )

    # --- the log and the keys, as the ledger asks them

    def record(self, kind: UsageKind, **fields: Any) -> UsageRecord:
        return UsageRecord(id=f"urn:r:{next(self._numbers)}", at=1, kind=kind, log=US, **fields)

    def append(self, *records: UsageRecord) -> None:
        self.stores.usage.append(records)

    def totals(self, agreement: str) -> UseTotals:
        return UseTotals(agreed=NOW, first_delivery=self.delivered, last_delivery=self.delivered)

    def verified(self, issuer: str, token: str) -> Signed:
        if issuer != PEER:
            raise Forbidden(f"{issuer} is no member")
        return Signed(verify_claims(token, self.key, self.now), public_jwk(self.key))

    # --- what happens

    def agree(self, *duties: Duty, **changes: Any) -> None:
        asked = negotiation()
        self.stores.negotiations.add(asked)
        made = signed(asked.pid, **{"final": True, **changes})
        terms = made.agreement.model_copy(update={"obligation": duties, "permission": _USE})
        self.stores.negotiations.save(asked, seen=0, agreement=replace(made, agreement=terms))

    def deliver(self) -> None:
        self.delivered = self.now
        self.ledger.delivered(AGREEMENT)

    def pass_time(self, time: timedelta) -> None:
        self.now += time
        self.ledger.tick()

    def receipt(self, action: str = DELETE, **changes: Any) -> str:
        said = {
            "id": "urn:receipt:1",
            "agreement": AGREEMENT,
            "policy": "sha256:00",
            "action": action,
            "done": self.now.isoformat(),
        }
        return sign_receipt(Receipt.read(said | changes), self.key, PEER, US, self.now)

    def told(self) -> list[str]:
        self.stores.usage.sequence()
        return [
            UsageRecord.model_validate_json(one.record).kind.value for one in self.stores.usage.entries(0, 99)
        ]

    def stages(self) -> list[tuple[int, Stage]]:
        return [(one.period, one.stage) for one in self.stores.obligations.of(AGREEMENT)]


_USE = (signed("x").agreement.permission[0].model_copy(update={"constraint": (), "action": "use"}),)
for _permission in _USE:
    (_permission.model_extra or {}).clear()


@pytest.fixture
def office(open_stores: Callable[[], SqlStores]) -> Office:
    return Office(open_stores)


def test_a_deletion_is_entered_reminded_of_and_overdue_each_told_once(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.ledger.tick()
    assert office.stages() == []
    office.deliver()
    assert office.stages() == [(1, Stage.OPEN)]
    office.pass_time(27 * DAY)
    office.pass_time(LATER)
    assert office.told() == ["obligation.due"]
    assert office.ledger.hindrance(AGREEMENT) is None
    office.pass_time(3 * DAY)
    office.pass_time(LATER)
    assert office.told() == ["obligation.due", "obligation.overdue"]
    assert office.drawn.done[0] == ("suspend", AGREEMENT)
    assert "was due 2026-12-23T12:00:00+00:00" in str(office.ledger.hindrance(AGREEMENT))


def test_what_hinders_is_the_date_itself_whether_or_not_anybody_looked(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.deliver()
    office.now += 30 * DAY - timedelta(microseconds=1)
    assert office.ledger.hindrance(AGREEMENT) is None
    office.now += timedelta(microseconds=1)
    assert office.process().hindrance(AGREEMENT) is not None
    assert office.told() == []


def test_two_processes_remind_once(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.deliver()
    office.now += 31 * DAY
    for ledger in (office.ledger, office.process(), office.process()):
        ledger.tick()
    assert office.told() == ["obligation.overdue"]


def test_a_consequence_that_failed_is_drawn_by_a_later_look_and_after_a_restart(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.deliver()
    office.drawn.fails = True
    office.pass_time(31 * DAY)
    assert (office.drawn.done, office.told()) == ([], ["obligation.overdue"])
    office.drawn.fails = False
    office.process().tick()
    assert office.drawn.done == [("suspend", AGREEMENT)]
    office.pass_time(LATER)
    assert office.drawn.done[-1] == ("suspend", AGREEMENT)


def test_a_delivery_whose_entry_was_lost_in_a_crash_is_found_again(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.ledger.tick()
    office.delivered = office.now  # and the process died before it was entered
    again = office.process()
    again.tick()
    assert office.stages() == [(1, Stage.OPEN)]
    office.now += LOOK_AGAIN
    office.delivered = office.now
    again.tick()
    (entry,) = office.stores.obligations.of(AGREEMENT)
    assert (entry.due, entry.period) == (office.now + 30 * DAY, 1)


def test_a_receipt_lifts_the_suspension_once(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.deliver()
    office.pass_time(31 * DAY)
    token = office.receipt(statement="All copies are gone.")
    taken = office.ledger.receive(PEER, token)
    assert (taken.stage, taken.fulfilled, taken.receipt) == (Stage.FULFILLED, office.now, token)
    assert office.ledger.hindrance(AGREEMENT) is None
    assert office.drawn.done[-1] == ("resume", AGREEMENT)
    assert office.process().receive(PEER, token) == taken
    assert office.told() == ["obligation.overdue", "obligation.fulfilled"]
    assert office.drawn.done.count(("resume", AGREEMENT)) == 1


def test_what_a_receipt_could_not_lift_is_lifted_by_a_later_look(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.deliver()
    office.pass_time(31 * DAY)
    office.drawn.fails = True
    with pytest.raises(StorageUnavailable):
        office.ledger.receive(PEER, office.receipt())
    office.drawn.fails = False
    assert office.stages() == [(1, Stage.FULFILLED)]
    office.process().tick()
    assert office.drawn.done[-1] == ("resume", AGREEMENT)


def test_one_receipt_does_not_lift_what_two_duties_hinder(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P10D"), duty("inform", timeInterval="P30D"))
    office.deliver()
    office.pass_time(31 * DAY)
    office.ledger.receive(PEER, office.receipt())
    assert "inform (obligation[1])" in str(office.ledger.hindrance(AGREEMENT))
    assert ("resume", AGREEMENT) not in office.drawn.done
    office.ledger.receive(PEER, office.receipt(REPORT, id="urn:receipt:2", rows=5))
    assert office.drawn.done[-1] == ("resume", AGREEMENT)


def test_a_report_is_owed_again_for_each_period_and_the_oldest_is_fulfilled_first(office: Office) -> None:
    office.agree(duty("inform", timeInterval="P30D"))
    office.deliver()
    office.pass_time(61 * DAY)
    office.pass_time(LATER)
    assert office.stages() == [(1, Stage.OVERDUE), (2, Stage.OVERDUE), (3, Stage.OPEN)]
    office.ledger.receive(PEER, office.receipt(REPORT))
    assert office.stages() == [(1, Stage.FULFILLED), (2, Stage.OVERDUE), (3, Stage.OPEN)]


def test_a_revoked_agreement_still_wants_its_data_deleted_and_no_more_reports(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"), duty("inform", timeInterval="P30D"))
    office.delivered = office.now
    office.stores.negotiations.revoke(AGREEMENT, "breach")
    office.ledger.delivered(AGREEMENT)
    assert [one.action for one in office.ledger.owed()] == [DELETE]


def test_agreements_without_duties_of_others_and_of_control_planes_are_left_alone(office: Office) -> None:
    office.agree(duty("attribute"), identity="urn:a:theirs", role=Role.CONSUMER)
    office.agree(duty("attribute"), identity="urn:a:foreign", control_plane="edc")
    office.agree(identity="urn:a:free")
    office.ledger.tick()
    office.pass_time(LOOK)
    assert office.ledger.owed() == []
    assert office.stores.obligations.unbooked(10) == []


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"done": "2026-11-01T00:00:00Z"}, Malformed, "before the last delivery"),
        ({"done": "2027-11-01T00:00:00Z"}, Malformed, "after now"),
        ({"done": "2026-11-25T00:00:00"}, Malformed, "has no zone"),
        ({"policy": "sha256:11"}, Malformed, "about terms sha256:11"),
        ({"agreement": "urn:a:none"}, NotFound, "no agreement"),
        ({"action": REPORT}, IllegalMove, "no 'inform' is owed"),
    ],
)
def test_a_receipt_that_does_not_fit_is_refused_and_changes_nothing(
    office: Office, changes: dict[str, Any], error: type[Exception], reason: str
) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.deliver()
    before = office.stores.obligations.of(AGREEMENT)
    with pytest.raises(error, match=reason):
        office.ledger.receive(PEER, office.receipt(**changes))
    assert office.stores.obligations.of(AGREEMENT) == before
    assert (office.told(), office.drawn.done) == ([], [])


def test_a_receipt_that_could_not_be_saved_fulfils_nothing_and_may_come_again(
    office: Office, not_stored: Callable[[SqlStores], Any]
) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.deliver()
    stores = office._open_stores()
    office.ledger._store = stores.obligations
    with not_stored(stores), pytest.raises(StorageUnavailable):
        office.ledger.receive(PEER, office.receipt())
    assert office.stages() == [(1, Stage.OPEN)]
    assert office.ledger.receive(PEER, office.receipt()).stage is Stage.FULFILLED


def test_one_receipt_does_not_keep_duties_of_two_kinds(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"), duty("inform", timeInterval="P30D"))
    office.deliver()
    office.ledger.receive(PEER, office.receipt())
    with pytest.raises(Malformed, match=r"urn:receipt:1 was taken for .*delete.*give this one an id"):
        office.ledger.receive(PEER, office.receipt(REPORT))
    assert office.told().count("obligation.fulfilled") == 1
    assert office.ledger.receive(PEER, office.receipt(REPORT, id="urn:receipt:2")).action == REPORT


def test_a_receipt_dated_ahead_is_none_for_what_is_delivered_until_then(office: Office) -> None:
    office.agree(duty("delete", delayPeriod="P30D"))
    office.deliver()
    ahead = (office.now + timedelta(minutes=4)).isoformat()
    held = office.ledger.receive(PEER, office.receipt(done=ahead))
    assert (held.stage, held.fulfilled) == (Stage.FULFILLED, office.now)
    office.now += timedelta(minutes=3)
    office.deliver()
    assert office.stages() == [(1, Stage.FULFILLED), (2, Stage.OPEN)]


def test_one_agreement_that_is_overdue_for_long_does_not_keep_others_from_their_reminders(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST", 3)
    office.agree(duty("inform", timeInterval="P1D"))
    office.deliver()
    for _ in range(6):
        office.pass_time(DAY)
    assert office.stages()[:5] == [(n, Stage.OVERDUE) for n in range(1, 6)]
    office.agree(duty("delete", delayPeriod="P1D"), identity="urn:a:other")
    office.ledger.delivered("urn:a:other")
    office.pass_time(2 * DAY)
    assert [one.stage for one in office.stores.obligations.of("urn:a:other")] == [Stage.OVERDUE]
    assert ("suspend", "urn:a:other") in office.drawn.done
    # And who begins anew draws all of them again, however many there are.
    office.drawn.done.clear()
    office.process().tick()
    assert office.drawn.done.count(("suspend", "urn:a:other")) == 1
    assert office.drawn.done.count(("suspend", AGREEMENT)) >= 6
