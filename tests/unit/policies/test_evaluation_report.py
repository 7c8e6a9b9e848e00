from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policies.decision import Permit, decide
from policies.report import Satisfaction, report
from policies.use import UseTotals
from schemas.vocab import DPV
from tests.policy_builders import LAB, NOON, compiled, limit, rule, use


def test_every_condition_is_reported_as_it_held() -> None:
    policy = compiled(
        rule(
            "hansa:train",
            limit("purpose", "isA", "dpv:Marketing"),
            limit("dateTime", "gteq", "2026-01-01"),
            limit("participant", "eq", "did:web:other.example"),
            limit("rowCount", "lteq", 5),
        ),
        prohibition=[rule("use", limit("purpose", "isA", "dpv:Marketing")), rule("odrl:sell")],
    )
    permission, prohibition, promise = report(policy, use(purpose=None), UseTotals(2), NOON)
    assert [item.state for item in permission.conditions] == [
        Satisfaction.INDETERMINATE,
        Satisfaction.SATISFIED,
        Satisfaction.UNSATISFIED,
        Satisfaction.SATISFIED,
    ]
    assert permission.conditions[0].place == "permission[0].constraint[0]"
    assert permission.conditions[3].text == "at most 5 rows, 2 used"
    assert (permission.asked, permission.active) == (True, False)
    assert (prohibition.asked, prohibition.active) == (True, True)
    assert (promise.asked, promise.active) == (False, False)


conditions = st.sampled_from(
    [
        limit("purpose", "isA", "dpv:ResearchAndDevelopment"),
        limit("purpose", "isA", "dpv:Marketing"),
        limit("dateTime", "gteq", "2026-01-01"),
        limit("dateTime", "gteq", "2027-01-01"),
        limit("participant", "eq", LAB),
    ]
)
rules = st.lists(
    st.builds(
        lambda action, parts: rule(action, *parts),
        st.sampled_from(["use", "hansa:train", "hansa:evaluate"]),
        st.lists(conditions, max_size=3),
    ),
    max_size=3,
)


@given(rules, rules, st.sampled_from([None, DPV + "Marketing", DPV + "ScientificResearch"]))
def test_report_and_decision_never_drift_apart(
    permissions: list[dict[str, Any]], prohibitions: list[dict[str, Any]], purpose: str | None
) -> None:
    if not permissions and not prohibitions:
        return
    policy = compiled(*permissions, prohibition=prohibitions)
    asked = use(purpose=purpose)
    found = report(policy, asked, UseTotals(), NOON)
    granted = any(item.active for item in found if item.place.startswith("permission"))
    forbidden = any(item.active for item in found if item.place.startswith("prohibition"))
    assert isinstance(decide(policy, asked, UseTotals(), NOON), Permit) == (granted and not forbidden)
