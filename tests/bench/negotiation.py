"""How long an agreement takes between two connectors, beside what the machine itself needs for it.

Two processes on loopback, SQLite with every commit on disk. The limit is measured in the same run: the HTTP
requests and durable commits that a negotiation cannot do without, done bare.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Town, town
from tests.e2e.test_crashes import USE

ROUNDS = 100
MESSAGES = 4
"""Messages of the shortest negotiation: request, agreement, verification, finalized."""
COMMITS = 8
"""Each message is saved by its sender before it leaves, and by its receiver before the answer."""


@dataclass(frozen=True)
class Row:
    """One measured case; milliseconds."""

    name: str
    p50: float
    p99: float


def agree(made: Town, wanted: dict[str, Any]) -> None:
    """Open a negotiation, and wait until it is finalized."""
    door = made.space.management("developer")
    pid = door.post("/negotiations", wanted)["pid"]
    seen = door.get(f"/negotiations/{pid}", wait="FINALIZED,TERMINATED", timeout=30)
    if seen["state"] != "FINALIZED":
        raise RuntimeError(f"negotiation ended in {seen['state']}: {seen['problem']}")


def bare(made: Town, file: Path) -> None:
    """Do what a negotiation cannot do without: its requests, and its writes that reach the disk."""
    url = made.space.participants["mobility"].url
    for _ in range(MESSAGES):
        made.space.http.get(f"{url}/healthz")
    with file.open("ab") as log:
        for _ in range(COMMITS):
            log.write(b"x" * 4096)
            log.flush()
            os.fdatasync(log.fileno())


def measure(act: Callable[[], None], name: str, rounds: int = ROUNDS) -> Row:
    """Run an act several times, after five that do not count."""
    taken = []
    for number in range(rounds + 5):
        begun = time.perf_counter()
        act()
        if number >= 5:
            taken.append((time.perf_counter() - begun) * 1000)
    return Row(name, statistics.median(taken), statistics.quantiles(taken, n=100)[98])


def run() -> list[Row]:
    """Measure, print a table, and return its rows."""
    with tempfile.TemporaryDirectory() as folder, town(Path(folder)) as made:
        hit = made.hit("Flights")
        provider = made.space.participants["mobility"]
        wanted = {
            "provider": provider.did,
            "endpoint": f"{provider.url}/dsp/2025-1",
            "dataset": hit["id"],
            "offer": hit["offers"][0],
            "use": USE,
        }
        rows = [
            measure(lambda: bare(made, Path(folder) / "bare"), "bare requests and commits"),
            measure(lambda: agree(made, wanted), "agreement, request to FINALIZED"),
        ]
    limit = rows[0].p50
    lines = [f"{'negotiation':42} {'p50 ms':>8} {'p99 ms':>8} {'of bare':>8}"]
    lines += [f"{row.name:42} {row.p50:8.1f} {row.p99:8.1f} {row.p50 / limit:7.1f}x" for row in rows]
    sys.stdout.write("\n".join(lines) + "\n")
    return rows


if __name__ == "__main__":
    run()
