from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import time_ns
from typing import Any

import pytest

from connector.adapters.sql import SqlStores
from connector.outbox.ports import Delivery, Outgoing
from connector.outbox.service import FIRST_PAUSE, LEASE, LONGEST_PAUSE, Outbox, pause
from schemas.errors import PeerRefused, PeerUnavailable, StorageUnavailable

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def real_clock() -> datetime:
    """The one of the timer thread, for the one test in which it has to run out."""
    return datetime.fromtimestamp(time_ns() / 1e9, UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Peer:
    """The wire, as a courier: answers as told, and notes what arrived."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.got: list[str] = []
        self.arrived = Event()

    def carry(self, outgoing: Outgoing) -> Delivery:
        self.got.append(outgoing.id)
        self.arrived.set()
        answer = self.answers.pop(0) if self.answers else Delivery(200, {"said": "thanks"})
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Delivery)
        return answer


class Notes:
    """A sender that writes down what it is told."""

    def __init__(self) -> None:
        self.delivered_: list[str] = []
        self.given_up: list[tuple[str, str, tuple[str, ...]]] = []
        self.failure: Exception | None = None

    def delivered(self, outgoing: Outgoing, delivery: Delivery) -> None:
        if self.failure:
            failure, self.failure = self.failure, None
            raise failure
        self.delivered_.append(outgoing.id)

    def undeliverable(self, outgoing: Outgoing, problem: str, reasons: Sequence[str]) -> None:
        self.given_up.append((outgoing.id, problem, tuple(reasons)))


def letter(name: str, process: str = "p1") -> Outgoing:
    return Outgoing(
        id=name,
        kind="negotiation",
        process=process,
        recipient="did:web:them",
        method="POST",
        url="http://localhost/x",
        document={"@type": "X"},
        created=NOW,
        deadline=NOW + timedelta(minutes=15),
        due=NOW,
    )


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[SqlStores]:
    made = SqlStores(f"sqlite:///{tmp_path}/outbox.sqlite")
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def outbox(stores: SqlStores, clock: Clock, peer: Peer, notes: Notes) -> Outbox:
    senders: Any = {"negotiation": notes}
    return Outbox(store=stores.outbox, courier=peer, senders=senders, clock=clock)


def test_messages_of_a_process_leave_in_order_and_each_once(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    for name in ("a", "b", "c"):
        stores.outbox.add(letter(name))
    assert outbox.deliver("p1") is True
    assert peer.got == notes.delivered_ == ["a", "b", "c"]
    assert outbox.deliver("p1") is False
    assert outbox.pending() == []


def test_a_message_waits_behind_one_that_cannot_be_delivered_but_other_processes_go_on(
    outbox: Outbox, stores: SqlStores, peer: Peer
) -> None:
    for one in (letter("a"), letter("b"), letter("other", "p2")):
        stores.outbox.add(one)
    peer.answers = [PeerUnavailable("nobody there")]
    outbox.deliver("p1")
    outbox.deliver("p2")
    assert peer.got == ["a", "other"]


def test_a_failed_message_says_why_and_when_it_is_tried_next_and_then_arrives(
    outbox: Outbox, stores: SqlStores, peer: Peer, clock: Clock, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers = [PeerUnavailable("nobody there"), PeerUnavailable("still nobody")]
    outbox.deliver("p1")
    (waiting,) = outbox.pending("p1")
    assert (waiting.attempts, waiting.problem) == (1, "nobody there")
    assert waiting.due == clock.now + pause("a", 0)
    assert outbox.deliver("p1") is False
    clock.now = waiting.due
    outbox.deliver("p1")
    clock.now = outbox.pending("p1")[0].due
    outbox.deliver("p1")
    assert peer.got == ["a", "a", "a"]
    assert notes.delivered_ == ["a"]


def test_pauses_double_up_to_a_minute_and_differ_from_message_to_message() -> None:
    seconds = [pause("a", attempts).total_seconds() for attempts in range(12)]
    for attempts, found in enumerate(seconds):
        middle = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempts)
        assert 0.75 * middle <= found <= 1.25 * middle
    assert pause("a", 5) == pause("a", 5)
    assert len({pause(name, 5) for name in "abcdefgh"}) > 4


def test_a_refusal_is_told_at_once_with_the_peers_reasons_and_is_not_repeated(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers = [PeerRefused("answered 400", peer_status=400, reasons=("wrong state",))]
    outbox.deliver("p1")
    assert notes.given_up == [("a", "answered 400", ("wrong state",))]
    assert outbox.pending() == []


def test_a_message_past_its_deadline_is_given_up_with_its_last_problem(
    outbox: Outbox, stores: SqlStores, peer: Peer, clock: Clock, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers = [PeerUnavailable("nobody there")] * 99
    while outbox.pending():
        clock.now = max(clock.now, outbox.pending()[0].due)
        outbox.deliver("p1")
    ((name, problem, _),) = notes.given_up
    assert name == "a"
    assert "could not be delivered since 2026-11-23T12:00:00" in problem
    assert "nobody there" in problem
    assert clock.now - NOW <= timedelta(minutes=15, seconds=1)


def test_a_crash_between_delivery_and_its_note_sends_again_and_tells_again(
    outbox: Outbox, stores: SqlStores, peer: Peer, clock: Clock, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    notes.failure = StorageUnavailable("disk full")
    with pytest.raises(StorageUnavailable):
        outbox.deliver("p1")
    assert outbox.deliver("p1") is False, "it is leased until the lease runs out"
    clock.now += LEASE
    outbox.deliver("p1")
    assert peer.got == ["a", "a"]
    assert notes.delivered_ == ["a"]


def test_worker_threads_deliver_what_they_are_woken_for(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    outbox.start()
    try:
        stores.outbox.add(letter("a"))
        outbox.wake("p1")
        assert peer.arrived.wait(10)
    finally:
        outbox.stop()
    assert notes.delivered_ == ["a"]


def test_what_a_crash_left_behind_is_found_at_start(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    outbox.start()
    try:
        assert peer.arrived.wait(10)
    finally:
        outbox.stop()
    assert notes.delivered_ == ["a"]


def test_a_retry_comes_when_it_is_due_without_being_woken(
    stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    started = real_clock()
    stores.outbox.add(
        replace(letter("a"), created=started, due=started, deadline=started + timedelta(minutes=1))
    )
    delivered = Event()
    senders: Any = {"negotiation": notes}
    outbox = Outbox(
        store=stores.outbox,
        courier=peer,
        senders=senders,
        clock=real_clock,
        chores=(lambda: delivered.set() if notes.delivered_ else None,),
    )
    peer.answers = [PeerUnavailable("nobody there")]
    outbox.start()
    try:
        assert delivered.wait(10)
    finally:
        outbox.stop()
    assert peer.got == ["a", "a"]


def test_a_chore_that_fails_stops_neither_the_outbox_nor_the_other_chores_next_time(
    stores: SqlStores, clock: Clock, peer: Peer, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    senders: Any = {"negotiation": notes}

    def fail() -> None:
        raise StorageUnavailable("disk full")

    outbox = Outbox(store=stores.outbox, courier=peer, senders=senders, clock=clock, chores=(fail,))
    outbox.start()
    try:
        assert peer.arrived.wait(10)
    finally:
        outbox.stop()
    assert notes.delivered_ == ["a"]
