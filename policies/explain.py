"""Policy and decision in plain sentences, made from the same typed rules that decide.

Deterministic: the same policy always gives the same sentences, each with the label that says who keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from policies.compiled import CompiledPolicy
from policies.decision import Deny, Permit
from policies.masking import Masking, MaskKind
from policies.obligations import Obligation, obligations_of
from policies.plan import Branch, DataPlan
from policies.profile import Label, action_of
from policies.rules import (
    ColumnFilter,
    ColumnMask,
    ColumnRegion,
    Combination,
    CompiledPermission,
    CompiledProhibition,
    Condition,
    CredentialLimit,
    DataLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
    EnvironmentLimit,
    GroupLimit,
    ParticipantLimit,
    PurposeLimit,
    RegionLimit,
    TimeLimit,
)
from policies.values import spell_time
from policies.wording import listed, phrase


@dataclass(frozen=True, slots=True)
class Sentence:
    """One term in a plain sentence, and who keeps it."""

    text: str
    label: Label


def explain(policy: CompiledPolicy) -> tuple[Sentence, ...]:
    """Say what a policy allows, forbids and asks, one sentence a term.

    Args:
        policy: a compiled policy.

    Returns:
        The sentences in the order of the policy: permissions, prohibitions, obligations.
    """
    found: list[Sentence] = []
    if policy.assignee is not None:
        found.append(Sentence(f"This is for {policy.assignee} alone.", Label.ENFORCED))
    if not policy.permissions:
        found.append(Sentence("Nothing is permitted.", Label.ENFORCED))
    for group in _alike(policy.permissions):
        found += _permission(group)
    found += [_prohibition(rule) for rule in policy.prohibitions]
    found += [_obligation(item) for item in obligations_of(policy)]
    return tuple(dict.fromkeys(found))


def explain_decision(decision: Permit | Deny) -> tuple[str, ...]:
    """Say what a decision means, in whole sentences."""
    match decision:
        case Deny(reasons=reasons):
            return ("The use is denied.", *(_sentence(str(reason)) for reason in reasons))
        case Permit(limits=limits, plan=plan):
            found = ["The use is permitted."]
            if limits.until is not None:
                found.append(f"It ends at {spell_time(limits.until)}.")
            if limits.rows is not None:
                found.append(f"{limits.rows:,} more rows may be released.")
            return (*found, *_plan(plan))
        case _:
            assert_never(decision)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _alike(permissions: Iterable[CompiledPermission]) -> list[list[CompiledPermission]]:
    """Group neighbours that differ in their action only, so that their terms are told once."""
    groups: list[list[CompiledPermission]] = []
    for permission in permissions:
        if groups and _terms(groups[-1][0]) == _terms(permission):
            groups[-1].append(permission)
        else:
            groups.append([permission])
    return groups


def _terms(permission: CompiledPermission) -> tuple[str, ...]:
    return tuple(phrase(limit) for limit in (*permission.conditions, *permission.limits))


def _permission(group: list[CompiledPermission]) -> Iterable[Sentence]:
    rows = [row for row in (action_of(permission.action) for permission in group) if row is not None]
    weakest = max((row.label for row in rows), key=list(Label).index)
    yield Sentence(f"You may {listed((row.verb for row in rows), 'and')}.", weakest)
    for condition in group[0].conditions:
        yield Sentence(f"Only {phrase(condition)}.", label_of(condition))
    for limit in group[0].limits:
        yield Sentence(_limit(limit), Label.ENFORCED)


def label_of(condition: Condition) -> Label:
    """Return who keeps a condition; a combination is as strong as its weakest part."""
    match condition:
        case (
            TimeLimit()
            | ElapsedLimit()
            | DayLimit()
            | DayTimeLimit()
            | ParticipantLimit()
            | GroupLimit()
            | CredentialLimit()
        ):
            return Label.ENFORCED
        case PurposeLimit() | RegionLimit() | EnvironmentLimit():
            return Label.SIGNING
        case Combination(parts=parts):
            return max((label_of(part) for part in parts), key=list(Label).index)
        case _:
            assert_never(condition)


def _limit(limit: DataLimit) -> str:
    match limit:
        case ColumnFilter():
            return f"You receive {phrase(limit)}; rows with an empty {limit.column!r} are left out."
        case ColumnMask():
            return f"You receive the data {phrase(limit)}."
        case ColumnRegion():
            return f"You receive {phrase(limit)}; rows without a known place are left out."
        case _:
            return f"You receive {phrase(limit)}."


def _prohibition(rule: CompiledProhibition) -> Sentence:
    row = action_of(rule.action)
    words = [phrase(condition) for condition in rule.conditions]
    tail = (" " + " and ".join(words)) if words else ""
    verb = row.verb if row is not None else rule.action
    label = row.label if row is not None else Label.PROMISED
    if label is Label.PROMISED:
        return Sentence(f"You promise not to {verb}{tail}.", label)
    weakest = [label, *(label_of(condition) for condition in rule.conditions)]
    return Sentence(f"You may not {verb}{tail}.", max(weakest, key=list(Label).index))


def _obligation(item: Obligation) -> Sentence:
    row = action_of(item.action)
    when = f" before {spell_time(item.before)}" if item.before is not None else ""
    return Sentence(f"You promise to {row.verb if row is not None else item.action}{when}.", Label.PROMISED)


def _plan(plan: DataPlan) -> Iterable[str]:
    for branch in plan.branches:
        yield from _branch(branch)


def _branch(branch: Branch) -> Iterable[str]:
    if branch.columns is not None:
        yield f"Columns released: {listed((repr(name) for name in branch.columns), 'and')}."
    for name, mask in branch.masks:
        yield f"Column {name!r} is {_masked(mask)}."
    for comparison in branch.predicate:
        limit = ColumnFilter(comparison.column, comparison.operator, comparison.values, "plan")
        yield _sentence(f"{phrase(limit)} are released")


def _masked(mask: Masking) -> str:
    match mask.kind:
        case MaskKind.NULL:
            return "left empty"
        case MaskKind.HASH:
            return "replaced by a keyed hash"
        case _:
            return f"masked ({mask.text})"
