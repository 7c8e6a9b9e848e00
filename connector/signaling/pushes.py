"""Pushes under way: each in a thread of its own, few at a time, from `Streams.open` to the sink's answer.

A push that cannot connect is tried again; one that broke off after data left is not, since every row counts
against the agreement: its control plane is told, and decides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from connector.dataplane.service import Streams
from connector.outbox.letter import PATIENCE
from connector.signaling.ports import DataFlow, PushLine, PushLines
from connector.signaling.service import RECOVERY, DataFlows
from schemas.errors import (
    DataspaceError,
    Malformed,
    PeerUnavailable,
    StreamEnded,
)

MOST_PUSHES = 8
"""Pushes at a time; others wait for their turn."""
PAUSE = timedelta(seconds=2)
"""How long to wait before an endpoint that does not answer is tried again."""
_CUT = ("suspended", "terminated")
"""Ends that the control plane asked for: it need not be told."""

_log = structlog.get_logger("connector.signaling")


class _NotConnected(PeerUnavailable):
    """Nobody answers, and nothing has left."""


class Pushes:
    """Pushes what is to be pushed.

    Args:
        flows: knows what is to be pushed, and is told what became of it.
        streams: opens the streams, with everything that an agreement demands.
        lines: connects to sinks.
        clock: UTC, aware.
        most: pushes at a time.
        patience: how long an endpoint that does not answer is tried.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app.py
        self,
        *,
        flows: DataFlows,
        streams: Streams,
        lines: PushLines,
        clock: Callable[[], datetime],
        most: int = MOST_PUSHES,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._flows, self._streams, self._lines = flows, streams, lines
        self._clock, self._patience = clock, patience
        self._free = threading.Semaphore(most)
        self._lock = threading.Condition()
        self._running: dict[str, PushLine | None] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._looked: datetime | None = None

    def tick(self) -> None:
        """Say that the running pushes live, and now and then begin those that wait; called once a second."""
        with self._lock:
            running = list(self._running)
        for pid in running:
            self._flows.is_alive(pid)
        now = self._clock()
        if self._looked is None or now - self._looked >= RECOVERY:
            self._looked = now
            self._begin_waiting()

    def _begin_waiting(self) -> None:
        for flow in self._flows.to_push():
            self.begin(flow.pid)

    def begin(self, pid: str) -> bool:
        """Begin the push of a flow, if there is one and a place is free; return whether it was begun."""
        with self._lock:
            if self._stopping or pid in self._running:
                return False
            if not self._free.acquire(blocking=False):
                return False
            self._running[pid] = None
        thread = threading.Thread(target=self._run, args=(pid,), name="push", daemon=True)
        thread.start()
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
        claimed = None
        try:
            claimed = self._flows.claim(pid)
            if claimed is not None:
                self._push(*claimed)
        except DataspaceError as error:
            # Nothing is lost: the lease runs out, and the push is begun again.
            _log.warning("push not settled", flow=pid, problem=str(error), code=error.code)
        except Exception:
            _log.exception("push failed unexpectedly", flow=pid)
        finally:
            with self._lock:
                self._running.pop(pid, None)
                self._lock.notify_all()
            self._free.release()
        if claimed is not None:
            self._hand_on()

    def _hand_on(self) -> None:
        """Give a place that became free to a push that waits; if that fails, `tick` does it."""
        try:
            self._begin_waiting()
        except DataspaceError as error:
            _log.warning("pushes wait", problem=str(error), code=error.code)

    def _push(self, flow: DataFlow, ticket: str) -> None:
        """Carry one stream to its sink, and say what became of it."""
        try:
            line = self._connected(flow)
            try:
                with self._streams.open(ticket) as stream:
                    line.send(stream)
            finally:
                line.close()
        except _NotConnected as error:
            if self._clock() - flow.updated < self._patience:
                self._flows.hold(flow.pid, self._clock() + PAUSE)
            else:
                self._flows.not_pushed(flow, str(error))
        except StreamEnded as ended:
            self._broken(flow, ended.reason, cut=ended.end in _CUT)
        except DataspaceError as error:
            self._broken(flow, str(error), cut=False)
        except Exception:
            self._flows.not_pushed(flow, "something failed at the provider; it was logged there")
            raise
        else:
            self._flows.pushed(flow)

    def _connected(self, flow: DataFlow) -> PushLine:
        if flow.address is None:
            raise Malformed("the data flow has no address to push to")
        try:
            line = self._lines.connect(flow.address)
        except PeerUnavailable as error:
            raise _NotConnected(str(error)) from None
        with self._lock:
            self._running[flow.pid] = line
            stopping = self._stopping
        if stopping:
            line.close()
        return line

    def _broken(self, flow: DataFlow, why: str, *, cut: bool) -> None:
        with self._lock:
            stopping = self._stopping
        if stopping or cut:
            self._flows.hold(flow.pid, None)
        else:
            self._flows.not_pushed(flow, why)
