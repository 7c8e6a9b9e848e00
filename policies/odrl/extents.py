"""Conditions of anybody's policies as formulas over the values of their operands.

What has no order and stands in no hierarchy that we know is a term of which only the name is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from policies.algebra.formulas import STEP, Atom, Every, Facts, Formula, Negated, One, Some
from policies.algebra.hierarchy import Poset
from policies.algebra.lengths import Incomparable, Length, Months
from policies.algebra.recurrence import Recurrence, repeating
from policies.algebra.regions import Interval, Intervals, Opaque, Region
from policies.odrl.compare import in_base
from policies.odrl.model import (
    Condition,
    Constraint,
    Iri,
    Logical,
    Permission,
    PolicyModel,
    Prohibition,
    Stretch,
    Typed,
    Value,
)
from policies.odrl.times import TIME_OF_DAY, span
from policies.odrl.vocabulary import INCLUDED_IN, SAME_ACTION, UNITS

ODRL = "http://www.w3.org/ns/odrl/2/"
_ORDERING = frozenset({"lt", "lteq", "gt", "gteq"})
_TICK = timedelta(microseconds=1)
_NEGATIVE = {"neq": "eq", "isNoneOf": "isAnyOf"}
_NOT_NEGATIVE = Intervals((Interval(low=Decimal(0)),))
_NO_TIME_BACK = Intervals((Interval(low=timedelta()),))
_DELAY, _ELAPSED, _METERED = f"{ODRL}delayPeriod", f"{ODRL}elapsedTime", f"{ODRL}meteredTime"
_INSTANT, _INTERVAL = f"{ODRL}dateTime", f"{ODRL}timeInterval"
_OF_STEPS = frozenset({_DELAY, _INSTANT})
"""Operands that have another value at each step of a sequence."""

ODRL_FACTS = Facts(
    domains={
        **{f"{ODRL}{name}": _NOT_NEGATIVE for name in ("absoluteSize", "count", "payAmount", "resolution")},
        f"{ODRL}percentage": Intervals((Interval(Decimal(0), Decimal(100)),)),
        **dict.fromkeys((_DELAY, _ELAPSED, _METERED, _INTERVAL), _NO_TIME_BACK),
    },
    at_most=((_METERED, _ELAPSED), (_DELAY, _ELAPSED)),
    in_order=frozenset({_INSTANT}),
    recurring=((_INTERVAL, _INSTANT),),
)
"""What ODRL's vocabulary says of its left operands."""

LANGUAGES = Poset({}, closed=True, separator="-")
"""BCP 47: `de-AT` lies under `de`; different tags are different languages."""


NO_HIERARCHY = Poset({}, closed=True)


def _narrower_actions() -> dict[str, tuple[str, ...]]:
    under: dict[str, list[str]] = {}
    for action, wider in INCLUDED_IN.items():
        if wider is not None:
            under.setdefault(wider, []).append(action)
    for old, meant in SAME_ACTION.items():
        under.setdefault(old, []).append(meant)
    return {action: tuple(found) for action, found in under.items()}


ACTIONS = Poset(_narrower_actions(), closed=True)
"""ODRL's actions; a deprecated one and the one that it stands for lie under each other."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What two policies are compared by.

    Args:
        hierarchies: for each left operand, the hierarchy of its terms; without one, terms that differ may
            still mean the same.
        facts: what is known of operands.
        actions: the hierarchy of actions, the narrower ones under the wider.
        silent_is_unknown: whether what only one of two parties asks makes the comparison unknown, rather
            than being noted.
    """

    hierarchies: Mapping[str, Poset] = field(default_factory=dict)
    facts: Facts = ODRL_FACTS
    actions: Poset = ACTIONS
    silent_is_unknown: bool = False


KNOWN = Knowledge(hierarchies={f"{ODRL}language": LANGUAGES})


def constraints_in(conditions: Iterable[Condition]) -> Iterable[Constraint]:
    """Return the constraints of conditions, at any depth."""
    for condition in conditions:
        if isinstance(condition, Constraint):
            yield condition
        else:
            yield from constraints_in(condition.parts)


def conditions_of(rule: Permission | Prohibition) -> tuple[Condition, ...]:
    """Return the constraints of a rule and the refinements of its parts."""
    parts = (rule.action, rule.target, rule.assignee, rule.assigner)
    return (*rule.constraints, *(condition for part in parts for condition in part.refinements))


def covers(wide: Permission | Prohibition, narrow: Permission, known: Knowledge) -> bool:
    """Say whether a rule speaks of all that a permission speaks of: action, asset and party."""
    action = wide.action.iri is None or (
        narrow.action.iri is not None and known.actions.is_under(narrow.action.iri, wide.action.iri)
    )
    return action and all(
        mine.iri is None or mine.iri == theirs.iri
        for mine, theirs in ((wide.target, narrow.target), (wide.assignee, narrow.assignee))
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """Turns the conditions of policies into formulas; a term counts wherever one of them names it."""

    known: Knowledge
    policies: tuple[PolicyModel, ...]

    def all_of(self, rule: Permission | Prohibition) -> Formula:
        """Return that every constraint and refinement of a rule holds."""
        parts = [self._formula(condition) for condition in rule.constraints]
        for name, part in (
            ("action", rule.action),
            ("target", rule.target),
            ("assignee", rule.assignee),
            ("assigner", rule.assigner),
        ):
            parts += [self._formula(condition, f"{name} ") for condition in part.refinements]
        return Every(tuple(parts))

    def _formula(self, condition: Condition, about: str = "") -> Formula:
        if isinstance(condition, Constraint):
            return self._atom(condition, about)
        if condition.form == "andSequence":
            return self._sequence(condition, about)
        parts = tuple(self._formula(part, about) for part in condition.parts)
        match condition.form:
            case "and":
                return Every(parts)
            case "or":
                return Some(parts)
            case _:
                return One(parts)

    def _sequence(self, sequence: Logical, about: str) -> Formula:
        """Return that all steps hold; what has another value at each step is kept apart by step."""
        parts = []
        for number, step in enumerate(sequence.parts, start=1):
            name = sequence.id.replace(".", "_").replace(STEP, "_")
            parts.append(_at_step(self._formula(step, about), f"{STEP}{name}.{number}"))
        return Every(tuple(parts))

    def _atom(self, constraint: Constraint, about: str) -> Formula:
        operator = constraint.operator.removeprefix(ODRL)
        words = f"{_short(constraint.operand)} {operator} {' | '.join(map(_spelt, constraint.values))}"
        key = f"{about}{constraint.operand}"
        constraint, differs = self._in_base(constraint)
        region = differs or self._region(constraint, _NEGATIVE.get(operator, operator))
        atom = Atom(key, region, words)
        return Negated(atom) if operator in _NEGATIVE else atom

    def _in_base(self, constraint: Constraint) -> tuple[Constraint, Opaque | None]:
        """Return a constraint in the base unit that all about its operand share, or why they share none."""
        units = {c.unit or "" for c in self._all() if c.operand == constraint.operand}
        if len(units) < 2:
            return constraint, None
        known = {unit: UNITS[unit] for unit in units if unit in UNITS}
        if len(known) < len(units) or len({unit.dimension for unit in known.values()}) > 1:
            named = ", ".join(sorted(unit or "none" for unit in units))
            why = f"{_short(constraint.operand)} is written in different units: {named}"
            return constraint, Opaque(why)
        own = known[constraint.unit or ""]
        return replace(constraint, values=tuple(in_base(value, own) for value in constraint.values)), None

    def _all(self) -> Iterable[Constraint]:
        for policy in self.policies:
            rules: tuple[Permission | Prohibition, ...] = (*policy.permissions, *policy.prohibitions)
            for rule in rules:
                yield from constraints_in(conditions_of(rule))

    def _region(self, constraint: Constraint, operator: str) -> Region:
        if constraint.reference is not None or not constraint.values:
            return Opaque("its right operand has to be looked up")
        if constraint.operand == _INTERVAL and (found := _recurs(constraint, operator)) is not None:
            return found
        ordered = [_ordered(value) for value in constraint.values]
        if None not in ordered and operator in (_ORDERING | {"eq", "isAnyOf"}):
            return _compared(operator, constraint.values)
        hierarchy = self.known.hierarchies.get(constraint.operand, Poset({}))
        if operator in _ORDERING:
            return Opaque(f"{operator} does not order terms, nor times of which the zone is open")
        terms = tuple(self._term(constraint.operand, value) for value in constraint.values)
        return hierarchy.region(operator, terms, self._mentioned(constraint.operand))

    def _mentioned(self, operand: str) -> frozenset[object]:
        return frozenset(
            self._term(operand, v) for c in self._all() if c.operand == operand for v in c.values
        )

    def _term(self, operand: str, value: Value) -> object:
        """Return a term to compare; where spelling is the hierarchy, as in `de-AT`, a text is a term too."""
        spelt = self.known.hierarchies.get(operand, NO_HIERARCHY).separator is not None
        if spelt and isinstance(value, str | Iri):
            return (value.value if isinstance(value, Iri) else value).lower()  # tags are the same in any case
        return _term(value)


def _at_step(formula: Formula, step: str) -> Formula:
    """Mark the operands that have another value at each step."""
    match formula:
        case Atom():
            own = formula.key in _OF_STEPS
            return Atom(formula.key + step, formula.region, formula.words) if own else formula
        case Negated():
            return Negated(_at_step(formula.part, step))
        case Every() | Some() | One():
            return type(formula)(tuple(_at_step(part, step) for part in formula.parts))


def _recurs(constraint: Constraint, operator: str) -> Region | None:
    """Read a recurrence: a repeating interval of ISO 8601, or a plain period that starts with the policy."""
    if operator != "eq" or len(constraint.values) != 1:
        return None
    value = constraint.values[0]
    if isinstance(value, Months):
        return Opaque(f"whether what recurs every {value} meets another depends on the calendar")
    if isinstance(value, timedelta):
        return Recurrence(value) if value > timedelta() else Intervals(())
    text = value.text if isinstance(value, Typed) else value
    return repeating(text) if isinstance(text, str) else None


def _compared(operator: str, values: tuple[Value, ...]) -> Region:
    if operator in ("eq", *_ORDERING) and len(values) > 1:
        return Opaque(f"{operator} compares with one value, here are {len(values)}")
    if len({_SORTS.get(type(value), type(value)) for value in map(_ordered, values)}) > 1:
        return Opaque("its values are of different sorts")
    found = Intervals(())
    try:
        for value in values:
            found = found.union(_compared_with("eq" if operator == "isAnyOf" else operator, value))
    except Incomparable as error:
        return Opaque(str(error))
    return found


def _compared_with(operator: str, value: Value) -> Intervals:
    """Compare with a value; a day is all its instants, so that "at most a day" ends with it."""
    start = _ordered(value)
    if not isinstance(value, date | Stretch) or isinstance(value, datetime):
        return Intervals.compared(operator, start)
    last = span(value)[1]
    following = last + _TICK if last < datetime.max.replace(tzinfo=UTC) else None
    match operator:
        case "eq":
            return Intervals((Interval(start, following, False, following is not None),))
        case "lteq":
            return Intervals((Interval(None, following, False, following is not None),))
        case "gt":
            return Intervals((Interval(following),)) if following is not None else Intervals(())
        case _:
            return Intervals.compared(operator, start)


_SORTS: Mapping[type, type] = {Months: timedelta}


def _ordered(value: Value) -> Decimal | datetime | Length | None:
    """Return a value that has an order; None for terms, texts, truth values, and times of an open zone."""
    match value:
        case bool():
            return None
        case int():
            return Decimal(value)
        case Decimal():
            return value if value.is_finite() else None
        case date() | Stretch():
            start = span(value)[0]
            is_open = start.tzinfo is None or (isinstance(value, Stretch) and value.datatype == TIME_OF_DAY)
            return None if is_open else start
        case timedelta() | Months():
            return value
        case _:
            return None


def _term(value: Value) -> object:
    """Return a term to compare; an IRI keeps its letters, so that hierarchies can be written with them."""
    return value.value if isinstance(value, Iri) else ("literal", type(value).__name__, value)


def _short(iri: str) -> str:
    return f"odrl:{iri.removeprefix(ODRL)}" if iri.startswith(ODRL) else iri


def _spelt(value: Value) -> str:
    match value:
        case Iri():
            return value.value
        case Typed() | Stretch():
            return value.text
        case datetime() | date():
            return value.isoformat()
        case _:
            return str(value)
