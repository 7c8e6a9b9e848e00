"""Regions of values: what a constraint leaves of the values that an operand may have.

Ordered values (numbers, instants, durations) give sets of intervals; terms give finite and co-finite sets,
or, where a vocabulary does not say everything, a set that we know only between two bounds. Regions are
intersected, united, subtracted and asked whether anything is left; nothing here knows a policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

from policies.algebra.lengths import Incomparable
from policies.algebra.recurrence import Recurrence

Ordered = Any
"""A number, an aware datetime or a duration; the values of one region can be compared with each other.

Durations with months have no order among some others: a set that hangs on that is unknown (`Opaque`).
"""


@dataclass(frozen=True, slots=True)
class Interval:
    """The values between two ends; an end that is None is infinitely far away.

    `low_open` and `high_open` say that the end itself does not belong to it.
    """

    low: Ordered | None = None
    high: Ordered | None = None
    low_open: bool = False
    high_open: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no value lies in it; between two different ends there always is one."""
        if self.low is None or self.high is None:
            return False
        is_open = self.low_open or self.high_open
        return bool(self.low >= self.high if is_open else self.low > self.high)

    def intersect(self, other: Interval) -> Interval:
        """Return what both have in common; it may be empty."""
        low, low_open = _tighter(self._low(), other._low(), upward=True)
        high, high_open = _tighter(self._high(), other._high(), upward=False)
        return Interval(low, high, low_open, high_open)

    def _low(self) -> tuple[Ordered | None, bool]:
        return self.low, self.low_open

    def _high(self) -> tuple[Ordered | None, bool]:
        return self.high, self.high_open

    def meets(self, later: Interval) -> bool:
        """Say whether nothing lies between this one and one that starts no earlier."""
        if self.high is None or later.low is None:
            return True
        return bool(later.low < self.high) or (
            later.low == self.high and not (self.high_open and later.low_open)
        )


def _tighter(
    one: tuple[Ordered | None, bool], other: tuple[Ordered | None, bool], *, upward: bool
) -> tuple[Ordered | None, bool]:
    if one[0] is None or other[0] is None:
        return other if one[0] is None else one
    if one[0] == other[0]:
        return one[0], one[1] or other[1]
    return one if (one[0] > other[0]) is upward else other


@dataclass(frozen=True, slots=True)
class Intervals:
    """A set of ordered values: intervals that are in order, not empty, and do not touch each other."""

    parts: tuple[Interval, ...]

    @classmethod
    def of(cls, *parts: Interval) -> Self:
        """Return the union of intervals in their one normal form."""
        real = sorted((_closed_at_infinity(part) for part in parts if not part.is_empty), key=_Start)
        merged: list[Interval] = []
        for part in real:
            if merged and merged[-1].meets(part):
                last = merged[-1]
                high, high_open = _wider(last._high(), part._high())
                merged[-1] = Interval(last.low, high, last.low_open, high_open)
            else:
                merged.append(part)
        return cls(tuple(merged))

    @classmethod
    def everything(cls) -> Self:
        """Return the set of all values."""
        return cls((Interval(),))

    @classmethod
    def point(cls, value: Ordered) -> Self:
        """Return the set of one value."""
        return cls((Interval(value, value),))

    @classmethod
    def compared(cls, operator: str, value: Ordered) -> Intervals:
        """Return the values that stand so to a value: `eq`, `neq`, `lt`, `lteq`, `gt` or `gteq`."""
        match operator:
            case "eq":
                return cls.point(value)
            case "neq":
                return cls.point(value).complement()
            case "lt" | "lteq":
                return cls((Interval(high=value, high_open=operator == "lt"),))
            case "gt" | "gteq":
                return cls((Interval(low=value, low_open=operator == "gt"),))
            case _:
                raise ValueError(f"{operator!r} does not order values; known: eq, neq, lt, lteq, gt, gteq")

    @property
    def is_empty(self) -> bool:
        """Whether no value is left."""
        return not self.parts

    def contains(self, value: Ordered) -> bool:
        """Say whether a value belongs to it."""
        return not self.intersect(Intervals.point(value)).is_empty

    def union(self, other: Intervals) -> Intervals:
        """Return what lies in one of them."""
        return Intervals.of(*self.parts, *other.parts)

    def intersect(self, other: Intervals) -> Intervals:
        """Return what lies in both."""
        return Intervals.of(*(one.intersect(two) for one in self.parts for two in other.parts))

    def complement(self) -> Intervals:
        """Return every value that does not lie in it."""
        gaps: list[Interval] = []
        low: Ordered | None = None
        low_open = False
        for part in self.parts:
            if part.low is not None:
                gaps.append(Interval(low, part.low, low_open, not part.low_open))
            if part.high is None:
                return Intervals.of(*gaps)
            low, low_open = part.high, not part.high_open
        return Intervals.of(*gaps, Interval(low, None, low_open))

    def subtract(self, other: Intervals) -> Intervals:
        """Return what lies in this one only."""
        return self.intersect(other.complement())

    def is_within(self, other: Intervals) -> bool:
        """Say whether every value of it lies in another."""
        return self.subtract(other).is_empty

    def lowest(self) -> tuple[Ordered | None, bool]:
        """Return the lower end (None: infinitely low) and whether it is open; the set must not be empty."""
        return self.parts[0]._low()

    def highest(self) -> tuple[Ordered | None, bool]:
        """Return the upper end (None: infinitely high) and whether it is open; the set must not be empty."""
        return self.parts[-1]._high()


def _closed_at_infinity(part: Interval) -> Interval:
    """Write an interval in its one form: what is infinitely far away belongs to nothing."""
    low_open, high_open = part.low_open and part.low is not None, part.high_open and part.high is not None
    return Interval(part.low, part.high, low_open, high_open)


class _Start:
    """Orders intervals by where they start; an open start comes after the closed one at the same value."""

    __slots__ = ("part",)

    def __init__(self, part: Interval) -> None:
        self.part = part

    def __lt__(self, other: _Start) -> bool:
        mine, theirs = self.part, other.part
        if mine.low is None or theirs.low is None:
            return mine.low is None and theirs.low is not None
        return bool(mine.low < theirs.low) or (
            mine.low == theirs.low and not mine.low_open and theirs.low_open
        )


def _wider(one: tuple[Ordered | None, bool], other: tuple[Ordered | None, bool]) -> tuple[Any, bool]:
    if one[0] is None or other[0] is None:
        return None, False
    if one[0] == other[0]:
        return one[0], one[1] and other[1]
    return one if one[0] > other[0] else other


@dataclass(frozen=True, slots=True)
class Terms:
    """A set of terms: these, or all but these."""

    names: frozenset[Any]
    others: bool = False

    @classmethod
    def of(cls, *names: Any) -> Self:
        """Return the set of these terms."""
        return cls(frozenset(names))

    @classmethod
    def but(cls, *names: Any) -> Self:
        """Return the set of all terms but these."""
        return cls(frozenset(names), others=True)

    @property
    def is_empty(self) -> bool:
        """Whether no term is left; there always are terms that nobody named."""
        return not self.others and not self.names

    def contains(self, name: Any) -> bool:
        """Say whether a term belongs to it."""
        return (name in self.names) is not self.others

    def intersect(self, other: Terms) -> Terms:
        """Return what lies in both."""
        match self.others, other.others:
            case False, False:
                return Terms(self.names & other.names)
            case False, True:
                return Terms(self.names - other.names)
            case True, False:
                return Terms(other.names - self.names)
            case _:
                return Terms(self.names | other.names, others=True)

    def complement(self) -> Terms:
        """Return every term that does not lie in it."""
        return Terms(self.names, not self.others)

    def union(self, other: Terms) -> Terms:
        """Return what lies in one of them."""
        return self.complement().intersect(other.complement()).complement()

    def subtract(self, other: Terms) -> Terms:
        """Return what lies in this one only."""
        return self.intersect(other.complement())

    def is_within(self, other: Terms) -> bool:
        """Say whether every term of it lies in another."""
        return self.subtract(other).is_empty


@dataclass(frozen=True, slots=True)
class Bounded:
    """A set of terms that we know in part: all of `sure` lie in it, and nothing outside `possible` does.

    `listed` says that its terms were written one by one, so that it holds what they mean and no more;
    `downward` that it holds those and what lies under them: what none of them can be, nothing in it is.
    """

    sure: Terms
    possible: Terms
    listed: bool = False
    downward: bool = False


@dataclass(frozen=True, slots=True)
class Opaque:
    """A set of which we know nothing, and why."""

    why: str


Region = Intervals | Terms | Bounded | Recurrence | Opaque
"""What a constraint leaves of the values of one operand."""


def complement(region: Region) -> Region:
    """Return everything that is not in a region; of what is unknown, the complement is unknown."""
    match region:
        case Opaque():
            return region
        case Bounded():
            return Bounded(region.possible.complement(), region.sure.complement())
        case Recurrence():
            return Opaque(f"what does not recur ({region}) is not a set that we compare")
        case _:
            return region.complement()


def meet(regions: Iterable[Region]) -> Region:
    """Return what all regions have in common; regions of different sorts have an unknown part."""
    try:
        return reduce(_meet, regions)
    except Incomparable as error:
        return Opaque(str(error))


def _meet(one: Region, other: Region) -> Region:
    match one, other:
        case (Intervals() | Recurrence(), Intervals()) if len(_sorts(one) | _sorts(other)) > 1:
            return Opaque("values of different sorts are compared")
        case (Intervals(), Intervals()):
            return one.intersect(other)
        case (Terms(), Terms()):
            return one.intersect(other)
        case (Terms() | Bounded(), Terms() | Bounded()):
            first, second = _bounds(one), _bounds(other)
            return Bounded(first.sure.intersect(second.sure), first.possible.intersect(second.possible))
        case (Recurrence(), Recurrence()):
            joint = one.intersect(other)
            return joint if isinstance(joint, Recurrence) else _unless_apart(joint, one, other)
        case (Recurrence(), Intervals()):
            return one if other.contains(one.period) else Intervals(())
        case (Intervals(), Recurrence()):
            return _meet(other, one)
        case (Opaque(), _):
            return one
        case (_, Opaque()):
            return other
        case _:
            return Opaque("values of different sorts are compared")


_SORTS = {"int": "number", "float": "number", "Decimal": "number", "Months": "timedelta"}


def _sorts(region: Intervals | Recurrence) -> frozenset[str]:
    """Return the sorts of the values at the ends: numbers, instants, durations, texts."""
    if isinstance(region, Recurrence):
        return frozenset({"timedelta"})
    ends = (end for part in region.parts for end in (part.low, part.high) if end is not None)
    names = {type(end).__name__ for end in ends}
    return frozenset(_SORTS.get(name, name) for name in names)


def _unless_apart(joint: bool | None, one: Recurrence, other: Recurrence) -> Region:
    if joint is None:
        return Opaque(f"{one} and {other} do not both say when they start")
    return Intervals(())


def _bounds(region: Terms | Bounded) -> Bounded:
    return region if isinstance(region, Bounded) else Bounded(region, region)


def is_empty(region: Region) -> bool | None:
    """Say whether nothing lies in a region; None where that is unknown."""
    match region:
        case Opaque():
            return None
        case Bounded():
            if region.possible.is_empty:
                return True
            return None if region.sure.is_empty else False
        case Recurrence():
            return False
        case _:
            return region.is_empty
