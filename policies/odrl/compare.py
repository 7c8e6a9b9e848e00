"""The twelve operators over values, in three values.

Numbers compare as numbers and instants as instants, whatever they were written as; a text never equals an
IRI, and is the same in every language; a day is its whole day; what has no order, no common unit or no place
in a known hierarchy is unknown.

Source: ODRL Vocabulary 2.2, operators; w3c/odrl issues 27, 28 and 109 for what it leaves open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from operator import ge, gt, le, lt

from policies.algebra.lengths import Length, Months, after, is_no_longer, is_shorter
from policies.odrl.logic import all_of, any_of, negated
from policies.odrl.model import Iri, Stretch, Typed, Value
from policies.odrl.times import earlier, ordered_times, same_time
from policies.odrl.vocabulary import OPERATORS, TIME_UNITS, UNITS, Unit
from schemas.vocab import ODRL

_EXACT = Context(prec=2_000)
"""Multiplies the numbers that we read with the factors of units without rounding."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value of the world with its unit, an IRI."""

    value: Value
    unit: str


@dataclass(frozen=True, slots=True)
class Elapsed:
    """A time that has passed in the world, both ends of it known: months are compared with it exactly."""

    since: datetime
    until: datetime


Measured = Value | Quantity | Elapsed
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
    measure = UNITS.get(unit or "")
    rights = tuple(right)
    rights_in_base = tuple(in_base(value, measure) for value in rights)
    single = _single(bare, rights) if unit is None or measure is not None else None

    def compared(left: Sequence[Measured], knowledge: Knowledge) -> bool | None:
        if len(left) == 1 and single is not None and type(left[0]) is single[0]:
            try:
                return single[1](left[0])
            except TypeError:  # one of two instants has no zone
                pass
        if not left or not rights:
            return None
        bare_lefts, plain = _in_unit(left, unit)
        if bare_lefts is None:
            return None
        others = rights if plain else rights_in_base
        if test is not None:
            return test(bare_lefts, others, knowledge)
        return _compared(bare, bare_lefts, others)

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
    if bare in ("eq", "isAnyOf", "neq", "isNoneOf") and type(right) is not datetime:
        wanted = bare in ("eq", "isAnyOf")
        return type(right), lambda left: (left == right) is wanted
    return None


def _in_unit(lefts: Sequence[Measured], unit: str | None) -> tuple[list[Value | Elapsed] | None, bool]:
    """Return values in the unit of the constraint, and True; or in the base of different units, and False.

    A value without a unit is taken to be in that of the constraint, if that is known. None is returned where
    units cannot be compared.
    """
    ours = UNITS.get(unit or "")
    plain = all(not isinstance(value, Quantity) or value.unit == unit for value in lefts)
    plain = plain and (ours is None or ours.dimension != TIME_UNITS)
    found: list[Value | Elapsed] = []
    for value in lefts:
        bare, own = (value.value, value.unit) if isinstance(value, Quantity) else (value, unit)
        theirs = UNITS.get(own or "")
        if own != unit and (ours is None or theirs is None or ours.dimension != theirs.dimension):
            return None, plain
        if not isinstance(value, Quantity) and unit is not None and ours is None:
            return None, plain
        if not plain and not isinstance(bare, Elapsed):
            bare = in_base(bare, theirs)
        found.append(bare)
    return found, plain


def in_base(value: Value, unit: Unit | None) -> Value:
    """Return a number in the base of its unit, and a duration in seconds, exactly; others have no unit."""
    if unit is not None and unit.dimension == TIME_UNITS and isinstance(value, timedelta):
        return Decimal(value // timedelta(microseconds=1)).scaleb(-6, _EXACT)
    if unit is None or _family(value) != "number" or not isinstance(value, int | Decimal):
        return value
    return _EXACT.multiply(Decimal(value), unit.factor)


def _compared(bare: str, left: Sequence[Value | Elapsed], right: Sequence[Value]) -> bool | None:
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


def _family(value: Value | Elapsed) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int):
        return "number"
    if isinstance(value, Decimal):
        return "number" if value.is_finite() else _NO_NUMBER
    if isinstance(value, date | Stretch):
        return "time"
    if isinstance(value, timedelta | Months | Elapsed):
        return "length"
    return type(value).__name__


def equal(left: Value | Elapsed, right: Value | Elapsed) -> bool | None:
    """Say whether two values are the same, by value within a family of datatypes."""
    one, other = _family(left), _family(right)
    if _NO_NUMBER in (one, other):
        return None if one == other or "number" in (one, other) else False
    if "Typed" in (one, other):
        if left == right:
            return True
        return False if "Iri" in (one, other) else None
    if {one, other} == {"length", "number"}:
        return None  # of which unit?
    if one != other:
        return False
    match left, right:
        case date() | Stretch(), date() | Stretch():
            return same_time(left, right)
        case timedelta() | Months() | Elapsed(), timedelta() | Months() | Elapsed():
            return all_of((_ordered_length("lteq", left, right), _ordered_length("gteq", left, right)))
        case _:
            return left == right


def ordered(bare: str, left: Value | Elapsed, right: Value | Elapsed) -> bool | None:
    """Say whether a value stands before or after another; None if they have no order.

    Args:
        bare: lt, lteq, gt or gteq.
        left: what is so.
        right: what it is compared with; a day ends at its end.
    """
    family = _family(left)
    if family != _family(right) or family not in ("number", "time", "length"):
        return None
    match left, right:
        case date() | Stretch(), date() | Stretch():
            return ordered_times(bare, left, right)
        case timedelta() | Months() | Elapsed(), timedelta() | Months() | Elapsed():
            return _ordered_length(bare, left, right)
        case int() | Decimal(), int() | Decimal():
            return bool(_IN_ORDER[bare](left, right))
        case _:
            return None


_IN_ORDER = {"lt": lt, "lteq": le, "gt": gt, "gteq": ge}
_TURNED = {"lt": "gt", "lteq": "gteq", "gt": "lt", "gteq": "lteq"}


def _ordered_length(bare: str, left: Length | Elapsed, right: Length | Elapsed) -> bool | None:
    if isinstance(right, Elapsed):
        if not isinstance(left, Elapsed):
            return _ordered_length(_TURNED[bare], right, left)
        right = right.until - right.since
    if isinstance(left, Elapsed):
        end = after(left.since, right)
        if end is None:  # it ends beyond any calendar, before or after
            sooner = is_shorter(timedelta(), right)
        elif bare in ("lt", "gteq"):
            sooner = earlier(left.until, end)
        else:
            sooner = negated(earlier(end, left.until))
    else:
        sooner = is_shorter(left, right) if bare in ("lt", "gteq") else is_no_longer(left, right)
    return sooner if bare in ("lt", "lteq") else negated(sooner)


def _any(left: Sequence[Value | Elapsed], right: Sequence[Value], _: Knowledge) -> bool | None:
    return any_of(equal(one, other) for one in left for other in right)


def _none(left: Sequence[Value | Elapsed], right: Sequence[Value], knowledge: Knowledge) -> bool | None:
    return negated(_any(left, right, knowledge))


def _all(left: Sequence[Value | Elapsed], right: Sequence[Value], _: Knowledge) -> bool | None:
    return all_of(any_of(equal(one, other) for one in left) for other in right)


def _is_a(left: Sequence[Value | Elapsed], right: Sequence[Value], knowledge: Knowledge) -> bool | None:
    return all_of(any_of(_under(knowledge.kinds, one, other) for other in right) for one in left)


def _part_of(left: Sequence[Value | Elapsed], right: Sequence[Value], knowledge: Knowledge) -> bool | None:
    return all_of(any_of(_under(knowledge.parts, one, other) for other in right) for one in left)


def _has_part(left: Sequence[Value | Elapsed], right: Sequence[Value], knowledge: Knowledge) -> bool | None:
    return all_of(any_of(_under(knowledge.parts, other, one) for one in left) for other in right)


def _under(hierarchy: Hierarchy, term: Value | Elapsed, wider: Value | Elapsed) -> bool | None:
    if equal(term, wider) is True:
        return True
    if isinstance(term, Typed | Elapsed) or isinstance(wider, Typed | Elapsed):
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
