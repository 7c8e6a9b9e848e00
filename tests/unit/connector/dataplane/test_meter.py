"""Rows are counted before they leave, and cut exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.meter import Meter
from policies.counting import Amount


def test_a_block_is_reserved_once_and_used_up_before_the_next() -> None:
    meter = Meter(block=100, expected=1000)
    assert meter.wanted(30) == Amount(100)
    meter = meter.granted(100).passed(30)
    assert meter.wanted(70) == Amount(0)
    assert meter.wanted(71) == Amount(100)


def test_no_more_is_reserved_than_will_come_and_a_large_batch_is_covered_whole() -> None:
    assert Meter(block=100, expected=40).wanted(10) == Amount(40)
    assert Meter(block=100, expected=40).wanted(150) == Amount(150)
    assert Meter(block=100, expected=40, reserved=40, sent=40).wanted(5) == Amount(100)


def test_rows_that_were_not_reserved_cannot_leave() -> None:
    with pytest.raises(ValueError, match="only 3 were reserved"):
        Meter(block=10, expected=10, reserved=3).passed(4)


@given(
    st.lists(st.integers(1, 50), max_size=60), st.integers(1, 40), st.integers(0, 400), st.integers(0, 500)
)
def test_a_stream_passes_exactly_what_the_limit_allows(
    batches: list[int], block: int, limit: int, expected: int
) -> None:
    meter, used = Meter(block, expected), 0
    for rows in batches:
        while rows:
            if wanted := meter.wanted(rows).rows:
                granted = min(wanted, limit - used)
                used += granted
                meter = meter.granted(granted)
            allowed = min(rows, meter.left)
            if allowed == 0:
                break
            meter = meter.passed(allowed)
            rows -= allowed
    assert meter.sent == min(sum(batches), limit)
