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
)
from connector.dataplane.compare import known
from connector.dataplane.masks import COARSE
from connector.offering.masked import masked_type
from policies.kinds.masking import Masking
from policies.plan import Branch, Comparison, DataPlan
from schemas.errors import DataspaceError, PolicyMismatch, WorldMoved

_MOST_COUNTED = 1 << 20
_YES, _NO = ConstantExpression(True), ConstantExpression(False)


@dataclass(frozen=True)
class Verdict:
    """What was decided of the rows of one batch.

    Shapes: `passes` and `classes` have one array a branch, as long as the batch (`classes` None where the
    branch hides nobody among others); `coarse` one a masked column.
    """

    passes: tuple[pa.Array, ...]
    coarse: Mapping[tuple[str, Masking], pa.Array]
    classes: tuple[pa.Array | None, ...]


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
        self._wants_rows = any(branch.sample is not None for branch in plan.branches)
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
            passed = passed & sample_term(self._salt, branch.sample, column("row"))
        return CoalesceOperator(passed, _NO)

    def _class(self, branch: Branch) -> Expression | None:
        if branch.anonymity is None:
            return None
        names = branch.anonymity.quasi_identifiers
        cells = [self._cells(name) for name in names]
        return class_term(cells, [pa.types.is_floating(self._schema.field(name).type) for name in names])

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it has to be shown."""
        return tuple(dict.fromkeys((*self._inputs, *(item.column for item in self._foreign))))

    def of(self, batch: pa.RecordBatch, first: int, *, coarse: bool) -> Verdict:
        """Judge the rows of a batch, of which the first stands at position `first` in the file.

        Raises:
            WorldMoved: if it was interrupted.
        """
        terms = [term.alias(f"p{index}") for index, term in enumerate(self._passes)]
        classes = [term for term in self._classes if term is not None]
        terms += [term.alias(f"k{index}") for index, term in enumerate(classes)]
        if coarse:
            terms += [term.alias(f"m{index}") for index, term in enumerate(self._coarse)]
        with self._running():
            shown = self._shown(batch, first)
            found = self._cursor.from_arrow(shown).select(*terms).to_arrow_table().combine_chunks()
        if found.num_rows != batch.num_rows:
            raise DataspaceError(f"{found.num_rows} of {batch.num_rows} rows were judged; report this")
        arrays = iter([_whole(found.column(index)) for index in range(found.num_columns)])
        passes = tuple(next(arrays) for _ in self._passes)
        keys = tuple(next(arrays) if term is not None else None for term in self._classes)
        masked = {
            key: _plainly(next(arrays), key, self._wanted[key]) for key in (self.masked if coarse else ())
        }
        return Verdict(passes, masked, keys)

    def _shown(self, batch: pa.RecordBatch, first: int) -> pa.Table:
        at = {name: index for index, name in enumerate(batch.schema.names)}
        columns = {named(index): _formed(batch.column(at[name])) for index, name in enumerate(self._inputs)}
        for index, comparison in enumerate(self._foreign):
            columns[f"f{index}"] = known(comparison, batch.column(at[comparison.column]))
        if self._wants_rows or not columns:
            columns["row"] = pa.arange(first, first + batch.num_rows)
        return pa.table(columns)

    def counted(self, keys: Iterator[pa.Array], least: int) -> pa.Array:
        """Count classes over all that is given, and return those that occur at least so often.

        Raises:
            WorldMoved: if it was interrupted.
            DataspaceError: if there are more classes than memory is allowed for.
        """
        held: list[pa.Table] = []
        rows = 0
        for found in keys:
            held.append(self._sum(pa.table({"c0": found, "c1": pa.repeat(1, len(found))})))
            rows += held[-1].num_rows
            if rows > _MOST_COUNTED and len(held) > 1:
                held = [self._sum(pa.concat_tables(held))]
                rows = held[0].num_rows
        if not held:
            return pa.array([], pa.string())
        with self._running():
            summed = self._cursor.from_arrow(self._sum(pa.concat_tables(held)))
            enough = summed.filter(column("c1") >= ConstantExpression(least)).select(column("c0"))
            return _whole(enough.to_arrow_table().column(0))

    def _sum(self, table: pa.Table) -> pa.Table:
        with self._running():
            total = FunctionExpression("sum", column("c1")).cast(duckdb.sqltype("BIGINT")).alias("c1")
            return self._cursor.from_arrow(table).aggregate([column("c0"), total]).to_arrow_table()

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


def _formed(cells: pa.Array) -> pa.Array:
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
    """Return which rows pass each branch, those in classes that are too small left out."""
    found = []
    for passed, keys, enough in zip(verdict.passes, verdict.classes, kept, strict=True):
        if keys is None or enough is None:
            found.append(passed)
        else:
            found.append(pc.and_(passed, pc.is_in(keys, enough)))
    return tuple(found)
