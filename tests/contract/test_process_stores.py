"""The promises that NegotiationStore, TransferStore and FlowStore share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from connector.adapters.sql import SqlStores
from connector.negotiation.ports import Negotiation
from connector.signaling.ports import DataFlow
from connector.transfer.ports import Transfer
from schemas.dps import FlowState
from schemas.dsp.negotiation import NegotiationState
from schemas.dsp.transfer import TransferState
from schemas.errors import AlreadyExists, Malformed, NotFound, StaleState, StorageUnavailable
from tests.contract.conftest import Fail, Open
from tests.store_builders import MINUTE, NOW, PEER, data_flow, negotiation, outgoing, record, transfer


@dataclass(frozen=True)
class Kind:
    """One of the stores, and how to make what it keeps."""

    word: str
    make: Callable[..., Any]
    attribute: str
    moved: Any
    ends: tuple[Any, ...]
    learns: bool = True
    """Whether the counterparty's id may be unknown at first."""

    def of(self, stores: SqlStores) -> Any:
        return getattr(stores, self.attribute)


KINDS = (
    Kind(
        "Negotiation",
        negotiation,
        "negotiations",
        NegotiationState.AGREED,
        (NegotiationState.FINALIZED, NegotiationState.TERMINATED),
    ),
    Kind(
        "Transfer",
        transfer,
        "transfers",
        TransferState.STARTED,
        (TransferState.COMPLETED, TransferState.TERMINATED),
    ),
    Kind(
        "DataFlow",
        data_flow,
        "flows",
        FlowState.STARTED,
        (FlowState.COMPLETED, FlowState.TERMINATED),
        learns=False,
    ),
)
LEARNING = [kind for kind in KINDS if kind.learns]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.attribute)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def test_a_process_comes_back_exactly_as_it_was_added(
    stores: SqlStores, open_stores: Open, kind: Kind
) -> None:
    process = kind.make()
    kind.of(stores).add(process)
    assert kind.of(open_stores()).get(process.pid) == process


def test_a_process_is_found_by_its_counterpartys_id_and_by_nobody_elses(
    stores: SqlStores, kind: Kind
) -> None:
    process = kind.make()
    kind.of(stores).add(process)
    assert kind.of(stores).find(PEER, process.counter_pid) == process
    assert kind.of(stores).find("did:web:other.example", process.counter_pid) is None
    assert kind.of(stores).find(PEER, process.pid) is None


def test_an_unknown_id_is_not_found_by_name(stores: SqlStores, kind: Kind) -> None:
    with pytest.raises(NotFound, match="urn:uuid:nowhere"):
        kind.of(stores).get("urn:uuid:nowhere")


def test_the_same_counterparty_cannot_open_one_id_twice(stores: SqlStores, kind: Kind) -> None:
    process = kind.make()
    kind.of(stores).add(process)
    message = outgoing()
    with pytest.raises(AlreadyExists, match=str(process.counter_pid)):
        kind.of(stores).add(
            kind.make(counter_pid=process.counter_pid), outgoing=[message], records=[record()]
        )
    assert (stores.outbox.pending(), stores.usage.backlog()) == ([], 0)
    kind.of(stores).add(kind.make(counter_pid=process.counter_pid, counterparty="did:web:other.example"))


@pytest.mark.parametrize("kind", LEARNING, ids=lambda kind: kind.attribute)
def test_many_processes_may_wait_for_their_counterpartys_id(stores: SqlStores, kind: Kind) -> None:
    for _ in range(3):
        kind.of(stores).add(kind.make(counter_pid=None))
    assert len(kind.of(stores).unfinished()) == 3


@pytest.mark.parametrize("kind", LEARNING, ids=lambda kind: kind.attribute)
def test_saving_moves_the_process_and_counts_its_version(stores: SqlStores, kind: Kind) -> None:
    process = kind.make(counter_pid=None)
    kind.of(stores).add(process)
    moved = replace(process, state=kind.moved, counter_pid="urn:learnt", updated=NOW + MINUTE)
    saved = kind.of(stores).save(moved, seen=0)
    assert saved == replace(moved, version=1)
    assert kind.of(stores).get(process.pid) == saved
    assert kind.of(stores).find(PEER, "urn:learnt") == saved


def test_who_writes_second_is_told_both_versions_and_changes_nothing(stores: SqlStores, kind: Kind) -> None:
    process = kind.make()
    kind.of(stores).add(process)
    first = kind.of(stores).save(replace(process, state=kind.moved), seen=0)
    with pytest.raises(StaleState, match=f"{kind.word} {process.pid} was read at version 0 but stands at 1"):
        kind.of(stores).save(process, seen=0, outgoing=[outgoing()], records=[record()])
    assert kind.of(stores).get(process.pid) == first
    assert (stores.outbox.pending(), stores.usage.backlog()) == ([], 0)


def test_of_many_writers_of_one_version_exactly_one_wins(open_stores: Open, kind: Kind) -> None:
    both = (open_stores(), open_stores())
    process = kind.make()
    kind.of(both[0]).add(process)
    outcomes: list[str] = []

    def write(stores: SqlStores) -> None:
        try:
            kind.of(stores).save(process, seen=0, outgoing=[outgoing()])
            outcomes.append("won")
        except StaleState:
            outcomes.append("told")

    threads = [threading.Thread(target=write, args=(both[at % 2],)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["told"] * 7 + ["won"]
    assert len(both[0].outbox.pending()) == 1


def test_saving_what_was_never_added_is_not_found(stores: SqlStores, kind: Kind) -> None:
    with pytest.raises(NotFound):
        kind.of(stores).save(kind.make(), seen=0)


def test_process_mail_and_records_are_saved_together(stores: SqlStores, kind: Kind) -> None:
    process, first, second = kind.make(), outgoing(), outgoing()
    kind.of(stores).add(process, outgoing=[first], records=[record()])
    kind.of(stores).save(process, seen=0, outgoing=[second], records=[record()])
    assert stores.outbox.pending() == [first, second]
    assert stores.usage.backlog() == 2


def test_an_add_or_save_that_was_not_stored_leaves_nothing_behind(
    stores: SqlStores, not_stored: Fail, kind: Kind
) -> None:
    process = kind.make()
    with not_stored(stores), pytest.raises(StorageUnavailable, match="disk is full"):
        kind.of(stores).add(process, outgoing=[outgoing()], records=[record()])
    with pytest.raises(NotFound):
        kind.of(stores).get(process.pid)
    kind.of(stores).add(process)
    with not_stored(stores), pytest.raises(StorageUnavailable):
        kind.of(stores).save(
            replace(process, state=kind.moved), seen=0, outgoing=[outgoing()], records=[record()]
        )
    assert kind.of(stores).get(process.pid) == process
    assert (stores.outbox.pending(), stores.usage.backlog()) == ([], 0)
    assert kind.of(stores).save(replace(process, state=kind.moved), seen=0).version == 1


def test_a_write_that_was_stored_all_the_same_is_met_by_the_next_try(
    stores: SqlStores, stored_but_reported_as_failed: Fail, kind: Kind
) -> None:
    process = kind.make()
    with stored_but_reported_as_failed(stores), pytest.raises(StorageUnavailable):
        kind.of(stores).add(process, outgoing=[outgoing()])
    with pytest.raises(AlreadyExists):
        kind.of(stores).add(process, outgoing=[outgoing()])
    with stored_but_reported_as_failed(stores), pytest.raises(StorageUnavailable):
        kind.of(stores).save(process, seen=0, outgoing=[outgoing()])
    with pytest.raises(StaleState):
        kind.of(stores).save(process, seen=0, outgoing=[outgoing()])
    assert len(stores.outbox.pending()) == 2


def test_unfinished_processes_are_those_that_have_not_ended_oldest_first(
    stores: SqlStores, kind: Kind
) -> None:
    young = kind.make(created=NOW + MINUTE)
    old = kind.make(created=NOW)
    for process in (young, old, *(kind.make(state=end) for end in kind.ends)):
        kind.of(stores).add(process)
    assert kind.of(stores).unfinished() == [old, young]
    kind.of(stores).save(replace(old, state=kind.ends[0]), seen=0)
    assert kind.of(stores).unfinished() == [young]


def test_recent_processes_come_last_changed_first(stores: SqlStores, kind: Kind) -> None:
    made = [kind.make(updated=NOW + at * MINUTE) for at in range(4)]
    for process in made:
        kind.of(stores).add(process)
    assert kind.of(stores).recent(3) == [made[3], made[2], made[1]]


@pytest.mark.parametrize("hostile", ["a\x00b", "x" * 100_000])
def test_an_id_that_no_database_can_index_is_refused_by_both(
    stores: SqlStores, kind: Kind, hostile: str
) -> None:
    with pytest.raises(Malformed):
        kind.of(stores).add(kind.make(counter_pid=hostile))
    assert kind.of(stores).unfinished() == []


def test_every_kind_is_covered() -> None:
    assert {kind.word for kind in KINDS} == {Negotiation.__name__, Transfer.__name__, DataFlow.__name__}
