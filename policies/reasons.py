"""Why not, and what would make it pass: a reason for each thing that stands against a use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from policies.compiled import CompiledPolicy
from policies.instants import turns
from policies.profile import (
    ACTIONS,
    DAYS,
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
    CredentialLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
    EnvironmentLimit,
    GroupLimit,
    ParticipantLimit,
    PurposeLimit,
    RegionLimit,
    Since,
    TimeLimit,
)
from policies.truth import all_hold, forbids, holds
from policies.use import Use, UseTotals
from policies.values import spell_time
from policies.wording import compact, listed, phrase
from policies.zones import local_time
from schemas.vocab import DPV, compact_iri

_EXAMPLE = DPV + "ScientificResearch"
_NEW = "negotiate a new agreement"
_CLOCKED = (TimeLimit, ElapsedLimit, DayLimit, DayTimeLimit)


@dataclass(frozen=True, slots=True)
class Case:
    """One question: a policy, a use, what was used so far, and the time."""

    policy: CompiledPolicy
    use: Use
    totals: UseTotals
    at: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not, what would make it pass (if anything would), and the term that it hangs on."""

    text: str
    fix: str | None
    term: str

    def __str__(self) -> str:
        return f"{self.text}; {self.fix}" if self.fix else self.text


def standing(case: Case) -> tuple[Reason, ...]:
    """Check what needs no rule: a known action, and the party that the policy is for."""
    policy, use = case.policy, case.use
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


def forbidden(case: Case) -> tuple[Reason, ...]:
    """Return a reason for each prohibition that stands against the whole use."""
    return tuple(
        _prohibited(case, prohibition)
        for prohibition in case.policy.prohibitions
        if forbids(prohibition, case.use, case.totals, case.at)
    )


def _prohibited(case: Case, prohibition: CompiledProhibition) -> Reason:
    use, totals, at = case.use, case.totals, case.at
    named = compact_iri(prohibition.action)
    words = [phrase(condition) for condition in prohibition.conditions]
    text = f"{named} is prohibited" + (" " + " and ".join(words) if words else "")
    if all_hold(prohibition.conditions, use, totals, at) is None:
        text += f" ({_open(case, prohibition)})"
    if is_action_within(use.action, prohibition.action):
        example, opens = _example(case), _opens(case)
        if example:
            return Reason(text, f"state another purpose, for example {example}", named)
        return Reason(text, f"ask again from {spell_time(opens)}" if opens else None, named)
    others = [
        row.iri
        for row in ACTIONS
        if row.permitted
        and row.iri != use.action
        and is_action_within(row.iri, use.action)
        and not any(
            forbids(other, replace(use, action=row.iri), totals, at) for other in case.policy.prohibitions
        )
    ]
    fix = f"ask for {compact(others)} instead" if others else None
    return Reason(f"{text}, and {compact_iri(use.action)} includes it", fix, named)


def _open(case: Case, prohibition: CompiledProhibition) -> str:
    """Say what is stated, and leaves open whether a prohibition stands."""
    unknown = [c for c in prohibition.conditions if holds(c, case.use, case.totals, case.at) is None]
    if any(_is_on_purpose(condition) for condition in unknown):
        stated = compact_iri(case.use.purpose) if case.use.purpose else "no purpose"
        return f"{stated} is stated, which leaves open whether that is so"
    return f"what is known of {case.use.participant or 'the caller'} leaves open whether that is so"


def _is_on_purpose(condition: Condition) -> bool:
    if isinstance(condition, Combination):
        return any(_is_on_purpose(part) for part in condition.parts)
    return isinstance(condition, PurposeLimit)


def _opens(case: Case) -> datetime | None:
    """Find the first instant at which the same use would pass, counted limits aside."""
    policy, use, totals = case.policy, case.use, case.totals
    for instant in turns(policy.instants, policy.moving, totals, case.at):
        if not any(forbids(item, use, totals, instant) for item in policy.prohibitions):
            for permission in policy.permissions:
                within = is_action_within(use.action, permission.action)
                if within and all_hold(permission.conditions, use, totals, instant) is True:
                    return instant
    return None


def _example(case: Case) -> str | None:
    """Find a purpose under which the same use would pass now, preferring the plainest."""
    policy, use, totals, at = case.policy, case.use, case.totals, case.at
    candidates = [_EXAMPLE, *_purposes_in(policy), *PURPOSES]
    for purpose in dict.fromkeys(candidates):
        tried = replace(use, purpose=purpose)
        if any(forbids(prohibition, tried, totals, at) for prohibition in policy.prohibitions):
            continue
        for permission in policy.permissions:
            within = is_action_within(use.action, permission.action)
            timeless = [item for item in permission.conditions if not isinstance(item, _CLOCKED)]
            if within and purpose != use.purpose and all_hold(timeless, tried, totals, at) is True:
                return compact_iri(purpose)
    return None


def _purposes_in(policy: CompiledPolicy) -> Iterable[str]:
    for permission in policy.permissions:
        for condition in permission.conditions:
            if isinstance(condition, PurposeLimit) and condition.operator is not Operator.IS_NONE_OF:
                yield from condition.purposes


def why_not(case: Case) -> tuple[Reason, ...]:
    """Return every reason why no permission holds."""
    use = case.use
    covering = [rule for rule in case.policy.permissions if is_action_within(use.action, rule.action)]
    if not covering:
        return (_no_permission(case.policy, use),)
    found: list[Reason] = []
    for permission in covering:
        unmet = [item for item in permission.conditions if holds(item, use, case.totals, case.at) is not True]
        found += [_unmet(case, condition) for condition in _once(unmet, use)]
        found += _used_up(permission, case.totals)
    return tuple(dict.fromkeys(found))


def _used_up(permission: CompiledPermission, totals: UseTotals) -> Iterable[Reason]:
    for most, used, what, term in (
        (permission.rows, totals.rows, "rows", "hansa:rowCount"),
        (permission.bytes, totals.bytes, "bytes", "hansa:byteCount"),
        (permission.requests, totals.requests, "requests", "odrl:count"),
        (permission.epochs, totals.epochs, "epochs", "odrl:count"),
    ):
        if most is not None and used >= most:
            yield Reason(f"{used:,} of {most:,} {what} of this agreement are used up", _NEW, term)


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


def _unmet(case: Case, condition: Condition) -> Reason:
    match condition:
        case TimeLimit():
            return _out_of_time(case, condition)
        case ElapsedLimit():
            return _elapsed(case, condition)
        case DayLimit() | DayTimeLimit():
            return _out_of_hours(case, condition)
        case PurposeLimit():
            return _wrong_purpose(case, condition)
        case Combination():
            return _unmet_combination(case, condition)
        case _:
            return _not_them(case.use, condition)


def _unmet_combination(case: Case, condition: Combination) -> Reason:
    unmet = [part for part in condition.parts if holds(part, case.use, case.totals, case.at) is not True]
    if len(condition.parts) == 1 and unmet:
        return _unmet(case, unmet[0])
    words = "; ".join(phrase(part) for part in condition.parts)
    if condition.form == "xone" and len(unmet) < len(condition.parts):
        return Reason(f"not exactly one of these holds: {words}", None, "odrl:xone")
    inner = [_unmet(case, part) for part in unmet]
    lead, word = ("not all", ", and ") if condition.form == "and" else ("none", ", or ")
    fixes = dict.fromkeys(reason.fix for reason in inner if reason.fix)
    return Reason(f"{lead} of these holds: {words}", word.join(fixes) or None, inner[0].term)


def _again(case: Case, otherwise: str = _NEW) -> str:
    opens = _opens(case)
    return f"ask again from {spell_time(opens)}" if opens else otherwise


def _out_of_time(case: Case, limit: TimeLimit) -> Reason:
    now = spell_time(case.at.replace(microsecond=0))
    if limit.since is not None and case.at < limit.since:
        fix = _again(case, f"ask again from {spell_time(limit.since)}")
        return Reason(f"use is allowed {phrase(limit)}, and it is {now}", fix, "odrl:dateTime")
    return Reason(f"use was allowed {phrase(limit)}, and it is {now}", _again(case), "odrl:dateTime")


def _elapsed(case: Case, limit: ElapsedLimit) -> Reason:
    is_agreement = limit.since is Since.AGREEMENT
    term = "odrl:elapsedTime" if is_agreement else "hansa:elapsedSinceDelivery"
    start = case.totals.agreed if is_agreement else case.totals.first_delivery
    if start is None:
        text = f"use is allowed {phrase(limit)}, and it is not known when that was"
        return Reason(text, "negotiate an agreement that states its time", term)
    now = spell_time(case.at.replace(microsecond=0))
    began = spell_time(start.replace(microsecond=0))
    text = f"use was allowed {phrase(limit)}, which was at {began}, and it is {now}"
    return Reason(text, _NEW, term)


def _out_of_hours(case: Case, limit: DayLimit | DayTimeLimit) -> Reason:
    local = local_time(case.at, limit.zone)
    term = "hansa:dayOfWeek" if isinstance(limit, DayLimit) else "hansa:timeOfDay"
    text = f"use is allowed {phrase(limit)}, and there it is {DAYS[local.weekday()]} {local:%H:%M}"
    return Reason(text, _again(case), term)


def _not_them(
    use: Use,
    condition: ParticipantLimit | GroupLimit | CredentialLimit | RegionLimit | EnvironmentLimit,
) -> Reason:
    """Say what is known of the caller, and what would have to be stated of it."""
    who, claims = use.participant or "an unnamed participant", use.claims
    match condition:
        case ParticipantLimit():
            text = f"{who} is not among the participants of this permission"
            return Reason(text, f"it is open to {listed(condition.participants)}", "hansa:participant")
        case GroupLimit():
            named = compact(condition.groups)
            fix = f"ask the authority of the data space to list you in {named}"
            return Reason(f"{who} is not known to be in {named}", fix, "hansa:participantGroup")
        case CredentialLimit():
            wanted = f"{condition.claim!r} as {listed(map(repr, condition.values))}"
            stated = [value for name, value in claims.credentials if name == condition.claim]
            known = f"; it states {listed(map(repr, stated), 'and')}" if stated else ""
            text = f"the member list does not state {wanted} of {who}{known}"
            fix = f"ask the authority of the data space to state {wanted}"
            return Reason(text, fix, "hansa:credential/" + condition.claim)
        case RegionLimit():
            place = (
                f"the place of {who} is {claims.region}" if claims.region else f"no place of {who} is known"
            )
            fix = f"ask the authority of the data space to state a place in {listed(condition.regions)}"
            return Reason(f"{place}, and use is allowed {phrase(condition)}", fix, "odrl:spatial")
        case EnvironmentLimit():
            place = f"{who} is known to process data in a {claims.environment}"
            if claims.environment is None:
                place = f"no environment of {who} is known"
            fix = f"attest to the authority of the data space a {listed(condition.environments)}"
            return Reason(f"{place}, and use is allowed {phrase(condition)}", fix, "hansa:environment")
        case _:
            assert_never(condition)


def _wrong_purpose(case: Case, limit: PurposeLimit) -> Reason:
    use = case.use
    if use.purpose is None:
        text = f"no purpose is stated, and use is allowed {phrase(limit)}"
    elif not is_purpose(use.purpose):
        text = f"purpose {compact_iri(use.purpose)} is unknown here, and use is allowed {phrase(limit)}"
    else:
        text = f"purpose {compact_iri(use.purpose)} does not fit: use is allowed {phrase(limit)}"
    example = _example(case)
    more = f", for example {example}" if example else ""
    wide = any(has_narrower(purpose) for purpose in limit.purposes)
    if limit.operator is Operator.IS_NONE_OF:
        fix = f"use a purpose wholly outside {compact(limit.purposes, 'and')}{more}"
    elif limit.operator is Operator.EQ or not wide:
        fix = f"use the purpose {compact(limit.purposes)}"
    else:
        fix = f"use a purpose under {compact(limit.purposes)}{more}"
    return Reason(text, fix, "odrl:purpose")
