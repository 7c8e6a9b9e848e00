"""What each kind of enforcement costs: a stream under it beside a plain one, without any socket.

Streams run in turn, several times, in this process; the processor time of all its threads is told, the least
of each, since others work on the machine too.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from connector.dataplane.service import BATCH_BYTES, BLOCK_ROWS
from tests.bench.stream import ROWS, table
from tests.streaming import Provider, limit

ROUNDS = 7
CASES: dict[str, tuple[dict[str, Any], ...]] = {
    "plain": (),
    "row filter that all rows pass": (limit("column/month", "lt", 8),),
    "row filter and hash": (limit("column/month", "lt", 8), limit("mask/tail", "eq", "hash")),
    "half of the rows": (limit("column/month", "lt", 4),),
    "half of the rows and buckets": (
        limit("column/month", "lt", 4),
        limit("mask/distance", "eq", "bucket:100"),
    ),
    "buckets, roundings and months": (
        limit("mask/distance", "eq", "bucket:100"),
        limit("mask/delay", "eq", "round:2"),
        limit("mask/when", "eq", "truncate:month"),
    ),
    "a sample of half": (limit("percentage", "lteq", 50),),
    "k-anonymity by three columns": (
        limit("kAnonymity", "gteq", 5),
        limit("quasiIdentifiers", "isAllOf", ["month", "day", "tail"]),
    ),
}


def read(provider: Provider, ticket: str) -> tuple[float, int]:
    """Read a stream to its end; return the processor's seconds and the rows."""
    begun = time.process_time()
    with provider.streams.open(ticket) as stream:
        rows = sum(batch.num_rows for batch, _ in stream.batches())
    return time.process_time() - begun, rows


def run() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        provider = Provider(Path(folder), block_rows=BLOCK_ROWS, batch_bytes=BATCH_BYTES)
        whole = table()
        tickets = {name: provider.ticket(whole, *terms) for name, terms in CASES.items()}
        best: dict[str, tuple[float, int]] = {}
        for _ in range(ROUNDS):
            for name, ticket in tickets.items():
                found = read(provider, ticket)
                best[name] = min(best.get(name, found), found)
        provider.close()
    plain = best["plain"][0]
    sys.stdout.write(f"{'enforced':34} {'rows left':>10} {'CPU s':>7} {'of plain':>9}\n")
    for name, (seconds, rows) in best.items():
        sys.stdout.write(f"{name:34} {rows / ROWS:9.0%} {seconds:8.3f} {seconds / plain:8.2f}x\n")


if __name__ == "__main__":
    run()
