"""Pushes under way: each in a thread of its own, few at a time, from `Streams.open` to the sink's answer.

A push that cannot connect is tried again; one that broke off after data left is not, since every row counts
against the agreement: its room tells whoever decides what is done then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic

import structlog

from connector.dataplane.ports import PushLine, PushLines, PushRoom, S
from connector.dataplane.service import Streams
from connector.outbox.letter import PATIENCE
from schemas.errors import (
    DataspaceError,
    Malformed,
    PeerUnavailable,
    StreamEnded,
)

MOST_PUSHES = 8
"""Pushes at a time; others wait for their turn."""
LOOK = timedelta(seconds=5)
"""How often the room is asked for pushes that nobody has begun."""
PAUSE = timedelta(seconds=2)
"""How long to wait before an endpoint that does not answer is tried again."""
_CUT = ("suspended", "terminated")
"""Ends that the other side asked for, or was told of: it need not be told."""

_log = structlog.get_logger("connector.pushes")


class _NotConnected(PeerUnavailable):
    """Nobody answers, and nothing has left."""


class Pushes(Generic[S]):
    """Pushes what is to be pushed of one room.

    Args:
        room: knows what is to be pushed, and is told what became of it.
        streams: opens the streams, with everything that an agreement demands.
        lines: connects to sinks.
        clock: UTC, aware.
        most: pushes at a time.
        patience: how long an endpoint that does not answer is tried.
        every: how often the room is asked for what nobody has begun.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        room: PushRoom[S],
        streams: Streams,
        lines: PushLines,
        clock: Callable[[], datetime],
        most: int = MOST_PUSHES,
        patience: timedelta = PATIENCE,
        every: timedelta = LOOK,
    ) -> None:
        self._room, self._streams, self._lines = room, streams, lines
        self._clock, self._patience, self._every = clock, patience, every
        self._free = threading.Semaphore(most)
        self._lock = threading.Condition()
        self._running: dict[str, PushLine | None] = {}
        self._waiting: dict[str, None] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._looked: datetime | None = None

    def tick(self) -> None:
        """Say that the running pushes live, and now and then begin those that wait; called once a second."""
        with self._lock:
            running = list(self._running)
        for pid in running:
            try:
                self._room.is_alive(pid)
            except DataspaceError as error:  # the others live all the same
                _log.warning("push not said to live", process=pid, problem=str(error), code=error.code)
        now = self._clock()
        if self._looked is None or now - self._looked >= self._every:
            self._looked = now
            for process in self._room.to_push():
                self.begin(process.pid)

    def begin(self, pid: str) -> bool:
        """Begin the push of a process, if there is one; return whether it was begun, or waits for a place."""
        with self._lock:
            if self._stopping:
                return False
            # One that runs may have been stopped, and started anew: it is begun once more when it has ended.
            if pid in self._running or not self._free.acquire(blocking=False):
                self._waiting[pid] = None
                return False
            self._waiting.pop(pid, None)
            self._running[pid] = None
        thread = threading.Thread(target=self._run, args=(pid,), name="push", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            _log.warning("push not begun", process=pid, problem=str(error))
            self._leave(pid)
            return False
        with self._lock:
            self._threads = [thread, *(each for each in self._threads if each.is_alive())]
        return True

    def stop(self, seconds: float = 10.0) -> None:
        """Break what is under way, and wait until it is settled; the next start goes on."""
        with self._lock:
            self._stopping = True
            lines = [line for line in self._running.values() if line is not None]
        for line in lines:
            line.close()
        # Its threads too: what a push does last must find the database open.
        deadline = time.monotonic() + seconds
        with self._lock:
            self._lock.wait_for(lambda: not self._running, seconds)
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, pid: str) -> None:
        try:
            claimed = self._room.claim(pid)
            if claimed is not None:
                self._push(*claimed)
        except DataspaceError as error:
            # Nothing is lost: the lease runs out, and the push is begun again.
            _log.warning("push not settled", process=pid, problem=str(error), code=error.code)
        except Exception:
            _log.exception("push failed unexpectedly", process=pid)
        finally:
            self._leave(pid)
        # The place that became free is given to the push that waits longest.
        with self._lock:
            following = next((one for one in self._waiting if one not in self._running), None)
        if following is not None:
            self.begin(following)

    def _leave(self, pid: str) -> None:
        """Give the place of a push back."""
        with self._lock:
            self._running.pop(pid, None)
            self._lock.notify_all()
        self._free.release()

    def _push(self, process: S, ticket: str) -> None:
        """Carry one stream to its sink, and say what became of it."""
        try:
            line = self._connected(process)
            try:
                with self._streams.open(ticket) as stream:
                    line.send(stream)
            finally:
                line.close()
        except _NotConnected as error:
            if self._clock() - process.updated < self._patience:
                self._room.hold(process.pid, self._clock() + PAUSE)
            else:
                self._room.not_pushed(process, error)
        except StreamEnded as ended:
            self._broken(process, ended, cut=ended.end in _CUT)
        except DataspaceError as error:
            self._broken(process, error, cut=False)
        except Exception:
            why = DataspaceError("something failed at the provider; it was logged there")
            self._room.not_pushed(process, why)
            raise
        else:
            self._room.pushed(process)

    def _connected(self, process: S) -> PushLine:
        if process.address is None:
            raise Malformed("there is no address to push to")
        try:
            line = self._lines.connect(process.address)
        except PeerUnavailable as error:
            raise _NotConnected(str(error)) from None
        with self._lock:
            self._running[process.pid] = line
            stopping = self._stopping
        if stopping:
            line.close()
        return line

    def _broken(self, process: S, why: DataspaceError, *, cut: bool) -> None:
        with self._lock:
            stopping = self._stopping
        if stopping or cut:
            self._room.hold(process.pid, None)
        else:
            self._room.not_pushed(process, why)
