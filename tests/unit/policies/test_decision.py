from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.compiled import CompiledPolicy, compile_policy
from policies.decision import Deny, Permit, decide
from policies.profile import EVALUATE, FINE_TUNE, PURPOSES, TRAIN, USE, do_purposes_overlap
from policies.reasons import Reason
from policies.use import Use, UseTotals
from policies.words.language import message
from schemas.errors import Malformed
from schemas.odrl import Agreement
from schemas.vocab import DPV, HANSA, ODRL
from tests.policy_builders import LAB, NOON, RESEARCH, allowing, compiled, limit, rule, use

NOTHING = UseTotals()
TICK = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)


def permit(policy: CompiledPolicy, asked: Use, at: datetime = NOON, totals: UseTotals = NOTHING) -> Permit:
    decision = decide(policy, asked, totals, at)
    assert isinstance(decision, Permit), decision
    return decision


def deny(policy: CompiledPolicy, asked: Use, at: datetime = NOON, totals: UseTotals = NOTHING) -> list[str]:
    decision = decide(policy, asked, totals, at)
    assert isinstance(decision, Deny), decision
    assert decision.reasons
    return [str(reason) for reason in decision.reasons]


# --- actions


def test_what_is_not_permitted_is_denied() -> None:
    assert deny(compiled(rule("hansa:train")), use(EVALUATE)) == [
        "action hansa:evaluate is not permitted; ask for hansa:train"
    ]


def test_a_permission_covers_narrower_actions_but_not_wider_ones() -> None:
    policy = compiled(rule("hansa:train"))
    permit(policy, use(TRAIN))
    permit(policy, use(FINE_TUNE))
    assert deny(policy, use(USE))


def test_a_policy_of_prohibitions_alone_denies_every_use() -> None:
    policy = compiled(prohibition=[rule("hansa:train")])
    assert deny(policy, use(EVALUATE)) == ["the policy permits nothing; ask for an offer with a permission"]


@pytest.mark.parametrize("action", ["urn:unknown", "train", ODRL + "distribute", ODRL + "delete", ""])
def test_an_action_that_nobody_can_grant_is_denied_even_where_all_use_is_permitted(action: str) -> None:
    (reason,) = deny(allowing(), Use(LAB, action))
    assert "cannot be granted here; use odrl:use, hansa:train" in reason


# --- prohibitions


def test_a_prohibition_beats_a_permission_whatever_their_order() -> None:
    policy = compiled(rule("use"), prohibition=[rule("hansa:train")])
    permit(policy, use(EVALUATE))
    assert deny(policy, use(FINE_TUNE)) == ["hansa:train is prohibited"]


def test_asking_for_a_wide_action_meets_the_prohibition_of_a_narrow_one_and_says_what_to_ask_for() -> None:
    policy = compiled(rule("use"), prohibition=[rule("hansa:fineTune")])
    assert deny(policy, use(TRAIN)) == [
        "hansa:fineTune is prohibited, and hansa:train includes it; ask for hansa:trainGenerative instead"
    ]
    assert deny(policy, use(USE)) == [
        "hansa:fineTune is prohibited, and odrl:use includes it; "
        "ask for hansa:trainGenerative, hansa:evaluate, hansa:analyse or hansa:rag instead"
    ]


def test_a_promise_not_to_hand_data_on_denies_no_use() -> None:
    permit(compiled(rule("use"), prohibition=[rule("odrl:distribute")]), use(USE))


def test_a_prohibition_for_a_purpose_holds_for_that_purpose_alone() -> None:
    policy = compiled(rule("use"), prohibition=[rule("use", limit("purpose", "isA", "dpv:Marketing"))])
    permit(policy, use())
    assert deny(policy, use(purpose=DPV + "DirectMarketing")) == [
        "odrl:use is prohibited for a purpose under dpv:Marketing; "
        "state another purpose, for example dpv:ScientificResearch"
    ]


@pytest.mark.parametrize("purpose", [None, "urn:unknown", DPV + "Purpose"], ids=["none", "unknown", "wide"])
def test_a_prohibition_that_cannot_be_judged_applies(purpose: str | None) -> None:
    policy = compiled(rule("use"), prohibition=[rule("use", limit("purpose", "isA", "dpv:Marketing"))])
    (reason,) = deny(policy, use(purpose=purpose))
    assert "leaves open whether that is so" in reason
    assert "state another purpose" in reason


def test_a_prohibition_with_a_window_ends_a_permit_before_it_begins() -> None:
    policy = compiled(
        rule("use"),
        prohibition=[
            rule("use", limit("dateTime", "gteq", "2026-12-01"), limit("dateTime", "lt", "2026-12-05"))
        ],
    )
    assert permit(policy, use()).limits.until == datetime(2026, 12, 1, tzinfo=UTC)
    (reason,) = deny(policy, use(), at=datetime(2026, 12, 2, tzinfo=UTC))
    assert reason.endswith("; ask again from 2026-12-05T00:00Z")
    assert permit(policy, use(), at=datetime(2026, 12, 5, tzinfo=UTC)).limits.until is None


# --- time


@pytest.mark.parametrize(
    ("operator", "value", "first", "last"),
    [
        ("gteq", "2026-12-01T00:00Z", datetime(2026, 12, 1, tzinfo=UTC), None),
        ("gt", "2026-12-01T00:00Z", datetime(2026, 12, 1, tzinfo=UTC) + TICK, None),
        ("lt", "2026-12-01T00:00Z", None, datetime(2026, 12, 1, tzinfo=UTC) - TICK),
        ("lteq", "2026-12-01T00:00Z", None, datetime(2026, 12, 1, tzinfo=UTC)),
        (
            "eq",
            "2026-12-01T00:00Z",
            datetime(2026, 12, 1, tzinfo=UTC),
            datetime(2026, 12, 1, tzinfo=UTC),
        ),
        ("gteq", "2026-12-01", datetime(2026, 12, 1, tzinfo=UTC), None),
        ("gt", "2026-12-01", datetime(2026, 12, 2, tzinfo=UTC), None),
        ("lt", "2026-12-01", None, datetime(2026, 12, 1, tzinfo=UTC) - TICK),
        ("lteq", "2026-12-01", None, datetime(2026, 12, 2, tzinfo=UTC) - TICK),
        ("eq", "2026-12-01", datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC) - TICK),
    ],
)
def test_a_window_opens_and_closes_at_its_very_instants(
    operator: str, value: str, first: datetime | None, last: datetime | None
) -> None:
    policy = allowing(limit("dateTime", operator, value))
    if first is not None:
        permit(policy, use(), at=first)
        assert deny(policy, use(), at=first - TICK)
    if last is not None:
        assert permit(policy, use(), at=last).limits.until == last + TICK
        assert deny(policy, use(), at=last + TICK)


def test_a_time_without_a_zone_is_utc_and_other_zones_are_the_same_instant() -> None:
    policy = allowing(limit("dateTime", "lt", "2026-12-01T00:00"))
    berlin = datetime.fromisoformat("2026-12-01T00:59:59+01:00")
    permit(policy, use(), at=berlin)
    assert deny(policy, use(), at=berlin + SECOND)


def test_before_the_window_the_answer_says_when_to_ask_again() -> None:
    policy = allowing(limit("dateTime", "gteq", "2026-12-01T00:00:00Z"))
    assert deny(policy, use()) == [
        "use is allowed from 2026-12-01T00:00Z on, and it is 2026-11-23T12:00Z; "
        "ask again from 2026-12-01T00:00Z"
    ]


def test_after_the_window_the_answer_asks_for_a_new_agreement() -> None:
    policy = allowing(limit("dateTime", "lteq", "2026-11-22"))
    assert deny(policy, use()) == [
        "use was allowed up to and including 2026-11-22, and it is 2026-11-23T12:00Z; "
        "negotiate a new agreement"
    ]


def test_a_time_without_a_zone_cannot_be_decided_for() -> None:
    with pytest.raises(Malformed, match="has no zone"):
        decide(allowing(), use(), NOTHING, NOON.replace(tzinfo=None))


def test_of_two_windows_either_may_hold_and_a_permit_ends_with_the_later_of_them() -> None:
    policy = allowing({"or": [limit("dateTime", "lt", "2026-12-01"), limit("dateTime", "lt", "2027-01-01")]})
    assert permit(policy, use()).limits.until == datetime(2027, 1, 1, tzinfo=UTC)


def test_a_permit_ends_where_exactly_one_window_no_longer_holds() -> None:
    windows = [limit("dateTime", "gteq", "2026-01-01"), limit("dateTime", "gteq", "2026-12-01")]
    policy = allowing({"xone": windows})
    assert permit(policy, use()).limits.until == datetime(2026, 12, 1, tzinfo=UTC)
    (reason,) = deny(policy, use(), at=datetime(2027, 1, 1, tzinfo=UTC))
    assert reason == "not exactly one of these holds: from 2026-01-01 on; from 2026-12-01 on"


# --- purpose


@pytest.mark.parametrize("operator", ["isA", "isAnyOf"])
def test_a_purpose_covers_what_lies_under_it(operator: str) -> None:
    policy = allowing(limit("purpose", operator, "dpv:ResearchAndDevelopment"))
    permit(policy, use(purpose=RESEARCH))
    permit(policy, use(purpose=DPV + "ResearchAndDevelopment"))
    assert deny(policy, use(purpose=DPV + "Marketing")) == [
        "purpose dpv:Marketing does not fit: use is allowed for a purpose under dpv:ResearchAndDevelopment; "
        "use a purpose under dpv:ResearchAndDevelopment, for example dpv:ScientificResearch"
    ]
    assert deny(policy, use(purpose=DPV + "Purpose"))


def test_an_exact_purpose_covers_nothing_else() -> None:
    policy = allowing(limit("purpose", "eq", "dpv:ResearchAndDevelopment"))
    permit(policy, use(purpose=DPV + "ResearchAndDevelopment"))
    (reason,) = deny(policy, use(purpose=RESEARCH))
    assert reason.endswith("; use the purpose dpv:ResearchAndDevelopment")


@pytest.mark.parametrize("operator", ["isA", "isAnyOf", "isNoneOf", "eq"])
@pytest.mark.parametrize("purpose", [None, "urn:unknown", "ScientificResearch"])
def test_a_purpose_that_is_missing_or_unknown_never_grants(operator: str, purpose: str | None) -> None:
    assert deny(allowing(limit("purpose", operator, "dpv:Purpose")), use(purpose=purpose))


def test_a_purpose_that_leaves_open_whether_it_is_excluded_does_not_pass() -> None:
    policy = allowing(limit("purpose", "isNoneOf", ["dpv:CommercialPurpose"]))
    permit(policy, use(purpose=RESEARCH))
    assert deny(policy, use(purpose=DPV + "CommercialResearch"))
    (reason,) = deny(
        policy, use(purpose=DPV + "ResearchAndDevelopment")
    )  # commercial research lies under both
    assert reason.endswith(
        "use a purpose wholly outside dpv:CommercialPurpose, for example dpv:ScientificResearch"
    )


def test_a_purpose_never_stated_is_asked_for_once() -> None:
    policy = allowing(
        limit("purpose", "isA", "dpv:ResearchAndDevelopment"),
        limit("purpose", "isNoneOf", ["dpv:CommercialPurpose"]),
    )
    (reason,) = deny(policy, use(purpose=None))
    assert reason.startswith("no purpose is stated")


@given(
    allowed=st.lists(st.sampled_from(PURPOSES), min_size=1, max_size=3),
    barred=st.lists(st.sampled_from(PURPOSES), max_size=2),
    asked=st.none() | st.sampled_from(PURPOSES),
)
def test_the_purpose_that_a_denial_proposes_is_then_permitted(
    allowed: list[str], barred: list[str], asked: str | None
) -> None:
    policy = compiled(
        rule("use", limit("purpose", "isAnyOf", allowed)),
        prohibition=[rule("use", limit("purpose", "isA", item)) for item in barred],
    )
    decision = decide(policy, use(purpose=asked), NOTHING, NOON)
    if isinstance(decision, Permit):
        assert not any(do_purposes_overlap(asked or "", item) for item in barred)
        return
    for reason in decision.reasons:
        _, example, proposed = (reason.fix or "").partition("for example dpv:")
        if example:
            permit(policy, use(purpose=DPV + proposed))


# --- participants


def test_only_the_named_participants_may_use_the_data() -> None:
    for policy in (
        allowing(limit("participant", "isAnyOf", [LAB])),
        allowing(limit("participant", "eq", LAB)),
    ):
        permit(policy, use())
        assert deny(policy, use(participant="did:web:other.example")) == [
            "did:web:other.example is not among the participants of this permission; it is open to " + LAB
        ]
        assert deny(policy, use(participant=""))


def test_a_prohibition_for_a_participant_applies_to_one_who_has_no_name() -> None:
    policy = compiled(
        rule("use"), prohibition=[rule("use", limit("participant", "eq", "did:web:bad.example"))]
    )
    permit(policy, use())
    assert deny(policy, use(participant="did:web:bad.example"))
    assert deny(policy, use(participant=""))


def test_an_agreement_is_for_its_assignee_alone() -> None:
    agreement = compile_policy(
        Agreement.read(
            {
                "@id": "urn:agreement",
                "permission": [rule("use")],
                "target": "urn:data",
                "assigner": "did:web:hospital.example",
                "assignee": LAB,
            }
        )
    )
    permit(agreement, use())
    assert deny(agreement, use(participant="did:web:other.example")) == [
        f"the policy is for {LAB}, not for did:web:other.example; negotiate an agreement of your own"
    ]


# --- rows


def test_a_row_limit_counts_down_to_nothing() -> None:
    policy = allowing(limit("rowCount", "lteq", "1000"), limit("rowCount", "lteq", "2000"))
    assert permit(policy, use()).limits.rows == 1000
    assert permit(policy, use(), totals=UseTotals(999)).limits.rows == 1
    for used in (1000, 1001):
        assert deny(policy, use(), totals=UseTotals(used)) == [
            f"{used:,} of 1,000 rows of this agreement are used up; negotiate a new agreement"
        ]


def test_without_a_row_limit_any_number_may_be_released() -> None:
    assert permit(allowing(), use(), totals=UseTotals(10**12)).limits.rows is None


def test_totals_are_never_negative() -> None:
    with pytest.raises(Malformed, match="-1 rows"):
        UseTotals(-1)


# --- several permissions, combinations


def test_the_first_permission_that_holds_decides_and_limits_are_not_mixed() -> None:
    policy = compiled(
        rule("use", limit("purpose", "isA", "dpv:Marketing"), limit("rowCount", "lteq", "5")),
        rule("use", limit("purpose", "isA", "dpv:Purpose"), limit("columns", "isAnyOf", ["age"])),
        rule("use"),
    )
    found = permit(policy, use())
    assert (found.rule, found.limits.rows, found.plan.branches[0].columns) == (1, None, ("age",))
    assert permit(policy, use(purpose=DPV + "Marketing")).limits.rows == 5
    assert permit(policy, use(purpose=DPV + "Marketing"), totals=UseTotals(5)).rule == 1
    assert permit(policy, use(purpose=None)).rule == 2


def test_every_failing_condition_is_told() -> None:
    policy = allowing(
        limit("purpose", "isA", "dpv:Marketing"),
        limit("dateTime", "lt", "2026-01-01"),
        limit("participant", "eq", "did:web:other.example"),
        limit("rowCount", "lteq", "1"),
    )
    decision = decide(policy, use(), UseTotals(1), NOON)
    assert isinstance(decision, Deny)
    assert [reason.term for reason in decision.reasons] == [
        "odrl:purpose",
        "odrl:dateTime",
        "hansa:participant",
        "hansa:rowCount",
    ]


TRUE = limit("dateTime", "gteq", "2026-01-01")
FALSE = limit("dateTime", "lt", "2026-01-01")
UNKNOWN = limit("purpose", "isA", "dpv:Marketing")


@pytest.mark.parametrize(
    ("form", "parts", "state"),
    [
        ("and", [TRUE, TRUE], True),
        ("and", [TRUE, FALSE], False),
        ("and", [UNKNOWN, FALSE], False),
        ("and", [TRUE, UNKNOWN], None),
        ("or", [FALSE, TRUE], True),
        ("or", [UNKNOWN, TRUE], True),
        ("or", [FALSE, FALSE], False),
        ("or", [FALSE, UNKNOWN], None),
        ("xone", [TRUE, FALSE], True),
        ("xone", [TRUE, TRUE], False),
        ("xone", [TRUE, TRUE, UNKNOWN], False),
        ("xone", [TRUE, UNKNOWN], None),
        ("xone", [FALSE, UNKNOWN], None),
        ("xone", [FALSE, FALSE], False),
    ],
)
def test_combinations_know_three_values(form: str, parts: list[dict[str, Any]], state: bool | None) -> None:
    inside = {"or": [{form: parts}]}  # under an `or`, so that an `and` stays a combination
    asked = use(purpose=None)
    granted = decide(allowing(inside), asked, NOTHING, NOON)
    assert isinstance(granted, Permit) == (state is True)
    forbidden = decide(compiled(rule("use"), prohibition=[rule("use", inside)]), asked, NOTHING, NOON)
    assert isinstance(forbidden, Deny) == (state is not False)


def test_a_failing_combination_says_what_would_make_it_pass() -> None:
    policy = allowing(
        {"or": [limit("purpose", "isA", "dpv:Marketing"), limit("dateTime", "gteq", "2026-12-01")]}
    )
    (reason,) = deny(policy, use())
    assert reason.startswith("none of these holds: for a purpose under dpv:Marketing; from 2026-12-01 on; ")
    assert "use a purpose under dpv:Marketing, for example dpv:Advertising" in reason
    assert ", or ask again from 2026-12-01T00:00Z" in reason


constraints = st.sampled_from(
    [
        TRUE,
        limit("participant", "eq", "did:web:nobody.example"),
        UNKNOWN,
        limit("purpose", "isA", "dpv:ResearchAndDevelopment"),
        limit("purpose", "isNoneOf", ["dpv:Marketing"]),
        limit("participant", "eq", LAB),
        limit("dateTime", "lt", "2026-11-23T12:00:05Z"),
        limit("rowCount", "lteq", 7),
        limit("columns", "isAnyOf", ["age"]),
    ]
)
rules = st.lists(
    st.builds(lambda parts: rule("use", *parts), st.lists(constraints, max_size=4)), min_size=1, max_size=3
)
uses = st.builds(
    Use,
    st.sampled_from([LAB, "did:web:other.example", ""]),
    st.sampled_from([USE, TRAIN, HANSA + "analyse", "urn:unknown"]),
    st.none() | st.sampled_from([*PURPOSES, "urn:unknown"]),
)


@given(rules, uses, st.integers(0, 9), constraints)
def test_one_more_condition_never_permits_more(
    permissions: list[dict[str, Any]], asked: Use, used: int, more: dict[str, Any]
) -> None:
    tighter = [rule("use", *permission["constraint"], more) for permission in permissions]
    wide = decide(compiled(*permissions), asked, UseTotals(used), NOON)
    if isinstance(wide, Deny):
        assert isinstance(decide(compiled(*tighter), asked, UseTotals(used), NOON), Deny)


@given(rules, uses)
def test_saying_no_purpose_is_never_permitted_more_than_saying_any(
    permissions: list[dict[str, Any]], asked: Use
) -> None:
    policy = compiled(*permissions)
    silent = Use(asked.participant, asked.action, None)
    if isinstance(decide(policy, silent, NOTHING, NOON), Permit):
        assert isinstance(decide(policy, asked, NOTHING, NOON), Permit)


@given(rules, uses, st.integers(0, 9))
def test_a_permit_holds_until_the_instant_that_it_names(
    permissions: list[dict[str, Any]], asked: Use, used: int
) -> None:
    policy = compiled(*permissions)
    decision = decide(policy, asked, UseTotals(used), NOON)
    if isinstance(decision, Permit) and decision.limits.until is not None:
        last = decide(policy, asked, UseTotals(used), decision.limits.until - TICK)
        assert isinstance(last, Permit)
        after = decide(policy, asked, UseTotals(used), decision.limits.until)
        assert isinstance(after, Deny) or after.rules != decision.rules


def test_a_reason_reads_as_text_and_fix() -> None:
    assert str(Reason(message("why.nothing"), message("fix.new"), "odrl:dateTime")) == (
        "the policy permits nothing; negotiate a new agreement"
    )
    assert str(Reason(message("why.nothing"), None, "odrl:dateTime")) == "the policy permits nothing"
