"""The one decision function: may this use happen, now, and within which limits?

Catalogue, negotiation, stream and auditor all call `decide`. Three values: what cannot be known never
grants, and never lifts a prohibition. A prohibition beats every permission; one on some rows excludes these
rows from what every permission releases. Of several permissions the first that holds decides how much may be
used; all others that hold and count alike join it, cell by cell (`policies.plan`).

Source: ODRL Information Model 2.2; our decisions D1 to D11 stand in this room's README.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from policies.compiled import CompiledPolicy
from policies.counting import Bound, Rate
from policies.instants import MOST_STEPS, turns
from policies.odrl.logic import Verdict, grants, verdict
from policies.plan import DataPlan, plan_for
from policies.profile import is_action_within
from policies.reasons import Case, Reason, forbidden, standing, why_not
from policies.rules import AggregateOnly, CompiledPermission, CompiledProhibition
from policies.truth import all_hold, applies
from policies.use import Use, UseTotals
from policies.words.carried import spoken
from schemas.errors import Malformed


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a permit reaches: what is left now, how fast it may go, and when it ends; None = no end.

    `requests` and `epochs` are counted with the use that is asked for: a permit has at least 1 of each.

    Units: rows, bytes, requests, epochs.
    """

    rows: int | None = None
    bytes: int | None = None
    requests: int | None = None
    epochs: int | None = None
    rate: Rate | None = None
    until: datetime | None = None

    def bound(self, totals: UseTotals) -> Bound:
        """Return what the agreement may reach in all: what it had when this was decided, and what is left."""
        return Bound(
            None if self.rows is None else totals.rows + self.rows,
            None if self.bytes is None else totals.bytes + self.bytes,
            self.rate,
        )


@dataclass(frozen=True, slots=True)
class Permit:
    """Yes, within limits, by the permissions with the indexes `rules`, of which `rule` is the first."""

    limits: Limits
    plan: DataPlan
    rule: int
    rules: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """No, with every reason."""

    reasons: tuple[Reason, ...]


def spoken_reasons(denied: Deny) -> tuple[str, ...]:
    """Return the reasons of a denial as English sentences that carry what they say."""
    return tuple(spoken(reason.told) for reason in denied.reasons)


def decide(policy: CompiledPolicy, use: Use, totals: UseTotals, at: datetime) -> Permit | Deny:
    """Decide whether a use may happen at a time.

    Args:
        policy: the offer or agreement.
        use: what somebody means to do.
        totals: what the agreement has used so far.
        at: the time, with a zone.

    Raises:
        Malformed: if `at` has no zone.
    """
    if at.tzinfo is None:
        raise Malformed(f"decide: time {at.isoformat()} has no zone; give one in UTC")
    totals = dated(policy, totals, at)
    case = Case(policy, use, totals, at)
    reasons = standing(case) or forbidden(case)
    rules = () if reasons else _holding(case)
    if verdict(permitted=bool(rules), prohibited=bool(reasons)) is not Verdict.PERMIT:
        return Deny(reasons or why_not(case))
    permissions = tuple(policy.permissions[rule] for rule in rules)
    excluding = tuple(rule for rule in policy.prohibitions if rule.filters and applies(rule, use, totals, at))
    limits = _limits(permissions[0], totals, _until(case, permissions, excluding))
    return Permit(limits, plan_for(permissions, excluding, use.purpose), rules[0], rules)


def dated(policy: CompiledPolicy, totals: UseTotals, at: datetime) -> UseTotals:
    """Say when the agreement was made and first used, as the use that is asked for would leave it.

    Where nothing depends on that, the totals stay as they are. An agreement says itself when it was made; an
    offer would be agreed now. Before the first delivery this use is taken to be it.
    """
    if not policy.moving:
        return totals
    agreed = at if policy.is_offer else policy.agreed or totals.agreed
    if agreed == totals.agreed and totals.first_delivery is not None:
        return totals
    return replace(totals, agreed=agreed, first_delivery=totals.first_delivery or at)


def _holding(case: Case) -> tuple[int, ...]:
    """Find the first permission that holds and is not used up, and those that join it."""
    use, totals = case.use, case.totals
    first: CompiledPermission | None = None
    rules: list[int] = []
    for rule, permission in enumerate(case.policy.permissions):
        if first is not None and not _joins(permission, first):
            continue
        if (
            is_action_within(use.action, permission.action)
            and not used_up(permission, totals)
            and grants(all_hold(permission.conditions, use, totals, case.at))
        ):
            first = first or permission
            rules.append(rule)
            if _is_alone(permission):
                break
    return tuple(rules)


@lru_cache(maxsize=512)
def _is_alone(permission: CompiledPermission) -> bool:
    return any(isinstance(limit, AggregateOnly) for limit in permission.limits)


@dataclass(frozen=True, slots=True)
class _Counts:
    rows: int | None
    bytes: int | None
    requests: int | None
    epochs: int | None
    rate: Rate | None


@lru_cache(maxsize=512)
def _counts(permission: CompiledPermission) -> _Counts:
    rate = permission.rate
    speed = Rate(rate.rows, rate.period) if rate is not None else None
    return _Counts(permission.rows, permission.bytes, permission.requests, permission.epochs, speed)


def _joins(permission: CompiledPermission, first: CompiledPermission) -> bool:
    """Only permissions that count alike join: what is used is used under all of them."""
    return not _is_alone(permission) and _counts(permission) == _counts(first)


def used_up(permission: CompiledPermission, totals: UseTotals) -> bool:
    """Say whether a counted limit of a permission leaves nothing for one more use."""
    most = _counts(permission)
    return (
        (most.rows is not None and totals.rows >= most.rows)
        or (most.bytes is not None and totals.bytes >= most.bytes)
        or (most.requests is not None and totals.requests >= most.requests)
        or (most.epochs is not None and totals.epochs >= most.epochs)
    )


def _limits(permission: CompiledPermission, totals: UseTotals, until: datetime | None) -> Limits:
    most = _counts(permission)
    return Limits(
        _left(most.rows, totals.rows),
        _left(most.bytes, totals.bytes),
        _left(most.requests, totals.requests),
        _left(most.epochs, totals.epochs),
        most.rate,
        until,
    )


def _left(most: int | None, used: int) -> int | None:
    return None if most is None else most - used


def _until(
    case: Case,
    permissions: tuple[CompiledPermission, ...],
    excluding: tuple[CompiledProhibition, ...],
) -> datetime | None:
    """Find the first instant at which a permission ceases, or a prohibition begins, if only for some rows.

    Where windows recur for longer than is looked ahead, it is the last instant that was looked at: whoever
    asks again then is told again.
    """
    policy, use, totals = case.policy, case.use, case.totals
    new = [rule for rule in policy.prohibitions if rule not in excluding]
    for seen, instant in enumerate(turns(policy.instants, policy.moving, totals, case.at), start=1):
        if any(
            all_hold(permission.conditions, use, totals, instant) is not True for permission in permissions
        ) or any(applies(rule, use, totals, instant) for rule in new):
            return instant
        if policy.moving and seen >= MOST_STEPS:
            return instant
    return None
