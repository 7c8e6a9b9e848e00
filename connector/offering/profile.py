"""One pass over a table: what its columns hold, told in a few numbers.

Only told of columns that every offer shows unmasked, over rows that every offer releases: whoever may read
the catalogue may read this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import isfinite
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.dcat import ColumnStatistics

BINS = 12
"""Bars of a histogram."""
MOST_TOP = 12
"""Values that are told of a column of few."""
LOW_CARDINALITY = 24
"""The most different values of a column whose values are told."""
MOST_CELLS = 500_000
"""Cells that one profile looks at; a larger table is judged by its first rows."""
LEAST_ROWS, MOST_ROWS = 10_000, 100_000
"""Rows that are looked at where there are so many, however wide the table is."""
MOST_VALUE = 60
"""Characters of a value that is told."""
MOST_COLUMNS = 64
"""Columns of which statistics are told; nobody reads more of them."""
SMALL = 500
"""Rows up to which a column is counted value by value."""


def rows_to_profile(columns: int) -> int:
    """Return how many rows of a table with that many columns are looked at, so that the cost is bounded."""
    return min(MOST_ROWS, max(LEAST_ROWS, MOST_CELLS // max(columns, 1)))


def profile(table: pa.Table, rows: int) -> Mapping[str, ColumnStatistics]:
    """Describe each column of a table.

    Args:
        table: the rows to look at.
        rows: how many rows there are in all; where the table has fewer, the statistics say so.

    Shapes: one entry a column. Values are texts; times in UTC.
    """
    if table.num_rows == 0:
        return {}
    sampled = table.num_rows if table.num_rows < rows else None
    return {
        name: _column(column, sampled) for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _column(column: pa.ChunkedArray, sampled: int | None) -> ColumnStatistics:
    nulls = column.null_count
    types, datatype = pa.types, column.type
    told: dict[str, Any] = {}
    if nulls < len(column):
        if types.is_integer(datatype) or types.is_floating(datatype) or types.is_decimal(datatype):
            told = _numbers(column)
        elif types.is_date(datatype) or types.is_timestamp(datatype):
            told = _times(column)
        elif types.is_string(datatype) or types.is_large_string(datatype) or types.is_boolean(datatype):
            told = _texts(column)
    return ColumnStatistics(nulls=nulls, sampled=sampled, **told)


def _numbers(column: pa.ChunkedArray) -> dict[str, Any]:
    low, high, histogram = _spread(column)
    return {} if low is None else {"minimum": str(low), "maximum": str(high), "histogram": histogram}


def _times(column: pa.ChunkedArray) -> dict[str, Any]:
    is_date32 = pa.types.is_date32(column.type)
    low, high, histogram = _spread(column.cast(pa.int32() if is_date32 else pa.int64()))
    # Without its zone a timestamp is in UTC, and its text needs no time zone database.
    plain = pa.timestamp(column.type.unit) if pa.types.is_timestamp(column.type) else column.type
    ends = (
        pa.array([low, high], pa.int32() if is_date32 else pa.int64())
        .cast(plain)
        .cast(pa.string())
        .to_pylist()
    )
    zone = "Z" if plain != column.type else ""
    return {"minimum": ends[0] + zone, "maximum": ends[1] + zone, "histogram": histogram}


def _spread(column: pa.ChunkedArray) -> tuple[Any, Any, tuple[int, ...]]:
    """Return least, greatest, and counts in bins of equal width of what is finite; one value has one bin."""
    if len(column) <= SMALL:
        # A call of a kernel costs more than a short loop.
        cells = column.drop_null().to_pylist()
        values = list(filter(isfinite, cells)) if pa.types.is_floating(column.type) else cells
        if not values:
            return None, None, ()
        low, high = min(values), max(values)
        scale = _scale(float(low), float(high))
        if scale == 0.0:
            return low, high, (len(values),)
        base = float(low)
        places = Counter(int((float(value) - base) * scale) for value in values)
        return low, high, _bins(places)
    array = column.combine_chunks().drop_null()
    if pa.types.is_floating(array.type):
        array = array.cast(pa.float32()) if pa.types.is_float16(array.type) else array
        finite = pc.is_finite(array)
        array = array if pc.all(finite).as_py() else array.filter(finite)
    ends = pc.min_max(array)
    low, high = ends["min"].as_py(), ends["max"].as_py()
    if low is None:
        return None, None, ()
    scale = _scale(float(low), float(high))
    if scale == 0.0:
        return low, high, (len(array),)
    placed = pc.multiply(pc.subtract(array.cast(pa.float64(), safe=False), float(low)), scale)
    counted = pc.value_counts(pc.floor(placed).cast(pa.int8()))
    pairs = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
    return low, high, _bins(dict(pairs))


def _scale(low: float, high: float) -> float:
    """Return bins per unit; 0 if the range cannot be divided."""
    scale = BINS / (high - low) if high > low else 0.0
    return scale if isfinite(scale) and isfinite(high - low) else 0.0


def _bins(places: Mapping[int, int]) -> tuple[int, ...]:
    bins = [0] * BINS
    for place, count in places.items():
        bins[min(place, BINS - 1)] += count  # the greatest value closes the last bin
    return tuple(bins)


def _texts(column: pa.ChunkedArray) -> dict[str, Any]:
    if len(column) <= SMALL:
        counts = Counter(column.drop_null().to_pylist())
    else:
        counted = pc.value_counts(column.drop_null())
        if len(counted) > LOW_CARDINALITY:
            return {"distinct": len(counted)}
        counts = Counter(dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)))
    # Where nearly every row has a value of its own, a value names its row: it is not told.
    if len(counts) > LOW_CARDINALITY or (len(counts) > 2 and 2 * len(counts) > counts.total()):
        return {"distinct": len(counts)}
    pairs = sorted(
        ((_text(value), count) for value, count in counts.items()), key=lambda pair: (-pair[1], pair[0])
    )
    return {
        "distinct": len(counts),
        "top": tuple(value for value, _ in pairs[:MOST_TOP]),
        "histogram": tuple(count for _, count in pairs[:MOST_TOP]),
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else value[:MOST_VALUE]
