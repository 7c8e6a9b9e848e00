"""The twelve operators over values, in three values.

Numbers compare as numbers and instants as instants, whatever they were written as; a text never equals an
IRI; a day is its whole day; what has no order, no common unit or no place in a known hierarchy is unknown.

Source: ODRL Vocabulary 2.2, operators; w3c/odrl issues 27, 28 and 109 for what it leaves open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from policies.odrl.logic import all_of, any_of, negated
from policies.odrl.model import Iri, Typed, Value
from policies.odrl.vocabulary import OPERATORS, UNITS
from schemas.vocab import ODRL

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value of the world with its unit, an IRI."""

    value: Value
    unit: str


Measured = Value | Quantity
Values = tuple[Measured, ...]


class Hierarchy:
    """A pinned order of terms: what each lies under, directly. It may be a poset, and may hold circles."""

    __slots__ = ("_known", "_up")

    def __init__(self, up: Mapping[Value, Iterable[Value]] | None = None) -> None:
        self._up = {term: tuple(wider) for term, wider in (up or {}).items()}
        self._known = frozenset(self._up).union(*self._up.values()) if self._up else frozenset()

    def lies_under(self, term: Value, wider: Value) -> bool | None:
        """Say whether a term is another or lies under it; None if one of them has no place here."""
        if term == wider and type(term) is type(wider):
            return True
        seen, open_ends = {term}, [term]
        while open_ends:
            for above in self._up.get(open_ends.pop(), ()):
                if above == wider:
                    return True
                if above not in seen:
                    seen.add(above)
                    open_ends.append(above)
        return False if term in self._known and wider in self._known else None


NO_HIERARCHY = Hierarchy()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of terms: what is an instance of or narrower than what, and what is part of what."""

    kinds: Hierarchy = NO_HIERARCHY
    parts: Hierarchy = NO_HIERARCHY


NOTHING_KNOWN = Knowledge()

Comparison = Callable[[Sequence[Measured], Knowledge], "bool | None"]


def compare(
    operator: str,
    left: Sequence[Measured],
    right: Sequence[Value],
    knowledge: Knowledge = NOTHING_KNOWN,
    unit: str | None = None,
) -> bool | None:
    """Compare what is so (`left`) with what a constraint says (`right`, in `unit`).

    Args:
        operator: its IRI, or bare.
        left: the values that the operand has; none of them means that nothing is known.
        right: the values of the constraint.
        knowledge: hierarchies for isA, isPartOf and hasPart.
        unit: the unit of `right`, an IRI.

    Raises:
        KeyError: if there is no such operator.
    """
    return comparison(operator, right, unit)(left, knowledge)


def comparison(operator: str, right: Sequence[Value], unit: str | None = None) -> Comparison:
    """Prepare a comparison with the values of a constraint.

    Raises:
        KeyError: if there is no such operator.
    """
    bare = operator.removeprefix(ODRL)
    if bare not in OPERATORS:
        raise KeyError(operator)
    test = _SETS.get(bare)
    rights = tuple(right)
    single = _single(bare, rights) if unit is None or unit in UNITS else None

    def compared(left: Sequence[Measured], knowledge: Knowledge) -> bool | None:
        if len(left) == 1 and single is not None and type(left[0]) is single[0]:
            return single[1](left[0])
        if not left or not rights:
            return None
        plain = []
        for value in left:
            found = _in_unit(value, unit)
            if found is None:
                return None
            plain.append(found)
        if test is not None:
            return test(plain, rights, knowledge)
        return _compared(bare, plain, rights)

    return compared


def _single(bare: str, rights: tuple[Value, ...]) -> tuple[type, Callable[[object], bool]] | None:
    """Return the type and the test of the commonest case, one instant, number or name against one."""
    if len(rights) != 1 or type(rights[0]) not in (datetime, int, Iri, str):
        return None
    right = rights[0]
    if bare in ("lt", "lteq", "gt", "gteq") and type(right) in (datetime, int):
        compare_to = {"lt": "__gt__", "lteq": "__ge__", "gt": "__lt__", "gteq": "__le__"}[bare]
        test: Callable[[object], bool] = getattr(right, compare_to)
        return type(right), test
    if bare in ("eq", "isAnyOf", "neq", "isNoneOf"):
        wanted = bare in ("eq", "isAnyOf")
        return type(right), lambda left: (left == right) is wanted
    return None


def _in_unit(value: Measured, unit: str | None) -> Value | None:
    """Return a value in the unit of the constraint; one without a unit is taken to be in it, if known."""
    if not isinstance(value, Quantity):
        return value if unit is None or unit in UNITS else None
    if value.unit == unit:
        return value.value
    ours, theirs = UNITS.get(unit or ""), UNITS.get(value.unit)
    number = value.value
    if ours is None or theirs is None or ours.dimension != theirs.dimension:
        return None
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        return None
    return Decimal(number) * theirs.factor / ours.factor


def _compared(bare: str, left: Sequence[Value], right: Sequence[Value]) -> bool | None:
    if bare in ("eq", "neq"):
        same = all_of(
            [any_of(equal(one, other) for one in left) for other in right]
            + [any_of(equal(one, other) for other in right) for one in left]
        )
        return same if bare == "eq" else negated(same)
    if len(right) != 1:
        return None
    return all_of(ordered(bare, one, right[0]) for one in left)


_NO_NUMBER = "no number"
"""NaN and the infinities: they stand in no order, and are not even equal to themselves."""


def _family(value: Value) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int):
        return "number"
    if isinstance(value, Decimal):
        return "number" if value.is_finite() else _NO_NUMBER
    if isinstance(value, date):
        return "time"
    return type(value).__name__


def equal(left: Value, right: Value) -> bool | None:
    """Say whether two values are the same, by value within a family of datatypes."""
    one, other = _family(left), _family(right)
    if _NO_NUMBER in (one, other):
        return None if one == other or "number" in (one, other) else False
    if "Typed" in (one, other):
        if left == right:
            return True
        return False if "Iri" in (one, other) else None
    if one != other:
        return False
    if one == "time":
        return _same_time(left, right)  # type: ignore[arg-type]  # the family says so
    return left == right


def _span(value: date) -> tuple[datetime, datetime]:
    """Return the first and the last instant of a day, or an instant twice."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment, moment
    start = datetime.combine(value, time(), UTC)
    return start, start + (_DAY - _TICK)


def _same_time(left: date, right: date) -> bool | None:
    if type(left) is type(right):
        return left == right
    (since, until), (start, end) = _span(left), _span(right)
    if until < start or end < since:
        return False
    # An instant of the day is on the day; that a whole day is one instant cannot be known.
    return True if isinstance(left, datetime) else None


def ordered(bare: str, left: Value, right: Value) -> bool | None:
    """Say whether a value stands before or after another; None if they have no order.

    Args:
        bare: lt, lteq, gt or gteq.
        left: what is so.
        right: what it is compared with; a day ends at its end.
    """
    family = _family(left)
    if family != _family(right) or family not in ("number", "time", "timedelta"):
        return None
    if family == "time":
        return _ordered_time(bare, left, right)  # type: ignore[arg-type]  # the family says so
    if bare in ("lt", "gteq"):
        return (left < right) is (bare == "lt")  # type: ignore[operator]  # one family, and ordered
    return (left <= right) is (bare == "lteq")  # type: ignore[operator]  # likewise


def _ordered_time(bare: str, left: date, right: date) -> bool | None:
    if type(left) is not datetime and type(right) is not datetime:
        return {"lt": left < right, "lteq": left <= right, "gt": left > right, "gteq": left >= right}[bare]
    (since, until), (start, end) = _span(left), _span(right)
    # Of a day on the left only some instant is meant: it is surely so, surely not so, or unknown.
    if bare in ("lt", "gteq"):
        before = True if until < start else False if since >= start else None
        return before if bare == "lt" else negated(before)
    within = True if until <= end else False if since > end else None
    return within if bare == "lteq" else negated(within)


def _any(left: Sequence[Value], right: Sequence[Value], _: Knowledge) -> bool | None:
    return any_of(equal(one, other) for one in left for other in right)


def _none(left: Sequence[Value], right: Sequence[Value], knowledge: Knowledge) -> bool | None:
    return negated(_any(left, right, knowledge))


def _all(left: Sequence[Value], right: Sequence[Value], _: Knowledge) -> bool | None:
    return all_of(any_of(equal(one, other) for one in left) for other in right)


def _is_a(left: Sequence[Value], right: Sequence[Value], knowledge: Knowledge) -> bool | None:
    return all_of(any_of(_under(knowledge.kinds, one, other) for other in right) for one in left)


def _part_of(left: Sequence[Value], right: Sequence[Value], knowledge: Knowledge) -> bool | None:
    return all_of(any_of(_under(knowledge.parts, one, other) for other in right) for one in left)


def _has_part(left: Sequence[Value], right: Sequence[Value], knowledge: Knowledge) -> bool | None:
    return all_of(any_of(_under(knowledge.parts, other, one) for one in left) for other in right)


def _under(hierarchy: Hierarchy, term: Value, wider: Value) -> bool | None:
    if equal(term, wider) is True:
        return True
    if isinstance(term, Typed) or isinstance(wider, Typed):
        return None
    return hierarchy.lies_under(term, wider)


_SETS = {
    "isAnyOf": _any,
    "isNoneOf": _none,
    "isAllOf": _all,
    "isA": _is_a,
    "isPartOf": _part_of,
    "hasPart": _has_part,
}
