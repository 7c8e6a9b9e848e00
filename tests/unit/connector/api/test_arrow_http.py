"""The data door over real sockets: what a client gets, what a stranger gets, and what a slow one costs."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from connector.api.arrow_http import read_choice
from connector.api.http_request import MOST_HEAD, parse_head
from connector.api.http_wire import Wire
from policies.words.carried import in_words
from policies.words.language import Language
from schemas.dsp.transfer import TransferState
from schemas.errors import (
    Malformed,
    NotFound,
    PeerUnavailable,
    PolicyMismatch,
    StreamEnded,
    TooLarge,
    Unauthenticated,
    UseDenied,
)
from schemas.usage import UsageKind
from tests.patience import until
from tests.streaming import Provider, limit

ROWS = 20_000
TABLE = pa.table(
    {
        "id": range(ROWS),
        "name": [f"name {i % 7}" for i in range(ROWS)],
        "flag": [i % 3 == 0 for i in range(ROWS)],
    }
)
LONG = pa.table({"id": range(400_000)})


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    yield made
    made.close()


def ask(provider: Provider, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes to the door and read the whole answer."""
    host, port = provider.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(request)
        data = b"".join(iter(lambda: connection.recv(65_536), b""))
    if not data:
        return 0, {}, b""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, body


def get(provider: Provider, path: str, ticket: str | None = None) -> tuple[int, dict[str, str], bytes]:
    authorization = f"Authorization: Bearer {ticket}\r\n" if ticket is not None else ""
    return ask(provider, f"GET {path} HTTP/1.1\r\nHost: x\r\n{authorization}\r\n".encode())


def test_all_rows_arrive_in_order_and_the_stream_is_settled(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    with provider.door(), provider.client(ticket) as stream:
        assert stream.read_all().equals(TABLE)
        assert (stream.position, stream.rows) == (ROWS, ROWS)
        until(lambda: provider.streams.count == 0)
    assert provider.records()[-1].rows == ROWS


def test_a_complete_stream_is_what_any_arrow_reader_reads(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    with provider.door():
        status, headers, body = get(provider, f"/streams/{provider.transfer}", ticket)
    assert (status, headers["content-type"]) == (200, "application/vnd.apache.arrow.stream")
    plain, rest = b"", body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        plain, rest = plain + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    assert pa.ipc.open_stream(plain).read_all().replace_schema_metadata(None).equals(TABLE)


def test_a_stream_that_resumes_anywhere_gives_the_rest(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, limit("column/flag", "eq", True), row_group_size=3000)
    whole = TABLE.filter(TABLE["flag"])
    with provider.door():
        with provider.client(ticket) as stream:
            ends = [0] + [stream.position for _ in stream]
        for start in [*ends, ends[1] - 1, ends[1] + 7]:
            with provider.client(ticket, start) as stream:
                assert stream.read_all().equals(whole.slice(start))


def test_a_state_carries_over_to_another_stream_to_the_row(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    with provider.door(), provider.client(ticket) as first:
        rows = [next(first) for _ in range(3)]
        state = json.loads(json.dumps(first.state_dict()))
        with provider.client(ticket) as second:
            second.load_state_dict(state)
            rest = second.read_all()
        with pytest.raises(Malformed, match="columns"), provider.client(ticket, columns=("id",)) as other:
            other.load_state_dict(state)
    assert pa.concat_tables([pa.Table.from_batches(rows), rest]).equals(TABLE)


def test_chosen_columns_travel_in_a_query_also_with_commas_in_their_names(provider: Provider) -> None:
    table = pa.table({"a,b": [1], "ü &=?": [2], "c": [3]})
    ticket = provider.ticket(table)
    with provider.door(), provider.client(ticket, columns=("a,b", "ü &=?")) as stream:
        assert stream.read_all().equals(table.select(["a,b", "ü &=?"]))


def test_a_row_limit_ends_with_its_reason_after_the_rows(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, limit("rowCount", "lteq", 2500))
    got: list[pa.RecordBatch] = []
    with provider.door(), provider.client(ticket) as stream:
        with pytest.raises(StreamEnded, match="allows 2,500 rows") as caught:
            got.extend(stream)
        with pytest.raises(StreamEnded):
            next(stream)
    assert (caught.value.end, caught.value.rows) == ("row-limit", 2500)
    assert in_words(caught.value.reason, Language.DE) == (
        "die Vereinbarung erlaubt insgesamt 2.500 Zeilen, und sie sind verbraucht"
    )
    assert pa.Table.from_batches(got).equals(TABLE.slice(0, 2500))


def test_an_agreement_that_is_revoked_in_the_middle_ends_with_its_reason(provider: Provider) -> None:
    ticket = provider.ticket(LONG)
    with provider.door(), provider.client(ticket) as stream:
        next(stream)
        provider.stores.negotiations.revoke(provider.agreement, "contract breach")
        provider.streams.look_again(provider.agreement)
        with pytest.raises(StreamEnded, match="contract breach") as caught:
            list(stream)
    assert caught.value.end == "revoked"
    assert caught.value.rows < LONG.num_rows


def test_a_transfer_that_is_suspended_in_the_middle_ends_with_its_reason(provider: Provider) -> None:
    ticket = provider.ticket(LONG)
    with provider.door(), provider.client(ticket) as stream:
        next(stream)
        provider.move(TransferState.SUSPENDED, reasons=("maintenance",))
        provider.streams.look_again(provider.transfer)
        with pytest.raises(StreamEnded, match="maintenance"):
            list(stream)


def test_what_is_denied_arrives_as_the_same_error_with_its_reasons(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, limit("rowCount", "lteq", 5))
    provider.read(ticket)
    with provider.door():
        with provider.client(ticket) as stream, pytest.raises(UseDenied) as caught:
            stream.read_all()
        with provider.client("x.y.z") as stream, pytest.raises(Unauthenticated):
            stream.read_all()
        with (
            provider.client(ticket, columns=("nothing",)) as stream,
            pytest.raises((PolicyMismatch, UseDenied)),
        ):
            stream.read_all()
    assert any("5" in reason for reason in caught.value.reasons)


def test_a_full_disk_is_503_and_nothing_leaves_until_it_has_room(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    with provider.door():
        for writes in (0, 1):
            provider.usage.writes = writes
            status, headers, body = get(provider, f"/streams/{provider.transfer}", ticket)
            assert (status, json.loads(body)["title"]) == (503, "storage-unavailable")
            assert headers["retry-after"] == "2"
        provider.usage.writes = 100
        assert provider.client(ticket).read_all().num_rows == ROWS


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /streams/none HTTP/1.1\r\nHost: x\r\n\r\n", 401),
        (b"GET /streams/none HTTP/1.1\r\nAuthorization: Basic eDp5\r\n\r\n", 401),
        (b"POST /streams/none HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"POST /streams/none HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET /streams/none HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /streams/none HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /streams/none HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET /streams/none HTTP/1.1\r\nBad Name: x\r\n\r\n", 400),
        (b"GET /streams/none HTTP/1.1\nHost: x\n\n\r\n\r\n", 400),
        (b"GET http://x/streams/none HTTP/1.1\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 tls \r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET /" + b"x" * (MOST_HEAD + 10) + b" HTTP/1.1\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x", 0),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_requests_are_answered_and_the_door_stays_open(
    provider: Provider, request_: bytes, status: int
) -> None:
    with provider.door():
        host, port = provider.url.split("/")[2].split(":")
        if status == 0:
            with socket.create_connection((host, int(port)), 5) as connection:
                connection.sendall(request_)
        else:
            got, headers, body = ask(provider, request_)
            assert got == status
            assert headers["content-type"] == "application/problem+json"
            assert json.loads(body)["status"] == status
        ticket = provider.ticket(TABLE)
        assert provider.client(ticket).read_all().num_rows == ROWS


def test_a_caller_that_says_nothing_holds_no_stream(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    with provider.door(most_streams=1):
        host, port = provider.url.split("/")[2].split(":")
        silent = [socket.create_connection((host, int(port)), 5) for _ in range(8)]
        assert provider.client(ticket).read_all().num_rows == ROWS
        for connection in silent:
            connection.close()


def test_more_streams_than_may_be_are_asked_to_come_again(provider: Provider) -> None:
    ticket = provider.ticket(LONG)
    with provider.door(most_streams=1):
        slow = provider.client(ticket)
        next(slow)
        status, headers, body = get(provider, f"/streams/{provider.transfer}", ticket)
        assert (status, headers["retry-after"]) == (503, "2")
        assert "1 streams are open" in json.loads(body)["detail"]
        slow.close()
        until(lambda: provider.streams.count == 0)
        until(lambda: get(provider, f"/streams/{provider.transfer}", ticket)[0] == 200)


def test_a_reader_that_takes_nothing_is_given_up_and_settled(provider: Provider) -> None:
    ticket = provider.ticket(pa.table({"text": ["x" * 1000] * 20_000}))
    with provider.door(send_seconds=0.2):
        slow = provider.client(ticket)
        next(slow)
        until(lambda: provider.streams.count == 0)
        slow.close()
    settled = provider.records()[-1]
    assert (settled.kind, settled.detail["end"]) == (UsageKind.STREAM_SETTLED, "failed")
    assert "took nothing" in str(settled.detail["reason"])


def test_one_connection_too_many_is_told_so_at_once(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.api.arrow_http.WAITING", 1)
    with provider.door(most_streams=1):
        host, port = provider.url.split("/")[2].split(":")
        silent = [socket.create_connection((host, int(port)), 5) for _ in range(2)]
        status, headers, body = ask(provider, b"")
        assert (status, headers["retry-after"]) == (503, "2")
        assert "connections" in json.loads(body)["detail"]
        for connection in silent:
            connection.close()


def test_a_client_whose_connection_is_cut_goes_on_where_it_was(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    with provider.door() as door:
        stream = provider.client(ticket)
        got = [next(stream)]
        for connection in list(door._connections):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
        got.extend(stream)
    assert pa.Table.from_batches(got).equals(TABLE)
    assert provider.usage.totals(provider.agreement).rows >= ROWS


def test_a_door_that_closes_breaks_its_streams_and_a_reader_gives_up_after_a_while(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.client.stream.FIRST_PAUSE", 0.001)
    ticket = provider.ticket(LONG)
    with provider.door():
        stream = provider.client(ticket)
        next(stream)
    with pytest.raises(PeerUnavailable):
        list(stream)
    until(lambda: provider.streams.count == 0)


def test_many_readers_at_once_each_get_everything(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    found: list[bool] = []
    with provider.door():
        threads = [
            threading.Thread(target=lambda: found.append(provider.client(ticket).read_all().equals(TABLE)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [True] * 8
    assert provider.usage.totals(provider.agreement).rows == 8 * ROWS


def test_no_thread_outlives_its_door(provider: Provider) -> None:
    ticket = provider.ticket(pa.table({"n": range(1_000_000)}))  # more than a connection takes unread
    before = set(threading.enumerate())
    with provider.door():
        streams = [provider.client(ticket) for _ in range(8)]
        for stream in streams:
            next(iter(stream))
        assert len(set(threading.enumerate()) - before) > 8, "the door's own, and one a stream"
    assert not [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]
    for stream in streams:
        stream.close()


def test_other_libraries_read_the_stream_as_arrow(provider: Provider) -> None:
    polars = pytest.importorskip("polars")
    from connector.client.frames import to_pandas, to_polars

    ticket = provider.ticket(TABLE)
    with provider.door():
        assert polars.DataFrame(provider.client(ticket)).height == ROWS
        assert to_polars(provider.client(ticket))["id"].sum() == sum(range(ROWS))
        assert list(to_pandas(provider.client(ticket)).columns) == TABLE.column_names
        assert pa.table(provider.client(ticket)).equals(TABLE)


def test_the_query_of_a_stream_is_read_strictly() -> None:
    assert read_choice("") == read_choice("start=0")
    assert read_choice("columns=a%2Cb,c&start=12").columns == ("a,b", "c")
    for wrong in ("start=-1", "start=x", "start=" + "9" * 20, "start=٣", "begin=1"):
        with pytest.raises(Malformed):
            read_choice(wrong)


def test_the_head_of_a_request_is_bounded_in_lines() -> None:
    assert parse_head(b"GET /a?b=c HTTP/1.1\r\nX-Y:  z ").headers == {"x-y": "z"}
    with pytest.raises(TooLarge):
        parse_head(b"GET / HTTP/1.1\r\n" + b"\r\n".join([b"a: b"] * 101))


def test_a_ticket_for_another_transfer_than_the_address_opens_nothing(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    with provider.door():
        assert get(provider, "/streams/urn%3Auuid%3Aother", ticket)[0] == 404
        assert get(provider, f"/streams/{provider.transfer.replace(':', '%3A')}", ticket)[0] == 200


def test_not_found_is_told_as_not_found(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    with provider.door():
        provider.url = provider.url.replace("/streams/", "/nothing/")
        with pytest.raises(NotFound):
            provider.client(ticket).read_all()


def test_the_end_of_an_answer_leaves_in_one_write_so_that_who_has_heard_it_may_go() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # which keeps writes apart
    with ours, theirs:
        Wire(ours, 5.0).finish([b"the ", pa.py_buffer(b"end")], complete=True)
        assert theirs.recv(1 << 16) == b"7\r\nthe end\r\n0\r\n\r\n"
        assert theirs.recv(1 << 16) == b""


def test_no_broken_connection_is_reported_where_the_reader_has_all_rows(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    with provider.door(), capture_logs() as told:
        for _ in range(30):
            with provider.client(ticket) as stream:
                assert stream.read_all().num_rows == TABLE.num_rows
    assert [event for event in told if event["event"] == "connection broke"] == []
