from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.subsumption import Fit, Misfit, matches, normal_form, same_terms
from schemas.canonical import canonical
from schemas.errors import UnknownTerm
from schemas.jsonld import compact_form
from schemas.odrl import Agreement, Offer
from schemas.vocab import DPV, DSP_CONTEXT, HANSA, HANSA_PROFILE, ODRL
from tests.policy_builders import LAB, limit, offer, rule

FULL = (
    rule(
        "hansa:train",
        limit("purpose", "isAnyOf", ["dpv:ScientificResearch", "dpv:AcademicResearch"]),
        limit("dateTime", "gteq", "2026-01-01"),
        limit("dateTime", "lteq", "2026-12-31"),
        limit("column/age", "gteq", {"@value": "18", "@type": "xsd:integer"}),
        limit("columns", "isAnyOf", ["age", "sex", "id"]),
        limit("mask/id", "eq", "hash"),
        limit("rowCount", "lteq", "1000"),
    ),
    rule("use", {"or": [limit("participant", "eq", LAB), limit("purpose", "isA", "dpv:PublicBenefit")]}),
)
MEMBERS: dict[str, Any] = {"prohibition": [rule("odrl:sell")], "obligation": [rule("odrl:attribute")]}


def test_a_request_that_repeats_the_offer_fits() -> None:
    assert matches(offer(*FULL, **MEMBERS), offer(*FULL, **MEMBERS)) == Fit()


def test_ids_parties_and_profile_make_no_difference() -> None:
    request = Offer.read(
        {
            "@id": "urn:other",
            "permission": list(FULL),
            **MEMBERS,
            "profile": HANSA_PROFILE,
            "target": "urn:data",
            "assignee": LAB,
        }
    )
    assert same_terms(request, offer(*FULL, **MEMBERS))
    agreement = Agreement.read(
        {**request.wire(), "@type": "Agreement", "assigner": "did:web:hospital.example"}
    )
    assert matches(agreement, offer(*FULL, **MEMBERS)) == Fit()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            limit("purpose", "isA", "dpv:Marketing"),
            limit(ODRL + "purpose", "odrl:isA", {"@id": DPV + "Marketing"}),
        ),
        (
            limit("purpose", "isA", "dpv:Marketing"),
            limit("purpose", "isAnyOf", ["dpv:Marketing", "dpv:Marketing"]),
        ),
        (limit("dateTime", "lt", "2027-01-01"), limit("dateTime", "lteq", "2026-12-31")),
        (limit("dateTime", "lt", "2027-01-01T00:00"), limit("dateTime", "lt", "2027-01-01T01:00:00+01:00")),
        (
            limit("column/a", "eq", 1),
            limit("hansa:column/a", "isAnyOf", {"@list": [{"@value": "1.0", "@type": "xsd:decimal"}]}),
        ),
        (limit("column/a", "neq", "x"), limit("column/a", "isNoneOf", ["x"])),
        (limit("participant", "eq", LAB), limit("participant", "isAnyOf", [LAB])),
        (
            limit("rowCount", "lteq", "5"),
            {"and": [limit("rowCount", "lteq", 5), limit("rowCount", "lteq", 9)]},
        ),
        (limit("columns", "isAnyOf", ["a", "b"]), limit("columns", "isAnyOf", ["b", "a"])),
    ],
    ids=["iri", "set", "day", "zone", "number", "not", "participant", "rows", "order"],
)
def test_the_same_term_written_otherwise_means_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert matches(offer(rule("use", one)), offer(rule("odrl:use", other))) == Fit()


VARIANTS = [
    rule("use"),
    rule("hansa:train"),
    rule("use", limit("purpose", "isA", "dpv:Marketing")),
    rule("use", limit("purpose", "eq", "dpv:Marketing")),
    rule("use", limit("purpose", "isNoneOf", "dpv:Marketing")),
    rule("use", limit("dateTime", "lt", "2027-01-01")),
    rule("use", limit("dateTime", "gteq", "2027-01-01")),
    rule("use", limit("column/a", "eq", 1)),
    rule("use", limit("column/a", "eq", "1")),
    rule("use", limit("column/a", "lt", 1)),
    rule("use", limit("column/b", "eq", 1)),
    rule("use", limit("columns", "isAnyOf", ["a"])),
    rule("use", limit("mask/a", "eq", "hash")),
    rule("use", limit("mask/a", "eq", "null")),
    rule("use", limit("rowCount", "lteq", 1)),
    rule("use", limit("rowCount", "lteq", 2)),
    rule("use", {"xone": [limit("participant", "eq", LAB), limit("participant", "eq", LAB)]}),
    rule("use", {"xone": [limit("participant", "eq", LAB)]}),
    rule("use", {"or": [limit("participant", "eq", LAB)]}),
]


def test_any_difference_in_what_is_said_is_a_misfit_either_way() -> None:
    for i, one in enumerate(VARIANTS):
        for j, other in enumerate(VARIANTS):
            assert isinstance(matches(offer(one), offer(other)), Fit) == (i == j), (one, other)


def test_a_dropped_prohibition_or_obligation_is_a_misfit_that_names_it() -> None:
    whole = offer(*FULL, **MEMBERS)
    assert matches(offer(*FULL, obligation=MEMBERS["obligation"]), whole) == Misfit(
        ("the offer has a prohibition that the request lacks: odrl:sell",)
    )
    assert matches(offer(*FULL, prohibition=MEMBERS["prohibition"]), whole) == Misfit(
        ("the offer has an obligation that the request lacks: odrl:attribute",)
    )


def test_a_widened_request_is_told_both_what_it_lacks_and_what_it_added() -> None:
    offered = offer(rule("use", limit("rowCount", "lteq", 1000)))
    asked = offer(rule("use", limit("rowCount", "lteq", 5000)))
    assert matches(asked, offered) == Misfit(
        (
            "the offer has a permission that the request lacks: "
            "odrl:use (at most 1,000 rows over the life of the agreement)",
            "the request has a permission that the offer lacks: "
            "odrl:use (at most 5,000 rows over the life of the agreement)",
        )
    )


def test_a_request_with_an_unknown_term_does_not_fit_and_the_term_is_named() -> None:
    fit = matches(offer(rule("use", limit("odrl:payAmount", "lteq", "5"))), offer(rule("use")))
    assert isinstance(fit, Misfit)
    assert "cannot enforce 'odrl:payAmount' in permission[0].constraint[0]" in fit.reasons[0]


def test_an_offer_of_ours_with_an_unknown_term_is_an_error() -> None:
    with pytest.raises(UnknownTerm):
        matches(offer(rule("use")), offer(rule("use", limit("odrl:payAmount", "lteq", "5"))))


@given(st.randoms(use_true_random=False))
def test_order_never_matters(shuffler: random.Random) -> None:
    permissions = [{**each, "constraint": list(each["constraint"])} for each in FULL]
    shuffler.shuffle(permissions)
    for permission in permissions:
        shuffler.shuffle(permission["constraint"])
    assert normal_form(offer(*permissions, **MEMBERS)) == normal_form(offer(*FULL, **MEMBERS))


def test_a_normal_form_has_canonical_bytes() -> None:
    assert canonical(normal_form(offer(*FULL, **MEMBERS)))


def test_an_offer_means_the_same_after_a_peer_rewrote_it_as_json_ld() -> None:
    wired = offer(*FULL, **MEMBERS).wire()
    wired["permission"][0]["action"] = HANSA + "train"
    for permission in wired["permission"]:
        for constraint in permission["constraint"]:
            for atom in constraint.get("or", [constraint]):
                if not atom["leftOperand"].startswith("http"):
                    atom["leftOperand"] = "odrl:" + atom["leftOperand"]
    foreign = {"@context": [DSP_CONTEXT, {"ex": "https://example.org/"}], **wired}
    rewritten = compact_form(foreign)
    assert rewritten["@context"] == [DSP_CONTEXT]
    assert same_terms(Offer.read(rewritten), offer(*FULL, **MEMBERS))
