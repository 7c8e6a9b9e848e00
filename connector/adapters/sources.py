"""Data files below the folders that the holder allows: Parquet, and Arrow IPC or CSV where there are such.

Policy values reach the reader as typed constants of `pyarrow.compute` expressions, never as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet

from connector.adapters.rebatch import bytes_per_row, rebatched
from connector.dataplane.enforce import comparable, rows_that_pass, sole_branch
from connector.dataplane.ports import Scan
from connector.offering.columns import only, plain_array, streamed_schema, streamed_type
from connector.offering.ports import SourceFacts
from policies.plan import Branch, Comparison, DataPlan
from policies.profile import Operator
from schemas.errors import DataspaceError, NotFound, PolicyMismatch, UnreadableData

_KINDS = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
    ".csv": "CSV",
}
# More rows than this at a time would only hold memory: a batch of one narrow column is large enough by then.
_MOST_BATCH_ROWS = 131_072
# What the reader buffers ahead it keeps until the scan ends: memory would grow with the file.
_UNBUFFERED = pa.dataset.ParquetFragmentScanOptions(pre_buffer=False)
_WINDOW_BYTES = 16 << 20
_LEAST_BATCH_ROWS = 256
_FEW_ROWS = 50_000


class ParquetSources:
    """Reads data files; a `Sources` and a `Scans`.

    Args:
        roots: the folders below which sources may lie, links followed.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(Path(root).expanduser().resolve() for root in roots)

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
        raise NotFound(
            f"no file {source[:200]!r} below the folders that may be offered; check the name and data.roots"
        )

    def _checked(self, source: str | Path) -> Path:
        return source if isinstance(source, Path) else self.resolve(source)

    def facts(self, source: str | Path) -> SourceFacts:
        """Look at a file: its schema as streamed, its rows, its bytes on disk."""
        path = self._checked(source)
        with _reading(path):
            if _kind(path) == "Parquet":
                with pa.parquet.ParquetFile(path) as file:
                    schema, rows = streamed_schema(file.schema_arrow), file.metadata.num_rows
            else:
                schema, rows = streamed_schema(_open_batches(path)[0]), 0
                for batch in _open_batches(path)[1]():
                    rows += batch.num_rows
            return SourceFacts(schema, rows, path.stat().st_size)

    def head(
        self, source: str | Path, columns: Sequence[str], predicate: tuple[Comparison, ...], most: int
    ) -> pa.Table:
        """Return the first rows that pass a predicate, at most `most` of them, in plain types."""
        path = self._checked(source)
        if _kind(path) == "Parquet" and not predicate:
            # Reading a small file piece by piece costs half of what reading ahead of it does.
            with (
                _reading(path),
                pa.OSFile(str(path)) as raw,
                pa.parquet.ParquetFile(raw, pre_buffer=False) as file,
            ):
                rows = file.metadata.num_rows
                if rows <= most:
                    return _plain_table(file.read(list(columns), use_threads=rows > _FEW_ROWS))
                first = next(file.iter_batches(most, columns=list(columns)))
                return _plain_table(pa.Table.from_batches([first]))
        scan = self.scan(source, DataPlan((Branch(tuple(columns), (), predicate),)), batch_bytes=16 << 20)
        taken, rows = [], 0
        try:
            for batch in scan.batches():
                taken.append(batch.slice(0, most - rows).select(list(columns)))
                rows += taken[-1].num_rows
                if rows >= most:
                    break
        finally:
            scan.close()
        return _plain_table(pa.Table.from_batches(taken, only(scan.schema, columns)))

    def count(self, source: str | Path, predicate: tuple[Comparison, ...]) -> int:
        """Return how many rows pass a predicate."""
        if not predicate:
            return self.facts(source).rows
        names = tuple(dict.fromkeys(item.column for item in predicate))
        scan = self.scan(source, DataPlan((Branch(names, (), predicate),)), batch_bytes=16 << 20)
        try:
            return sum(batch.num_rows for batch in scan.batches())
        finally:
            scan.close()

    def scan(self, source: str | Path, plan: DataPlan, *, batch_bytes: int, start: int = 0) -> Scan:
        """Open a source with a plan pushed down."""
        path = self._checked(source)
        with _reading(path):
            if _kind(path) == "Parquet":
                return _ParquetScan(path, plan, batch_bytes, start)
            return _BatchScan(path, plan, batch_bytes, start)


def _kind(path: Path) -> str:
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(_KINDS)
        raise UnreadableData(f"{path.name!r} is of no known kind; offer a file that ends in {known}")
    return kind


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a reader says of a broken file into one error that names the file, not its folder."""
    try:
        yield
    except DataspaceError:
        raise
    except (pa.ArrowException, OSError, ValueError, UnicodeError) as error:
        said = str(error).replace(str(path), path.name).replace(str(path.parent), "…")[:200]
        raise UnreadableData(f"{path.name!r} cannot be read as {_kind(path)}: {said}") from None


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


def _scanned(schema: pa.Schema, plan: DataPlan) -> pa.Schema:
    """Return the columns that a plan shows or filters by.

    Raises:
        PolicyMismatch: naming a column that the file lacks.
    """
    wanted = {*plan.visible(schema.names), *plan.seen}
    lacking = sorted(plan.named - set(schema.names))
    if lacking:
        raise PolicyMismatch(f"the plan names column {lacking[0]!r}, which the file lacks")
    return only(schema, wanted)


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


class _ParquetScan:
    """One reading of a Parquet file."""

    def __init__(self, path: Path, plan: DataPlan, batch_bytes: int, start: int) -> None:
        self._path = path
        with pa.parquet.ParquetFile(path) as file:
            physical, metadata = file.schema_arrow, file.metadata
        whole = streamed_schema(physical)
        self.schema = _scanned(whole, plan)
        pushed: pc.Expression | None = None
        self._residual: list[Comparison] = []
        for comparison in sole_branch(plan).predicate:
            datatype = whole.field(comparison.column).type
            if physical.field(comparison.column).type != datatype:
                # The reader compares before it brings a column to its plain type; it cannot compare views.
                self._residual.append(comparison)
                continue
            one = expression(comparison, datatype)
            pushed = one if pushed is None else pushed & one
        dataset = pa.dataset.dataset(path, schema=whole, format="parquet")
        (fragment,) = dataset.get_fragments()
        groups, self._skip = _groups_from(fragment, metadata, pushed, start, bool(self._residual))
        self._width = bytes_per_row(self.schema, _stored_widths(metadata))
        self._batch_bytes = batch_bytes
        self._fragment, self._columns, self._pushed = fragment, whole, pushed
        self._windows = _windows(groups, metadata, self._width)
        self._closed = self._interrupted = False
        self._first = self._scanner(self._windows[0]) if self._windows else None

    def _scanner(self, window: Sequence[int]) -> pa.dataset.Scanner:
        rows = max(_LEAST_BATCH_ROWS, min(_MOST_BATCH_ROWS, self._batch_bytes // self._width))
        return pa.dataset.Scanner.from_fragment(
            self._fragment.subset(row_group_ids=window),
            schema=self._columns,
            columns=self.schema.names,
            filter=self._pushed,
            batch_size=rows,
            # The reader's own defaults hold sixteen batches of four files; two keep the wire busy.
            batch_readahead=2,
            fragment_readahead=1,
            fragment_scan_options=_UNBUFFERED,
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches in order."""
        with _reading(self._path):
            kept = _filtered(self._scanned_batches(), tuple(self._residual))
            yield from rebatched(kept, self._batch_bytes, self._width, self._skip)

    def _scanned_batches(self) -> Iterator[pa.RecordBatch]:
        """Read one window after the other, the next while this one is sent.

        Threads of the reader decode as far ahead as they come, up to a gigabyte, however slowly batches are
        taken; so they are never given more than two windows.
        """
        ahead = self._first.to_batches() if self._first else iter(())
        for following in [*self._windows[1:], None]:
            present, ahead = ahead, iter(())
            if following is not None and not self._closed:
                ahead = self._scanner(following).to_batches()  # starts to read at once
            for batch in present:  # the reader hands out batches of which no row passed, too
                if self._interrupted:
                    return
                yield batch

    def interrupt(self) -> None:
        """Have `batches` end at the next batch that the reader decodes, whether or not a row of it passes."""
        self._interrupted = self._closed = True

    def close(self) -> None:
        """Stop reading."""
        self._closed, self._first = True, None


def _windows(groups: Sequence[int], metadata: pa.parquet.FileMetaData, width: int) -> list[list[int]]:
    """Part row groups into windows of about 16 MB as read, at least one group each."""
    windows: list[list[int]] = []
    size = _WINDOW_BYTES
    for group in groups:
        if size >= _WINDOW_BYTES:
            windows.append([])
            size = 0
        windows[-1].append(group)
        size += metadata.row_group(group).num_rows * width
    return windows


def _groups_from(
    fragment: Any, metadata: pa.parquet.FileMetaData, pushed: pc.Expression | None, start: int, residual: bool
) -> tuple[list[int], int]:
    """Find the row groups that hold rows from `start` on, and how many rows to skip in the first of them.

    Groups before it are counted by their metadata, or by reading only the columns that the filter needs.
    """
    skip = start
    for group in range(metadata.num_row_groups):
        if skip == 0 or residual:
            return list(range(group, metadata.num_row_groups)), skip
        rows = metadata.row_group(group).num_rows
        if pushed is not None:
            rows = fragment.subset(row_group_ids=[group]).count_rows(filter=pushed)
        if rows > skip:
            return list(range(group, metadata.num_row_groups)), skip
        skip -= rows
    return [], skip


def _stored_widths(metadata: pa.parquet.FileMetaData) -> dict[str, int]:
    """Return bytes a row of each top-level column, as stored before compression: at least so many."""
    sizes: dict[str, int] = {}
    for group in range(min(metadata.num_row_groups, 4)):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            column = row_group.column(index)
            name = column.path_in_schema.split(".", 1)[0]
            width = column.total_uncompressed_size // max(1, row_group.num_rows)
            sizes[name] = max(sizes.get(name, 0), width)
    return sizes


def _filtered(
    batches: Iterator[pa.RecordBatch], predicate: tuple[Comparison, ...]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if predicate and batch.num_rows:
            plain = {
                item.column: plain_array(column := batch.column(item.column), streamed_type(column.type))
                for item in predicate
            }
            yield batch.filter(rows_that_pass(predicate, plain))
        else:
            yield batch


class _BatchScan:
    """One reading of a file that is read from front to back: Arrow IPC or CSV."""

    def __init__(self, path: Path, plan: DataPlan, batch_bytes: int, start: int) -> None:
        physical, self._open = _open_batches(path)
        self._path, self._plan, self._start, self._batch_bytes = path, plan, start, batch_bytes
        self.schema = _scanned(streamed_schema(physical), plan)
        for comparison in sole_branch(plan).predicate:
            comparable(comparison, self.schema.field(comparison.column).type)
        self._stopped = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches in order."""
        with _reading(self._path):
            kept = _filtered(self._plain(), sole_branch(self._plan).predicate)
            yield from rebatched(kept, self._batch_bytes, bytes_per_row(self.schema, {}), self._start)

    def _plain(self) -> Iterator[pa.RecordBatch]:
        for batch in self._open():
            if self._stopped:
                return
            yield pa.RecordBatch.from_arrays(
                [plain_array(batch.column(field.name), field.type) for field in self.schema],
                schema=self.schema,
            )

    def interrupt(self) -> None:
        """Have `batches` end at the next batch of the file."""
        self._stopped = True

    def close(self) -> None:
        """Stop reading."""
        self._stopped = True


def _open_batches(path: Path) -> tuple[pa.Schema, Callable[[], Iterator[pa.RecordBatch]]]:
    if _kind(path) == "CSV":
        with pa.csv.open_csv(path) as reader:
            return reader.schema, lambda: iter(pa.csv.open_csv(path))
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).schema, lambda: _ipc_batches(path)


def _ipc_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index)
            # A broken Arrow file can point outside its buffers: unread until every offset is checked.
            batch.validate(full=True)
            yield batch
