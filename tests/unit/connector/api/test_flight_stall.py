"""A Flight reader that takes nothing is given up, and others have its place."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.flight as fl
import pytest

from connector.api import flight
from connector.api.flight import FlightDoor
from schemas.usage import UsageKind
from tests.streaming import Provider

ROWS = 48_000
BLOBS = pa.table({"id": range(ROWS), "text": ["x" * 1000] * ROWS})  # more than gRPC takes ahead of a reader


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path, block_rows=1000, batch_bytes=1 << 20)
    yield made
    made.close()


@pytest.fixture
def location(provider: Provider) -> Iterator[str]:
    door = FlightDoor(streams=provider.streams, most_streams=1, stall_seconds=0.2)
    host, port = door.start()
    yield f"grpc://{host}:{port}"
    door.stop()


def asked(provider: Provider, ticket: str, start: int = 0) -> fl.Ticket:
    said = {"transfer": provider.transfer, "authorization": ticket, "start": start}
    return fl.Ticket(json.dumps(said).encode())


def served(client: fl.FlightClient, ticket: fl.Ticket) -> fl.FlightStreamReader:
    """Ask until there is a place: it is free a moment after the stream that had it has ended."""
    found: list[fl.FlightStreamReader] = []

    def asks() -> bool:
        with suppress(fl.FlightUnavailableError):
            found.append(client.do_get(ticket))
        return bool(found)

    until(asks)
    return found[0]


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until another thread has done its part."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_reader_that_takes_nothing_is_given_up_with_a_reason_and_goes_on_where_it_was(
    provider: Provider, location: str
) -> None:
    ticket = provider.ticket(BLOBS)
    with fl.connect(location) as lazy, fl.connect(location) as keen:
        reader = lazy.do_get(asked(provider, ticket))
        rows = reader.read_chunk().data.num_rows
        with pytest.raises(fl.FlightUnavailableError, match="as many streams are open"):
            keen.do_get(asked(provider, ticket)).read_all()
        until(lambda: provider.streams.count == 0)
        (settled,) = [one for one in provider.records() if one.kind is UsageKind.STREAM_SETTLED]
        assert settled.detail["end"] == "failed"
        assert settled.detail["reason"] == "the reader took no batch for 0.6 s; go on from where it was"
        assert settled.rows is not None
        assert 0 < settled.rows < ROWS

        last = served(keen, asked(provider, ticket, ROWS - 10)).read_all()
        assert last["id"].to_pylist() == list(range(ROWS - 10, ROWS)), "its place is free"

        taken: list[int] = []
        with pytest.raises(fl.FlightUnavailableError, match=r"took no batch for 0\.6 s") as caught:
            taken.extend(chunk.data.num_rows for chunk in reader)
        rows += sum(taken)
        assert rows <= settled.rows, "what had left for gRPC before may arrive, and nothing after"
        assert json.loads(caught.value.extra_info)["rows"] == settled.rows
        rest = keen.do_get(asked(provider, ticket, rows)).read_all()
        assert rest["id"].to_pylist() == list(range(rows, ROWS))


def test_a_reader_that_is_slow_but_takes_batch_after_batch_is_not_given_up(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(flight, "time", SimpleNamespace(monotonic=lambda: now[0]))
    stream = provider.streams.open(provider.ticket(BLOBS.slice(0, 8_000)))
    batches = stream.batches()
    sent = flight._Sent(
        stream, next(batches), batches, free=threading.Semaphore(0), stopping=threading.Event()
    )
    rows = 0
    for item in sent:
        batch = item[0] if isinstance(item, tuple) else item
        rows += batch.num_rows
        now[0] += 179.0
        sent.give_up(180.0)
    assert rows == 8_000
    assert stream.end is not None
    assert stream.end.kind == "complete"


def test_readers_that_were_given_up_hold_only_so_many_calls(provider: Provider, location: str) -> None:
    ticket = provider.ticket(BLOBS)
    lazy = [fl.connect(location) for _ in range(4)]
    readers = []
    try:
        for client in lazy:
            readers.append(served(client, asked(provider, ticket)))
            readers[-1].read_chunk()
            until(lambda: provider.streams.count == 0)
        with fl.connect(location) as one_more:
            with pytest.raises(fl.FlightUnavailableError, match="too many readers take nothing"):
                one_more.do_get(asked(provider, ticket)).read_all()
            readers.pop().cancel()
            assert served(one_more, asked(provider, ticket, ROWS - 1)).read_all().num_rows == 1
    finally:
        for reader in readers:
            reader.cancel()
        for client in lazy:
            client.close()
