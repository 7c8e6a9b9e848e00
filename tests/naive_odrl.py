"""ODRL evaluated the naive way, for the evaluator to be compared with: slow, plain, and of another build.

A policy is plain data, as `tests/odrl_drawn.py` draws it. Truth is a number: 0 false, 1 true, and a half for
what cannot be known, so that all is the least, any the greatest and not one minus it. Numbers are fractions;
times are pairs of whole seconds. Written from the ODRL Information Model 2.2 and the decisions of
`policies/README.md`, not from the code of `policies/odrl`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

UNKNOWN = Fraction(1, 2)
Truth = int | Fraction
Plain = dict[str, Any]

UNITS: dict[str, tuple[str, int] | None] = {
    "KiloBYTE": ("data", 1000),
    "MegaBYTE": ("data", 10**6),
    "EUR": ("money", 1),
    "shell": None,
    "": None,
}
WIDER = {
    "play": ["use"],
    "display": ["play"],
    "print": ["use"],
    "inform": ["use"],
    "compensate": ["use"],
    "delete": ["use"],
    "sell": ["transfer"],
    "use": [],
    "transfer": [],
}
DAY = 86_400


@dataclass
class Deed:
    """What was done, when, by whom, and what was so then."""

    at: int
    action: str
    by: str
    target: str
    facts: Mapping[str, list[Any]]


@dataclass
class Setting:
    """What is asked, and the world in which it is asked."""

    now: int
    action: str | None = None
    by: str | None = None
    target: str | None = None
    facts: Mapping[str, list[Any]] = field(default_factory=dict)
    own: Mapping[str, list[Any]] = field(default_factory=dict)
    """Facts of the action itself, which its refinements ask for first."""
    world: Mapping[str, list[Any]] = field(default_factory=dict)
    within: Mapping[str, list[str]] = field(default_factory=dict)
    kinds: Mapping[str, list[str]] = field(default_factory=dict)
    parts: Mapping[str, list[str]] = field(default_factory=dict)
    deeds: list[Deed] = field(default_factory=list)
    switches: Mapping[str, bool] = field(default_factory=dict)

    def at_deed(self, deed: Deed) -> Setting:
        """The world as it was when something was done."""
        then = Setting(deed.at, deed.action, deed.by, deed.target, deed.facts)
        then.world, then.within, then.kinds = self.world, self.within, self.kinds
        then.parts, then.deeds, then.switches = self.parts, self.deeds, self.switches
        return then

    def moments(self) -> list[Setting]:
        """All that happened up to now, and now itself as the last."""
        return [*(self.at_deed(deed) for deed in self.deeds if deed.at <= self.now), self]


def every(states: Iterable[Truth]) -> Truth:
    return min([1, *states])


def some(states: Iterable[Truth]) -> Truth:
    return max([0, *states])


# --- values ------------------------------------------------------------------------------------------


def reaches(start: str, end: str, up: Mapping[str, list[str]]) -> bool:
    return start == end or any(
        reaches(higher, end, {k: v for k, v in up.items() if k != start}) for higher in up.get(start, [])
    )


def same(one: Any, other: Any) -> Truth:
    if "typed" in (one[0], other[0]):
        return 1 if one == other else 0 if "iri" in (one[0], other[0]) else UNKNOWN
    if one[0] != other[0]:
        return 0
    if one[0] != "time":
        return int(one[1:] == other[1:])
    (since, until), (start, end) = one[1:], other[1:]
    if (until - since) == (end - start):
        return int(since == start)
    if until < start or end < since:
        return 0
    return 1 if start <= since and until <= end else UNKNOWN


def before(one: Any, other: Any, or_same: bool) -> Truth:
    if one[0] != other[0] or one[0] not in ("number", "time"):
        return UNKNOWN
    if one[0] == "number":
        return int(one[1] <= other[1] if or_same else one[1] < other[1])
    (since, until), (start, end) = one[1:], other[1:]
    if until - since == end - start:
        return int(since <= start if or_same else since < start)
    mark = end if or_same else start - 1
    return 1 if until <= mark else 0 if since > mark else UNKNOWN


def under(one: Any, other: Any, up: Mapping[str, list[str]]) -> Truth:
    if same(one, other) == 1:
        return 1
    if one[0] != "iri" or other[0] != "iri":
        return UNKNOWN
    placed = {*up, *(name for names in up.values() for name in names)}
    if reaches(one[1], other[1], up):
        return 1
    return 0 if {one[1], other[1]} <= placed else UNKNOWN


def in_unit(value: Any, unit: str) -> Any | None:
    """A fact in base units, where it can be compared in `unit`; one without a unit is in that."""
    bare, own = (value[:-1], value[-1]) if value[0] == "number" else (value, None)
    if own is None:
        own = unit
        if unit and UNITS[unit] is None:
            return None  # in which unit, nobody can tell
    mine, theirs = UNITS[own], UNITS[unit]
    if mine is None or theirs is None:
        return bare if own == unit else None
    if mine[0] != theirs[0]:
        return None
    return ("number", bare[1] * mine[1]) if bare[0] == "number" else bare


def compared(constraint: Plain, found: Sequence[Any], place: Setting) -> Truth:
    unit = constraint.get("unit", "")
    left = [in_unit(value, unit) for value in found]
    right = [
        in_unit((*value[:2], unit), unit) if value[0] == "number" else value for value in constraint["right"]
    ]
    if not left or None in left:
        return UNKNOWN
    match constraint["op"]:
        case "eq" | "neq" as op:
            both = every(
                [
                    *(some(same(a, b) for b in right) for a in left),
                    *(some(same(a, b) for a in left) for b in right),
                ]
            )
            return both if op == "eq" else 1 - both
        case "lt" | "lteq" | "gt" | "gteq" as op:
            if len(right) > 1:
                return UNKNOWN
            low = every if op in ("lt", "lteq") else some
            mark = low(before(a, right[0], op in ("lteq", "gt")) for a in left)
            return mark if op in ("lt", "lteq") else 1 - mark
        case "isAnyOf":
            return some(same(a, b) for a in left for b in right)
        case "isNoneOf":
            return 1 - some(same(a, b) for a in left for b in right)
        case "isAllOf":
            return every(some(same(a, b) for a in left) for b in right)
        case "isA":
            return every(some(under(a, b, place.kinds) for b in right) for a in left)
        case "isPartOf":
            return every(some(under(a, b, place.parts) for b in right) for a in left)
        case "hasPart":
            return every(some(under(b, a, place.parts) for a in left) for b in right)
        case other:
            raise ValueError(other)


# --- conditions --------------------------------------------------------------------------------------

Facts = Callable[[Setting, str], "Sequence[Any]"]


def holds(condition: Plain, place: Setting, facts: Facts) -> Truth:
    for form in ("and", "or", "xone", "andSequence"):
        if form not in condition:
            continue
        parts = condition[form]
        if form == "andSequence":
            return in_order(parts, place, facts)
        states = [holds(part, place, facts) for part in parts]
        if form == "xone":
            if states.count(1) > 1:
                return 0
            return UNKNOWN if UNKNOWN in states else int(states.count(1) == 1)
        return every(states) if form == "and" else some(states)
    return compared(condition, facts(place, condition["left"]), place)


def in_order(parts: Sequence[Plain], place: Setting, facts: Facts) -> Truth:
    """The best way to find each part at a later time than the one before."""
    moments = place.moments()
    if len(moments) == 1 and len(parts) > 1:
        return UNKNOWN

    def best(part: int, last: int) -> Truth:
        if part == len(parts):
            return 1
        return some(
            every([holds(parts[part], moment, facts), best(part + 1, moment.now)])
            for moment in moments
            if moment.now > last
        )

    return best(0, -1)


def of_use(place: Setting, operand: str) -> Sequence[Any]:
    if operand == "dateTime":
        return [("time", place.now, place.now)]
    found: Sequence[Any] = place.facts.get(operand, place.world.get(operand, []))
    return found


def of_action(place: Setting, operand: str) -> Sequence[Any]:
    own: Sequence[Any] = place.own.get(operand, ())
    return own or of_use(place, operand)


# --- rules -------------------------------------------------------------------------------------------


def covers(wide: str, narrow: str) -> Truth:
    if wide == narrow or reaches(narrow, wide, WIDER):
        return 1
    return 0 if narrow in WIDER else UNKNOWN


def spoken_of(rule: Plain, kind: str, place: Setting) -> Truth:
    states: list[Truth] = []
    for name, given in (("target", place.target), ("assignee", place.by)):
        if name in rule:
            states.append(UNKNOWN if given is None else int(reaches(given, rule[name], place.within)))
    if place.action is None:
        action: Truth = UNKNOWN
    else:
        action = covers(rule["action"], place.action)
        if kind == "prohibition" and place.switches.get("wider_request_hits", True) and action != 1:
            other = covers(place.action, rule["action"])
            action = other if other != 0 else action
        elif kind != "prohibition" and action == UNKNOWN:
            action = 0
    refined = [holds(one, place, of_action) for one in rule.get("refinement", ())]
    return every([*states, action, *refined])


def counting(rule: Plain, kind: str, place: Setting) -> Facts:
    """Facts in which the count is that of this rule, the use that is asked for included."""
    prior: int | None = None
    if place.deeds:
        prior = sum(
            deed.at < place.now and spoken_of(rule, kind, place.at_deed(deed)) == 1 for deed in place.deeds
        )
    elif len(said := of_use(place, "count")) == 1:
        prior = int(said[0][1])

    def facts(here: Setting, operand: str) -> Sequence[Any]:
        if operand == "count" and here is place:
            return [] if prior is None else [("number", Fraction(prior + 1), None)]
        return of_use(here, operand)

    return facts


def is_deadline(condition: Plain) -> bool:
    return (
        condition.get("left") == "dateTime"
        and condition["op"] in ("lt", "lteq")
        and len(condition["right"]) == 1
    )


def deadline(duty: Plain) -> int | None:
    ends = [
        one["right"][0][1] if one["op"] == "lt" else one["right"][0][2] + 1
        for one in duty.get("constraint", ())
        if is_deadline(one)
    ]
    return min(ends, default=None)


def deeds_for(duty: Plain, place: Setting, by: str | None) -> list[int]:
    """When a duty was performed: by whom it binds, as it is refined, and while it was owed."""
    conditions = [one for one in duty.get("constraint", ()) if not is_deadline(one)]
    return sorted(
        deed.at
        for deed in place.deeds
        if deed.at <= place.now
        and spoken_of(duty, "duty", then := place.at_deed(deed)) == 1
        and every(holds(one, then, of_use) for one in conditions) == 1
        and ("assignee" in duty or by is None or reaches(deed.by, by, place.within))
    )


def became_of(duty: Plain, place: Setting, by: str | None, after: int | None = None) -> str:
    done = [at for at in deeds_for(duty, place, by) if after is None or at > after]
    end = deadline(duty)
    if done and (end is None or done[0] < end):
        return "Fulfilled"
    if end is None or place.now < end or is_owed(duty, place) == 0:
        return "NonSet"
    late = deeds_for(duty, place, by)
    fines = [became_of(fine, place, by, end) for fine in duty.get("consequence", ())]
    return "Fulfilled" if late and fines and set(fines) == {"Fulfilled"} else "Violated"


def is_owed(duty: Plain, place: Setting) -> Truth:
    return every(holds(one, place, of_use) for one in duty.get("constraint", ()) if not is_deadline(one))


def debtor(rule: Plain, kind: str, place: Setting) -> str | None:
    if place.switches.get("anyone_performs", False):
        return None
    return rule.get("assignee") if kind == "obligation" else place.by or rule.get("assignee")


def grants(rule: Plain, place: Setting) -> bool:
    facts = counting(rule, "permission", place)
    limits = every(holds(one, place, facts) for one in rule.get("constraint", ()))
    if spoken_of(rule, "permission", place) != 1 or limits != 1:
        return False
    for duty in rule.get("duty", ()):
        state = became_of(duty, place, debtor(rule, "permission", place))
        if not place.switches.get("duties_fulfilled", True):
            if state == "Violated":
                return False
        elif state != "Fulfilled" and is_owed(duty, place) != 0:
            return False
    return True


def forbids(rule: Plain, place: Setting) -> bool:
    facts = counting(rule, "prohibition", place)
    limits = every(holds(one, place, facts) for one in rule.get("constraint", ()))
    state = every([spoken_of(rule, "prohibition", place), limits])
    return state == 1 or (state == UNKNOWN and place.switches.get("unknown_prohibits", True))


def verdict(policy: Plain, place: Setting) -> str:
    may = any(grants(rule, place) for rule in policy.get("permission", ()))
    must_not = any(forbids(rule, place) for rule in policy.get("prohibition", ()))
    if may and must_not:
        return {"perm": "permit", "prohibit": "deny"}.get(policy.get("conflict", "invalid"), "void")
    if must_not:
        return "deny"
    return "permit" if may or not place.switches.get("closed", True) else "deny"
