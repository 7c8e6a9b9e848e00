"""The canonical bytes of a document: what is signed, digested and committed to.

JSON with sorted ASCII keys, no spaces, integers within ±2^53 and no floats, so that the fast encoder
equals RFC 8785 byte for byte (a property test compares both).

Source: RFC 8785.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from schemas.errors import Malformed

_INTEGER_BOUND = 2**53 - 1


def _check(value: Any) -> None:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, int):
        if abs(value) > _INTEGER_BOUND:
            raise Malformed(f"canonical form: integer {value} is beyond ±(2^53 - 1)")
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise Malformed(f"canonical form: key {key!r} is not ASCII text")
            _check(item)
        return
    if isinstance(value, list | tuple):
        for item in value:
            _check(item)
        return
    raise Malformed(f"canonical form: {type(value).__name__} {value!r} has no exact form; write it as text")


def canonical(document: Any, most: int | None = None) -> bytes:
    """Encode a document in canonical form (RFC 8785 for documents without floats and with ASCII keys).

    Raises:
        Malformed: if the document has no exact form, or is longer than `most` bytes.
    """
    _check(document)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    encoded = text.encode()
    if most is not None and len(encoded) > most:
        raise Malformed(
            f"canonical form: {len(encoded)} bytes, at most {most}; refer to large things by digest"
        )
    return encoded


def digest(document: Any) -> str:
    """Return `sha256:…` over the canonical form of a document."""
    return "sha256:" + hashlib.sha256(canonical(document)).hexdigest()
