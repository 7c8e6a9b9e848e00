"""What a compiled policy says, as JSON that is equal exactly for policies that say the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from policies.compiled import CompiledPolicy
from policies.kinds.values import spell_time, tagged
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
from schemas.canonical import canonical


def normal_policy(policy: CompiledPolicy) -> dict[str, Any]:
    """Return the normal form of a policy: order, spelling, ids and parties make no difference."""
    return {
        "permission": _in_order(normal_rule(rule) for rule in policy.permissions),
        "prohibition": _in_order(normal_rule(rule) for rule in policy.prohibitions),
        "obligation": _in_order(normal_rule(rule) for rule in policy.duties),
    }


def _in_order(values: Iterable[Any]) -> list[Any]:
    """Sort JSON values by their canonical bytes, each once."""
    return [value for _, value in sorted({canonical(value): value for value in values}.items())]


def normal_rule(rule: CompiledRule) -> dict[str, Any]:
    """Return the normal form of a rule."""
    normal: dict[str, Any] = {
        "action": rule.action,
        "conditions": _in_order(normal_condition(condition) for condition in rule.conditions),
    }
    if isinstance(rule, CompiledPermission):
        normal["limits"] = _in_order(_normal_limits(rule))
        if rule.revocable is not None:
            notice = rule.revocable.notice
            normal["revocable"] = notice.text if notice is not None else None
    if isinstance(rule, CompiledProhibition):
        normal["filters"] = _in_order(normal_limit(limit) for limit in rule.filters)
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
            yield normal_limit(limit)


def normal_limit(limit: DataLimit) -> Any:
    """Return the normal form of a limit."""
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


def normal_condition(condition: Condition) -> Any:
    """Return the normal form of a condition."""
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
            parts = [normal_condition(part) for part in condition.parts]
            # Under xone a repeated part matters: two equal parts that hold are two, not one.
            ordered = sorted(parts, key=canonical) if condition.form == "xone" else _in_order(parts)
            return [condition.form, ordered]
