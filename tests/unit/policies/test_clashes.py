from __future__ import annotations

from typing import Any

import pytest

from policies.compare.clashes import refuse_contradictions
from policies.compiled import compile_policy
from policies.subsumption import conflicts
from schemas.errors import PolicyMismatch
from tests.policy_builders import LAB, limit, offer, rule

RESEARCH = limit("purpose", "isA", "dpv:ResearchAndDevelopment")
ACADEMIC = limit("purpose", "isA", "dpv:AcademicResearch")
WHOLE = {"@value": "5", "@type": "xsd:integer"}


def test_a_permission_that_is_always_forbidden_is_a_clash_that_names_both_rules() -> None:
    found = conflicts(offer(rule("hansa:train", ACADEMIC), prohibition=[rule("use", RESEARCH)]))
    (clash,) = found
    assert clash.places == ("permission[0]", "prohibition[0]")
    assert "permission[0] (hansa:train" in clash.why
    assert "is always forbidden by prohibition[0]" in clash.why


@pytest.mark.parametrize(
    "prohibition",
    [
        rule("hansa:fineTune", RESEARCH),
        rule("use", ACADEMIC),
        rule("use", limit("participant", "eq", LAB)),
        rule("odrl:sell"),
        rule("use", limit("column/a", "eq", "x")),
    ],
    ids=["a narrower action", "a narrower purpose", "one participant", "a promise", "some rows"],
)
def test_a_permission_that_is_forbidden_only_in_part_is_no_clash(prohibition: dict[str, Any]) -> None:
    assert conflicts(offer(rule("use", RESEARCH), prohibition=[prohibition])) == ()


def test_rows_that_are_all_forbidden_are_a_clash() -> None:
    permitted = rule("use", limit("column/a", "eq", "x"))
    forbidden = rule("use", limit("column/a", "isAnyOf", ["x", "y"]))
    assert conflicts(offer(permitted, prohibition=[forbidden]))
    assert conflicts(offer(permitted, prohibition=[rule("use", limit("column/a", "eq", "y"))])) == ()


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        (
            [
                {
                    "or": [
                        {
                            "and": [
                                limit("dateTime", "lt", "2026-01-01"),
                                limit("dateTime", "gteq", "2027-01-01"),
                            ]
                        }
                    ]
                }
            ],
            "dateTime",
        ),
        ([RESEARCH, limit("purpose", "isNoneOf", ["dpv:Purpose"])], "purpose"),
        ([limit("participant", "eq", LAB), limit("participant", "eq", "did:web:x.example")], "participant"),
        ([limit("column/a", "lt", WHOLE), limit("column/a", "gt", WHOLE)], "column a"),
        ([limit("odrl:spatial", "isPartOf", "DE"), limit("odrl:spatial", "isPartOf", "FR")], "spatial"),
        ([{"xone": [RESEARCH, RESEARCH]}], "purpose"),
    ],
)
def test_a_permission_that_never_holds_is_a_clash_and_is_refused_by_name(
    constraints: list[dict[str, Any]], said: str
) -> None:
    policy = offer(rule("use"), rule("use", *constraints))
    (clash,) = conflicts(policy)
    assert clash.places == ("permission[1]",)
    assert "permission[1] can never hold" in clash.why
    assert said in clash.why
    with pytest.raises(PolicyMismatch, match=r"permission\[1\] can never hold.*change or remove"):
        refuse_contradictions(compile_policy(policy))


def test_an_ordinary_policy_contradicts_nothing() -> None:
    policy = offer(
        rule("use", RESEARCH, limit("dateTime", "lt", "2027-01-01"), limit("mask/a", "eq", "hash")),
        rule("hansa:evaluate"),
        prohibition=[rule("odrl:distribute"), rule("hansa:trainGenerative")],
        obligation=[rule("odrl:delete")],
    )
    assert conflicts(policy) == ()
    refuse_contradictions(compile_policy(policy))


def test_two_parties_clash_where_one_always_forbids_what_the_other_permits_or_nothing_holds_for_both() -> (
    None
):
    one, other = offer(rule("use", ACADEMIC)), offer(rule("use"), prohibition=[rule("use", RESEARCH)])
    (clash,) = conflicts(one, other)
    assert clash.places == ("permission[0]", "prohibition[0]")
    assert "of the other policy" in clash.why
    early, late = limit("dateTime", "lt", "2026-01-01"), limit("dateTime", "gteq", "2026-01-01")
    (clash,) = conflicts(offer(rule("use", early)), offer(rule("hansa:train", late)))
    assert "never hold together" in clash.why
    assert conflicts(offer(rule("use", early)), offer(rule("use", late), rule("use"))) == ()
    assert conflicts(offer(rule("hansa:train", early)), offer(rule("hansa:evaluate", late))) == ()
