"""Columns as they are streamed: plain types only, and no metadata.

Dictionaries, views and run-end encodings share buffers between rows: a slice or a filtered batch would
carry values of rows and columns that a policy withholds. So everything is streamed in plain form.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import UnreadableData

_WIDEST_JUDGED = 38
"""Digits of decimals by whose values rows can be judged."""
_LIST_VIEW = pa.list_view(pa.null()).id
_LARGE_LIST_VIEW = pa.large_list_view(pa.null()).id


def streamed_type(datatype: pa.DataType) -> pa.DataType:
    """Return the plain type in which values of a type are streamed."""
    types = pa.types
    if isinstance(datatype, pa.BaseExtensionType):
        return streamed_type(datatype.storage_type)
    if types.is_dictionary(datatype) or types.is_run_end_encoded(datatype):
        return streamed_type(datatype.value_type)
    if types.is_string_view(datatype):
        return pa.string()
    if types.is_binary_view(datatype):
        return pa.binary()
    if types.is_struct(datatype):
        return pa.struct([_plain_field(field) for field in datatype])
    if types.is_map(datatype):
        return pa.map_(streamed_type(datatype.key_type), _plain_field(datatype.item_field))
    if types.is_fixed_size_list(datatype):
        return pa.list_(_plain_field(datatype.value_field), datatype.list_size)
    if types.is_large_list(datatype) or datatype.id == _LARGE_LIST_VIEW:
        return pa.large_list(_plain_field(datatype.value_field))
    if types.is_list(datatype) or datatype.id == _LIST_VIEW:
        return pa.list_(_plain_field(datatype.value_field))
    return datatype


def _plain_field(field: pa.Field) -> pa.Field:
    # Run ends inside of lists cannot be decoded; the type is left as it is, and refused.
    inner = field.type if pa.types.is_run_end_encoded(field.type) else streamed_type(field.type)
    return pa.field(field.name, inner, field.nullable)


def streamed_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema with plain types, and without metadata, which may tell of hidden columns.

    Raises:
        UnreadableData: naming a column whose name occurs twice or is empty, or whose type cannot be streamed.
    """
    if len(set(schema.names)) < len(schema.names):
        twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
        raise UnreadableData(f"column {twice[0][:80]!r} occurs more than once; rename one")
    if "" in schema.names:
        raise UnreadableData("a column has no name; give it one")
    fields = [pa.field(field.name, streamed_type(field.type), field.nullable) for field in schema]
    for before, after in zip(schema, fields, strict=True):
        _check_cast(before, after.type)
    return pa.schema(fields)


def _check_cast(field: pa.Field, wanted: pa.DataType) -> None:
    if not _can_be_plain(field.type, wanted):
        raise UnreadableData(
            f"column {field.name[:80]!r} of type {str(field.type)[:80]} cannot be streamed; "
            "store it as a plain type"
        )


def _can_be_plain(datatype: pa.DataType, wanted: pa.DataType) -> bool:
    if "run_end_encoded" in str(wanted):
        return False
    if datatype != wanted:
        try:
            plain_array(pa.nulls(0, datatype), wanted)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError):
            return False
    return True


def plain_array(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Bring an array to its plain type; no copy if it has it already."""
    if array.type == wanted:
        return array
    while isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.RunEndEncodedArray):
        array = pc.run_end_decode(array)
    return array if array.type == wanted else array.cast(wanted)


def can_hash(datatype: pa.DataType) -> bool:
    """Say whether values of a type have one plain text, so that a keyed hash of them can be made."""
    types = pa.types
    plain = streamed_type(datatype)
    return bool(
        types.is_string(plain)
        or types.is_large_string(plain)
        or types.is_binary(plain)
        or types.is_large_binary(plain)
        or types.is_fixed_size_binary(plain)
        or types.is_integer(plain)
        or types.is_floating(plain)
        or types.is_decimal(plain)
        or types.is_boolean(plain)
        or (types.is_temporal(plain) and not types.is_interval(plain))
    )


def can_judge(datatype: pa.DataType) -> bool:
    """Say whether rows can be judged, or put into classes, by values of a plain type."""
    types = pa.types
    return bool(
        is_text(datatype)
        or types.is_integer(datatype)
        or types.is_floating(datatype)
        or types.is_boolean(datatype)
        or types.is_date(datatype)
        or types.is_timestamp(datatype)
        or (types.is_decimal(datatype) and 0 <= datatype.scale <= datatype.precision <= _WIDEST_JUDGED)
    )


def is_text(datatype: pa.DataType) -> bool:
    """Say whether a plain type is text."""
    return bool(pa.types.is_string(datatype) or pa.types.is_large_string(datatype))


def only(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Return the fields of these names, in the order of the schema."""
    wanted = set(names)
    return pa.schema([field for field in schema if field.name in wanted])
