"""Two policies of anybody's beside each other: can both be kept, does one lie within the other?

What a policy allows becomes a formula over the values of its operands. Both can be kept if their formulas can
hold together; one refines another if nothing is allowed by it that the other does not allow. What no
vocabulary decides is said to be unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from policies.algebra.formulas import (
    Answer,
    Every,
    Formula,
    Impossible,
    Negated,
    Possible,
    Some,
    Undecided,
    can_hold,
)
from policies.odrl.extents import (
    KNOWN,
    ODRL,
    Knowledge,
    Reading,
    conditions_of,
    constraints_in,
    covers,
)
from policies.odrl.model import (
    ConflictStrategy,
    Constraint,
    Duty,
    Permission,
    PolicyModel,
    Prohibition,
    Refined,
    Value,
)
from policies.odrl.reach import Kind, Rule, kinds
from schemas.errors import TooLarge

MOST_PAIRS = 10_000
"""Pairs of permissions of two policies; those of more are not compared."""


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
    """Say whether a use can meet two policies at once; what duties ask for is taken as done."""
    mine, theirs, taken = _grants(one), _grants(other), (*_takes_away(one), *_takes_away(other))
    try:
        found = _kinds(mine, theirs, taken, known)
    except TooLarge as error:
        return Unknown((str(error),))
    reading = Reading(known, (one, other))
    both = dict.fromkeys(
        Every((reading.all_of(a), reading.all_of(b), *_none_of(reading, kind.among(taken))))
        for kind in found
        for a in kind.among(mine)
        for b in kind.among(theirs)
    )
    if not both:
        return Compatible(("the policies speak of different actions, assets or parties",))
    answers = [can_hold(formula, known.facts) for formula in both]
    silent = _silent(one, other)
    if any(isinstance(answer, Possible) for answer in answers):
        return Unknown(silent) if silent and known.silent_is_unknown else Compatible(silent)
    undecided = _reasons(answers, Undecided)
    return Unknown(undecided) if undecided else Conflict(_reasons(answers))


def refines(one: PolicyModel, other: PolicyModel, known: Knowledge = KNOWN) -> Refines | NotRefines | Unknown:
    """Say whether everything that the first policy allows, the second allows too, and for no further duty."""
    mine, theirs, own, taken = _grants(one), _grants(other), _takes_away(one), _takes_away(other)
    try:
        found = _kinds(mine, theirs, (*own, *taken), known)
    except TooLarge as error:
        return Unknown((str(error),))
    reading = Reading(known, (one, other))
    undecided: list[str] = []
    for kind in found:
        kept, lost = (_none_of(reading, kind.among(rules)) for rules in (own, taken))
        for grant in kind.among(mine):
            wider = [wide for wide in kind.among(theirs) if _owes_no_more(wide, grant)]
            allowed = Some(tuple(Every((reading.all_of(wide), *lost)) for wide in wider))
            match can_hold(Every((reading.all_of(grant), *kept, Negated(allowed))), known.facts):
                case Possible(branch):
                    said = "; ".join(str(literal) for literals in branch.values() for literal in literals)
                    said = said or _why_not(wider, kind.among(theirs))
                    return NotRefines((f"the first allows what the second does not: {said}",))
                case Undecided(reasons):
                    undecided += reasons
    return Unknown(tuple(dict.fromkeys(undecided))) if undecided else Refines()


def _kinds(
    mine: Sequence[Permission], theirs: Sequence[Permission], taken: Sequence[Prohibition], known: Knowledge
) -> list[Kind]:
    """Return the kinds of requests that rules tell apart.

    Raises:
        TooLarge: if comparing each permission with each takes longer than anybody waits.
    """
    if len(mine) * len(theirs) > MOST_PAIRS:
        raise TooLarge(
            f"the policies have more than {MOST_PAIRS:,} pairs of permissions, so they are not compared; "
            "compare them asset by asset"
        )
    return kinds((*mine, *theirs, *taken), known)


def _none_of(reading: Reading, prohibitions: Iterable[Rule]) -> tuple[Formula, ...]:
    return tuple(Negated(reading.all_of(rule)) for rule in prohibitions)


def _takes_away(policy: PolicyModel) -> tuple[Prohibition, ...]:
    """Return the prohibitions that stand against what a policy permits: none, where its permissions win."""
    wins = policy.conflict is ConflictStrategy.PERMIT and bool(policy.permissions)
    return () if wins else policy.prohibitions


def _owes_no_more(wide: Rule, narrow: Rule) -> bool:
    """Say whether a permission asks for no duty that another does not ask for too."""
    if not isinstance(wide, Permission) or not isinstance(narrow, Permission):
        return False
    owed = [_bare(duty) for duty in narrow.duties]
    return all(_bare(duty) in owed for duty in wide.duties)


def _bare(duty: Duty) -> Duty:
    """Return a duty without its names."""
    return replace(
        duty,
        id="",
        constraints=tuple(replace(one, id="") for one in duty.constraints),
        consequences=tuple(map(_bare, duty.consequences)),
    )


def _why_not(wider: Sequence[Rule], permissions: Sequence[Rule]) -> str:
    if wider:
        return "everything that it says"
    if permissions:
        return "it asks for no duty, or for others"
    return "no permission covers its action"


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
        taken = [rule for rule in _takes_away(policy) if covers(rule, grant, known)]
        narrowed = Every((reading.all_of(grant), *_none_of(reading, taken)))
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
