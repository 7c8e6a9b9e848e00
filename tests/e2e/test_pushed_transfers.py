"""A provider pushes over DSP: to the sink of its consumer, under the agreement, and nowhere else."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.negotiation.ports import Negotiation
from connector.offering.describe import Publication
from connector.transfer.ports import Transfer
from policies.words.carried import in_words
from policies.words.language import Language
from schemas.dsp.negotiation import NegotiationState as N
from schemas.dsp.transfer import DataAddress, EndpointProperty
from schemas.dsp.transfer import TransferState as T
from schemas.odrl import Offer
from schemas.usage import UsageKind
from schemas.vocab import ENDPOINT_HTTP, FORMAT_HTTP_PUSH, HANSA
from tests.faulty_space import FaultySpace, Side, faulty_space
from tests.signaling import until

pytestmark = pytest.mark.e2e

LONGEST = 30.0
PEOPLE = pa.table(
    {
        "id": pa.array(range(2000)),
        "age": pa.array([at % 80 for at in range(2000)]),
        "name": [f"person {at}" for at in range(2000)],
    }
)
ADULTS = [
    {
        "action": "use",
        "constraint": [
            {"leftOperand": f"{HANSA}columns", "operator": "isAnyOf", "rightOperand": ["id", "age"]},
            {"leftOperand": f"{HANSA}column/age", "operator": "gteq", "rightOperand": 18},
        ],
    }
]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultySpace]:
    """Two connectors that push, over a network without faults; both offer "adults" and "noise"."""
    home = tmp_path_factory.mktemp("pushing")
    with faulty_space(home, None, more={"transfer": {"most_pushes": 2}}) as made:
        for side in made.sides:
            data = home / side.name / "data"
            pq.write_table(PEOPLE, data / "adults.parquet")
            noise = pa.table({"noise": [random.Random(at).randbytes(1 << 16) for at in range(800)]})
            pq.write_table(noise, data / "noise.parquet", row_group_size=50)
            terms: dict[str, list[dict[str, Any]]] = {"adults": ADULTS, "noise": [{"action": "use"}]}
            offered = [
                Publication(
                    source=f"{name}.parquet",
                    title=f"The {name} one",
                    offers=(Offer.read({"@id": "", "permission": permission}),),
                )
                for name, permission in terms.items()
            ]
            assert len(side.connector.offerings.publish(offered).published) == 2
        yield made


def agreed(consumer: Side, provider: Side, text: str) -> str:
    asked = consumer.ask(provider, text)
    done: Negotiation = consumer.connector.negotiations.wait(asked.pid, {N.FINALIZED}, LONGEST)
    assert done.agreement is not None, done
    return done.agreement.id


def push(space: FaultySpace, text: str, address: DataAddress | None = None) -> Transfer:
    """Ask for a push, to our own sink or to another address."""
    consumer, provider = space.sides
    room = consumer.connector.transfers
    agreement, own = agreed(consumer, provider, text), room._sinks
    if address is not None:
        room._sinks = lambda _pid, _format: address
    try:
        return room.request(agreement, None, FORMAT_HTTP_PUSH)
    finally:
        room._sinks = own


def mirror(space: FaultySpace, transfer: Transfer) -> Transfer:
    """The provider's record of a transfer."""
    consumer, provider = space.sides
    found = until(
        lambda: provider.connector.stores.transfers.find(consumer.did, transfer.pid), "the provider's record"
    )
    assert isinstance(found, Transfer)
    return found


def told(side: Side, transfer: str) -> list[UsageKind]:
    return [record.kind for record in side.records() if record.transfer == transfer]


@contextmanager
def sink(answer: bytes, *, stops_after: int | None = None) -> Iterator[tuple[DataAddress, list[int], Any]]:
    """A sink that counts what arrives on each connection; after so many bytes it takes no more until told."""
    listener = socket.create_server(("127.0.0.1", 0))
    counts: list[int] = []
    going = threading.Event()

    def serve(line: socket.socket) -> None:
        at = len(counts)
        counts.append(0)
        line.settimeout(LONGEST)
        tail = b""
        with line, suppress(OSError):
            while not tail.endswith(b"0\r\n\r\n"):
                if stops_after is not None and counts[at] >= stops_after and not going.wait(LONGEST):
                    return
                data = line.recv(1 << 16)
                if not data:
                    return
                counts[at] += len(data)
                tail = (tail + data)[-5:]
            line.sendall(answer)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield to(f"http://127.0.0.1:{listener.getsockname()[1]}/in"), counts, going
    finally:
        going.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def to(url: str) -> DataAddress:
    given = (("authorization", "a-pass"), ("authType", "bearer"))
    properties = tuple(EndpointProperty(name=name, value=value) for name, value in given)
    return DataAddress(endpoint_type=ENDPOINT_HTTP, endpoint=url, endpoint_properties=properties)


TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_what_is_pushed_arrives_under_the_agreement_is_counted_and_completes_both_sides(
    space: FaultySpace,
) -> None:
    consumer, provider = space.sides
    asked = push(space, "adults")
    done = consumer.connector.transfers.wait(asked.pid, {T.COMPLETED}, LONGEST)
    assert (done.state, done.problem) == (T.COMPLETED, None)
    until(lambda: mirror(space, asked).state is T.COMPLETED, "the provider's completion")
    assert done.received is not None
    file = consumer.connector.settings.data_dir / "received" / done.received.file
    with pa.ipc.open_stream(file.read_bytes()) as stream:
        table = stream.read_all()
    expected = PEOPLE.filter(pa.compute.greater_equal(PEOPLE["age"], 18)).select(["id", "age"])
    assert table.to_pydict() == expected.to_pydict()
    assert done.received.rows == expected.num_rows
    assert done.address is None, "the consumer of a push has no pass to pull with"
    records = [one for one in provider.records() if one.transfer == mirror(space, asked).pid]
    settled = [one for one in records if one.kind is UsageKind.STREAM_SETTLED]
    assert [one.rows for one in settled] == [expected.num_rows]
    report = provider.audit()
    assert report.holds, report.findings


def test_the_catalogue_tells_that_it_is_pushed(space: FaultySpace) -> None:
    dataset, _ = space.sides[1].offer("adults")
    told_formats = [one.format for one in space.sides[1].connector.offerings.dataset(dataset).distribution]
    assert FORMAT_HTTP_PUSH in told_formats


@pytest.mark.parametrize(
    "url", ["http://10.1.2.3/in", "https://169.254.169.254/latest", "file:///etc/passwd"]
)
def test_an_inner_address_is_not_pushed_to_and_the_consumer_learns_nothing_of_our_network(
    space: FaultySpace, url: str
) -> None:
    consumer, _ = space.sides
    asked = push(space, "adults", to(url))
    done = consumer.connector.transfers.wait(asked.pid, {T.TERMINATED}, LONGEST)
    held = mirror(space, asked)
    assert (done.state, held.state) == (T.TERMINATED, T.TERMINATED)
    assert done.problem == f"not-pushed, says {space.sides[1].did}"
    assert done.reasons == (
        "the address of the request did not take the data; ask for a new transfer, or pull",
    )
    assert in_words(done.reasons[0], Language.DE).startswith("die Adresse der Anfrage")
    assert (held.problem or "").startswith("not-pushed: ")
    assert url.split("/")[2] in (held.problem or "")
    assert UsageKind.STREAM_RESERVED not in told(space.sides[1], held.pid), "nothing was counted"


def test_a_sink_that_refuses_ends_the_transfer_and_what_left_counts(space: FaultySpace) -> None:
    with sink(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nsecrets") as (address, counts, _):
        asked = push(space, "adults", address)
        done = space.sides[0].connector.transfers.wait(asked.pid, {T.TERMINATED}, LONGEST)
    held = mirror(space, asked)
    assert done.state is T.TERMINATED
    assert "403" in (held.problem or "")
    assert "403" not in " ".join(done.reasons)
    assert len(counts) == 1, "what broke off after data left is not sent again"


@pytest.mark.parametrize("at_once", [False, True])
def test_a_push_that_is_suspended_stops_and_begins_anew_when_it_is_resumed(
    space: FaultySpace, at_once: bool
) -> None:
    provider = space.sides[1].connector.transfers
    with sink(TAKEN, stops_after=1 << 20) as (address, counts, going):
        asked = push(space, "noise", address)
        until(lambda: counts and counts[0] >= 1 << 20, "the first megabyte")
        held = mirror(space, asked)
        provider.suspend(held.pid, "a break")
        if not at_once:
            until(lambda: mirror(space, asked).pushing is None, "the end of the push")
            assert mirror(space, asked).state is T.SUSPENDED
        going.set()
        provider.start(held.pid)
        done = space.sides[0].connector.transfers.wait(asked.pid, {T.COMPLETED}, LONGEST)
        assert done.state is T.COMPLETED, done
    assert len(counts) == 2
    assert counts[0] < counts[1]
    assert counts[1] > 50_000_000


def test_a_push_that_the_consumer_ends_breaks_off(space: FaultySpace) -> None:
    with sink(TAKEN, stops_after=1 << 20) as (address, counts, _):
        asked = push(space, "noise", address)
        until(lambda: counts and counts[0] >= 1 << 20, "the first megabyte")
        space.sides[0].connector.transfers.terminate(asked.pid, "enough")
        until(lambda: mirror(space, asked).state is T.TERMINATED, "the end at the provider")
        until(lambda: mirror(space, asked).pushing is None, "the end of the push")
    assert counts[0] < 50_000_000
    assert mirror(space, asked).problem == f"terminated, says {space.sides[0].did}"


def test_who_does_not_push_says_which_formats_are_served(tmp_path: Path) -> None:
    with faulty_space(tmp_path, None) as made:
        consumer, provider = made.sides
        room = consumer.connector.transfers
        asked = room.request(agreed(consumer, provider, "open"), None, FORMAT_HTTP_PUSH)
        done = room.wait(asked.pid, {T.TERMINATED}, LONGEST)
        assert done.state is T.TERMINATED
        assert "served: ArrowStream-PULL" in " ".join(done.reasons)
        assert provider.connector.stores.transfers.find(consumer.did, asked.pid) is None
