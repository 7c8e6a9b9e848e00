from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.algebra.formulas import (
    MOST_BRANCHES,
    STEP,
    Answer,
    Atom,
    Every,
    Facts,
    Impossible,
    Negated,
    One,
    Possible,
    Some,
    Undecided,
    can_hold,
)
from policies.algebra.hierarchy import Poset
from policies.algebra.recurrence import Recurrence, repeating
from policies.algebra.regions import Interval, Intervals, Opaque, Terms, is_empty, meet

ENDS = st.one_of(st.none(), st.integers(-3, 3))
INTERVALS = st.builds(
    lambda parts: Intervals.of(*(Interval(*part) for part in parts)),
    st.lists(st.tuples(ENDS, ENDS, st.booleans(), st.booleans()), max_size=4),
)
TERMS = st.builds(Terms, st.frozensets(st.sampled_from("abc")), st.booleans())
PROBES = [number / 2 for number in range(-8, 9)]
NAMES = [*"abc", "another"]
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def members(region: Any) -> set[Any]:
    return {probe for probe in (PROBES if isinstance(region, Intervals) else NAMES) if region.contains(probe)}


@given(st.one_of(st.tuples(INTERVALS, INTERVALS, INTERVALS), st.tuples(TERMS, TERMS, TERMS)))
@settings(max_examples=400, deadline=None)
def test_regions_obey_the_laws_of_sets(given_three: tuple[Any, Any, Any]) -> None:
    a, b, c = given_three
    assert members(a.intersect(b)) == members(a) & members(b)
    assert members(a.union(b)) == members(a) | members(b)
    assert members(a.subtract(b)) == members(a) - members(b)
    assert a.complement().complement() == a
    assert a.intersect(b) == b.intersect(a)
    assert a.union(b.union(c)) == a.union(b).union(c)
    assert a.intersect(b.union(c)) == a.intersect(b).union(a.intersect(c))
    assert a.union(b).complement() == a.complement().intersect(b.complement())
    assert a.subtract(b).union(a.intersect(b)) == a
    assert a.intersect(a.complement()).is_empty
    assert a.is_within(b) == a.subtract(b).is_empty == (a.union(b) == b)
    if a.is_within(b):
        assert members(a) <= members(b)
    assert not a.is_empty or not members(a)


def test_what_only_touches_is_one_interval_and_what_lacks_the_point_between_is_two() -> None:
    assert Intervals.of(Interval(1, 2), Interval(2, 3, True)).parts == (Interval(1, 3),)
    apart = Intervals.of(Interval(1, 2, False, True), Interval(2, 3, True))
    assert len(apart.parts) == 2
    assert not apart.contains(2)
    assert Intervals.compared("neq", 2).complement() == Intervals.point(2)


# --- what recurs ------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 40), st.integers(0, 40))
@settings(max_examples=300, deadline=None)
def test_two_recurrences_meet_where_counting_finds_a_common_time(p: int, a: int, q: int, b: int) -> None:
    one, other = Recurrence(p * DAY, START + a * DAY), Recurrence(q * DAY, START + b * DAY)
    common = sorted({a + k * p for k in range(200)} & {b + k * q for k in range(200)})
    joint = one.intersect(other)
    if not isinstance(joint, Recurrence):
        assert joint is False
        assert not common
        return
    assert joint.start == START + common[0] * DAY
    if len(common) > 1:
        assert joint.period == (common[1] - common[0]) * DAY


def test_a_repeating_interval_is_read_and_falls_only_into_windows_that_hold_one_of_its_times() -> None:
    monthly = repeating("R/2026-01-01T00:00:00Z/P30D")
    assert monthly == Recurrence(30 * DAY, START)
    third = START + 60 * DAY
    assert monthly.falls_into(third, third, low_open=False, high_open=False)
    assert not monthly.falls_into(third, third + 29 * DAY, low_open=True, high_open=False)
    assert not monthly.falls_into(None, START, low_open=False, high_open=True)
    assert monthly.falls_into(START + 61 * DAY, None, low_open=False, high_open=False)
    assert repeating("R/2026-01-01/P1M") is None
    assert repeating("R/yesterday/P1D") is None


def test_recurrences_of_which_one_does_not_say_when_it_starts_are_not_guessed_about() -> None:
    found = meet([Recurrence(30 * DAY), Recurrence(30 * DAY, START)])
    assert isinstance(found, Opaque)
    assert "start" in found.why
    assert is_empty(meet([Recurrence(30 * DAY), Recurrence(45 * DAY)])) is False


# --- hierarchies ------------------------------------------------------------------------------------

OPEN = Poset({"europe": ("france", "germany"), "germany": ("bavaria",)})
CLOSED = Poset(dict(OPEN.narrower), closed=True)


@pytest.mark.parametrize(
    ("operator", "terms", "value", "opened", "closed"),
    [
        ("isPartOf", ("europe",), "bavaria", False, False),
        ("isPartOf", ("germany",), "france", None, True),
        ("isPartOf", ("germany",), "europe", None, True),
        ("hasPart", ("bavaria",), "europe", False, False),
        ("hasPart", ("bavaria",), "france", None, True),
        ("isAnyOf", ("france", "bavaria"), "bavaria", False, False),
        ("isAnyOf", ("france", "germany"), "bavaria", None, True),
        ("eq", ("strasbourg",), "france", None, True),
    ],
)
def test_a_hierarchy_that_says_everything_decides_and_one_that_does_not_leaves_open(
    operator: str, terms: tuple[str, ...], value: str, opened: bool | None, closed: bool
) -> None:
    for poset, empty in ((OPEN, opened), (CLOSED, closed)):
        both = [
            poset.region(op, these, {value, *terms}) for op, these in ((operator, terms), ("eq", (value,)))
        ]
        assert is_empty(meet(both)) is empty


def test_what_a_hierarchy_knows_to_be_apart_is_apart_with_all_that_lies_under_it() -> None:
    places = Poset(dict(OPEN.narrower), apart=(("france", "germany"),))

    def both(one: tuple[str, str], other: tuple[str, str]) -> Answer:
        regions = [places.region(operator, (term,), ()) for operator, term in (one, other)]
        return can_hold(Every(tuple(Atom("place", region, "it") for region in regions)))

    apart = [("isPartOf", "bavaria"), ("eq", "germany"), ("hasPart", "bavaria"), ("isAnyOf", "bavaria")]
    for one in apart:
        assert isinstance(both(one, ("eq", "france")), Impossible), one
        assert isinstance(both(one, ("eq", "strasbourg")), Undecided), one
    assert isinstance(both(("isPartOf", "germany"), ("isPartOf", "france")), Impossible)
    assert isinstance(both(("hasPart", "bavaria"), ("hasPart", "france")), Possible)
    assert isinstance(both(("isPartOf", "europe"), ("eq", "france")), Possible)


def test_languages_lie_under_their_prefix_and_are_more_than_anybody_named() -> None:
    languages = Poset({}, closed=True, separator="-")
    german = languages.region("isA", ("de",), ("de-AT", "fr"))
    assert isinstance(german, Terms)
    assert german.contains("de-AT")
    assert not german.contains("fr")
    assert not german.subtract(Terms.of("de", "de-AT")).is_empty


# --- formulas ---------------------------------------------------------------------------------------


def atom(key: str, operator: str, value: Any) -> Atom:
    return Atom(key, Intervals.compared(operator, value), f"{key} {operator} {value}")


def test_an_impossible_formula_says_which_terms_leave_no_value() -> None:
    answer = can_hold(Every((atom("x", "lt", 1), atom("y", "gt", 0), atom("x", "gt", 1))))
    assert answer == Impossible(("no value of x meets: x lt 1 and x gt 1",))


def test_what_is_unknown_never_hides_what_is_impossible_and_never_counts_as_possible() -> None:
    unknown = Atom("z", Opaque("nobody says"), "z")
    assert isinstance(can_hold(unknown), Undecided)
    assert isinstance(can_hold(Every((unknown, atom("x", "lt", 1), atom("x", "gt", 1)))), Impossible)
    assert isinstance(can_hold(Some((unknown, atom("x", "lt", 1)))), Possible)


def test_steps_of_a_sequence_add_up_against_the_whole() -> None:
    facts = Facts(at_most=(("delay", "elapsed"),))
    steps = [atom(f"delay{STEP}s.{number}", "gteq", 5) for number in (1, 2)]
    assert isinstance(can_hold(Every((*steps, atom("elapsed", "lteq", 10))), facts), Possible)
    assert isinstance(can_hold(Every((*steps, atom("elapsed", "lt", 10))), facts), Impossible)
    assert isinstance(can_hold(Every((*steps, atom("elapsed", "lteq", 9))), facts), Impossible)


def test_steps_of_a_sequence_do_not_go_back_in_time() -> None:
    facts = Facts(in_order=frozenset({"at"}))
    late, early = atom(f"at{STEP}s.1", "gt", 5), atom(f"at{STEP}s.2", "lteq", 5)
    assert isinstance(can_hold(Every((late, early)), facts), Impossible)
    swapped = [atom(f"at{STEP}s.2", "gt", 5), atom(f"at{STEP}s.1", "lteq", 5)]
    assert isinstance(can_hold(Every(tuple(swapped)), facts), Possible)


def test_a_formula_of_too_many_branches_is_not_compared_and_says_so() -> None:
    wide = Every(tuple(Some(tuple(atom(f"x{i}{j}", "gt", 0) for j in range(4))) for i in range(6)))
    answer = can_hold(wide)
    assert isinstance(answer, Undecided)
    assert f"more than {MOST_BRANCHES} branches" in answer.reasons[0]


def test_exactly_one_of_repeated_parts_never_holds_and_its_opposite_stays_small() -> None:
    same = atom("x", "gt", 0)
    assert isinstance(can_hold(One((same, same))), Impossible)
    many = One(tuple(atom("x", "gt", number) for number in range(6)))
    assert isinstance(can_hold(Every((Negated(many), Negated(many), many))), Impossible)


def test_values_of_different_sorts_are_not_compared_and_nothing_breaks() -> None:
    mixed = Every((atom("x", "lt", 1), atom("x", "gt", timedelta(days=1))))
    answer = can_hold(mixed, Facts(domains={"x": Intervals.compared("gteq", timedelta())}))
    assert isinstance(answer, Undecided)
    assert "different sorts" in answer.reasons[0]
