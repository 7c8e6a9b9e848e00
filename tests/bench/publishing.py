"""How fast datasets are described: the pass over a table that every publication takes."""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass

import pyarrow as pa

from connector.offering.profile import profile

ROUNDS = 200


@dataclass(frozen=True)
class Row:
    """One measured case; tables a second."""

    name: str
    rate: float


def run() -> list[Row]:
    """Measure, print a table, and return its rows."""
    table = pa.table(
        {f"n{i}": [float(j % (i + 2)) for j in range(100)] for i in range(8)}
        | {f"t{i}": [f"v{j % 5}" for j in range(100)] for i in range(4)}
    )
    profiled, read = [], []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        table.to_pylist()
        between = time.perf_counter()
        profile(table, 100)
        profiled.append(time.perf_counter() - between)
        read.append(between - begun)
    rows = [
        Row("reading 100 rows of 12 columns as Python", 1 / statistics.median(read)),
        Row("profiling them", 1 / statistics.median(profiled)),
    ]
    lines = [f"{'publishing':42} {'tables/s':>9} {'of reading':>11}"]
    lines += [f"{row.name:42} {row.rate:9.0f} {row.rate / rows[0].rate:10.2f}x" for row in rows]
    sys.stdout.write("\n".join(lines) + "\n")
    return rows


if __name__ == "__main__":
    run()
