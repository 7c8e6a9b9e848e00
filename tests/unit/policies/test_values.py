from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.kinds.values import (
    Scalar,
    fit_value,
    read_count,
    read_many,
    read_scalar,
    read_time,
    spell_time,
    tagged,
)
from schemas.errors import Malformed, PolicyMismatch, Refused

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["@value", "@type", "@id", "@list", "x"]), inner, max_size=3)
    ),
)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-12-01T00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T00:00:00", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T01:00:00+01:00", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T00:00:00.5Z", datetime(2026, 12, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        (
            {"@value": "2026-12-01T00:00:00Z", "@type": "xsd:dateTime"},
            datetime(2026, 12, 1, tzinfo=UTC),
        ),
    ],
)
def test_an_instant_is_read_in_utc(written: Any, instant: datetime) -> None:
    assert read_time(written, "here") == (instant, instant)


def test_a_date_is_the_whole_day_in_utc() -> None:
    assert read_time("2026-12-31", "here") == (
        datetime(2026, 12, 31, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )


def test_the_last_day_of_the_calendar_has_no_day_after() -> None:
    assert read_time("9999-12-31", "here")[1] is None


@pytest.mark.parametrize(
    "written",
    [
        "tomorrow",
        "2026-02-30",
        "2026-13-01T00:00Z",
        "2026-W01-1",
        "20261201",
        "2026-12-01T25:00Z",
        "0001-01-01T00:00+14:00",
        "٢٠٢٦-12-01",
        "2026-12-01\n",
        "2026-12-01T00:00Z; DROP TABLE x",
        {"@value": "2026-12-01", "@type": "xsd:dateTime"},
        {"@value": "2026-12-01T00:00Z", "@type": "xsd:string"},
    ],
)
def test_what_is_no_time_is_refused_with_one_that_is(written: Any) -> None:
    with pytest.raises(PolicyMismatch, match=r"here: .* is not a time; write one like 2026-12-01T00:00:00Z"):
        read_time(written, "here")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("plain", "plain"),
        (18, 18),
        (True, True),
        (1.5, Decimal("1.5")),
        ({"@value": "18", "@type": "xsd:integer"}, 18),
        ({"@value": "18", "@type": "http://www.w3.org/2001/XMLSchema#integer"}, 18),
        ({"@value": 18}, 18),
        ({"@value": "1.50", "@type": "xsd:decimal"}, Decimal("1.5")),
        ({"@value": "true", "@type": "xsd:boolean"}, True),
        ({"@value": "2026-12-01", "@type": "xsd:date"}, date(2026, 12, 1)),
        ({"@value": "18", "@type": "xsd:string"}, "18"),
        ("", ""),
    ],
)
def test_a_value_keeps_the_type_that_it_declares(written: Any, value: Any) -> None:
    read = read_scalar(written, "here")
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "written",
    [
        None,
        {"a": 1},
        [1],
        float("nan"),
        float("inf"),
        2**70,
        "x" * 5000,
        {"@value": "x", "@type": "xsd:integer"},
        {"@value": "1e9999", "@type": "xsd:decimal"},
        {"@value": "1" * 40, "@type": "xsd:decimal"},
        {"@value": "x", "@type": "urn:other"},
        {"@value": {"@value": "x"}},
        {"@value": "x", "@language": "en"},
    ],
)
def test_what_is_no_plain_value_is_refused_naming_the_place(written: Any) -> None:
    with pytest.raises(Refused, match="here: "):
        read_scalar(written, "here")


def _refusal(read: Callable[[Any, str], object], written: Any) -> str | None:
    try:
        read(written, "here")
    except Refused as refusal:
        return str(refusal)
    return None


@given(json_values)
def test_no_json_gives_anything_but_a_value_or_a_refusal(written: Any) -> None:
    for read in (read_scalar, read_time, read_count, read_many):
        message = _refusal(read, written)
        assert message is None or (message.startswith("here: ") and len(message) < 400)


@pytest.mark.parametrize("written", [5, "05", {"@value": "5", "@type": "xsd:integer"}, 5.0])
def test_a_count_may_be_a_number_or_its_text(written: Any) -> None:
    assert read_count(written, "here") == 5


@pytest.mark.parametrize("written", [0, -1, "00", "five", True, 1.5, 2**53, "1_000", {"@value": "-3"}])
def test_a_count_is_a_whole_number_from_one(written: Any) -> None:
    with pytest.raises(PolicyMismatch, match="whole number from 1"):
        read_count(written, "here")


def test_a_list_may_be_wrapped_as_json_ld_does() -> None:
    assert read_many({"@list": ["a", "b"]}, "here") == ("a", "b")
    assert read_many("a", "here") == ("a",)
    with pytest.raises(Malformed, match="no value"):
        read_many([], "here")
    with pytest.raises(Malformed, match="at most"):
        read_many(["x"] * 10_001, "here")


@pytest.mark.parametrize(
    ("value", "datatype", "fitted"),
    [
        ("18", "int64", 18),
        (18, "double", 18.0),
        (Decimal("18"), "int8", 18),
        ("18.5", "double", 18.5),
        (Decimal("18.5"), "decimal128(10, 2)", Decimal("18.5")),
        ("true", "bool", True),
        ("2026-12-01", "date32[day]", date(2026, 12, 1)),
        ("F", "dictionary<values=string, indices=int32, ordered=0>", "F"),
        ("7", "dictionary<values=int64, indices=int32, ordered=0>", 7),
        (
            "2026-12-01T01:00+01:00",
            "dictionary<values=timestamp[us, tz=UTC], indices=int32, ordered=0>",
            datetime(2026, 12, 1, tzinfo=UTC),
        ),
        ("F", "large_string", "F"),
        ("2026-12-01T01:00+01:00", "timestamp[us, tz=Europe/Berlin]", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T01:00+01:00", "timestamp[ns]", datetime(2026, 12, 1, tzinfo=UTC).replace(tzinfo=None)),
    ],
)
def test_a_value_is_read_as_the_type_of_its_column(value: Any, datatype: str, fitted: Any) -> None:
    found = fit_value(value, datatype, "here")
    assert found == fitted
    assert type(found) is type(fitted)


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        ("eighteen", "int64"),
        ("18' OR 1=1", "int64"),
        (True, "int64"),
        (300, "uint8"),
        (-1, "uint8"),
        (128, "int8"),
        (Decimal("1.5"), "int64"),
        (18, "string"),
        ("yes", "bool"),
        (1, "bool"),
        ("x", "double"),
        (True, "double"),
        (datetime(2026, 1, 1, tzinfo=UTC), "date32[day]"),
        (date(2026, 1, 1), "timestamp[us]"),
        ("2026-01-01", "timestamp[us]"),
        ("x", "list<item: string>"),
        ("x", "binary"),
        ("x", "struct<a: int64>"),
        ("x", "null"),
    ],
)
def test_a_value_that_does_not_fit_its_column_is_refused(value: Any, datatype: str) -> None:
    with pytest.raises(PolicyMismatch, match="here: "):
        fit_value(value, datatype, "here")


def test_the_types_that_we_read_are_those_that_pyarrow_prints() -> None:
    pa = pytest.importorskip("pyarrow")
    cases = [
        (pa.int64(), "5"),
        (pa.uint8(), "5"),
        (pa.float32(), "5"),
        (pa.float16(), "5"),
        (pa.decimal128(10, 2), "5"),
        (pa.bool_(), "true"),
        (pa.string(), "x"),
        (pa.large_string(), "x"),
        (pa.string_view(), "x"),
        (pa.date32(), "2026-12-01"),
        (pa.date64(), "2026-12-01"),
        (pa.timestamp("us"), "2026-12-01T00:00Z"),
        (pa.timestamp("ns", tz="UTC"), "2026-12-01T00:00Z"),
        (pa.dictionary(pa.int32(), pa.string()), "x"),
        (pa.dictionary(pa.int8(), pa.decimal128(10, 2)), "5"),
    ]
    for arrow_type, written in cases:
        assert fit_value(written, str(arrow_type), "here") is not None


@given(st.integers(-(2**60), 2**60))
def test_equal_numbers_are_tagged_alike_however_they_are_written(number: int) -> None:
    assert (
        tagged(number)
        == tagged(Decimal(number))
        == tagged(read_scalar({"@value": str(number), "@type": "xsd:decimal"}, "x"))
    )


def test_values_of_different_kinds_are_never_tagged_alike() -> None:
    values: list[Scalar] = [
        "1",
        1,
        True,
        date(2026, 1, 1),
        datetime(2026, 1, 1, tzinfo=UTC),
        "2026-01-01",
        "true",
    ]
    assert len({tuple(tagged(value)) for value in values}) == len(values)


def test_times_are_spelled_shortly_and_in_utc() -> None:
    assert spell_time(datetime(2026, 12, 1, tzinfo=UTC)) == "2026-12-01T00:00Z"
    assert spell_time(datetime(2026, 12, 1, 0, 0, 7, tzinfo=UTC)) == "2026-12-01T00:00:07Z"
