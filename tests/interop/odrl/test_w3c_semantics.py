"""The worked examples of the W3C Community Group's draft on the formal semantics of ODRL.

Its files drift: a prefix is bound to the address of a context, values stand under `@id`, a request names a
party with a digit too many, a report repeats the id of another's, or says Satisfied of what is active. The
small adapter here reads them by the last part of a name, and takes the only rule or duty of a policy where a
report names none of its. What is expected is what the report says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from policies.odrl.compare import Quantity, Values
from policies.odrl.conditions import PremiseReport
from policies.odrl.duties import DutyReport
from policies.odrl.evaluate import Evaluation, RuleReport, evaluate
from policies.odrl.literals import read_literal, read_time
from policies.odrl.model import Constraint, Logical, PolicyModel
from policies.odrl.read import read_one
from policies.odrl.read_constraints import Demands
from policies.odrl.world import Behaviour, Event, Request, World
from tests.interop.odrl.facts import ODRL
from tests.shared_data import SHARED

pytestmark = pytest.mark.interop

SUITE = SHARED / "odrl" / "w3c-formal-semantics" / "examples"
REPORTS = sorted(SUITE.rglob("compliancereport*.json"))
XSD = "http://www.w3.org/2001/XMLSchema#"
AS_DRAFT = Behaviour(
    mismatch_deactivates=False,  # a rule stays active, and its control state says deny
    anyone_performs=True,
    parties_matter=False,  # its requests and policies do not agree on how the party is spelled
    unknown_prohibits=False,
    profiles=None,
)

if not REPORTS:
    pytest.skip(f"shared data is absent: {SUITE} holds no compliancereport", allow_module_level=True)


def last(name: Any) -> str:
    """The last part of a name: behind `#`, `/` or a prefix."""
    text = str(name)
    for mark in ("#", "/", ":"):
        text = text.rpartition(mark)[2]
    return text


def above(path: Path, pattern: str) -> Path | None:
    """The nearest file of that form, beside a report or in the folders above it."""
    for folder in path.parents:
        if found := sorted(folder.glob(pattern)):
            return found[0]
        if folder == SUITE:
            return None
    return None


def value_of(said: Any) -> Any:
    """A value with its declared type; an instant may have a blank where its T belongs."""
    if not isinstance(said, dict):
        return said
    text = str(said.get("@value", said.get("@id")))
    kind = XSD + last(said.get("@type", "string"))
    found = read_literal(text, kind, lambda _: None)
    return found if found is not None else read_time(text.replace(" ", "T"), lambda _: None)


def constraints(policy: PolicyModel) -> Iterator[Constraint]:
    """Every constraint and refinement of a policy."""
    open_ends: list[Any] = [*policy.permissions, *policy.prohibitions, *policy.obligations]
    while open_ends:
        item = open_ends.pop()
        if isinstance(item, Constraint):
            yield item
        elif isinstance(item, Logical):
            open_ends += item.parts
        else:
            open_ends += [*item.constraints, *item.action.refinements, *item.target.refinements]
            open_ends += [
                *getattr(item, "duties", ()),
                *getattr(item, "remedies", ()),
                *getattr(item, "consequences", ()),
            ]


def many(said: Any) -> list[Any]:
    return [] if said is None else said if isinstance(said, list) else [said]


def facts_of(policy: PolicyModel, request: dict[str, Any], now: datetime | None) -> dict[str, Values]:
    """What the parameters of a request say, by the operands that the policy asks for."""
    facts: dict[str, Values] = {}
    for constraint in constraints(policy):
        if now is not None and last(constraint.operand) == "dayOfWeek":
            facts[constraint.operand] = (now.strftime("%A"),)
        for parameter in many(request.get("requestParameters")):
            feature = parameter["describesFeature"]
            if feature == constraint.operand:
                facts[constraint.operand] = (value_of(parameter["value"]),)
            elif feature == constraint.unit:
                facts[constraint.operand] = (Quantity(value_of(parameter["value"]), feature),)
    return facts


def now_of(request: dict[str, Any]) -> datetime | None:
    for parameter in many(request.get("requestParameters")):
        value = value_of(parameter["value"])
        if isinstance(value, datetime) and "DateTime" in str(parameter["describesFeature"]):
            return value
    return None


def events_of(state: dict[str, Any]) -> Iterator[Event]:
    """The payments that a state of the world tells of, each for a duty."""
    for said in many(state.get("context")):
        paid = {last(key): value for key, value in said.items()}
        amount, at = value_of(paid["netAmount"]), value_of(paid["paymentDate"])
        assert isinstance(at, datetime)
        pay = {ODRL + "payAmount": (Quantity(amount, paid["currency"]),)}
        what = Request(action=ODRL + "compensate", assignee=paid["payer"], action_values=pay)
        yield Event(at, what, duty=paid["conditionId"])


def evaluated(path: Path) -> Evaluation:
    policy_path, request_path = above(path, "policy*.json"), above(path, "evaluationrequest*.json")
    assert policy_path
    assert request_path
    policy = read_one(policy_path.read_bytes(), demands=Demands(terms=False))
    said = json.loads(request_path.read_text())
    states = sorted(path.parent.glob("state*.json"))
    now = now_of(said)
    request = Request(
        action=ODRL + last(said["evaluatedAction"]),
        target=said.get("evaluatedTarget"),
        assignee=said.get("evaluatedParty"),
        values=facts_of(policy, said, now),
        id=said.get("@id"),
    )
    events = tuple(event for state in states for event in events_of(json.loads(state.read_text())))
    return evaluate(policy, request, World(now=now, events=events), AS_DRAFT)


def sections(path: Path, *words: str) -> list[dict[str, Any]]:
    """The parts of a report that speak of a rule, condition, constraint or action."""
    report = json.loads(path.read_text())
    parts = [
        {last(key): value for key, value in part.items()}
        for part in report.values()
        if isinstance(part, dict)
    ]
    return [part for part in parts if last(part.get("type", part.get("@type", ""))).lower() in words]


def said_of(part: dict[str, Any], name: str) -> str:
    """A state of a report, in the words of the vocabulary."""
    state = last(part[name]).replace("-", "")
    if name == "activationState":
        state = {"Satisfied": "Active", "Unsatisfied": "Inactive"}.get(state, state)
    return state.lower().replace("notsatisfied", "unsatisfied")


def chosen(named: Any, found: Mapping[Any, Any]) -> Any:
    """What a report names, or the only thing that it can mean."""
    if named in found:
        return found[named]
    assert len(found) == 1, (named, list(found))
    return next(iter(found.values()))


def duties(evaluation: Evaluation) -> dict[str, DutyReport]:
    return {duty.duty.id: duty for rule in evaluation.rules for duty in rule.duties}


def premises(evaluation: Evaluation) -> dict[str, PremiseReport]:
    open_ends = [one for rule in evaluation.rules for one in rule.premises]
    open_ends += [one for duty in duties(evaluation).values() for one in duty.premises]
    found = {}
    while open_ends:
        one = open_ends.pop()
        open_ends += one.parts
        if one.kind == "constraint" and one.id:
            found[one.id] = one
    return found


def rules(evaluation: Evaluation) -> dict[str, RuleReport]:
    return {rule.rule.id: rule for rule in evaluation.rules}


@pytest.fixture(params=REPORTS, ids=lambda path: path.stem.replace("compliancereport", "").strip("."))
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_each_rule_has_the_activation_and_control_state_of_the_example(path: Path) -> None:
    evaluation = evaluated(path)
    parts = sections(path, "rulereport", "permissionreport", "prohibitionreport")
    assert parts
    for part in parts:
        rule = chosen(part["rule"], rules(evaluation))
        assert ("active" if rule.active else "inactive") == said_of(part, "activationState"), evaluation
        if "controlState" in part:
            assert rule.control.lower() == said_of(part, "controlState"), evaluation


def test_each_constraint_and_refinement_has_the_state_of_the_example(path: Path) -> None:
    found = premises(evaluated(path))
    for part in sections(path, "constraintreport", "refinementreport"):
        named = part.get("constraint", part.get("refinement"))
        state = "satisfied" if chosen(named, found).state is True else "unsatisfied"
        assert state == said_of(part, "satisfactionState")


def test_each_duty_has_the_state_of_the_example(path: Path) -> None:
    found = duties(evaluated(path))
    for part in sections(path, "conditionreport", "dutyreport"):
        duty = chosen(part.get("condition", part.get("constraint")), found)
        assert ("inactive" if duty.active is False else "active") == said_of(part, "activationState")
        assert duty.deontic.lower().replace("nonset", "notset") == said_of(part, "deonticState")


def test_each_action_of_a_duty_is_performed_where_the_example_says_so(path: Path) -> None:
    found = {duty.duty.action.id: duty for duty in duties(evaluated(path)).values()}
    for part in sections(path, "actionreport"):
        duty = chosen(part["action"], found)
        assert (duty.performance == "Performed") == (said_of(part, "performanceState") == "performed")
