"""The promises of NegotiationStore about agreements."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from connector.adapters.sql import SqlStores
from policies.counting import Amount, Bound
from schemas.base import Role
from schemas.dsp.negotiation import NegotiationState
from schemas.errors import AlreadyExists, Forbidden, NotFound, StaleState, StorageUnavailable
from schemas.usage import UsageKind
from tests.contract.conftest import Fail, Open
from tests.store_builders import AGREEMENT, MINUTE, NOW, negotiation, record, signed


def saved(stores: SqlStores, **changes: object) -> str:
    """Save a negotiation with its agreement, and return its pid."""
    process = negotiation()
    stores.negotiations.add(process)
    stores.negotiations.save(
        replace(process, state=NegotiationState.AGREED), seen=0, agreement=signed(process.pid, **changes)
    )
    return process.pid


def test_an_agreement_comes_back_exactly_as_it_was_saved(stores: SqlStores, open_stores: Open) -> None:
    pid = saved(stores)
    assert open_stores().negotiations.agreement(AGREEMENT) == signed(pid)


def test_an_unknown_agreement_is_not_found_by_name(stores: SqlStores) -> None:
    with pytest.raises(NotFound, match="urn:uuid:nowhere"):
        stores.negotiations.agreement("urn:uuid:nowhere")
    with pytest.raises(NotFound, match="urn:uuid:nowhere"):
        stores.negotiations.revoke("urn:uuid:nowhere", "why")


def test_saving_again_replaces_the_agreement_of_the_same_negotiation(stores: SqlStores) -> None:
    pid = saved(stores)
    process = stores.negotiations.get(pid)
    stores.negotiations.save(process, seen=1, agreement=signed(pid, final=True))
    assert stores.negotiations.agreement(AGREEMENT) == signed(pid, final=True)


def test_a_counterparty_cannot_take_the_id_of_an_agreement_with_somebody_else(stores: SqlStores) -> None:
    pid = saved(stores)
    process = negotiation(counterparty="did:web:mallory.example")
    stores.negotiations.add(process)
    stolen = signed(process.pid, counterparty="did:web:mallory.example")
    with pytest.raises(AlreadyExists):
        stores.negotiations.save(process, seen=0, agreement=stolen, records=[record()])
    assert stores.negotiations.agreement(AGREEMENT) == signed(pid)
    assert stores.negotiations.get(process.pid).version == 0
    assert stores.usage.backlog() == 0


def test_a_stale_save_leaves_the_agreement_alone(stores: SqlStores) -> None:
    pid = saved(stores)
    with pytest.raises(StaleState):
        stores.negotiations.save(stores.negotiations.get(pid), seen=0, agreement=signed(pid, final=True))
    assert not stores.negotiations.agreement(AGREEMENT).final


def test_agreements_are_listed_newest_first_by_dataset_and_role(stores: SqlStores) -> None:
    saved(stores, identity="urn:old", signed=NOW)
    saved(stores, identity="urn:new", signed=NOW + MINUTE)
    saved(stores, identity="urn:bought", role=Role.CONSUMER, target="urn:dataset:2", signed=NOW - MINUTE)

    def names(**wanted: object) -> list[str]:
        return [item.agreement.id for item in stores.negotiations.agreements(**wanted)]  # type: ignore[arg-type]

    assert names() == ["urn:new", "urn:old", "urn:bought"]
    assert names(dataset="urn:dataset:1") == ["urn:new", "urn:old"]
    assert names(role=Role.CONSUMER) == ["urn:bought"]
    assert names(dataset="urn:dataset:1", role=Role.CONSUMER) == []


def test_revoking_raises_the_epoch_once_and_saves_its_record_once(stores: SqlStores) -> None:
    saved(stores)
    revoked = stores.negotiations.revoke(AGREEMENT, "trial ended", [record(UsageKind.AGREEMENT_REVOKED)])
    assert (revoked.revoked, revoked.epoch) == ("trial ended", 1)
    again = stores.negotiations.revoke(AGREEMENT, "another reason", [record(UsageKind.AGREEMENT_REVOKED)])
    assert again == revoked == stores.negotiations.agreement(AGREEMENT)
    assert stores.usage.backlog() == 1


def test_a_late_save_does_not_undo_a_revocation(stores: SqlStores) -> None:
    pid = saved(stores)
    stores.negotiations.revoke(AGREEMENT, "trial ended")
    stores.negotiations.save(stores.negotiations.get(pid), seen=1, agreement=signed(pid, final=True))
    held = stores.negotiations.agreement(AGREEMENT)
    assert (held.final, held.revoked, held.epoch) == (True, "trial ended", 1)


def test_no_rows_are_reserved_after_the_record_of_a_revocation(open_stores: Open) -> None:
    both = (open_stores(), open_stores())
    saved(both[0])
    stop = threading.Event()

    def read(stores: SqlStores, stream: str) -> None:
        while not stop.is_set():
            try:
                told = record(agreement=AGREEMENT, stream=stream)
                stores.usage.reserve(AGREEMENT, stream, Amount(1), Bound(), told)
            except Forbidden:
                return

    threads = [threading.Thread(target=read, args=(both[at % 2], f"urn:stream:{at}")) for at in range(6)]
    for thread in threads:
        thread.start()
    while both[0].usage.backlog() < 20:
        pass
    both[1].negotiations.revoke(AGREEMENT, "trial ended", [record(UsageKind.AGREEMENT_REVOKED)])
    try:
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
    finally:
        stop.set()
    both[0].usage.sequence(10_000)
    last = both[0].usage.entries(both[0].usage.size() - 1, 1)[0]
    assert b'"agreement.revoked"' in last.record


def test_a_revocation_that_failed_either_way_can_be_repeated(stores: SqlStores, failing_write: Fail) -> None:
    saved(stores)
    told = record(UsageKind.AGREEMENT_REVOKED)
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.negotiations.revoke(AGREEMENT, "trial ended", [told])
    assert stores.negotiations.revoke(AGREEMENT, "trial ended", [told]).epoch == 1
    assert stores.usage.backlog() == 1
