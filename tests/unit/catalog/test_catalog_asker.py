"""Who asks for itself is answered by what the member list states of it; nobody else is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from catalog.api.search import read_question
from catalog.search import Answer, Eligibility, judge
from schemas.identity import Member
from schemas.vocab import HANSA
from tests.catalog_space import offer

AS_YOURSELF = "it depends on what the member list states of you: ask through your own connector"
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
ME, OTHER = "did:web:me.example", "did:web:other.example"


def term(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"leftOperand": name, "operator": operator, "rightOperand": value}


GROUP = term(HANSA + "participantGroup", "isAnyOf", "sme")
PLACE = term("odrl:spatial", "isPartOf", "EU")
ISO = term(HANSA + "credential/iso27001", "eq", "yes")
ENVIRONMENT = term(HANSA + "environment", "isAnyOf", "federated-only")


def member(**stated: Any) -> Member:
    held = {"id": ME, "thumbprint": "x" * 43, "roles": ["consumer"], "validTo": "2027-01-01T00:00:00Z"}
    return Member.read(held | {"name": "Me"} | stated)


def asked(*terms: dict[str, Any], asker: Member | None = None, about: str = "") -> Eligibility:
    question = read_question({"participant": about}, asker)
    return judge(json.dumps([offer(*terms)]), question.use(), AT)


@pytest.mark.parametrize(
    ("wanted", "has", "has_not", "because"),
    [
        (GROUP, {"groups": ["sme"]}, {"groups": ["large"]}, "not known to be in sme"),
        (GROUP, {"groups": ["sme"]}, {}, "not known to be in sme"),
        (PLACE, {"region": "DE"}, {"region": "US"}, f"the place of {ME} is US"),
        (ISO, {"credentials": {"iso27001": ["yes"]}}, {}, "does not state 'iso27001'"),
        (
            ENVIRONMENT,
            {"environment": "federated-only"},
            {"environment": "secure-processing-environment"},
            "is known to process data in a secure-processing-environment",
        ),
    ],
)
def test_a_member_gets_yes_or_no_because_and_the_anonymous_a_step(
    wanted: dict[str, Any], has: dict[str, Any], has_not: dict[str, Any], because: str
) -> None:
    assert asked(wanted, asker=member(**has)).answer is Answer.YOURS
    refused = asked(wanted, asker=member(**has_not))
    assert (refused.answer, because in " ".join(refused.reasons)) == (Answer.NO, True), refused
    for about in ("", ME):
        anonymous = asked(wanted, about=about)
        assert anonymous.answer is Answer.STEP
        assert str(anonymous.next).startswith(AS_YOURSELF)


def test_a_place_that_the_list_does_not_state_is_a_step_and_no_refusal() -> None:
    found = asked(PLACE, asker=member())
    assert found.answer is Answer.STEP
    assert AS_YOURSELF not in str(found.next)
    assert "ask the authority of the data space to state a place" in str(found.next)


def test_a_prohibition_that_hangs_on_a_place_is_a_step_for_who_is_not_known() -> None:
    forbidding = offer() | {"prohibition": [{"action": HANSA + "train", "constraint": [PLACE]}]}

    def answer(asker: Member | None) -> Eligibility:
        return judge(json.dumps([forbidding]), read_question({}, asker).use(), AT)

    assert answer(member(region="US")).answer is Answer.YOURS
    assert answer(member(region="DE")).answer is Answer.NO
    unknown = answer(None)
    assert (unknown.answer, str(unknown.next).startswith(AS_YOURSELF)) == (Answer.STEP, True)


def test_who_asks_about_another_gets_what_anybody_gets() -> None:
    mine = asked(GROUP, asker=member(groups=["sme"]), about=OTHER)
    assert mine == asked(GROUP, about=OTHER)
    question = read_question({"participant": OTHER}, member(groups=["sme"]))
    assert (question.participant, question.decided_for()) == (OTHER, None)


def test_the_answer_says_for_whom_it_was_decided() -> None:
    assert read_question({}, member()).decided_for() == ME
    assert read_question({"participant": ME}, member()).decided_for() == ME
    assert read_question({"participant": ME}).decided_for() is None
