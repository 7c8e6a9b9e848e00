"""Batches of a useful size: about four megabytes travel best, whatever the reader hands out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

_TEXT_WIDTH = 24
_LIST_WIDTH = 64


def bytes_per_row(schema: pa.Schema, stored: Mapping[str, int]) -> int:
    """Guess the bytes of a row: by type, and at least as many as the file stores."""
    return max(1, sum(max(_width(field.type), stored.get(field.name, 0)) for field in schema))


def _width(datatype: pa.DataType) -> int:
    if pa.types.is_struct(datatype):
        return sum(_width(field.type) for field in datatype)
    try:
        return max(1, int(datatype.bit_width) // 8)
    except ValueError:
        return _LIST_WIDTH if pa.types.is_nested(datatype) else _TEXT_WIDTH


def rebatched(
    batches: Iterable[pa.RecordBatch], batch_bytes: int, width: int, skip: int
) -> Iterator[pa.RecordBatch]:
    """Drop `skip` rows, join small batches and split large ones; yield the first at once, none empty."""
    full = max(1, batch_bytes // width)
    held: list[pa.RecordBatch] = []
    rows, size, first = 0, 0, True
    for whole in batches:
        batch = whole
        if skip:
            dropped = min(skip, batch.num_rows)
            skip -= dropped
            batch = batch.slice(dropped)
        if batch.num_rows == 0:
            continue
        if not held and (first or 2 * batch.num_rows >= full):
            first = False
            yield from _split(batch, batch_bytes)
            continue
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        # The width is a guess: rows may be a thousand times as wide.
        if 2 * rows >= full or size >= batch_bytes:
            yield from _split(pa.concat_batches(held), batch_bytes)
            held, rows, size = [], 0, 0
    if held:
        yield from _split(pa.concat_batches(held), batch_bytes)


def _split(batch: pa.RecordBatch, batch_bytes: int) -> Iterator[pa.RecordBatch]:
    size = batch.nbytes
    if size <= 4 * batch_bytes or batch.num_rows == 1:
        yield batch
        return
    step = max(1, batch.num_rows * batch_bytes // size)
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)
