"""Why not, and what would make it pass: a reason for each thing that stands against a use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from policies.compiled import CompiledPolicy
from policies.instants import turns
from policies.kinds.values import spell_time
from policies.kinds.zones import local_time
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
from policies.words.language import Listed, Message, Several, message, say
from policies.words.wording import said
from schemas.vocab import DPV, compact_iri

_EXAMPLE = DPV + "ScientificResearch"
_NEW = message("fix.new")
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
    """Why not, what would make it pass (if anything would), and the term that it hangs on.

    `why` and `mend` are messages that every language has words for; `text` and `fix` are the English ones.
    """

    why: Message
    mend: Message | None
    term: str

    @property
    def text(self) -> str:
        """Return why not."""
        return say(self.why)

    @property
    def fix(self) -> str | None:
        """Return what would make it pass."""
        return None if self.mend is None else say(self.mend)

    @property
    def told(self) -> Message:
        """Return both as one message."""
        return self.why if self.mend is None else message("why.fix", why=self.why, fix=self.mend)

    def __str__(self) -> str:
        return say(self.told)


def _names(iris: Iterable[str], word: str = "or") -> Listed:
    """Return IRIs in their short spelling, in a row."""
    return Listed(tuple(compact_iri(iri) for iri in iris), word)


def _who(use: Use, unnamed: str = "nobody") -> str | Message:
    return use.participant or message(f"who.{unnamed}")


def standing(case: Case) -> tuple[Reason, ...]:
    """Check what needs no rule: a known action, and the party that the policy is for."""
    policy, use = case.policy, case.use
    row = action_of(use.action)
    if row is None or not row.permitted:
        known = _names(action.iri for action in ACTIONS if action.permitted)
        why = message("why.action.unknown", action=compact_iri(use.action))
        return (Reason(why, message("fix.action.known", actions=known), compact_iri(use.action)),)
    if policy.assignee is not None and use.participant != policy.assignee:
        why = message("why.party", party=policy.assignee, who=_who(use))
        return (Reason(why, message("fix.own"), "odrl:assignee"),)
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
    named, why = compact_iri(prohibition.action), _prohibition(case, prohibition)
    if is_action_within(use.action, prohibition.action):
        example, opens = _example(case), _opens(case)
        if example:
            return Reason(why, message("fix.purpose.other", purpose=example), named)
        return Reason(why, message("fix.again", when=spell_time(opens)) if opens else None, named)
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
    fix = message("fix.action.instead", actions=_names(others)) if others else None
    return Reason(message("why.includes", prohibition=why, action=compact_iri(use.action)), fix, named)


def _prohibition(case: Case, prohibition: CompiledProhibition) -> Message:
    """Say what is prohibited, and what leaves open whether it is, if that is so."""
    named = compact_iri(prohibition.action)
    if not prohibition.conditions:
        return message("why.prohibited", action=named)
    conditions = Several(tuple(said(condition) for condition in prohibition.conditions), "join.and")
    if all_hold(prohibition.conditions, case.use, case.totals, case.at) is not None:
        return message("why.prohibited.when", action=named, conditions=conditions)
    return message(
        "why.prohibited.open", action=named, conditions=conditions, open=_left_open(case, prohibition)
    )


def _left_open(case: Case, prohibition: CompiledProhibition) -> Message:
    """Say what is stated, and leaves open whether a prohibition stands."""
    unknown = [c for c in prohibition.conditions if holds(c, case.use, case.totals, case.at) is None]
    if any(_is_on_purpose(condition) for condition in unknown):
        purpose = case.use.purpose
        return message("open.purpose", purpose=compact_iri(purpose)) if purpose else message("open.unstated")
    return message("open.caller", who=_who(case.use, "caller"))


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
            yield Reason(message(f"why.used.{what}", used=used, most=most), _NEW, term)


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
        return Reason(message("why.nothing"), message("fix.offer"), named)
    permitted = _names(dict.fromkeys(permission.action for permission in policy.permissions))
    return Reason(message("why.action", action=named), message("fix.action", actions=permitted), named)


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
    parts = Several(tuple(said(part) for part in condition.parts), "join.xone")
    if condition.form == "xone" and len(unmet) < len(condition.parts):
        return Reason(message("why.not one", parts=parts), None, "odrl:xone")
    inner = [_unmet(case, part) for part in unmet]
    lead, word = ("why.not all", "join.fix.and") if condition.form == "and" else ("why.none", "join.fix.or")
    fixes = tuple(dict.fromkeys(reason.mend for reason in inner if reason.mend))
    mend = message("fix.several", fixes=Several(fixes, word)) if fixes else None
    return Reason(message(lead, parts=parts), mend, inner[0].term)


def _again(case: Case, otherwise: Message = _NEW) -> Message:
    opens = _opens(case)
    return message("fix.again", when=spell_time(opens)) if opens else otherwise


def _out_of_time(case: Case, limit: TimeLimit) -> Reason:
    now = spell_time(case.at.replace(microsecond=0))
    if limit.since is not None and case.at < limit.since:
        fix = _again(case, message("fix.again", when=spell_time(limit.since)))
        return Reason(message("why.early", condition=said(limit), now=now), fix, "odrl:dateTime")
    return Reason(message("why.late", condition=said(limit), now=now), _again(case), "odrl:dateTime")


def _elapsed(case: Case, limit: ElapsedLimit) -> Reason:
    is_agreement = limit.since is Since.AGREEMENT
    term = "odrl:elapsedTime" if is_agreement else "hansa:elapsedSinceDelivery"
    start = case.totals.agreed if is_agreement else case.totals.first_delivery
    if start is None:
        return Reason(message("why.elapsed.unknown", condition=said(limit)), message("fix.dated"), term)
    now = spell_time(case.at.replace(microsecond=0))
    began = spell_time(start.replace(microsecond=0))
    return Reason(message("why.elapsed", condition=said(limit), began=began, now=now), _NEW, term)


def _out_of_hours(case: Case, limit: DayLimit | DayTimeLimit) -> Reason:
    local = local_time(case.at, limit.zone)
    term = "hansa:dayOfWeek" if isinstance(limit, DayLimit) else "hansa:timeOfDay"
    day = message(f"weekday.{local.weekday()}")
    why = message("why.hours", condition=said(limit), day=day, time=f"{local:%H:%M}")
    return Reason(why, _again(case), term)


def _not_them(
    use: Use,
    condition: ParticipantLimit | GroupLimit | CredentialLimit | RegionLimit | EnvironmentLimit,
) -> Reason:
    """Say what is known of the caller, and what would have to be stated of it."""
    who, claims = _who(use), use.claims
    match condition:
        case ParticipantLimit():
            fix = message("fix.participants", participants=Listed(condition.participants, "or"))
            return Reason(message("why.participant", who=who), fix, "hansa:participant")
        case GroupLimit():
            named = _names(condition.groups)
            fix = message("fix.group", groups=named)
            return Reason(message("why.group", who=who, groups=named), fix, "hansa:participantGroup")
        case CredentialLimit():
            return _not_stated(use, condition)
        case RegionLimit():
            why = message("why.region.unknown", who=who, condition=said(condition))
            if claims.region:
                why = message("why.region", who=who, place=claims.region, condition=said(condition))
            return Reason(why, message("fix.region", regions=Listed(condition.regions, "or")), "odrl:spatial")
        case EnvironmentLimit():
            why = message("why.environment.unknown", who=who, condition=said(condition))
            if claims.environment is not None:
                place = claims.environment
                why = message("why.environment", who=who, environment=place, condition=said(condition))
            fix = message("fix.environment", environments=Listed(condition.environments, "or"))
            return Reason(why, fix, "hansa:environment")
        case _:
            assert_never(condition)


def _not_stated(use: Use, condition: CredentialLimit) -> Reason:
    name, values = repr(condition.claim), Listed(tuple(map(repr, condition.values)), "or")
    stated = tuple(repr(value) for claim, value in use.claims.credentials if claim == condition.claim)
    why = message("why.credential", name=name, values=values, who=_who(use))
    if stated:
        others = Listed(stated, "and")
        why = message("why.credential.other", name=name, values=values, who=_who(use), stated=others)
    return Reason(
        why, message("fix.credential", name=name, values=values), "hansa:credential/" + condition.claim
    )


def _wrong_purpose(case: Case, limit: PurposeLimit) -> Reason:
    use = case.use
    if use.purpose is None:
        why = message("why.purpose.unstated", condition=said(limit))
    else:
        id = "why.purpose" if is_purpose(use.purpose) else "why.purpose.unknown"
        why = message(id, purpose=compact_iri(use.purpose), condition=said(limit))
    example = _example(case)
    wide = any(has_narrower(purpose) for purpose in limit.purposes)
    if limit.operator is Operator.IS_NONE_OF:
        id, purposes = "fix.purpose.outside", _names(limit.purposes, "and")
    elif limit.operator is Operator.EQ or not wide:
        return Reason(why, message("fix.purpose", purposes=_names(limit.purposes)), "odrl:purpose")
    else:
        id, purposes = "fix.purpose.under", _names(limit.purposes)
    mend = message(id, purposes=purposes)
    if example:
        mend = message("fix.example", fix=mend, example=example)
    return Reason(why, mend, "odrl:purpose")
