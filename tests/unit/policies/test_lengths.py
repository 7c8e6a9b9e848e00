"""Durations with months in them: what every start agrees on is said, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.algebra.lengths import (
    Incomparable,
    Length,
    Months,
    after,
    is_no_longer,
    is_shorter,
    length,
    spelt,
)

DAYS = timedelta(days=1)


@pytest.mark.parametrize(
    ("months", "days", "shorter", "no_longer"),
    [
        (1, 27, False, False),
        (1, 28, False, None),
        (1, 30, None, None),
        (1, 31, None, True),
        (1, 32, True, True),
        (5, 149, False, False),
        (5, 150, False, None),
        (5, 153, None, True),
        (9, 276, None, True),
        (12, 365, False, None),
        (12, 366, None, True),
        (4800, 146_097, False, True),
        (10**9, 999_999_999, False, False),
        (-1, -27, True, True),
        (-1, -28, None, True),
    ],
)
def test_months_are_longer_than_days_only_where_every_start_says_so(
    months: int, days: int, shorter: bool | None, no_longer: bool | None
) -> None:
    one, other = Months(months), days * DAYS
    assert (is_shorter(one, other), is_no_longer(one, other)) == (shorter, no_longer)
    if shorter is None:
        with pytest.raises(Incomparable, match="depends on where they start"):
            _ = one < other
    else:
        assert (one < other) is shorter
        assert (other > one) is shorter


def test_years_are_twelve_months_and_the_rest_of_both_counts() -> None:
    assert Months(12) == Months(12)
    assert is_shorter(Months(1), Months(2)) is True
    assert is_shorter(Months(2), Months(1, 28 * DAYS)) is False
    assert is_no_longer(Months(2), Months(1, 30 * DAYS)) is None
    assert is_no_longer(Months(2), Months(1, 31 * DAYS)) is True
    assert Months(1) + 3 * DAYS + Months(2, DAYS) == Months(3, 4 * DAYS)
    assert Months(1, DAYS) + Months(-1) == DAYS


@pytest.mark.parametrize(
    ("months", "rest", "text"),
    [(14, timedelta(), "P1Y2M"), (1, timedelta(days=1, seconds=1.5), "P1M1DT1.5S"), (-12, -DAYS, "-P1Y1D"),
     (0, timedelta(), "PT0S"), (0, 30 * DAYS, "P30D"), (0, timedelta(seconds=90), "PT90S")],
)  # fmt: skip
def test_a_duration_is_written_in_one_way(months: int, rest: timedelta, text: str) -> None:
    assert spelt(length(months, rest)) == text


def test_from_an_instant_months_end_by_the_calendar() -> None:
    new_year = datetime(2027, 1, 31, 12, tzinfo=UTC)
    assert after(new_year, Months(1)) == datetime(2027, 2, 28, 12, tzinfo=UTC)
    assert after(new_year, Months(13, DAYS)) == datetime(2028, 3, 1, 12, tzinfo=UTC)
    assert after(new_year, Months(-11)) == datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert after(new_year, Months(10**6)) is None
    assert after(new_year, timedelta.max) is None


_LENGTHS = st.builds(length, st.integers(-60, 60), st.integers(-400, 400).map(lambda days: days * DAYS))
_STARTS = st.builds(
    lambda year, month: datetime(year, month, 1, tzinfo=UTC), st.integers(1800, 2400), st.integers(1, 12)
)
"""From the first of a month: later in it, the ends of short months move both."""


@given(_LENGTHS, _LENGTHS, _STARTS)
def test_what_is_said_of_two_durations_holds_from_every_start(
    one: Length, other: Length, start: datetime
) -> None:
    mine, theirs = after(start, one), after(start, other)
    assert mine is not None
    assert theirs is not None
    assert is_shorter(one, other) in (None, mine < theirs)
    assert is_no_longer(one, other) in (None, mine <= theirs)
