"""Instants, days, months and years in the order of XML Schema, in three values.

A time without a zone may be that of any zone, up to 14 hours off UTC: against one with a zone, what hangs on
that is unknown. Of a day on the left only some instant is meant; a day on the right is all of it.

Source: XML Schema 1.1 part 2, sections 3.3.7 to 3.3.11, and 2.2.3 for the order.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from policies.odrl.logic import all_of, any_of, negated
from policies.odrl.model import Stretch
from schemas.vocab import XSD

FARTHEST = timedelta(hours=14)
"""How far off UTC a zone may be."""
_TICK = timedelta(microseconds=1)
TIME_OF_DAY = XSD + "time"

Time = date | Stretch
"""A day (in UTC), an instant, or another stretch of time."""


def span(value: Time) -> tuple[datetime, datetime]:
    """Return the first and the last instant of a time."""
    match value:
        case Stretch():
            return value.first, value.last
        case datetime():
            return value, value
        case _:
            start = datetime.combine(value, time(), UTC)
            return start, start + (timedelta(days=1) - _TICK)


def _kind(value: Time) -> str | None:
    """Return the datatype of a stretch; None for an instant."""
    if isinstance(value, Stretch):
        return value.datatype
    return None if isinstance(value, datetime) else XSD + "date"


def earlier(one: datetime, other: datetime) -> bool | None:
    """Say whether an instant lies before another; None where that hangs on the zone of one without."""
    if (one.tzinfo is None) is (other.tzinfo is None):
        return one < other
    gap = other.replace(tzinfo=other.tzinfo or UTC) - one.replace(tzinfo=one.tzinfo or UTC)
    return True if gap > FARTHEST else False if gap <= -FARTHEST else None


def same_time(left: Time, right: Time) -> bool | None:
    """Say whether a time is another, or lies within it; that a whole day is one instant cannot be known."""
    if not _are_ordered(left, right):
        return None
    (since, until), (start, end) = span(left), span(right)
    if _kind(left) == _kind(right):
        return negated(any_of((earlier(since, start), earlier(start, since))))
    if any_of((earlier(until, start), earlier(end, since))) is True:
        return False
    return all_of((negated(earlier(since, start)), negated(earlier(end, until)))) or None


def ordered_times(bare: str, left: Time, right: Time) -> bool | None:
    """Say whether a time stands before or after another; None if that cannot be known.

    Args:
        bare: lt, lteq, gt or gteq.
        left: what is so.
        right: what it is compared with; a day ends at its end.
    """
    if not _are_ordered(left, right):
        return None
    (since, until), (start, end) = span(left), span(right)
    if _kind(left) == _kind(right):
        until, end = since, start
    if bare in ("lt", "gteq"):
        surely, never = earlier(until, start), negated(earlier(since, start))
    else:
        surely, never = negated(earlier(end, until)), earlier(end, since)
    before = True if surely is True else False if never is True else None
    return before if bare in ("lt", "lteq") else negated(before)


def _are_ordered(left: Time, right: Time) -> bool:
    kinds = {_kind(left), _kind(right)}
    return len(kinds) == 1 or TIME_OF_DAY not in kinds
