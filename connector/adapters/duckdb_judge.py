"""DuckDB as the judge of rows: which branches of a plan each row passes, and its cells under coarse masks.

DuckDB is shown Arrow data only: it may open no file, load no extension and reach no network, and its
settings are locked before the first query. Policy values reach it as constants, columns under names of ours.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from duckdb import CoalesceOperator, ConstantExpression, Expression, FunctionExpression

from connector.adapters.duckdb_terms import (
    class_term,
    coarse_term,
    column,
    comparison_term,
    form_of,
    named,
    sample_term,
    unsigned_zero,
)
from connector.dataplane.compare import known
from connector.dataplane.masks import COARSE
from connector.dataplane.sample import draws
from connector.offering.masked import masked_type
from policies.kinds.masking import Masking
from policies.plan import Branch, Comparison, DataPlan
from schemas.errors import DataspaceError, PolicyMismatch, WorldMoved

_MOST_COUNTED = 1 << 20
_BIGINT = duckdb.sqltype("BIGINT")
_YES, _NO = ConstantExpression(True), ConstantExpression(False)


@dataclass(frozen=True)
class Verdict:
    """What was decided of some rows.

    Shapes: `passes` and `classes` have one array a branch, as long as there are rows (`classes` has numbers
    that stand for classes, None where the branch hides nobody among others); `coarse` one a masked column.
    """

    passes: tuple[pa.Array, ...]
    coarse: Mapping[tuple[str, Masking], pa.Array]
    classes: tuple[pa.Array | None, ...]


@dataclass(frozen=True)
class Counted:
    """The classes of a snapshot that are large enough: their numbers, and how many rows they have in all."""

    keys: pa.Array
    rows: int


class Judge:
    """A plan made ready for the batches of one file; for one thread, but for `interrupt`.

    Args:
        cursor: of its own.
        plan: what to keep.
        schema: the plain types of the columns of the file.
        salt: what the sample hangs on; 64 hexadecimal characters.

    Raises:
        PolicyMismatch: if a value or a mask does not fit its column.
    """

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, plan: DataPlan, schema: pa.Schema, salt: str
    ) -> None:
        self._cursor, self._salt = cursor, salt
        self._schema = schema
        self._inputs: list[str] = []
        self._foreign: list[Comparison] = []
        self._stopped = threading.Event()
        self._draws = any(branch.sample is not None for branch in plan.branches)
        excluded = [self._matches(conjunction) for conjunction in plan.excluded]
        self._passes = [self._branch(branch, excluded) for branch in plan.branches]
        self._classes = [self._class(branch) for branch in plan.branches]
        self.masked = tuple(
            dict.fromkeys(
                (name, mask)
                for branch in plan.branches
                for name, mask in branch.masks
                if mask.kind in COARSE and branch.shows(name)
            )
        )
        self._coarse = [
            coarse_term(mask, name, schema.field(name).type, self._cells(name)) for name, mask in self.masked
        ]
        self._wanted = {key: schema.field(key[0]).type for key in self.masked}

    def _cells(self, name: str) -> Expression:
        if form_of(self._schema.field(name).type) is None:
            raise PolicyMismatch(
                f"column {name!r} of type {self._schema.field(name).type} cannot be looked at here; "
                "store it as text, a number of up to 38 digits, a date or a timestamp"
            )
        if name not in self._inputs:
            self._inputs.append(name)
        return column(named(self._inputs.index(name)))

    def _term(self, comparison: Comparison) -> tuple[Expression, Expression]:
        """Return a comparison, and whether the cell can be known at all (NaN cannot, no more than null)."""
        datatype = self._schema.field(comparison.column).type
        if pa.types.is_decimal(datatype) and form_of(datatype) is None:
            # More than 38 digits are beyond DuckDB: such cells are compared before they reach it.
            if comparison not in self._foreign:
                self._foreign.append(comparison)
            cells = column(f"f{self._foreign.index(comparison)}")
            return cells, cells.isnotnull()
        cells = self._cells(comparison.column)
        term = comparison_term(comparison, datatype, cells)
        is_known = cells.isnotnull()
        if pa.types.is_floating(datatype):
            is_known = is_known & ~FunctionExpression("isnan", cells)
        return term, is_known

    def _matches(self, conjunction: Sequence[Comparison]) -> Expression:
        """Say whether a row matches a prohibition: what cannot be known counts as matching."""
        found = _YES
        for comparison in conjunction:
            term, is_known = self._term(comparison)
            found = found & (~is_known | CoalesceOperator(term, _YES))
        return found

    def _branch(self, branch: Branch, excluded: Sequence[Expression]) -> Expression:
        passed = _YES
        for comparison in branch.predicate:
            term, is_known = self._term(comparison)
            passed = passed & is_known & CoalesceOperator(term, _NO)
        for matched in excluded:
            passed = passed & ~matched
        if branch.sample is not None and branch.sample < 100:
            passed = passed & sample_term(branch.sample, column("drawn"))
        return CoalesceOperator(passed, _NO)

    def _class(self, branch: Branch) -> list[Expression] | None:
        """Return the cells that make the class of a row."""
        if branch.anonymity is None:
            return None
        names = branch.anonymity.quasi_identifiers
        return [unsigned_zero(self._cells(name), self._schema.field(name).type) for name in names]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it has to be shown."""
        return tuple(dict.fromkeys((*self._inputs, *(item.column for item in self._foreign))))

    def of(self, table: pa.Table, first: int, *, coarse: bool) -> Verdict:
        """Judge rows that follow each other in the file, of which the first stands at position `first`.

        Raises:
            WorldMoved: if it was interrupted.
        """
        terms = [term.alias(f"p{index}") for index, term in enumerate(self._passes)]
        classes = [cells for cells in self._classes if cells is not None]
        terms += [class_term(cells).alias(f"k{index}") for index, cells in enumerate(classes)]
        if coarse:
            terms += [term.alias(f"m{index}") for index, term in enumerate(self._coarse)]
        with self._running():
            shown = self._shown(table, first)
            found = self._cursor.from_arrow(shown).select(*terms).to_arrow_table()
        if found.num_rows != table.num_rows:
            raise DataspaceError(f"{found.num_rows} of {table.num_rows} rows were judged; report this")
        arrays = iter([_whole(found.column(index)) for index in range(found.num_columns)])
        passes = tuple(next(arrays) for _ in self._passes)
        keys = tuple(next(arrays) if term is not None else None for term in self._classes)
        masked = {
            key: _plainly(next(arrays), key, self._wanted[key]) for key in (self.masked if coarse else ())
        }
        return Verdict(passes, masked, keys)

    def _shown(self, table: pa.Table, first: int) -> pa.Table:
        columns = {named(index): _formed(table[name]) for index, name in enumerate(self._inputs)}
        for index, comparison in enumerate(self._foreign):
            columns[f"f{index}"] = known(comparison, table[comparison.column])
        if self._draws or not columns:
            columns["drawn"] = draws(self._salt, first, table.num_rows)
        return pa.table(columns)

    def tallied(self, branch: int, table: pa.Table, first: int, consenting: pa.Array | None) -> pa.Table:
        """Count the classes of a branch in rows that follow each other, among those that pass it and consent.

        Shapes: one row a class: the cells that make it, and last how many rows it has.
        """
        cells = self._classes[branch] or []
        shown, passed = self._shown(table, first), self._passes[branch]
        if consenting is not None:
            shown, passed = shown.append_column("s", consenting), passed & column("s")
        told = [cell.alias(f"q{index}") for index, cell in enumerate(cells)]
        count = FunctionExpression("count_star").cast(_BIGINT).alias("n")
        names = [column(f"q{index}") for index in range(len(cells))]
        with self._running():
            kept = self._cursor.from_arrow(shown).filter(passed).select(*told)
            return kept.aggregate([*names, count]).to_arrow_table()

    def counted(self, tallies: Iterator[pa.Table], least: int) -> Counted:
        """Add up the classes of a snapshot, and return those of at least so many rows.

        Raises:
            WorldMoved: if it was interrupted.
            DataspaceError: if there are more classes than memory is allowed for.
        """
        held: list[pa.Table] = []
        rows = 0
        for found in tallies:
            held.append(found)
            rows += found.num_rows
            if rows > _MOST_COUNTED and len(held) > 1:
                held = [self._summed(held)]
                rows = held[0].num_rows
        if not held:
            return Counted(pa.array([], pa.uint64()), 0)
        table = self._summed(held)
        cells = [column(name) for name in table.column_names[:-1]]
        with self._running():
            found = self._cursor.from_arrow(table).select(class_term(cells).alias("k"), column("n"))
            told = found.to_arrow_table()
        if pc.count_distinct(told["k"]).as_py() != table.num_rows:
            raise DataspaceError("two classes have one number, and cannot be told apart; report this")
        enough = told.filter(pc.greater_equal(told["n"], pa.scalar(least, pa.int64())))
        return Counted(_whole(enough["k"]), int(pc.sum(enough["n"]).as_py() or 0))

    def _summed(self, tables: Sequence[pa.Table]) -> pa.Table:
        table = pa.concat_tables(tables)
        names = [column(name) for name in table.column_names[:-1]]
        total = FunctionExpression("sum", column("n")).cast(_BIGINT).alias("n")
        with self._running():
            return self._cursor.from_arrow(table).aggregate([*names, total]).to_arrow_table()

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Say whatever DuckDB says without the values that it may name."""
        if self._stopped.is_set():
            raise WorldMoved("reading was interrupted; open the stream again")
        try:
            yield
        except duckdb.InterruptException:
            raise WorldMoved("reading was interrupted; open the stream again") from None
        except duckdb.OutOfMemoryException:
            raise DataspaceError("the plan needs more memory than a stream may take; ask for less") from None
        except duckdb.Error as error:
            raise DataspaceError(
                f"the rows could not be judged ({type(error).__name__}); report this"
            ) from None

    def interrupt(self) -> None:
        """Stop what is under way, and whatever is asked after; from any thread, at any time."""
        self._stopped.set()
        self._cursor.interrupt()


def _whole(found: pa.ChunkedArray) -> pa.Array:
    return found.combine_chunks() if found.num_chunks != 1 else found.chunk(0)


def _formed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    form = form_of(cells.type)
    return cells if form == cells.type else cells.cast(form)


def _plainly(cells: pa.Array, key: tuple[str, Masking], datatype: pa.DataType) -> pa.Array:
    """Bring a coarse column from the form that DuckDB has it in to the type in which it is released."""
    wanted = masked_type(key[0], datatype, key[1])
    if cells.type == wanted:
        return cells
    if pa.types.is_date32(wanted):
        return cells.cast(pa.int32()).cast(wanted)
    if pa.types.is_decimal(wanted) or pa.types.is_floating(wanted):
        return cells.cast(wanted)
    return cells.cast(pa.int64()).cast(wanted) if pa.types.is_temporal(wanted) else cells.cast(wanted)


def passing(verdict: Verdict, kept: Sequence[pa.Array | None]) -> tuple[pa.Array, ...]:
    """Return which rows pass each branch, those left out whose class is not among the `kept` ones."""
    found = []
    for passed, keys, enough in zip(verdict.passes, verdict.classes, kept, strict=True):
        if keys is None or enough is None:
            found.append(passed)
        else:
            found.append(pc.and_(passed, pc.is_in(keys, enough)))
    return tuple(found)
