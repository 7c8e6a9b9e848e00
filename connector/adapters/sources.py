"""Data files below the folders that the holder allows: Parquet, and Arrow IPC or CSV where there are such.

Policy values reach the readers as typed constants, never as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from connector.adapters.duckdb_engine import Engine
from connector.adapters.readings import Batches, Part, Reading, kind_of, open_batches, open_reading, reading
from connector.adapters.rebatch import rebatched
from connector.dataplane.compare import comparable
from connector.dataplane.masks import COARSE
from connector.dataplane.ports import Scan, ScanRequest
from connector.dataplane.scanned import Scanned
from connector.offering.columns import only, plain_array, streamed_schema
from connector.offering.ports import SourceFacts
from policies.plan import Comparison, DataPlan
from policies.profile import Operator
from schemas.errors import NotFound, PolicyMismatch, WorldMoved

if TYPE_CHECKING:
    from connector.adapters.consents import Consents
    from connector.adapters.duckdb_groups import Tally

_FEW_ROWS = 50_000


class ParquetSources:
    """Reads data files; a `Sources` and a `Scans`.

    Args:
        roots: the folders below which sources may lie, links followed.
        clock: UTC, aware; consents stand from one time to another.
    """

    def __init__(self, roots: Sequence[Path], clock: Callable[[], datetime]) -> None:
        self._roots = tuple(Path(root).expanduser().resolve() for root in roots)
        self._clock, self._engine = clock, Engine()

    def resolve(self, source: str) -> Path:
        """Return the checked path of a source; relative ones are looked for below each root.

        Raises:
            NotFound: the same for a file that is not there and for one outside the roots.
        """
        if source and "\x00" not in source and len(source) <= 4096:
            for root in self._roots:
                with suppress(OSError, RuntimeError):
                    path = (root / source).resolve(strict=True)
                    if path.is_file() and any(path.is_relative_to(base) for base in self._roots):
                        return path
        fix = "check the name and data.roots"
        if not self._roots:
            fix = "data.roots names no folder yet: write one into the settings, and start the connector anew"
        raise NotFound(f"no file {source[:200]!r} below the folders that may be offered; {fix}")

    def _checked(self, source: str | Path) -> Path:
        return source if isinstance(source, Path) else self.resolve(source)

    def facts(self, source: str | Path) -> SourceFacts:
        """Look at a file: its schema as streamed, its rows, its bytes on disk."""
        path = self._checked(source)
        with reading(path, told=True):
            if kind_of(path) == "Parquet":
                with pa.parquet.ParquetFile(path) as file:
                    schema, rows = streamed_schema(file.schema_arrow), file.metadata.num_rows
            else:
                schema, rows = streamed_schema(open_batches(path)[0]), 0
                for batch in open_batches(path)[1]():
                    rows += batch.num_rows
            return SourceFacts(schema, rows, path.stat().st_size)

    def head(self, source: str | Path, plan: DataPlan, most: int) -> pa.Table:
        """Return the first rows that a plan releases, at most `most` of them, in plain types."""
        path = self._checked(source)
        named = plan.branches[0].columns if len(plan.branches) == 1 else None
        columns = named if named is not None else plan.visible(self._names(path))
        if kind_of(path) == "Parquet" and plan.is_open:
            # Reading a small file piece by piece costs half of what reading ahead of it does.
            with (
                reading(path, told=True),
                pa.OSFile(str(path)) as raw,
                pa.parquet.ParquetFile(raw, pre_buffer=False) as file,
            ):
                rows = file.metadata.num_rows
                # It cannot join what lies nested in several row groups, which a scan can.
                if not any(pa.types.is_nested(field.type) for field in file.schema_arrow):
                    if rows <= most:
                        return _plain_table(file.read(list(columns), use_threads=rows > _FEW_ROWS))
                    first = next(file.iter_batches(most, columns=list(columns)))
                    return _plain_table(pa.Table.from_batches([first]))
        scan = self._open(path, plan, ScanRequest(16 << 20))
        taken, rows = [], 0
        try:
            for scanned in scan.batches():
                taken.append(scanned.batch.slice(0, most - rows).select(list(columns)))
                rows += taken[-1].num_rows
                if rows >= most:
                    break
        finally:
            scan.close()
        return _plain_table(pa.Table.from_batches(taken, only(scan.schema, columns)))

    def _names(self, path: Path) -> list[str]:
        names: list[str] = open_reading(path).schema.names
        return names

    def count(self, source: str | Path, plan: DataPlan) -> int:
        """Return how many rows a plan releases."""
        if plan.is_open:
            return self.facts(source).rows
        scan = self._open(self._checked(source), plan, ScanRequest(16 << 20))
        try:
            return sum(scanned.batch.num_rows for scanned in scan.batches())
        finally:
            scan.close()

    def scan(self, source: str | Path, plan: DataPlan, request: ScanRequest) -> Scan:
        """Open a source with a plan pushed down."""
        return self._open(self._checked(source), plan, request)

    def tally(
        self, keys: Sequence[pa.DataType], subject: pa.DataType | None, values: Sequence[pa.DataType]
    ) -> Tally:
        """Return what counts groups."""
        from connector.adapters.duckdb_groups import Tally  # loads DuckDB

        return Tally(self._engine.cursor(), keys, subject, values)

    def _open(self, path: Path, plan: DataPlan, request: ScanRequest) -> Scan:
        file = open_reading(path)
        lacking = sorted(plan.named - set(file.schema.names))
        if lacking:
            raise PolicyMismatch(f"the plan names column {lacking[0]!r}, which the file lacks")
        if shows_all(plan):
            return _PlainScan(path, plan, file, request)
        from connector.adapters.duckdb_judge import Judge  # loads DuckDB
        from connector.adapters.duckdb_scan import Held, JudgedScan

        judge = Judge(self._engine.cursor(), plan, file.schema, request.salt)
        held = Held(path, plan, file, judge, self._consents(plan, request))
        with reading(path):
            return JudgedScan(held, request, _pruned(plan, file))

    def _consents(self, plan: DataPlan, request: ScanRequest) -> Consents | None:
        joined = [branch.consent for branch in plan.branches if branch.consent is not None]
        if not joined:
            return None
        if request.consent is None:
            raise PolicyMismatch(
                "consent is asked for, and no consent table is beside the data; publish them with one"
            )
        from connector.adapters.consents import Consents  # loads DuckDB

        return Consents(self.resolve(request.consent), joined[0].purpose, self._engine, self._clock)


def shows_all(plan: DataPlan) -> bool:
    """Say whether a plan leaves no row out and masks no cell by its value: then nothing has to be judged."""
    return (
        len(plan.branches) == 1
        and plan.is_open
        and not any(mask.kind in COARSE for _, mask in plan.branches[0].masks)
    )


class _PlainScan:
    """One reading of a file of which every row leaves; hidden columns are not read."""

    def __init__(self, path: Path, plan: DataPlan, file: Reading, request: ScanRequest) -> None:
        self._path, self._file, self._request = path, file, request
        self.schema = only(file.schema, {*plan.visible(file.schema.names), *plan.seen})
        self._stopped = self._interrupted = False
        with reading(path):
            parts, self._skip = _parts_from(file.parts(None), request.start)
            self._batches: Batches = file.read(self.schema.names, parts, request.batch_bytes)

    def batches(self) -> Iterator[Scanned]:
        """Yield batches in order."""
        with reading(self._path):
            width = self._file.width(self.schema.names)
            read = (batch for _, batch in self._batches)
            for batch in rebatched(read, self._request.batch_bytes, width, self._skip):
                self._check()
                if self._stopped:
                    return
                yield Scanned(batch)
            self._check()

    def _check(self) -> None:
        if self._interrupted:
            raise WorldMoved("reading was interrupted; open the stream again")

    def interrupt(self) -> None:
        """Stop reading before the next batch; from any thread."""
        self._interrupted = True
        self.close()

    def close(self) -> None:
        """Stop reading; from any thread."""
        self._stopped = True
        self._batches.close()


def _parts_from(parts: Sequence[Part], start: int) -> tuple[Sequence[Part], int]:
    """Find the parts that hold rows from `start` on, and how many rows to skip in the first of them."""
    skip = start
    for index, part in enumerate(parts):
        if part.rows is None or part.rows > skip:
            return parts[index:], skip
        skip -= part.rows
    return [], skip


def _pruned(plan: DataPlan, file: Reading) -> pc.Expression | None:
    """Return what a part must be able to hold by its statistics; None if each may hold rows that leave."""
    physical = getattr(file, "physical", None)
    if physical is None:
        return None
    branches = []
    for branch in plan.branches:
        terms = [
            expression(item, file.schema.field(item.column).type)
            for item in branch.predicate
            # Statistics are those of the stored type; of a dictionary they tell nothing here.
            if physical.field(item.column).type == file.schema.field(item.column).type
        ]
        if not terms:
            return None
        branches.append(reduce(lambda one, other: one & other, terms))
    return reduce(lambda one, other: one | other, branches)


def _plain_table(table: pa.Table) -> pa.Table:
    schema = streamed_schema(table.schema)
    if schema == table.schema.remove_metadata():
        return table.cast(schema) if table.schema.metadata else table
    return pa.Table.from_batches(
        [
            pa.RecordBatch.from_arrays(
                [plain_array(array, field.type) for array, field in zip(batch.columns, schema, strict=True)],
                schema=schema,
            )
            for batch in table.to_batches()
        ],
        schema,
    )


def expression(comparison: Comparison, datatype: pa.DataType) -> pc.Expression:
    """Return a comparison for the reader; a null cell never passes it, nor does NaN."""
    target, scalars = comparable(comparison, datatype)
    cells = pc.field(comparison.column)
    if target != datatype:
        cells = cells.cast(target)
    passed = _passed(comparison, cells, target, scalars)
    return passed & ~cells.is_nan() if pa.types.is_floating(target) else passed


def _passed(
    comparison: Comparison, cells: pc.Expression, target: pa.DataType, scalars: list[pa.Scalar]
) -> pc.Expression:
    first = pc.scalar(scalars[0])
    match comparison.operator:
        case Operator.EQ:
            return cells == first
        case Operator.NEQ:
            return cells != first
        case Operator.LT:
            return cells < first
        case Operator.LTEQ:
            return cells <= first
        case Operator.GT:
            return cells > first
        case Operator.GTEQ:
            return cells >= first
    found = cells.isin(pa.array([scalar.as_py() for scalar in scalars], target))
    return (found if comparison.operator is Operator.IS_ANY_OF else ~found) & cells.is_valid()
