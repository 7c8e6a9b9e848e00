from __future__ import annotations

from typing import Any

import pytest

from policies.compare.changes import Change, Kind, TermChange
from policies.subsumption import diff
from tests.policy_builders import limit, offer, rule
from tests.unit.policies.test_fit import NARROWER

SELL = rule("odrl:sell")


def test_the_same_policy_however_written_has_only_equal_rules() -> None:
    rules = [rule("use", limit("rowCount", "lteq", 5), limit("mask/a", "eq", "hash")), rule("hansa:train")]
    again = [rule("hansa:train"), rule("odrl:use", *reversed(rules[0]["constraint"]))]
    found = diff(offer(*rules, prohibition=[SELL]), offer(*again, prohibition=[SELL]))
    assert [(one.kind, one.old, one.new, one.terms) for one in found] == [
        (Kind.EQUAL, "permission[1]", "permission[0]", ()),
        (Kind.EQUAL, "permission[0]", "permission[1]", ()),
        (Kind.EQUAL, "prohibition[0]", "prohibition[0]", ()),
    ]


def test_a_changed_term_is_told_with_both_values_and_its_direction() -> None:
    old = offer(rule("use", limit("rowCount", "lteq", 1000), limit("purpose", "isA", "dpv:Marketing")))
    new = offer(rule("use", limit("rowCount", "lteq", 500), limit("purpose", "isA", "dpv:Marketing")))
    (change,) = diff(old, new)
    assert (change.kind, change.old, change.new) == (Kind.NARROWED, "permission[0]", "permission[0]")
    assert change.terms == (
        TermChange(
            Kind.NARROWED,
            "hansa:rowCount",
            "at most 1,000 rows over the life of the agreement",
            "at most 500 rows over the life of the agreement",
        ),
    )
    (back,) = diff(new, old)
    assert (back.kind, back.terms[0].kind) == (Kind.WIDENED, Kind.WIDENED)


def test_a_term_that_comes_or_goes_has_no_value_on_one_side() -> None:
    (change,) = diff(offer(rule("use")), offer(rule("use", limit("columns", "isAnyOf", ["a"]))))
    (term,) = change.terms
    assert (change.kind, term.kind, term.term, term.old) == (
        Kind.NARROWED,
        Kind.NARROWED,
        "hansa:columns",
        None,
    )
    assert term.new is not None


def test_a_rule_that_is_wider_here_and_narrower_there_is_changed() -> None:
    old = offer(rule("use", limit("rowCount", "lteq", 5), limit("byteCount", "lteq", 9)))
    new = offer(rule("use", limit("rowCount", "lteq", 6), limit("byteCount", "lteq", 8)))
    (change,) = diff(old, new)
    assert change.kind is Kind.CHANGED
    assert {term.term: term.kind for term in change.terms} == {
        "hansa:rowCount": Kind.WIDENED,
        "hansa:byteCount": Kind.NARROWED,
    }


def test_rules_are_added_and_removed_and_a_narrower_action_is_told_as_a_term() -> None:
    old = offer(rule("use"), prohibition=[SELL], obligation=[rule("odrl:delete")])
    new = offer(rule("hansa:train"), prohibition=[rule("odrl:derive")], obligation=[rule("odrl:delete")])
    found = diff(old, new)
    assert found[0] == Change(
        Kind.NARROWED,
        "permission[0]",
        "permission[0]",
        "hansa:train",
        (TermChange(Kind.NARROWED, "action", "odrl:use", "hansa:train"),),
    )
    assert [(one.kind, one.old, one.new, one.words) for one in found[1:]] == [
        (Kind.ADDED, None, "prohibition[0]", "odrl:derive"),
        (Kind.REMOVED, "prohibition[0]", None, "odrl:sell"),
        (Kind.EQUAL, "obligation[0]", "obligation[0]", "odrl:delete"),
    ]


def test_what_is_forbidden_less_and_owed_later_is_widened() -> None:
    def policy(purpose: str, delay: str) -> Any:
        return offer(
            rule("use"),
            prohibition=[rule("use", limit("purpose", "isA", purpose))],
            obligation=[rule("odrl:delete", limit("odrl:delayPeriod", "lteq", delay))],
        )

    strict, lax = policy("dpv:ResearchAndDevelopment", "P7D"), policy("dpv:AcademicResearch", "P30D")
    _, prohibition, duty = diff(strict, lax)
    assert (prohibition.kind, prohibition.terms[0].term) == (Kind.WIDENED, "odrl:purpose")
    assert (duty.kind, duty.terms) == (
        Kind.WIDENED,
        (TermChange(Kind.WIDENED, "odrl:delayPeriod", "P7D", "P30D"),),
    )
    assert {one.kind for one in diff(lax, strict)} == {Kind.EQUAL, Kind.NARROWED}


@pytest.mark.parametrize("name", NARROWER)
def test_every_type_of_term_is_told_as_narrowed_and_back_as_widened(name: str) -> None:
    less, more = (offer(rule("use", *terms)) for terms in NARROWER[name])
    for one, other, kind in ((more, less, Kind.NARROWED), (less, more, Kind.WIDENED)):
        (change,) = diff(one, other)
        assert change.kind is kind
        assert change.terms
        assert all(term.old != term.new for term in change.terms)
        assert diff(one, other) == (change,)
