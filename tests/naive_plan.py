"""A plan carried out row by row in plain Python, by what the README says of it and by nothing of the product.

Slow and obvious, so that it can be read: what the engines do is compared with this.
"""

from __future__ import annotations

import hmac
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from policies.kinds.masking import Masking
from policies.plan import Branch, Comparison, DataPlan

Row = Mapping[str, Any]
_LEVELS = ["null", "redact", "hash", "truncate", "bucket", "round"]
_UNITS = ["year", "quarter", "month", "week", "day", "hour"]


def carried_out(
    rows: Sequence[Row],
    plan: DataPlan,
    types: Mapping[str, str],
    key: bytes,
    consenting: Callable[[Any], bool] = lambda subject: True,
) -> list[dict[str, Any]]:
    """Return what leaves of some rows; `types` are the names of the columns' Arrow types, in order."""
    salt = hmac.new(key, b"hansa-sample-1", "sha256").hexdigest()
    passes = [_passing(rows, branch, plan, salt, consenting) for branch in plan.branches]
    shown = [name for name in types if any(b.columns is None or name in b.columns for b in plan.branches)]
    left = []
    for index, row in enumerate(rows):
        covering = [branch for branch, passed in zip(plan.branches, passes, strict=True) if index in passed]
        if covering:
            left.append({name: _cell(row[name], name, types[name], covering, plan, key) for name in shown})
    return left


def _passing(
    rows: Sequence[Row], branch: Branch, plan: DataPlan, salt: str, consenting: Callable[[Any], bool]
) -> set[int]:
    passed = set()
    for index, row in enumerate(rows):
        if any(all(compare(row[c.column], c) is not False for c in each) for each in plan.excluded):
            continue
        if not all(compare(row[c.column], c) is True for c in branch.predicate):
            continue
        if branch.sample is not None and 100 * Decimal(drawn(salt, index)) / 2**64 >= branch.sample:
            continue
        if branch.consent is not None and not consenting(row[branch.consent.column]):
            continue
        passed.add(index)
    if branch.anonymity is None:
        return passed
    names = branch.anonymity.quasi_identifiers
    sizes = Counter(_class(rows[index], names) for index in passed)
    return {index for index in passed if sizes[_class(rows[index], names)] >= branch.anonymity.k}


def drawn(salt: str, row: int) -> int:
    """Encrypt the number of a block alone: its first half is one row's, its second half the next one's."""
    block = Cipher(AES(bytes.fromhex(salt)), ECB()).encryptor().update((row // 2).to_bytes(16, "big"))
    return int.from_bytes(block[row % 2 * 8 :][:8], "little")


def _class(row: Row, names: Sequence[str]) -> tuple[Any, ...]:
    found: list[Any] = []
    for name in names:
        value = row[name]
        if isinstance(value, float):
            value = "NaN" if math.isnan(value) else value + 0.0
        found.append((value is None, value))
    return tuple(found)


def compare(cell: Any, comparison: Comparison) -> bool | None:
    """Compare one cell; None where it cannot be known."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    values = [_like(value, cell) for value in comparison.values]
    match comparison.operator.value:
        case "eq":
            return bool(cell == values[0])
        case "neq":
            return bool(cell != values[0])
        case "lt":
            return bool(cell < values[0])
        case "lteq":
            return bool(cell <= values[0])
        case "gt":
            return bool(cell > values[0])
        case "gteq":
            return bool(cell >= values[0])
        case "isAnyOf":
            return any(cell == value for value in values)
        case "isNoneOf":
            return all(cell != value for value in values)
    raise AssertionError(comparison.operator)


def _like(value: Any, cell: Any) -> Any:
    if isinstance(cell, float):
        return float(value)
    if isinstance(cell, datetime):
        return value if cell.tzinfo else value.replace(tzinfo=None)
    return value


def _cell(value: Any, name: str, kind: str, covering: Sequence[Branch], plan: DataPlan, key: bytes) -> Any:
    showing = [branch for branch in covering if branch.columns is None or name in branch.columns]
    if not showing:
        return None
    everywhere = [b for b in plan.branches if b.columns is None or name in b.columns]
    as_itself = any(_kind(b, name) not in ("null", "hash", "redact") for b in everywhere)
    best = max((dict(branch.masks).get(name) for branch in showing), key=_revealing)
    if (
        best is not None
        and best.kind.value == "hash"
        and as_itself
        and kind not in ("string", "large_string")
    ):
        return None
    return masked(value, best, key, is_unsigned=kind == "uint64")


def _kind(branch: Branch, name: str) -> str:
    mask = dict(branch.masks).get(name)
    return "plain" if mask is None else mask.kind.value


def _revealing(mask: Masking | None) -> tuple[int, Decimal]:
    if mask is None:
        return 99, Decimal(0)
    level, argument = _LEVELS.index(mask.kind.value), mask.argument
    if mask.kind.value == "truncate":
        return level, Decimal(_UNITS.index(str(argument)))
    if mask.kind.value == "bucket":
        return level, -Decimal(str(argument))
    return level, Decimal(str(argument)) if argument is not None else Decimal(0)


def masked(value: Any, mask: Masking | None, key: bytes, *, is_unsigned: bool = False) -> Any:
    """Mask one cell."""
    if mask is None:
        return value
    match mask.kind.value:
        case "null":
            return None
        case "redact":
            return "[redacted]"
        case "hash":
            return None if value is None else hmac.new(key, _text(value), "sha256").hexdigest()[:16]
    if value is None:
        return None
    if mask.kind.value == "truncate":
        return _truncated(value, str(mask.argument))
    return _stepped(value, mask, is_unsigned)


def _text(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return str(value).encode()


def _truncated(value: date, unit: str) -> date:
    """Truncate in UTC; `day` is a date, `hour` what is left of the day."""
    moment = value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value
    day = date(moment.year, moment.month, moment.day)
    first = {
        "year": lambda: day.replace(month=1, day=1),
        "quarter": lambda: day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
        "month": lambda: day.replace(day=1),
        "week": lambda: day - timedelta(days=day.weekday()),
    }.get(unit, lambda: day)()
    if not isinstance(moment, datetime):
        return first
    hour = moment.hour if unit == "hour" else 0
    clock = moment.replace(year=first.year, month=first.month, day=first.day)
    return clock.replace(hour=hour, minute=0, second=0, microsecond=0)


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), value
    return exponent


def _stepped(value: Any, mask: Masking, is_unsigned: bool) -> Any:
    argument = Decimal(str(mask.argument))
    is_rounding = mask.kind.value == "round"
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        if not is_rounding:
            width = float(argument)
            return math.floor(value / width) * width
        power = float(10 ** abs(int(argument)))
        if argument >= 0:
            return math.floor(value * power + 0.5) / power
        return math.floor(value / power + 0.5) * power
    with localcontext(Context(prec=120)):
        step = Decimal(1).scaleb(-int(argument)) if is_rounding else argument
        if isinstance(value, int) and is_rounding and step <= 1:
            return value
        if isinstance(value, Decimal) and is_rounding and step <= Decimal(1).scaleb(_exponent(value)):
            return value
        exact = Decimal(value)
        whole = ((exact + (step / 2 if is_rounding else 0)) / step).to_integral_value(ROUND_FLOOR)
        if not isinstance(value, int):
            return whole * step
        low, high = (0, 2**64 - 1) if is_unsigned else (-(2**63) + int(step), 2**63 - 1)
        is_near_the_end = value < low or (is_rounding and value > high - int(step))
        return None if is_near_the_end else int(whole * step)
