"""The report of an evaluation: for each rule, what held, what did not, and what could not be known.

Built from the very functions that `decide` uses, so that report and decision cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policies.compiled import CompiledPolicy
from policies.profile import is_action_within
from policies.rules import CompiledPermission, CompiledProhibition, Condition
from policies.truth import applies, holds
from policies.use import Use, UseTotals
from policies.wording import phrase
from schemas.vocab import compact_iri


class Satisfaction(StrEnum):
    """Whether a condition held; what cannot be known never grants and never lifts a prohibition."""

    SATISFIED = "satisfied"
    UNSATISFIED = "unsatisfied"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class ConditionReport:
    """One condition: where it stands, what it says, and whether it held."""

    place: str
    text: str
    state: Satisfaction


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule: whether its action is the one asked for, whether it is active, and its conditions.

    An active permission grants; an active prohibition forbids.
    """

    place: str
    action: str
    asked: bool
    active: bool
    conditions: tuple[ConditionReport, ...]


def report(policy: CompiledPolicy, use: Use, totals: UseTotals, at: datetime) -> tuple[RuleReport, ...]:
    """Evaluate every rule, permissions first; row limits count as conditions.

    Args:
        policy: the offer or agreement.
        use: what somebody means to do.
        totals: what the agreement has used so far.
        at: the time, with a zone.
    """
    permissions = tuple(_permission(rule, use, totals, at) for rule in policy.permissions)
    return permissions + tuple(_prohibition(rule, use, totals, at) for rule in policy.prohibitions)


def _state(state: bool | None) -> Satisfaction:
    if state is None:
        return Satisfaction.INDETERMINATE
    return Satisfaction.SATISFIED if state else Satisfaction.UNSATISFIED


def _conditions(
    conditions: tuple[Condition, ...], use: Use, totals: UseTotals, at: datetime
) -> tuple[ConditionReport, ...]:
    return tuple(
        ConditionReport(condition.place, phrase(condition), _state(holds(condition, use, totals, at)))
        for condition in conditions
    )


def _permission(rule: CompiledPermission, use: Use, totals: UseTotals, at: datetime) -> RuleReport:
    conditions = _conditions(rule.conditions, use, totals, at)
    if rule.rows is not None:
        text = f"at most {rule.rows:,} rows, {totals.rows:,} used"
        conditions += (ConditionReport(rule.place, text, _state(totals.rows < rule.rows)),)
    asked = is_action_within(use.action, rule.action)
    active = asked and all(item.state is Satisfaction.SATISFIED for item in conditions)
    return RuleReport(rule.place, compact_iri(rule.action), asked, active, conditions)


def _prohibition(rule: CompiledProhibition, use: Use, totals: UseTotals, at: datetime) -> RuleReport:
    asked = is_action_within(use.action, rule.action) or is_action_within(rule.action, use.action)
    conditions = _conditions(rule.conditions, use, totals, at)
    return RuleReport(rule.place, compact_iri(rule.action), asked, applies(rule, use, totals, at), conditions)
