"""Pushing to sinks that are slow, silent, endless or rude: each ends in time, and says how."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from connector.adapters.push import HttpPushLines
from connector.dataplane.stream import End
from schemas.binding.client import Egress
from schemas.dsp.transfer import DataAddress, EndpointProperty
from schemas.errors import (
    DataspaceError,
    EgressForbidden,
    Malformed,
    PeerRefused,
    PeerUnavailable,
    StreamEnded,
)

TABLE = pa.table({"text": ["x" * 1000] * 20_000})
Talk = Callable[[socket.socket], object]
DONE, ACCEPTED = threading.Event(), threading.Event()
"""Set when a test is done with its sink, and when the sink has its connection."""


@pytest.fixture(autouse=True)
def _fresh() -> None:
    _clear()


def _clear() -> None:
    DONE.clear()
    ACCEPTED.clear()


@dataclass
class Rows:
    """A stream of batches, as `OpenStream` is one; it may be told to end."""

    table: pa.Table = field(default_factory=lambda: TABLE)
    stop_after: int | None = None
    end: End | None = None
    asked: int = 0
    schema: pa.Schema = field(init=False)
    halted: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.schema = self.table.schema

    def batches(self) -> Iterator[tuple[pa.RecordBatch, int]]:
        at = 0
        for batch in self.table.to_batches(max_chunksize=2000):
            at += batch.num_rows
            yield batch, at
            if self.end is not None:
                return
        self.end = End("complete", "all rows were sent", at)

    def may_go_on(self) -> bool:
        self.asked += 1
        if self.stop_after is not None and self.asked > self.stop_after:
            self.end = End("suspended", "tea", 0)
        if self.end is not None:
            self.halted.set()
        return self.end is None


@contextmanager
def sink(talk: Talk) -> Iterator[DataAddress]:
    """A sink that does with its first connection what a test says."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            ACCEPTED.set()
            with connection:
                talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield DataAddress(
            endpoint_type="HttpData", endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}/x?y=1"
        )
    finally:
        DONE.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake a thread in accept()
        listener.close()
        thread.join(10)


def lines(**options: Any) -> HttpPushLines:
    return HttpPushLines(
        Egress.allowing(["127.0.0.0/8"]), **{"send_seconds": 0.3, "answer_seconds": 0.5, **options}
    )


def read_all(connection: socket.socket) -> bytes:
    """Read a request to its proper end, or to where it breaks off."""
    got = bytearray()
    with suppress(OSError):
        while not got.endswith(b"0\r\n\r\n"):
            data = connection.recv(1 << 20)
            if not data:
                break
            got += data
    return bytes(got)


def push(talk: Talk, rows: Rows | None = None, **options: Any) -> None:
    with sink(talk) as address:
        line = lines(**options).connect(address)
        assert ACCEPTED.wait(10)
        line.send(rows or Rows())


def answering(answer: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        read_all(connection)
        connection.sendall(answer)

    return talk


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 204\r\nX: y\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_a_sink_that_takes_everything_is_done_with(answer: bytes) -> None:
    push(answering(answer), send_seconds=10.0, answer_seconds=10.0)


def test_the_request_is_what_http_and_arrow_want_it_to_be() -> None:
    got = []

    def talk(connection: socket.socket) -> None:
        got.append(read_all(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    rows = Rows(pa.table({"a": [1, 2, 3]}))
    push(talk, rows, send_seconds=10.0, answer_seconds=10.0)
    head, _, rest = got[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    body = bytearray()
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            break
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    with pa.ipc.open_stream(bytes(body)) as stream:
        assert pa.Table.from_batches(list(stream), stream.schema).equals(rows.table)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 500 Oh\r\n\r\n", PeerRefused, "answered 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil\r\n\r\n", PeerRefused, "answered 302"),
        (b"HTTP/1.1 403 No\r\n\r\n", PeerRefused, "answered 403"),
        (b"SSH-2.0-x\r\n\r\n", PeerUnavailable, "did not answer in HTTP"),
        (b"HTTP/1.1 99999 X\r\n\r\n", PeerUnavailable, "did not answer in HTTP"),
        (b"HTTP/1.1 200", PeerUnavailable, "without an answer"),
        (b"", PeerUnavailable, "without an answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 40_000, PeerUnavailable, "too great length"),
    ],
)
def test_what_a_sink_answers_is_told_as_it_is(answer: bytes, kind: type[DataspaceError], words: str) -> None:
    with pytest.raises(kind, match=words):
        push(answering(answer), send_seconds=10.0, answer_seconds=10.0)


def test_a_sink_that_takes_nothing_is_given_up() -> None:
    with pytest.raises(PeerUnavailable, match="broke off"):
        push(lambda connection: DONE.wait(10))


def test_a_sink_that_takes_a_little_all_the_time_is_given_up() -> None:
    got = bytearray()

    def talk(connection: socket.socket) -> None:
        # Never still for as long as a sink may be, and too slow for the one chunk that there is.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        with suppress(OSError):
            while (data := connection.recv(32_768)) and not got.endswith(b"0\r\n\r\n"):
                got.extend(data)
                threading.Event().wait(0.02)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with pytest.raises(PeerUnavailable, match="too little of one chunk, for too long"):
        push(talk, Rows(pa.table({"text": ["x" * 4000] * 2000})), send_seconds=0.4, answer_seconds=30)
    assert got


def test_a_sink_that_never_answers_or_answers_without_end_is_given_up() -> None:
    def silent(connection: socket.socket) -> None:
        read_all(connection)
        DONE.wait(10)

    def endless(connection: socket.socket) -> None:
        read_all(connection)
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not DONE.wait(0.02):
                connection.sendall(b"a")

    for talk in (silent, endless):
        _clear()
        with pytest.raises(PeerUnavailable, match="did not answer"):
            push(talk, send_seconds=10.0)


def test_a_stream_that_may_not_go_on_is_cut_in_the_middle_of_a_batch() -> None:
    got = []
    rows = Rows(stop_after=5)
    with pytest.raises(StreamEnded, match="tea") as ended:
        push(lambda connection: got.append(read_all(connection)), rows, send_seconds=10.0)
    assert ended.value.end == "suspended"
    assert len(got[0]) < TABLE.nbytes / 4
    assert not got[0].endswith(b"0\r\n\r\n"), "nobody takes a part for the whole"


def test_a_stream_that_is_halted_from_outside_is_cut_though_the_sink_takes_nothing() -> None:
    got, rows = [], Rows()

    def talk(connection: socket.socket) -> None:
        got.append(connection.recv(1 << 16))
        rows.end = End("suspended", "tea", 0)
        assert rows.halted.wait(10), "the sender looks while it waits"
        got.append(read_all(connection))

    with pytest.raises(StreamEnded, match="tea"):
        push(talk, rows, send_seconds=20.0)
    assert sum(map(len, got)) < TABLE.nbytes


def test_a_line_that_is_closed_from_another_thread_breaks_at_once() -> None:
    with sink(lambda connection: DONE.wait(10)) as address:
        line = lines(send_seconds=30.0).connect(address)
        threading.Timer(0.1, line.close).start()
        with pytest.raises(PeerUnavailable):
            line.send(Rows())


def test_where_nobody_listens_or_we_may_not_connect_nothing_is_opened() -> None:
    with sink(lambda connection: None) as address:
        pass
    with pytest.raises(PeerUnavailable, match="cannot connect"):
        lines().connect(address)
    with pytest.raises(EgressForbidden):
        HttpPushLines(Egress()).connect(address)
    with pytest.raises(Malformed, match="names no endpoint"):
        lines().connect(DataAddress(endpoint_type="HttpData"))


@pytest.mark.parametrize(("name", "value"), [("Host", "x"), ("a b", "x"), ("X", "a\r\nY: z"), ("X", "ü")])
def test_a_header_that_may_not_be_set_is_refused(name: str, value: str) -> None:
    properties = {"authKey": name, "authCode": value, "endpoint": "http://127.0.0.1:9/"}
    address = DataAddress(
        endpoint_type="HttpData",
        endpoint_properties=tuple(EndpointProperty(name=key, value=said) for key, said in properties.items()),
    )
    with pytest.raises(Malformed, match="header"):
        lines().connect(address)
