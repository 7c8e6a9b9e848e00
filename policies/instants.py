"""When may the answer change? The next instant at which a condition that depends on time may turn.

Not every such instant changes anything; no change lies before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from policies.durations import Duration
from policies.profile import Operator
from policies.rules import DayLimit, DayTimeLimit, ElapsedLimit, MovingLimit, Since
from policies.use import UseTotals
from policies.windows import TICK, next_turn_of

MOST_STEPS = 400
"""How many instants are looked at, at most, before "decide again then" is the answer."""


def elapsed_end(limit: ElapsedLimit, totals: UseTotals, at: datetime) -> datetime | None:
    """Return the first instant at which the time has run out; None = not in this calendar, or not known.

    Before the first delivery the use asked for is taken to be it: the time cannot run out earlier.
    """
    start = totals.agreed if limit.since is Since.AGREEMENT else totals.first_delivery or at
    end = _end(limit.duration, start) if start is not None else None
    if end is None or limit.operator is Operator.LT:
        return end
    return end + TICK if end < datetime.max.replace(tzinfo=end.tzinfo) else None


@lru_cache(maxsize=4096)
def _end(duration: Duration, start: datetime) -> datetime | None:
    return duration.after(start)


def next_turn(limit: MovingLimit, totals: UseTotals, at: datetime, after: datetime) -> datetime | None:
    """Return the next instant after `after` at which a limit may turn; None if it never does.

    Args:
        limit: the condition.
        totals: when the agreement was made and first used.
        at: the time of the question.
        after: only later instants count.
    """
    match limit:
        case ElapsedLimit():
            end = elapsed_end(limit, totals, at)
            return end if end is not None and end > after else None
        case DayLimit() | DayTimeLimit():
            return next_turn_of(limit, after)


def turns(
    fixed: Iterable[datetime], moving: Iterable[MovingLimit], totals: UseTotals, at: datetime
) -> Iterable[datetime]:
    """Walk the instants after `at` at which something may change, in order, at most `MOST_STEPS`.

    Args:
        fixed: instants that the policy names, in order.
        moving: conditions that name none.
        totals: when the agreement was made and first used.
        at: the time of the question.
    """
    later = [instant for instant in fixed if instant > at]
    limits = tuple(moving)
    if not limits:
        yield from later
        return
    after = at
    for _ in range(MOST_STEPS):
        found = [next_turn(limit, totals, at, after) for limit in limits]
        found.append(next((instant for instant in later if instant > after), None))
        instants = [instant for instant in found if instant is not None]
        if not instants:
            return
        after = min(instants)
        yield after
