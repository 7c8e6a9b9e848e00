"""The one decision function: may this use happen, now, and within which limits?

Catalogue, negotiation, stream and auditor all call `decide`. Three values: what cannot be known never
grants, and never lifts a prohibition. A prohibition beats every permission. Of several permissions the
first that holds decides, and its limits apply alone; they are never mixed.

Source: ODRL Information Model 2.2; our decisions D1 to D11 stand in this room's README.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from policies.compiled import CompiledPolicy
from policies.counting import Rate
from policies.plan import DataPlan, plan_for
from policies.profile import (
    ACTIONS,
    PURPOSES,
    Operator,
    action_of,
    has_narrower,
    is_action_within,
    is_purpose,
)
from policies.rules import (
    Combination,
    CompiledPermission,
    CompiledProhibition,
    Condition,
    ParticipantLimit,
    PurposeLimit,
    TimeLimit,
)
from policies.truth import all_hold, applies, holds
from policies.use import Use, UseTotals
from policies.values import spell_time
from policies.wording import compact, listed, phrase
from schemas.errors import Malformed
from schemas.vocab import DPV, compact_iri

_EXAMPLE = DPV + "ScientificResearch"


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


@dataclass(frozen=True, slots=True)
class Permit:
    """Yes, within limits, by the permission with index `rule`."""

    limits: Limits
    plan: DataPlan
    rule: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not, what would make it pass (if anything would), and the term that it hangs on."""

    text: str
    fix: str | None
    term: str

    def __str__(self) -> str:
        return f"{self.text}; {self.fix}" if self.fix else self.text


@dataclass(frozen=True, slots=True)
class Deny:
    """No, with every reason."""

    reasons: tuple[Reason, ...]


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
    reasons = _standing(policy, use) or _forbidden(policy, use, at)
    if reasons:
        return Deny(reasons)
    for rule, permission in enumerate(policy.permissions):
        if (
            is_action_within(use.action, permission.action)
            and all_hold(permission.conditions, use, at) is True
        ):
            cap = permission.rows
            if cap is None or totals.rows < cap:
                rows = None if cap is None else cap - totals.rows
                plan = plan_for((permission,), purpose=use.purpose)
                return Permit(Limits(rows, until=_until(policy, permission, use, at)), plan, rule)
    return Deny(_why_not(policy, use, totals, at))


def _until(policy: CompiledPolicy, permission: CompiledPermission, use: Use, at: datetime) -> datetime | None:
    """Find the first instant at which the permission ceases or a prohibition begins."""
    for instant in policy.instants:
        if instant > at and (
            all_hold(permission.conditions, use, instant) is not True
            or any(applies(prohibition, use, instant) for prohibition in policy.prohibitions)
        ):
            return instant
    return None


def _standing(policy: CompiledPolicy, use: Use) -> tuple[Reason, ...]:
    """Check what needs no rule: a known action, and the party that the policy is for."""
    row = action_of(use.action)
    if row is None or not row.permitted:
        known = compact(action.iri for action in ACTIONS if action.permitted)
        return (
            Reason(
                f"action {compact_iri(use.action)} cannot be granted here",
                f"use {known}",
                compact_iri(use.action),
            ),
        )
    if policy.assignee is not None and use.participant != policy.assignee:
        return (
            Reason(
                f"the policy is for {policy.assignee}, not for {use.participant or 'an unnamed participant'}",
                "negotiate an agreement of your own",
                "odrl:assignee",
            ),
        )
    return ()


def _forbidden(policy: CompiledPolicy, use: Use, at: datetime) -> tuple[Reason, ...]:
    return tuple(
        _prohibited(policy, prohibition, use, at)
        for prohibition in policy.prohibitions
        if applies(prohibition, use, at)
    )


def _prohibited(policy: CompiledPolicy, prohibition: CompiledProhibition, use: Use, at: datetime) -> Reason:
    named = compact_iri(prohibition.action)
    words = [phrase(condition) for condition in prohibition.conditions]
    text = f"{named} is prohibited" + (" " + " and ".join(words) if words else "")
    if all_hold(prohibition.conditions, use, at) is None:
        stated = compact_iri(use.purpose) if use.purpose else "no purpose"
        text += f" ({stated} is stated, which leaves open whether that is so)"
    if is_action_within(use.action, prohibition.action):
        example, opens = _example(policy, use, at), _opens(policy, use, at)
        if example:
            return Reason(text, f"state another purpose, for example {example}", named)
        return Reason(text, f"ask again from {spell_time(opens)}" if opens else None, named)
    others = [
        row.iri
        for row in ACTIONS
        if row.permitted
        and row.iri != use.action
        and is_action_within(row.iri, use.action)
        and not any(applies(other, replace(use, action=row.iri), at) for other in policy.prohibitions)
    ]
    fix = f"ask for {compact(others)} instead" if others else None
    return Reason(f"{text}, and {compact_iri(use.action)} includes it", fix, named)


def _opens(policy: CompiledPolicy, use: Use, at: datetime) -> datetime | None:
    """Find the first instant at which the same use would pass, row limits aside."""
    for instant in policy.instants:
        if instant > at and not any(applies(item, use, instant) for item in policy.prohibitions):
            for permission in policy.permissions:
                within = is_action_within(use.action, permission.action)
                if within and all_hold(permission.conditions, use, instant) is True:
                    return instant
    return None


def _example(policy: CompiledPolicy, use: Use, at: datetime) -> str | None:
    """Find a purpose under which the same use would pass now, preferring the plainest."""
    candidates = [_EXAMPLE, *_purposes_in(policy), *PURPOSES]
    for purpose in dict.fromkeys(candidates):
        tried = replace(use, purpose=purpose)
        if any(applies(prohibition, tried, at) for prohibition in policy.prohibitions):
            continue
        for permission in policy.permissions:
            within = is_action_within(use.action, permission.action)
            timeless = [
                condition for condition in permission.conditions if not isinstance(condition, TimeLimit)
            ]
            if within and purpose != use.purpose and all_hold(timeless, tried, at) is True:
                return compact_iri(purpose)
    return None


def _purposes_in(policy: CompiledPolicy) -> Iterable[str]:
    for permission in policy.permissions:
        for condition in permission.conditions:
            if isinstance(condition, PurposeLimit) and condition.operator is not Operator.IS_NONE_OF:
                yield from condition.purposes


def _why_not(policy: CompiledPolicy, use: Use, totals: UseTotals, at: datetime) -> tuple[Reason, ...]:
    covering = [
        permission for permission in policy.permissions if is_action_within(use.action, permission.action)
    ]
    if not covering:
        return (_no_permission(policy, use),)
    found: list[Reason] = []
    for permission in covering:
        unmet = [condition for condition in permission.conditions if holds(condition, use, at) is not True]
        found += [_unmet(policy, condition, use, at) for condition in _once(unmet, use)]
        if permission.rows is not None and totals.rows >= permission.rows:
            text = f"{totals.rows:,} of {permission.rows:,} rows of this agreement are used up"
            found.append(Reason(text, "negotiate a new agreement", "hansa:rowCount"))
    return tuple(dict.fromkeys(found))


def _once(conditions: Iterable[Condition], use: Use) -> Iterable[Condition]:
    """Keep one of several conditions on a purpose that was never stated: they all say the same."""
    told = False
    for condition in conditions:
        if isinstance(condition, PurposeLimit) and use.purpose is None:
            if told:
                continue
            told = True
        yield condition


def _no_permission(policy: CompiledPolicy, use: Use) -> Reason:
    named = compact_iri(use.action)
    if not policy.permissions:
        return Reason("the policy permits nothing", "ask for an offer with a permission", named)
    permitted = compact(dict.fromkeys(permission.action for permission in policy.permissions))
    return Reason(f"action {named} is not permitted", f"ask for {permitted}", named)


def _unmet(policy: CompiledPolicy, condition: Condition, use: Use, at: datetime) -> Reason:
    if isinstance(condition, TimeLimit):
        return _out_of_time(policy, condition, use, at)
    if isinstance(condition, PurposeLimit):
        return _wrong_purpose(policy, condition, use, at)
    if isinstance(condition, ParticipantLimit):
        text = (
            f"{use.participant or 'an unnamed participant'} is not among the participants of this permission"
        )
        return Reason(text, f"it is open to {listed(condition.participants)}", "hansa:participant")
    if not isinstance(condition, Combination):
        return Reason(f"it is not known whether this holds: {phrase(condition)}", None, "odrl:constraint")
    return _unmet_combination(policy, condition, use, at)


def _unmet_combination(policy: CompiledPolicy, condition: Combination, use: Use, at: datetime) -> Reason:
    unmet = [part for part in condition.parts if holds(part, use, at) is not True]
    if len(condition.parts) == 1 and unmet:
        return _unmet(policy, unmet[0], use, at)
    words = "; ".join(phrase(part) for part in condition.parts)
    if condition.form == "xone" and len(unmet) < len(condition.parts):
        return Reason(f"not exactly one of these holds: {words}", None, "odrl:xone")
    inner = [_unmet(policy, part, use, at) for part in unmet]
    lead, word = ("not all", ", and ") if condition.form == "and" else ("none", ", or ")
    fixes = dict.fromkeys(reason.fix for reason in inner if reason.fix)
    return Reason(f"{lead} of these holds: {words}", word.join(fixes) or None, inner[0].term)


def _out_of_time(policy: CompiledPolicy, limit: TimeLimit, use: Use, at: datetime) -> Reason:
    now = spell_time(at.replace(microsecond=0))
    opens = _opens(policy, use, at)
    if limit.since is not None and at < limit.since:
        fix = f"ask again from {spell_time(opens or limit.since)}"
        return Reason(f"use is allowed {phrase(limit)}, and it is {now}", fix, "odrl:dateTime")
    fix = f"ask again from {spell_time(opens)}" if opens else "negotiate a new agreement"
    return Reason(f"use was allowed {phrase(limit)}, and it is {now}", fix, "odrl:dateTime")


def _wrong_purpose(policy: CompiledPolicy, limit: PurposeLimit, use: Use, at: datetime) -> Reason:
    if use.purpose is None:
        text = f"no purpose is stated, and use is allowed {phrase(limit)}"
    elif not is_purpose(use.purpose):
        text = f"purpose {compact_iri(use.purpose)} is unknown here, and use is allowed {phrase(limit)}"
    else:
        text = f"purpose {compact_iri(use.purpose)} does not fit: use is allowed {phrase(limit)}"
    example = _example(policy, use, at)
    more = f", for example {example}" if example else ""
    wide = any(has_narrower(purpose) for purpose in limit.purposes)
    if limit.operator is Operator.IS_NONE_OF:
        fix = f"use a purpose wholly outside {compact(limit.purposes, 'and')}{more}"
    elif limit.operator is Operator.EQ or not wide:
        fix = f"use the purpose {compact(limit.purposes)}"
    else:
        fix = f"use a purpose under {compact(limit.purposes)}{more}"
    return Reason(text, fix, "odrl:purpose")
