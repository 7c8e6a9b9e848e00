"""What may be asked, and "may I train on this?" by the one decision function."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from catalog.search import Answer, Query, facet_label, judge
from policies.profile import action_iri, purpose_iri
from policies.use import Use
from schemas.errors import Malformed
from schemas.vocab import HANSA
from tests.catalog_space import RESEARCH_ONLY, offer

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
ME = "did:web:me.example"


def asking(action: str = "train", purpose: str | None = None, participant: str = "") -> Use:
    return Use(participant, action_iri(action), purpose_iri(purpose) if purpose else None)


def offers(*documents: dict[str, Any]) -> str:
    return json.dumps(documents)


def test_an_open_offer_is_yours_now() -> None:
    found = judge(offers(offer()), asking(), AT)
    assert found.answer is Answer.YOURS
    assert found.offer == "urn:offer:open"
    assert str(found) == "yours now"


def test_an_unstated_purpose_is_a_step_with_an_example() -> None:
    found = judge(offers(offer(RESEARCH_ONLY)), asking(), AT)
    assert found.answer is Answer.STEP
    assert found.next is not None
    assert "dpv:ScientificResearch" in found.next
    assert str(found).startswith("after a step: ")


def test_a_fitting_purpose_is_yours_now() -> None:
    assert (
        judge(offers(offer(RESEARCH_ONLY)), asking(purpose="ScientificResearch"), AT).answer is Answer.YOURS
    )


def test_a_wrong_purpose_is_no_and_says_what_would_help() -> None:
    found = judge(offers(offer(RESEARCH_ONLY)), asking(purpose="Marketing"), AT)
    assert found.answer is Answer.NO
    assert "Marketing" in " ".join(found.reasons)
    assert found.next is not None


def test_a_wrong_action_is_no() -> None:
    found = judge(offers(offer(action=HANSA + "evaluate")), asking("train"), AT)
    assert found.answer is Answer.NO
    assert "train" in " ".join(found.reasons)


def window(operator: str, day: str) -> dict[str, Any]:
    return {"leftOperand": "odrl:dateTime", "operator": operator, "rightOperand": day}


def test_a_window_that_has_not_opened_is_a_step_with_its_date() -> None:
    found = judge(offers(offer(window("gteq", "2026-12-01T00:00:00Z"))), asking(), AT)
    assert found.answer is Answer.STEP
    assert "2026-12-01" in str(found.next)


def test_a_window_that_has_closed_is_no() -> None:
    assert judge(offers(offer(window("lt", "2026-11-01T00:00:00Z"))), asking(), AT).answer is Answer.NO


def test_an_offer_for_named_participants_is_a_step_for_the_nameless_and_no_for_others() -> None:
    mine = offers(offer({"leftOperand": "hansa:participant", "operator": "isAnyOf", "rightOperand": [ME]}))
    assert judge(mine, asking(), AT).answer is Answer.STEP
    assert judge(mine, asking(participant=ME), AT).answer is Answer.YOURS
    assert judge(mine, asking(participant="did:web:other.example"), AT).answer is Answer.NO


def test_an_offer_that_nobody_can_enforce_is_no_and_names_the_term() -> None:
    strange = offer({"leftOperand": "dx:moonPhase", "operator": "eq", "rightOperand": "full"})
    found = judge(offers(strange), asking(), AT)
    assert found.answer is Answer.NO
    assert "dx:moonPhase" in found.reasons[0]


def test_the_best_of_several_offers_answers() -> None:
    several = offers(offer(RESEARCH_ONLY, id="urn:offer:research"), offer(id="urn:offer:open"))
    found = judge(several, asking(purpose="Marketing"), AT)
    assert (found.answer, found.offer) == (Answer.YOURS, "urn:offer:open")


def test_a_malformed_offer_is_no_and_not_a_crash() -> None:
    assert judge(json.dumps([{"@id": 5}, "nonsense", None]), asking(), AT).answer is Answer.NO
    assert judge("[]", asking(), AT).answer is Answer.NO


@pytest.mark.parametrize(
    "asked", [{"size": 0}, {"size": 101}, {"page": 0}, {"page": 501}, {"text": "x" * 201}]
)
def test_what_is_past_its_bound_cannot_be_asked(asked: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        Query(**asked)


def test_only_words_count_and_not_too_many() -> None:
    assert Query('Lung  "cancer" AND (x* OR NEAR)').words == ("lung", "cancer", "and", "x", "or", "near")
    assert len(Query(" ".join("abcdefghijkl")).words) == 8


@pytest.mark.parametrize(
    ("kind", "value", "label"),
    [
        ("theme", "TRAN", "Transport"),
        ("theme", "https://example.org/t", "https://example.org/t"),
        ("access", "UNSTATED", "not stated"),
        ("access", "NON_PUBLIC", "non-public"),
        ("publisher", "Mobility", "Mobility"),
    ],
)
def test_facets_are_labelled_in_plain_words(kind: str, value: str, label: str) -> None:
    assert facet_label(kind, value) == label


def term(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"leftOperand": name, "operator": operator, "rightOperand": value}


@pytest.mark.parametrize(
    ("name", "operator", "value", "step"),
    [
        (HANSA + "participantGroup", "isAnyOf", "sme", "list you in sme"),
        (HANSA + "credential/iso27001", "eq", "yes", "state 'iso27001' as 'yes'"),
        ("odrl:spatial", "isPartOf", "EU", "state a place in EU"),
        (HANSA + "environment", "isAnyOf", "federated-only", "attest"),
    ],
)
def test_what_the_member_list_has_to_state_is_a_step_and_no_refusal(
    name: str, operator: str, value: str, step: str
) -> None:
    for who in ("", ME):
        found = judge(offers(offer(term(name, operator, value))), asking(participant=who), AT)
        assert found.answer is Answer.STEP
        assert step in str(found.next)


def test_figures_over_groups_are_no_rows_and_a_step() -> None:
    terms = (term(HANSA + "aggregateOnly", "eq", True), term(HANSA + "minGroupSize", "gteq", 12))
    figures = offer(*terms, id="urn:offer:figures")
    found = judge(offers(figures), asking(), AT)
    assert found.answer is Answer.STEP
    assert found.statistics
    assert "groups of at least 12, and no rows" in found.reasons[0]
    assert judge(offers(figures, offer()), asking(), AT).offer == "urn:offer:open"
