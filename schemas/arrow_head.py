"""Looking at the head of a foreign Arrow message before Arrow does: pure.

A compressed body of three kilobytes can unpack to a hundred megabytes. Hansa sends none, so none is read:
not by a consumer, and not at a sink.

Source: Arrow columnar format, `Message.fbs`; FlatBuffers binary format.
"""

from __future__ import annotations

import struct

from schemas.errors import Malformed, UnreadableData

_DICTIONARY, _BATCH = 2, 3
_OLDER = b"ARROW:experimental_compression"
"""How messages of Arrow 0.17 say that they are compressed, and readers still believe it.

Source: Apache Arrow, cpp/src/arrow/ipc/reader.cc (GetCompressionExperimental).
"""
# Places of the fields in their tables, as `Message.fbs` counts them.
_HEADER_TYPE, _HEADER, _DICTIONARY_DATA, _COMPRESSION = 1, 2, 1, 3


def check_message(head: bytes | memoryview) -> None:
    """Refuse a message whose body is compressed.

    Raises:
        UnreadableData: if it is.
        Malformed: if the head is no Arrow message.
    """
    try:
        message = _unsigned(head, 0)
        kind_at = _field(head, message, _HEADER_TYPE)
        kind = head[kind_at] if kind_at else 0
        if kind not in (_DICTIONARY, _BATCH):
            return
        batch = _child(head, message, _HEADER)
        if batch and kind == _DICTIONARY:
            batch = _child(head, batch, _DICTIONARY_DATA)
        if (batch and _field(head, batch, _COMPRESSION)) or _OLDER in bytes(head):
            raise UnreadableData(
                "the stream is compressed, which may unpack without bound; ask its provider for a plain one"
            )
    except (struct.error, IndexError):
        raise Malformed("the stream holds a message whose head is broken") from None


def _unsigned(head: bytes | memoryview, at: int) -> int:
    (value,) = struct.unpack_from("<I", head, at)
    return int(value)


def _field(head: bytes | memoryview, table: int, index: int) -> int:
    """Return where a field of a table stands, or 0 if it is absent."""
    (back,) = struct.unpack_from("<i", head, table)
    vtable = table - back
    if vtable < 0:
        raise IndexError(vtable)
    (size,) = struct.unpack_from("<H", head, vtable)
    if 4 + 2 * index + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", head, vtable + 4 + 2 * index)
    return table + int(offset) if offset else 0


def _child(head: bytes | memoryview, table: int, index: int) -> int:
    at = _field(head, table, index)
    return at + _unsigned(head, at) if at else 0
