"""Reading a data file part by part, in plain types and in one order: Parquet, Arrow IPC or CSV."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet

from connector.adapters.rebatch import bytes_per_row
from connector.offering.columns import only, plain_array, streamed_schema
from schemas.errors import DataspaceError, UnreadableData

_KINDS = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
    ".csv": "CSV",
}
SUFFIXES = frozenset(_KINDS)
"""The endings of files that can be published."""
# More rows than this at a time would only hold memory: a batch of one narrow column is large enough by then.
_MOST_BATCH_ROWS = 131_072
_LEAST_BATCH_ROWS = 256
_WINDOW_BYTES = 16 << 20
# What the reader buffers ahead it keeps until the scan ends: memory would grow with the file.
_UNBUFFERED = pa.dataset.ParquetFragmentScanOptions(pre_buffer=False)


@dataclass(frozen=True)
class Part:
    """A stretch of a file that can be read on its own. Units: rows; None = not known before it is read."""

    index: int
    first: int
    rows: int | None


class Reading(Protocol):
    """One file, open for reading. Shapes: `schema` has the plain types of all its columns."""

    schema: pa.Schema

    def parts(self, pruned: pc.Expression | None) -> Sequence[Part]:
        """Return the parts in order, without those that by their statistics hold no row that passes."""
        ...

    def width(self, names: Sequence[str]) -> int:
        """Guess the bytes of a row of these columns."""
        ...

    def read(self, names: Sequence[str], parts: Sequence[Part], batch_bytes: int) -> Batches:
        """Start to read columns of some parts."""
        ...


class Batches(Protocol):
    """Batches under way, each with the position of its first row in the file."""

    def __iter__(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield them in order; may be called once."""
        ...

    def close(self) -> None:
        """Read no further; from any thread."""
        ...


def kind_of(path: Path) -> str:
    """Return what kind of file it is, by its name.

    Raises:
        UnreadableData: if it is of no known kind.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(_KINDS)
        raise UnreadableData(f"{path.name!r} is of no known kind; offer a file that ends in {known}")
    return kind


@contextmanager
def reading(path: Path, *, told: bool = False) -> Iterator[None]:
    """Turn whatever a reader says of a broken file into one error that names the file, not its folder.

    A reader may name the cell at which it failed, of whatever row and column: only who holds the file is
    `told` that. Everybody else hears of the kind of the failure.
    """
    try:
        yield
    except DataspaceError:
        raise
    except (pa.ArrowException, OSError, ValueError, UnicodeError) as error:
        said = (
            _said(error, path) if told else f"{_kind(error)}; its holder learns more by publishing it again"
        )
        raise UnreadableData(f"{path.name!r} cannot be read as {kind_of(path)}: {said}") from None


def _said(error: Exception, path: Path) -> str:
    return str(error).replace(str(path), path.name).replace(str(path.parent), "…")[:200]


def _kind(error: Exception) -> str:
    """Say what kind of failure it is, without any word of its text."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return "it is broken" if isinstance(error, OSError) else "its content is not what it should be"


def open_reading(path: Path, *, told: bool = False) -> Reading:
    """Open a file by its kind; its holder is `told` what is wrong with it, others are not.

    Raises:
        UnreadableData: if it cannot be read.
    """
    with reading(path, told=told):
        return _ParquetReading(path) if kind_of(path) == "Parquet" else _SerialReading(path)


class _ParquetReading:
    """A Parquet file; its parts are its row groups."""

    def __init__(self, path: Path) -> None:
        with pa.parquet.ParquetFile(path) as file:
            self.physical, self.metadata = file.schema_arrow, file.metadata
        self.schema = streamed_schema(self.physical)
        (self.fragment,) = pa.dataset.dataset(path, schema=self.schema, format="parquet").get_fragments()

    def parts(self, pruned: pc.Expression | None) -> Sequence[Part]:
        """Return row groups, without those that by their statistics hold no row that passes."""
        kept = None
        if pruned is not None:
            subset = self.fragment.subset(filter=pruned, schema=self.schema)
            kept = {group.id for group in subset.row_groups}
        found, first = [], 0
        for index in range(self.metadata.num_row_groups):
            rows = self.metadata.row_group(index).num_rows
            if kept is None or index in kept:
                found.append(Part(index, first, rows))
            first += rows
        return found

    def width(self, names: Sequence[str]) -> int:
        """Guess the bytes of a row of these columns."""
        return bytes_per_row(only(self.schema, names), _stored_widths(self.metadata))

    def read(self, names: Sequence[str], parts: Sequence[Part], batch_bytes: int) -> Batches:
        """Start to read columns of some row groups."""
        return _Windows(self, names, parts, batch_bytes)


class _Windows:
    """Reads one window of row groups after the other, the next while this one is sent.

    Threads of the reader decode as far ahead as they come, up to a gigabyte, however slowly it is read: so
    they are never given more than two windows.
    """

    def __init__(
        self, file: _ParquetReading, names: Sequence[str], parts: Sequence[Part], batch_bytes: int
    ) -> None:
        self._file, self._names = file, list(names)
        width = file.width(names)
        self._rows = max(_LEAST_BATCH_ROWS, min(_MOST_BATCH_ROWS, batch_bytes // width))
        self._windows = _windows(parts, width)
        self._closed = False
        self._first = self._scanner(self._windows[0]) if self._windows else None

    def _scanner(self, window: Sequence[Part]) -> pa.dataset.Scanner:
        return pa.dataset.Scanner.from_fragment(
            self._file.fragment.subset(row_group_ids=[part.index for part in window]),
            schema=self._file.schema,
            columns=self._names,
            batch_size=self._rows,
            # The reader's own defaults hold sixteen batches of four files; two keep the wire busy.
            batch_readahead=2,
            fragment_readahead=1,
            fragment_scan_options=_UNBUFFERED,
        )

    def __iter__(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield batches in order."""
        ahead = self._first.to_batches() if self._first else iter(())
        for index, window in enumerate(self._windows):
            present, ahead = ahead, iter(())
            following = self._windows[index + 1] if index + 1 < len(self._windows) else None
            if following is not None and not self._closed:
                ahead = self._scanner(following).to_batches()  # starts to read at once
            yield from _placed(present, window)

    def close(self) -> None:
        """Read no further."""
        self._closed, self._first = True, None


def _placed(
    batches: Iterator[pa.RecordBatch], window: Sequence[Part]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Tell where in the file each batch of a window begins; parts that were left out have their rows too."""
    parts = iter(window)
    part, done = next(parts, None), 0
    for whole in batches:
        batch = whole
        while batch.num_rows:
            while part is not None and done == part.rows:
                part, done = next(parts, None), 0
            if part is None or part.rows is None:
                raise UnreadableData("the file has more rows than it says; write it anew")
            piece = batch.slice(0, part.rows - done)
            yield part.first + done, piece
            done += piece.num_rows
            batch = batch.slice(piece.num_rows)


def _windows(parts: Sequence[Part], width: int) -> list[list[Part]]:
    """Gather row groups into windows of about 16 MB as read, at least one group each."""
    windows: list[list[Part]] = []
    size = _WINDOW_BYTES
    for part in parts:
        if size >= _WINDOW_BYTES:
            windows.append([])
            size = 0
        windows[-1].append(part)
        size += (part.rows or 0) * width
    return windows


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


class _SerialReading:
    """A file that is read from front to back, as one part: Arrow IPC or CSV."""

    def __init__(self, path: Path) -> None:
        physical, self._open = open_batches(path)
        self.schema = streamed_schema(physical)

    def parts(self, pruned: pc.Expression | None) -> Sequence[Part]:
        """Return the whole file; it keeps no statistics."""
        return [Part(0, 0, None)]

    def width(self, names: Sequence[str]) -> int:
        """Guess the bytes of a row of these columns."""
        return bytes_per_row(only(self.schema, names), {})

    def read(self, names: Sequence[str], parts: Sequence[Part], batch_bytes: int) -> Batches:
        """Start to read columns; nothing where no part is asked for."""
        return _Serial(self._open if parts else lambda: iter(()), only(self.schema, names))


class _Serial:
    def __init__(self, opened: Callable[[], Iterator[pa.RecordBatch]], schema: pa.Schema) -> None:
        self._open, self._schema = opened, schema
        self._closed = False

    def __iter__(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield batches in order."""
        first = 0
        for batch in self._open():
            if self._closed:
                return
            yield (
                first,
                pa.RecordBatch.from_arrays(
                    [plain_array(batch.column(field.name), field.type) for field in self._schema],
                    schema=self._schema,
                ),
            )
            first += batch.num_rows

    def close(self) -> None:
        """Read no further."""
        self._closed = True


def open_batches(path: Path) -> tuple[pa.Schema, Callable[[], Iterator[pa.RecordBatch]]]:
    """Return the schema of an Arrow or CSV file, and what starts to read it."""
    if kind_of(path) == "CSV":
        with pa.csv.open_csv(path) as reader:
            return reader.schema, lambda: iter(pa.csv.open_csv(path))
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).schema, lambda: _ipc_batches(path)


def _ipc_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file:
        reader: Any = pa.ipc.open_file(file)
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index)
            # A broken Arrow file can point outside its buffers: unread until every offset is checked.
            batch.validate(full=True)
            yield batch
