"""What counting costs: an opening decided in the transaction of the log, a reservation, a batch noted."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from connector.adapters.progress import FileProgress
from connector.adapters.sql import SqlStores
from connector.usage.ports import Sent
from policies.counting import Amount, Bound, Rate
from schemas.usage import UsageKind
from tests.postgres import Databases, running_postgres
from tests.store_builders import AGREEMENT, record

ROUNDS = 300
NOTES = 200_000
MOST = Bound(10**12, 10**15, Rate(10**12, timedelta(minutes=1)))


@dataclass(frozen=True)
class Row:
    """One measured case. Units: microseconds, the median."""

    name: str
    sqlite: float
    postgres: float


def _median(act: Callable[[int], None]) -> float:
    took = []
    for at in range(ROUNDS):
        begun = time.perf_counter()
        act(at)
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1e6


def _measure(url: str) -> list[float]:
    """Measure one kind of database: an append, an opening, a reservation, a settlement."""
    stores = SqlStores(url)
    named: dict[str, Any] = {"agreement": AGREEMENT, "transfer": "urn:t"}

    def admit(at: int) -> None:
        asked = record(UsageKind.ACCESS_DECISION, **named, stream=f"s{at}", detail={"start": 0})
        stores.usage.admit(asked, lambda _: {"decision": "permit"})

    def reserve(at: int) -> None:
        told = record(**named, stream=f"s{at}")
        stores.usage.reserve(AGREEMENT, f"s{at}", Amount(1000, 64_000), MOST, told)

    def settle(at: int) -> None:
        told = record(UsageKind.STREAM_SETTLED, **named, stream=f"s{at}")
        stores.usage.settle(AGREEMENT, f"s{at}", Sent(900, 60_000), told)

    try:
        appended = _median(lambda _: stores.usage.append([record()]))
        return [appended, _median(admit), _median(reserve), _median(settle)]
    finally:
        stores.close()


@contextmanager
def _databases() -> Iterator[tuple[str, str]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres(durable=True) as server,
        Databases(server).fresh() as url,
    ):
        yield f"sqlite:///{folder}/usage.sqlite", url


def _note() -> float:
    """Measure what a batch costs: the note of how much has left."""
    with tempfile.TemporaryDirectory() as folder:
        progress = FileProgress(Path(folder))
        tell = progress.begin("s")
        begun = time.perf_counter()
        for at in range(NOTES):
            tell(Amount(at, at))
        took = time.perf_counter() - begun
        progress.forget("s")
    return took / NOTES * 1e6


def run() -> list[Row]:
    """Measure, print a table, and return its rows."""
    with _databases() as urls:
        sqlite, postgres = (_measure(url) for url in urls)
    names = (
        "a record appended, nothing counted",
        "an opening decided and counted",
        "a reservation",
        "an end",
    )
    rows = [Row(*row) for row in zip(names, sqlite, postgres, strict=True)]
    rows.append(Row("the note of a batch, in memory", note := _note(), note))
    lines = [f"{'counting, µs':42} {'SQLite':>9} {'PostgreSQL':>11}"]
    lines += [f"{row.name:42} {row.sqlite:9.1f} {row.postgres:11.1f}" for row in rows]
    sys.stdout.write("\n".join(lines) + "\n")
    return rows


if __name__ == "__main__":
    run()
