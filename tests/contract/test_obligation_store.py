"""What every ledger store promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connector.adapters.sql import SqlStores
from connector.obligations.entry import Entry, Stage
from policies.rules import Consequence
from schemas.base import Role
from schemas.errors import StaleState, StorageUnavailable
from schemas.usage import UsageKind
from schemas.vocab import ODRL
from tests.contract.conftest import Fail
from tests.store_builders import AGREEMENT, NOW, PEER, negotiation, record, signed

DAY = timedelta(days=1)


def entry(**changes: object) -> Entry:
    made = Entry(
        agreement=AGREEMENT,
        place="obligation[0]",
        period=1,
        counterparty=PEER,
        dataset="urn:dataset:1",
        policy="sha256:00",
        action=ODRL + "delete",
        consequence=Consequence.SUSPEND,
        since=NOW,
        due=NOW + 30 * DAY,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def agree(stores: SqlStores, **changes: object) -> str:
    asked = negotiation()
    stores.negotiations.add(asked)
    made = signed(asked.pid, **{"final": True, **changes})
    stores.negotiations.save(asked, seen=0, agreement=made)
    return made.agreement.id


def test_an_entry_comes_back_as_it_was_saved(stores: SqlStores) -> None:
    saved = entry(stage=Stage.FULFILLED, fulfilled=NOW, receipt_id="urn:receipt:1", receipt="ey.ey.sig")
    stores.obligations.put([saved])
    assert stores.obligations.of(AGREEMENT) == [replace(saved, version=1)]
    assert stores.obligations.of("urn:other") == []


def test_entries_come_by_place_and_period(stores: SqlStores) -> None:
    made = [entry(place=f"obligation[{place}]", period=period) for place in (1, 0) for period in (10, 2)]
    stores.obligations.put(made)
    found = [(one.place, one.period) for one in stores.obligations.of(AGREEMENT)]
    assert found == [("obligation[0]", 2), ("obligation[0]", 10), ("obligation[1]", 2), ("obligation[1]", 10)]


def test_what_is_owed_comes_most_urgent_first_without_what_was_done(stores: SqlStores) -> None:
    late, soon, never = (
        entry(period=1, due=NOW + 2 * DAY),
        entry(period=2, due=NOW + DAY),
        entry(period=3, due=None),
    )
    done, theirs = entry(period=4, stage=Stage.FULFILLED), entry(period=5, counterparty="did:web:other")
    stores.obligations.put([late, soon, never, done, theirs])
    assert [one.period for one in stores.obligations.owed(None, 10)] == [2, 1, 5, 3]
    assert [one.period for one in stores.obligations.owed(None, 2)] == [2, 1]
    assert [one.period for one in stores.obligations.owed(NOW + DAY, 10)] == [2]
    assert [one.period for one in stores.obligations.owed(None, 10, "did:web:other")] == [5]


def test_who_enters_or_moves_an_entry_second_is_told_and_changes_nothing(stores: SqlStores) -> None:
    stores.obligations.put([entry()])
    told = record(UsageKind.OBLIGATION_DUE)
    with pytest.raises(StaleState, match="entered meanwhile"):
        stores.obligations.put([entry(period=2), entry()], [told])
    (held,) = stores.obligations.of(AGREEMENT)
    stores.obligations.put([replace(held, stage=Stage.SOON)])
    with pytest.raises(StaleState, match="version 1"):
        stores.obligations.put([replace(held, stage=Stage.OVERDUE)], [told])
    assert [one.stage for one in stores.obligations.of(AGREEMENT)] == [Stage.SOON]
    assert stores.usage.backlog() == 0


def test_an_entry_is_saved_with_its_records_or_not_at_all(stores: SqlStores, failing_write: Fail) -> None:
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.obligations.put([entry()], [record(UsageKind.OBLIGATION_DUE)])
    assert len(stores.obligations.of(AGREEMENT)) == stores.usage.backlog() in (0, 1)


def test_final_agreements_that_we_gave_are_looked_through_once(stores: SqlStores) -> None:
    given = agree(stores)
    agree(stores, identity="urn:a:2", role=Role.CONSUMER)
    agree(stores, identity="urn:a:3", final=False)
    assert stores.obligations.unbooked(10) == [given]
    stores.obligations.book(given, again=True)
    stores.obligations.book(given, again=True)
    assert stores.obligations.unbooked(10) == []
    assert stores.obligations.booked() == [given]
