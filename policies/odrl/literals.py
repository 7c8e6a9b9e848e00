"""RDF literals -> the values of our model, exactly or not at all.

Source: XML Schema 1.1 part 2; RDF 1.1 Concepts, section 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from policies.odrl.model import Typed, Value
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
_DURATIONS = frozenset({XSD + "duration", XSD + "dayTimeDuration"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(Z|[+-]00:00)?")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.([0-9]{1,20}))?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_CALENDAR = re.compile(
    r"-?P(?=[0-9])(?:[0-9]{1,4}Y)?(?:[0-9]{1,5}M)?(?:[0-9]{1,9}D)?"
    r"(?:T(?=[0-9])(?:[0-9]{1,9}H)?(?:[0-9]{1,9}M)?(?:[0-9]{1,9}(?:\.[0-9]{1,6})?S)?)?"
)
_DURATION = re.compile(
    r"(-)?P(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(?:T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)S)?)?"
)


def read_literal(text: str, datatype: str, warn: Callable[[str], None]) -> Value | None:
    """Return the value of a literal; None if the text is not one of its datatype.

    A type that we do not compute with gives `Typed`, which equals itself only.
    """
    if datatype in _TEXTS:
        return text
    if datatype in _INTEGERS:
        return int(text) if _INTEGER.fullmatch(text) else None
    if datatype in _DECIMALS:
        return Typed(text, datatype) if text in ("NaN", "INF", "-INF") else read_number(text)
    if datatype == XSD + "boolean":
        return {"true": True, "1": True, "false": False, "0": False}.get(text)
    if datatype == XSD + "date":
        return read_date(text)
    if datatype in _TIMES:
        return read_time(text, warn)
    if datatype in _DURATIONS:
        exact = read_duration(text)
        return _calendar(text) if exact is None else exact
    return Typed(text, datatype)


def read_number(text: str) -> Decimal | None:
    """Return a number, exactly."""
    try:
        return Decimal(text) if _DECIMAL.fullmatch(text) else None
    except InvalidOperation:
        return None


def read_date(text: str) -> date | None:
    """Return a day; one in a zone other than UTC is none of ours, since it is another stretch of time."""
    found = _DATE.fullmatch(text)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def read_time(text: str, warn: Callable[[str], None]) -> datetime | None:
    """Return an instant in UTC to the microsecond; one without a zone is taken as UTC, and warned of."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    day, clock, fraction, zone = found.groups()
    midnight = clock in ("24:00", "24:00:00") and not (fraction or "").strip("0")
    clock = "00:00:00" if midnight else clock
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in (None, 'Z') else zone}")
        moment = moment.replace(microsecond=int((fraction or "0").ljust(6, "0")[:6])).astimezone(UTC)
        moment += timedelta(days=1) if midnight else timedelta()
    except (ValueError, OverflowError):
        return None
    if zone is None:
        warn(f"{text!r} has no time zone and is taken as UTC; write {text}Z")
    return moment


def _calendar(text: str) -> Typed | None:
    """Keep a duration with months or years as it is: it is of the calendar, and has no length of its own."""
    return Typed(text, XSD + "duration") if _CALENDAR.fullmatch(text) else None


def read_duration(text: str) -> timedelta | None:
    """Return a duration of days and less; months and years have no length of their own."""
    found = _DURATION.fullmatch(text)
    if not found or not any(found.groups()[1:]) or text.endswith("T"):
        return None
    weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[1:5])
    try:
        whole = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=float(found[6] or 0))
    except OverflowError:
        return None
    return -whole if found[1] else whole


def spell_duration(value: timedelta) -> str:
    """Write a duration as xsd:dayTimeDuration: `P30D`, `PT90S`, `P1DT1.5S`."""
    whole = abs(value)
    seconds = (
        f"{whole.seconds}.{whole.microseconds:06}".rstrip("0").rstrip(".")
        if whole.microseconds
        else str(whole.seconds)
    )
    days = f"{whole.days}D" if whole.days or seconds == "0" else ""
    return f"{'-' if value < timedelta() else ''}P{days}" + (f"T{seconds}S" if seconds != "0" else "")
