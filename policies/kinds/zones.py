"""Time zones, out of the pinned table that comes with Hansa, never out of the machine's own.

So both sides of an agreement, and whoever audits it, see the same clock change at the same instant.

Source: IANA time zone database, by the `tzdata` package.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from schemas.errors import PolicyMismatch

_AHEAD = timedelta(days=2)


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
        raise PolicyMismatch(f"{place}: no time zone is called {name[:80]!r}; {hint}")
    return _loaded(name)


def next_local(times: frozenset[time], name: str, after: datetime) -> datetime:
    """Return the first instant after another at which a clock in the zone may come to one of these times.

    An hour that a clock shows twice counts twice. An hour that it skips counts at the instant of the skip.

    Args:
        times: times of the day, at least one.
        name: the zone.
        after: an instant; what comes back is within two days of it, in UTC.
    """
    place = zone(name)
    found = _jump(place, after)
    today = after.astimezone(place).date()
    for days in (-1, 0, 1, 2):
        for moment in times:
            for fold in (0, 1):
                local = datetime.combine(today + timedelta(days=days), moment.replace(fold=fold), place)
                instant = local.astimezone(UTC)
                if after < instant < found:
                    found = instant
    return found


def _jump(place: tzinfo, after: datetime) -> datetime:
    """Find the instant at which the clock is set forward or back next; two days on if it is not before."""
    low, high = after.astimezone(UTC), after.astimezone(UTC) + _AHEAD
    before = low.astimezone(place).utcoffset()
    if high.astimezone(place).utcoffset() == before:
        return high
    while high - low > timedelta(microseconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(place).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
