"""ODRL -> typed rules; what we do not understand is refused here, once, by name and place.

Source: ODRL Information Model 2.2; Dataspace Protocol 2025-1, contract-schema.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from policies.constraints import direct_constraints, read_condition, read_constraint
from policies.profile import ACTIONS, PROFILES, Action, Operator, action_named
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
    Condition,
    Consent,
    CountLimit,
    DataLimit,
    KAnonymity,
    NotTogether,
    RateLimit,
    RowLimit,
    Sample,
    TimeLimit,
)
from policies.values import fit_value, shown
from schemas.dcat import Column
from schemas.errors import PolicyMismatch, TooLarge, UnknownTerm
from schemas.odrl import Duty, Policy, Rule

MOST_CONSTRAINTS = 2_000
"""The most constraints of one policy."""
DEEPEST = 8
"""How deep combinations may stand in one another."""

_LENIENT_POLICY = frozenset({"@context", "@type"})
_PARTIES = ("target", "assigner", "assignee")


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy of which every term is understood.

    `instants` are the times at which a condition may change, in order.
    """

    id: str
    assigner: str | None
    assignee: str | None
    permissions: tuple[CompiledPermission, ...]
    prohibitions: tuple[CompiledProhibition, ...]
    duties: tuple[CompiledDuty, ...]
    instants: tuple[datetime, ...]

    def columns_named(self) -> tuple[str, ...]:
        """Return every column that the policy speaks of, each once, in alphabetical order."""
        return tuple(sorted({name for limit in self._limits() for name in _columns_of(limit)}))

    def _limits(self) -> Iterable[DataLimit]:
        return (limit for permission in self.permissions for limit in permission.limits)


def compile_policy(policy: Policy) -> CompiledPolicy:
    """Turn a policy into typed rules.

    Raises:
        UnknownTerm: naming the first member, profile, action, operand or operator that nobody here can
            enforce, check or promise, and where it stands.
        PolicyMismatch: naming a value that its operand cannot take, and one that it could; or if the policy
            has no rule, or leaves nothing to release.
        Malformed: naming a value that cannot be read at all.
        TooLarge: if it has more constraints than anybody would write.
    """
    _refuse_members(policy.model_extra, "policy", _LENIENT_POLICY)
    for named in policy.profile:
        if named not in PROFILES:
            known = ", ".join(sorted(PROFILES))
            raise UnknownTerm(f"cannot enforce profile {shown(named)}; known: {known}")
    if not policy.permission and not policy.prohibition:
        raise PolicyMismatch("policy has neither permission nor prohibition; write at least one permission")
    _bound(policy)
    permissions = tuple(_permission(rule, policy, index) for index, rule in enumerate(policy.permission))
    prohibitions = tuple(_prohibition(rule, policy, index) for index, rule in enumerate(policy.prohibition))
    duties = tuple(_duty(rule, policy, index) for index, rule in enumerate(policy.obligation))
    rules: tuple[CompiledPermission | CompiledProhibition, ...] = (*permissions, *prohibitions)
    conditions = [condition for rule in rules for condition in rule.conditions]
    return CompiledPolicy(
        id=policy.id,
        assigner=policy.assigner,
        assignee=policy.assignee,
        permissions=permissions,
        prohibitions=prohibitions,
        duties=duties,
        instants=tuple(sorted(set(_instants(conditions)))),
    )


def fit_to_columns(compiled: CompiledPolicy, columns: Sequence[Column]) -> None:
    """Check that a policy can be kept on data with these columns.

    Raises:
        PolicyMismatch: naming a column that the data lack or hold twice (and those that exist), or a value
            that does not fit the type of its column.
    """
    types: dict[str, str] = {}
    twice = set()
    for column in columns:
        if column.name in types:
            twice.add(column.name)
        types[column.name] = column.datatype
    for limit in compiled._limits():
        for name in _columns_of(limit):
            if name not in types:
                existing = ", ".join(repr(known) for known in list(types)[:40]) or "none"
                raise PolicyMismatch(
                    f"{limit.place} names column {shown(name)}, which the data lack; columns: {existing}"
                )
            if name in twice:
                raise PolicyMismatch(
                    f"{limit.place} names column {shown(name)}, which the data hold twice; rename one"
                )
        if isinstance(limit, ColumnFilter):
            _fit_filter(limit, types[limit.column])


def _fit_filter(limit: ColumnFilter, datatype: str) -> None:
    for value in limit.values:
        fitted = fit_value(value, datatype, limit.place)
        if isinstance(fitted, bool) and limit.operator in (
            Operator.LT,
            Operator.LTEQ,
            Operator.GT,
            Operator.GTEQ,
        ):
            raise PolicyMismatch(
                f"{limit.place}: '{limit.operator}' has no meaning for the truth values of "
                f"{shown(limit.column)}; write eq or neq"
            )


def _columns_of(limit: DataLimit) -> tuple[str, ...]:
    match limit:
        case ColumnFilter() | ColumnRegion() | ColumnMask() | Consent():
            return (limit.column,)
        case ColumnList() | NotTogether():
            return limit.columns
        case KAnonymity():
            return limit.quasi_identifiers
        case AggregateOnly():
            return (limit.subject,) if limit.subject is not None else ()
        case Sample() | RowLimit() | ByteLimit() | CountLimit() | RateLimit():
            return ()
        case _:
            assert_never(limit)


def _instants(conditions: Iterable[Condition]) -> Iterable[datetime]:
    for condition in conditions:
        if isinstance(condition, Combination):
            yield from _instants(condition.parts)
        elif isinstance(condition, TimeLimit):
            yield from (instant for instant in (condition.since, condition.until) if instant is not None)


def _bound(policy: Policy) -> None:
    """Count constraints and their depth before anything is understood, so that work is bounded."""
    rules: tuple[Rule, ...] = (*policy.permission, *policy.prohibition, *policy.obligation)
    level = [constraint for rule in rules for constraint in rule.constraint]
    total = len(rules) + len(level)
    for _ in range(DEEPEST + 1):
        if total > MOST_CONSTRAINTS:
            raise TooLarge(f"policy has more than {MOST_CONSTRAINTS} rules and constraints; split it")
        level = [
            part for outer in level for part in (*outer.and_, *outer.or_, *outer.xone, *outer.and_sequence)
        ]
        total += len(level)
    if level:
        raise TooLarge(f"policy nests its constraints deeper than {DEEPEST} levels; flatten them")


def _refuse_members(members: Mapping[str, Any] | None, place: str, lenient: frozenset[str]) -> None:
    for name in members or {}:
        if name not in lenient:
            known = "permission, prohibition, obligation" if place == "policy" else "action, constraint"
            raise UnknownTerm(f"cannot enforce {shown(name)} in {place}; known there: {known}")


def _refuse_rule_members(rule: Rule, policy: Policy, place: str) -> None:
    """A rule may repeat its class, an id, and what the policy says of target and parties; no more."""
    extra = dict(rule.model_extra or {})
    extra.pop("@id", None)
    said = extra.pop("@type", None)
    if said is not None and str(said).rpartition(":")[2].rpartition("/")[2] != type(rule).__name__:
        raise UnknownTerm(
            f"cannot enforce a rule of type {shown(said)} in {place}; known: {type(rule).__name__}"
        )
    for name in _PARTIES:
        if name in extra and extra[name] == getattr(policy, name):
            del extra[name]
    if "duty" in extra:
        raise UnknownTerm(f"cannot enforce 'duty' in {place}; write it as an 'obligation' of the policy")
    _refuse_members(extra, place, frozenset())


def _action(rule: Rule, place: str, kind: str) -> Action:
    action = action_named(rule.action)
    allowed = {
        "permission": [known for known in ACTIONS if known.permitted],
        "prohibition": [known for known in ACTIONS if known.prohibited],
        "obligation": [known for known in ACTIONS if known.obliged],
    }[kind]
    if action not in allowed:
        known = ", ".join(row.name for row in allowed)
        raise UnknownTerm(
            f"cannot enforce action {shown(rule.action)} in {place}; known in a {kind}: {known}"
        )
    return action


def _permission(rule: Rule, policy: Policy, index: int) -> CompiledPermission:
    place = f"permission[{index}]"
    _refuse_rule_members(rule, policy, place)
    action = _action(rule, place, "permission")
    conditions: list[Condition] = []
    limits: list[DataLimit] = []
    for item in direct_constraints(rule.constraint, place):
        found = read_constraint(*item)
        if isinstance(found, DataLimit):
            limits.append(found)
        else:
            conditions.append(found)
    _refuse_nothing_left(limits, place)
    return CompiledPermission(action.iri, tuple(conditions), tuple(limits), place)


def _refuse_nothing_left(limits: Iterable[DataLimit], place: str) -> None:
    """Refuse column lists that share no column, and masks over columns that they hide: both are slips."""
    lists = [set(limit.columns) for limit in limits if isinstance(limit, ColumnList)]
    if not lists:
        return
    if not set.intersection(*lists):
        raise PolicyMismatch(
            f"{place}: its column lists have no column in common, so nothing could be released"
        )
    released = set.intersection(*lists)
    for limit in limits:
        if isinstance(limit, ColumnMask) and limit.column not in released:
            raise PolicyMismatch(
                f"{limit.place} masks column {shown(limit.column)}, which the column list of {place} hides; "
                "add it to the list, or leave the mask out"
            )


def _prohibition(rule: Rule, policy: Policy, index: int) -> CompiledProhibition:
    place = f"prohibition[{index}]"
    _refuse_rule_members(rule, policy, place)
    action = _action(rule, place, "prohibition")
    conditions = tuple(read_condition(*item) for item in direct_constraints(rule.constraint, place))
    return CompiledProhibition(action.iri, conditions, not action.permitted, place)


def _duty(rule: Duty, policy: Policy, index: int) -> CompiledDuty:
    place = f"obligation[{index}]"
    _refuse_rule_members(rule, policy, place)
    action = _action(rule, place, "obligation")
    limits = []
    for item in direct_constraints(rule.constraint, place):
        limit = read_condition(*item)
        if not isinstance(limit, TimeLimit) or limit.until is None:
            raise UnknownTerm(
                f"cannot enforce this constraint in {item[1]}; "
                "an obligation takes odrl:dateTime with lt or lteq"
            )
        limits.append(limit)
    return CompiledDuty(action.iri, tuple(limits), place)
