"""RDF literals -> the values of our model, exactly or not at all.

Source: XML Schema 1.1 part 2; RDF 1.1 Concepts, section 5. Weeks in durations: ISO 8601.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation

from policies.algebra.lengths import Length, Months, length
from policies.odrl.model import Iri, Stretch, Typed, Value
from schemas.vocab import XSD

_INTEGER_NAMES = (
    "integer",
    "int",
    "long",
    "short",
    "byte",
    "nonNegativeInteger",
    "positiveInteger",
    "nonPositiveInteger",
    "negativeInteger",
    "unsignedLong",
    "unsignedInt",
    "unsignedShort",
    "unsignedByte",
)
_INTEGERS = frozenset(XSD + name for name in _INTEGER_NAMES)
_DECIMALS = frozenset(XSD + name for name in ("decimal", "double", "float"))
_TEXTS = frozenset(XSD + name for name in ("string", "normalizedString", "token"))
_TIMES = frozenset({XSD + "dateTime", XSD + "dateTimeStamp"})
_DURATIONS = frozenset(XSD + name for name in ("duration", "dayTimeDuration", "yearMonthDuration"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,3})?")
_ZONE = r"(Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?"
_STRETCHES = {
    XSD + name: re.compile(pattern + _ZONE, re.ASCII)
    for name, pattern in (
        ("date", r"([0-9]{4}-[0-9]{2}-[0-9]{2})"),
        ("gYearMonth", r"([0-9]{4}-[0-9]{2})"),
        ("gYear", r"([0-9]{4})"),
    )
}
_CLOCK = r"([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.([0-9]{1,20}))?" + _ZONE
_OF_DAY = re.compile(_CLOCK)
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T" + _CLOCK)
_REFERENCE_DAY = "1972-12-31"
"""The day on which XML Schema compares times of day."""
_DURATION = re.compile(
    r"(-)?P(?=[0-9T])(?:([0-9]{1,6})Y)?(?:([0-9]{1,7})M)?(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})(?:\.([0-9]{1,6}))?S)?)?"
)
_TICK = timedelta(microseconds=1)

Warn = Callable[[str], None]
"""Is told what was understood, but is better written otherwise."""


def read_literal(text: str, datatype: str, warn: Warn, zone: tzinfo | None = UTC) -> Value | None:
    """Return the value of a literal; None if the text is not one of its datatype.

    A type that we do not compute with gives `Typed`, which equals itself only. A time that states no zone is
    taken as of `zone`; if that is None, it stays without, and so partly unknown against others.
    """
    if datatype in _TEXTS:
        return text
    if datatype in _INTEGERS:
        return int(text) if _INTEGER.fullmatch(text) else None
    if datatype in _DECIMALS:
        return Typed(text, datatype) if text in ("NaN", "INF", "+INF", "-INF") else read_number(text)
    if datatype == XSD + "boolean":
        return {"true": True, "1": True, "false": False, "0": False}.get(text)
    if datatype == XSD + "anyURI":
        return None if not text or re.search(r"\s", text) else Iri(text)
    if datatype in _STRETCHES:
        return _stretch(text, datatype, warn, zone)
    if datatype == XSD + "time":
        return _time_of_day(text, warn, zone)
    if datatype in _TIMES:
        return read_time(text, warn, zone)
    if datatype in _DURATIONS:
        found = read_duration(text)
        return found if found is not None and _is_of(datatype, found) else None
    return Typed(text, datatype)


def _is_of(datatype: str, found: Length) -> bool:
    match datatype.removeprefix(XSD):
        case "dayTimeDuration":
            return isinstance(found, timedelta)
        case "yearMonthDuration":
            return found == timedelta() or (isinstance(found, Months) and not found.rest)
        case _:
            return True


def read_number(text: str) -> Decimal | None:
    """Return a number, exactly."""
    try:
        return Decimal(text) if _DECIMAL.fullmatch(text) else None
    except InvalidOperation:
        return None


def read_date(text: str, warn: Warn, zone: tzinfo | None = UTC) -> date | Stretch | None:
    """Return a day: a `date` if it is one of UTC; `zone` as in `read_literal`."""
    found = _stretch(text, XSD + "date", warn, zone)
    return found if isinstance(found, date | Stretch) else None


def read_time(text: str, warn: Warn, zone: tzinfo | None = UTC) -> datetime | None:
    """Return an instant in UTC to the microsecond; of one without a zone, `zone` as in `read_literal`."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    day, clock, fraction, stated = found.groups()
    moment = _moment(day, clock, fraction, _zone(stated, zone))
    if moment is not None and stated is None:
        _warn_of_zone(text, warn, zone)
    return moment


def _moment(day: str, clock: str, fraction: str | None, zone: tzinfo | None) -> datetime | None:
    midnight = clock in ("24:00", "24:00:00") and not (fraction or "").strip("0")
    clock = "00:00:00" if midnight else clock
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(
            microsecond=int((fraction or "0").ljust(6, "0")[:6]), tzinfo=zone
        )
        moment += timedelta(days=1) if midnight else timedelta()
        return moment.astimezone(UTC) if zone is not None else moment
    except (ValueError, OverflowError):
        return None


def _zone(stated: str | None, otherwise: tzinfo | None) -> tzinfo | None:
    if stated is None:
        return otherwise
    if stated == "Z":
        return UTC
    minutes = int(stated[1:3]) * 60 + int(stated[4:6])
    return timezone(timedelta(minutes=-minutes if stated[0] == "-" else minutes))


def _warn_of_zone(text: str, warn: Warn, zone: tzinfo | None) -> None:
    taken = f"is taken as {zone}" if zone is not None else "may be up to 14 hours earlier or later"
    warn(f"{text!r} has no time zone and {taken}; write {text}Z")


def _stretch(text: str, datatype: str, warn: Warn, zone: tzinfo | None) -> Value | None:
    found = _STRETCHES[datatype].fullmatch(text)
    if not found:
        return None
    parts = [int(part) for part in found[1].split("-")]
    try:
        first = date(*(*parts, 1, 1)[:3])
        last = first if len(parts) == 3 else date(first.year, parts[1] if len(parts) > 1 else 12, 1)
        last = last.replace(day=monthrange(last.year, last.month)[1]) if len(parts) < 3 else last
        within = _zone(found[2], zone)
        ends = [datetime.combine(day, clock, within) for day, clock in ((first, time()), (last, time.max))]
        ends = [end if within is None else end.astimezone(UTC) for end in ends]
    except (ValueError, OverflowError):
        return None
    if found[2] is None and zone is None:
        _warn_of_zone(text, warn, zone)
    if datatype == XSD + "date" and within is not None and within.utcoffset(ends[0]) == timedelta():
        return first
    return Stretch(ends[0], ends[1], datatype, text)


def _time_of_day(text: str, warn: Warn, zone: tzinfo | None) -> Value | None:
    found = _OF_DAY.fullmatch(text)
    clock = _moment(_REFERENCE_DAY, found[1], found[2], None) if found else None
    if found is None or clock is None:
        return None
    if found[3] is None:
        _warn_of_zone(text, warn, zone)
    # 24:00 is midnight of the same day, as 00:00 is.
    moment = datetime.combine(date.fromisoformat(_REFERENCE_DAY), clock.time(), _zone(found[3], zone))
    moment = moment.astimezone(UTC) if moment.tzinfo is not None else moment
    return Stretch(moment, moment, XSD + "time", text)


def read_duration(text: str) -> Length | None:
    """Return a duration: a `timedelta`, or `Months` if it has months or years; None if it is none."""
    found = _DURATION.fullmatch(text)
    if not found or not any(found.groups()[1:]):
        return None
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:8])
    try:
        rest = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        rest += int((found[9] or "").ljust(6, "0")) * _TICK
        return length(-years * 12 - months, -rest) if found[1] else length(years * 12 + months, rest)
    except OverflowError:
        return None
