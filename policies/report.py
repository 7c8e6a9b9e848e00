"""The report of an evaluation: for each rule, what held, what did not, and what could not be known.

Built from the very functions that `decide` uses, so that report and decision cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policies.compiled import CompiledPolicy
from policies.decision import Permit, dated, decide
from policies.odrl import evaluate
from policies.odrl.conditions import PremiseReport
from policies.odrl.evaluate import Evaluation
from policies.odrl.logic import Verdict
from policies.odrl.model import Permission, PolicyKind, PolicyModel, Prohibition, Refined
from policies.odrl.report_rdf import report_turtle
from policies.odrl.world import Request, World
from policies.profile import is_action_within
from policies.rules import CompiledPermission, CompiledProhibition, Condition
from policies.truth import applies, holds
from policies.use import Use, UseTotals
from policies.words.wording import phrase
from schemas.vocab import compact_iri, expand_iri


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
    """Evaluate every rule, permissions first; counted limits are conditions too.

    Args:
        policy: the offer or agreement.
        use: what somebody means to do.
        totals: what the agreement has used so far.
        at: the time, with a zone.
    """
    totals = dated(policy, totals, at)
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
    conditions += tuple(_counted(rule, totals))
    asked = is_action_within(use.action, rule.action)
    active = asked and all(item.state is Satisfaction.SATISFIED for item in conditions)
    return RuleReport(rule.place, compact_iri(rule.action), asked, active, conditions)


def _counted(rule: CompiledPermission, totals: UseTotals) -> Iterator[ConditionReport]:
    """Report on each counted limit: it holds as long as something is left of it."""
    for unit in ("rows", "bytes", "requests", "epochs"):
        most, used = getattr(rule, unit), getattr(totals, unit)
        if most is not None:
            text = f"at most {most:,} {unit}, {used:,} used"
            yield ConditionReport(rule.place, text, _state(used < most))


def _prohibition(rule: CompiledProhibition, use: Use, totals: UseTotals, at: datetime) -> RuleReport:
    asked = is_action_within(use.action, rule.action) or is_action_within(rule.action, use.action)
    conditions = _conditions(rule.conditions, use, totals, at)
    return RuleReport(rule.place, compact_iri(rule.action), asked, applies(rule, use, totals, at), conditions)


# --- as RDF ------------------------------------------------------------------------------------------

_STATES = {Satisfaction.SATISFIED: True, Satisfaction.UNSATISFIED: False, Satisfaction.INDETERMINATE: None}


def compliance_report(
    policy: CompiledPolicy, use: Use, totals: UseTotals, at: datetime, report_id: str | None = None
) -> str:
    """Return the report, and what was decided, as the community's compliance report in Turtle.

    Args:
        policy: the offer or agreement.
        use: what somebody means to do.
        totals: what the agreement has used so far.
        at: the time, with a zone.
        report_id: the IRI of the report; None leaves it without a name.

    Source: Compliance Report Model 0.9.0, https://w3id.org/force/compliance-report#.
    """
    decision = decide(policy, use, totals, at)
    evaluation = Evaluation(
        policy=PolicyModel(policy.id, PolicyKind.OFFER if policy.is_offer else PolicyKind.AGREEMENT),
        request=Request(action=use.action, assignee=use.participant),
        world=World(now=at),
        verdict=Verdict.PERMIT if isinstance(decision, Permit) else Verdict.DENY,
        rules=tuple(_as_odrl(one, policy, use) for one in report(policy, use, totals, at)),
    )
    return report_turtle(evaluation, report_id)


def _as_odrl(one: RuleReport, policy: CompiledPolicy, use: Use) -> evaluate.RuleReport:
    """Return a report on one of our typed rules as one on an ODRL rule, its party included."""
    is_permission = one.place.startswith("permission")
    made = Permission if is_permission else Prohibition
    action, assignee = Refined(expand_iri(one.action)), Refined(policy.assignee)
    meant = assignee.iri is None or assignee.iri == use.participant
    active = one.active and meant
    premises = tuple(
        PremiseReport("constraint", _STATES[item.state], f"_:{item.place}", text=item.text)
        for item in one.conditions
    )
    return evaluate.RuleReport(
        rule=made(f"_:{one.place}", action, assignee=assignee),
        attempted=one.asked and meant,
        active=active,
        control="Permit" if active is is_permission else "Deny",
        premises=(
            PremiseReport("party", meant, assignee.iri),
            PremiseReport("action", one.asked, action.iri),
            *premises,
        ),
        duties=(),
        unknown=Satisfaction.INDETERMINATE in {item.state for item in one.conditions},
    )
