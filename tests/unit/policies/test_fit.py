"""Does a request ask for no more than an offer? Every type, both ways, and against the decision itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from policies.compiled import compile_policy
from policies.decision import Permit, decide
from policies.subsumption import Fit, Misfit, covers, same_terms
from policies.use import Claims, Use, UseTotals
from schemas.errors import PolicyMismatch
from schemas.odrl import Offer
from schemas.vocab import DPV, HANSA, ODRL
from tests.policy_builders import LAB, NOON, limit, offer, rule

WHOLE = {"@value": "5", "@type": "xsd:integer"}


def odrl(name: str, operator: str, right: Any) -> dict[str, Any]:
    return limit(f"odrl:{name}", operator, right)


NARROWER: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "time": ([limit("dateTime", "lt", "2026-06-01")], [limit("dateTime", "lteq", "2026-12-31")]),
    "elapsed": ([odrl("elapsedTime", "lteq", "P20D")], [odrl("elapsedTime", "lteq", "P30D")]),
    "elapsed in months": ([odrl("elapsedTime", "lteq", "P1M")], [odrl("elapsedTime", "lteq", "P2M")]),
    "elapsed in days under months": (
        [odrl("elapsedTime", "lteq", "P28D")],
        [odrl("elapsedTime", "lteq", "P1M")],
    ),
    "since delivery": (
        [limit("elapsedSinceDelivery", "lt", "P7D")],
        [limit("elapsedSinceDelivery", "lteq", "P7D")],
    ),
    "days": (
        [limit("dayOfWeek", "isAnyOf", ["Monday"])],
        [limit("dayOfWeek", "isAnyOf", ["Tuesday", "Monday"])],
    ),
    "hours": (
        [limit("timeOfDay", "isAnyOf", ["23:00-01:00"])],
        [limit("timeOfDay", "isAnyOf", ["22:00-00:00", "00:00-02:00"])],
    ),
    "purpose": (
        [limit("purpose", "isA", "dpv:AcademicResearch")],
        [limit("purpose", "isAnyOf", ["dpv:ResearchAndDevelopment", "dpv:Marketing"])],
    ),
    "purpose under another's outside": (
        [limit("purpose", "isA", "dpv:AcademicResearch")],
        [limit("purpose", "isNoneOf", ["dpv:Marketing"])],
    ),
    "participant": (
        [limit("participant", "eq", LAB)],
        [limit("participant", "isAnyOf", [LAB, "did:web:x.example"])],
    ),
    "group": (
        [limit("participantGroup", "isAnyOf", ["universities"])],
        [limit("participantGroup", "isAnyOf", ["clinics", "universities"])],
    ),
    "credential": (
        [limit("credential/level", "eq", "gold")],
        [limit("credential/level", "isAnyOf", ["gold", "silver"])],
    ),
    "place": ([odrl("spatial", "isPartOf", "DE")], [odrl("spatial", "isPartOf", "EU")]),
    "part of a place": ([odrl("spatial", "isPartOf", "DE-BY")], [odrl("spatial", "isAnyOf", ["DE", "FR"])]),
    "environment": (
        [limit("environment", "isAnyOf", ["federated-only"])],
        [limit("environment", "isAnyOf", ["federated-only", "secure-processing-environment"])],
    ),
    "one branch of several": (
        [limit("participant", "eq", LAB)],
        [{"or": [limit("participant", "eq", LAB), limit("purpose", "isA", "dpv:Marketing")]}],
    ),
    "filter": ([limit("column/a", "gt", WHOLE)], [limit("column/a", "gteq", WHOLE)]),
    "filter of a set": ([limit("column/a", "eq", "x")], [limit("column/a", "isAnyOf", ["x", "y"])]),
    "area": ([limit("rowSpatial/land", "isPartOf", "DE")], [limit("rowSpatial/land", "isPartOf", "EU")]),
    "columns": ([limit("columns", "isAnyOf", ["a"])], [limit("columns", "isAnyOf", ["a", "b"])]),
    "mask": ([limit("mask/a", "eq", "null")], [limit("mask/a", "eq", "hash")]),
    "a column left out": ([limit("columns", "isAnyOf", ["b"])], [limit("mask/a", "eq", "hash")]),
    "bucket": ([limit("mask/a", "eq", "bucket:20")], [limit("mask/a", "eq", "bucket:10")]),
    "truncated": ([limit("mask/a", "eq", "truncate:year")], [limit("mask/a", "eq", "truncate:month")]),
    "apart": (
        [limit("notTogether", "isAllOf", ["a", "b"])],
        [limit("notTogether", "isAllOf", ["a", "b", "c"])],
    ),
    "sample": ([odrl("percentage", "lteq", "5")], [odrl("percentage", "lteq", "12.5")]),
    "anonymity": (
        [limit("kAnonymity", "gteq", 7), limit("quasiIdentifiers", "isAllOf", ["a", "b"])],
        [limit("kAnonymity", "gteq", 5), limit("quasiIdentifiers", "isAllOf", ["a"])],
    ),
    "statistics": (
        [limit("aggregateOnly", "eq", True), limit("minGroupSize", "gteq", 20)],
        [limit("aggregateOnly", "eq", True), limit("minGroupSize", "gteq", 10)],
    ),
    "rows": ([limit("rowCount", "lteq", 5)], [limit("rowCount", "lteq", 9)]),
    "bytes": ([limit("byteCount", "lteq", 5)], [limit("byteCount", "lteq", 9)]),
    "requests": ([odrl("count", "lteq", 5)], [odrl("count", "lt", 10)]),
    "epochs": (
        [odrl("count", "lteq", 1), odrl("unitOfCount", "eq", f"{HANSA}epoch")],
        [odrl("count", "lteq", 3), odrl("unitOfCount", "eq", f"{HANSA}epoch")],
    ),
    "rate": ([limit("rate", "lteq", "10/PT2M")], [limit("rate", "lteq", "10/PT1M")]),
    "notice": (
        [limit("revocable", "eq", True), limit("notice", "eq", "P7D")],
        [limit("revocable", "eq", True), limit("notice", "eq", "P14D")],
    ),
    "revocable at all": ([limit("revocable", "eq", True)], []),
    "consent at all": ([limit("consent/id", "eq", "given")], []),
}
"""For each type: terms that ask for less, and terms that ask for more."""


@pytest.mark.parametrize("name", NARROWER)
def test_the_narrower_fits_the_wider_and_never_the_other_way_with_both_values_told(name: str) -> None:
    less, more = NARROWER[name]
    narrow, wide = offer(rule("use", *less)), offer(rule("use", *more))
    assert covers(narrow, wide) == Fit()
    misfit = covers(wide, narrow)
    assert isinstance(misfit, Misfit)
    assert all("permission[0]" in reason for reason in misfit.reasons)
    assert any("offered: " in reason for reason in misfit.reasons)
    assert covers(narrow, narrow) == covers(wide, wide) == Fit()


INCOMPARABLE = [
    ([limit("mask/a", "eq", "round:1")], [limit("mask/a", "eq", "round:2")]),
    ([limit("mask/a", "eq", "hash")], [limit("mask/a", "eq", "round:2")]),
    ([limit("mask/a", "eq", "bucket:15")], [limit("mask/a", "eq", "bucket:10")]),
    ([limit("mask/a", "eq", "truncate:year")], [limit("mask/a", "eq", "truncate:week")]),
    ([odrl("elapsedTime", "lteq", "P1M")], [odrl("elapsedTime", "lteq", "P30D")]),
    ([limit("column/a", "lt", "5")], [limit("column/a", "lt", WHOLE)]),
    ([limit("column/a", "lt", WHOLE)], [limit("column/b", "lt", WHOLE)]),
    ([odrl("count", "lteq", 1)], [odrl("count", "lteq", 3), odrl("unitOfCount", "eq", f"{HANSA}epoch")]),
    (
        [limit("purpose", "isA", "dpv:ResearchAndDevelopment")],
        [limit("purpose", "isNoneOf", "dpv:CommercialPurpose")],
    ),
    (
        [limit("dayOfWeek", "isAnyOf", ["Monday"]), limit("timeZone", "eq", "Europe/Berlin")],
        [limit("dayOfWeek", "isAnyOf", ["Monday"])],
    ),
]


@pytest.mark.parametrize(("less", "more"), INCOMPARABLE)
def test_what_cannot_be_compared_does_not_fit(less: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    assert isinstance(covers(offer(rule("use", *less)), offer(rule("use", *more))), Misfit)


def test_a_narrower_action_fits_and_a_wider_one_is_named_beside_the_offered() -> None:
    assert covers(offer(rule("hansa:fineTune")), offer(rule("hansa:train"))) == Fit()
    assert covers(offer(rule("use")), offer(rule("hansa:train"))) == Misfit(
        ("permission[0] asks to odrl:use, permission[0] of the offer permits hansa:train",)
    )


def test_several_permissions_of_an_offer_cover_together_what_none_covers_alone() -> None:
    halves = [
        rule("use", limit("dateTime", "lt", "2026-07-01")),
        rule("use", limit("dateTime", "gteq", "2026-07-01")),
    ]
    year = [limit("dateTime", "gteq", "2026-01-01"), limit("dateTime", "lt", "2027-01-01")]
    assert covers(offer(rule("use", *year)), offer(*halves)) == Fit()
    gap = [halves[0], rule("use", limit("dateTime", "gteq", "2026-07-02"))]
    assert isinstance(covers(offer(rule("use", *year)), offer(*gap)), Misfit)


def test_a_wider_prohibition_keeps_a_narrower_one_and_further_promises_do_no_harm() -> None:
    marketing = rule("hansa:train", limit("purpose", "isA", "dpv:Marketing"))
    offered = offer(rule("use"), prohibition=[marketing, rule("odrl:distribute")])
    stricter = [rule("hansa:train"), rule("odrl:distribute"), rule("odrl:sell")]
    assert covers(offer(rule("use"), prohibition=stricter), offered) == Fit()
    weaker = [rule("hansa:fineTune"), rule("odrl:distribute")]
    found = covers(offer(rule("use"), prohibition=weaker), offered)
    assert isinstance(found, Misfit)
    assert found.reasons[0].startswith("prohibition[0] of the offer is not kept: ")
    assert "hansa:fineTune" in found.reasons[0]


def test_a_prohibition_of_rows_is_kept_by_one_of_more_rows() -> None:
    def without(*filters: dict[str, Any]) -> Offer:
        return offer(rule("use"), prohibition=[rule("use", *filters)])

    some, more = limit("column/a", "eq", "x"), limit("column/a", "isAnyOf", ["x", "y"])
    assert covers(without(more), without(some)) == Fit()
    assert isinstance(covers(without(some), without(more)), Misfit)
    assert isinstance(covers(without(some), without()), Misfit)


@pytest.mark.parametrize(
    ("stricter", "offered"),
    [
        (
            rule("odrl:delete", odrl("delayPeriod", "lteq", "P7D")),
            rule("odrl:delete", odrl("delayPeriod", "lteq", "P30D")),
        ),
        (
            rule("odrl:delete", limit("dateTime", "lt", "2027-01-01")),
            rule("odrl:delete", limit("dateTime", "lt", "2027-06-01")),
        ),
        (
            rule("odrl:inform", odrl("timeInterval", "eq", "P7D")),
            rule("odrl:inform", odrl("timeInterval", "eq", "P30D")),
        ),
        (rule("odrl:delete", limit("consequence", "eq", "terminate")), rule("odrl:delete")),
    ],
)
def test_an_obligation_is_accepted_by_a_stricter_one_only(
    stricter: dict[str, Any], offered: dict[str, Any]
) -> None:
    strict, plain = offer(rule("use"), obligation=[stricter]), offer(rule("use"), obligation=[offered])
    assert covers(strict, plain) == Fit()
    found = covers(plain, strict)
    assert isinstance(found, Misfit)
    assert "obligation[0] of the offer is not accepted" in found.reasons[0]
    assert isinstance(covers(offer(rule("use")), plain), Misfit)


@pytest.mark.parametrize(
    ("forbidden", "kept"),
    [
        # A cell without a value, or without a country, is forbidden by the one and not by the other.
        (
            [limit("column/a", "lt", WHOLE), limit("column/a", "gt", WHOLE)],
            [limit("column/b", "lt", WHOLE)],
        ),
        ([limit("rowSpatial/land", "isPartOf", "DE")], [limit("column/land", "eq", "DE")]),
    ],
)
def test_rows_that_only_a_cell_without_a_value_brings_under_a_prohibition_count(
    forbidden: list[dict[str, Any]], kept: list[dict[str, Any]]
) -> None:
    offered = offer(rule("use"), prohibition=[rule("use", *forbidden)])
    assert covers(offered, offered) == Fit()
    asked = offer(rule("use"), prohibition=[rule("use", *kept)])
    assert isinstance(covers(asked, offered), Misfit)


def test_a_wide_request_is_told_the_term_its_place_and_both_values() -> None:
    offered = offer(rule("use", limit("rowCount", "lteq", 1000), limit("purpose", "isA", "dpv:Marketing")))
    asked = offer(rule("use", limit("rowCount", "lteq", 5000), limit("purpose", "isA", "dpv:Marketing")))
    assert covers(asked, offered) == Misfit(
        (
            "permission[0] asks for more than the offer: at most 5,000 rows over the life of the agreement; "
            "offered: at most 1,000 rows over the life of the agreement "
            "(permission[0].constraint[0] of the offer)",
        )
    )


# --- against the decision ---------------------------------------------------------------------------

ATOMS = st.sampled_from(
    [
        limit("dateTime", "lt", "2026-11-23T12:00:00Z"),
        limit("dateTime", "gteq", "2026-11-23"),
        limit("purpose", "isA", "dpv:ResearchAndDevelopment"),
        limit("purpose", "isA", "dpv:CommercialPurpose"),
        limit("purpose", "isNoneOf", ["dpv:CommercialPurpose"]),
        limit("purpose", "eq", "dpv:ScientificResearch"),
        limit("participant", "eq", LAB),
        limit("participantGroup", "isAnyOf", ["universities"]),
        odrl("spatial", "isPartOf", "EU"),
        odrl("spatial", "isPartOf", "DE"),
        odrl("spatial", "eq", "DE"),
        odrl("elapsedTime", "lteq", "P30D"),
        odrl("elapsedTime", "lt", "P1M"),
        limit("dayOfWeek", "isAnyOf", ["Monday", "Sunday"]),
        limit("timeOfDay", "isAnyOf", ["11:00-13:00", "22:00-02:00"]),
        limit("environment", "isAnyOf", ["federated-only"]),
    ]
)
TREES = st.recursive(
    ATOMS,
    lambda parts: st.builds(
        lambda form, inner: {form: inner},
        st.sampled_from(("and", "or", "xone")),
        st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=4,
)
RULES = st.builds(
    lambda action, trees: rule(action, *trees),
    st.sampled_from(("use", "hansa:train")),
    st.lists(TREES, max_size=2),
)
OFFERS = st.builds(
    lambda permissions, prohibitions: offer(*permissions, prohibition=prohibitions),
    st.lists(RULES, min_size=1, max_size=2),
    st.lists(RULES, max_size=1),
)
USES = st.builds(
    Use,
    st.sampled_from((LAB, "did:web:other.example")),
    st.sampled_from((ODRL + "use", HANSA + "train")),
    st.sampled_from(
        (
            None,
            *(
                DPV + name
                for name in (
                    "ResearchAndDevelopment",
                    "CommercialResearch",
                    "ScientificResearch",
                    "Marketing",
                )
            ),
        )
    ),
    st.builds(
        Claims,
        groups=st.sampled_from((frozenset(), frozenset({"universities"}))),
        region=st.sampled_from((None, "DE", "DE-BY", "EU", "US")),
        environment=st.sampled_from((None, "federated-only", "trusted-execution-environment")),
    ),
)
AGREED = st.builds(
    lambda days: UseTotals(agreed=NOON - timedelta(days=days)), st.sampled_from((0, 29, 30, 31, 40))
)


def related(draw: st.DrawFn) -> tuple[Offer, Offer]:
    """Draw two offers of which one often says a little more than the other."""
    rules, trees = draw(st.lists(RULES, min_size=1, max_size=2)), draw(st.lists(TREES, max_size=2))
    more = [{**one, "constraint": [*one["constraint"], *trees]} for one in rules]
    forbidden = draw(st.lists(RULES, max_size=1))
    narrow, wide = (
        offer(*more, prohibition=forbidden),
        offer(*rules, prohibition=draw(st.just(forbidden[:1]))),
    )
    return (narrow, wide) if draw(st.booleans()) else (wide, narrow)


PAIRS = st.one_of(st.tuples(OFFERS, OFFERS), st.composite(related)())
NEVER = ("never opens", "no day in common")
"""What a policy is refused for when it is read, however it would compare."""


def is_read(policy: Offer) -> bool:
    try:
        compile_policy(policy)
    except PolicyMismatch as error:
        if any(said in str(error) for said in NEVER):
            return False
        raise
    return True


@given(PAIRS, st.lists(st.tuples(USES, AGREED, st.integers(-2, 2)), min_size=8, max_size=8))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_fits_never_permits_a_use_that_the_offer_would_deny(
    pair: tuple[Offer, Offer], uses: list[tuple[Use, UseTotals, int]]
) -> None:
    asked, offered = pair
    assume(is_read(asked) and is_read(offered))
    assert covers(asked, asked) == Fit()
    fits = covers(asked, offered) == Fit()
    event(f"fits: {fits}")
    assert fits or not same_terms(asked, offered)
    request, ours = compile_policy(asked), compile_policy(offered)
    for use, totals, hours in uses if fits else ():
        at = NOON + timedelta(hours=6 * hours)
        if isinstance(decide(request, use, totals, at), Permit):
            assert isinstance(decide(ours, use, totals, at), Permit), (use, totals, at)
