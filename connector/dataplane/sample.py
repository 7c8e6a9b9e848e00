"""Which rows are in a sample: a number is drawn for each position of the file, under the agreement's key.

The numbers are the key stream of AES-256 in counter mode: row 0 has its first eight bytes, row 1 the next. So
any stretch of them is had at once, at the speed of the processor's own cipher, and nobody without the key
knows of a row whether it is in a sample.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

_WIDTH, _BLOCK = 8, 16
_PER_BLOCK = _BLOCK // _WIDTH
_SPARSE = 32


def sample_salt(key: bytes) -> str:
    """Derive from an agreement's key what its sample of the rows hangs on: 64 hexadecimal characters."""
    return hmac.digest(key, b"hansa-sample-1", "sha256").hex()


def sample_bound(percentage: Decimal) -> int:
    """Return the number below which so many percent of all draws lie."""
    part = Fraction(percentage) / 100
    return min(part.numerator * 2**64 // part.denominator, 2**64 - 1)


def draws(salt: str, first: int, count: int) -> pa.Array:
    """Return what was drawn for `count` rows from position `first` of the file on.

    Shapes: whole numbers of 64 bits without sign, without nulls.
    """
    block, skip = divmod(first, _PER_BLOCK)
    stream = Cipher(AES(bytes.fromhex(salt)), CTR(block.to_bytes(_BLOCK, "big"))).encryptor()
    found = stream.update(bytes((skip + count) * _WIDTH))
    return pa.Array.from_buffers(pa.uint64(), count, [None, pa.py_buffer(found)], offset=skip)


def drawn_singly(salt: str, rows: Sequence[int]) -> list[int]:
    """Return what was drawn for single rows, each found by itself: cheap for a few that lie far apart."""
    return [draws(salt, row, 1)[0].as_py() for row in rows]


def drawn_for(salt: str, rows: pa.Array) -> pa.Array:
    """Return what was drawn for rows by their positions in the file, which ascend."""
    if not len(rows):
        return pa.array([], pa.uint64())
    first, last = rows[0].as_py(), rows[-1].as_py()
    if last - first > _SPARSE * len(rows):  # most of what lies between them would be drawn for nothing
        return pa.array(drawn_singly(salt, rows.to_pylist()), pa.uint64())
    return draws(salt, first, last + 1 - first).take(pc.subtract(rows, pa.scalar(first, rows.type)))


def is_sampled(salt: str, row: int, percentage: Decimal) -> bool:
    """Say whether one row is in the sample, by its position in the file, from 0."""
    return drawn_singly(salt, [row])[0] < sample_bound(percentage)
