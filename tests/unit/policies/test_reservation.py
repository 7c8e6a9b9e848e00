"""What a policy means for text and data mining."""

from __future__ import annotations

from policies.reservation import Stand, ai_uses, reservation
from schemas.vocab import HANSA
from tests.policy_builders import allowing, compiled, limit, rule

URL = "https://hospital.example/offers/1"


def test_data_that_anybody_may_mine_and_train_on_reserve_nothing() -> None:
    assert reservation([allowing()], URL).headers() == {"tdm-reservation": "0"}


def test_every_condition_reserves_and_names_the_policy() -> None:
    told = {"tdm-reservation": "1", "tdm-policy": URL}
    for policy in (
        allowing(limit("purpose", "isA", "dpv:ScientificResearch")),
        allowing(limit("rowCount", "lteq", 5)),
        compiled(rule(HANSA + "evaluate")),
        compiled(rule("use"), prohibition=[rule(HANSA + "trainGenerative")]),
        compiled(rule("use"), obligation=[rule("odrl:attribute")]),
        allowing(assignee="did:web:one.example"),
    ):
        assert reservation([policy], URL).headers() == told
    assert reservation([], URL).headers() == told


def test_one_open_offer_of_several_is_enough() -> None:
    assert reservation([allowing(limit("rowCount", "lteq", 5)), allowing()], URL).reserved == 0


def test_the_actions_of_the_ai_vocabulary_say_how_the_policy_stands_to_them() -> None:
    policy = compiled(
        rule(HANSA + "train"),
        rule(HANSA + "analyse", limit("purpose", "isA", "dpv:ScientificResearch")),
        prohibition=[rule(HANSA + "trainGenerative")],
    )
    assert ai_uses(policy) == {
        "data mining": Stand.CONDITIONAL,
        "AI training": Stand.CONDITIONAL,
        "generative AI training": Stand.PROHIBITED,
        "AI augmentation": Stand.NOT_PERMITTED,
        "index": Stand.NOT_PERMITTED,
        "search": Stand.NOT_PERMITTED,
    }
