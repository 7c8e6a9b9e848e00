"""Windows that recur: is one open, and when does it open or close next?

Source: IANA time zone database, by `policies.zones`.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from policies.rules import DayLimit, DayTimeLimit
from policies.zones import jumps, local_time, zone

TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_MIDNIGHT = frozenset({time(0)})
_AHEAD = {DayLimit: 9, DayTimeLimit: 3}
"""How many days are looked ahead at once: a week, or a day, and what a change of the clock may move."""
_FIRST, _LAST = date.min + timedelta(days=30), date.max - timedelta(days=30)
"""Near the ends of the calendar nothing is looked ahead."""


def is_open(limit: DayLimit | DayTimeLimit, at: datetime) -> bool:
    """Say whether an instant falls on one of the days, or into one of the windows.

    A window over midnight is the time from its start on, and the time up to its end.
    """
    local = local_time(at, limit.zone)
    if isinstance(limit, DayLimit):
        return local.weekday() in limit.days
    now = local.time()
    return any(
        start <= now < end if start < end else now >= start or now < end for start, end in limit.windows
    )


def next_turn_of(limit: DayLimit | DayTimeLimit, after: datetime) -> datetime | None:
    """Return the next instant at which a window opens or closes.

    Where it does neither for as long as is looked ahead, it is the instant up to which that is known; None if
    it never does.
    """
    if _is_always(limit):
        return None
    day = after.astimezone(UTC).date()
    if not _FIRST < day < _LAST:
        return None
    flips, known = _flips(limit, day)
    at = bisect_right(flips, after)
    return flips[at] if at < len(flips) else known


@lru_cache(maxsize=1024)
def _is_always(limit: DayLimit | DayTimeLimit) -> bool:
    """Say whether it is open on every day of the week, or at every time of the day."""
    if isinstance(limit, DayLimit):
        return len(set(limit.days)) == 7
    edges = {edge for window in limit.windows for edge in window}
    return all(any(_holds(window, edge) for window in limit.windows) for edge in edges)


def _holds(window: tuple[time, time], at: time) -> bool:
    start, end = window
    return start <= at < end if start < end else at >= start or at < end


@lru_cache(maxsize=2048)
def _flips(limit: DayLimit | DayTimeLimit, day: date) -> tuple[list[datetime], datetime]:
    """Return when a window opens or closes from a day of UTC on, and up to when that is known.

    An hour that a clock shows twice counts twice. An hour that it skips counts at the instant of the skip.
    """
    place = zone(limit.zone)
    begin = datetime.combine(day, time(), UTC)
    known = begin + _AHEAD[type(limit)] * _DAY
    edges = (
        _MIDNIGHT
        if isinstance(limit, DayLimit)
        else frozenset(edge for window in limit.windows for edge in window)
    )
    found = set(jumps(place, begin, known))
    for days in range(-1, _AHEAD[type(limit)] + 2):
        for edge in edges:
            for fold in (0, 1):
                local = datetime.combine(day + days * _DAY, edge.replace(fold=fold), place)
                found.add(local.astimezone(UTC))
    return [
        instant
        for instant in sorted(found)
        if begin <= instant < known and is_open(limit, instant) is not is_open(limit, instant - TICK)
    ], known
