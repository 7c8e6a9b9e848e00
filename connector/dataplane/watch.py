"""One thread a process that ends streams whose ground has gone, whatever their own threads are stuck in.

A stream looks for itself between batches; but it may be in the middle of a long filter, or wait for a reader
that takes nothing. So this thread waits for news of changes, by whichever process they were made, and halts
the streams that they concern. A crash of the process ends its streams with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import structlog

from connector.dataplane.ports import Changes
from connector.dataplane.stream import OpenStream
from policies.use import Claims
from schemas.errors import DataspaceError, Unavailable

WAIT_SECONDS = 0.25
"""How long the watcher waits for news before it looks for itself: at clocks, members, and marks."""

PAUSE_SECONDS = 0.02
"""How long it rests after a look, so that a database which many write to is not asked without end."""

_log = structlog.get_logger("connector.dataplane")


class Watcher:
    """Watches over the open streams of this process.

    Args:
        changes: makes the listener; its thread uses it alone.
        opened: returns the open streams.
        standing: says why a member's streams may not run, if they may not; fetches nothing.
        claims: says what is known of a participant now; fetches nothing.
    """

    def __init__(
        self,
        *,
        changes: Callable[[], Changes],
        opened: Callable[[], Sequence[OpenStream]],
        standing: Callable[[str], str | None],
        claims: Callable[[str], Claims],
    ) -> None:
        self._changes, self._opened, self._standing, self._claims = changes, opened, standing, claims
        self._marks: dict[str, Mapping[str, str]] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch until `stop`."""
        self._thread = threading.Thread(target=self._run, name="stream-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        changes = self._changes()
        try:
            while not self._stopping.is_set():
                changes.wait(WAIT_SECONDS)
                if not self._opened():
                    self._marks = {}
                    continue
                try:
                    self.look(changes)
                except Unavailable as error:
                    # Each stream looks for itself meanwhile, and breaks off where it cannot.
                    _log.warning("streams not watched", problem=str(error))
                except Exception:
                    # A thread that dies would leave streams unwatched in silence.
                    _log.exception("watching streams failed")
                self._stopping.wait(PAUSE_SECONDS)
        finally:
            changes.close()

    def look(self, changes: Changes) -> None:
        """Halt the streams whose time is over, whose consumer is out or another, or whose ground changed so.

        Raises:
            StorageUnavailable: if the stores cannot be read.
        """
        streams = self._opened()
        try:
            self._halt_some(streams, changes)
        finally:
            # All are halted before the first is settled: a record takes a transaction, and they take turns.
            for stream in streams:
                if stream.end is not None:
                    stream.close()

    def _halt_some(self, streams: Sequence[OpenStream], changes: Changes) -> None:
        for stream in streams:
            if (over := stream.over_time()) is not None:
                stream.halt(*over)
            else:
                self._check_consumer(stream)
        names = {name for one in streams for name in (one.ticket.agreement, one.ticket.transfer)}
        marks = changes.marks(names)
        seen, self._marks = self._marks, {}
        for stream in streams:
            ground = {name: marks.get(name, "") for name in (stream.ticket.agreement, stream.ticket.transfer)}
            # Of a stream that is new here, its ground may have changed between its opening and now.
            if seen.get(stream.id) != ground:
                self._ask(stream)
            self._marks[stream.id] = ground

    def _check_consumer(self, stream: OpenStream) -> None:
        consumer = stream.ticket.consumer
        try:
            why = self._standing(consumer) if stream.is_of_member else None
            why = why or stream.outgrown(self._claims)
        except Unavailable as error:
            stream.halt("failed", str(error), passing=True)
        else:
            if why is not None:
                stream.halt("suspended", why)

    def _ask(self, stream: OpenStream) -> None:
        try:
            why = stream.why_halt()
        except Unavailable:
            raise
        except DataspaceError as error:
            why = ("terminated", str(error))  # its transfer or agreement is not there any more
        if why is not None:
            stream.halt(*why)
