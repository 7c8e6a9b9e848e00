"""Contradictions: what can never hold, what is always forbidden, what two parties cannot keep together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policies.algebra.formulas import ALWAYS, Every, Formula, Impossible, Negated, can_hold
from policies.compare.extents import USE_FACTS, Extents, rows_of, sorts_of
from policies.compare.fit import short_said
from policies.compare.tightness import are_rows_within, filters_of
from policies.compiled import CompiledPolicy
from policies.profile import is_action_within
from policies.rules import CompiledPermission, CompiledProhibition
from policies.words.carried import spoken
from policies.words.language import Message, Several, message
from schemas.errors import PolicyMismatch


@dataclass(frozen=True, slots=True)
class Clash:
    """Rules that contradict each other, or one that contradicts itself: their places, and why."""

    places: tuple[str, ...]
    told: Message

    @property
    def why(self) -> str:
        """Return why, in English, carrying what it says."""
        return spoken(self.told)

    def __str__(self) -> str:
        return self.why


def clashes_in(policy: CompiledPolicy) -> tuple[Clash, ...]:
    """Return the contradictions inside one policy: windows that never open, permissions always forbidden."""
    extents = Extents.of(policy)
    found = []
    for permission in policy.permissions:
        if (why := _never(permission, extents)) is not None:
            found.append(Clash((permission.place,), message("clash.never", place=permission.place, why=why)))
            continue
        found += _forbidden(permission, policy.prohibitions, extents, "clash.forbidden")
    return tuple(found)


def clashes_between(one: CompiledPolicy, other: CompiledPolicy) -> tuple[Clash, ...]:
    """Return what two policies can never keep together.

    That is a permission of one that the other always forbids, and permissions of which no pair can hold at
    once although both speak of the same action.
    """
    extents = Extents.of(one, other)
    found = []
    for mine, theirs in ((one, other), (other, one)):
        for permission in mine.permissions:
            found += _forbidden(permission, theirs.prohibitions, extents, "clash.forbidden.other")
    pairs = [
        (mine, theirs)
        for mine in one.permissions
        for theirs in other.permissions
        if is_action_within(mine.action, theirs.action) or is_action_within(theirs.action, mine.action)
    ]
    apart = [(mine, theirs, _apart(mine, theirs, extents)) for mine, theirs in pairs]
    if apart and all(why is not None for _, _, why in apart):
        found += [
            Clash(
                (mine.place, theirs.place),
                message("clash.apart", place=mine.place, other=theirs.place, why=why or ""),
            )
            for mine, theirs, why in apart
        ]
    return tuple(found)


def refuse_contradictions(policy: CompiledPolicy) -> None:
    """Refuse a policy that contradicts itself.

    Raises:
        PolicyMismatch: naming the rules, and why they contradict each other.
    """
    found = clashes_in(policy)
    if found:
        told = Several(tuple(clash.told for clash in found), "join.xone")
        raise PolicyMismatch(spoken(message("clash.refused", clashes=told)))


def _never(permission: CompiledPermission, extents: Extents) -> str | None:
    for formula, facts in (
        (extents.hold(permission.conditions, outer=True), USE_FACTS),
        (_rows(permission), USE_FACTS),
    ):
        answer = can_hold(formula, facts)
        if isinstance(answer, Impossible):
            return "; ".join(answer.reasons)
    return None


def _rows(*permissions: CompiledPermission) -> Formula:
    filters = [limit for permission in permissions for limit in filters_of(permission)]
    return rows_of(filters, sorts_of(filters)) if filters else ALWAYS


def _apart(one: CompiledPermission, other: CompiledPermission, extents: Extents) -> str | None:
    both = extents.hold((*one.conditions, *other.conditions), outer=True)
    for formula in (both, _rows(one, other)):
        answer = can_hold(formula, USE_FACTS)
        if isinstance(answer, Impossible):
            return "; ".join(answer.reasons)
    return None


def _forbidden(
    permission: CompiledPermission, prohibitions: Iterable[CompiledProhibition], extents: Extents, id: str
) -> list[Clash]:
    """Return the prohibitions that always stand where a permission holds: it never permits anything."""
    return [
        Clash(
            (permission.place, rule.place),
            message(
                id,
                place=permission.place,
                rule=short_said(permission),
                other=rule.place,
                prohibition=short_said(rule),
            ),
        )
        for rule in prohibitions
        if _always_stands(rule, permission, extents)
    ]


def _always_stands(rule: CompiledProhibition, permission: CompiledPermission, extents: Extents) -> bool:
    if rule.is_promise or not is_action_within(permission.action, rule.action):
        return False
    holds = extents.hold(permission.conditions, outer=True)
    stands = extents.may_hold(rule.conditions, outer=False)
    if not isinstance(can_hold(Every((holds, Negated(stands))), USE_FACTS), Impossible):
        return False
    return not rule.filters or are_rows_within(filters_of(permission), rule.filters)
