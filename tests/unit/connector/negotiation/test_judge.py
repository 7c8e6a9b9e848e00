from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.negotiation.judge import MOST_ROUNDS, Case, CounterOffers, Judge, RuledJudge, Say, rules_of
from connector.negotiation.machine import Said
from connector.outbox.rules import Do, Hold, Rule, Where
from schemas.base import Role
from schemas.dsp.negotiation import NegotiationState as State
from schemas.odrl import Agreement, Offer
from schemas.vocab import HANSA
from tests.world import MARKETING, SCIENCE, open_offer, research_offer, use_for

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ME, THEM = "did:web:me", "did:web:them"


def case(**given: Any) -> Case:
    base = Case(
        role=Role.PROVIDER,
        state=State.REQUESTED,
        me=ME,
        counterparty=THEM,
        dataset="urn:ds:1",
        offer=research_offer(),
        use=use_for(SCIENCE),
        agreement=None,
        wanted=None,
        published=(research_offer(),),
        rounds=1,
        visit=1,
        since=NOW,
        at=NOW,
    )
    return replace(base, **given)


def consumer_case(**given: Any) -> Case:
    return case(**{"role": Role.CONSUMER, "published": (), "wanted": research_offer(), **given})


def agreement(**given: Any) -> Agreement:
    terms = {**research_offer().wire(), "@id": "urn:agreement:1", "@type": "Agreement"}
    return Agreement.read({**terms, "target": "urn:ds:1", "assigner": THEM, "assignee": ME, **given})


def test_a_request_that_means_the_same_as_the_offer_is_agreed_to() -> None:
    assert Judge()(case()) == Say(Said.AGREEMENT, offer=research_offer())


def test_an_offer_that_a_stack_repeats_in_its_own_way_is_agreed_to_in_our_words() -> None:
    def offered(right: Any, id: str = "urn:offer:1") -> Offer:
        constraint = {"leftOperand": f"{HANSA}columns", "operator": "isAnyOf", "rightOperand": right}
        return Offer.read({"@id": id, "permission": [{"action": "odrl:use", "constraint": [constraint]}]})

    ours, edc = offered(["a", "b"]), '[{"@value":"a"},{"@value":"b"}]'
    asked = {"published": (ours,), "use": None}
    assert Judge()(case(offer=offered(edc), **asked)) == Say(Said.AGREEMENT, offer=ours)
    for other in (offered(edc, "urn:offer:2"), offered(edc.replace("b", "c"))):
        assert Judge()(case(offer=other, **asked)) == Say(Said.OFFER, offer=ours)


def test_spelling_makes_no_difference_to_what_a_request_means() -> None:
    constraint = {
        "leftOperand": "http://www.w3.org/ns/odrl/2/purpose",
        "operator": "isA",
        "rightOperand": {"@id": "https://w3id.org/dpv#ResearchAndDevelopment"},
    }
    spelled = Offer.read(
        {"@id": "offer-research", "permission": [{"action": "hansa:train", "constraint": [constraint]}]}
    )
    assert Judge()(case(offer=spelled)) == Say(Said.AGREEMENT, offer=research_offer())


def test_the_agreement_is_in_the_order_of_the_offer_however_the_request_put_it() -> None:
    rules = [
        {
            "action": "use",
            "constraint": [{"leftOperand": f"{HANSA}rowCount", "operator": "lteq", "rightOperand": "10"}],
        },
        {
            "action": "use",
            "constraint": [{"leftOperand": f"{HANSA}columns", "operator": "isAnyOf", "rightOperand": ["id"]}],
        },
    ]
    published = Offer.read({"@id": "both", "permission": rules})
    swapped = Offer.read({"@id": "both", "permission": rules[::-1]})
    verdict = Judge()(case(offer=swapped, published=(published,), use=None))
    assert verdict == Say(Said.AGREEMENT, offer=published)


def test_a_request_with_other_terms_is_answered_with_the_published_offer() -> None:
    assert Judge()(case(offer=open_offer("offer-research"))) == Say(Said.OFFER, offer=research_offer())


def test_of_several_offers_the_one_that_was_asked_for_is_made_again() -> None:
    published = (open_offer("first"), research_offer("second"))
    asked = Offer.read({"@id": "second", "permission": [{"action": "hansa:evaluate"}]})
    verdict = Judge()(case(offer=asked, published=published))
    assert isinstance(verdict, Say)
    assert verdict.offer == published[1]


def test_a_request_that_nobody_can_read_is_answered_with_the_published_offer() -> None:
    moon = {"leftOperand": "dx:moonPhase", "operator": "eq", "rightOperand": "full"}
    asked = Offer.read({"@id": "offer-research", "permission": [{"action": "use", "constraint": [moon]}]})
    assert Judge()(case(offer=asked)) == Say(Said.OFFER, offer=research_offer())


def test_a_wrong_purpose_ends_it_and_the_reasons_say_what_would_pass() -> None:
    verdict = Judge()(case(use=use_for(MARKETING)))
    assert isinstance(verdict, Say)
    assert (verdict.what, verdict.code) == (Said.TERMINATION, "use-denied")
    assert "ScientificResearch" in " ".join(verdict.reasons)


def test_a_purpose_that_was_not_declared_is_not_granted() -> None:
    for use in (None, use_for(None)):
        verdict = Judge()(case(use=use))
        assert isinstance(verdict, Say)
        assert verdict.code == "use-denied"


def test_who_declares_nothing_may_still_use_what_is_open_to_any_use() -> None:
    verdict = Judge()(case(offer=open_offer(), published=(open_offer(),), use=None))
    assert verdict == Say(Said.AGREEMENT, offer=open_offer())


def test_a_dataset_that_was_withdrawn_meanwhile_ends_it() -> None:
    for state in (State.REQUESTED, State.ACCEPTED):
        verdict = Judge()(case(state=state, published=()))
        assert isinstance(verdict, Say)
        assert verdict.code == "offer-withdrawn"


def test_haggling_has_an_end() -> None:
    verdict = Judge()(case(rounds=MOST_ROUNDS + 1))
    assert isinstance(verdict, Say)
    assert verdict.code == "no-agreement"


def test_by_hand_a_fitting_request_waits_for_a_person_and_goes_on_when_approved() -> None:
    by_hand = Judge(automatic=False)
    verdict = by_hand(case())
    assert isinstance(verdict, Hold)
    assert "a person decides" in verdict.why
    assert by_hand(case(approved=True)) == Say(Said.AGREEMENT, offer=research_offer())


def test_by_hand_a_denied_use_is_not_even_shown_to_a_person() -> None:
    verdict = Judge(automatic=False)(case(use=use_for(MARKETING), approved=True))
    assert isinstance(verdict, Say)
    assert verdict.code == "use-denied"


def test_an_accepted_offer_becomes_an_agreement_if_the_use_is_permitted() -> None:
    assert Judge()(case(state=State.ACCEPTED)) == Say(Said.AGREEMENT)
    denied = Judge()(case(state=State.ACCEPTED, use=use_for(MARKETING)))
    assert isinstance(denied, Say)
    assert denied.code == "use-denied"


def test_a_verified_agreement_is_finalized() -> None:
    assert Judge()(case(state=State.VERIFIED)) == Say(Said.FINALIZED)


def test_an_offer_like_the_one_asked_for_is_accepted() -> None:
    assert Judge()(consumer_case(state=State.OFFERED, offer=research_offer("another-id"))) == Say(
        Said.ACCEPTED
    )


def test_an_offer_of_other_terms_waits_for_a_person_and_says_how_it_differs() -> None:
    other = consumer_case(state=State.OFFERED, offer=open_offer())
    verdict = Judge()(other)
    assert isinstance(verdict, Hold)
    assert "other terms than we asked for" in verdict.why
    assert Judge()(replace(other, approved=True)) == Say(Said.ACCEPTED)


def test_an_offer_that_nobody_asked_for_waits_for_a_person() -> None:
    verdict = Judge()(consumer_case(state=State.OFFERED, wanted=None))
    assert isinstance(verdict, Hold)
    assert "unasked" in verdict.why


def test_an_agreement_that_says_what_the_offer_said_is_verified() -> None:
    assert Judge()(consumer_case(state=State.AGREED, agreement=agreement())) == Say(Said.VERIFICATION)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (
            {"assigner": "did:web:somebody"},
            "agreement.assigner is 'did:web:somebody', expected 'did:web:them'",
        ),
        ({"assignee": "did:web:somebody"}, "agreement.assignee"),
        ({"target": "urn:ds:2"}, "agreement.target is 'urn:ds:2', expected 'urn:ds:1'"),
        ({"permission": [{"action": "use"}]}, "the agreement's terms are not the offer's"),
        ({"prohibition": [{"action": "odrl:distribute"}]}, "the agreement's terms are not the offer's"),
    ],
)
def test_an_agreement_that_says_something_else_ends_it_and_names_what(
    changed: dict[str, Any], named: str
) -> None:
    verdict = Judge()(consumer_case(state=State.AGREED, agreement=agreement(**changed)))
    assert isinstance(verdict, Say)
    assert (verdict.what, verdict.code) == (Said.TERMINATION, "agreement-mismatch")
    assert named in " ".join(verdict.reasons)


def test_terms_of_a_foreign_profile_are_verified_when_they_come_back_word_for_word() -> None:
    foreign = {
        "permission": [
            {
                "action": "use",
                "constraint": [{"leftOperand": "dx:moonPhase", "operator": "eq", "rightOperand": "full"}],
            }
        ]
    }
    offer = Offer.read({"@id": "offer-foreign", **foreign})
    same = consumer_case(state=State.AGREED, offer=offer, agreement=agreement(**foreign))
    assert Judge()(same) == Say(Said.VERIFICATION)


def ruled(*rules: Rule, automatic: bool = True) -> RuledJudge:
    return RuledJudge(rules_of(*rules), Judge(automatic))


def where(of: Case) -> Where:
    return Where(of.role, of.state, of.dataset, of.counterparty, of.visit)


def test_without_a_fitting_rule_the_judge_decides_as_ever() -> None:
    judge = ruled(Rule("REQUESTED", Do.END, about="urn:ds:other"))
    assert judge(case()) == Say(Said.AGREEMENT, offer=research_offer())
    assert judge.speaks(where(case()))
    assert not judge.speaks(where(case(state=State.OFFERED)))


def test_a_rule_waits_for_its_time_and_is_asked_again_then() -> None:
    judge = ruled(Rule("REQUESTED", Do.END, after=60, why="too late"))
    due = NOW + timedelta(seconds=60)
    assert judge(case()) == Hold("a rule waits 60 s before it goes on", until=due)
    assert judge(case(at=due)) == Say(Said.TERMINATION, code="ended-by-rule", reasons=("too late",))


def test_a_rule_may_act_where_it_is_not_our_turn() -> None:
    judge = ruled(Rule("OFFERED", Do.END, role=Role.PROVIDER))
    waiting = case(state=State.OFFERED)
    assert judge.speaks(where(waiting))
    said = judge(waiting)
    assert isinstance(said, Say)
    assert said.what is Said.TERMINATION
    assert "end in OFFERED" in said.reasons[0]


def test_a_rule_that_proceeds_agrees_where_a_person_would_be_asked_but_never_overrides_the_policy() -> None:
    judge = ruled(Rule("REQUESTED", Do.PROCEED), automatic=False)
    assert judge(case()) == Say(Said.AGREEMENT, offer=research_offer())
    denied = judge(case(use=use_for(MARKETING)))
    assert isinstance(denied, Say)
    assert (denied.what, denied.code) == (Said.TERMINATION, "use-denied")


def test_a_rule_holds_for_a_person_whose_yes_goes_before_it() -> None:
    judge = ruled(Rule("REQUESTED", Do.HOLD, why="the ethics board decides"))
    assert judge(case()) == Hold("the ethics board decides")
    assert judge(case(approved=True)) == Say(Said.AGREEMENT, offer=research_offer())


def test_a_rule_answers_with_our_own_offer_only_while_there_is_one() -> None:
    judge = ruled(Rule("REQUESTED", Do.OFFER))
    assert judge(case(published=(open_offer(), research_offer()))) == Say(Said.OFFER, offer=research_offer())
    gone = judge(case(published=()))
    assert isinstance(gone, Say)
    assert gone.code == "offer-withdrawn"


def test_a_rule_counters_with_what_we_wanted() -> None:
    judge = ruled(Rule("OFFERED", Do.COUNTER))
    offered = consumer_case(state=State.OFFERED, offer=open_offer())
    assert judge(offered) == Say(Said.REQUEST, offer=research_offer())


def test_a_rule_that_counters_takes_no_offer_that_nobody_asked_for() -> None:
    judge = ruled(Rule("OFFERED", Do.COUNTER))
    verdict = judge(consumer_case(state=State.OFFERED, offer=open_offer(), wanted=None))
    assert isinstance(verdict, Hold)
    assert "unasked; a person accepts or ends it" in verdict.why


@pytest.mark.parametrize("do", [Do.OFFER, Do.COUNTER])
def test_rules_that_answer_each_other_have_an_end(do: Do) -> None:
    asked = case() if do is Do.OFFER else consumer_case(state=State.OFFERED, offer=open_offer())
    judge = ruled(Rule(asked.state, do))
    for rounds, code in ((MOST_ROUNDS, None), (MOST_ROUNDS + 1, "no-agreement")):
        said = judge(replace(asked, rounds=rounds))
        assert isinstance(said, Say)
        assert said.code == code


# --- requests of other terms --------------------------------------------------------------------------


def asking(*constraints: dict[str, Any], **members: Any) -> Offer:
    ours = research_offer()
    (permission,) = ours.wire()["permission"]
    said = {**permission, "constraint": [*permission["constraint"], *constraints]}
    return Offer.read({**ours.wire(), "permission": [said], **members})


FEWER = {"leftOperand": f"{HANSA}rowCount", "operator": "lteq", "rightOperand": "5"}


def test_a_request_for_less_is_answered_with_the_offer_unless_the_holder_allows_more() -> None:
    assert Judge()(case(offer=asking(FEWER))) == Say(Said.OFFER, offer=research_offer())


def test_a_request_for_less_is_agreed_in_its_own_words_where_the_holder_allows() -> None:
    agreeing = Judge(counter_offers=CounterOffers.AGREE)
    assert agreeing(case(offer=asking(FEWER))) == Say(Said.AGREEMENT)
    held = replace(agreeing, automatic=False)(case(offer=asking(FEWER)))
    assert isinstance(held, Hold)
    denied = agreeing(case(offer=asking(FEWER), use=use_for(MARKETING)))
    assert isinstance(denied, Say)
    assert denied.code == "use-denied"


@pytest.mark.parametrize("mode", [CounterOffers.AGREE, CounterOffers.REFUSE])
def test_a_request_for_more_is_refused_with_both_values_where_the_holder_says_so(mode: CounterOffers) -> None:
    said = Judge(counter_offers=mode)(case(offer=research_offer(), published=(asking(FEWER),)))
    assert isinstance(said, Say)
    assert (said.what, said.code) == (Said.TERMINATION, "offer-misfit")
    assert "at most 5 rows" in " ".join(said.reasons)
    same = Judge(counter_offers=mode)(case())
    assert same == Say(Said.AGREEMENT, offer=research_offer())


def test_a_request_that_could_never_be_used_is_no_smaller_one() -> None:
    nobody = [
        {"leftOperand": f"{HANSA}participant", "operator": "eq", "rightOperand": f"did:web:{name}"}
        for name in ("a", "b")
    ]
    said = Judge(counter_offers=CounterOffers.AGREE)(case(offer=asking(*nobody)))
    assert isinstance(said, Say)
    assert said.code == "offer-misfit"
    assert "can never hold" in said.reasons[0]
