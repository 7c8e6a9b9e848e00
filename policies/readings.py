"""What stands on the right side of a constraint, read by its operand into a typed limit, or refused by name.

Source: our profile table (`operands.py`).
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from policies import operands, profile
from policies.kinds.durations import Duration, read_duration
from policies.kinds.masking import Masking
from policies.kinds.places import region_code
from policies.kinds.values import read_count, read_many, read_scalar, read_text, read_time, shown
from policies.kinds.zones import zone
from policies.profile import DAYS, ENVIRONMENTS, Operator
from policies.refusals.refusal import refusal
from policies.rules import (
    Condition,
    CountUnit,
    CredentialLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
    EnvironmentLimit,
    GroupLimit,
    ParticipantLimit,
    PurposeLimit,
    RegionLimit,
    Since,
    TimeLimit,
)
from schemas.base import IRI_PATTERN
from schemas.errors import PolicyMismatch, UnknownTerm
from schemas.vocab import HANSA, XSD, expand_iri

MOST_NAMES = 200
"""The longest name of a group, claim or claim's value, in characters."""
MOST_PERIOD = timedelta(days=366)
_TICK = timedelta(microseconds=1)
_SEVERAL = frozenset(
    {Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_NONE_OF, Operator.IS_ALL_OF, Operator.IS_PART_OF}
)
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", re.ASCII)
_RATE = re.compile(r"(\d{1,16})/(P.{1,60})", re.ASCII)
_ZONELESS = re.compile(r".*T.*\d", re.ASCII)
_ZONED = re.compile(r".*(Z|[+-]\d\d:\d\d)", re.ASCII)
_UNITS = {
    HANSA + "request": CountUnit.REQUEST,
    HANSA + "epoch": CountUnit.EPOCH,
    HANSA + "row": "row",
    HANSA + "byte": "byte",
}


def values_of(operator: Operator, value: Any, where: str) -> tuple[Any, ...]:
    """Return the values of an operator: several for one that takes a set, else exactly one."""
    return read_many(value, where) if operator in _SEVERAL else (single(value, where),)


def single(value: Any, where: str) -> Any:
    """Return the one value that is meant."""
    items = read_many(value, where)
    if len(items) != 1:
        raise PolicyMismatch(refusal("single", where=where, items=len(items)))
    return items[0]


def names_of(operator: Operator, value: Any, where: str) -> tuple[str, ...]:
    """Return the values as text, each once, in their order."""
    return tuple(dict.fromkeys(read_text(item, where) for item in values_of(operator, value, where)))


def read_use_condition(
    operand: profile.Operand, named: str, operator: Operator, value: Any, place: str
) -> Condition:
    """Read a condition on who asks and what for: everything but time."""
    where = f"{place} ({operand.name})"
    names = names_of(operator, value, where)
    match operand:
        case operands.PURPOSE:
            return PurposeLimit(operator, tuple(_purpose(name, where) for name in names), place)
        case operands.PARTICIPANT:
            return ParticipantLimit(tuple(_participant(name, where) for name in names), place)
        case operands.PARTICIPANT_GROUP:
            return GroupLimit(tuple(_short(name, where, "name of a group") for name in names), place)
        case operands.CREDENTIAL:
            values = tuple(_short(name, where, "value of a claim") for name in names)
            return CredentialLimit(_short(named, where, "name of a claim"), values, place)
        case operands.SPATIAL:
            return RegionLimit(operator, tuple(region_code(name, where) for name in names), place)
        case operands.ENVIRONMENT:
            return EnvironmentLimit(tuple(_environment(name, where) for name in names), place)
        case _:
            raise UnknownTerm(refusal("no condition", name=operand.name, place=place))


def _purpose(name: str, where: str) -> str:
    try:
        return profile.purpose_iri(name)
    except UnknownTerm as error:
        raise UnknownTerm(f"{where}: {error}") from None


def _participant(name: str, where: str) -> str:
    if not IRI_PATTERN.match(name):
        raise PolicyMismatch(refusal("participant", where=where, name=shown(name)))
    return name


def _short(name: str, where: str, what: str) -> str:
    if len(name) > MOST_NAMES or name != name.strip() or not name.isprintable():
        raise PolicyMismatch(refusal("name", where=where, name=shown(name), what=what, most_names=MOST_NAMES))
    return name


def _environment(name: str, where: str) -> str:
    short = name.removeprefix(HANSA)
    if short not in ENVIRONMENTS:
        raise UnknownTerm(
            refusal("environment", where=where, name=shown(name), environments=", ".join(ENVIRONMENTS))
        )
    return short


# --- time --------------------------------------------------------------------------------------------------


def read_time_limit(operator: Operator, value: Any, place: str, where: str) -> TimeLimit:
    """Read a bound on the time of use."""
    start, after = read_time(value, where)
    whole_day = start != after
    past = after if whole_day or after is None else _next(after)
    since, until = {
        Operator.GTEQ: (start, None),
        Operator.GT: (past, None),
        Operator.LT: (None, start),
        Operator.LTEQ: (None, past),
    }.get(operator, (start, past))
    if operator is Operator.GT and since is None:
        raise PolicyMismatch(refusal("after all", where=where, value=start.date()))
    return TimeLimit(operator, start, whole_day, since, until, place)


def zoneless(value: Any, where: str) -> str | None:
    """Return a warning for a dateTime that names no time zone."""
    said = read_text(value, where)
    if not _ZONELESS.fullmatch(said) or _ZONED.fullmatch(said):
        return None
    return refusal("zoneless", where=where, said=shown(said), item=said[:40])


def _next(instant: datetime) -> datetime | None:
    return instant + _TICK if instant < datetime.max.replace(tzinfo=instant.tzinfo) else None


def read_elapsed(operator: Operator, since: Since, value: Any, place: str, where: str) -> ElapsedLimit:
    """Read how long after something the use may go on."""
    return ElapsedLimit(operator, read_duration(single(value, where), where), since, place)


def read_days(operator: Operator, value: Any, zone_name: str, place: str, where: str) -> DayLimit:
    """Read days of the week."""
    days = []
    for name in names_of(operator, value, where):
        if name not in DAYS:
            raise PolicyMismatch(refusal("day", where=where, name=shown(name), days=", ".join(DAYS)))
        days.append(DAYS.index(name))
    return DayLimit(tuple(sorted(days)), zone_name, place)


def read_windows(operator: Operator, value: Any, zone_name: str, place: str, where: str) -> DayTimeLimit:
    """Read windows of the day."""
    windows = []
    for said in names_of(operator, value, where):
        found = _WINDOW.fullmatch(said)
        start = time(int(found[1]), int(found[2])) if found else None
        end = time(int(found[3] or 0), int(found[4] or 0)) if found else None
        if start is None or end is None:
            raise PolicyMismatch(refusal("window", where=where, said=shown(said)))
        if start == end:
            raise PolicyMismatch(refusal("empty window", where=where, said=shown(said)))
        windows.append((start, end))
    return DayTimeLimit(tuple(sorted(windows)), zone_name, place)


def read_zone(value: Any, where: str) -> str:
    """Read the name of a time zone."""
    name = read_text(single(value, where), where)
    zone(name, where)
    return name


def read_fixed(value: Any, where: str) -> Duration:
    """Read one duration."""
    return read_duration(single(value, where), where)


def read_interval(value: Any, where: str) -> Duration:
    """Read how often something is due: at least an hour apart."""
    every = read_fixed(value, where)
    if every.fixed is not None and every.fixed < timedelta(hours=1):
        raise PolicyMismatch(refusal("often", where=where, text=every.text))
    return every


# --- numbers and words -------------------------------------------------------------------------------------


def read_true(value: Any, where: str) -> None:
    """Read that a term stands: only true says something."""
    said = read_scalar(single(value, where), where)
    if said is not True and said != "true":
        raise PolicyMismatch(refusal("only true", where=where, value=shown(value)))


def read_most(operator: Operator, value: Any, where: str) -> int:
    """Read the most that is allowed; `lt 5` allows four."""
    most = read_count(single(value, where), where) - (operator is Operator.LT)
    if most < 1:
        raise PolicyMismatch(refusal("below one", where=where))
    return most


def read_unit(value: Any, where: str) -> CountUnit | str:
    """Read what is counted: `CountUnit`, or the text `row` or `byte`."""
    said = read_text(single(value, where), where)
    unit = _UNITS.get(expand_iri(said, default=HANSA))
    if unit is None:
        raise UnknownTerm(refusal("unit", where=where, said=shown(said)))
    return unit


def read_group_size(value: Any, where: str) -> int:
    """Read the least size of a group; alone nobody is hidden."""
    size = read_count(single(value, where), where)
    if size < 2:
        raise PolicyMismatch(refusal("group size", where=where, size=size))
    return size


def read_rate(value: Any, where: str) -> tuple[int, timedelta]:
    """Read rows in a period of fixed length."""
    said = read_text(single(value, where), where)
    found = _RATE.fullmatch(said)
    if not found:
        raise PolicyMismatch(refusal("rate", where=where, said=shown(said)))
    rows, period = read_count(int(found[1]), where), read_duration(found[2], where).fixed
    if period is None:
        raise PolicyMismatch(refusal("months", where=where))
    if not timedelta(seconds=1) <= period <= MOST_PERIOD:
        raise PolicyMismatch(refusal("rate period", where=where, item=found[2]))
    return rows, period


def read_percentage(value: Any, where: str) -> Decimal:
    """Read how many percent: above 0, at most 100, to four decimal digits."""
    said = single(value, where)
    number = read_scalar({"@value": said, "@type": XSD + "decimal"} if isinstance(said, str) else said, where)
    if isinstance(number, int) and not isinstance(number, bool):
        number = Decimal(number)
    if not isinstance(number, Decimal) or not 0 < number <= 100:
        raise PolicyMismatch(refusal("percentage", where=where, said=shown(said)))
    if number != round(number, 4):
        raise PolicyMismatch(refusal("fine", where=where, said=shown(said)))
    return number.normalize() + 0


def read_regions(names: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Read regions that cells are compared with: countries, and unions of them."""
    codes = tuple(dict.fromkeys(region_code(name, where) for name in names))
    for code in codes:
        if "-" in code:
            raise PolicyMismatch(refusal("subdivision", where=where, code=shown(code)))
    return codes


def read_mask(value: Any, where: str) -> Masking:
    """Read a mask."""
    return Masking.read(single(value, where), where)


def read_column(value: Any, where: str) -> str:
    """Read the name of one column."""
    return read_text(single(value, where), where)


def read_word(value: Any, known: tuple[str, ...], where: str) -> str:
    """Read one of a few words."""
    said = read_text(single(value, where), where)
    if said not in known:
        raise PolicyMismatch(
            refusal("says nothing", where=where, said=shown(said), repr=" or ".join(map(repr, known)))
        )
    return said
