"""The door for bulk data: Arrow streams over HTTP/1.1, one thread a stream, buffers sent without copying.

`GET /streams/<transfer>?start=<row>&columns=a,b` with `Authorization: Bearer <ticket>`; data of which only
groups may leave are asked with `?aggregate=<question as JSON>` instead. The last message of a
stream is an empty batch whose metadata says how it ended; only after a complete one does the stream end as
Arrow and HTTP want it, so that no reader takes a part for the whole.

Source: RFC 9112; Arrow IPC streaming format.
"""

from __future__ import annotations

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
from connector.api.http_wire import Parts, Wire
from connector.dataplane.question import Question
from connector.dataplane.service import Streams
from connector.dataplane.stream import OpenStream
from schemas.binding.server import problem
from schemas.errors import DataspaceError, Malformed, NotFound, Unauthenticated, Unavailable
from schemas.worded import Worded, reasons_of

PATH = "/streams/"
MOST_STREAMS = 64
"""Streams at a time; more are asked to come again."""
WAITING = 16
"""Connections on top of that: for requests that are being read, and for the answer 503."""
SEND_SECONDS = 60.0
"""Seconds that a reader may take nothing before it is given up."""
HEAD_SECONDS = 5.0
"""Seconds in which a request has to arrive."""
# What has left for the kernel cannot be called back when an agreement is revoked: so not much of it.
_SEND_BUFFER = 416 << 10
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

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
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
        self._threads: list[threading.Thread] = []
        self._lock = threading.Condition()
        self._stopping = threading.Event()

    def start(self) -> tuple[str, int]:
        """Listen, and return the address."""
        self._listener = socket.create_server((self._host, self._port), backlog=128)
        self._begin(self._accept, self._listener, "arrow-http")
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
        # Its threads too: one that still runs when the process ends holds what it worked with for ever.
        deadline = time.monotonic() + seconds
        with self._lock:
            self._lock.wait_for(lambda: not self._connections, seconds)
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _begin(self, work: Callable[[socket.socket], None], given: socket.socket, name: str) -> None:
        thread = threading.Thread(target=work, args=(given,), name=name, daemon=True)
        thread.start()
        with self._lock:
            self._threads = [thread, *(each for each in self._threads if each.is_alive())]

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
            self._begin(self._serve, connection, "arrow-stream")

    def _turn_away(self, connection: socket.socket) -> None:
        """Answer 503 without reading a request, and without waiting: nobody else is accepted meanwhile."""
        with connection, suppress(OSError):
            if self._tls is None:
                busy = problem(503, Unavailable.code, ["as many connections are open here as may be"])
                Wire(connection, 0.02).refuse(503, busy, {"Retry-After": str(_RETRY_SECONDS)})

    def _serve(self, connection: socket.socket) -> None:
        """Answer one connection, whatever comes; a thread that raised would leave the reader hanging."""
        try:
            connection.settimeout(HEAD_SECONDS)
            # The kernel keeps double of what is asked for.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER // 2)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._secured(connection, self._tls)
            self._answer(Wire(connection, self._send_seconds))
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

    def _answer(self, wire: Wire) -> None:
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

    def _send(self, wire: Wire, stream: OpenStream) -> None:
        batches = stream.batches()
        # The first batch comes before the head, so that what fails at once has a status of its own.
        first = next(batches, None)
        sink = Parts()
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
        told = {"end": end.kind, "reason": str(end.reason), "rows": str(end.rows)}
        if isinstance(end.reason, Worded):
            told["told"] = end.reason.told
        writer.write_batch(empty, custom_metadata=told)
        if end.kind == "complete":
            writer.close()
        wire.finish(sink.take(), complete=end.kind == "complete")


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
