"""Time zones, out of the pinned table that comes with Hansa, never out of the machine's own.

So both sides of an agreement, and whoever audits it, see the same clock change at the same instant.

Source: IANA time zone database, by the `tzdata` package.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from policies.refusals.refusal import refusal
from schemas.errors import PolicyMismatch

_STEP = timedelta(days=1)
"""No clock is set forward and back again within this."""
_TICK = timedelta(microseconds=1)


@cache
def zone_names() -> frozenset[str]:
    """Return the name of every zone in the table."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def _loaded(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def zone(name: str, place: str = "time zone") -> tzinfo:
    """Return a zone by its IANA name.

    Raises:
        PolicyMismatch: if the table has none of that name; the message names near ones.
    """
    if name not in zone_names():
        wanted = name.rpartition("/")[2].lower()
        near = sorted(known for known in zone_names() if wanted and wanted in known.lower())[:4]
        hint = f"did you mean {' or '.join(near)}?" if near else "write one like Europe/Berlin, or UTC"
        raise PolicyMismatch(refusal("zone", place=place, item=repr(name[:80]), hint=hint))
    return _loaded(name)


def local_time(at: datetime, name: str) -> datetime:
    """Return an instant by the clock of a zone; by that of UTC where the zone's is past the calendar."""
    try:
        return at.astimezone(zone(name))
    except OverflowError:
        return at.astimezone(UTC)


def jumps(place: tzinfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Find the instants between two others at which a clock is set forward or back.

    Args:
        place: the zone.
        begin: an instant in UTC; changes from it on are found.
        end: an instant in UTC; none is found from it on.
    """
    low = begin - _TICK
    while low < end:
        high = min(low + _STEP, end)
        if high.astimezone(place).utcoffset() != (before := low.astimezone(place).utcoffset()):
            while high - low > _TICK:
                middle = low + (high - low) / 2
                if middle.astimezone(place).utcoffset() == before:
                    low = middle
                else:
                    high = middle
            if high < end:
                yield high
        low = high
