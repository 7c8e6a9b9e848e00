"""Inheritance: a policy with the rules and properties of its parents.

Source: ODRL Information Model 2.2, section 2.8; 2.10 for conflict strategies that differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from math import prod
from typing import TypeVar

from policies.odrl.model import (
    ANYTHING,
    Duty,
    Permission,
    PolicyKind,
    PolicyModel,
    Prohibition,
    Shared,
)
from policies.refusals.refusal import refusal
from schemas.errors import Malformed, PolicyCycle, TooLarge, UnknownTerm

MOST_RULES = 2_000
MOST_ANCESTORS = 1_000

_Rule = TypeVar("_Rule", Permission, Prohibition, Duty)


def resolved(
    policy: PolicyModel, others: Mapping[str, PolicyModel], *, actions: bool = True, parties: bool = True
) -> PolicyModel:
    """Return a policy with everything that it inherits; it then has no parents left.

    Args:
        policy: the child.
        others: the policies that may be inherited from, by id.
        actions: refuse a rule that is left without an action.
        parties: refuse an Offer or Agreement that is left without its parties.

    Raises:
        PolicyCycle: naming the circle.
        UnknownTerm: naming a parent that is not there.
        TooLarge: if it inherits more than anybody would write.
        Malformed: naming what is lacking.
    """
    line = _ancestors(policy, others)
    shared = policy.shared
    for parent in line:
        shared = Shared(
            shared.actions or parent.shared.actions,
            shared.targets or parent.shared.targets,
            shared.assigners or parent.shared.assigners,
            shared.assignees or parent.shared.assignees,
        )
    everyone = (policy, *line)
    stated = {one.conflict for one in everyone if one.conflict_stated}
    void = next((one.void for one in everyone if one.void), None)
    if len(stated) > 1:
        void = f"it inherits different conflict strategies: {', '.join(sorted(stated))}"
    merged = replace(
        policy,
        inherits=(),
        profiles=tuple(dict.fromkeys(name for one in everyone for name in one.profiles)),
        conflict=stated.pop() if len(stated) == 1 else policy.conflict,
        conflict_stated=any(one.conflict_stated for one in everyone),
        void=void,
        shared=shared,
        permissions=_filled([rule for one in everyone for rule in one.permissions], shared),
        prohibitions=_filled([rule for one in everyone for rule in one.prohibitions], shared),
        obligations=_filled([rule for one in everyone for rule in one.obligations], shared),
    )
    if not (merged.permissions or merged.prohibitions or merged.obligations):
        raise Malformed(refusal("nothing inherited", name=repr(policy.id[:120])))
    refuse_lacking(merged, actions=actions, parties=parties)
    return merged


def _ancestors(policy: PolicyModel, others: Mapping[str, PolicyModel]) -> list[PolicyModel]:
    """Walk up, nearest parents first, each ancestor once."""
    found: dict[str, PolicyModel] = {}
    # Each entry is an open step: the policy, and its parents not yet gone into.
    stack = [(policy, iter(policy.inherits))]
    while stack:
        current, parents = stack[-1]
        name = next(parents, None)
        if name is None:
            stack.pop()
            continue
        line = [one.id for one, _ in stack]
        if name in line:
            circle = " -> ".join((*line[line.index(name) :], name))
            raise PolicyCycle(refusal("circle", circle=circle[:400]))
        if name not in others:
            raise UnknownTerm(refusal("parent", name=repr(current.id[:120]), parent=repr(name[:120])))
        if len(stack) > MOST_ANCESTORS or len(found) > MOST_ANCESTORS:
            raise TooLarge(refusal("ancestors", name=repr(policy.id[:120]), most=MOST_ANCESTORS))
        if name not in found:
            found[name] = others[name]
            stack.append((others[name], iter(others[name].inherits)))
    return list(found.values())


def _filled(rules: Iterable[_Rule], shared: Shared) -> tuple[_Rule, ...]:
    """Give each rule what it does not say itself from what is shared now."""
    made: list[_Rule] = []
    for rule in rules:
        sides = (
            shared.actions if rule.action == ANYTHING and shared.actions else (rule.action,),
            shared.targets if rule.target == ANYTHING and shared.targets else (rule.target,),
            shared.assigners if rule.assigner == ANYTHING and shared.assigners else (rule.assigner,),
            shared.assignees if rule.assignee == ANYTHING and shared.assignees else (rule.assignee,),
        )
        # Multiplied out only once it is known to be few: four lists of a hundred would be a hundred million.
        if len(made) + prod(map(len, sides)) > MOST_RULES:
            raise TooLarge(refusal("inherited rules", most=MOST_RULES))
        made += [
            replace(rule, action=action, target=target, assigner=assigner, assignee=assignee)
            for action, target, assigner, assignee in product(*sides)
        ]
    return tuple(made)


def refuse_lacking(policy: PolicyModel, *, actions: bool, parties: bool) -> None:
    """Refuse a rule without an action, an Offer without an assigner, an Agreement without its two parties.

    Raises:
        Malformed: naming the rule and what to write.
    """
    rules: tuple[Permission | Prohibition | Duty, ...] = (
        *policy.permissions,
        *policy.prohibitions,
        *policy.obligations,
    )
    for rule in rules:
        if actions and any(one.action.iri is None for one in _with_nested(rule)):
            raise Malformed(refusal("no action", rule=repr(rule.id[:120])))
        if not parties or policy.kind not in (PolicyKind.OFFER, PolicyKind.AGREEMENT):
            continue
        if rule.assigner == ANYTHING:
            raise Malformed(f"rule {rule.id[:120]!r} of an {policy.kind} has no assigner; write one")
        if policy.kind is PolicyKind.AGREEMENT and rule.assignee == ANYTHING:
            raise Malformed(f"rule {rule.id[:120]!r} of an {policy.kind} has no assignee; write one")


def _with_nested(rule: Permission | Prohibition | Duty) -> Iterable[Permission | Prohibition | Duty]:
    yield rule
    nested = (
        rule.duties
        if isinstance(rule, Permission)
        else rule.remedies
        if isinstance(rule, Prohibition)
        else rule.consequences
    )
    for duty in nested:
        yield from _with_nested(duty)
