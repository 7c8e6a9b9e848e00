"""Durations that have months or years in them: how long they are depends on where they start.

They are ordered as far as every start agrees: P1M is longer than P27D, at least as long as P28D, and neither
shorter nor longer than P30D. Started at an instant, each ends by the calendar.

Source: XML Schema 1.1 part 2, section 3.3.6, and appendix E.3.3 for adding durations to dateTimes. It tries
whole durations from four starts; we try the difference of two, from starts that give the extremes of each.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _TICK
_STARTS = ((2097, 2), (2303, 3), (2303, 5), (2303, 7))
"""From one of these a number of months is shortest, from one longest: found by trying all of the cycle."""
_CYCLE_MONTHS, _CYCLE_DAYS = 400 * 12, 146_097
"""The calendar comes again after so many months, which are so many days."""


class Incomparable(ValueError):
    """The order of two durations depends on where they start."""


@dataclass(frozen=True, slots=True)
class Months:
    """A duration of calendar months (not 0, else it is a `timedelta`) and of what has a fixed length.

    `<`, `<=`, `>` and `>=` raise `Incomparable` where starts disagree.
    """

    count: int
    rest: timedelta = timedelta()

    def __lt__(self, other: Length) -> bool:
        return _agreed("<", self, other)

    def __le__(self, other: Length) -> bool:
        return _agreed("<=", self, other)

    def __gt__(self, other: Length) -> bool:
        return _agreed("<", other, self)

    def __ge__(self, other: Length) -> bool:
        return _agreed("<=", other, self)

    def __add__(self, other: Length) -> Length:
        return length(self.count + _count(other), self.rest + _rest(other))

    __radd__ = __add__

    def __str__(self) -> str:
        return spelt(self)


Length = timedelta | Months


def length(months: int, rest: timedelta) -> Length:
    """Return a duration in its one form."""
    return Months(months, rest) if months else rest


def _count(one: Length) -> int:
    return one.count if isinstance(one, Months) else 0


def _rest(one: Length) -> timedelta:
    return one.rest if isinstance(one, Months) else one


def _agreed(sign: str, one: Length, other: Length) -> bool:
    found = is_shorter(one, other) if sign == "<" else is_no_longer(one, other)
    if found is None:
        raise Incomparable(f"whether {spelt(one)} {sign} {spelt(other)} depends on where they start")
    return found


def is_shorter(one: Length, other: Length) -> bool | None:
    """Say whether a duration ends before another; None where that depends on where they start."""
    least, most = _lead(other, one)
    return True if least > 0 else False if most <= 0 else None


def is_no_longer(one: Length, other: Length) -> bool | None:
    """Say whether a duration ends no later than another; None where that depends on where they start."""
    least, most = _lead(other, one)
    return True if least >= 0 else False if most < 0 else None


def _lead(one: Length, other: Length) -> tuple[int, int]:
    """Return by how many microseconds a duration ends after another: at least, and at most."""
    months, rest = _count(one) - _count(other), _rest(one) // _TICK - _rest(other) // _TICK
    days = [_days(abs(months), *start) for start in _STARTS]
    least, most = (min(days), max(days)) if months >= 0 else (-max(days), -min(days))
    return least * _DAY + rest, most * _DAY + rest


def _days(months: int, year: int, month: int) -> int:
    cycles, months = divmod(months, _CYCLE_MONTHS)
    whole = month - 1 + months
    end = date(year + whole // 12, whole % 12 + 1, 1)
    return cycles * _CYCLE_DAYS + (end - date(year, month, 1)).days


def after(start: datetime, lasting: Length) -> datetime | None:
    """Return the instant that lies a duration after another; None where no calendar of ours reaches.

    Months are counted first: a month after 31 January is the last of February.
    """
    month = start.month - 1 + _count(lasting)
    year, month = start.year + month // 12, month % 12 + 1
    try:
        day = min(start.day, monthrange(year, month)[1])
        return start.replace(year=year, month=month, day=day) + _rest(lasting)
    except (OverflowError, ValueError):
        return None


def spelt(lasting: Length) -> str:
    """Write a duration as XML Schema does: `P30D`, `PT90S`, `P1Y2M`, `P1M1DT1.5S`."""
    rest = abs(_rest(lasting))
    years, months = divmod(abs(_count(lasting)), 12)
    parts = ((years, "Y"), (months, "M"), (rest.days, "D"))
    day = "".join(f"{number}{unit}" for number, unit in parts if number)
    micro = f".{rest.microseconds:06}".rstrip("0") if rest.microseconds else ""
    clock = f"T{rest.seconds}{micro}S" if rest.seconds or micro else ""
    sign = "-" if _count(lasting) < 0 or _rest(lasting) < timedelta() else ""
    return f"{sign}P{day}{clock}" if day or clock else "PT0S"
