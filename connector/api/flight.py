"""The second door for bulk data: Arrow Flight, on the same tickets.

`DoGet` with a ticket of JSON: `{"transfer": …, "authorization": …, "start": …, "columns": […]}`. gRPC has a
status of its own for the end of a stream, so whatever but a complete one ends as an error with the reason.
"""

from __future__ import annotations

import json
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

import pyarrow as pa
import pyarrow.flight as fl
import structlog

from connector.api.http_wire import CHUNK_TIMES
from connector.dataplane.service import Streams
from connector.dataplane.stream import OpenStream
from schemas.errors import DataspaceError, Malformed, Unauthenticated
from schemas.worded import reasons_of, told_json

MOST_TICKET = 32 << 10
"""Bytes of a Flight ticket."""
MOST_STREAMS = 64
"""Streams at a time."""
STALL_SECONDS = 60.0
"""Seconds that a reader may take nothing; three times that for a batch, since parts of one are not seen."""
HELD_TIMES = 4
"""Calls for each stream that may be open: gRPC keeps one whose stream was given up till its reader goes."""

Metered = tuple[pa.RecordBatch, int]

_MEMBERS = {"transfer", "authorization", "start", "columns"}
_log = structlog.get_logger("connector.flight")


class FlightDoor:
    """Serves streams over Arrow Flight.

    Args:
        streams: opens them.
        host: address to listen on.
        port: 0 chooses a free one.
        most_streams: at a time.
        stall_seconds: how long a reader may take nothing.
    """

    def __init__(
        self,
        *,
        streams: Streams,
        host: str = "127.0.0.1",
        port: int = 0,
        most_streams: int = MOST_STREAMS,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._streams, self._host, self._port, self._most = streams, host, port, most_streams
        self._stall_seconds = stall_seconds
        self._server: _Server | None = None

    def start(self) -> tuple[str, int]:
        """Listen, and return the address."""
        shown = f"[{self._host}]" if ":" in self._host else self._host
        location = f"grpc://{shown}:{self._port}"
        self._server = _Server(location, self._streams, self._most, self._stall_seconds)
        return self._host, int(self._server.port)

    def stop(self) -> None:
        """Stop listening, and break the streams that are open."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()


class _Server(fl.FlightServerBase):  # type: ignore[misc]  # pyarrow ships no types
    def __init__(self, location: str, streams: Streams, most: int, stall_seconds: float) -> None:
        self.stopping = threading.Event()
        self._streams = streams
        self._free, self._calls = threading.Semaphore(most), threading.Semaphore(HELD_TIMES * most)
        self._patience = stall_seconds * CHUNK_TIMES
        self._sent: weakref.WeakSet[_Sent] = weakref.WeakSet()
        self._lock = threading.Lock()
        super().__init__(location)
        self._watch = threading.Thread(target=self._give_up_stalled, name="flight-stall", daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Stop serving."""
        self.stopping.set()
        self.shutdown()
        self._watch.join()

    def _give_up_stalled(self) -> None:
        """End the streams of readers that take nothing; gRPC itself waits for them as long as they stay."""
        while not self.stopping.wait(min(1.0, self._patience / 4)):
            self._look()

    def _look(self) -> None:  # apart, so that nothing is held while nobody looks: then gRPC lets go of it
        with self._lock:
            handed = list(self._sent)
        for sent in handed:
            try:
                sent.give_up(self._patience)
            except Exception:
                # A thread that dies would let readers hold their streams for ever.
                _log.exception("giving up a stalled stream failed")

    def do_get(self, _context: Any, ticket: fl.Ticket) -> fl.FlightDataStream:
        """Serve one stream."""
        if not self._calls.acquire(blocking=False):
            raise fl.FlightUnavailableError("too many readers take nothing of their streams; try again later")
        if not self._free.acquire(blocking=False):
            self._calls.release()
            raise fl.FlightUnavailableError("as many streams are open here as may be; try again soon")
        stream: OpenStream | None = None
        try:
            stream = self._open(bytes(ticket.ticket))
            batches = stream.batches()
            first = next(batches, None)  # what fails at once fails before the stream begins
        except BaseException as error:
            self._free.release()
            self._calls.release()
            if stream is not None:
                stream.close()
            if isinstance(error, DataspaceError):
                raise flight_error(error) from None
            if isinstance(error, Exception):
                _log.exception("unexpected failure")
                raise fl.FlightInternalError("something failed here; it was logged") from None
            raise
        sent = _Sent(stream, first, batches, free=self._free, stopping=self.stopping)
        weakref.finalize(sent, self._calls.release).atexit = False
        with self._lock:
            self._sent.add(sent)
        return fl.GeneratorStream(stream.schema, sent)

    def _open(self, ticket: bytes) -> OpenStream:
        said = read_ticket(ticket)
        return self._streams.open(said["authorization"], said["start"], said["columns"], said["transfer"])


class _Sent:
    """What a stream sends; stream and slot are let go of once, also if nobody ever asks for an item.

    No generator: one that was never started runs no `finally`, and gRPC starts none for a client that left.
    """

    def __init__(
        self,
        stream: OpenStream,
        first: Metered | None,
        batches: Iterator[Metered],
        *,
        free: threading.Semaphore,
        stopping: threading.Event,
    ) -> None:
        self._stream, self._batches, self._stopping = stream, batches, stopping
        self._first, self._position = first, stream.start
        self._let_go = weakref.finalize(self, _let_go, stream, free)
        self._let_go.atexit = False
        self._handed: float | None = time.monotonic()  # None while the stream makes the next batch

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch | tuple[pa.RecordBatch, pa.Buffer]:
        self._handed = None
        try:
            return self._next()
        finally:
            self._handed = time.monotonic()

    def give_up(self, patience: float) -> None:
        """End the stream if its reader has not taken what it was handed for so many seconds."""
        handed = self._handed
        if handed is None or not self._let_go.alive or time.monotonic() - handed < patience:
            return
        why = f"the reader took no batch for {patience:g} s; go on from where it was"
        self._stream.halt("failed", why, passing=True)
        self.close()

    def _next(self) -> pa.RecordBatch | tuple[pa.RecordBatch, pa.Buffer]:
        try:
            item, self._first = self._first, None
            if self._stopping.is_set() or self._stream.end is not None:
                item = None  # halted before its reader asked for the first batch
            elif item is None:
                item = next(self._batches, None)
        except BaseException:
            self.close()
            raise
        if item is not None:
            batch, position = item
            follows, self._position = self._position + batch.num_rows == position, position
            # Told only where it does not follow from the rows: some kept their number, and were not sent.
            return batch if follows else (batch, pa.py_buffer(json.dumps({"position": position}).encode()))
        self.close()
        end = self._stream.end
        if end is not None and end.kind != "complete":
            carried = told_json([end.reason])
            said = {"end": end.kind, "reason": end.reason, "rows": end.rows}
            told = json.dumps(said | ({"told": carried[0]} if carried else {})).encode()
            kind = fl.FlightUnavailableError if end.passing else fl.FlightCancelledError
            raise kind(f"{end.kind}: {end.reason}", told)
        raise StopIteration

    def close(self) -> None:
        """Close the stream and free its slot; harmless if repeated."""
        self._let_go()


def _let_go(stream: OpenStream, free: threading.Semaphore) -> None:
    try:
        stream.close()
    finally:
        free.release()


def read_ticket(ticket: bytes) -> dict[str, Any]:
    """Read the ticket of a DoGet.

    Raises:
        Malformed: naming what does not fit.
        Unauthenticated: if it holds no authorization.
    """
    if len(ticket) > MOST_TICKET:
        raise Malformed(f"a ticket of {len(ticket)} bytes; at most {MOST_TICKET}")
    said: Any = None
    with suppress(ValueError, RecursionError):
        said = json.loads(ticket)
    if not isinstance(said, dict) or set(said) - _MEMBERS:
        raise Malformed(f"the ticket is not a JSON object of {', '.join(sorted(_MEMBERS))}")
    start, columns, transfer = said.get("start", 0), said.get("columns"), said.get("transfer")
    if isinstance(start, bool) or not isinstance(start, int):
        raise Malformed(f"start {str(start)[:40]!r} is not a row number")
    if columns is not None and not (
        isinstance(columns, list) and all(isinstance(one, str) for one in columns)
    ):
        raise Malformed("columns is not an array of names")
    if transfer is not None and not isinstance(transfer, str):
        raise Malformed("transfer is not text")
    authorization = said.get("authorization")
    if not isinstance(authorization, str) or not authorization:
        raise Unauthenticated("the ticket holds no 'authorization'; put the ticket of the data address there")
    return {
        "authorization": authorization.removeprefix("Bearer ").strip(),
        "start": start,
        "columns": columns,
        "transfer": transfer,
    }


def flight_error(error: DataspaceError) -> fl.FlightError:
    """Return the Flight error that tells of one of ours, with code and reasons as JSON beside it."""
    reasons = reasons_of(error)
    said = {"code": error.code, "status": error.status, "reasons": reasons}
    carried = told_json(reasons)
    told = json.dumps(said | ({"told": carried} if carried else {})).encode()
    match error.status:
        case 401:
            kind = fl.FlightUnauthenticatedError
        case 403:
            kind = fl.FlightUnauthorizedError
        case 503:
            kind = fl.FlightUnavailableError
        case _:
            kind = fl.FlightServerError
    return kind(f"{error.code}: {error}", told)
