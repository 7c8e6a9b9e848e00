"""What recurs: instants that come again after the same time, from a start.

Two recurrences meet where the difference of their starts is a multiple of what their periods share: that is
the Chinese remainder theorem, and needs no search.

Source: ISO 8601-1, repeating intervals (`R/2026-01-01/P30D`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import gcd

_TICK = timedelta(microseconds=1)
_REPEATING = re.compile(r"R(?:\d+|-1)?/([^/]{1,40})/([^/]{1,40})")
_PERIOD = re.compile(r"P(?:(\d{1,6})W|(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?)")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The instants `start`, `start + period`, `start + 2 period` …, each lasting `span`.

    Without a start it begins when the policy does, as others without one do.
    """

    period: timedelta
    start: datetime | None = None
    span: timedelta = timedelta()

    def __str__(self) -> str:
        since = f" from {self.start.isoformat()}" if self.start is not None else ""
        return f"every {self.period}{since}"

    def intersect(self, other: Recurrence) -> Recurrence | bool | None:
        """Return what both have in common: a recurrence, False for nothing, None where that is unknown."""
        if self == other:
            return self
        if (self.start is None) is not (other.start is None):
            return None
        mine, theirs = self.period // _TICK, other.period // _TICK
        shared = gcd(mine, theirs)
        if self.start is None or other.start is None:
            return Recurrence(mine // shared * theirs * _TICK, None, min(self.span, other.span))
        apart = ((other.start - self.start) // _TICK) % shared
        if apart == 0:
            return self._together(self.start, other.start, other)
        if apart < self.span // _TICK or shared - apart < other.span // _TICK:
            return None
        return False

    def _together(self, mine: datetime, theirs: datetime, other: Recurrence) -> Recurrence:
        """Return the recurrence of both, whose starts are whole steps of what the periods share apart."""
        one, two = self.period // _TICK, other.period // _TICK
        shared = gcd(one, two)
        steps = ((theirs - mine) // _TICK) // shared
        many = steps * pow(one // shared, -1, two // shared) % (two // shared)
        period = one // shared * two
        first = mine + many * one * _TICK
        if first < theirs:
            first += -(-((theirs - first) // _TICK) // period) * period * _TICK
        return Recurrence(period * _TICK, first, min(self.span, other.span))

    def falls_into(
        self, low: datetime | None, high: datetime | None, *, low_open: bool, high_open: bool
    ) -> bool:
        """Say whether one of its times falls between two instants; None is infinitely far away."""
        if self.start is None or (high is None and low is None):
            return True
        first = self.start
        if low is not None and first + self.span <= low:
            # The first time that ends after the low end.
            first += (low - first - self.span) // self.period * self.period
            while first + self.span < low or (first + self.span == low and (low_open or self.span)):
                first += self.period
        if high is None:
            return True
        return first < high or (first == high and not high_open)


def repeating(text: str) -> Recurrence | None:
    """Read a repeating interval of ISO 8601; None where it is none, or has months or years."""
    found = _REPEATING.fullmatch(text)
    period = duration(found[2]) if found else None
    if found is None or not period:
        return None
    try:
        if "T" not in found[1]:
            day = date.fromisoformat(found[1])
            return Recurrence(period, datetime(day.year, day.month, day.day, tzinfo=UTC), timedelta(days=1))
        start = datetime.fromisoformat(found[1])
    except ValueError:
        return None
    return Recurrence(period, start if start.tzinfo else start.replace(tzinfo=UTC))


def duration(text: str) -> timedelta | None:
    """Read a duration of weeks, days, hours, minutes and seconds; None where it is none of these."""
    found = _PERIOD.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
