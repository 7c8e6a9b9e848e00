"""The community's test suite for ODRL evaluators: each case's policy, request and world, and its report.

Nothing is expected here but what the report of a case says. Its policies are bare: rules without actions,
Sets without parties.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import Literal

from policies.odrl.evaluate import Evaluation, evaluate
from policies.odrl.literals import read_time
from policies.odrl.logic import Verdict
from policies.odrl.read import read_one
from policies.odrl.read_constraints import LENIENT
from policies.odrl.report_rdf import report_turtle
from policies.odrl.world import Behaviour, Deontic, Request, World
from tests.interop.odrl.facts import DCT, ODRL, REPORT, TYPE, Facts, Term
from tests.shared_data import SHARED

pytestmark = pytest.mark.interop

EX = "http://example.org/"
SUITE = SHARED / "odrl" / "force-test-suite"
CASES = sorted(SUITE.glob("test_cases/*.ttl"))
AS_FORCE = Behaviour(
    duties_fulfilled=False,  # a duty only has to be not violated
    offers=True,
    unknown_prohibits=False,  # what is not known is unsatisfied
    wider_request_hits=False,
    anyone_performs=True,
)


@dataclass(frozen=True)
class Case:
    """A case: what it evaluates, and the report that it expects."""

    evaluation: Evaluation
    expected: Facts


def named(folder: str, name: str) -> Path:
    """Find the file of a folder that describes a thing."""
    for path in sorted((SUITE / folder).glob("*.ttl")):
        if name.encode() in path.read_bytes() and any(key.value == name for key in Facts.of(path).said):
            return path
    raise AssertionError(f"no file in {folder} describes {name}")


def request_of(facts: Facts, name: str) -> Request:
    for subject in facts.typed(ODRL + "Request"):
        if subject.value == name:
            rule = facts.one(subject, ODRL + "permission")
            assert rule is not None
            action, target, assignee, assigner = (
                facts.text(rule, ODRL + key) for key in ("action", "target", "assignee", "assigner")
            )
            return Request(action, target, assignee, assigner, id=name, rule_id=rule.value)
    raise AssertionError(f"no request {name}")


def moment(text: str) -> datetime:
    found = read_time(text, lambda _: None)
    assert found is not None, text
    return found


def world_of(facts: Facts) -> World:
    times = [value.value for subject, value in facts.statements(DCT + "issued") if "currentTime" in subject]
    members: dict[str, tuple[str, ...]] = {}
    for member, collection in facts.statements(ODRL + "partOf"):
        members[member] = (*members.get(member, ()), collection.value)
    duties = {}
    for report in facts.typed(REPORT + "DutyReport"):
        duty, state = facts.text(report, REPORT + "rule"), facts.text(report, REPORT + "deonticState")
        if duty and state:
            duties[duty] = Deontic(state.removeprefix(REPORT))
    return World(now=moment(times[0]) if times else None, members=members, duties=duties)


def load(path: Path) -> Case:
    expected = Facts.of(path)
    (case,) = expected.typed(EX + "TestCase")
    policy_id, request_id, world_id = (expected.text(case, EX + key) for key in ("policy", "request", "sotw"))
    assert policy_id
    assert request_id
    assert world_id
    policy = read_one(named("policies", policy_id).read_bytes(), policy_id, demands=LENIENT)
    request = request_of(Facts.of(named("requests", request_id)), request_id)
    world = world_of(Facts.of(named("sotw", world_id)))
    return Case(evaluate(policy, request, world, AS_FORCE), expected)


def local(facts: Facts, subject: Term, name: str) -> str | None:
    return (facts.text(subject, REPORT + name) or "").removeprefix(REPORT) or None


def plain(term: Term) -> Any:
    """Instants that are the same are the same, however they are written."""
    if isinstance(term, Literal) and term.datatype.value.endswith("#dateTime"):
        return moment(term.value)
    return str(term)


VALUES = (
    "constraintOperator",
    "constraintLogicalOperand",
    "constraintLeftOperand",
    "constraintRightOperand",
)


def is_said_by(theirs: tuple[Facts, Term], ours: tuple[Facts, Term]) -> bool:
    """Whether our premise report states all that theirs does, and the same state.

    The suite leaves operator and right operand out where a constraint is not satisfied; we state them.
    """
    (expected, their), (found, our) = theirs, ours
    for name in (TYPE, REPORT + "constraint", REPORT + "satisfactionState"):
        if set(expected.all(their, name)) != set(found.all(our, name)):
            return False
    for name in VALUES:
        wanted = {plain(value) for value in expected.all(their, REPORT + name)}
        if not wanted <= {plain(value) for value in found.all(our, REPORT + name)}:
            return False
    return same_premises(theirs, ours)


def same_premises(theirs: tuple[Facts, Term], ours: tuple[Facts, Term]) -> bool:
    (expected, their), (found, our) = theirs, ours
    wanted = expected.all(their, REPORT + "premiseReport")
    made = list(found.all(our, REPORT + "premiseReport"))
    if len(wanted) != len(made):
        return False
    for one in wanted:
        match = next((part for part in made if is_said_by((expected, one), (found, part))), None)
        if match is None:
            return False
        made.remove(match)
    return True


def rules(facts: Facts) -> dict[str, Term]:
    kinds = ("PermissionReport", "ProhibitionReport")
    return {
        facts.text(report, REPORT + "rule") or "": report
        for kind in kinds
        for report in facts.typed(REPORT + kind)
    }


def activations(facts: Facts) -> dict[str, tuple[str | None, list[str]]]:
    return {
        name: (local(facts, report, "activationState"), [str(kind) for kind in facts.all(report, TYPE)])
        for name, report in rules(facts).items()
    }


def constraint_states(facts: Facts) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = {}
    for report in facts.typed(REPORT + "ConstraintReport"):
        name = facts.text(report, REPORT + "constraint") or ""
        found.setdefault(name, set()).add(local(facts, report, "satisfactionState"))
    return found


def dangling(facts: Facts) -> list[str]:
    """Premise reports that are pointed at and not described: a report with some cannot be compared whole."""
    return [value.value for _, value in facts.statements(REPORT + "premiseReport") if value not in facts.said]


if not CASES:
    pytest.skip(f"shared data is absent: {SUITE} holds no test_cases", allow_module_level=True)


@pytest.fixture(scope="module", params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Case:
    return load(request.param)


def test_every_rule_is_as_active_as_the_report_of_the_suite_says(case: Case) -> None:
    ours = Facts(report_turtle(case.evaluation).encode())
    assert rules(case.expected)
    assert activations(ours) == activations(case.expected)


def test_every_constraint_has_the_state_that_the_report_of_the_suite_says(case: Case) -> None:
    ours = Facts(report_turtle(case.evaluation).encode())
    assert constraint_states(ours) == constraint_states(case.expected)


def test_our_report_has_the_premises_of_the_report_of_the_suite_and_their_states(case: Case) -> None:
    if missing := dangling(case.expected):
        pytest.skip(f"the expected report points at {len(missing)} premise reports that it does not hold")
    ours = Facts(report_turtle(case.evaluation).encode())
    for name, report in rules(case.expected).items():
        mine = rules(ours)[name]
        for word in ("attemptState", "ruleRequest"):
            assert ours.all(mine, REPORT + word) == case.expected.all(report, REPORT + word)
        assert same_premises((case.expected, report), (ours, mine)), report_turtle(case.evaluation)


def test_the_report_names_policy_request_and_time_as_the_suite_does(case: Case) -> None:
    ours = Facts(report_turtle(case.evaluation).encode())
    (mine,), (theirs,) = ours.typed(REPORT + "PolicyReport"), case.expected.typed(REPORT + "PolicyReport")
    for name in (REPORT + "policy", REPORT + "policyRequest"):
        assert ours.all(mine, name) == case.expected.all(theirs, name)
    assert [plain(at) for at in ours.all(mine, DCT + "created")] == [
        plain(at) for at in case.expected.all(theirs, DCT + "created")
    ]


def test_no_request_passes_in_the_default_that_an_active_prohibition_of_the_suite_forbids(case: Case) -> None:
    said = case.evaluation
    closed = evaluate(said.policy, said.request, said.world)
    active = [report for report in said.rules if report.active]
    if any(type(report.rule).__name__ == "Prohibition" for report in active) or not active:
        assert closed.verdict is not Verdict.PERMIT
