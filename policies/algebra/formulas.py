"""Formulas over regions: can all of this hold at once? Decided without a solver.

A formula becomes a disjunction of branches; a branch holds for each operand what it asks of its value; it can
hold where no operand is left without a value, and where what we know across operands agrees. What one
formula says lies within another if nothing can be in the first and outside the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.algebra.lengths import Incomparable
from policies.algebra.recurrence import Recurrence
from policies.algebra.regions import Bounded, Intervals, Opaque, Region, complement, is_empty, meet
from schemas.errors import TooLarge

STEP = " @"
"""What stands between an operand and the step of a sequence in a key; no IRI holds a space."""
MOST_BRANCHES = 256
"""The most branches of a formula; what has more is not compared."""
_MOST_REASONS = 8


@dataclass(frozen=True, slots=True)
class Atom:
    """The value of the operand `key` lies in `region`; `words` is how that was written.

    A key may end in ` @<sequence>.<step>`: then it is the value at that step of a sequence.
    """

    key: str
    region: Region
    words: str = ""


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; without any, it always holds."""

    parts: tuple[Formula, ...] = ()


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds; without any, it never holds."""

    parts: tuple[Formula, ...] = ()


@dataclass(frozen=True, slots=True)
class One:
    """Exactly one part holds."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """The part does not hold."""

    part: Formula


Formula = Atom | Every | Some | One | Negated

ALWAYS = Every()
NEVER = Some()


@dataclass(frozen=True, slots=True)
class Literal:
    """An atom, or its opposite."""

    atom: Atom
    holds: bool

    def __str__(self) -> str:
        words = self.atom.words or self.atom.key
        return words if self.holds else f"not ({words})"


Branch = Mapping[str, tuple[Literal, ...]]
"""For each operand, everything that must hold of its value."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What we know of operands, whatever a policy says.

    Args:
        domains: the values that an operand can have at all.
        at_most: pairs of operands of which the first is never more than the second, as time metered is never
            more than time elapsed; steps of a sequence add up.
        in_order: operands whose values at the steps of a sequence do not decrease.
        recurring: pairs of an operand of recurrence and the operand of the instant that it restricts.
    """

    domains: Mapping[str, Intervals] = field(default_factory=dict)
    at_most: tuple[tuple[str, str], ...] = ()
    in_order: frozenset[str] = frozenset()
    recurring: tuple[tuple[str, str], ...] = ()


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class Possible:
    """All of it can hold at once; `branch` is one way."""

    branch: Branch


@dataclass(frozen=True, slots=True)
class Impossible:
    """It can never hold; a reason for each way in which it might have."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undecided:
    """What we know does not decide it, and why."""

    reasons: tuple[str, ...]


Answer = Possible | Impossible | Undecided


def can_hold(formula: Formula, facts: Facts = NO_FACTS) -> Answer:
    """Say whether a formula can hold; never a guess: what we do not know is said to be undecided."""
    try:
        found = list(_branches(formula, True, facts))
    except TooLarge as error:
        return Undecided((str(error),))
    impossible: list[str] = []
    undecided: list[str] = []
    for branch in found:
        answer = _judge(branch, facts)
        if isinstance(answer, Possible):
            return answer
        (impossible if isinstance(answer, Impossible) else undecided).extend(answer.reasons)
    if undecided:
        return Undecided(_once(undecided))
    return Impossible(_once(impossible) or ("nothing is left of it",))


def _once(reasons: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reasons))


def _branches(formula: Formula, holds: bool, facts: Facts) -> Iterator[Branch]:
    match formula:
        case Atom():
            yield {formula.key: (Literal(formula, holds),)}
        case Negated():
            yield from _branches(formula.part, not holds, facts)
        case Every() | Some():
            if isinstance(formula, Every) is holds:
                yield from _joint(tuple(dict.fromkeys(formula.parts)), holds, facts)
            else:
                for part in formula.parts:
                    yield from _branches(part, holds, facts)
        case One():
            yield from _branches(
                _exactly_one(formula.parts) if holds else _not_one(formula.parts), True, facts
            )


def _not_one(parts: tuple[Formula, ...]) -> Formula:
    """Write "none, or more than one" with and, or and not."""
    pairs = (Every((one, other)) for index, one in enumerate(parts) for other in parts[index + 1 :])
    return Some((Every(tuple(map(Negated, parts))), *pairs))


def _exactly_one(parts: tuple[Formula, ...]) -> Formula:
    """Write "exactly one" with and, or and not."""
    return Some(
        tuple(
            Every((part, *(Negated(other) for other in (*parts[:index], *parts[index + 1 :]))))
            for index, part in enumerate(parts)
        )
    )


def _joint(parts: tuple[Formula, ...], holds: bool, facts: Facts) -> Iterator[Branch]:
    """Return the branches in which all parts hold; what became impossible is kept once, for its reason."""
    found: list[Branch] = [{}]
    dead: list[Branch] = []
    for part in parts:
        wider = []
        more = _without_repeats(_limited(_branches(part, holds, facts)))
        for branch in found:
            for other in more:
                merged = _merged(branch, other)
                changed = {key: merged[key] for key in other}
                if isinstance(_judge_operands(changed, facts), Impossible):
                    dead.append(merged)
                    del dead[_MOST_REASONS:]
                else:
                    wider.append(merged)
                    if len(wider) > MOST_BRANCHES:
                        wider = _without_repeats(wider)
                    if len(wider) > MOST_BRANCHES:
                        raise _too_many()
        found = _without_repeats(wider)
    yield from found or dead


def _without_repeats(branches: list[Branch]) -> list[Branch]:
    """Leave out what asks for all that another branch asks for, and more: it holds nowhere else."""
    said = {frozenset(literal for part in branch.values() for literal in part): branch for branch in branches}
    return [branch for asked, branch in said.items() if not any(other < asked for other in said)]


def _limited(branches: Iterable[Branch]) -> list[Branch]:
    found = []
    for branch in branches:
        found.append(branch)
        if len(found) > MOST_BRANCHES:
            raise _too_many()
    return found


def _too_many() -> TooLarge:
    return TooLarge(
        f"its combinations have more than {MOST_BRANCHES} branches, so they are not compared; "
        "write fewer alternatives"
    )


def _merged(one: Branch, other: Branch) -> Branch:
    both = {key: dict.fromkeys((*one.get(key, ()), *literals)) for key, literals in other.items()}
    return {**one, **{key: tuple(literals) for key, literals in both.items()}}


def _judge(branch: Branch, facts: Facts) -> Answer:
    answer = _judge_operands(branch, facts)
    if isinstance(answer, Impossible):
        return answer
    try:
        across = _judge_across(branch, facts)
    except Incomparable as error:
        return Undecided((str(error),))
    return across if across is not None else answer


def _judge_operands(branch: Branch, facts: Facts) -> Answer:
    undecided = []
    for key, literals in branch.items():
        if _contradicts(literals) or (left := is_empty(_left(key, literals, facts))):
            return Impossible((_no_value(key, literals),))
        if left is None:
            undecided.append(_unknown(key, literals, facts))
    return Undecided(tuple(undecided)) if undecided else Possible(branch)


def _left(key: str, literals: Iterable[Literal], facts: Facts) -> Region:
    """Return what all of it leaves of the values of an operand."""
    regions = [lit.atom.region if lit.holds else complement(lit.atom.region) for lit in literals]
    domain = facts.domains.get(_base(key))
    if domain is not None and all(isinstance(region, Intervals) for region in regions):
        regions.append(domain)
    # Several values that are each known in part may still be the same one: only a listed one is sure.
    return meet(regions)


def _contradicts(literals: Iterable[Literal]) -> bool:
    """Say whether something is asked for and ruled out at once, also where its extent is unknown."""
    literals = tuple(literals)
    asked = [literal.atom.region for literal in literals if literal.holds]
    if any(_surely_apart(one, other) for one in asked for other in asked):
        return True
    return any(
        _surely_within(one.atom.region, other.atom.region)
        for one in literals
        if one.holds
        for other in literals
        if not other.holds
    )


def _surely_apart(one: Region, other: Region) -> bool:
    if not (isinstance(one, Bounded) and isinstance(other, Bounded)):
        return False
    return (one.listed or one.downward) and one.sure.intersect(other.possible).is_empty


def _surely_within(one: Region, other: Region) -> bool:
    if isinstance(one, Opaque) or isinstance(other, Opaque):
        return False
    if isinstance(one, Bounded) and isinstance(other, Bounded):
        return (one.listed or not other.listed) and one.sure.is_within(other.sure)
    return one == other


def _no_value(key: str, literals: Iterable[Literal]) -> str:
    said = " and ".join(dict.fromkeys(str(literal) for literal in literals))
    return f"no value of {_base(key)} meets: {said}"


def _unknown(key: str, literals: Iterable[Literal], facts: Facts) -> str:
    region = _left(key, literals, facts)
    said = " and ".join(dict.fromkeys(str(literal) for literal in literals))
    why = region.why if isinstance(region, Opaque) else "what we know of these terms does not decide it"
    return f"{_base(key)}: {said}: {why}"


def _base(key: str) -> str:
    return key.partition(STEP)[0]


def _judge_across(branch: Branch, facts: Facts) -> Answer | None:
    """Return Impossible where what is known across operands is contradicted."""
    ranges = {}
    recurrences = {}
    for key, literals in branch.items():
        left = _left(key, literals, facts)
        if isinstance(left, Intervals):
            ranges[key] = left
        elif isinstance(left, Recurrence):
            recurrences[key] = left
    for less, more in facts.at_most:
        if more in ranges and (why := _more_than(ranges, less, more, branch)):
            return Impossible((why,))
    for recurs, instant in facts.recurring:
        recurrence, window = recurrences.get(recurs), ranges.get(instant)
        if recurrence and window and not _falls_into(recurrence, window):
            said = _no_value(instant, (*branch[recurs], *branch[instant]))
            return Impossible((f"{said} ({recurrence})",))
    return _judge_order(ranges, branch, facts)


def _falls_into(recurrence: Recurrence, window: Intervals) -> bool:
    return any(
        recurrence.falls_into(part.low, part.high, low_open=part.low_open, high_open=part.high_open)
        for part in window.parts
    )


def _more_than(ranges: Mapping[str, Intervals], less: str, more: str, branch: Branch) -> str | None:
    """Say where the least of one operand, or the sum of its steps, is more than the most of another."""
    most, most_open = ranges[more].highest()
    if most is None:
        return None
    for keys in _sequences(ranges, less).values():
        ends: list[tuple[Any, bool]] = [ranges[key].lowest() for key in keys]
        if any(value is None for value, _ in ends):
            continue
        total = ends[0][0]
        for value, _ in ends[1:]:
            total += value
        if total > most or (total == most and (most_open or any(is_open for _, is_open in ends))):
            said = " and ".join(str(literal) for key in (*keys, more) for literal in branch[key])
            return f"{less} is never more than {more}, but: {said}"
    return None


def _sequences(keys: Iterable[str], base: str) -> dict[str, list[str]]:
    """Return the keys of an operand by the sequence in which they stand, each in the order of its steps."""
    found: dict[str, list[str]] = {}
    for key in keys:
        name, _, step = key.partition(STEP)
        if name == base:
            found.setdefault(step.partition(".")[0], []).append(key)
    for steps in found.values():
        steps.sort(key=lambda key: int(key.partition(STEP)[2].partition(".")[2] or 0))
    return found


def _judge_order(ranges: Mapping[str, Intervals], branch: Branch, facts: Facts) -> Answer | None:
    for base in facts.in_order:
        sequences = _sequences(ranges, base)
        for keys in (steps for name, steps in sequences.items() if name):
            reached: Any = Intervals.everything()
            for key in keys:
                here = ranges[key].intersect(reached)
                if here.is_empty:
                    said = " then ".join(str(literal) for step in keys for literal in branch[step])
                    return Impossible((f"{base} cannot follow this order: {said}",))
                low, low_open = here.lowest()
                if low is not None:
                    reached = Intervals.compared("gt" if low_open else "gteq", low)
        if len(sequences) > 1:
            return Undecided((f"{base} is asked both of a sequence and beside it, which we do not compare",))
    return None
