"""Typed conditions as formulas: for which uses they surely hold, and for which they may.

A use is a point: a time, a purpose, a participant with groups, credentials, a place and an environment, and
how long ago things happened. What cannot be known of it makes a condition neither hold nor fail, as in
`policies.truth`: so it surely holds for some uses, surely fails for others, and neither for the rest.

A length of months has no fixed size: two are the same only if they are written the same, otherwise the
longest and shortest that they can be are compared. `outer` asks for a formula that holds at least where the
condition does, otherwise for one that holds at most there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from policies.compiled import CompiledPolicy
from policies.durations import Duration
from policies.formulas import Atom, Every, Facts, Formula, Negated, Some
from policies.profile import PURPOSES, Operator, do_purposes_overlap, is_narrower_or_equal
from policies.regions import Interval, Intervals, Opaque, Region, Terms
from policies.regions_geo import (
    COUNTRIES,
    UNIONS,
    countries_in,
    countries_outside,
    do_regions_overlap,
    is_part_of,
)
from policies.rules import (
    ColumnFilter,
    ColumnRegion,
    Combination,
    CompiledPermission,
    CompiledProhibition,
    Condition,
    CredentialLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
    EnvironmentLimit,
    GroupLimit,
    ParticipantLimit,
    PurposeLimit,
    RegionLimit,
    RowFilter,
    Since,
    TimeLimit,
)
from policies.values import Scalar
from policies.wording import phrase

USE_FACTS = Facts(
    at_most=((f"elapsed since {Since.DELIVERY}", f"elapsed since {Since.AGREEMENT}"),),
)
"""The first delivery comes after the agreement, so less time has passed since."""

_YES = Terms.of(True)
_DAY = timedelta(days=1)
_PLACES = frozenset(UNIONS) | COUNTRIES


@dataclass(frozen=True, slots=True)
class Extents:
    """Turns conditions into formulas; `places` are the regions that any of them names."""

    places: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *policies: CompiledPolicy) -> Extents:
        """Return what reads the conditions of these policies."""
        rules: list[CompiledPermission | CompiledProhibition] = []
        for policy in policies:
            rules += (*policy.permissions, *policy.prohibitions)
        return cls(frozenset(name for rule in rules for name in _named_places(rule.conditions)))

    def hold(self, conditions: Iterable[Condition], *, outer: bool) -> Formula:
        """Return the uses for which all conditions surely hold."""
        return Every(tuple(self._holds(condition, outer) for condition in conditions))

    def may_hold(self, conditions: Iterable[Condition], *, outer: bool) -> Formula:
        """Return the uses for which no condition surely fails."""
        return Every(tuple(Negated(self._fails(condition, not outer)) for condition in conditions))

    def _holds(self, condition: Condition, outer: bool) -> Formula:
        match condition:
            case Combination():
                parts = condition.parts
                holds = tuple(self._holds(part, outer) for part in parts)
                if condition.form == "and":
                    return Every(holds)
                if condition.form == "or":
                    return Some(holds)
                fails = tuple(self._fails(part, outer) for part in parts)
                return Some(tuple(_only(index, holds, fails) for index in range(len(parts))))
            case ElapsedLimit():
                return _within_time(condition, outer=outer)
            case GroupLimit() | CredentialLimit():
                return Some(tuple(Atom(key, _YES, phrase(condition)) for key in _keys(condition)))
            case _:
                key, region = self._where(condition, fails=False)
                return Atom(key, region, phrase(condition))

    def _fails(self, condition: Condition, outer: bool) -> Formula:
        match condition:
            case Combination():
                parts = condition.parts
                fails = tuple(self._fails(part, outer) for part in parts)
                if condition.form == "and":
                    return Some(fails)
                if condition.form == "or":
                    return Every(fails)
                holds = tuple(self._holds(part, outer) for part in parts)
                return Some((Every(fails), _two_of(holds)))
            case ElapsedLimit():
                return Negated(_within_time(condition, outer=not outer))
            case GroupLimit() | CredentialLimit():
                # What is not stated of somebody is not known, so that it fails is a statement of its own.
                words = f"not {phrase(condition)}"
                return Every(tuple(Atom(f"not {key}", _YES, words) for key in _keys(condition)))
            case _:
                key, region = self._where(condition, fails=True)
                return Atom(key, region, f"not {phrase(condition)}")

    def _where(self, condition: Any, *, fails: bool) -> tuple[str, Region]:
        """Return the operand of a condition, and the values with which it surely holds, or surely fails."""
        match condition:
            case TimeLimit():
                window = Intervals((Interval(condition.since, condition.until, False, True),))
                return "odrl:dateTime", window.complement() if fails else window
            case PurposeLimit():
                return "odrl:purpose", Terms(_purposes(condition.operator, condition.purposes, fails))
            case ParticipantLimit():
                named = frozenset(condition.participants)
                return "hansa:participant", Terms(named | {None}, True) if fails else Terms(named)
            case DayLimit():
                days = Terms(frozenset(condition.days))
                return f"hansa:dayOfWeek in {condition.zone}", days.complement() if fails else days
            case DayTimeLimit():
                hours = _hours(condition)
                return f"hansa:timeOfDay in {condition.zone}", hours.complement() if fails else hours
            case RegionLimit():
                return "odrl:spatial", Terms(
                    _regions(condition.operator, condition.regions, fails, self.places)
                )
            case EnvironmentLimit():
                named = frozenset(condition.environments)
                return "hansa:environment", Terms(named | {None}, True) if fails else Terms(named)
            case _:
                return f"{type(condition).__name__}", Opaque("this kind of condition is not compared yet")


@lru_cache(maxsize=1024)
def _regions(
    operator: Operator, named: tuple[str, ...], fails: bool, places: frozenset[str]
) -> frozenset[str]:
    known = _PLACES | places
    if fails:
        return frozenset(p for p in known if not any(do_regions_overlap(p, name) for name in named))
    if operator is Operator.EQ:
        return frozenset(named)
    return frozenset(p for p in known if any(is_part_of(p, name) for name in named))


def _only(index: int, holds: tuple[Formula, ...], fails: tuple[Formula, ...]) -> Formula:
    return Every((holds[index], *fails[:index], *fails[index + 1 :]))


def _two_of(holds: tuple[Formula, ...]) -> Formula:
    pairs = ((one, other) for index, one in enumerate(holds) for other in holds[index + 1 :])
    return Some(tuple(Every(pair) for pair in pairs))


def _keys(condition: GroupLimit | CredentialLimit) -> list[str]:
    """Return an operand of its own for each thing that may be stated of somebody: there may be several."""
    if isinstance(condition, GroupLimit):
        return sorted(f"hansa:participantGroup {group}" for group in set(condition.groups))
    return sorted(f"hansa:credential/{condition.claim} {value}" for value in set(condition.values))


def _named_places(conditions: Iterable[Condition]) -> Iterable[str]:
    for condition in conditions:
        if isinstance(condition, Combination):
            yield from _named_places(condition.parts)
        elif isinstance(condition, RegionLimit):
            for region in condition.regions:
                yield region
                # A part of it that nobody named, so that the whole is more than the parts that we know.
                if region not in UNIONS:
                    yield f"{region.partition('-')[0]}-?"


@lru_cache(maxsize=1024)
def _purposes(operator: Operator, named: tuple[str, ...], fails: bool) -> frozenset[str]:
    if operator is Operator.IS_NONE_OF:
        return _purposes(Operator.IS_ANY_OF, named, not fails)
    if operator is Operator.EQ:
        if not fails:
            return frozenset(named)
        wide = {p for p in PURPOSES if any(is_narrower_or_equal(name, p) for name in named)}
        return frozenset(PURPOSES) - wide
    if not fails:
        return frozenset(p for p in PURPOSES if any(is_narrower_or_equal(p, name) for name in named))
    return frozenset(p for p in PURPOSES if not any(do_purposes_overlap(p, name) for name in named))


def _hours(limit: DayTimeLimit) -> Intervals:
    parts = []
    for start, end in limit.windows:
        since, until = _of_day(start), _of_day(end)
        if until > since:
            parts.append(Interval(since, until, False, True))
        else:
            parts += [Interval(since, _DAY, False, True), Interval(timedelta(), until, False, True)]
    return Intervals.of(*parts)


def _of_day(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)


def _within_time(limit: ElapsedLimit, *, outer: bool) -> Formula:
    key, words = f"elapsed since {limit.since}", phrase(limit)
    length = limit.duration
    if length.fixed is not None:
        return Atom(key, Intervals.compared(limit.operator.value, length.fixed), words)
    passed = f"{key} against {length.text}"
    marks = Intervals.compared(limit.operator.value, 0)
    same = Atom(passed, marks, words)
    size = longest(length) if outer else shortest(length)
    bound = Atom(key, Intervals.compared(limit.operator.value, size), words)
    return Every((same, bound)) if outer else Some((same, bound))


def shortest(length: Duration) -> timedelta:
    """Return the least time that a length can take; a month has 28 days at least."""
    return length.rest + timedelta(
        days=max(length.months * 30 - 2 - length.months // 100, length.months * 28)
    )


def longest(length: Duration) -> timedelta:
    """Return the most time that a length can take; a month has 31 days at most."""
    return length.rest + timedelta(days=min(length.months * 31, length.months * 3044 // 100 + 3))


def rows_of(filters: Iterable[RowFilter], sorts: Mapping[str, frozenset[str]]) -> Formula:
    """Return the rows that pass all filters; a null cell passes none. `sorts` is what `sorts_of` found."""
    return Every(tuple(_row_filter(limit, sorts[limit.column]) for limit in filters))


def rows_matching(filters: Iterable[RowFilter], sorts: Mapping[str, frozenset[str]]) -> Formula:
    """Return the rows that filters of a prohibition match, as `policies.plan` excludes them.

    A null cell matches, whatever is asked of it; a cell that names no country may be in any region.
    """
    columns: dict[str, list[Formula]] = {}
    for limit in filters:
        part = _row_filter(limit, sorts[limit.column])
        if isinstance(limit, ColumnRegion) and isinstance(part.region, Intervals):
            part = replace(part, region=_points(countries_outside(limit.regions)).complement())
        columns.setdefault(limit.column, []).append(part)
    return Every(
        tuple(
            Some((Atom(f"no value in column {name}", _YES), Every(tuple(parts))))
            for name, parts in columns.items()
        )
    )


def _row_filter(limit: RowFilter, sorts: frozenset[str]) -> Atom:
    key, words = f"column {limit.column}", phrase(limit)
    if len(sorts) > 1:
        return Atom(key, Opaque(f"its values are of different sorts: {', '.join(sorted(sorts))}"), words)
    if not isinstance(limit, ColumnFilter):
        return Atom(key, _points(countries_in(limit.regions)), words)
    match limit.operator:
        case Operator.IS_ANY_OF | Operator.EQ:
            region: Region = _points(limit.values)
        case Operator.IS_NONE_OF | Operator.NEQ:
            region = _points(limit.values).complement()
        case _:
            region = Intervals((Interval(),))
            for value in limit.values:
                region = region.intersect(Intervals.compared(limit.operator.value, _plain(value)))
    return Atom(key, region, words)


def sorts_of(filters: Iterable[RowFilter]) -> dict[str, frozenset[str]]:
    """Return with what sorts of values each column is compared."""
    found: dict[str, frozenset[str]] = {}
    for limit in filters:
        said = map(_sort, limit.values) if isinstance(limit, ColumnFilter) else ("text",)
        found[limit.column] = found.get(limit.column, frozenset()) | frozenset(said)
    return found


def _points(values: Iterable[Scalar]) -> Intervals:
    return Intervals.of(*(Interval(value, value) for value in map(_plain, values)))


def _plain(value: Scalar) -> Any:
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _sort(value: Scalar) -> str:
    match value:
        case bool():
            return "truth values"
        case int() | Decimal():
            return "numbers"
        case datetime():
            return "instants" if value.tzinfo is not None else "instants without a zone"
        case date():
            return "dates"
        case _:
            return "text"
