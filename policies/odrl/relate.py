"""Two policies of anybody's beside each other: can both be kept, does one lie within the other?

What a policy allows becomes a formula over the values of its operands. Both can be kept if their formulas can
hold together; one refines another if nothing is allowed by it that the other does not allow. What no
vocabulary decides is said to be unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policies.algebra.formulas import Answer, Every, Impossible, Negated, Possible, Some, Undecided, can_hold
from policies.odrl.extents import (
    KNOWN,
    ODRL,
    Knowledge,
    Reading,
    conditions_of,
    constraints_in,
    covers,
    is_under,
)
from policies.odrl.model import Constraint, Permission, PolicyModel, Prohibition, Refined, Value


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing meets both policies, and why."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compatible:
    """Something meets both policies; `notes` say what only one of them limits."""

    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refines:
    """Everything that the first policy allows, the second allows too."""


@dataclass(frozen=True, slots=True)
class NotRefines:
    """The first policy allows something that the second does not."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """What we know does not decide it, and why."""

    reasons: tuple[str, ...]


def conflict(
    one: PolicyModel, other: PolicyModel, known: Knowledge = KNOWN
) -> Conflict | Compatible | Unknown:
    """Say whether a use can meet two policies at once."""
    pairs = [
        (mine, theirs) for mine in _grants(one) for theirs in _grants(other) if _meets(mine, theirs, known)
    ]
    if not pairs:
        return Compatible(("the policies speak of different actions, assets or parties",))
    reading = Reading(known, (one, other))
    answers = []
    for mine, theirs in pairs:
        allowed = reading.unforbidden((one, other), _narrower(mine, theirs, known))
        both = Every((reading.all_of(mine), reading.all_of(theirs), *allowed))
        answers.append(can_hold(both, known.facts))
    silent = _silent(one, other)
    if any(isinstance(answer, Possible) for answer in answers):
        return Unknown(silent) if silent and known.silent_is_unknown else Compatible(silent)
    undecided = _reasons(answers, Undecided)
    return Unknown(undecided) if undecided else Conflict(_reasons(answers))


def _narrower(one: Permission, other: Permission, known: Knowledge) -> Permission:
    """Return the permission of the narrower action; that is what both speak of."""
    if one.action.iri is None:
        return other
    return one if other.action.iri is None or is_under(one.action.iri, other.action.iri, known) else other


def refines(one: PolicyModel, other: PolicyModel, known: Knowledge = KNOWN) -> Refines | NotRefines | Unknown:
    """Say whether everything that the first policy allows, the second allows too."""
    reading = Reading(known, (one, other))
    undecided: list[str] = []
    for grant in _grants(one):
        wider = [wide for wide in _grants(other) if covers(wide, grant, known)]
        allowed = Some(
            tuple(Every((reading.all_of(w), *reading.unforbidden((other,), grant))) for w in wider)
        )
        narrow = Every((reading.all_of(grant), *reading.unforbidden((one,), grant)))
        match can_hold(Every((narrow, Negated(allowed))), known.facts):
            case Possible(branch):
                found = "; ".join(str(literal) for literals in branch.values() for literal in literals)
                said = found or "everything that it says" if wider else "no permission covers its action"
                return NotRefines((f"the first allows what the second does not: {said}",))
            case Undecided(reasons):
                undecided += reasons
    return Unknown(tuple(dict.fromkeys(undecided))) if undecided else Refines()


@dataclass(frozen=True, slots=True)
class Permitted:
    """The policy permits the request."""


@dataclass(frozen=True, slots=True)
class NotPermitted:
    """The policy does not permit the request, and why."""

    reasons: tuple[str, ...]


def permits(
    policy: PolicyModel, facts: Mapping[str, Value], known: Knowledge = KNOWN
) -> Permitted | NotPermitted:
    """Say whether a policy permits a use whose operands have these values.

    What it asks of an operand without a value is not met; what cannot be decided is not permitted.
    """
    at = tuple(
        Constraint(f"request:{operand}", operand, f"{ODRL}eq", (value,)) for operand, value in facts.items()
    )
    use = Permission("request", Refined(None), constraints=at)
    reading = Reading(known, (policy, PolicyModel("request", policy.kind, permissions=(use,))))
    reasons: list[str] = []
    for grant in _grants(policy):
        missing = sorted({c.operand for c in constraints_in(grant.constraints)} - set(facts))
        narrowed = Every((reading.all_of(grant), *reading.unforbidden((policy,), grant)))
        match can_hold(Every((reading.all_of(use), Negated(narrowed))), known.facts):
            case Impossible():
                return Permitted()
            case Undecided(why):
                reasons += why
            case Possible():
                lacks = f" (no value for {', '.join(missing)})" if missing else ""
                reasons.append(f"the request does not meet {grant.id}{lacks}")
    return NotPermitted(tuple(dict.fromkeys(reasons)) or ("no permission covers the request",))


def _reasons(answers: Iterable[Answer], kind: type | None = None) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for answer in answers:
        if not isinstance(answer, Possible) and (kind is None or isinstance(answer, kind)):
            found |= dict.fromkeys(answer.reasons)
    return tuple(found)


def _grants(policy: PolicyModel) -> tuple[Permission, ...]:
    """Return what a policy permits; one that only forbids leaves the rest to others."""
    if policy.permissions or not policy.prohibitions:
        return policy.permissions
    return (Permission(f"{policy.id}#rest", Refined(None)),)


def _meets(one: Permission | Prohibition, other: Permission | Prohibition, known: Knowledge) -> bool:
    first, second = one.action.iri, other.action.iri
    related = (
        first is None or second is None or is_under(first, second, known) or is_under(second, first, known)
    )
    return related and all(
        mine.iri is None or theirs.iri is None or mine.iri == theirs.iri
        for mine, theirs in ((one.target, other.target), (one.assignee, other.assignee))
    )


def _asked(policy: PolicyModel) -> dict[str, None]:
    rules: tuple[Permission | Prohibition, ...] = (*policy.permissions, *policy.prohibitions)
    return dict.fromkeys(c.operand for rule in rules for c in constraints_in(conditions_of(rule)))


def _silent(one: PolicyModel, other: PolicyModel) -> tuple[str, ...]:
    """Say which operands only one of two policies limits."""
    mine, theirs = _asked(one), _asked(other)
    notes = []
    for here, there, name, quiet in ((mine, theirs, one, other), (theirs, mine, other, one)):
        for operand in here:
            if operand not in there:
                notes.append(f"{name.id} limits {operand}, {quiet.id} is silent")
    return tuple(notes)
