"""What counted limits count: the bucket of a rate, readings, and what is left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.counting import AGAIN, Rate, Reading, opened
from policies.use import UseTotals
from schemas.errors import Malformed
from tests.policy_builders import NOON

MINUTE = Rate(600, timedelta(minutes=1))
SECOND = 1_000_000


def test_a_bucket_holds_one_periods_rows_and_fills_evenly() -> None:
    at = 10**15
    assert MINUTE.available(0, at) == 600
    full = MINUTE.taken(0, 600, at)
    assert full == at + 60 * SECOND
    assert [MINUTE.available(full, at + second * SECOND) for second in (0, 1, 2, 60, 600)] == [
        0,
        10,
        20,
        600,
        600,
    ]


def test_who_wants_more_than_there_is_gets_what_came_together_in_two_seconds_or_waits_for_it() -> None:
    at = 10**15
    full = MINUTE.taken(0, 600, at)
    assert MINUTE.grant(full, 1000, at) == (0, timedelta(seconds=2))
    assert MINUTE.grant(full, 5, at) == (0, timedelta(seconds=0.5))
    assert MINUTE.grant(full, 1000, at + 2 * SECOND) == (20, timedelta(0))
    assert MINUTE.grant(full, 15, at + 2 * SECOND) == (15, timedelta(0))
    slow = Rate(2, timedelta(days=1))
    assert slow.grant(slow.taken(0, 2, at), 100, at) == (0, timedelta(hours=12))


@given(
    st.integers(1, 10**9),
    st.integers(1, 10**13),
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(1, 10**9)), max_size=30),
)
def test_no_window_holds_more_than_a_period_and_what_flowed_in(
    rows: int, micros: int, asked: list[tuple[int, int]]
) -> None:
    rate, full, at = Rate(rows, timedelta(microseconds=micros)), 0, 10**15
    granted: list[tuple[int, int]] = []
    for pause, wanted in asked:
        at += pause
        got, wait = rate.grant(full, wanted, at)
        if got == 0:
            assert wait > timedelta(0)
            later = at + wait // timedelta(microseconds=1)
            assert rate.grant(full, wanted, later)[0] > 0, "it waits long enough"
            continue
        full = rate.taken(full, got, at)
        granted.append((at, got))
    for first in range(len(granted)):
        for last in range(first, len(granted)):
            span = granted[last][0] - granted[first][0]
            total = sum(got for _, got in granted[first : last + 1])
            assert total * micros <= rows * (micros + span)


@pytest.mark.parametrize(("rows", "period"), [(0, timedelta(1)), (1, timedelta(0)), (5, timedelta(-1))])
def test_a_rate_at_which_nothing_or_everything_leaves_is_refused(rows: int, period: timedelta) -> None:
    with pytest.raises(Malformed, match=f"{rows} rows per"):
        Rate(rows, period)


def test_a_reading_begins_at_the_first_row_and_goes_on_after_a_break() -> None:
    reading, begins = opened(None, "s1", 0)
    assert begins
    reading = reading.settled("s1", 800)
    again, begins = opened(reading, "s2", 700)
    assert not begins, "an eighth may be sent again"
    assert again.settled("s2", 300) == Reading(0, 1000, 100, None, 700)
    assert opened(reading, "s2", 699)[1], "a row more may not"
    assert not opened(again.settled("s2", 300), "s3", 975)[1]
    assert opened(again.settled("s2", 300), "s3", 974)[1], "breaks add up"
    assert opened(reading, "s2", 0)[1], "from the start it is another reading"


def test_while_a_stream_reads_every_other_opening_is_another_reading() -> None:
    reading, _ = opened(None, "s1", 0)
    other, begins = opened(reading, "s2", 500)
    assert begins
    assert other.settled("s1", 1000) == other, "the earlier one is not gone on with"


def test_a_stream_that_sent_nothing_is_gone_on_with_for_nothing() -> None:
    reading, _ = opened(None, "s1", 0)
    assert opened(reading.settled("s1", 0), "s2", 0) == (Reading(0, 0, 0, "s2", 0), False)


@given(st.integers(1, 400), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=40))
def test_of_all_rows_no_more_leave_than_the_epochs_and_an_eighth(
    size: int, streams: list[tuple[int, int]]
) -> None:
    reading, epochs, sent = None, 0, 0
    for number, (start, rows) in enumerate(streams):
        rows = max(0, min(rows, size - start))
        reading, begins = opened(reading, f"s{number}", start)
        epochs += begins
        reading = reading.settled(f"s{number}", rows)
        sent += rows
    assert sent * AGAIN <= epochs * size * (AGAIN + 1)


def test_totals_are_never_negative_and_their_times_have_a_zone() -> None:
    for name in ("rows", "bytes", "requests", "epochs"):
        counts: dict[str, Any] = {name: -3}
        with pytest.raises(Malformed, match=f"-3 {name} used"):
            UseTotals(**counts)
    with pytest.raises(Malformed, match="no zone"):
        UseTotals(first_delivery=NOON.replace(tzinfo=None))
