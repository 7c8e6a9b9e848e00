"""The values that stand on the right side of constraints, read strictly from JSON and JSON-LD.

A value is data from its first line on: nothing here is ever text of a query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from policies.refusals.refusal import refusal
from schemas.errors import Malformed, PolicyMismatch
from schemas.vocab import XSD, expand_iri

Scalar = str | int | bool | Decimal | date | datetime
"""A value to compare a cell with; text that names no type waits for the column's type."""

MOST_TEXT = 4096
"""The longest text of one value, in characters."""
MOST_VALUES = 10_000
"""The most values of one constraint."""

_MOST_DIGITS = 28

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:\d\d)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d{1,60}(\.\d{0,60})?|\.\d{1,60})([eE][+-]?\d{1,3})?", re.ASCII)
_INTEGERS = frozenset(
    XSD + name
    for name in ("integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger")
)
_DECIMALS = frozenset(XSD + name for name in ("decimal", "double", "float"))


def shown(value: Any) -> str:
    """Quote a foreign value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def read_many(value: Any, place: str) -> tuple[Any, ...]:
    """Read one value or several: an array, `@list`, `@set`, or a value without brackets.

    Raises:
        Malformed: if there are none, or more than `MOST_VALUES`.
    """
    for wrapper in ("@list", "@set"):
        if isinstance(value, Mapping) and set(value) == {wrapper}:
            value = value[wrapper]
    items = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not items:
        raise Malformed(refusal("no value", place=place))
    if len(items) > MOST_VALUES:
        raise Malformed(refusal("many values", place=place, items=len(items), most_values=MOST_VALUES))
    return items


def read_text(value: Any, place: str) -> str:
    """Read plain text, out of `@id` or `@value` where it stands in one.

    Raises:
        Malformed: if it is not text, is empty, or is too long.
    """
    if isinstance(value, Mapping) and set(value) == {"@id"}:
        value = value["@id"]
    elif isinstance(value, Mapping) and "@value" in value and set(value) <= {"@value", "@type"}:
        value = value["@value"]
    if not isinstance(value, str) or not value:
        raise Malformed(refusal("text", place=place, value=shown(value)))
    if len(value) > MOST_TEXT:
        raise Malformed(refusal("long text", place=place, value=len(value), most_text=MOST_TEXT))
    return value


def read_count(value: Any, place: str) -> int:
    """Read a whole number from 1.

    Raises:
        PolicyMismatch: if it is anything else; a limit of 0 would allow nothing.
    """
    number = read_scalar(value, place)
    if isinstance(number, str) and _INTEGER.fullmatch(number):
        number = int(number)
    if isinstance(number, Decimal) and number == number.to_integral_value():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number < 2**53:
        raise PolicyMismatch(refusal("count", place=place, value=shown(value)))
    return number


def read_time(value: Any, place: str) -> tuple[datetime, datetime | None]:
    """Read an instant, or a day as its first instant and the first of the day after (None past year 9999).

    An instant comes back as itself twice. Without a zone, both are in UTC.

    Raises:
        PolicyMismatch: if it is neither an xsd:dateTime nor an xsd:date.
    """
    declared = expand_iri(str(value.get("@type", ""))) if isinstance(value, Mapping) else ""
    text = read_text(value, place)
    day = _DATE.fullmatch(text)
    try:
        if day and declared in ("", XSD + "date"):
            start = _in_utc(datetime.fromisoformat(f"{day[1]}T00:00{day[2] or 'Z'}"))
            return start, start + timedelta(days=1) if start.date() < date.max else None
        if _INSTANT.fullmatch(text) and declared in ("", XSD + "dateTime", XSD + "dateTimeStamp"):
            instant = _in_utc(datetime.fromisoformat(text))
            return instant, instant
    except (ValueError, OverflowError):
        pass  # a well-shaped text that is no point in time, such as 30 February: refused below
    kind = f" of type {declared[:80]}" if declared else ""
    raise PolicyMismatch(refusal("time", place=place, text=shown(text), kind=kind))


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def read_scalar(value: Any, place: str) -> Scalar:
    """Read one value to compare cells with, by its JSON or declared XSD type.

    Raises:
        Malformed: if it is a structure, a number without exact form, or too long.
        PolicyMismatch: if it does not fit the type it declares, or the type is unknown.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _sized(value, place)
    if isinstance(value, float):
        return _decimal(repr(value), place)
    if isinstance(value, Mapping) and "@value" in value and set(value) <= {"@value", "@type"}:
        inner = value["@value"]
        if "@type" not in value or not isinstance(inner, str):
            return read_scalar(inner, place) if not isinstance(inner, Mapping) else _no_scalar(value, place)
        return _typed(inner, expand_iri(str(value["@type"]), default=XSD), place)
    if isinstance(value, str):
        return read_text(value, place) if value else ""
    return _no_scalar(value, place)


def _no_scalar(value: Any, place: str) -> Scalar:
    raise Malformed(refusal("plain", place=place, value=shown(value)))


def _sized(number: int, place: str) -> int:
    if abs(number) >= 2**64:
        raise Malformed(refusal("wide", place=place, number=shown(number)))
    return number


def _decimal(text: str, place: str) -> Decimal:
    try:
        number = Decimal(text) if _DECIMAL.fullmatch(text) else None
    except InvalidOperation:
        number = None
    if number is None:
        raise PolicyMismatch(refusal("number", place=place, text=shown(text)))
    if len(number.as_tuple().digits) > _MOST_DIGITS or not -300 <= number.adjusted() <= 300:
        raise PolicyMismatch(refusal("digits", place=place, text=shown(text), most_digits=_MOST_DIGITS))
    return number.normalize() + 0


def _typed(text: str, datatype: str, place: str) -> Scalar:
    if len(text) > MOST_TEXT:
        raise Malformed(refusal("long value", place=place, text=len(text), most_text=MOST_TEXT))
    if datatype == XSD + "string":
        return text
    if datatype in _INTEGERS and _INTEGER.fullmatch(text):
        return _sized(int(text), place)
    if datatype in _DECIMALS:
        return _decimal(text, place)
    if datatype == XSD + "boolean" and text in ("true", "false", "1", "0"):
        return text in ("true", "1")
    if datatype == XSD + "date" and (day := _DATE.fullmatch(text)):
        return _date(day[1], place)
    if datatype in (XSD + "dateTime", XSD + "dateTimeStamp"):
        return read_time(text, place)[0] if "T" in text else _no_type(text, datatype, place)
    return _no_type(text, datatype, place)


def _no_type(text: str, datatype: str, place: str) -> Scalar:
    raise PolicyMismatch(refusal("typed", place=place, text=shown(text), item=datatype[:80]))


def _date(text: str, place: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PolicyMismatch(refusal("date", place=place, text=shown(text))) from None


def spell_time(moment: datetime) -> str:
    """Write an instant shortly, in UTC: `2026-12-01T00:00Z`, with seconds only where they matter."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="auto")
    return (text[:-3] if text.endswith(":00") and len(text) == 19 else text) + "Z"


def spell(value: Scalar) -> str:
    """Write a value for people: text in quotes, all else plainly."""
    if isinstance(value, datetime):
        return spell_time(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else str(value)


def quoted(text: str) -> str:
    """Quote a text so that two texts never look alike: what would break out of the quotes is escaped."""
    shown = "".join(
        character
        if character.isprintable() and character not in '"\\'
        else {'"': '\\"', "\\": "\\\\"}.get(character) or character.encode("unicode_escape").decode()
        for character in text
    )
    return f'"{shown}"'


def tagged(value: Scalar) -> list[str]:
    """Return a JSON form that tells types apart and knows equal values: `["number", "1"]` for 1 and 1.0."""
    if isinstance(value, bool):
        return ["boolean", spell(value)]
    if isinstance(value, datetime):
        return ["dateTime", spell_time(value)]
    if isinstance(value, date):
        return ["date", value.isoformat()]
    if isinstance(value, int | Decimal):
        return ["number", format(Decimal(value).normalize() + 0, "f")]
    return ["text", value]


_VALUES_TYPE = re.compile(r"dictionary<values=(.+), indices=\w+, ordered=\d>")
_INTEGER_TYPE = re.compile(r"(u?)int(8|16|32|64)")
_TEXTS = frozenset({"string", "large_string", "string_view", "utf8", "large_utf8"})


def fit_value(value: Scalar, datatype: str, place: str) -> Scalar | float:
    """Turn a value into one of a column's type, `datatype` being the text that pyarrow prints for it.

    Text without a declared type is read as the column's type. Timestamps without a zone are taken as UTC
    and come back without one.

    Raises:
        PolicyMismatch: if the value does not fit, or columns of that type cannot be compared.
    """
    inner = _VALUES_TYPE.fullmatch(datatype)
    datatype = inner[1] if inner else datatype
    if datatype in _TEXTS:
        return value if isinstance(value, str) else _no_fit(value, datatype, "text", place)
    if whole := _INTEGER_TYPE.fullmatch(datatype):
        return _fit_integer(value, whole, place)
    if datatype in ("double", "float", "halffloat") or datatype.startswith("decimal"):
        return _fit_number(value, datatype, place)
    if datatype == "bool":
        truth = {"true": True, "false": False}.get(value) if isinstance(value, str) else value
        return truth if isinstance(truth, bool) else _no_fit(value, datatype, "true or false", place)
    if datatype.startswith(("date32", "date64")):
        day = _date(value, place) if isinstance(value, str) else value
        is_day = isinstance(day, date) and not isinstance(day, datetime)
        return day if is_day else _no_fit(value, datatype, "a date like 2026-12-01", place)
    if datatype.startswith("timestamp"):
        return _fit_timestamp(value, datatype, place)
    raise PolicyMismatch(refusal("incomparable", place=place, item=datatype[:80]))


def _no_fit(value: Scalar, datatype: str, wanted: str, place: str) -> Scalar:
    raise PolicyMismatch(
        refusal("unfit", place=place, item=spell(value)[:120], item2=datatype[:80], wanted=wanted)
    )


def _fit_integer(value: Scalar, datatype: re.Match[str], place: str) -> Scalar:
    number: Scalar | None = value
    if isinstance(value, str):
        number = int(value) if _INTEGER.fullmatch(value) else None
    elif isinstance(value, Decimal):
        number = int(value) if value == value.to_integral_value() else None
    bits = int(datatype[2])
    low, high = (0, 2**bits - 1) if datatype[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        return _no_fit(value, datatype[0], f"a whole number from {low} to {high}", place)
    return number


def _fit_number(value: Scalar, datatype: str, place: str) -> Scalar | float:
    number: Decimal | None = None
    if isinstance(value, str):
        number = _decimal(value, place) if _DECIMAL.fullmatch(value) else None
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
    if number is None:
        return _no_fit(value, datatype, "a number like 12.5", place)
    return number if datatype.startswith("decimal") else float(number)  # finite: `_decimal` bounds it


def _fit_timestamp(value: Scalar, datatype: str, place: str) -> Scalar:
    moment = read_time(value, place)[0] if isinstance(value, str) and "T" in value else value
    if not isinstance(moment, datetime):
        return _no_fit(value, datatype, "a dateTime like 2026-12-01T00:00:00Z", place)
    return moment if "tz=" in datatype else moment.replace(tzinfo=None)
