"""Duties with due dates: what the other side promised to do, by when, and what if not.

A duty is a promise that is shown, agreed and audited. Dates come from the agreement and from what was
delivered under it; a ledger keeps them, and nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from policies.compiled import CompiledPolicy
from policies.kinds.durations import Duration
from policies.rules import Consequence

MOST_DATES = 1_000
"""The most past due dates of one repeated obligation that are told; older ones are left out."""


@dataclass(frozen=True, slots=True)
class Obligation:
    """One promised action (absolute IRI), when it is due, and what happens if it is not kept.

    `before` is the instant before which it must be done, `delay` the time after the last delivery, `every`
    the interval at which it repeats, counted from the agreement; all None: at all times, without a date.
    """

    action: str
    place: str
    before: datetime | None = None
    delay: Duration | None = None
    every: Duration | None = None
    consequence: Consequence = Consequence.SUSPEND


def obligations_of(policy: CompiledPolicy) -> tuple[Obligation, ...]:
    """Return what a policy obliges to; of several dates the earliest counts."""
    return tuple(
        Obligation(
            duty.action,
            duty.place,
            min((limit.until for limit in duty.conditions if limit.until is not None), default=None),
            duty.delay,
            duty.every,
            duty.consequence,
        )
        for duty in policy.duties
    )


def due_dates(
    obligation: Obligation,
    agreed: datetime | None,
    first_delivery: datetime | None,
    last_delivery: datetime | None,
    at: datetime,
) -> tuple[datetime, ...]:
    """Return the instants before which an obligation must have been fulfilled, in order.

    A fixed date stands alone. A delay counts from the last delivery, so it moves with each one, and is owed
    by nobody who received nothing; beside a fixed date the earlier one counts. What repeats is due at the
    end of each interval after the agreement, from the first delivery on, up to a fixed date.

    Args:
        obligation: what was promised.
        agreed: when the agreement was made; None = not known, then nothing repeats.
        first_delivery: when data were first delivered under it, if they were.
        last_delivery: when they were last delivered.
        at: the time. Of what repeats, all dates up to now (at most `MOST_DATES`) are told, and the next one.
    """
    if obligation.every is not None:
        if agreed is None or first_delivery is None:
            return ()
        return _repeated(obligation.every, agreed, first_delivery, obligation.before, at)
    dates = [obligation.before]
    if obligation.delay is not None and last_delivery is not None:
        dates.append(obligation.delay.after(last_delivery))
    return tuple(sorted(date for date in dates if date is not None)[:1])


def _repeated(
    every: Duration, agreed: datetime, first: datetime, before: datetime | None, at: datetime
) -> tuple[datetime, ...]:
    """List the ends of the intervals; each is counted from the agreement, so that months do not drift."""
    low = max(every.most_before(agreed, first), every.most_before(agreed, at) - MOST_DATES)
    found: deque[datetime] = deque(maxlen=MOST_DATES + 1)
    for times in count(low + 1):
        date = every.times(times).after(agreed)
        if date is None or (before is not None and date > before):
            break
        if date > first:
            found.append(date)
        if date > max(at, first):
            break
    return tuple(found)


def due(obligations: Iterable[Obligation], at: datetime) -> tuple[Obligation, ...]:
    """Return the obligations with a fixed date whose time has not run out, the most urgent first."""
    dated = [(item.before, item) for item in obligations if item.before is not None and at < item.before]
    return tuple(item for _, item in sorted(dated, key=lambda pair: (pair[0], pair[1].place)))


def overdue(obligations: Iterable[Obligation], at: datetime) -> tuple[Obligation, ...]:
    """Return the obligations with a fixed date whose time has run out, the oldest first."""
    dated = [(item.before, item) for item in obligations if item.before is not None and at >= item.before]
    return tuple(item for _, item in sorted(dated, key=lambda pair: (pair[0], pair[1].place)))
