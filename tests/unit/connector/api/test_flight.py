"""The Flight door: the same streams on the same tickets, ends told as errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as fl
import pytest

from connector.api.flight import FlightDoor, _Sent, read_ticket
from connector.dataplane.stream import OpenStream
from schemas.errors import Malformed, Unauthenticated
from tests.patience import PATIENCE, until
from tests.streaming import Provider, limit

ROWS = 10_000
TABLE = pa.table({"id": range(ROWS), "name": [f"name {i % 7}" for i in range(ROWS)]})


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(provider: Provider) -> Iterator[fl.FlightClient]:
    door = FlightDoor(streams=provider.streams, most_streams=2)
    host, port = door.start()
    with fl.connect(f"grpc://{host}:{port}") as connected:
        yield connected
    door.stop()


def asked(provider: Provider, ticket: str, **more: object) -> fl.Ticket:
    return fl.Ticket(json.dumps({"transfer": provider.transfer, "authorization": ticket, **more}).encode())


def test_all_rows_arrive_and_the_stream_is_settled(provider: Provider, client: fl.FlightClient) -> None:
    ticket = provider.ticket(TABLE)
    assert client.do_get(asked(provider, ticket)).read_all().replace_schema_metadata(None).equals(TABLE)
    found = client.do_get(asked(provider, ticket, start=9_990, columns=["id"])).read_all()
    assert found["id"].to_pylist() == list(range(9_990, ROWS))
    assert provider.usage.totals(provider.agreement).rows == ROWS + 10


def test_an_early_end_is_an_error_with_its_reason_after_the_rows(
    provider: Provider, client: fl.FlightClient
) -> None:
    ticket = provider.ticket(TABLE, limit("rowCount", "lteq", 1500))
    got: list[int] = []
    with pytest.raises(fl.FlightCancelledError, match="row-limit: the agreement allows 1,500 rows") as caught:
        got.extend(chunk.data.num_rows for chunk in client.do_get(asked(provider, ticket)))
    assert sum(got) == 1500
    assert json.loads(caught.value.extra_info)["end"] == "row-limit"


def test_what_is_refused_has_a_status_and_reasons(provider: Provider, client: fl.FlightClient) -> None:
    ticket = provider.ticket(TABLE, limit("rowCount", "lteq", 5))
    with pytest.raises(fl.FlightUnauthenticatedError):
        client.do_get(asked(provider, "x.y.z")).read_all()
    provider.read(ticket)
    with pytest.raises(fl.FlightUnauthorizedError, match="use-denied") as caught:
        client.do_get(asked(provider, ticket)).read_all()
    assert json.loads(caught.value.extra_info)["code"] == "use-denied"
    provider.usage.writes = 0
    with pytest.raises(fl.FlightUnavailableError):
        client.do_get(asked(provider, ticket)).read_all()
    assert provider.streams.count == 0


def test_a_door_that_refused_often_still_serves(provider: Provider, client: fl.FlightClient) -> None:
    ticket = provider.ticket(TABLE)
    for _ in range(5):
        with pytest.raises(fl.FlightServerError):
            client.do_get(fl.Ticket(b"nonsense")).read_all()
    assert client.do_get(asked(provider, ticket)).read_all().num_rows == ROWS


def test_tickets_are_read_strictly() -> None:
    for wrong in (
        b"",
        b"[]",
        b'{"x": 1}',
        b'{"start": "1"}',
        b'{"columns": [1]}',
        b"{" * 10_000,
        b"x" * 40_000,
        b"\xff",
    ):
        with pytest.raises(Malformed):
            read_ticket(wrong)
    with pytest.raises(Unauthenticated):
        read_ticket(b"{}")
    assert read_ticket(b'{"authorization": "Bearer t"}')["authorization"] == "t"


def test_clients_that_leave_before_the_first_batch_hold_no_slot(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = provider.ticket(TABLE)
    opened, real, left = [], provider.streams.open, threading.Event()

    def slowly(*arguments: Any) -> OpenStream:
        stream = real(*arguments)
        opened.append(stream.id)
        assert left.wait(PATIENCE)
        return stream

    door = FlightDoor(streams=provider.streams, most_streams=2)
    host, port = door.start()
    with fl.connect(f"grpc://{host}:{port}") as connected:
        with monkeypatch.context() as patched:
            patched.setattr(provider.streams, "open", slowly)
            for count in range(6):
                left.clear()
                while len(opened) <= count:  # who gave up before the door took the call up is no case of this
                    with pytest.raises(fl.FlightTimedOutError):
                        connected.do_get(
                            asked(provider, ticket), fl.FlightCallOptions(timeout=0.2)
                        ).read_all()
                left.set()
                until(lambda: provider.streams.count == 0)
        until(lambda: door._server is not None and door._server._free._value == 2)
        assert connected.do_get(asked(provider, ticket)).read_all().num_rows == ROWS
    door.stop()


def test_what_is_sent_lets_go_once(provider: Provider) -> None:
    stream = provider.streams.open(provider.ticket(TABLE))
    free = threading.Semaphore(0)
    sent = _Sent(stream, None, stream.batches(), free=free, stopping=threading.Event())
    batch = next(sent)
    assert isinstance(batch, pa.RecordBatch)
    assert batch.num_rows
    sent.close()
    sent.close()
    del sent
    assert free._value == 1
    assert provider.streams.count == 0
