"""The database goes away under load and comes back: all goes on by itself, nothing lost, nothing twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.adapters.keys import load_or_create_key
from connector.app.world import new_urn, utc_now
from connector.client.stream import Access, DataStream
from connector.offering.describe import Publication
from connector.settings import KEY_FILE
from connector.transfer.ports import Transfer
from schemas.binding.client import Egress, Http, Reply
from schemas.dsp.negotiation import NegotiationState as N
from schemas.dsp.transfer import TransferState as T
from schemas.errors import Unavailable
from schemas.identity import self_issued
from schemas.odrl import Offer
from schemas.usage import UsageKind
from schemas.vocab import FORMAT_ARROW_HTTP
from tests.e2e.test_faults import findings, is_quiet, wait_for
from tests.faulty_space import LOOPBACK, FaultySpace, Side, doubled, faulty_space
from tests.postgres import Server

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

AT_ONCE = 8
COUNT = 60
BIG = 6_000_000
"""Rows of the stream: more than all buffers between provider and reader hold."""

T_ = TypeVar("T_")


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this test's own: the session's serves other tests too."""
    made = Server()
    try:
        made.start()
        with psycopg.connect(f"{made.url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE hamburg")
        yield made
    finally:
        made.remove()


def patiently(ask: Callable[[], T_]) -> T_:
    """Call as a person does who is told to try again later."""
    while True:
        try:
            return ask()
        except Unavailable:
            time.sleep(0.05)


def started(consumer: Side, provider: Side, text: str) -> Transfer:
    """Negotiate and open a transfer, however often the database goes away meanwhile."""
    parts = consumer.connector
    asked = patiently(lambda: consumer.ask(provider, text))
    agreed = patiently(lambda: parts.negotiations.wait(asked.pid, {N.FINALIZED}, 60))
    assert agreed.agreement is not None, agreed
    agreement = agreed.agreement.id
    opened = patiently(lambda: parts.transfers.request(agreement, None, FORMAT_ARROW_HTTP))
    return patiently(lambda: parts.transfers.wait(opened.pid, {T.STARTED}, 60))


def live(space: FaultySpace, number: int) -> None:
    """Negotiate, transfer and complete."""
    consumer = space.sides[number % 2]
    transfer = started(consumer, space.other(consumer), "open")
    assert transfer.state is T.STARTED, transfer
    with_end = consumer.connector.transfers
    patiently(lambda: with_end.own(transfer.pid).state is T.COMPLETED or with_end.complete(transfer.pid))


class Reader:
    """An AI developer in the middle of a stream: takes the first batch, and the others when told to."""

    def __init__(self, transfer: Transfer) -> None:
        address = transfer.address
        assert address is not None
        self.stream = DataStream(
            Access(
                endpoint=str(address.endpoint),
                ticket=str(address.property("authorization")),
                dataset=transfer.dataset,
                agreement=transfer.agreement,
                egress=Egress.allowing(LOOPBACK),
                timeout=20.0,
            )
        )
        self.expected = 0
        self.problem: BaseException | None = None
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._read, name="reader", daemon=True)

    def _read(self) -> None:
        try:
            for batch in self.stream:
                numbers = batch.column("id")
                assert numbers[0].as_py() == self.expected, "no row twice, none left out"
                self.expected += batch.num_rows
                assert numbers[-1].as_py() == self.expected - 1
                self.begun.set()
                self.go_on.wait(60)
        except BaseException as error:
            self.problem = error
        finally:
            self.begun.set()
            self.stream.close()


def publish_big(side: Side) -> None:
    """Offer a table that is larger than what waits in sockets."""
    (root,) = side.connector.settings.data.roots
    table = pa.table({"id": pa.array(range(BIG), pa.int64()), "value": pa.array([0.5] * BIG)})
    pq.write_table(table, root / "big.parquet", row_group_size=1 << 17)
    offer = Offer.read({"@id": "", "permission": [{"action": "use"}]})
    report = side.connector.offerings.publish(
        [Publication(source="big.parquet", title="A big one", offers=(offer,))]
    )
    assert report.published, report


def knock(side: Side, caller: Side, path: str) -> Reply:
    """Ask a door of a connector: its management, or the protocol in the name of a peer."""
    token = side.api_key
    if path.startswith("/dsp"):
        key = load_or_create_key(caller.connector.settings.data_dir / KEY_FILE)
        token = self_issued(key, caller.did, side.did, jti=new_urn(), at=utc_now())
    http = Http(Egress.allowing(LOOPBACK))
    try:
        return http.get(side.backend + path, {"Authorization": f"Bearer {token}"})
    finally:
        http.close()


@pytest.mark.parametrize("immediate", [False, True], ids=["fast", "immediate"])
def test_a_database_that_restarts_under_load_costs_patience_and_nothing_else(
    tmp_path: Path, server: Server, immediate: bool
) -> None:
    databases = {"hamburg": f"{server.url}/hamburg"}
    with faulty_space(tmp_path, None, databases, patience=120, total=10) as space:
        hamburg, bremen = space.sides
        publish_big(hamburg)
        reader = Reader(started(bremen, hamburg, "big"))
        reader.thread.start()
        assert reader.begun.wait(30)
        with ThreadPoolExecutor(AT_ONCE) as crowd:
            lives = [crowd.submit(live, space, number) for number in range(COUNT)]
            assert wait_for(lambda: sum(one.done() for one in lives) > COUNT // 10, 60)
            server.stop(immediate=immediate)
            reader.go_on.set()
            for path in ("/management/status", "/readyz", "/dsp/2025-1/negotiations/urn:uuid:none"):
                told = knock(hamburg, bremen, path)
                assert told.status == 503, (path, told.status, told.body)
                assert told.headers["retry-after"] == "5"
                assert b"storage-unavailable" in told.body
            assert wait_for(lambda: hamburg.connector.doors._streams.count == 0, 20), "the stream broke off"
            server.start()
            assert wait_for(lambda: sum(one.done() for one in lives) > COUNT // 2, 90)
            server.stop(immediate=immediate)
            server.start()
            for one in lives:
                one.result()
        reader.thread.join(90)
        assert reader.problem is None, reader.problem
        assert reader.expected == BIG
        assert wait_for(lambda: is_quiet(space), 60), hamburg.connector.outbox.pending()
        everything_holds(space, reader.stream.agreement)


def is_well(side: Side) -> bool:
    """Say whether the log takes back its complaint: its thread waits a second before it tries again."""
    return side.connector.usage.health().problem is None


def everything_holds(space: FaultySpace, agreement: str) -> None:
    """Every process ended alike on both sides; every row that left is in the log, and settled."""
    wrong, pairs = findings(space)
    assert not wrong, "\n".join(wrong)
    assert dict(pairs) == {
        "negotiation FINALIZED / FINALIZED": COUNT + 1,
        "transfer COMPLETED / COMPLETED": COUNT,
        "transfer STARTED / STARTED": 1,
    }
    hamburg = space.sides[0]
    settled = [
        record
        for record in hamburg.records()
        if record.kind is UsageKind.STREAM_SETTLED and record.agreement == agreement
    ]
    assert len(settled) >= 2, "the stream was interrupted, and went on as another one"
    assert len({record.stream for record in settled}) == len(settled)
    used = hamburg.connector.usage.totals(agreement).rows
    assert used == sum(record.rows or 0 for record in settled) >= BIG
    for side in space.sides:
        assert not doubled(side.records())
        assert wait_for(partial(is_well, side), 30), side.connector.usage.health()
        report = side.audit()
        assert report.holds, [str(finding) for finding in report.findings]
