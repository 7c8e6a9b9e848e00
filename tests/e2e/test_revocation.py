"""What ends under the hands of a reader: from another process, on both databases, to the exact batch."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.flight as fl
import pytest

from connector.adapters.sources import ParquetSources
from connector.api.flight import FlightDoor
from connector.dataplane.stream import OpenStream
from connector.dataplane.watch import Watcher
from policies.use import NO_CLAIMS, Claims
from schemas.errors import DataspaceError, Forbidden, StreamEnded, Unavailable
from schemas.odrl import Offer
from schemas.usage import UsageKind, UsageRecord
from schemas.vocab import HANSA
from tests.postgres import Server
from tests.revoker import Revoker, revoker
from tests.streaming import CONSUMER, Provider, limit
from tests.unit.connector.api.test_slow_readers import BLOBS, slowly, until

pytestmark = pytest.mark.e2e

ROWS = 40_000
TABLE = pa.table({"id": pa.array(range(ROWS), pa.int64()), "text": ["x" * 20] * ROWS})
PATIENCE = 20.0


class Gate:
    """Lets a scan give out so many batches; then it blocks, as in a long filter, until it is interrupted.

    What it gives out after that shows whether anybody would let it leave.
    """

    def __init__(self, sources: ParquetSources, most: int) -> None:
        self._sources, self._most = sources, most
        self.blocked, self.interrupted = threading.Event(), threading.Event()

    def scan(self, source: str, plan: Any, request: Any) -> GatedScan:
        return GatedScan(self, self._sources.scan(source, plan, request))

    def tally(self, *of: Any, **named: Any) -> Any:
        return self._sources.tally(*of, **named)

    def passing(self, batches: Iterator[Any]) -> Iterator[Any]:
        for number, batch in enumerate(batches):
            if number == self._most:
                self.blocked.set()
                assert self.interrupted.wait(PATIENCE)
            yield batch


class GatedScan:
    def __init__(self, gate: Gate, real: Any) -> None:
        self._gate, self._real = gate, real
        self.schema = real.schema

    def batches(self) -> Iterator[Any]:
        return self._gate.passing(self._real.batches())

    def interrupt(self) -> None:
        self._gate.interrupted.set()

    def close(self) -> None:
        self._real.close()


@pytest.fixture
def provider(tmp_path: Path, stores_url: str) -> Iterator[Provider]:
    made = Provider(tmp_path, block_rows=1 << 20, database=stores_url)
    with made.watching():
        yield made
    made.close()


@pytest.fixture
def elsewhere(provider: Provider) -> Iterator[Revoker]:
    """Another process on the same database."""
    with revoker(str(provider.database)) as running:
        yield running


def settled(provider: Provider) -> UsageRecord:
    """The record of the one stream; its reader may hear of the end a moment before it is saved."""
    found: list[UsageRecord] = []

    def saved() -> bool:
        found[:] = [one for one in provider.records() if one.kind is UsageKind.STREAM_SETTLED]
        return bool(found)

    until(saved, PATIENCE)
    (record,) = found
    return record


def opened(provider: Provider) -> OpenStream:
    (found,) = provider.streams.opened
    return found


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("what", ["revoke", "bump", "suspend"])
def test_after_batch_n_exactly_n_leave_though_the_scan_is_stuck(
    provider: Provider, elsewhere: Revoker, most: int, what: str
) -> None:
    ticket = provider.ticket(TABLE, row_group_size=4096)
    provider.streams._scans = gate = Gate(provider.sources, most)
    read: list[pa.RecordBatch] = []
    with provider.door(), provider.client(ticket) as stream:
        for _ in range(most):
            read.append(next(iter(stream)))
        assert gate.blocked.wait(PATIENCE)
        elsewhere(what, provider.transfer if what == "suspend" else provider.agreement, "the patient said no")
        with pytest.raises(StreamEnded, match="the patient said no") as ended:
            read.extend(stream)
    assert ended.value.end == ("suspended" if what == "suspend" else "revoked")
    assert len(read) == most
    rows = sum(batch.num_rows for batch in read)
    assert ended.value.rows == rows
    record = settled(provider)
    assert (record.rows, record.detail["end"]) == (rows, ended.value.end)
    assert "the patient said no" in str(record.detail["reason"])
    told = "stands at epoch 1" if what == "bump" else "the patient said no"
    with (
        provider.door(),
        provider.client(ticket) as again,
        pytest.raises(DataspaceError, match=told),
    ):
        again.read_all()
    assert provider.stores.usage.totals(provider.agreement).rows == rows


def test_a_flight_ends_after_exactly_its_batches_with_the_reason(
    provider: Provider, elsewhere: Revoker
) -> None:
    ticket = provider.ticket(TABLE, row_group_size=4096)
    provider.streams._scans = gate = Gate(provider.sources, 2)
    door = FlightDoor(streams=provider.streams)
    host, port = door.start()
    said = json.dumps({"transfer": provider.transfer, "authorization": ticket}).encode()
    rows = []
    try:
        with fl.connect(f"grpc://{host}:{port}") as client:
            reader = client.do_get(fl.Ticket(said))
            rows = [reader.read_chunk().data.num_rows for _ in range(2)]
            assert gate.blocked.wait(PATIENCE)
            elsewhere("revoke", provider.agreement, "the patient said no")
            with pytest.raises(fl.FlightCancelledError, match="the patient said no"):
                reader.read_chunk()
    finally:
        door.stop()
    assert (settled(provider).rows, settled(provider).detail["end"]) == (sum(rows), "revoked")


def test_a_reader_that_takes_nothing_puts_neither_the_end_nor_its_record_off(
    tmp_path: Path, stores_url: str
) -> None:
    wide = Provider(tmp_path, block_rows=1 << 20, batch_bytes=16 << 20, database=stores_url)
    ticket = wide.ticket(BLOBS)
    with (
        wide.watching(),
        revoker(str(wide.database)) as elsewhere,
        wide.door() as door,
        slowly(wide, ticket) as connection,
    ):
        elsewhere("revoke", wide.agreement, "contract breach")
        # Nothing is read meanwhile: the door has to notice by itself, stuck in a write as it is.
        until(lambda: not door._connections, PATIENCE)
        assert settled(wide).detail["end"] == "revoked"
        data = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert len(data) < 1 << 20
        assert not data.endswith(b"0\r\n\r\n")
    wide.close()


def test_a_member_that_leaves_the_list_loses_its_streams_and_opens_none(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, row_group_size=4096)
    provider.streams._scans = gate = Gate(provider.sources, 1)
    with provider.door():
        with provider.client(ticket) as stream:
            next(iter(stream))
            assert gate.blocked.wait(PATIENCE)
            provider.standing = lambda did: f"{did} is no member of this data space"
            with pytest.raises(StreamEnded, match=f"{CONSUMER} is no member") as ended:
                list(stream)
            assert ended.value.end == "suspended"
        with provider.client(ticket) as again, pytest.raises(Forbidden, match="is no member"):
            again.read_all()


def test_a_member_list_that_cannot_be_had_breaks_streams_off_that_may_come_again(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, row_group_size=4096)
    provider.streams._scans = gate = Gate(provider.sources, 1)

    def unknown(_did: str) -> str | None:
        raise Unavailable("the member list has expired and cannot be had anew")

    stream = provider.streams.open(ticket)
    batches = stream.batches()
    next(batches)
    provider.standing = unknown
    assert next(batches, None) is None
    assert gate.interrupted.is_set()
    assert stream.end is not None
    assert (stream.end.kind, stream.end.passing) == ("failed", True)


IN_WARDS = Claims(groups=frozenset({"wards", "labs"}), region="DE", listed=True)
GROUPED = {"leftOperand": HANSA + "participantGroup", "operator": "isPartOf", "rightOperand": "wards"}


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (Claims(groups=frozenset({"labs"}), region="DE", listed=True), "is not known to be in wards"),
        (NO_CLAIMS, "is not known to be in wards"),
    ],
)
def test_a_member_of_whom_less_is_stated_loses_what_hung_on_it(
    provider: Provider, claims: Claims, why: str
) -> None:
    provider.claims = IN_WARDS
    ticket = provider.ticket(TABLE, GROUPED, row_group_size=4096)
    provider.streams._scans = gate = Gate(provider.sources, 1)
    with provider.door():
        with provider.client(ticket) as stream:
            first = next(iter(stream))
            assert gate.blocked.wait(PATIENCE)
            provider.claims = claims
            with pytest.raises(StreamEnded, match=f"states of {CONSUMER} has changed: .*{why}") as ended:
                list(stream)
            assert (ended.value.end, ended.value.rows) == ("suspended", first.num_rows)
        with provider.client(ticket) as again, pytest.raises(Forbidden, match=why):
            again.read_all()
    assert (settled(provider).rows, settled(provider).detail["end"]) == (first.num_rows, "suspended")


def test_a_member_whose_rows_become_others_opens_its_stream_anew(provider: Provider) -> None:
    own = Offer.read(
        {
            "@id": "",
            "permission": [
                {"action": "use", "constraint": [limit("column/id", "lt", ROWS // 2)]},
                {"action": "use", "constraint": [GROUPED]},
            ],
        }
    )
    provider.claims = IN_WARDS
    ticket = provider.grant(provider.publish(TABLE, own, row_group_size=4096).published[0], own)
    provider.streams._scans = gate = Gate(provider.sources, 1)
    with provider.door(), provider.client(ticket) as stream:
        next(iter(stream))
        assert gate.blocked.wait(PATIENCE)
        provider.claims = Claims(region="DE", listed=True)
        with pytest.raises(StreamEnded, match="with it what may be read; open the stream anew"):
            list(stream)
    provider.streams._scans = provider.sources
    assert provider.read(ticket).num_rows == ROWS // 2


def test_claims_on_which_nothing_hangs_may_change(provider: Provider) -> None:
    provider.claims = IN_WARDS
    ticket = provider.ticket(
        TABLE,
        GROUPED,
        limit("rowCount", "lteq", ROWS),
        limit("elapsedSinceDelivery", "lteq", "P7D"),
        row_group_size=4096,
    )
    with provider.streams.open(ticket) as stream:
        batches = stream.batches()
        rows = next(batches)[0].num_rows
        provider.claims = Claims(groups=frozenset({"wards"}), region="FR", listed=True)
        changes = provider.stores.changes()
        watcher = Watcher(
            changes=lambda: changes,
            opened=lambda: provider.streams.opened,
            standing=lambda _: None,
            claims=lambda _: provider.claims,
        )
        watcher.look(changes)
        changes.close()
        rows += sum(batch.num_rows for batch, _ in batches)
        assert stream.end is not None
        assert (stream.end.kind, rows) == ("complete", ROWS)


@pytest.mark.postgres
def test_the_watch_goes_on_after_the_database_was_away(tmp_path: Path) -> None:
    server = Server()
    try:
        server.start()
        with psycopg.connect(f"{server.url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE hamburg")
        provider = Provider(tmp_path, database=f"{server.url}/hamburg")
        ticket = provider.ticket(TABLE, row_group_size=4096)
        provider.streams._scans = gate = Gate(provider.sources, 1)
        with provider.watching(), provider.door(), provider.client(ticket) as stream:
            next(iter(stream))
            assert gate.blocked.wait(PATIENCE)
            server.stop()
            time.sleep(1.0)  # the watcher meets a database that is away, more than once
            assert len(provider.streams.opened) == 1
            server.start()
            with revoker(str(provider.database)) as elsewhere:
                elsewhere("revoke", provider.agreement, "the patient said no")
                with pytest.raises(StreamEnded, match="the patient said no"):
                    list(stream)
        provider.close()
    finally:
        server.remove()


def test_a_flight_reader_that_takes_nothing_puts_neither_the_end_nor_its_record_off(
    tmp_path: Path, stores_url: str
) -> None:
    wide = Provider(tmp_path, block_rows=1 << 20, batch_bytes=1 << 20, database=stores_url)
    # gRPC takes ahead what it finds the line good for, up to some 16 MB: much more than that has to be there.
    blobs = pa.concat_tables([BLOBS] * 8)
    ticket = wide.ticket(blobs, row_group_size=1024)
    door = FlightDoor(streams=wide.streams, most_streams=1)
    host, port = door.start()
    said = fl.Ticket(json.dumps({"transfer": wide.transfer, "authorization": ticket}).encode())
    try:
        with (
            wide.watching(),
            revoker(str(wide.database)) as elsewhere,
            fl.connect(f"grpc://{host}:{port}") as client,
        ):
            reader = client.do_get(said)
            got = [reader.read_chunk().data.num_rows]
            (stream,) = wide.streams.opened
            before = -1
            while stream.position != before:  # until the door is stuck in a write
                before = stream.position
                time.sleep(0.2)
            elsewhere("revoke", wide.agreement, "contract breach")
            assert settled(wide).detail["end"] == "revoked"
            assert wide.streams.opened == []
            with pytest.raises(fl.FlightCancelledError, match="contract breach"):
                got.extend(chunk.data.num_rows for chunk in reader)
            assert sum(got) <= (settled(wide).rows or 0) < blobs.num_rows
            # Its slot is free again for who may read.
            with pytest.raises(fl.FlightUnauthorizedError, match="contract breach"):
                client.do_get(said).read_all()
    finally:
        door.stop()
        wide.close()


def test_all_streams_are_halted_before_the_first_of_them_is_settled(tmp_path: Path, stores_url: str) -> None:
    provider = Provider(tmp_path, database=stores_url)
    ticket = provider.ticket(TABLE, row_group_size=4096)
    streams = [provider.streams.open(ticket) for _ in range(4)]
    reading = [stream.batches() for stream in streams]
    for batches in reading:
        next(batches)
    seen: list[list[bool]] = []
    real = provider.usage.settle

    def settle(*arguments: Any) -> None:
        seen.append([stream.end is not None for stream in streams])
        real(*arguments)

    provider.usage.settle = settle  # type: ignore[method-assign]
    provider.stores.negotiations.revoke(provider.agreement, "the patient said no")
    changes = provider.stores.changes()
    watcher = Watcher(
        changes=lambda: changes,
        opened=lambda: provider.streams.opened,
        standing=lambda _: None,
        claims=lambda _: NO_CLAIMS,
    )
    watcher.look(changes)
    changes.close()
    assert seen == [[True] * 4] * 4
    assert provider.streams.opened == []
    provider.close()
