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
from connector.outbox.refusal import Verdict
from connector.outbox.service import (
    EARLY_TRIES,
    FIRST_PAUSE,
    LEASE,
    LEAST_TRIES,
    LONGEST_PAUSE,
    Outbox,
    pause,
)
from schemas.errors import PeerRefused, PeerUnavailable, StorageUnavailable
from tests.patience import until

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
        self.failing: set[str] = set()
        self.got: list[str] = []
        self.asked: list[str] = []
        self.stands: str | Exception | None = None
        self.arrived = Event()

    def carry(self, outgoing: Outgoing) -> Delivery:
        self.got.append(outgoing.id)
        self.arrived.set()
        if outgoing.id in self.failing:
            raise PeerUnavailable("nobody there")
        answer = self.answers.pop(0) if self.answers else Delivery(200, {"said": "thanks"})
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Delivery)
        return answer

    def standing(self, outgoing: Outgoing) -> str | None:
        self.asked.append(outgoing.id)
        if isinstance(self.stands, Exception):
            raise self.stands
        return self.stands


class Notes:
    """A sender that writes down what it is told."""

    def __init__(self) -> None:
        self.delivered_: list[str] = []
        self.given_up: list[tuple[str, str, tuple[str, ...]]] = []
        self.failure: Exception | None = None
        self.verdict = Verdict.FINAL

    def refused(self, outgoing: Outgoing, standing: str | None) -> Verdict:
        return self.verdict

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
        document={"@type": "X", "consumerPid": "c", "providerPid": "p"},
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


def test_a_message_whose_time_those_before_it_used_up_is_tried_all_the_same_and_not_for_ever(
    outbox: Outbox, stores: SqlStores, peer: Peer, clock: Clock, notes: Notes
) -> None:
    for name in ("first", "second", "third"):
        stores.outbox.add(letter(name))
    clock.now = NOW + timedelta(minutes=20)  # as after an outage of ours
    peer.answers = [*[PeerUnavailable("starts")] * 2, Delivery(200, {}), *[PeerUnavailable("gone")] * 99]
    while outbox.pending():
        clock.now = max(clock.now, outbox.pending()[0].due)
        outbox.deliver("p1")
    assert notes.delivered_ == ["first"]
    assert peer.got == [*["first"] * 3, *["second"] * LEAST_TRIES, *["third"] * LEAST_TRIES]
    assert [name for name, *_ in notes.given_up] == ["second", "third"]
    assert f"({LEAST_TRIES} attempts); last problem: gone" in notes.given_up[0][1]
    assert clock.now - NOW <= timedelta(minutes=20, seconds=20)


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


# --- refusals that are none, answers that are none ----------------------------------------------------


def test_a_refusal_is_taken_back_where_the_peer_stands_as_if_it_had_taken_the_message(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers, peer.stands = [PeerRefused("answered 409", peer_status=409)], "AGREED"
    notes.verdict = Verdict.TAKEN
    outbox.deliver("p1")
    assert (notes.delivered_, notes.given_up, peer.got) == (["a"], [], ["a"])
    assert outbox.pending() == []


def test_a_last_word_that_was_refused_is_said_again_and_shows_why(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes, clock: Clock
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers, peer.stands = [PeerRefused("answered 400", peer_status=400)], "VERIFIED"
    notes.verdict = Verdict.AGAIN
    outbox.deliver("p1")
    (waiting,) = outbox.pending()
    assert waiting.problem == "answered 400; it still stands at VERIFIED"
    clock.now = waiting.due
    outbox.deliver("p1")
    assert notes.delivered_ == ["a"]


def test_while_the_peer_cannot_say_where_it_stands_a_refusal_is_not_decided(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers, peer.stands = (
        [PeerRefused("answered 400", peer_status=400)],
        PeerUnavailable("nobody there"),
    )
    outbox.deliver("p1")
    (waiting,) = outbox.pending()
    assert waiting.problem == "answered 400; and its state is unknown: nobody there"
    assert notes.given_up == []


def test_a_refusal_that_may_mean_both_is_tried_a_few_times_and_then_counts(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes, clock: Clock
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers, peer.stands = [PeerRefused("answered 400", peer_status=400)] * 9, "SUSPENDED"
    notes.verdict = Verdict.UNCLEAR
    outbox.deliver("p1")
    assert outbox.pending()[0].problem == "answered 400; it stands at SUSPENDED, before or after it"
    while outbox.pending():
        clock.now = max(clock.now, outbox.pending()[0].due)
        outbox.deliver("p1")
    assert peer.got == ["a"] * 4
    assert notes.given_up == [("a", "answered 400", ())]


@pytest.mark.parametrize(("status", "seconds"), [(405, 75), (409, 20)])
@pytest.mark.parametrize("stands", ["REQUESTED", None])
def test_a_peer_that_starts_or_has_not_saved_what_it_said_is_given_time_and_then_believed(
    outbox: Outbox,
    stores: SqlStores,
    peer: Peer,
    notes: Notes,
    clock: Clock,
    stands: str | None,
    status: int,
    seconds: int,
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers, peer.stands = [PeerRefused("not here", peer_status=status)] * 99, stands
    outbox.deliver("p1")
    assert outbox.pending()[0].problem == "not here; perhaps too early"
    while outbox.pending():
        clock.now = max(clock.now, outbox.pending()[0].due)
        outbox.deliver("p1")
    assert peer.got == ["a"] * (EARLY_TRIES[status] + 1)
    assert notes.given_up == [("a", "not here", ())]
    assert clock.now - NOW < timedelta(seconds=seconds)


def test_a_peer_that_has_ended_the_process_is_not_too_early(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers, peer.stands = [PeerRefused("it ended", peer_status=409)], "TERMINATED"
    outbox.deliver("p1")
    assert notes.given_up == [("a", "it ended", ())]


def test_a_peer_whose_state_makes_no_sense_is_asked_a_few_times_and_then_its_word_stands(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes, clock: Clock
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers = [PeerRefused("answered 400", peer_status=400)] * 9
    peer.stands = PeerRefused("answered 200 without a state")
    while outbox.pending():
        clock.now = max(clock.now, outbox.pending()[0].due)
        outbox.deliver("p1")
    assert peer.got == ["a"] * 4
    assert notes.given_up == [("a", "answered 400", ())]


def test_an_answer_of_somebody_else_is_doubted_until_the_peer_stands_where_the_message_leads(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes, clock: Clock
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers, peer.stands = [Delivery(200, None, rubbish=True)] * 2, "REQUESTED"
    outbox.deliver("p1")
    (waiting,) = outbox.pending()
    assert str(waiting.problem).endswith(
        "answered 200 with something that is no JSON, and stands at REQUESTED"
    )
    clock.now, notes.verdict = waiting.due, Verdict.TAKEN
    outbox.deliver("p1")
    assert (peer.got, notes.delivered_) == (["a", "a"], ["a"])


def test_a_peer_that_shows_no_states_may_answer_anything(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers = [Delivery(200, None, rubbish=True)]
    outbox.deliver("p1")
    assert notes.delivered_ == ["a"]


def test_a_first_message_is_not_asked_about_for_there_is_nothing_to_name(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    stores.outbox.add(replace(letter("a"), document={"@type": "X", "consumerPid": "c"}))
    peer.answers = [PeerRefused("answered 400", peer_status=400)]
    outbox.deliver("p1")
    assert peer.asked == []
    assert [name for name, _, _ in notes.given_up] == ["a"]


def test_a_proof_that_was_used_up_on_the_way_is_replaced_three_times_and_then_a_401_counts(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes, clock: Clock
) -> None:
    stores.outbox.add(letter("a"))
    peer.answers = [PeerRefused("answered 401", peer_status=401)] * 9
    while outbox.pending():
        clock.now = max(clock.now, outbox.pending()[0].due)
        outbox.deliver("p1")
    assert peer.got == ["a"] * 4
    assert notes.given_up == [("a", "answered 401", ())]


@pytest.mark.parametrize(
    "said", [None, [], {"providerPid": ""}, {"providerPid": 7}, {"providerPid": "x" * 513}]
)
def test_an_answer_that_names_no_process_opened_none_and_the_request_goes_again(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes, clock: Clock, said: Any
) -> None:
    stores.outbox.add(replace(letter("a"), document={"@type": "X", "consumerPid": "c"}))
    peer.answers = [Delivery(200, said), Delivery(201, {"providerPid": "p"})]
    outbox.deliver("p1")
    (waiting,) = outbox.pending()
    assert waiting.problem == "http://localhost/x answered 200 without providerPid"
    assert notes.delivered_ == []
    clock.now = waiting.due
    outbox.deliver("p1")
    assert notes.delivered_ == ["a"]


# --- a store that fails -------------------------------------------------------------------------------


def test_what_became_of_a_message_is_saved_late_and_the_peer_is_not_told_twice(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    stores.outbox.add(letter("a"))
    notes.failure = StorageUnavailable("the database is gone")
    with pytest.raises(StorageUnavailable):
        outbox.deliver("p1")
    outbox.sweep()
    assert (peer.got, notes.delivered_) == (["a"], ["a"])
    assert outbox.pending() == []


# --- a peer that lets us wait -------------------------------------------------------------------------


def test_a_peer_that_lets_us_wait_holds_up_its_own_mail_only(
    stores: SqlStores, clock: Clock, notes: Notes
) -> None:
    go_on, arrived = Event(), Event()

    class Slow:
        def __init__(self) -> None:
            self.got: list[str] = []

        def carry(self, outgoing: Outgoing) -> Delivery:
            self.got.append(outgoing.recipient)
            if outgoing.recipient == "slow":
                assert go_on.wait(10), "the mail to somebody else waits for the slow peer"
            else:
                arrived.set()
            return Delivery(200, None)

        def standing(self, outgoing: Outgoing) -> str | None:
            raise NotImplementedError

    courier = Slow()
    for number in range(20):
        stores.outbox.add(replace(letter(f"s{number}", f"p{number}"), recipient="slow"))
    stores.outbox.add(replace(letter("q", "quick"), recipient="quick"))
    senders: Any = {"negotiation": notes}
    made = Outbox(
        store=stores.outbox, courier=courier, senders=senders, clock=clock, workers=4, most_at_one=3
    )
    made.start()
    try:
        assert arrived.wait(10)
        assert courier.got.count("slow") <= 3
        go_on.set()
        while len(notes.delivered_) < 21:
            made.sweep()
    finally:
        go_on.set()
        made.stop()
    assert sorted(notes.delivered_) == sorted([*(f"s{number}" for number in range(20)), "q"])
    assert made.pending() == []


def test_who_is_reached_again_is_sent_all_that_waited_for_it_and_nobody_else_is(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    waiting = [f"p{number}" for number in range(5)]
    for process in waiting:
        stores.outbox.add(letter(f"to them, {process}", process))
    stores.outbox.add(replace(letter("to others", "q"), recipient="did:web:others"))
    peer.failing = {one.id for one in stores.outbox.pending()}
    for process in [*waiting, "q"]:
        assert outbox.deliver(process)
        assert not outbox.deliver(process), "it waits for its next try"
    assert notes.delivered_ == []
    peer.failing = set()
    stores.outbox.add(letter("something new", "new"))
    outbox.start()
    try:
        until(lambda: len(notes.delivered_) == 6)
    finally:
        outbox.stop()
    assert notes.delivered_[0] == "something new"
    assert sorted(notes.delivered_[1:]) == [f"to them, {process}" for process in waiting]
    assert [one.id for one in stores.outbox.pending()] == ["to others"]


def test_what_arrives_by_its_own_next_try_lets_another_go_and_not_itself(
    outbox: Outbox, stores: SqlStores, peer: Peer, notes: Notes
) -> None:
    for process in ("p0", "p1"):
        stores.outbox.add(letter(f"to them, {process}", process))
    peer.failing = {one.id for one in stores.outbox.pending()}
    assert outbox.deliver("p0")
    assert outbox.deliver("p1")
    peer.failing = set()
    (first,) = stores.outbox.pending("p0")
    stores.outbox.hasten(first.id, outbox._clock())
    assert outbox.deliver("p0")
    assert notes.delivered_ == ["to them, p0"]
    assert stores.outbox.due(outbox._clock()) == ["p1"]


def test_an_address_that_fails_while_others_answer_is_tried_once_more_for_each_answer(
    outbox: Outbox, stores: SqlStores, peer: Peer
) -> None:
    peer.failing = {"stuck"}
    stores.outbox.add(letter("stuck", "p"))
    outbox.deliver("p")
    for number in range(3):
        stores.outbox.add(letter(f"{number}", f"q{number}"))
        outbox.deliver(f"q{number}")
        while outbox.deliver("p"):
            pass
    assert peer.got.count("stuck") == 4
