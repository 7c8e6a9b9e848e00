"""Does this request fit this offer? At this depth: do both mean the same, however they are written?

Order, spelling (`odrl:purpose`, `purpose`, the full IRI), repeated terms, ids and parties make no
difference; any difference in what is allowed, forbidden or owed does, in either direction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, assert_never

from policies.compiled import CompiledPolicy, compile_policy
from policies.profile import Operator
from policies.rules import (
    AggregateOnly,
    ByteLimit,
    ColumnFilter,
    ColumnList,
    ColumnMask,
    ColumnRegion,
    Combination,
    CompiledDuty,
    CompiledPermission,
    CompiledProhibition,
    CompiledRule,
    Condition,
    Consent,
    CountLimit,
    CredentialLimit,
    DataLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
    EnvironmentLimit,
    GroupLimit,
    KAnonymity,
    NotTogether,
    ParticipantLimit,
    PurposeLimit,
    RateLimit,
    RegionLimit,
    RowLimit,
    Sample,
    TimeLimit,
)
from policies.values import spell_time, tagged
from policies.wording import compact, phrase
from schemas.canonical import canonical
from schemas.errors import Refused
from schemas.odrl import Policy


@dataclass(frozen=True, slots=True)
class Fit:
    """The request fits the offer."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """The request does not fit the offer, and why."""

    reasons: tuple[str, ...]


def normal_form(policy: Policy) -> dict[str, Any]:
    """Return what a policy says as JSON that is equal exactly for policies that say the same.

    Raises:
        Refused: if the policy cannot be compiled, as `compile_policy` says.
    """
    return _normal_policy(compile_policy(policy))


def same_terms(one: Policy, other: Policy) -> bool:
    """Say whether two policies say the same, whatever their ids, parties, order and spelling.

    Raises:
        Refused: if one of them cannot be compiled.
    """
    return normal_form(one) == normal_form(other)


def covers(request: Policy, offer: Policy) -> Fit | Misfit:
    """Say whether a request fits an offer.

    A request that cannot be compiled does not fit; the reason names the term.

    Raises:
        Refused: if the offer, which is ours, cannot be compiled.
    """
    offered = compile_policy(offer)
    try:
        requested = compile_policy(request)
    except Refused as error:
        return Misfit((f"the request cannot be read: {error}",))
    if _normal_policy(requested) == _normal_policy(offered):
        return Fit()
    return Misfit(_differences(requested, offered))


def _normal_policy(policy: CompiledPolicy) -> dict[str, Any]:
    return {
        "permission": _in_order(_normal_rule(rule) for rule in policy.permissions),
        "prohibition": _in_order(_normal_rule(rule) for rule in policy.prohibitions),
        "obligation": _in_order(_normal_rule(rule) for rule in policy.duties),
    }


def _in_order(values: Iterable[Any]) -> list[Any]:
    """Sort JSON values by their canonical bytes, each once."""
    return [value for _, value in sorted({canonical(value): value for value in values}.items())]


def _normal_rule(rule: CompiledRule) -> dict[str, Any]:
    normal: dict[str, Any] = {
        "action": rule.action,
        "conditions": _in_order(_normal_condition(condition) for condition in rule.conditions),
    }
    if isinstance(rule, CompiledPermission):
        normal["limits"] = _in_order(_normal_limits(rule))
        if rule.revocable is not None:
            notice = rule.revocable.notice
            normal["revocable"] = notice.text if notice is not None else None
    if isinstance(rule, CompiledProhibition):
        normal["filters"] = _in_order(_normal_limit(limit) for limit in rule.filters)
    if isinstance(rule, CompiledDuty):
        delay, every = rule.delay, rule.every
        normal["delay"] = delay.text if delay is not None else None
        normal["every"] = every.text if every is not None else None
        normal["consequence"] = rule.consequence.value
    return normal


def _normal_limits(rule: CompiledPermission) -> Iterable[Any]:
    """Return the limits of a permission, with several of one kind brought together where they say as much."""
    lists = [set(limit.columns) for limit in rule.limits if isinstance(limit, ColumnList)]
    if lists:
        yield ["columns", sorted(set.intersection(*lists))]
    for name, most in (
        ("rows", rule.rows),
        ("bytes", rule.bytes),
        ("requests", rule.requests),
        ("epochs", rule.epochs),
    ):
        if most is not None:
            yield [name, most]
    for limit in rule.limits:
        if not isinstance(limit, ColumnList | RowLimit | ByteLimit | CountLimit):
            yield _normal_limit(limit)


def _normal_limit(limit: DataLimit) -> Any:
    match limit:
        case ColumnFilter():
            tags = _in_order(tagged(value) for value in limit.values)
            return _normal_comparison(limit.column, limit.operator.value, tags)
        case ColumnRegion():
            return ["rowSpatial", limit.column, sorted(set(limit.regions))]
        case ColumnMask():
            return ["mask", limit.column, limit.mask.text]
        case NotTogether():
            return ["notTogether", sorted(set(limit.columns))]
        case Sample():
            return ["percentage", format(limit.percentage.normalize(), "f")]
        case KAnonymity():
            return ["kAnonymity", limit.k, sorted(set(limit.quasi_identifiers))]
        case AggregateOnly():
            return ["aggregateOnly", limit.min_group, limit.subject]
        case Consent():
            return ["consent", limit.column]
        case RateLimit():
            return ["rate", limit.rows, str(limit.period.total_seconds())]
        case ColumnList():
            return ["columns", sorted(set(limit.columns))]
        case RowLimit() | ByteLimit():
            return [type(limit).__name__, limit.rows if isinstance(limit, RowLimit) else limit.bytes]
        case CountLimit():
            return [limit.unit.value, limit.most]
        case _:
            assert_never(limit)


def _normal_comparison(column: str, operator: str, values: list[Any]) -> list[Any]:
    as_set = {"eq": "isAnyOf", "neq": "isNoneOf"}.get(operator, operator)
    return [column, as_set, _in_order(values)]


def _normal_condition(condition: Condition) -> Any:
    match condition:
        case TimeLimit():
            ends = (condition.since, condition.until)
            return ["dateTime", *(spell_time(instant) if instant is not None else None for instant in ends)]
        case PurposeLimit():
            is_any = condition.operator in (Operator.IS_A, Operator.IS_ANY_OF)
            operator = Operator.IS_ANY_OF if is_any else condition.operator
            return ["purpose", operator.value, sorted(set(condition.purposes))]
        case ParticipantLimit():
            return ["participant", sorted(set(condition.participants))]
        case ElapsedLimit():
            return ["elapsed", condition.since.value, condition.operator.value, condition.duration.text]
        case DayLimit():
            return ["day", condition.zone, sorted(set(condition.days))]
        case DayTimeLimit():
            windows = {(start.isoformat(), end.isoformat()) for start, end in condition.windows}
            return ["time", condition.zone, sorted(map(list, windows))]
        case GroupLimit():
            return ["group", sorted(set(condition.groups))]
        case CredentialLimit():
            return ["credential", condition.claim, sorted(set(condition.values))]
        case RegionLimit():
            exact = condition.operator is Operator.EQ
            return ["region", "eq" if exact else "isPartOf", sorted(set(condition.regions))]
        case EnvironmentLimit():
            return ["environment", sorted(set(condition.environments))]
        case Combination():
            parts = [_normal_condition(part) for part in condition.parts]
            # Under xone a repeated part matters: two equal parts that hold are two, not one.
            ordered = sorted(parts, key=canonical) if condition.form == "xone" else _in_order(parts)
            return [condition.form, ordered]


def _differences(requested: CompiledPolicy, offered: CompiledPolicy) -> tuple[str, ...]:
    found = []
    for kind, ours, theirs in (
        ("a permission", offered.permissions, requested.permissions),
        ("a prohibition", offered.prohibitions, requested.prohibitions),
        ("an obligation", offered.duties, requested.duties),
    ):
        found += _one_way(f"the offer has {kind} that the request lacks", ours, theirs)
        found += _one_way(f"the request has {kind} that the offer lacks", theirs, ours)
    return tuple(found)


def _one_way(lead: str, these: Iterable[CompiledRule], those: Iterable[CompiledRule]) -> list[str]:
    known = {canonical(_normal_rule(rule)) for rule in those}
    return [f"{lead}: {_words(rule)}" for rule in these if canonical(_normal_rule(rule)) not in known]


def _words(rule: CompiledRule) -> str:
    limits = rule.limits if isinstance(rule, CompiledPermission) else ()
    parts = [phrase(limit) for limit in (*rule.conditions, *limits)]
    return compact([rule.action]) + (f" ({'; '.join(parts)})" if parts else "")
