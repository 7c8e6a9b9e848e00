"""Who is hidden among how many others, by pyarrow: what another engine counted is checked with this.

A class is the rows that share their values in some columns; null is a value like any other, and so is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

_MOST_HELD = 1 << 20
"""Classes of single batches that are held before they are added up."""
_MOST_CODES = 1 << 62


class Census:
    """Adds up the classes of a snapshot over batches; for one thread."""

    def __init__(self) -> None:
        self._held: list[pa.Table] = []

    def add(self, columns: Sequence[pa.Array | pa.ChunkedArray], passed: pa.Array) -> None:
        """Add the rows of a batch that `passed` says are to be counted, by the columns that make a class."""
        rows = pa.table({str(index): _alike(cells) for index, cells in enumerate(columns)}).filter(passed)
        keys = rows.column_names
        counted = rows.group_by(keys, use_threads=False).aggregate([([], "count_all")])
        self._held.append(counted.select([*keys, "count_all"]).rename_columns([*keys, "n"]))
        if len(self._held) > 1 and sum(table.num_rows for table in self._held) > _MOST_HELD:
            self._held = [self._summed()]

    def _summed(self) -> pa.Table:
        table = pa.concat_tables(self._held)
        keys = table.column_names[:-1]
        summed = table.group_by(keys, use_threads=False).aggregate([("n", "sum")])
        return summed.select([*keys, "n_sum"]).rename_columns([*keys, "n"])

    def classes(self, least: int) -> Classes:
        """Return the classes of at least so many rows."""
        if not self._held:
            return Classes(None)
        table = self._summed()
        return Classes(table.filter(pc.greater_equal(table["n"], pa.scalar(least, pa.int64()))))


class Classes:
    """Classes that are large enough, and which rows are in one of them.

    Every value that occurs has a number, column by column; the numbers of a row together are one number, made
    smaller on the way where it would not fit.

    Args:
        table: one row a class, how many rows it has last; None if there is none.
    """

    def __init__(self, table: pa.Table | None) -> None:
        self.count = table.num_rows if table is not None else 0
        self.rows = int(pc.sum(table["n"]).as_py() or 0) if table is not None else 0
        self._steps: list[tuple[pa.Array, pa.Array | None]] = []
        self._known = pa.array([], pa.int64())
        if table is None or not self.count:
            return
        codes, width = pa.repeat(pa.scalar(0, pa.int64()), self.count), 1
        for cells in table.columns[:-1]:
            values, shorter = pc.unique(cells), None
            if width * len(values) > _MOST_CODES:
                shorter = pc.unique(codes)
                codes, width = pc.index_in(codes, shorter).cast(pa.int64()), len(shorter)
            codes, width = _joined(codes, cells, values), width * len(values)
            self._steps.append((values, shorter))
        self._known = pc.unique(codes)

    def hold(self, columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array:
        """Say of each row whether its class is among them; `columns` are those that make a class.

        Shapes: as many booleans as rows, none of them null.
        """
        rows = len(columns[0])
        if not self.count:
            return pa.repeat(False, rows)
        codes = pa.repeat(pa.scalar(0, pa.int64()), rows)
        for cells, (values, shorter) in zip(columns, self._steps, strict=True):
            if shorter is not None:
                codes = pc.index_in(codes, shorter).cast(pa.int64())
            codes = _joined(codes, _alike(cells), values)
        return pc.fill_null(pc.and_(pc.is_valid(codes), pc.is_in(codes, self._known)), False)


def _joined(codes: pa.Array, cells: pa.Array | pa.ChunkedArray, values: pa.Array) -> pa.Array:
    """Add a column to the numbers of rows; null where its cell is none of the values."""
    found = pc.index_in(cells, values).cast(pa.int64())
    joined = pc.add(pc.multiply(codes, pa.scalar(len(values), pa.int64())), found)
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _alike(cells: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return cells in a form in which equal values have equal bits: NaN has many, and zero two."""
    datatype = cells.type
    if not pa.types.is_floating(datatype):
        return cells
    numbers = cells.cast(pa.float64())
    one = pa.scalar(float("nan"), pa.float64())
    return pc.if_else(pc.is_nan(numbers), one, pc.add(numbers, pa.scalar(0.0, pa.float64())))
