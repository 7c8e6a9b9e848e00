"""The door for bulk data: Arrow streams over HTTP/1.1, one thread a stream, buffers sent without copying.

`GET /streams/<transfer>?start=<row>&columns=a,b` with `Authorization: Bearer <ticket>`; data of which only
groups may leave are asked with `?aggregate=<question as JSON>` instead. The last message of a
stream is an empty batch whose metadata says how it ended; only after a complete one does the stream end as
Arrow and HTTP want it, so that no reader takes a part for the whole.

Source: RFC 9112; Arrow IPC streaming format.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import unquote

import pyarrow as pa
import structlog

from connector.api.http_request import Request, read_request
from connector.dataplane.question import Question
from connector.dataplane.service import Streams
from connector.dataplane.stream import OpenStream
from schemas.binding.server import PROBLEM, problem, reasons_of
from schemas.errors import DataspaceError, Malformed, NotFound, Unauthenticated, Unavailable
from schemas.vocab import MEDIA_ARROW_STREAM

PATH = "/streams/"
MOST_STREAMS = 64
"""Streams at a time; more are asked to come again."""
WAITING = 16
"""Connections on top of that: for requests that are being read, and for the answer 503."""
SEND_SECONDS = 60.0
"""Seconds that a reader may take nothing before it is given up."""
HEAD_SECONDS = 5.0
"""Seconds in which a request has to arrive."""
CHUNK_TIMES = 3
"""How many times as long a reader may take for a whole chunk, however steadily it takes a little."""
SLICE = 256 << 10
"""Bytes that are sent before the stream is asked again whether it may go on."""
STEP_SECONDS = 0.1
"""Seconds that a reader may take nothing before the stream is asked again whether it may go on."""
# What has left for the kernel cannot be called back when an agreement is revoked: so not much of it.
_SEND_BUFFER = 416 << 10
_MOST_PARTS = 512
_RETRY_SECONDS = 2

_log = structlog.get_logger("connector.arrow_http")


class ArrowHttpDoor:
    """Serves streams on a port of its own.

    Args:
        streams: opens them.
        host: address to listen on.
        port: 0 chooses a free one.
        most_streams: at a time.
        tls: serves https with it.
        send_seconds: how long a reader may take nothing.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app.py
        self,
        *,
        streams: Streams,
        host: str = "127.0.0.1",
        port: int = 0,
        most_streams: int = MOST_STREAMS,
        tls: ssl.SSLContext | None = None,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        self._streams, self._host, self._port = streams, host, port
        self._tls, self._send_seconds = tls, send_seconds
        self._most_streams = most_streams
        self._free_streams = threading.Semaphore(most_streams)
        self._free_threads = threading.Semaphore(most_streams + WAITING)
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Condition()
        self._stopping = threading.Event()

    def start(self) -> tuple[str, int]:
        """Listen, and return the address."""
        self._listener = socket.create_server((self._host, self._port), backlog=128)
        threading.Thread(target=self._accept, args=(self._listener,), name="arrow-http", daemon=True).start()
        address: tuple[str, int] = self._listener.getsockname()[:2]
        return address

    def stop(self, seconds: float = 5.0) -> None:
        """Stop listening, break the streams that are open, and wait until they are settled, so many seconds.

        Their readers resume later, at the row where they were.
        """
        self._stopping.set()
        if self._listener is not None:
            # Closing alone does not wake a thread that waits in accept().
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._lock.wait_for(lambda: not self._connections, seconds)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                _log.warning("cannot accept", problem=str(error))
                self._stopping.wait(0.1)  # out of file descriptors: those that end free some
                continue
            if not self._free_threads.acquire(blocking=False):
                self._turn_away(connection)
                continue
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="arrow-stream", daemon=True).start()

    def _turn_away(self, connection: socket.socket) -> None:
        """Answer 503 without reading a request, and without waiting: nobody else is accepted meanwhile."""
        with connection, suppress(OSError):
            if self._tls is None:
                busy = problem(503, Unavailable.code, ["as many connections are open here as may be"])
                _Wire(connection, 0.02).refuse(503, busy, {"Retry-After": str(_RETRY_SECONDS)})

    def _serve(self, connection: socket.socket) -> None:
        """Answer one connection, whatever comes; a thread that raised would leave the reader hanging."""
        try:
            connection.settimeout(HEAD_SECONDS)
            # The kernel keeps double of what is asked for.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER // 2)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._secured(connection, self._tls)
            self._answer(_Wire(connection, self._send_seconds))
        except OSError as error:
            _log.info("connection broke", problem=str(error))
        except Exception:
            _log.exception("unexpected failure")
        finally:
            with self._lock:
                self._connections.discard(connection)
                self._lock.notify_all()
            connection.close()
            self._free_threads.release()

    def _secured(self, connection: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        secured = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._connections.discard(connection)
            self._connections.add(secured)
        secured.do_handshake()
        return secured

    def _answer(self, wire: _Wire) -> None:
        try:
            request = read_request(wire.socket, HEAD_SECONDS)
            if request is None:
                return
            if request.method != "GET":
                only = ["only GET is served here"]
                wire.refuse(405, problem(405, "method-not-allowed", only), {"Allow": "GET"})
                return
            with self._slot(), self._open(request) as stream:
                self._send(wire, stream)
        except DataspaceError as error:
            if wire.begun:
                raise
            wait = {"Retry-After": str(_RETRY_SECONDS)} if error.status == 503 else {}
            wire.refuse(error.status, problem(error.status, error.code, reasons_of(error)), wait)
        except OSError:
            raise
        except Exception:
            if not wire.begun:
                wire.refuse(500, problem(500, "internal-error", ["something failed here; it was logged"]), {})
            raise

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._free_streams.acquire(blocking=False):
            raise Unavailable(
                f"{self._most_streams} streams are open here, as many as may be; try again soon"
            )
        try:
            yield
        finally:
            self._free_streams.release()

    def _open(self, request: Request) -> OpenStream:
        if not request.path.startswith(PATH):
            raise NotFound(f"nothing at {request.path[:120]!r}; streams are at {PATH}…")
        kind, _, ticket = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not ticket.strip():
            raise Unauthenticated(
                "expected 'Authorization: Bearer <ticket>' with the ticket of the data address"
            )
        choice = read_choice(request.query)
        transfer = unquote(request.path.removeprefix(PATH))
        return self._streams.open(ticket.strip(), choice.start, choice.columns, transfer, choice.question)

    def _send(self, wire: _Wire, stream: OpenStream) -> None:
        batches = stream.batches()
        # The first batch comes before the head, so that what fails at once has a status of its own.
        first = next(batches, None)
        sink = _Parts()
        wire.begin()
        writer = pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), stream.schema)
        item, counted = first, stream.start
        while item is not None:
            batch, position = item
            counted += batch.num_rows
            # Told only where it does not follow from the rows: some kept their number, and were not sent.
            told = None if counted == position else {"position": str(position)}
            counted = position
            writer.write_batch(batch, custom_metadata=told)
            if not wire.chunk(sink.take(), stream.may_go_on):
                wire.finish(complete=False)  # in the middle of a batch; who asks again is told the reason
                return
            item = next(batches, None)
        end = stream.end
        if end is None:
            raise Unavailable("the stream stopped without an end")
        if end.passing:
            wire.finish(complete=False)  # without a word: who reads comes again, and goes on where it was
            return
        empty = pa.RecordBatch.from_pylist([], schema=stream.schema)
        writer.write_batch(
            empty, custom_metadata={"end": end.kind, "reason": end.reason, "rows": str(end.rows)}
        )
        if end.kind == "complete":
            writer.close()
        wire.chunk(sink.take())
        wire.finish(complete=end.kind == "complete")


@dataclass(frozen=True)
class Choice:
    """What a reader asks for: from which row on, which columns (None: all), or which groups."""

    start: int
    columns: tuple[str, ...] | None
    question: Question | None = None


def read_choice(query: str) -> Choice:
    """Read the query of a stream; a comma inside a column's name travels as %2C.

    Raises:
        Malformed: naming what does not fit.
    """
    start, columns, question = 0, None, None
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name == "start":
            if not (value.isascii() and value.isdecimal() and len(value) <= 16):
                raise Malformed(f"start={value[:40]!r} is not a row number such as 65536")
            start = int(value)
        elif name == "columns":
            columns = tuple(unquote(column.replace("+", " ")) for column in value.split(",") if column)
        elif name == "aggregate":
            question = Question.read(unquote(value.replace("+", " ")))
        else:
            raise Malformed(f"unknown parameter {name[:40]!r}; known: start, columns, aggregate")
    if question is not None and columns is not None:
        raise Malformed("columns and aggregate; the columns of an answer are those that are asked about")
    return Choice(start, columns, question)


class _Parts:
    """Takes what Arrow writes, buffer by buffer, without copying."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[pa.Buffer | bytes] = []

    def write(self, data: pa.Buffer | bytes) -> int:
        self._parts.append(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """What was written stays to be taken."""

    def take(self) -> list[pa.Buffer | bytes]:
        taken, self._parts = self._parts, []
        return taken


class _Wire:
    """The answering half of a connection."""

    def __init__(self, connection: socket.socket, send_seconds: float) -> None:
        self.socket = connection
        self.begun = False
        self._seconds = send_seconds

    def begin(self) -> None:
        """Send the head of a stream; from here on errors have no status."""
        self.begun = True
        self._send(
            [
                (
                    "HTTP/1.1 200 OK\r\n"
                    f"Content-Type: {MEDIA_ARROW_STREAM}\r\n"
                    "Transfer-Encoding: chunked\r\n"
                    "Cache-Control: no-store\r\n"
                    "Connection: close\r\n\r\n"
                ).encode()
            ]
        )

    def chunk(self, parts: list[pa.Buffer | bytes], may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """Send one HTTP chunk; return whether it went out whole, or broke off since it may not go on."""
        size = sum(len(part) for part in parts)
        return not size or self._send([f"{size:x}\r\n".encode(), *parts, b"\r\n"], may_go_on)

    def finish(self, *, complete: bool) -> None:
        """End the answer; an incomplete one lacks its last chunk."""
        if complete:
            self._send([b"0\r\n\r\n"])
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def refuse(self, status: int, document: object, headers: dict[str, str]) -> None:
        """Answer with a problem document, and read what the caller still sends, or a reset would eat it."""
        body = json.dumps(document).encode()
        lines = [
            f"HTTP/1.1 {status} {_PHRASES.get(status, 'Error')}",
            f"Content-Type: {PROBLEM}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self._seconds = min(self._seconds, 2.0)
        deadline = time.monotonic() + self._seconds
        self._send(["\r\n".join(lines).encode() + b"\r\n\r\n" + body])
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.socket.recv(65_536):
                    break

    def _send(self, parts: list[pa.Buffer | bytes], may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """Send parts slice by slice; return False if they broke off since it may not go on.

        The last slice goes out without a question: then the stream's end can be told on the same connection.

        Raises:
            TimeoutError: if the reader takes nothing for too long, or takes too long for all of it.
        """
        views = [memoryview(part).cast("B") for part in parts if len(part)]
        first, size = 0, sum(len(view) for view in views)
        left, now = size, time.monotonic()
        moved, deadline = now, now + self._seconds * CHUNK_TIMES
        while left:
            if SLICE < left < size and not may_go_on():
                return False
            sent = self._send_within(views[first : first + _MOST_PARTS], min(moved + self._seconds, deadline))
            if not sent and not may_go_on():
                return False  # also in the last slice: a reader that takes nothing hears of no end either
            left, took = left - sent, sent
            while first < len(views) and sent >= len(views[first]):
                sent -= len(views[first])
                first += 1
            now = time.monotonic()
            if first < len(views) and sent:
                views[first] = views[first][sent:]
            moved = now if took else moved
        return True

    def _send_within(self, views: list[memoryview], deadline: float) -> int:
        """Send at most a slice within a step; return how many bytes left.

        Raises:
            TimeoutError: if the deadline has passed.
        """
        rest = deadline - time.monotonic()
        if rest <= 0:
            raise TimeoutError("the reader took nothing, or too little, for too long")
        self.socket.settimeout(min(STEP_SECONDS, rest))
        try:
            return self._send_some(views)
        except TimeoutError:
            return 0

    def _send_some(self, views: list[memoryview]) -> int:
        """Send at most a slice; return how many bytes left."""
        if isinstance(self.socket, ssl.SSLSocket):
            return self.socket.send(views[0][:SLICE])
        window, room = [], SLICE
        for view in views:
            window.append(view[:room])
            room -= len(window[-1])
            if not room:
                break
        return self.socket.sendmsg(window)


_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
