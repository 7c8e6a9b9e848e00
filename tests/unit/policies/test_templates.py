from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from policies.compiled import compile_policy
from policies.decision import Deny, Permit, decide
from policies.kinds.masking import Masking, MaskKind
from policies.operands import column_operand
from policies.plan import Comparison
from policies.profile import ANALYSE, EVALUATE, FINE_TUNE, TRAIN, Operator
from policies.templates import fill, template_about, template_names, template_parameters
from policies.use import UseTotals
from schemas.errors import Malformed
from schemas.vocab import DPV
from tests.policy_builders import NOON, RESEARCH, use
from tests.shared_data import shared_data

HEALTH: dict[str, Any] = {
    "purposes": ["ScientificResearch", "dpv:PublicPolicyMaking"],
    "not_before": "2026-01-01",
    "not_after": date(2026, 12, 31),
    "visible_columns": ["age", "patient id", "sex"],
    "max_rows": 10_000,
}
MINIMAL: dict[str, dict[str, Any]] = {
    "open-training": {},
    "research-only": {},
    "health-secondary-use": HEALTH,
    "time-boxed": {"not_after": "2026-12-31"},
    "commercial-evaluation": {},
    "statistics-only": {},
    "time-boxed-challenge": {"starts": "2026-12-01", "ends": "2026-12-31", "delete_by": "2027-01-31"},
    "sme-only": {},
    "no-generative-training": {},
}


def test_the_templates_are_those_that_the_tests_know() -> None:
    assert set(template_names()) == set(MINIMAL)


@pytest.mark.parametrize("name", sorted(MINIMAL))
def test_every_template_makes_an_offer_that_compiles_and_that_the_protocol_takes(name: str) -> None:
    offer = fill(name, "urn:offer:7", **MINIMAL[name])
    assert offer.id == "urn:offer:7"
    assert compile_policy(offer).permissions
    assert template_about(name).endswith(".")
    assert set(MINIMAL[name]) <= set(template_parameters(name))
    jsonschema = pytest.importorskip("jsonschema")
    path = shared_data("dsp", "artifacts", "src", "main", "resources", "negotiation", "contract-schema.json")
    schema = json.loads(path.read_text(encoding="utf-8"))
    offers = {**schema, "allOf": [{"$ref": "#/definitions/Offer"}]}
    jsonschema.Draft201909Validator(offers).validate(offer.wire())


def test_open_training_permits_training_evaluation_and_analysis_for_any_purpose() -> None:
    policy = compile_policy(fill("open-training", "urn:o"))
    for action in (TRAIN, FINE_TUNE, EVALUATE, ANALYSE):
        for purpose in (None, DPV + "Marketing"):
            assert isinstance(decide(policy, use(action, purpose), UseTotals(), NOON), Permit)


def test_research_only_permits_research_that_is_surely_not_commercial() -> None:
    policy = compile_policy(fill("research-only", "urn:o"))
    for purpose in ("ScientificResearch", "AcademicResearch", "NonCommercialResearch"):
        assert isinstance(decide(policy, use(TRAIN, DPV + purpose), UseTotals(), NOON), Permit)
    for wrong in ("CommercialResearch", "ResearchAndDevelopment", "Marketing", "Purpose"):
        assert isinstance(decide(policy, use(TRAIN, DPV + wrong), UseTotals(), NOON), Deny)
    assert [item.action.rpartition("/")[2] for item in policy.prohibitions] == ["distribute", "sell"]


def test_health_data_are_released_by_purpose_window_rows_and_columns() -> None:
    offer = fill(
        "health-secondary-use",
        "urn:o",
        **HEALTH,
        mask_columns="patient id",
        filter_column="age",
        filter_operator="gteq",
        filter_value=18,
    )
    policy = compile_policy(offer)
    decision = decide(policy, use(TRAIN, RESEARCH), UseTotals(1), NOON)
    assert isinstance(decision, Permit)
    assert decision.limits.rows == 9_999
    assert decision.limits.until == datetime(2027, 1, 1, tzinfo=UTC)
    assert decision.plan.branches[0].columns == ("age", "patient id", "sex")
    assert decision.plan.branches[0].masks == (("patient id", Masking(MaskKind.HASH)),)
    assert decision.plan.branches[0].predicate == (Comparison("age", Operator.GTEQ, (18,)),)
    assert isinstance(decide(policy, use(TRAIN, DPV + "Marketing"), UseTotals(), NOON), Deny)


@pytest.mark.parametrize(
    "value",
    [18, 18.5, True, "F", ["F", "M"], date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)],
    ids=["int", "float", "bool", "text", "list", "date", "time"],
)
def test_a_filter_value_keeps_its_type_on_the_wire(value: Any) -> None:
    operator = "isAnyOf" if isinstance(value, list) else "eq"
    offer = fill(
        "health-secondary-use",
        "urn:o",
        **HEALTH,
        filter_column="c",
        filter_operator=operator,
        filter_value=value,
    )
    again = type(offer).read(json.loads(json.dumps(offer.wire())))
    (comparison,) = _plan_of(again)
    assert comparison.values == (tuple(value) if isinstance(value, list) else (value,))


def _plan_of(offer: Any) -> tuple[Comparison, ...]:
    decision = decide(compile_policy(offer), use(), UseTotals(), NOON)
    assert isinstance(decision, Permit)
    return decision.plan.branches[0].predicate


def test_a_column_name_with_odd_letters_is_escaped_in_its_operand() -> None:
    name = 'Größe/"x" %'
    offer = fill(
        "health-secondary-use", "urn:o", **HEALTH, filter_column=name, filter_operator="lt", filter_value=1
    )
    assert column_operand(name) in json.dumps(offer.wire())
    assert _plan_of(offer)[0].column == name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_rows": 0}, "parameter 'max_rows' must be a whole number from 1"),
        ({"max_rows": None}, "needs parameter 'max_rows': rows over the life of an agreement"),
        ({"purposes": []}, "parameter 'purposes' must be one or more DPV purposes"),
        ({"purposes": ["Reserch"]}, "'Reserch' is not a purpose of DPV 2.3"),
        ({"not_before": "soon"}, "parameter 'not_before' must be a dateTime like 2026-12-01T00:00:00Z"),
        ({"not_before": 5}, "parameter 'not_before'"),
        ({"visible_columns": [""]}, "parameter 'visible_columns' must be one or more names of columns"),
        ({"mask_columns": {"a": 1}}, "parameter 'mask_columns'"),
        (
            {"filter_column": "age"},
            "needs parameter 'filter_operator' beside 'filter_column'; give all or none",
        ),
        (
            {"filter_column": "age", "filter_operator": "like", "filter_value": "x"},
            "parameter 'filter_operator' must be one of eq, neq",
        ),
        (
            {"filter_column": "age", "filter_operator": "eq", "filter_value": {"a": 1}},
            "parameter 'filter_value'",
        ),
        ({"colour": "blue"}, "has no parameter 'colour'; it takes: purposes, not_before"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_form(change: dict[str, Any], says: str) -> None:
    with pytest.raises(Malformed) as caught:
        fill("health-secondary-use", "urn:o", **{**HEALTH, **change})
    assert "template 'health-secondary-use'" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["open", "../secrets", "", "open-training.jsonld"])
def test_an_unknown_template_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(
        Malformed,
        match=r"no template is called .*; there are: commercial-evaluation, health-secondary-use, no-",
    ):
        fill(name, "urn:o")
