"""Pure: cells as people read them. Python has no nanoseconds, and a server no data frames that have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa


def cells_of(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return cells as Python values.

    Times and durations in nanoseconds come as text with all their digits (a duration as their number), and
    to the microsecond within lists, maps and structs.
    """
    held = _held(column.type)
    if held != column.type:
        column = column.cast(held if held.num_fields else pa.string(), safe=False)
    return list(column.to_pylist())


def rows_as_text(table: pa.Table) -> Sequence[Sequence[str | None]]:
    """Return the rows of a small table as text, cell by cell."""
    columns = [[_text(value) for value in cells_of(column)] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _text(value: object, most: int = 200) -> str | None:
    """Write a cell for people; None for null. Bytes are written as hexadecimal digits."""
    if value is None:
        return None
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _held(datatype: pa.DataType) -> pa.DataType:
    """Return the type with microseconds in place of nanoseconds."""
    types = pa.types
    if types.is_timestamp(datatype) and datatype.unit == "ns":
        return pa.timestamp("us", datatype.tz)
    if types.is_duration(datatype) and datatype.unit == "ns":
        return pa.duration("us")
    if types.is_time64(datatype) and datatype.unit == "ns":
        return pa.time64("us")
    if types.is_dictionary(datatype) and (within := _held(datatype.value_type)) != datatype.value_type:
        return within
    if types.is_struct(datatype):
        return pa.struct([_held_field(field) for field in datatype])
    if types.is_map(datatype):
        return pa.map_(_held_field(datatype.key_field), _held_field(datatype.item_field))
    if types.is_fixed_size_list(datatype):
        return pa.list_(_held_field(datatype.value_field), datatype.list_size)
    if types.is_large_list(datatype):
        return pa.large_list(_held_field(datatype.value_field))
    return pa.list_(_held_field(datatype.value_field)) if types.is_list(datatype) else datatype


def _held_field(field: pa.Field) -> pa.Field:
    return field.with_type(_held(field.type))
