"""The twelve operators: by value, by hierarchy, and unknown where nothing can be said."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.odrl.compare import Hierarchy, Knowledge, Quantity, compare
from policies.odrl.model import Iri, Typed
from policies.odrl.vocabulary import OPERATORS

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY = date(2026, 11, 25)
BERLIN = timezone(timedelta(hours=1))
BIOLOGY, SCIENCE, WORK = Iri("urn:biology"), Iri("urn:science"), Iri("urn:work")
KINDS = Knowledge(
    kinds=Hierarchy({BIOLOGY: (SCIENCE, WORK), Iri("urn:ads"): (WORK,)}),
    parts=Hierarchy({"DE": ("EU",), "EU": ("EUROPE",), "CH": ("EUROPE",)}),
)


@pytest.mark.parametrize(
    ("operator", "left", "right", "state"),
    [
        ("eq", 1, Decimal("1.0"), True),
        ("neq", 1, Decimal("1.0"), False),
        ("eq", NOON, NOON.astimezone(BERLIN), True),
        ("eq", Iri("urn:a"), "urn:a", False),
        ("neq", Iri("urn:a"), "urn:a", True),
        ("eq", True, 1, False),
        ("eq", "1", 1, False),
        ("lt", NOON, NOON, False),
        ("lteq", NOON, NOON, True),
        ("gt", 5, Decimal("4.9"), True),
        ("gteq", timedelta(days=30), timedelta(days=31), False),
        ("lt", "a", "b", None),
        ("lt", 1, "2", None),
        ("eq", Typed("2026", "urn:year"), Typed("2026", "urn:year"), True),
        ("eq", Typed("2026", "urn:year"), Typed("02026", "urn:year"), None),
        ("neq", Typed("x", "urn:t"), "x", None),
    ],
)
def test_single_values_compare_by_value_within_a_family(
    operator: str, left: Any, right: Any, state: bool | None
) -> None:
    assert compare(operator, (left,), (right,)) is state


@pytest.mark.parametrize(
    ("operator", "left", "state"),
    [
        ("lteq", datetime(2026, 11, 25, 23, 59, 59, 999999, tzinfo=UTC), True),
        ("lteq", datetime(2026, 11, 26, tzinfo=UTC), False),
        ("lt", NOON, False),
        ("lt", datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC), True),
        ("gt", NOON, False),
        ("gt", datetime(2026, 11, 26, tzinfo=UTC), True),
        ("gteq", datetime(2026, 11, 25, tzinfo=UTC), True),
        ("eq", NOON, True),
        ("neq", datetime(2026, 11, 26, tzinfo=UTC), True),
        ("lteq", datetime(2026, 11, 26, 0, 30, tzinfo=BERLIN), True),
    ],
)
def test_a_day_is_its_whole_day_in_utc(operator: str, left: datetime, state: bool) -> None:
    assert compare(operator, (left,), (TODAY,)) is state


def test_a_day_against_an_instant_within_it_is_unknown_and_outside_it_is_not() -> None:
    assert compare("lt", (TODAY,), (NOON,)) is None
    assert compare("eq", (TODAY,), (NOON,)) is None
    assert compare("lt", (TODAY,), (NOON + timedelta(days=2),)) is True
    assert compare("gteq", (TODAY,), (NOON + timedelta(days=2),)) is False


def test_set_operators_take_several_values_on_both_sides() -> None:
    assert compare("isAnyOf", ("a",), ("a", "b")) is True
    assert compare("isAnyOf", ("c",), ("a", "b")) is False
    assert compare("isNoneOf", ("c",), ("a", "b")) is True
    assert compare("isNoneOf", ("c", "a"), ("a", "b")) is False
    assert compare("isAllOf", ("a", "b", "c"), ("a", "b")) is True
    assert compare("isAllOf", ("a",), ("a", "b")) is False
    assert compare("eq", ("b", "a"), ("a", "b")) is True
    assert compare("eq", ("a",), ("a", "b")) is False
    assert compare("lt", (1, 9), (5,)) is False
    assert compare("lt", (1,), (5, 6)) is None


def test_is_a_means_equal_or_narrower_in_the_pinned_poset() -> None:
    assert compare("isA", (BIOLOGY,), (SCIENCE,), KINDS) is True
    assert compare("isA", (BIOLOGY,), (WORK,), KINDS) is True
    assert compare("isA", (SCIENCE,), (BIOLOGY,), KINDS) is False
    assert compare("isA", (SCIENCE,), (SCIENCE,)) is True
    assert compare("isA", (Iri("urn:new"),), (SCIENCE,), KINDS) is None
    assert compare("isA", ("urn:biology",), (SCIENCE,), KINDS) is None


def test_part_of_and_has_part_are_each_other_turned_round() -> None:
    assert compare("isPartOf", ("DE",), ("EUROPE",), KINDS) is True
    assert compare("hasPart", ("DE",), ("EUROPE",), KINDS) is False
    assert compare("hasPart", ("EUROPE",), ("DE", "CH"), KINDS) is True
    assert compare("isPartOf", ("CH",), ("EU",), KINDS) is False
    assert compare("isPartOf", ("XX",), ("EU",), KINDS) is None


def test_a_hierarchy_that_goes_round_in_a_circle_comes_to_an_end() -> None:
    round_about = Knowledge(kinds=Hierarchy({"a": ("b",), "b": ("a",), "c": ("c",)}))
    assert compare("isA", ("a",), ("b",), round_about) is True
    assert compare("isA", ("c",), ("a",), round_about) is False


def test_units_of_one_dimension_convert_and_others_are_unknown() -> None:
    gigabyte = "http://dbpedia.org/resource/Gigabyte"
    megabyte = "http://qudt.org/vocab/unit/MegaBYTE"
    euro, dollar = "http://dbpedia.org/resource/Euro", "http://dbpedia.org/resource/United_States_dollar"
    assert compare("lteq", (Quantity(999, megabyte),), (1,), unit=gigabyte) is True
    assert compare("lteq", (Quantity(1001, megabyte),), (1,), unit=gigabyte) is False
    assert compare("eq", (Quantity(5, dollar),), (5,), unit=euro) is None
    assert compare("eq", (Quantity(5, "urn:unit"),), (5,), unit="urn:unit") is True
    assert compare("eq", (Quantity(5, "urn:unit"),), (5,), unit=euro) is None
    assert compare("eq", (Quantity(5, euro),), (5,)) is None
    assert compare("eq", (5,), (5,), unit=euro) is True


def test_nothing_known_is_unknown_under_every_operator() -> None:
    assert [compare(operator, (), ("a",)) for operator in OPERATORS] == [None] * 12


def test_an_operator_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError, match="anyOf"):
        compare("anyOf", (1,), (1,))


_ANY = st.one_of(
    st.integers(-9, 9),
    st.booleans(),
    st.decimals(-9, 9, places=1),
    st.text("ab", max_size=2),
    st.dates(date(2026, 1, 1), date(2026, 1, 3)),
    st.integers(0, 48).map(lambda hours: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)),
    st.timedeltas(timedelta(0), timedelta(2)),
    st.sampled_from([Iri("a"), Iri("b"), Typed("a", "urn:t")]),
)


@given(_ANY, _ANY)
def test_each_operator_and_its_opposite_never_say_the_same(left: Any, right: Any) -> None:
    for one, other in (("eq", "neq"), ("lt", "gteq"), ("lteq", "gt"), ("isAnyOf", "isNoneOf")):
        said, opposite = compare(one, (left,), (right,)), compare(other, (left,), (right,))
        assert (said is None) == (opposite is None)
        assert said is None or said is not opposite


@given(st.lists(_ANY, min_size=1, max_size=3), st.lists(_ANY, min_size=1, max_size=3))
def test_any_of_holds_wherever_all_of_holds(left: list[Any], right: list[Any]) -> None:
    if compare("isAllOf", left, right) is True:
        assert compare("isAnyOf", left, right) is True
