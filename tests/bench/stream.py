"""Rows a second of our HTTP stream, beside the same batches read by bare `pyarrow.flight` in the same run.

Ours does all that a stream does: ticket, decision, plan, metering, log, validation at the client. Flight
serves the batches bare. Server and client are two processes. Rounds are interleaved; medians are shown.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.flight as fl

from connector.api.arrow_http import ArrowHttpDoor
from connector.client.stream import Access, DataStream
from connector.dataplane.ports import ScanRequest
from connector.dataplane.scanned import Scanned
from connector.dataplane.service import BATCH_BYTES, BLOCK_ROWS
from schemas.binding.client import Egress
from schemas.errors import PolicyMismatch
from tests.streaming import LOOPBACK, Provider, limit

ROWS = 2_000_000
ROUNDS = 7
REPEATS = 3


def table(rows: int = ROWS) -> pa.Table:
    """A table of numbers, times and short texts, as tables are."""
    index = pa.array(range(rows), pa.int64())
    carriers = pa.array(["AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"])
    number = index.cast(pa.float64())
    small = pa.array([i % 8 for i in range(rows)], pa.int32())
    return pa.table(
        {
            "id": index,
            "when": index.cast(pa.timestamp("s")),
            "delay": number,
            "distance": number,
            "air_time": number,
            "month": small,
            "day": small,
            "carrier": carriers.take(small),
            "tail": pa.array([f"N{i % 4000:05d}" for i in range(rows)]),
            "origin": carriers.take(small),
        }
    )


class MemoryScans:
    """A Scans over batches in memory, so that only the way out is measured."""

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        self._batches = batches

    def scan(self, _source: str, _plan: Any, _request: ScanRequest) -> MemoryScan:
        return MemoryScan(self._batches)

    def tally(self, *_of: Any, **_named: Any) -> NoReturn:
        raise PolicyMismatch("batches in memory are not grouped")


class MemoryScan:
    """One reading of them."""

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        self._batches = batches
        self.schema = batches[0].schema

    def batches(self) -> Iterator[Scanned]:
        return (Scanned(batch) for batch in self._batches * REPEATS)

    def interrupt(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing is open."""


class BareFlight(fl.FlightServerBase):  # type: ignore[misc]  # pyarrow ships no types
    """Flight without anything around it: batches in memory, or a scan of the file."""

    def __init__(self, batches: list[pa.RecordBatch], path: Path) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._batches, self._path = batches, path

    def do_get(self, _context: Any, ticket: fl.Ticket) -> fl.FlightDataStream:
        if ticket.ticket == b"memory":
            return fl.RecordBatchStream(
                pa.RecordBatchReader.from_batches(self._batches[0].schema, self._batches * REPEATS)
            )
        scanner = ds.dataset(self._path).scanner(batch_size=self._batches[0].num_rows, batch_readahead=2)
        return fl.RecordBatchStream(scanner.to_reader())


def serve(folder: Path) -> None:
    """The server's process: prints where everything is, and serves until its input ends."""
    whole = table()
    provider = Provider(folder, block_rows=BLOCK_ROWS, batch_bytes=BATCH_BYTES)
    plain = provider.ticket(whole)
    where: dict[str, Any] = {
        "bytes": whole.nbytes,
        "rows": whole.num_rows,
        "file": [provider.transfer, plain],
    }
    guarded = provider.ticket(whole, limit("column/month", "lt", 8), limit("mask/tail", "eq", "hash"))
    where["policy"] = [provider.transfer, guarded]
    half = provider.ticket(whole, limit("column/month", "lt", 4), limit("mask/distance", "eq", "bucket:100"))
    where["half"] = [provider.transfer, half]
    batches = whole.combine_chunks().to_batches(max_chunksize=whole.num_rows * BATCH_BYTES // whole.nbytes)
    memory = copy(provider.streams)
    memory._scans = MemoryScans(batches)
    door = ArrowHttpDoor(streams=memory)
    host, port = door.start()
    flight = BareFlight(batches, provider.data / "t.parquet")
    with provider.door():
        where |= {"url": provider.url, "memory url": f"http://{host}:{port}/streams/"}
        where["flight"] = f"grpc://127.0.0.1:{flight.port}"
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    door.stop()
    flight.shutdown()


def read_ours(url: str, transfer: str, ticket: str, egress: Egress = LOOPBACK) -> int:
    """Read one of our streams to its end; return its rows."""
    access = Access(url + transfer, ticket, "urn:bench", "urn:bench", egress)
    with DataStream(access) as stream:
        return sum(batch.num_rows for batch in stream)


def read_flight(location: str, ticket: bytes, *, is_checked: bool = False) -> int:
    """Read one of Flight's streams to its end, checked as ours are or trusted blindly; return its rows."""
    rows = 0
    with fl.connect(location) as client:
        for chunk in client.do_get(fl.Ticket(ticket)):
            if is_checked:
                chunk.data.validate(full=True)
            rows += chunk.data.num_rows
    return rows


@dataclass(frozen=True)
class Row:
    """One line of the report. Units: seconds, rows, bytes of Arrow."""

    name: str
    seconds: float
    rows: int
    bytes: int

    @property
    def rate(self) -> float:
        """Gigabytes a second."""
        return self.bytes / self.seconds / 1e9


def measure(cases: dict[str, Callable[[], int]], size: int, rows: int, rounds: int = ROUNDS) -> list[Row]:
    """Run all cases in turn, several times, and return medians."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    read_rows: dict[str, int] = {}
    for _ in range(rounds):
        for name, read in cases.items():
            begun = time.perf_counter()
            found = read()
            seconds[name].append(time.perf_counter() - begun)
            read_rows[name] = found
    return [
        Row(name, statistics.median(taken), read_rows[name], int(size / rows * read_rows[name]))
        for name, taken in seconds.items()
    ]


def run() -> list[Row]:
    """Measure, print a table, and return its rows."""
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.stream", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdin is not None
            assert server.stdout is not None
            where = json.loads(server.stdout.readline())
            cases = {
                "from memory, Hansa over HTTP": lambda: read_ours(where["memory url"], *where["file"]),
                "from memory, bare Flight, batches checked": lambda: read_flight(
                    where["flight"], b"memory", is_checked=True
                ),
                "from memory, bare Flight": lambda: read_flight(where["flight"], b"memory"),
                "from Parquet, Hansa over HTTP": lambda: read_ours(where["url"], *where["file"]),
                "from Parquet, Hansa, row filter and mask": lambda: read_ours(where["url"], *where["policy"]),
                "from Parquet, Hansa, half and in buckets": lambda: read_ours(where["url"], *where["half"]),
                "from Parquet, bare Flight": lambda: read_flight(where["flight"], b"file"),
            }
            found = measure(cases, where["bytes"], where["rows"])
        finally:
            server.communicate(timeout=30)
    by_name = {row.name: row for row in found}
    lines = [f"{'stream':42} {'s':>7} {'Mrows/s':>8} {'GB/s':>6} {'of bare Flight':>15}"]
    for row in found:
        bare = by_name[row.name.split(",")[0] + ", bare Flight"]
        lines.append(
            f"{row.name:42} {row.seconds:7.2f} {row.rows / row.seconds / 1e6:8.2f} {row.rate:6.2f} "
            f"{row.rows / row.seconds / (bare.rows / bare.seconds):14.2f}x"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(Path(sys.argv[1]))
    else:
        run()
