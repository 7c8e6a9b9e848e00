"""The outbox: carries saved messages to peers, each until it arrives, is refused, or its deadline passes.

A message was saved together with the state that causes it, so a crash here leaves it in the store;
the sweep, once a second and at start, finds it again. A message may therefore arrive twice: it keeps
its id, and the peer drops the repeat. What became of a message while the store failed is kept in memory
until the store takes it. A crash then is as any other: the lease ends, and the message goes again.
"""

from __future__ import annotations

import hashlib
import heapq
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from time import monotonic

import structlog

from connector.outbox.letter import names, unnamed
from connector.outbox.ports import DSP_KINDS, Courier, Delivery, Kind, OutboxStore, Outgoing, Sender
from connector.outbox.refusal import Verdict
from connector.outbox.turns import Turns
from connector.outbox.unreached import Unreached
from schemas.errors import DataspaceError, PeerRefused, PeerUnavailable, Unavailable

LEASE = timedelta(seconds=60)
"""Longer than any courier takes; one that runs out is a crash's. Of who has surely died it ends at once."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 60.0
MOST_DUE = 1000
"""Processes that one sweep wakes."""
UNAUTHENTICATED = 401
MOST_DOUBTS = 3
"""How often a message is tried before a refusal counts that may not be meant: a 401, since the proof may have
been used up on the way; or any, where the peer's state could have been told and was not.
"""
EARLY_TRIES = {405: 8, 409: 6}
"""How often a peer may answer so before we believe that a message does not fit: about 50 and 12 seconds.

A peer may refuse everything while it starts (405: no door is open yet), and what follows from its own words
until these are saved (409).
"""
LEAST_TRIES = 5
"""How often a message is tried however late it is: about 3 seconds.

What went before it in its process, or an outage of ours, may have used up its time.
"""
SWEEP = 1.0
"""Seconds between looks for what a crash, or another process, left behind."""

_log = structlog.get_logger("connector.outbox")


_ENDED = frozenset({"TERMINATED", "COMPLETED", "FINALIZED"})


def pause(outgoing_id: str, attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts.

    Doubles from 0.2 s to 60 s; up to a quarter longer or shorter, by the id, so that messages that
    failed together do not come back together.
    """
    share = hashlib.sha256(f"{outgoing_id}:{attempts}".encode()).digest()[0] / 255
    seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts, 16))
    return timedelta(seconds=seconds * (0.75 + share / 2))


def _is_early(outgoing: Outgoing, error: PeerRefused, standing: str | None) -> bool:
    """Say whether a peer may take a refused message a little later: see the quirks in `schemas.foreign`."""
    ended = standing is not None and standing in _ENDED
    return outgoing.attempts < EARLY_TRIES.get(error.peer_status, 0) and not ended


class Outbox:
    """Delivers what waits, in order within a process, at the same time across processes."""

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        store: OutboxStore,
        courier: Courier,
        senders: Mapping[Kind, Sender],
        clock: Callable[[], datetime],
        workers: int = 16,
        most_at_one: int = 8,
        chores: Sequence[Callable[[], object]] = (),
    ) -> None:
        """Make an outbox.

        Args:
            store: where messages wait.
            courier: carries them.
            senders: the rooms, by the kind of their messages.
            clock: UTC, aware.
            workers: messages that are on their way at a time.
            most_at_one: of them, to one recipient.
            chores: run at start and once a second (recovery of other rooms).
        """
        self._store = store
        self._courier = courier
        self._senders = senders
        self._clock = clock
        self._workers = workers
        self._chores = tuple(chores)
        self._ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._later: list[tuple[datetime, str]] = []
        self._timer = threading.Condition()
        self._turns = Turns(most_at_one)
        self._unreached = Unreached()
        self._unsaved: dict[str, tuple[Outgoing, Callable[[], bool]]] = {}
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def wake(self, process: str) -> None:
        """Have what waits of a process delivered soon, by a worker thread."""
        self._ready.put(process)

    def remind(self, due: datetime) -> None:
        """Have the chores done at `due`, and not only once a second."""
        self._wake_at(due, None)

    def pending(self, process: str | None = None) -> Sequence[Outgoing]:
        """Return what waits, oldest first."""
        return self._store.pending(process)

    def start(self) -> None:
        """Start the worker threads and the timer."""
        self._stopping = False
        names = [f"outbox-{number}" for number in range(self._workers)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        self._threads.append(threading.Thread(target=self._keep_time, name="outbox-timer", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop after the deliveries that are under way; what waits stays saved."""
        with self._timer:
            self._stopping = True
            self._timer.notify_all()
        for _ in range(self._workers):
            self._ready.put(None)
        for thread in self._threads:
            thread.join(timeout=30)
        self._threads = []

    def deliver(self, process: str) -> bool:
        """Deliver what is due of one process, now and in this thread.

        Returns:
            Whether anything was tried.
        """
        tried = False
        while not self._turns.waits(process):
            now = self._clock()
            outgoing = self._store.claim(process, now, now + LEASE)
            if outgoing is None:
                return tried
            # The lease of an earlier try has run out: what became of that one does not count any more.
            self._unsaved.pop(outgoing.id, None)
            if not self._turns.enter(outgoing.recipient, process):
                self._store.release(outgoing.id)
                return tried
            tried = True
            try:
                if not self._carry(outgoing):
                    return True
            finally:
                following = self._turns.leave(outgoing.recipient)
                if following is not None:
                    self.wake(following)
        return tried

    def _carry(self, outgoing: Outgoing) -> bool:
        """Try one message, and save what became of it; true if the next of its process may follow."""
        return self._save(outgoing, self._tried(outgoing))

    def _save(self, outgoing: Outgoing, save: Callable[[], bool]) -> bool:
        """Save what became of a message; what cannot be saved now is kept for the next sweep."""
        try:
            return save()
        except Unavailable:
            self._unsaved[outgoing.id] = (outgoing, save)
            raise

    def _tried(self, outgoing: Outgoing) -> Callable[[], bool]:
        """Try one message; return how to save what became of it."""
        self._unreached.drop(outgoing.recipient, outgoing.process)
        if self._clock() > outgoing.deadline and outgoing.attempts >= LEAST_TRIES:
            last = f"; last problem: {outgoing.problem}" if outgoing.problem else ""
            since = outgoing.created.isoformat(timespec="seconds")
            problem = f"could not be delivered since {since} ({outgoing.attempts} attempts){last}"
            return partial(self._judged, outgoing, PeerRefused(problem), None)
        try:
            delivery = self._courier.carry(outgoing)
        except PeerRefused as error:
            return self._refused(outgoing, error)
        except PeerUnavailable as error:
            self._unreached.add(outgoing.recipient, outgoing.process, outgoing.id)
            return partial(self._postponed, outgoing, str(error))
        missing = unnamed(outgoing)
        if not names(delivery.document, missing):
            # Whoever answered this did not open a process that we could go on with.
            problem = f"{outgoing.url} answered {delivery.status} without {' and '.join(sorted(missing))}"
            return partial(self._postponed, outgoing, problem)
        if delivery.rubbish and outgoing.kind in DSP_KINDS:
            return self._doubted(outgoing, delivery)
        self._safely("still waits", partial(self._send_following, outgoing.recipient))
        return partial(self._arrived, outgoing, delivery)

    def _send_following(self, recipient: str) -> None:
        """Try at once what waited for a recipient that can be reached again."""
        following = self._unreached.following(recipient)
        if following is not None:
            process, outgoing_id = following
            self._store.hasten(outgoing_id, self._clock())
            self.wake(process)

    def _doubted(self, outgoing: Outgoing, delivery: Delivery) -> Callable[[], bool]:
        """Find out whether a message arrived whose answer came perhaps from somebody else."""
        problem = f"{outgoing.url} answered {delivery.status} with something that is no JSON"
        try:
            standing = self._courier.standing(outgoing)
        except PeerUnavailable as trouble:
            if outgoing.attempts < MOST_DOUBTS or not isinstance(trouble, PeerRefused):
                return partial(self._postponed, outgoing, f"{problem}; and its state is unknown: {trouble}")
            standing = None
        if standing is None:
            return partial(self._arrived, outgoing, delivery)  # any body is allowed, and no state is shown

        def judge() -> bool:
            if self._senders[outgoing.kind].refused(outgoing, standing) is Verdict.TAKEN:
                return self._arrived(outgoing, delivery)
            return self._postponed(outgoing, f"{problem}, and stands at {standing}")

        return judge

    def _refused(self, outgoing: Outgoing, error: PeerRefused) -> Callable[[], bool]:
        """Find out whether a refusal is meant: see `connector.outbox.refusal`."""
        in_doubt = outgoing.attempts < MOST_DOUBTS
        if error.peer_status == UNAUTHENTICATED and in_doubt:
            return partial(self._postponed, outgoing, f"{error}; tried again with a fresh proof")
        standing = None
        try:
            if outgoing.kind in DSP_KINDS and outgoing.method == "POST" and not unnamed(outgoing):
                standing = self._courier.standing(outgoing)
        except PeerUnavailable as trouble:
            if in_doubt or not isinstance(trouble, PeerRefused):
                return partial(self._postponed, outgoing, f"{error}; and its state is unknown: {trouble}")
        return partial(self._judged, outgoing, error, standing)

    def _judged(self, outgoing: Outgoing, error: PeerRefused, standing: str | None) -> bool:
        verdict = self._senders[outgoing.kind].refused(outgoing, standing)
        _log.info(
            "refused", process=outgoing.process, url=outgoing.url, problem=str(error), verdict=verdict.value
        )
        if verdict is Verdict.UNCLEAR and outgoing.attempts < MOST_DOUBTS and standing is not None:
            return self._postponed(outgoing, f"{error}; it stands at {standing}, before or after it")
        match verdict:
            case Verdict.TAKEN:
                return self._arrived(outgoing, Delivery(error.peer_status, None))
            case Verdict.AGAIN:
                return self._postponed(outgoing, f"{error}; it still stands at {standing}")
            case Verdict.FINAL if _is_early(outgoing, error, standing):
                return self._postponed(outgoing, f"{error}; perhaps too early")
            case Verdict.FINAL | Verdict.UNCLEAR:
                self._senders[outgoing.kind].undeliverable(outgoing, str(error), error.reasons)
                self._store.sent(outgoing.id)
                return True

    def _arrived(self, outgoing: Outgoing, delivery: Delivery) -> bool:
        # The sender first: if we crash between the two, the message goes again, and the sender is told again.
        self._senders[outgoing.kind].delivered(outgoing, delivery)
        self._store.sent(outgoing.id)
        return True

    def _postponed(self, outgoing: Outgoing, problem: str) -> bool:
        due = self._clock() + pause(outgoing.id, outgoing.attempts)
        if outgoing.attempts + 1 >= LEAST_TRIES:
            due = min(due, outgoing.deadline + timedelta(milliseconds=1))
        self._store.postpone(outgoing.id, due, problem)
        self._wake_at(due, outgoing.process)
        return False

    def sweep(self) -> None:
        """Save what could not be saved before, wake every process whose mail is due, and do the chores."""
        for outgoing_id in list(self._unsaved):
            self._safely("still not saved", partial(self._save_late, outgoing_id))
        for process in self._store.due(self._clock(), MOST_DUE):
            self.wake(process)
        self._do_chores()

    def _do_chores(self) -> None:
        for chore in self._chores:
            self._safely("chore failed", chore)

    def _save_late(self, outgoing_id: str) -> None:
        """Save what became of a message whose store failed then; its peer is not told twice."""
        kept = self._unsaved.pop(outgoing_id, None)
        if kept is not None and self._save(*kept):
            self.wake(kept[0].process)

    def _wake_at(self, due: datetime, process: str | None) -> None:
        """Have a process woken at `due`, or the chores done where none is named."""
        with self._timer:
            heapq.heappush(self._later, (due, process or ""))
            self._timer.notify_all()

    def _work(self) -> None:
        while (process := self._ready.get()) is not None and not self._stopping:
            self._safely("delivery failed", partial(self.deliver, process))

    def _keep_time(self) -> None:
        following_sweep = monotonic()
        while not self._stopping:
            if monotonic() >= following_sweep:
                following_sweep = monotonic() + SWEEP
                self._safely("sweep failed", self.sweep)
            if "" in (woken := self._pop_due()):
                self._do_chores()
            for process in filter(None, woken):
                self.wake(process)
            now = self._clock()
            with self._timer:
                following = (self._later[0][0] - now).total_seconds() if self._later else SWEEP
                if not self._stopping:
                    self._timer.wait(max(0.001, min(SWEEP, following)))

    def _pop_due(self) -> set[str]:
        now, woken = self._clock(), set()
        with self._timer:
            while self._later and self._later[0][0] <= now:
                woken.add(heapq.heappop(self._later)[1])
        return woken

    def _safely(self, what: str, work: Callable[[], object]) -> None:
        """Run one piece of work; a failure leaves the message saved and leased, for the sweep to find."""
        try:
            work()
        except DataspaceError as error:
            _log.warning(what, problem=str(error), code=error.code)
        except Exception:
            # A thread that dies would leave messages undelivered in silence.
            _log.exception(what)
