"""ODRL -> typed rules; what we do not understand is refused here, once, by name and place.

Source: ODRL Information Model 2.2; Dataspace Protocol 2025-1, contract-schema.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from policies import operands
from policies.constraints import Atom, direct_constraints, read_constraint
from policies.contradictions import refuse_nothing_left
from policies.kinds.durations import Duration
from policies.kinds.values import read_time, shown
from policies.profile import ACTIONS, PROFILES, Action, action_named
from policies.readings import read_fixed, read_interval, read_word
from policies.refusals.refusal import refusal
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
    Consequence,
    CountLimit,
    DataLimit,
    KAnonymity,
    MovingLimit,
    NotTogether,
    RateLimit,
    Revocable,
    RowFilter,
    RowLimit,
    Sample,
    TimeLimit,
)
from schemas.errors import PolicyMismatch, TooLarge, UnknownTerm
from schemas.odrl import Agreement, Duty, Policy, Rule

MOST_CONSTRAINTS = 2_000
"""The most constraints of one policy."""
DEEPEST = 8
"""How deep combinations may stand in one another."""

_LENIENT_POLICY = frozenset({"@context", "@type"})
_PARTIES = ("target", "assigner", "assignee")


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy of which every term is understood.

    `instants` are the times that its conditions name, in order; `moving` are the conditions that change at
    instants which they do not name. `agreed` is when an agreement says that it was made; `is_offer` that
    nothing is agreed yet. `warnings` name what was understood, but should be written more clearly.
    """

    id: str
    assigner: str | None
    assignee: str | None
    permissions: tuple[CompiledPermission, ...]
    prohibitions: tuple[CompiledProhibition, ...]
    duties: tuple[CompiledDuty, ...]
    instants: tuple[datetime, ...]
    moving: tuple[MovingLimit, ...] = ()
    agreed: datetime | None = None
    is_offer: bool = False
    warnings: tuple[str, ...] = ()

    def columns_named(self) -> tuple[str, ...]:
        """Return every column that the policy speaks of, each once, in alphabetical order."""
        return tuple(sorted({name for limit in self.data_limits() for name in columns_of(limit)}))

    def data_limits(self) -> Iterable[DataLimit]:
        """Return every limit on the data, of permissions first."""
        rules: tuple[CompiledPermission | CompiledProhibition, ...] = (*self.permissions, *self.prohibitions)
        for rule in rules:
            yield from rule.limits if isinstance(rule, CompiledPermission) else rule.filters


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
            raise UnknownTerm(refusal("profile", named=shown(named), known=known))
    if not policy.permission and not policy.prohibition:
        raise PolicyMismatch(refusal("no rule"))
    _bound(policy)
    warnings: list[str] = []
    permissions = tuple(_permission(rule, policy, at, warnings) for at, rule in enumerate(policy.permission))
    prohibitions = tuple(
        _prohibition(rule, policy, at, warnings) for at, rule in enumerate(policy.prohibition)
    )
    duties = tuple(_duty(rule, policy, at, warnings) for at, rule in enumerate(policy.obligation))
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
        moving=tuple(dict.fromkeys(_moving(conditions))),
        agreed=_agreed(policy),
        is_offer=not isinstance(policy, Agreement),
        warnings=tuple(warnings),
    )


def _agreed(policy: Policy) -> datetime | None:
    if not isinstance(policy, Agreement) or policy.timestamp is None:
        return None
    return read_time(policy.timestamp, "agreement.timestamp")[0]


def columns_of(limit: DataLimit) -> tuple[str, ...]:
    """Return the columns that a limit on the data names."""
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
    """Return the instants that conditions name."""
    for condition in conditions:
        if isinstance(condition, Combination):
            yield from _instants(condition.parts)
        elif isinstance(condition, TimeLimit):
            yield from (instant for instant in (condition.since, condition.until) if instant is not None)


def _moving(conditions: Iterable[Condition]) -> Iterable[MovingLimit]:
    """Return the conditions that turn at instants which they do not name."""
    for condition in conditions:
        if isinstance(condition, Combination):
            yield from _moving(condition.parts)
        elif isinstance(condition, MovingLimit):
            yield condition


def _bound(policy: Policy) -> None:
    """Count constraints and their depth before anything is understood, so that work is bounded."""
    rules: tuple[Rule, ...] = (*policy.permission, *policy.prohibition, *policy.obligation)
    level = [constraint for rule in rules for constraint in rule.constraint]
    total = len(rules) + len(level)
    for _ in range(DEEPEST + 1):
        if total > MOST_CONSTRAINTS:
            raise TooLarge(refusal("constraints", most=MOST_CONSTRAINTS))
        level = [
            part for outer in level for part in (*outer.and_, *outer.or_, *outer.xone, *outer.and_sequence)
        ]
        total += len(level)
    if level:
        raise TooLarge(refusal("constraints deep", deepest=DEEPEST))


def _refuse_members(members: Mapping[str, Any] | None, place: str, lenient: frozenset[str]) -> None:
    for name in members or {}:
        if name not in lenient:
            known = "permission, prohibition, obligation" if place == "policy" else "action, constraint"
            raise UnknownTerm(refusal("policy member", name=shown(name), place=place, known=known))


def _refuse_rule_members(rule: Rule, policy: Policy, place: str) -> None:
    """A rule may repeat its class, an id, and what the policy says of target and parties; no more."""
    extra = dict(rule.model_extra or {})
    extra.pop("@id", None)
    said = extra.pop("@type", None)
    if said is not None and str(said).rpartition(":")[2].rpartition("/")[2] != type(rule).__name__:
        raise UnknownTerm(refusal("rule type", said=shown(said), place=place, name=type(rule).__name__))
    for name in _PARTIES:
        if name in extra and extra[name] == getattr(policy, name):
            del extra[name]
    if "duty" in extra:
        raise UnknownTerm(refusal("duty", place=place))
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
        raise UnknownTerm(refusal("action", action=shown(rule.action), place=place, kind=kind, known=known))
    return action


def _permission(rule: Rule, policy: Policy, index: int, warnings: list[str]) -> CompiledPermission:
    place = f"permission[{index}]"
    _refuse_rule_members(rule, policy, place)
    action = _action(rule, place, "permission")
    conditions: list[Condition] = []
    limits: list[DataLimit] = []
    revocable: list[Revocable] = []
    for item in direct_constraints(rule.constraint, place, warnings):
        found = read_constraint(*item)
        if isinstance(found, Atom):
            raise UnknownTerm(refusal("in obligation", name=found.operand.name, place=found.place))
        if isinstance(found, Revocable):
            revocable.append(found)
        elif isinstance(found, DataLimit):
            limits.append(found)
        else:
            conditions.append(found)
    if len(revocable) > 1:
        raise PolicyMismatch(refusal("revocable twice", place=revocable[1].place, place2=revocable[0].place))
    refuse_nothing_left(conditions, limits, place)
    return CompiledPermission(action.iri, tuple(conditions), tuple(limits), place, *revocable)


def _prohibition(rule: Rule, policy: Policy, index: int, warnings: list[str]) -> CompiledProhibition:
    place = f"prohibition[{index}]"
    _refuse_rule_members(rule, policy, place)
    action = _action(rule, place, "prohibition")
    conditions: list[Condition] = []
    filters: list[RowFilter] = []
    for item in direct_constraints(rule.constraint, place, warnings):
        found = read_constraint(*item)
        if isinstance(found, RowFilter) and action.permitted:
            filters.append(found)
        elif isinstance(found, RowFilter):
            raise UnknownTerm(refusal("out of sight", place=found.place, name=action.name))
        elif isinstance(found, DataLimit | Revocable | Atom):
            raise UnknownTerm(
                refusal("prohibition constraint", left_operand=shown(item[0].left_operand), item=item[1])
            )
        else:
            conditions.append(found)
    return CompiledProhibition(action.iri, tuple(conditions), not action.permitted, place, tuple(filters))


def _duty(rule: Duty, policy: Policy, index: int, warnings: list[str]) -> CompiledDuty:
    place = f"obligation[{index}]"
    _refuse_rule_members(rule, policy, place)
    action = _action(rule, place, "obligation")
    limits: list[TimeLimit] = []
    said: dict[str, Atom] = {}
    for item in direct_constraints(rule.constraint, place, warnings):
        found = read_constraint(*item)
        if isinstance(found, TimeLimit) and found.until is not None:
            limits.append(found)
        elif not isinstance(found, Atom):
            raise UnknownTerm(refusal("duty constraint", item=item[1]))
        elif found.operand.iri in said:
            raise PolicyMismatch(refusal("said twice", where=found.where))
        else:
            said[found.operand.iri] = found
    return CompiledDuty(action.iri, tuple(limits), place, *_when_and_what(said, place))


def _when_and_what(
    said: Mapping[str, Atom], place: str
) -> tuple[Duration | None, Duration | None, Consequence]:
    delay, every = said.get(operands.DELAY_PERIOD.iri), said.get(operands.TIME_INTERVAL.iri)
    if delay is not None and every is not None:
        raise PolicyMismatch(refusal("due twice", place=place, place2=delay.place, place3=every.place))
    consequence = said.get(operands.CONSEQUENCE.iri)
    word = Consequence.SUSPEND.value
    if consequence is not None:
        word = read_word(consequence.value, tuple(str(word) for word in Consequence), consequence.where)
    return (
        read_fixed(delay.value, delay.where) if delay is not None else None,
        read_interval(every.value, every.where) if every is not None else None,
        Consequence(word),
    )
