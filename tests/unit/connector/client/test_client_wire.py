"""A provider may send anything: a client takes sound rows, or says what is wrong, within bounds."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
import pytest

from connector.client.stream import Access, DataStream, error_from
from connector.client.wire import MOST_MESSAGE, fetch
from schemas.arrow_head import check_message
from schemas.binding.client import Egress
from schemas.errors import (
    DataspaceError,
    EgressForbidden,
    Malformed,
    NotFound,
    PeerRefused,
    PeerUnavailable,
    StreamEnded,
    TooLarge,
    UnreadableData,
    UseDenied,
)
from tests.patience import PATIENCE
from tests.streaming import LOOPBACK

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])
BATCH = pa.record_batch([range(1000), [f"name {i}" for i in range(1000)]], schema=SCHEMA)
KIND = b"Content-Type: application/vnd.apache.arrow.stream\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n" + KIND + b"Transfer-Encoding: chunked\r\n\r\n"


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """A server that gives one prepared answer to each connection, and then is there no more."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(PATIENCE)
                connection.recv(65_536)
                try:
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65_536):
                        pass
                except OSError:
                    continue
        listener.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/streams/t"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def arrow(
    batches: Sequence[pa.RecordBatch] = (BATCH,),
    end: str | None = "complete",
    rows: int | None = None,
    **options: Any,
) -> bytes:
    """An Arrow stream with our end message."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema if batches else SCHEMA, **options) as writer:
        for batch in batches:
            writer.write_batch(batch)
        if end is not None:
            told = {
                "end": end,
                "reason": "because",
                "rows": str(sum(b.num_rows for b in batches) if rows is None else rows),
            }
            writer.write_batch(pa.RecordBatch.from_pylist([], schema=batches[0].schema), custom_metadata=told)
    return bytes(sink.getvalue())


def chunked(body: bytes, size: int = 1 << 20, *, last: bool = True) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return (
        HEAD
        + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        + (b"0\r\n\r\n" if last else b"")
    )


def stream_at(url: str) -> DataStream:
    return DataStream(Access(url, "a.b.c", "urn:d", "urn:a", LOOPBACK, timeout=PATIENCE))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.client.stream.FIRST_PAUSE", 0.0)


@pytest.mark.parametrize("size", [1, 7, 1000, 65_536, 1 << 20])
def test_chunks_of_any_size_are_joined(size: int) -> None:
    with answering(chunked(arrow(), size)) as url:
        assert stream_at(url).read_all().equals(pa.Table.from_batches([BATCH]))


def test_a_body_of_stated_length_is_read_too() -> None:
    body = arrow()
    head = b"HTTP/1.1 200 OK\r\n" + KIND.lower() + b"Content-Length: %d\r\n\r\n" % len(body)
    with answering(head + body) as url:
        assert stream_at(url).read_all().num_rows == 1000


def test_a_stream_that_breaks_at_any_place_is_never_taken_for_a_whole_one() -> None:
    whole = chunked(arrow([BATCH, BATCH]), 5000)
    for cut in [*range(len(HEAD), len(whole) - 5, 997), len(whole) - 700]:
        with answering(*[whole[:cut]] * 6) as url, pytest.raises(DataspaceError):
            stream_at(url).read_all()


def test_an_arrow_stream_without_a_word_on_its_end_is_not_taken_for_a_whole_one() -> None:
    got: list[pa.RecordBatch] = []
    with answering(chunked(arrow(end=None))) as url, pytest.raises(PeerUnavailable):
        got.extend(stream_at(url))
    assert [batch.num_rows for batch in got] == [1000]


def test_a_count_that_is_not_what_arrived_is_an_error() -> None:
    with answering(chunked(arrow(rows=999))) as url, pytest.raises(UnreadableData, match=r"'999'.*1000"):
        stream_at(url).read_all()


def test_an_early_end_is_raised_after_the_rows_before_it() -> None:
    got: list[pa.RecordBatch] = []
    with (
        answering(chunked(arrow(end="expired"), last=False)) as url,
        pytest.raises(StreamEnded, match="because") as caught,
    ):
        got.extend(stream_at(url))
    assert (len(got), caught.value.end, caught.value.rows) == (1, "expired", 1000)


def test_a_stream_without_rows_has_its_schema_and_ends() -> None:
    with answering(chunked(arrow([BATCH.slice(0, 0)], rows=0))) as url:
        found = stream_at(url).read_all()
    assert (found.num_rows, found.schema) == (0, SCHEMA)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_a_compressed_body_is_not_unpacked(codec: str) -> None:
    bomb = pa.record_batch({"zeros": pa.array([0] * 100_000)})
    body = arrow([bomb], options=pa.ipc.IpcWriteOptions(compression=codec))
    with answering(chunked(body)) as url, pytest.raises(UnreadableData, match="compressed"):
        stream_at(url).read_all()


def test_a_compressed_dictionary_is_not_unpacked() -> None:
    words = pa.record_batch({"d": pa.array(["word"] * 1000).dictionary_encode()})
    body = arrow([words], options=pa.ipc.IpcWriteOptions(compression="zstd"))
    with answering(chunked(body)) as url, pytest.raises(UnreadableData, match="compressed"):
        stream_at(url).read_all()


def test_a_message_of_any_claimed_size_allocates_nothing() -> None:
    for size in (MOST_MESSAGE + 1, 2**31 - 1):
        body = b"\xff\xff\xff\xff" + size.to_bytes(4, "little") + b"x"
        with answering(chunked(body)) as url, pytest.raises((TooLarge, UnreadableData)):
            stream_at(url).read_all()


def test_mutated_streams_end_in_an_error_or_in_rows_but_never_in_a_crash() -> None:
    body = bytearray(arrow([BATCH, BATCH]))
    chance = random.Random(7)
    for _ in range(60):
        broken = bytearray(body)
        for _ in range(chance.randint(1, 8)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with answering(*[chunked(bytes(broken))] * 8) as url:
            try:
                for batch in stream_at(url):
                    batch.to_pylist()
            except DataspaceError:
                continue


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\n\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/html\r\n\r\nhello", Malformed),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, TooLarge),
        (HEAD + b"zz\r\n", Malformed),
        (HEAD + b"-1\r\n", Malformed),
        (HEAD + b"1" * 5000, Malformed),
        (HEAD + b"ffffffffffffffff\r\n", Malformed),
        (b"", PeerUnavailable),
    ],
    ids=[
        "another protocol",
        "no length",
        "negative length",
        "another kind",
        "no header",
        "endless head",
        "chunk that is no number",
        "negative chunk",
        "endless chunk head",
        "chunk too long",
        "nothing",
    ],
)
def test_what_is_no_stream_is_named(answer: bytes, kind: type[Exception]) -> None:
    with answering(*[answer] * 6) as url, pytest.raises(kind):
        stream_at(url).read_all()


def test_a_provider_that_says_nothing_is_given_up_after_the_timeout() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with listener, pytest.raises(PeerUnavailable):
        fetch(url, {}, LOOPBACK, 0.05)


def test_the_address_of_data_must_be_one_that_may_be_connected_to() -> None:
    for url in ("ftp://127.0.0.1/x", "file:///etc/passwd", "http://user@127.0.0.1/"):
        with pytest.raises(EgressForbidden):
            fetch(url, {}, LOOPBACK, 1.0)
    with pytest.raises(EgressForbidden):
        fetch("http://127.0.0.1:1/", {}, Egress(), 1.0)
    with pytest.raises(Malformed):
        fetch("http://127.0.0.1:1/", {"Authorization": "x\r\nEvil: y"}, LOOPBACK, 1.0)


def test_a_problem_becomes_the_error_that_it_tells_of() -> None:
    assert isinstance(error_from(404, {"title": "not-found", "detail": "gone"}), NotFound)
    denied = error_from(403, {"title": "use-denied", "reasons": ["one", "two"]})
    assert isinstance(denied, UseDenied)
    assert denied.reasons == ("one", "two")
    assert isinstance(error_from(503, {"title": "storage-unavailable"}), PeerUnavailable)
    for odd in (
        {},
        {"title": 5},
        {"title": "stream-ended"},
        {"title": "use-denied", "reasons": "x" * 10_000},
    ):
        assert isinstance(error_from(400, odd), PeerRefused | UseDenied)


def test_a_body_of_an_error_is_read_within_bounds() -> None:
    for answer in (
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 999999999\r\n\r\n{",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\n[1]",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
    ):
        with answering(*[answer] * 6) as url, pytest.raises(DataspaceError):
            stream_at(url).read_all()


def test_heads_of_messages_are_looked_at_without_trust() -> None:
    chance = random.Random(3)
    for length in (0, 1, 4, 8, 64, 200):
        for _ in range(200):
            head = bytes(chance.randrange(256) for _ in range(length))
            try:
                check_message(head)
            except (Malformed, UnreadableData):
                continue


@pytest.mark.parametrize(
    ("status", "title", "reason"),
    [
        (b"403 Forbidden", b"forbidden", "agreement urn:a was revoked: a test"),
        (b"409 Conflict", b"world-moved", "transfer urn:t was suspended"),
        (b"403 Forbidden", b"use-denied", "use is allowed until noon"),
    ],
)
def test_a_stream_that_is_cut_within_a_batch_and_refused_to_go_on_ends_with_the_reason(
    status: bytes, title: bytes, reason: str
) -> None:
    first = chunked(arrow([BATCH], end=None), last=False)
    body = b'{"title":"' + title + b'","detail":"' + reason.encode() + b'"}'
    refused = b"HTTP/1.1 " + status + b"\r\nContent-Length: " + b"%d" % len(body) + b"\r\n\r\n" + body
    with answering(first, refused) as url:
        stream = stream_at(url)
        assert next(stream).equals(BATCH)
        with pytest.raises(StreamEnded, match=reason) as ended:
            next(stream)
        assert (ended.value.end, ended.value.rows) == ("refused", 1000)
        with pytest.raises(StreamEnded, match=reason):
            next(stream)
    with answering(refused) as url, pytest.raises(DataspaceError) as never:
        next(stream_at(url))
    assert not isinstance(never.value, StreamEnded)


def test_columns_that_change_between_two_connections_are_refused() -> None:
    other = pa.record_batch({"id": ["text"]})
    first = chunked(arrow([BATCH, BATCH], end=None), last=False)
    with (
        answering(first, chunked(arrow([other]))) as url,
        pytest.raises(UnreadableData, match="other columns"),
    ):
        stream_at(url).read_all()


def test_a_ticket_that_ran_out_is_renewed_once() -> None:
    refused = b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 27\r\n\r\n{"title":"unauthenticated"}'
    with answering(refused, chunked(arrow())) as url:
        access = Access(url, "old", "urn:d", "urn:a", LOOPBACK, timeout=PATIENCE, renew=lambda: (url, "new"))
        assert DataStream(access).read_all().num_rows == 1000
