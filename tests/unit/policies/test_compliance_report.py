"""The decision report as the community's compliance report: the same states, in its vocabulary."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pyoxigraph as rdf
import pytest

from policies.compiled import CompiledPolicy
from policies.decision import Permit, decide
from policies.odrl.report_rdf import REPORT
from policies.report import compliance_report, report
from policies.use import Use, UseTotals
from schemas.vocab import DPV, HANSA
from tests.policy_builders import NOON, RESEARCH, compiled, limit, rule, use

TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
COMMENT = "http://www.w3.org/2000/01/rdf-schema#comment"
POLICY = compiled(
    rule(
        HANSA + "train",
        limit("dateTime", "lt", "2027-01-01T00:00:00Z"),
        limit("purpose", "isA", RESEARCH),
        limit("rowCount", "lteq", 100),
    ),
    rule(HANSA + "evaluate"),
    prohibition=[{"action": HANSA + "train", "constraint": [limit("purpose", "isA", DPV + "Marketing")]}],
)


def states(policy: CompiledPolicy, asked: Use, totals: UseTotals, at: datetime) -> dict[str, list[Any]]:
    """Read the report back: the activation of each rule, and the states of its premises."""
    said: dict[Any, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for triple in rdf.parse(compliance_report(policy, asked, totals, at), format=rdf.RdfFormat.TURTLE):
        said[triple.subject][triple.predicate.value].append(triple.object)
    found: dict[str, list[Any]] = {"verdict": []}
    for node in list(said):
        kinds = [kind.value.removeprefix(REPORT) for kind in said[node][TYPE]]
        if kinds == ["PolicyReport"]:
            found["verdict"] = [comment.value for comment in said[node][COMMENT]]
        if kinds in (["PermissionReport"], ["ProhibitionReport"]):
            (place,) = (text.value for text in said[node]["http://purl.org/dc/terms/description"])
            (active,) = said[node][REPORT + "activationState"]
            premises = [
                said[one][REPORT + "satisfactionState"][0].value.removeprefix(REPORT)
                for one in said[node][REPORT + "premiseReport"]
            ]
            found[place] = [active.value.removeprefix(REPORT), *premises]
    return found


def test_a_use_that_is_permitted_is_reported_so() -> None:
    found = states(POLICY, use(), UseTotals(rows=40), NOON)
    assert found["verdict"] == ["verdict: permit"]
    assert found["rule: permission[0]"][0] == "Active"
    assert set(found["rule: permission[0]"][1:]) == {"Satisfied"}
    assert found["rule: permission[1]"][:2] == ["Inactive", "Unsatisfied"]
    assert found["rule: prohibition[0]"][0] == "Inactive"


def test_what_is_unknown_is_unsatisfied_with_a_comment_and_its_prohibition_active() -> None:
    found = states(POLICY, use(purpose=None), UseTotals(), NOON)
    assert found["verdict"] == ["verdict: deny"]
    assert found["rule: permission[0]"][0] == "Inactive"
    assert found["rule: prohibition[0]"][0] == "Active"
    assert "indeterminate" in compliance_report(POLICY, use(purpose=None), UseTotals(), NOON)


@pytest.mark.parametrize("rows", [0, 99, 100])
@pytest.mark.parametrize("purpose", [RESEARCH, DPV + "Marketing", None])
@pytest.mark.parametrize("at", [NOON, datetime(2027, 1, 1, tzinfo=UTC)])
def test_report_verdict_and_decision_are_one(rows: int, purpose: str | None, at: datetime) -> None:
    asked, totals = use(purpose=purpose), UseTotals(rows=rows)
    permitted = isinstance(decide(POLICY, asked, totals, at), Permit)
    rules = report(POLICY, asked, totals, at)
    granting = [one for one in rules if one.active and one.place.startswith("permission")]
    forbidding = [one for one in rules if one.active and one.place.startswith("prohibition")]
    assert permitted == (bool(granting) and not forbidding)
    assert states(POLICY, asked, totals, at)["verdict"] == [
        "verdict: permit" if permitted else "verdict: deny"
    ]


def test_every_counted_limit_is_a_condition_of_the_report() -> None:
    counted = compiled(rule("use", limit("byteCount", "lteq", 10), limit("odrl:count", "lteq", 1)))
    fresh = report(counted, use(), UseTotals(), NOON)
    spent = report(counted, use(), UseTotals(bytes=10), NOON)
    again = report(counted, use(), UseTotals(requests=1), NOON)
    assert [one[0].active for one in (fresh, spent, again)] == [True, False, False]
    assert {item.text for item in fresh[0].conditions} == {
        "at most 10 bytes, 0 used",
        "at most 1 requests, 0 used",
    }


def test_a_report_may_have_a_name_and_its_parts_after_it() -> None:
    text = compliance_report(POLICY, use(), UseTotals(), NOON, "urn:report:1")
    assert "<urn:report:1> a report:PolicyReport" in text
    assert "<urn:report:1#r2> a report:PermissionReport" in text
    assert text == compliance_report(POLICY, use(), UseTotals(), NOON, "urn:report:1")
