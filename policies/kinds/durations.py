"""Durations as ISO 8601 writes them, kept apart as months, days and seconds.

A month has no fixed length, so a duration becomes an instant only from where it starts: months first, by the
calendar (31 January and a month is the last of February), then days and seconds.

Source: ISO 8601; XML Schema 1.1 part 2, duration.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from policies.kinds.values import read_text, shown
from policies.refusals.refusal import refusal
from schemas.errors import PolicyMismatch
from schemas.vocab import XSD, expand_iri

MOST_YEARS = 100
"""The longest duration that a policy may name, in years."""

_DURATION = re.compile(
    r"P(?=[\dT])(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?"
    r"(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12}(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)
_TYPES = frozenset({"", XSD + "duration", XSD + "dayTimeDuration", XSD + "yearMonthDuration", XSD + "string"})
_MOST = timedelta(days=366 * MOST_YEARS)


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time above zero: calendar months, and what has a fixed length."""

    months: int
    rest: timedelta

    @property
    def fixed(self) -> timedelta | None:
        """The length, or None where it depends on the calendar."""
        return self.rest if not self.months else None

    @property
    def text(self) -> str:
        """The duration in its one spelling: `P1Y2M10DT2H30M`."""
        years, months = divmod(self.months, 12)
        hours, left = divmod(self.rest.seconds, 3600)
        minutes, seconds = divmod(left, 60)
        micro = f".{self.rest.microseconds:06d}".rstrip("0") if self.rest.microseconds else ""
        day = "".join(f"{n}{unit}" for n, unit in ((years, "Y"), (months, "M"), (self.rest.days, "D")) if n)
        clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
        clock += f"{seconds}{micro}S" if seconds or micro else ""
        return f"P{day}" + (f"T{clock}" if clock else "")

    def times(self, count: int) -> Duration:
        """Return the duration that is so many times as long."""
        return Duration(self.months * count, self.rest * count)

    def most_before(self, start: datetime, end: datetime) -> int:
        """Return a number of whole durations that surely end by `end`, and is short of the most by few.

        At least 0. Months are taken as 31 days, so that the number is never too large.
        """
        each = timedelta(days=31 * self.months) + self.rest
        return max(0, (end - start) // each)

    def after(self, start: datetime) -> datetime | None:
        """Return the instant that lies this long after another; None past the year 9999.

        Times of day are kept in the zone of `start`; ours are in UTC.
        """
        month = start.month - 1 + self.months
        year, month = start.year + month // 12, month % 12 + 1
        if year > 9999:
            return None
        day = min(start.day, calendar.monthrange(year, month)[1])
        try:
            return start.replace(year=year, month=month, day=day) + self.rest
        except OverflowError:
            return None


def read_duration(value: Any, place: str) -> Duration:
    """Read an ISO 8601 duration.

    Raises:
        Malformed: if it is not text.
        PolicyMismatch: if it is not a duration above zero and of at most `MOST_YEARS`.
    """
    declared = expand_iri(str(value.get("@type", ""))) if isinstance(value, dict) else ""
    text = read_text(value, place)
    found = _DURATION.fullmatch(text) if declared in _TYPES else None
    if found is None:
        kind = f" of type {declared[:80]}" if declared not in _TYPES else ""
        raise PolicyMismatch(refusal("duration", place=place, text=shown(text), kind=kind))
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[:6])
    micro = int(Decimal(found[7] or 0) * 1_000_000)
    total = years * 12 + months
    try:
        rest = timedelta(days=weeks * 7 + days, hours=hours, minutes=minutes, microseconds=micro)
    except OverflowError:
        rest = _MOST + timedelta(days=1)
    if total > MOST_YEARS * 12 or rest > _MOST:
        raise PolicyMismatch(refusal("long duration", place=place, text=shown(text), most_years=MOST_YEARS))
    if not total and not rest:
        raise PolicyMismatch(refusal("no duration", place=place, text=shown(text)))
    return Duration(total, rest)
