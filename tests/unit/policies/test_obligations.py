from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policies.kinds.durations import Duration
from policies.obligations import MOST_DATES, Obligation, due, due_dates, obligations_of, overdue
from schemas.vocab import ODRL
from tests.policy_builders import compiled, limit, rule

POLICY = compiled(
    rule("use"),
    obligation=[
        rule("odrl:attribute"),
        rule("delete", limit("dateTime", "lteq", "2026-12-31"), limit("dateTime", "lt", "2027-06-01")),
        rule("inform", limit("dateTime", "lt", "2026-12-01T00:00Z")),
    ],
)
END_OF_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def test_of_several_dates_the_earliest_counts_and_without_one_there_is_none() -> None:
    assert [(item.action, item.before) for item in obligations_of(POLICY)] == [
        (ODRL + "attribute", None),
        (ODRL + "delete", END_OF_YEAR),
        (ODRL + "inform", datetime(2026, 12, 1, tzinfo=UTC)),
    ]


def test_an_obligation_is_due_up_to_its_instant_and_overdue_from_it_on() -> None:
    every = obligations_of(POLICY)
    just_before = END_OF_YEAR - timedelta(microseconds=1)
    assert [item.action for item in due(every, datetime(2026, 11, 1, tzinfo=UTC))] == [
        ODRL + "inform",
        ODRL + "delete",
    ]
    assert [item.action for item in due(every, just_before)] == [ODRL + "delete"]
    assert [item.action for item in overdue(every, just_before)] == [ODRL + "inform"]
    assert [item.action for item in overdue(every, END_OF_YEAR)] == [ODRL + "inform", ODRL + "delete"]
    assert due(every, END_OF_YEAR) == ()


AGREED = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def only(*constraints: dict[str, Any]) -> Obligation:
    (found,) = obligations_of(compiled(rule("use"), obligation=[rule("delete", *constraints)]))
    return found


def test_a_delay_counts_from_the_last_delivery_and_is_owed_by_nobody_before() -> None:
    delete = only(limit("odrl:delayPeriod", "lteq", "P1M"))
    assert due_dates(delete, AGREED, None, None, AGREED) == ()
    first, last = AGREED, AGREED + timedelta(days=1)
    assert due_dates(delete, AGREED, first, first, last) == (datetime(2026, 2, 28, 12, tzinfo=UTC),)
    assert due_dates(delete, AGREED, first, last, last) == (datetime(2026, 3, 1, 12, tzinfo=UTC),)


def test_beside_a_fixed_date_the_earlier_one_counts() -> None:
    delete = only(limit("odrl:delayPeriod", "lteq", "P30D"), limit("dateTime", "lt", "2026-02-10T00:00:00Z"))
    fixed = datetime(2026, 2, 10, tzinfo=UTC)
    assert due_dates(delete, AGREED, None, None, AGREED) == (fixed,)
    assert due_dates(delete, AGREED, AGREED, AGREED, AGREED) == (fixed,)
    early = AGREED - timedelta(days=29)
    assert due_dates(delete, early, early, early, AGREED) == (AGREED + timedelta(days=1),)


def test_what_repeats_is_due_at_calendar_intervals_after_the_agreement_once_something_was_delivered() -> None:
    inform = only(limit("odrl:timeInterval", "eq", "P1M"))
    assert due_dates(inform, AGREED, None, None, AGREED + timedelta(days=200)) == ()
    delivered = datetime(2026, 3, 5, tzinfo=UTC)
    at = datetime(2026, 5, 1, tzinfo=UTC)
    assert due_dates(inform, AGREED, delivered, delivered, at) == (
        datetime(2026, 3, 31, 12, tzinfo=UTC),
        datetime(2026, 4, 30, 12, tzinfo=UTC),
        datetime(2026, 5, 31, 12, tzinfo=UTC),
    )


def test_what_repeats_ends_with_its_fixed_date() -> None:
    until = limit("dateTime", "lt", "2026-02-10T00:00:00Z")
    inform = only(limit("odrl:timeInterval", "eq", "P4D"), until)
    dates = due_dates(inform, AGREED, AGREED, AGREED, AGREED + timedelta(days=300))
    assert dates == (AGREED + timedelta(days=4), AGREED + timedelta(days=8))


def test_of_very_many_dates_the_latest_are_told() -> None:
    inform = only(limit("odrl:timeInterval", "eq", "PT1H"))
    at = AGREED + timedelta(days=365 * 20, minutes=30)
    dates = due_dates(inform, AGREED, AGREED, AGREED, at)
    assert len(dates) == MOST_DATES + 1
    assert dates[-2:] == (at - timedelta(minutes=30), at + timedelta(minutes=30))


@given(st.integers(1, 40), st.integers(1, 400), st.integers(0, 4000), st.integers(0, 4000))
def test_exactly_one_date_of_what_repeats_lies_ahead(every: int, months: int, first: int, later: int) -> None:
    for duration in (Duration(0, timedelta(days=every)), Duration(months % 30 + 1, timedelta(0))):
        item = Obligation("urn:a", "p", every=duration)
        delivered = AGREED + timedelta(days=first)
        at = delivered + timedelta(days=later)
        dates = due_dates(item, AGREED, delivered, delivered, at)
        assert list(dates) == sorted(set(dates))
        assert sum(date > at for date in dates) == 1
        assert all(date > delivered for date in dates)
