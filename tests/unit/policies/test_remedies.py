"""Why not, and the smallest change that would make it pass: every change that is told was tried."""

from __future__ import annotations

from datetime import UTC, datetime

from policies.decision import Permit, decide
from policies.remedies import Question, against, remedies
from policies.use import UseTotals
from policies.words.language import Language, sentence
from schemas.vocab import DPV, HANSA
from tests.policy_builders import LAB, NOON, compiled, limit, rule, use

RESEARCH_ONLY = rule(
    "hansa:train",
    limit("purpose", "isA", "dpv:ResearchAndDevelopment"),
    limit("purpose", "isNoneOf", ["dpv:CommercialPurpose"]),
)


def told(question: Question, lang: Language = Language.EN) -> list[tuple[str, ...]]:
    found = remedies(question)
    for remedy in found:
        changed = remedy.question
        assert isinstance(decide(changed.policy, changed.use, changed.totals, changed.at), Permit)
    return [remedy.sentences(lang) for remedy in found]


def test_nothing_stands_against_what_is_permitted() -> None:
    question = Question(compiled(RESEARCH_ONLY), use(), UseTotals(), NOON)
    assert against(question) == ()
    assert remedies(question) == ()


def test_what_stands_against_a_use_is_told_in_both_languages() -> None:
    question = Question(compiled(RESEARCH_ONLY), use(purpose=DPV + "Marketing"), UseTotals(), NOON)
    assert [sentence(one) for one in against(question)] == [
        "Not met: for a purpose under dpv:ResearchAndDevelopment."
    ]
    assert [sentence(one, Language.DE) for one in against(question)] == [
        "Nicht erfüllt: für einen Zweck unter dpv:ResearchAndDevelopment."
    ]


def test_the_smallest_change_is_the_nearest_purpose_that_passes() -> None:
    question = Question(
        compiled(RESEARCH_ONLY), use(purpose=DPV + "ResearchAndDevelopment"), UseTotals(), NOON
    )
    first = told(question)[0]
    assert first == ("State the purpose dpv:AcademicResearch.",)
    assert told(question, Language.DE)[0] == ("Den Zweck dpv:AcademicResearch angeben.",)


def test_a_use_before_its_time_waits() -> None:
    policy = compiled(rule("use", limit("dateTime", "gteq", "2027-01-01")))
    assert told(Question(policy, use(), UseTotals(), NOON)) == [
        ("Wait until 2027-01-01T00:00Z.",),
        ("The holder leaves out: from 2027-01-01 on.",),
    ]


def test_an_agreement_that_is_used_up_needs_a_new_one() -> None:
    policy = compiled(rule("use", limit("rowCount", "lteq", 10)))
    question = Question(policy, use(), UseTotals(10), NOON)
    assert [sentence(one) for one in against(question)] == [
        "Used up: at most 10 rows over the life of the agreement."
    ]
    assert told(question)[0] == ("Negotiate a new agreement.",)


def test_two_changes_are_told_where_one_is_not_enough() -> None:
    policy = compiled(
        rule("hansa:train", limit("purpose", "eq", "dpv:Marketing"), limit("dateTime", "gteq", "2027-01-01"))
    )
    found = told(Question(policy, use(), UseTotals(), NOON))
    assert ("State the purpose dpv:Marketing.", "Wait until 2027-01-01T00:00Z.") in found
    assert all(len(changes) == 2 for changes in found)


def test_a_purpose_that_fits_is_tried_with_what_only_the_holder_can_change() -> None:
    terms = (*RESEARCH_ONLY["constraint"], limit("dateTime", "lt", "2026-01-01"))
    policy = compiled(rule("hansa:train", *terms))
    found = told(Question(policy, use(purpose=DPV + "Marketing"), UseTotals(), NOON))
    assert ("State the purpose dpv:AcademicResearch.", "The holder leaves out: before 2026-01-01.") in found


def test_a_use_waits_for_the_next_window_that_recurs() -> None:
    policy = compiled(rule("use", limit("timeOfDay", "isAnyOf", ["18:00-20:00"])))
    assert told(Question(policy, use(), UseTotals(), NOON))[0] == ("Wait until 2026-11-23T18:00Z.",)


def test_what_the_member_list_would_have_to_state_is_told() -> None:
    policy = compiled(rule("use", limit("participantGroup", "isAnyOf", ["sme"])))
    question = Question(policy, use(), UseTotals(), NOON)
    assert [sentence(one) for one in against(question)] == ['Cannot be known: by members of "sme".']
    assert told(question)[0] == ('Be stated as a member of "sme" in the member list.',)


def test_a_prohibition_is_named_and_a_narrower_action_is_found() -> None:
    policy = compiled(rule("use"), prohibition=[rule("hansa:evaluate")])
    question = Question(policy, use("use"), UseTotals(), NOON)
    assert [sentence(one) for one in against(question)] == [
        "Forbidden: you may not evaluate models on the data."
    ]
    assert told(question)[0] == ("Ask to train or fine-tune models on the data only.",)


def test_who_is_not_meant_is_told_who_is() -> None:
    policy = compiled(rule("use"), assignee=LAB)
    question = Question(policy, use(participant="did:web:other.example"), UseTotals(), NOON)
    assert [sentence(one) for one in against(question)] == [f"The policy is for {LAB}."]
    assert told(question) == [(f"Have {LAB} ask.",)]


def test_what_nothing_can_change_has_no_remedy() -> None:
    policy = compiled(prohibition=[rule("use")])
    assert remedies(Question(policy, use(), UseTotals(), datetime(2026, 1, 1, tzinfo=UTC))) == ()


def test_a_policy_of_many_terms_is_searched_for_a_bounded_time_only() -> None:
    many = [
        rule("hansa:evaluate", limit("column/age", "gteq", n), limit("dateTime", "lt", "2020-01-01"))
        for n in range(200)
    ]
    question = Question(compiled(*many), use(HANSA + "train"), UseTotals(), NOON)
    assert remedies(question) == ()
