"""Masks laid over arrays, by pyarrow: keyed hashes, buckets, roundings, truncated dates.

What another engine made of a column is compared with this, cell by cell, before it leaves.
"""

from __future__ import annotations

import hmac
from decimal import ROUND_FLOOR, Context, Decimal, localcontext

import pyarrow as pa
import pyarrow.compute as pc

from connector.offering.columns import is_text
from connector.offering.masked import masked_type, step_of
from policies.kinds.masking import REDACTED, Masking, MaskKind
from schemas.errors import DataspaceError

HASH_CHARACTERS = 16
"""Hexadecimal characters of a pseudonym: 64 bits."""
MOST_KNOWN = 1 << 16
"""Hashes that one stream keeps."""
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""Days from 1970-01-01 to the first day of year 1 and the last of year 9999: all that can be truncated."""
COARSE = (MaskKind.BUCKET, MaskKind.ROUND, MaskKind.TRUNCATE)
"""Masks that leave something of the value, to be computed."""
FIRST_NANOSECOND_DAY = -106_650
"""Days from 1970-01-01 to the first of 1678: the first year that nanoseconds of 64 bits hold as a whole."""
TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Ticks of a second, by the unit of a timestamp."""


def mask_key(secret: bytes, agreement: str) -> bytes:
    """Derive the key of an agreement's pseudonyms: under another one the same value looks different."""
    return hmac.digest(secret, b"hansa-mask-1\x00" + agreement.encode(), "sha256")


def watermark(key: bytes) -> str:
    """Derive from an agreement's key the mark that its streams carry: 128 bits in hexadecimal."""
    return hmac.digest(key, b"hansa-watermark-1", "sha256")[:16].hex()


class Pseudonyms:
    """Replaces values by keyed hashes of their text; null stays null.

    Hashes of values that come again are kept, a bounded number of them: columns that are masked often name
    the same few thousand people.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[pa.DataType, tuple[pa.Array, pa.Array]] = {}

    def of(self, column: pa.Array) -> pa.Array:
        """Return the pseudonyms of a column.

        Shapes: a plain string column of equal length (a dictionary would carry more than it shows).
        """
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(
                pa.timestamp(column.type.unit)
            )  # its text must not hang on a time zone database
        encoded = column.dictionary_encode()
        values = encoded.dictionary
        if not (pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)):
            values = values.cast(pa.binary() if pa.types.is_fixed_size_binary(values.type) else pa.string())
        known, hashes = self._known.get(values.type, (values.slice(0, 0), pa.array([], pa.string())))
        places = pc.index_in(values, known)
        if places.null_count:
            if len(known) > MOST_KNOWN:
                known, hashes = known.slice(0, 0), hashes.slice(0, 0)
            new = values.filter(pc.invert(pc.is_in(values, known)))
            known = pa.concat_arrays([known, new])
            hashes = pa.concat_arrays([hashes, self._hashed(new)])
            self._known[values.type] = known, hashes
            places = pc.index_in(values, known)
        return hashes.take(places.take(encoded.indices))

    def _hashed(self, values: pa.Array) -> pa.Array:
        raw = (text if isinstance(text, bytes) else text.encode() for text in values.to_pylist())
        size = HASH_CHARACTERS // 2
        return pa.array([hmac.digest(self._key, one, "sha256")[:size].hex() for one in raw], pa.string())


def redacted(length: int, datatype: pa.DataType) -> pa.Array:
    """Return a column of text that says of every cell, empty ones too, that it is withheld."""
    if not is_text(datatype):
        raise DataspaceError(f"a column of type {datatype} cannot be redacted; nothing of it was sent")
    return pa.repeat(pa.scalar(REDACTED, datatype), length)


def coarsened(column: pa.Array, mask: Masking) -> pa.Array:
    """Put numbers into buckets, round them (halves go up), or truncate dates (in UTC, weeks from Monday).

    Null stays null; and what has no bucket becomes null: NaN and infinities, dates outside of the years 1 to
    9999, whole numbers within one step of what 64 bits hold.

    Shapes: as many cells, in the type that `masked_type` tells.
    """
    wanted = masked_type("column", column.type, mask)
    if mask.kind is MaskKind.TRUNCATE:
        return _truncated(column, str(mask.argument))
    if pa.types.is_floating(column.type):
        return _floored_floats(column.cast(pa.float64()), mask)
    if wanted == column.type and mask.kind is MaskKind.ROUND and step_of(mask) <= 1:
        return column
    if pa.types.is_integer(column.type):
        return _floored_integers(column.cast(wanted), int(step_of(mask)), mask.kind is MaskKind.ROUND)
    return _floored_decimals(column, wanted, mask)


def _floored_floats(cells: pa.Array, mask: Masking) -> pa.Array:
    # The same operations in the same order as the other engine: then the last bit is the same too.
    if mask.kind is MaskKind.BUCKET:
        step = float(step_of(mask))
        floored = pc.multiply(pc.floor(pc.divide(cells, step)), step)
    else:
        digits = int(Decimal(str(mask.argument)))
        power = float(10 ** abs(digits))
        scaled = pc.multiply(cells, power) if digits >= 0 else pc.divide(cells, power)
        whole = pc.floor(pc.add(scaled, 0.5))
        floored = pc.divide(whole, power) if digits >= 0 else pc.multiply(whole, power)
    return pc.if_else(pc.is_finite(floored), floored, pa.scalar(None, pa.float64()))


def _floored_integers(cells: pa.Array, step: int, is_rounding: bool) -> pa.Array:
    """Floor whole numbers to multiples of a step, or round them: by remainders, which never overflow."""
    datatype = cells.type
    signed = not pa.types.is_uint64(datatype)
    low, high = (-(2**63) + step, 2**63 - 1 - step) if signed else (0, 2**64 - 1 - step)
    inside = pc.greater_equal(cells, pa.scalar(low, datatype))
    if is_rounding or not signed:
        inside = pc.and_(
            inside, pc.less_equal(cells, pa.scalar(high if is_rounding else 2**64 - 1, datatype))
        )
    safe = pc.if_else(inside, cells, pa.scalar(None, datatype))
    whole = pa.scalar(step, datatype)
    rest = pc.subtract(safe, pc.multiply(pc.divide(safe, whole), whole))
    zero = pa.scalar(0, datatype)
    if signed:
        rest = pc.if_else(pc.less(rest, zero), pc.add(rest, whole), rest)
    floored = pc.subtract(safe, rest)
    if not is_rounding:
        return floored
    return pc.if_else(
        pc.greater_equal(rest, pa.scalar((step + 1) // 2, datatype)), pc.add(floored, whole), floored
    )


def _floored_decimals(cells: pa.Array, wanted: pa.DataType, mask: Masking) -> pa.Array:
    """Floor decimals to multiples of a step, or round them: exactly, value by value."""
    encoded = cells.dictionary_encode()
    step = step_of(mask)
    with localcontext(Context(prec=100)):
        half = step / 2 if mask.kind is MaskKind.ROUND else Decimal(0)
        values = [
            ((value + half) / step).to_integral_value(ROUND_FLOOR) * step
            for value in encoded.dictionary.to_pylist()
        ]
        exact = [value.quantize(Decimal(1).scaleb(-wanted.scale)) for value in values]
    return pa.array(exact, wanted).take(encoded.indices)


def _truncated(column: pa.Array, unit: str) -> pa.Array:
    datatype = column.type
    if pa.types.is_date32(datatype):
        if unit in ("day", "hour"):
            return _within(column, column.cast(pa.int32()), 1)
        cells = _within(column, column.cast(pa.int32()), 1)
        return pc.floor_temporal(cells, unit=unit)
    ticks = TICKS["ms"] if pa.types.is_date64(datatype) else TICKS[datatype.unit]
    plain = pa.timestamp("ms" if pa.types.is_date64(datatype) else datatype.unit)
    whole = column.cast(pa.int64())
    cells = _within(whole.cast(plain), whole, 86_400 * ticks)
    return pc.floor_temporal(cells, unit=unit).cast(pa.int64()).cast(datatype)


def tick_bounds(day: int) -> tuple[int, int]:
    """Return the first and the last tick that can be truncated, where a day has so many ticks."""
    highest = (LAST_DAY + 1) * day - 1
    if highest >= 2**63:  # 64 bits of nanoseconds end long before the calendar does
        return FIRST_NANOSECOND_DAY * day, 2**63 - 1
    return FIRST_DAY * day, highest


def _within(column: pa.Array, ticks: pa.Array, day: int) -> pa.Array:
    """Leave out what lies outside of the years 1 to 9999, where calendars of machines end."""
    datatype = ticks.type
    lowest, highest = tick_bounds(day)
    inside = pc.and_(
        pc.greater_equal(ticks, pa.scalar(lowest, datatype)),
        pc.less_equal(ticks, pa.scalar(highest, datatype)),
    )
    return pc.if_else(inside, column, pa.scalar(None, column.type))
