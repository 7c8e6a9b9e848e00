"""Groups and measures by DuckDB, batch by batch: so much memory as there are groups, not rows."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from duckdb import CaseExpression, ConstantExpression, Expression, FunctionExpression
from duckdb.sqltypes import DuckDBPyType

from connector.adapters.duckdb_terms import column, form_of
from connector.dataplane.ports import Grouped
from schemas.errors import DataspaceError, PolicyMismatch, WorldMoved

MOST_GROUPS = 1_000_000
"""Groups, or subjects in groups, that are counted at a time."""
_BIGINT = duckdb.sqltype("BIGINT")
_DOUBLE = duckdb.sqltype("DOUBLE")


class Tally:
    """Adds up groups over batches; for one thread, but for `interrupt`.

    Args:
        cursor: of its own.
        keys: the types of the columns to group by.
        subject: the type of the column of subjects; None counts rows.
        values: the types of the columns that are measured.

    Raises:
        PolicyMismatch: if a column is of a type that cannot be grouped by, or counted.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        keys: Sequence[pa.DataType],
        subject: pa.DataType | None,
        values: Sequence[pa.DataType],
    ) -> None:
        self._cursor, self._keys, self._values = cursor, tuple(keys), tuple(values)
        self._subject = subject
        for datatype in (*self._keys, *([subject] if subject is not None else [])):
            if form_of(datatype) is None:
                raise PolicyMismatch(f"values of type {datatype} cannot be grouped or counted here")
        self._held: list[pa.Table] = []
        self._stopped = False
        self._by = [f"k{index}" for index in range(len(keys))] + (["s"] if subject is not None else [])

    def add(
        self, keys: Sequence[pa.Array], subject: pa.Array | None, values: Sequence[pa.Array], rows: int
    ) -> None:
        """Add the rows of a batch.

        Raises:
            DataspaceError: if there are more groups than are counted at a time.
            WorldMoved: if it was interrupted.
        """
        columns = {f"k{index}": _formed(cells) for index, cells in enumerate(keys)}
        if subject is not None:
            columns["s"] = _formed(subject)
        columns["n"] = pa.repeat(1, rows)
        columns |= {f"v{index}": _formed(cells) for index, cells in enumerate(values)}
        measured: list[Expression] = [_sum("n", "n", _BIGINT)]
        for index, datatype in enumerate(self._values):
            cells = column(f"v{index}")
            measured += [
                FunctionExpression("count", cells).cast(_BIGINT).alias(f"c{index}"),
                _total(cells, datatype).alias(f"t{index}"),
                FunctionExpression("min", cells).alias(f"lo{index}"),
                FunctionExpression("max", cells).alias(f"hi{index}"),
            ]
        self._held.append(self._aggregated(pa.table(columns), self._by, measured))
        if sum(table.num_rows for table in self._held) > MOST_GROUPS:
            self._held = [self._joined()]
            if self._held[0].num_rows > MOST_GROUPS:
                raise DataspaceError(f"more than {MOST_GROUPS} groups; group by columns of fewer values")

    def _joined(self) -> pa.Table:
        measured: list[Expression] = [_sum("n", "n", _BIGINT)]
        for index, datatype in enumerate(self._values):
            measured += [
                _sum(f"c{index}", f"c{index}", _BIGINT),
                _total(column(f"t{index}"), datatype).alias(f"t{index}"),
                FunctionExpression("min", column(f"lo{index}")).alias(f"lo{index}"),
                FunctionExpression("max", column(f"hi{index}")).alias(f"hi{index}"),
            ]
        return self._aggregated(pa.concat_tables(self._held), self._by, measured)

    def result(self) -> Grouped:
        """Return the groups.

        Raises:
            WorldMoved: if it was interrupted.
        """
        if not self._held:
            return Grouped(pa.table({}), 0)
        joined = self._joined()
        if self._subject is not None:
            joined = joined.filter(pc.is_valid(joined["s"]))  # nobody is no subject
        one = column("s") if self._subject is not None else column("n")
        counted = "count" if self._subject is not None else "sum"
        measured: list[Expression] = [
            FunctionExpression(counted, one).cast(_BIGINT).alias("size"),
            _sum("n", "n", _BIGINT),
        ]
        for index, datatype in enumerate(self._values):
            cells = column(f"c{index}")
            gave = CaseExpression(cells > ConstantExpression(0), ConstantExpression(1)).otherwise(
                ConstantExpression(0)
            )
            giving = gave if self._subject is not None else cells
            measured += [
                FunctionExpression("sum", giving).cast(_BIGINT).alias(f"d{index}"),
                _sum(f"c{index}", f"c{index}", _BIGINT),
                _total(column(f"t{index}"), datatype).alias(f"t{index}"),
                FunctionExpression("min", column(f"lo{index}")).alias(f"lo{index}"),
                FunctionExpression("max", column(f"hi{index}")).alias(f"hi{index}"),
            ]
        keys = [f"k{index}" for index in range(len(self._keys))]
        found = self._aggregated(joined, keys, measured)
        for index, datatype in enumerate(self._keys):
            cells = found.column(index).combine_chunks()
            found = found.set_column(index, f"k{index}", _restored(cells, datatype))
        return Grouped(found, len(self._keys))

    def _aggregated(self, table: pa.Table, by: Sequence[str], measured: Sequence[Expression]) -> pa.Table:
        if self._stopped:
            raise WorldMoved("the question was interrupted; ask again")
        try:
            terms = [*(column(name) for name in by), *measured]
            return self._cursor.from_arrow(table).aggregate(terms).to_arrow_table()
        except duckdb.InterruptException:
            raise WorldMoved("the question was interrupted; ask again") from None
        except duckdb.Error as error:
            raise DataspaceError(f"the groups could not be counted ({type(error).__name__})") from None

    def interrupt(self) -> None:
        """Stop what is under way; from any thread, at any time."""
        self._stopped = True
        self._cursor.interrupt()


def _sum(name: str, alias: str, wanted: DuckDBPyType) -> Expression:
    return FunctionExpression("sum", column(name)).cast(wanted).alias(alias)


def _total(cells: Expression, datatype: pa.DataType) -> Expression:
    if pa.types.is_floating(datatype):
        return FunctionExpression("sum", cells.cast(_DOUBLE)).cast(_DOUBLE)
    if pa.types.is_string(datatype):  # of which only the presence is counted
        return FunctionExpression("max", cells)
    scale = datatype.scale if pa.types.is_decimal(datatype) else 0
    wide = duckdb.decimal_type(38, scale)
    return FunctionExpression("sum", cells.cast(wide)).cast(wide)


def _formed(cells: pa.Array) -> pa.Array:
    form = form_of(cells.type)
    return cells if form == cells.type else cells.cast(form)


def _restored(cells: pa.Array, datatype: pa.DataType) -> pa.Array:
    return cells if cells.type == datatype else cells.cast(datatype)
