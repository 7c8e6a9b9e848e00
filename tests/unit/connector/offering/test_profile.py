"""A profile tells little, tells it fast, and tells nothing that a policy withholds."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from connector.offering.profile import BINS, SMALL, profile
from schemas.dcat import ColumnStatistics


def one(cells: pa.Array | list[object], rows: int | None = None) -> ColumnStatistics:
    table = pa.table({"c": cells})
    return profile(table, rows if rows is not None else table.num_rows)["c"]


@pytest.mark.parametrize("copies", [1, SMALL])
def test_numbers_have_ends_and_a_histogram_that_counts_every_value(copies: int) -> None:
    cells = [*range(24), None] * copies
    found = one(pa.array(cells, pa.int16()))
    assert (found.nulls, found.minimum, found.maximum) == (copies, "0", "23")
    assert len(found.histogram) == BINS
    assert sum(found.histogram) == 24 * copies
    assert found.histogram == (2 * copies,) * BINS


@pytest.mark.parametrize("copies", [1, SMALL])
def test_values_that_are_not_finite_are_left_out(copies: int) -> None:
    found = one(pa.array([1.0, 2.0, float("nan"), float("inf"), None] * copies))
    assert (found.minimum, found.maximum, sum(found.histogram)) == ("1.0", "2.0", 2 * copies)
    assert one(pa.array([float("nan")] * copies)).minimum is None


def test_small_and_large_columns_are_counted_alike() -> None:
    cells = [((i * 7919) % 1000) / 10 for i in range(SMALL)]
    small, large = one(cells), one(cells * 2)
    assert tuple(2 * count for count in small.histogram) == large.histogram
    assert (small.minimum, small.maximum) == (large.minimum, large.maximum)


def test_a_single_value_has_one_bar_and_an_empty_column_none() -> None:
    assert one([5, 5, 5]).histogram == (3,)
    assert one(pa.nulls(3, pa.int64())).histogram == ()
    assert one(pa.nulls(3)).nulls == 3
    assert profile(pa.table({"c": pa.array([], pa.int64())}), 0) == {}


def test_days_and_instants_have_ends_in_utc() -> None:
    days = one([dt.date(2013, 1, 1), dt.date(2013, 12, 31)])
    assert (days.minimum, days.maximum) == ("2013-01-01", "2013-12-31")
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    assert one(pa.array([noon], pa.timestamp("s", tz="Europe/Berlin"))).minimum == "2026-01-01 12:00:00Z"


def test_columns_of_few_values_tell_them_most_frequent_first() -> None:
    found = one(["b", "a", "b", None] * 2)
    assert (found.top, found.histogram, found.distinct) == (("b", "a"), (4, 2), 2)
    assert one([True, False, True, True]).top == ("true", "false")


def test_columns_that_name_their_rows_tell_no_value() -> None:
    assert one([f"person {i}" for i in range(10)]).top == ()
    assert one([f"person {i}" for i in range(100)] * 3).top == ()
    assert one(["long" * 100] * 10).top == (("long" * 100)[:60],)


def test_a_sample_says_that_it_is_one() -> None:
    assert one([1, 2], rows=100).sampled == 2
    assert one([1, 2]).sampled is None


def test_nested_columns_and_extremes_have_no_histogram_but_do_not_fail() -> None:
    table = pa.table(
        {"l": [[1], [2]], "s": [{"x": 1}, {"x": 2}], "b": [b"x", b"y"], "h": pa.array([1, 2], pa.float16())}
    )
    found = profile(table, 2)
    assert found["l"].histogram == ()
    assert found["h"].maximum == "2.0"
    assert one([-(2**63), 2**63 - 1]).minimum == str(-(2**63))
    assert one([1e308, -1e308]).histogram == (2,)
