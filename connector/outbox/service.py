"""The outbox: carries saved messages to peers, each until it arrives, is refused, or its deadline passes.

A message was saved together with the state that causes it, so a crash here leaves it in the store;
the sweep, once a second and at start, finds it again. A message may therefore arrive twice: it keeps
its id, and the peer drops the repeat.
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

from connector.outbox.ports import Courier, Kind, OutboxStore, Outgoing, Sender
from schemas.errors import DataspaceError, PeerRefused, PeerUnavailable

LEASE = timedelta(seconds=60)
"""Longer than any courier takes; a lease that runs out is a crash's."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 60.0
SWEEP = 1.0
"""Seconds between looks for what a crash, or another process, left behind."""

_log = structlog.get_logger("connector.outbox")


def pause(outgoing_id: str, attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts.

    Doubles from 0.2 s to 60 s; up to a quarter longer or shorter, by the id, so that messages that
    failed together do not come back together.
    """
    share = hashlib.sha256(f"{outgoing_id}:{attempts}".encode()).digest()[0] / 255
    seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts, 16))
    return timedelta(seconds=seconds * (0.75 + share / 2))


class Outbox:
    """Delivers what waits, in order within a process, at the same time across processes."""

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app.py
        self,
        *,
        store: OutboxStore,
        courier: Courier,
        senders: Mapping[Kind, Sender],
        clock: Callable[[], datetime],
        workers: int = 4,
        chores: Sequence[Callable[[], object]] = (),
    ) -> None:
        """Make an outbox; `chores` are run at start and once a second (recovery of other rooms)."""
        self._store = store
        self._courier = courier
        self._senders = senders
        self._clock = clock
        self._workers = workers
        self._chores = tuple(chores)
        self._ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._later: list[tuple[datetime, str]] = []
        self._timer = threading.Condition()
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
        while True:
            now = self._clock()
            outgoing = self._store.claim(process, now, now + LEASE)
            if outgoing is None:
                return tried
            tried = True
            if not self._carry(outgoing, now):
                return True

    def _carry(self, outgoing: Outgoing, now: datetime) -> bool:
        """Try one message; true if the next of its process may follow."""
        sender = self._senders[outgoing.kind]
        if now > outgoing.deadline:
            last = f"; last problem: {outgoing.problem}" if outgoing.problem else ""
            since = outgoing.created.isoformat(timespec="seconds")
            problem = f"could not be delivered since {since} ({outgoing.attempts} attempts){last}"
            sender.undeliverable(outgoing, problem, ())
            self._store.sent(outgoing.id)
            return True
        try:
            delivery = self._courier.carry(outgoing)
        except PeerRefused as error:
            _log.info("refused", process=outgoing.process, url=outgoing.url, problem=str(error))
            sender.undeliverable(outgoing, str(error), error.reasons)
            self._store.sent(outgoing.id)
            return True
        except PeerUnavailable as error:
            due = self._clock() + pause(outgoing.id, outgoing.attempts)
            due = min(due, outgoing.deadline + timedelta(milliseconds=1))
            self._store.postpone(outgoing.id, due, str(error))
            self._wake_at(due, outgoing.process)
            return False
        # The sender first: if we crash between the two, the message goes again, and the sender is told again.
        sender.delivered(outgoing, delivery)
        self._store.sent(outgoing.id)
        return True

    def sweep(self) -> None:
        """Wake every process whose oldest message is due, and do the chores."""
        for process in self._store.due(self._clock()):
            self.wake(process)
        self._do_chores()

    def _do_chores(self) -> None:
        for chore in self._chores:
            self._safely("chore failed", chore)

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
