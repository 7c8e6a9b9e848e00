"""Conditions on time and on who asks: when they hold, until when, and what is said when they do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.compiled import compile_policy
from policies.decision import Deny, Permit, decide
from policies.durations import Duration, read_duration
from policies.instants import MOST_STEPS, next_turn
from policies.profile import Operator
from policies.rules import DayLimit, DayTimeLimit
from policies.truth import holds
from policies.use import Claims, Use, UseTotals
from policies.zones import zone, zone_names
from schemas.odrl import Agreement
from schemas.vocab import HANSA, ODRL
from tests.policy_builders import LAB, NOON, allowing, compiled, limit, rule

TICK = timedelta(microseconds=1)
AGREED = datetime(2026, 1, 31, 12, tzinfo=UTC)


def use(**claims: Any) -> Use:
    return Use(LAB, ODRL + "use", None, Claims(**claims))


def agreement(*constraints: dict[str, Any], timestamp: str | None = "2026-01-31T12:00:00Z") -> Any:
    said = {"target": "urn:d", "assigner": "did:web:a.example", "assignee": LAB, "timestamp": timestamp}
    terms = {"@id": "urn:a", "@type": "Agreement", "permission": [rule("use", *constraints)]}
    return compile_policy(Agreement.read({**terms, **said}))


def permit(policy: Any, at: datetime, totals: UseTotals | None = None, asked: Use | None = None) -> Permit:
    decision = decide(policy, asked or use(), totals or UseTotals(), at)
    assert isinstance(decision, Permit), decision
    return decision


def deny(policy: Any, at: datetime, totals: UseTotals | None = None, asked: Use | None = None) -> str:
    decision = decide(policy, asked or use(), totals or UseTotals(), at)
    assert isinstance(decision, Deny), decision
    return "; ".join(map(str, decision.reasons))


def test_a_month_after_the_agreement_ends_by_the_calendar() -> None:
    policy = agreement(limit("odrl:elapsedTime", "lt", "P1M"))
    end = datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert permit(policy, AGREED).limits.until == end
    assert permit(policy, end - TICK).limits.until == end
    assert deny(policy, end) == (
        "use was allowed less than 1 month after the agreement, which was at 2026-01-31T12:00Z, "
        "and it is 2026-02-28T12:00Z; negotiate a new agreement"
    )


def test_at_most_a_duration_includes_its_last_instant() -> None:
    policy = agreement(limit("odrl:elapsedTime", "lteq", "PT1H"))
    assert permit(policy, AGREED + timedelta(hours=1)).limits.until == AGREED + timedelta(hours=1) + TICK
    assert "negotiate" in deny(policy, AGREED + timedelta(hours=1) + TICK)


def test_an_agreement_that_does_not_say_when_it_was_made_permits_nothing_by_elapsed_time() -> None:
    policy = agreement(limit("odrl:elapsedTime", "lteq", "P1D"), timestamp=None)
    assert "it is not known when that was" in deny(policy, NOON)
    assert permit(policy, NOON, UseTotals(agreed=NOON)).limits.until == NOON + timedelta(days=1) + TICK


def test_an_offer_counts_elapsed_time_as_if_it_were_agreed_now() -> None:
    policy = allowing(limit("odrl:elapsedTime", "lteq", "P1D"))
    assert permit(policy, NOON).limits.until == NOON + timedelta(days=1) + TICK


def test_time_since_the_first_delivery_begins_with_the_use_that_is_asked_for() -> None:
    policy = agreement(limit("elapsedSinceDelivery", "lt", "P7D"))
    assert permit(policy, NOON).limits.until == NOON + timedelta(days=7)
    delivered = UseTotals(first_delivery=NOON)
    assert permit(policy, NOON + timedelta(days=6), delivered).limits.until == NOON + timedelta(days=7)
    assert "after the first delivery" in deny(policy, NOON + timedelta(days=7), delivered)


OFFICE = (
    limit("dayOfWeek", "isAnyOf", ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]),
    limit("timeOfDay", "isAnyOf", ["08:00-18:00"]),
    limit("timeZone", "eq", "Europe/Berlin"),
)


def test_office_hours_are_those_of_their_zone_and_end_in_the_evening() -> None:
    policy = allowing(*OFFICE)
    assert permit(policy, NOON).limits.until == datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    text = deny(policy, datetime(2026, 11, 27, 17, 0, tzinfo=UTC))
    assert text == (
        "use is allowed from 08:00 to 18:00 (Europe/Berlin), and there it is Friday 18:00; "
        "ask again from 2026-11-30T07:00Z"
    )


def test_a_window_over_midnight_is_open_on_both_sides_of_it() -> None:
    policy = allowing(limit("timeOfDay", "eq", "22:00-02:00"))
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    for hours in (-2, -0.01, 0, 1.99):
        assert permit(policy, midnight + timedelta(hours=hours)).limits.until == midnight + timedelta(hours=2)
    for hours in (-2.01, 2):
        assert "ask again from" in deny(policy, midnight + timedelta(hours=hours))


def test_a_window_that_begins_in_a_skipped_hour_opens_when_the_clock_jumps() -> None:
    policy = allowing(limit("timeOfDay", "eq", "02:30-05:00"), limit("timeZone", "eq", "Europe/Berlin"))
    jump = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 02:00 becomes 03:00
    assert "ask again from 2026-03-29T01:00Z" in deny(policy, jump - TICK)
    assert permit(policy, jump).limits.until == datetime(2026, 3, 29, 3, 0, tzinfo=UTC)


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    policy = allowing(limit("timeOfDay", "eq", "02:00-02:30"), limit("timeZone", "eq", "Europe/Berlin"))
    first, again = datetime(2026, 10, 25, 0, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
    assert permit(policy, first).limits.until == first + timedelta(minutes=30)
    assert f"ask again from {again:%Y-%m-%dT%H:%MZ}" in deny(policy, first + timedelta(minutes=30))
    assert permit(policy, again).limits.until == again + timedelta(minutes=30)


def test_a_prohibition_that_recurs_ends_the_permit_when_it_begins() -> None:
    policy = compiled(rule("use"), prohibition=[rule("use", limit("dayOfWeek", "eq", "Sunday"))])
    sunday = datetime(2026, 11, 29, tzinfo=UTC)
    assert permit(policy, NOON).limits.until == sunday
    assert "ask again from 2026-11-30T00:00Z" in deny(policy, sunday)


def test_what_never_ends_is_looked_ahead_for_a_bounded_time_only() -> None:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    never = {"or": [limit("dayOfWeek", "isAnyOf", days[:1]), limit("dayOfWeek", "isAnyOf", days[1:])]}
    until = permit(allowing(never), NOON).limits.until  # on a Monday; both turn twice a week
    assert until == datetime(2026, 11, 24, tzinfo=UTC) + timedelta(weeks=MOST_STEPS // 2 - 1, days=6)


def test_the_ends_of_the_calendar_are_decided_like_other_days() -> None:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    far = limit("timeZone", "eq", "Pacific/Kiritimati")
    last = limit("odrl:dateTime", "lt", "9999-12-31T23:00:00Z")
    until = permit(allowing(limit("dayOfWeek", "isAnyOf", days), far, last), NOON).limits.until
    assert until == datetime(9999, 12, 31, 23, tzinfo=UTC)
    open_hours = limit("timeOfDay", "isAnyOf", ["08:00-18:00"])
    for at in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        for zone_name in ("Pacific/Kiritimati", "America/Los_Angeles"):
            policy = allowing(open_hours, limit("timeZone", "eq", zone_name))
            assert isinstance(decide(policy, use(), UseTotals(), at), Permit | Deny)


def test_what_is_always_open_never_ends() -> None:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    assert permit(allowing(limit("dayOfWeek", "isAnyOf", days)), NOON).limits.until is None
    halves = limit("timeOfDay", "isAnyOf", ["12:00-00:00", "00:00-06:00", "05:00-12:00"])
    berlin = limit("timeZone", "eq", "Europe/Berlin")
    assert permit(allowing(halves, berlin), NOON).limits.until is None
    most = limit("timeOfDay", "isAnyOf", ["12:00-00:00", "00:00-11:59"])
    until = permit(allowing(most), NOON).limits.until
    assert until == datetime(2026, 11, 24, 11, 59, tzinfo=UTC)


windows = st.lists(
    st.tuples(st.times().map(lambda t: t.replace(second=0, microsecond=0)), st.times()),
    min_size=1,
    max_size=3,
).map(lambda found: tuple((start, end.replace(second=0, microsecond=0)) for start, end in found))
moments = st.integers(0, 15 * 366 * 24 * 60).map(
    lambda n: AGREED - timedelta(days=2000) + timedelta(minutes=n)
)
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
)


@settings(max_examples=150, deadline=None)
@given(windows, zones, moments, st.integers(0, 2 * 24 * 60))
def test_nothing_turns_before_the_next_instant_that_is_named(
    found: Any, name: str, at: datetime, minutes: int
) -> None:
    for condition in (DayTimeLimit(found, name, "p"), DayLimit((0, 3), name, "p")):
        turn = next_turn(condition, UseTotals(), at, at)
        assert turn is None or turn > at
        later = at + timedelta(minutes=minutes)
        between = later if turn is None else min(later, turn - TICK)
        assert holds(condition, use(), UseTotals(), between) == holds(condition, use(), UseTotals(), at)


def test_every_zone_of_the_table_can_be_read() -> None:
    assert {"UTC", "Europe/Berlin", "America/Argentina/Ushuaia"} <= zone_names()
    assert all(NOON.astimezone(zone(name)) == NOON for name in zone_names())


@pytest.mark.parametrize(
    ("constraint", "yes", "no", "unknown"),
    [
        (
            limit("participantGroup", "isPartOf", "labs"),
            {"groups": frozenset({"labs"})},
            {"listed": True},
            {},
        ),
        (
            limit("credential/sme", "eq", "true"),
            {"credentials": (("sme", "true"),)},
            {"credentials": (("sme", "no"),), "listed": True},
            {"credentials": (("other", "true"),)},
        ),
        (limit("odrl:spatial", "isPartOf", "EU"), {"region": "DE"}, {"region": "US"}, {"region": "EUROPE"}),
        (limit("odrl:spatial", "isPartOf", "DE"), {"region": "DE-BY"}, {"region": "FR"}, {"region": "EU"}),
        (limit("odrl:spatial", "eq", "EU"), {"region": "EU"}, {"region": "US"}, {"region": "DE"}),
        (limit("odrl:spatial", "isAnyOf", ["CH", "EEA"]), {"region": "NO"}, {"region": "GB"}, {}),
        (
            limit("environment", "eq", "federated-only"),
            {"environment": "federated-only"},
            {"environment": "cloud"},
            {},
        ),
    ],
)
def test_what_is_not_known_of_the_caller_never_grants_and_never_lifts_a_prohibition(
    constraint: dict[str, Any], yes: dict[str, Any], no: dict[str, Any], unknown: dict[str, Any]
) -> None:
    allowed = allowing(constraint)
    barred = compiled(rule("use"), prohibition=[rule("use", constraint)])
    assert isinstance(decide(allowed, use(**yes), UseTotals(), NOON), Permit)
    assert isinstance(decide(allowed, use(**no), UseTotals(), NOON), Deny)
    assert isinstance(decide(allowed, use(**unknown), UseTotals(), NOON), Deny)
    assert isinstance(decide(barred, use(**yes), UseTotals(), NOON), Deny)
    assert isinstance(decide(barred, use(**no), UseTotals(), NOON), Permit)
    assert isinstance(decide(barred, use(**unknown), UseTotals(), NOON), Deny)


def test_what_is_counted_is_left_over_and_used_up_with_the_use_that_asks() -> None:
    policy = allowing(
        limit("odrl:count", "lteq", 5), limit("byteCount", "lteq", 100), limit("rate", "lteq", "10/PT1M")
    )
    limits = permit(policy, NOON, UseTotals(requests=4, bytes=99)).limits
    assert (limits.requests, limits.bytes, limits.rows) == (1, 1, None)
    assert limits.rate is not None
    assert (limits.rate.rows, limits.rate.period) == (10, timedelta(minutes=1))
    assert deny(policy, NOON, UseTotals(requests=5, bytes=100)) == (
        "100 of 100 bytes of this agreement are used up; negotiate a new agreement; "
        "5 of 5 requests of this agreement are used up; negotiate a new agreement"
    )


def test_permissions_that_hold_and_count_alike_join_and_the_first_to_cease_ends_the_permit() -> None:
    policy = compiled(
        rule("use", limit("column/age", "gteq", 18)),
        rule("use", limit("columns", "isAnyOf", ["age"]), limit("dateTime", "lt", "2026-12-01")),
        rule("use", limit("rowCount", "lteq", 5)),
        rule("use", limit("aggregateOnly", "eq", True)),
        rule(HANSA + "train"),
        rule("use", limit("dateTime", "lt", "2026-01-01")),
    )
    decision = permit(policy, NOON)
    assert (decision.rule, decision.rules) == (0, (0, 1))
    assert len(decision.plan.branches) == 2
    assert decision.limits.until == datetime(2026, 12, 1, tzinfo=UTC)


def test_statistics_alone_are_never_joined_with_rows() -> None:
    policy = compiled(rule("use", limit("aggregateOnly", "eq", True)), rule("use"))
    decision = permit(policy, NOON)
    assert decision.rules == (0,)
    assert decision.plan.aggregate is not None


def test_a_prohibition_on_rows_excludes_them_unless_it_surely_does_not_apply() -> None:
    minors = limit("column/age", "lt", 18)
    plain = compiled(rule("use"), prohibition=[rule("use", minors)])
    assert len(permit(plain, NOON).plan.excluded) == 1
    by_group = compiled(
        rule("use"), prohibition=[rule("use", minors, limit("participantGroup", "isPartOf", "labs"))]
    )
    assert len(permit(by_group, NOON).plan.excluded) == 1
    assert permit(by_group, NOON, asked=use(listed=True)).plan.excluded == ()
    later = compiled(rule("use"), prohibition=[rule("use", minors, limit("dateTime", "gteq", "2026-12-01"))])
    now = permit(later, NOON)
    assert (now.plan.excluded, now.limits.until) == ((), datetime(2026, 12, 1, tzinfo=UTC))


def test_rows_of_a_forbidden_region_stay_unless_they_surely_lie_outside_it() -> None:
    policy = compiled(rule("use"), prohibition=[rule("use", limit("rowSpatial/country", "isPartOf", "EU"))])
    ((comparison,),) = permit(policy, NOON).plan.excluded
    assert comparison.operator is Operator.IS_NONE_OF
    assert {"US", "CH"} <= set(comparison.values)
    assert not {"DE", "EU", "DE-BY", "nowhere"} & set(comparison.values)


@pytest.mark.parametrize(
    "text", ["P1Y", "P1Y2M3DT4H5M6S", "PT0.5S", "P2W", "PT36H", "P14D", "PT1M30S", "P1M", "P100Y"]
)
def test_a_duration_comes_back_as_it_was_meant(text: str) -> None:
    assert read_duration(read_duration(text, "p").text, "p") == read_duration(text, "p")


@pytest.mark.parametrize("text", ["P", "PT", "P1", "1D", "-P1D", "P1.5D", "P1DT", "P1H", "p1d", "P९D"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="is not a duration"):
        read_duration(text, "p")


def test_a_duration_past_the_calendar_has_no_end() -> None:
    assert Duration(12 * 100, timedelta(0)).after(datetime(9950, 1, 1, tzinfo=UTC)) is None
    assert Duration(0, timedelta(days=1)).after(datetime.max.replace(tzinfo=UTC)) is None
