"""One gigabyte through each one's own data plane: ours streams Arrow, EDC's pushes bytes to a URL."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow.parquet as pq

from connector.client.stream import Access, DataStream
from schemas.binding.client import Egress
from tests.bench.edc import table
from tests.bench.edc.cases import MEGA, tell
from tests.bench.edc.clients import Failed
from tests.bench.edc.eclipse import PUSH, Edc
from tests.bench.edc.hansa import Hansa
from tests.bench.edc.peer import WAIT_SECONDS, Peer
from tests.bench.edc.table import Column
from tests.bench.stream import table as rows_of

SIZE = 1_000_000_000
ROUNDS = 5
PIECE = 1 << 20
LAST_CHUNK = b"0\r\n\r\n"
DATASET = "urn:hansa:bench:bulk"
LOOPBACK = Egress.allowing(["127.0.0.0/8", "::1/128"])


def move(column: Column, consumer: Peer, provider: Peer) -> None:
    """Move a gigabyte several times, in the way that the provider has."""
    if isinstance(provider, Hansa):
        _pull(column, consumer, provider)
    elif isinstance(provider, Edc) and isinstance(consumer, Edc):
        _push(column, consumer, provider)


def _pull(column: Column, consumer: Peer, provider: Hansa) -> None:
    """Read a Parquet file as Arrow, as our client does: each batch is checked, each block of rows logged."""
    piece = rows_of()
    with pq.ParquetWriter(provider.data / "bulk.parquet", piece.schema) as file:
        for _ in range(round(SIZE / piece.nbytes)):
            file.write_table(piece)
    refused = provider.post("/publications", {"items": [provider.item(DATASET, "bulk.parquet")]})["refused"]
    if refused:
        raise Failed(f"not published: {refused}")
    agreement = consumer.await_agreement(consumer.ask(provider, DATASET)())
    rates = []
    for _ in range(ROUNDS):
        address = consumer.fetch(provider, agreement)
        told = {each["name"]: each["value"] for each in address["endpointProperties"]}
        access = Access(address["endpoint"], told["authorization"], DATASET, agreement, LOOPBACK)
        begun = time.perf_counter()
        with DataStream(access) as stream:
            moved = sum(batch.nbytes for batch in stream)
        rates.append(moved / (time.perf_counter() - begun) / MEGA)
    column.put(table.PULLED, statistics.median(rates))


class _Bodies:
    """A source that serves a gigabyte, and a sink that counts what is posted to it; the clock of both."""

    def __init__(self) -> None:
        self.piece = b"abcdefghijklmnopqrstuvwxyz012345" * (PIECE // 32)
        self.arrived = threading.Event()
        self.rate = 0.0

    def send(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/octet-stream")
        request.send_header("Content-Length", str(SIZE))
        request.end_headers()
        whole, rest = divmod(SIZE, PIECE)
        for _ in range(whole):
            request.wfile.write(self.piece)
        request.wfile.write(self.piece[:rest])

    def take(self, request: BaseHTTPRequestHandler) -> None:
        """Read a body in big pieces: to look at every chunk would measure this sink."""
        is_chunked = request.headers.get("Transfer-Encoding", "").lower() == "chunked"
        expected = SIZE if is_chunked else int(request.headers["Content-Length"])
        counted, begun, end = 0, time.perf_counter(), b""
        while counted < expected or (is_chunked and end != LAST_CHUNK):
            piece = request.rfile.read1(PIECE)
            if not piece:
                break
            counted, end = counted + len(piece), (end + piece[-5:])[-5:]
        self.rate = SIZE / (time.perf_counter() - begun) / MEGA
        request.send_response(200 if counted >= SIZE else 400)
        request.send_header("Content-Length", "0")
        request.end_headers()
        if counted >= SIZE:
            self.arrived.set()


@contextmanager
def _serving(bodies: _Bodies) -> Iterator[str]:
    """Serve source and sink on loopback until the block ends."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            bodies.send(self)

        def do_POST(self) -> None:
            bodies.take(self)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the rates are what is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="bulk", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _push(column: Column, consumer: Edc, provider: Edc) -> None:
    """Have the provider's data plane carry a body from a source to a sink."""
    bodies = _Bodies()
    with _serving(bodies) as url:
        provider.asset(DATASET, f"{url}/source")
        agreement = consumer.await_agreement(consumer.ask(provider, DATASET)())
        rates = []
        for _ in range(ROUNDS):
            bodies.arrived.clear()
            to_sink = {"type": "HttpData", "baseUrl": f"{url}/sink"}
            transfer = consumer.transfer(provider, agreement, PUSH, **to_sink)
            if not bodies.arrived.wait(WAIT_SECONDS):
                raise Failed(f"the sink got no gigabyte in {WAIT_SECONDS:.0f} s\n{provider.tail()}")
            rates.append(bodies.rate)
            consumer.await_state("transferprocesses", transfer, "COMPLETED")
        column.put(table.PUSHED, statistics.median(rates))
    tell(f"{column.name}: rates of the rounds {', '.join(f'{rate:.0f}' for rate in rates)} MB/s")
