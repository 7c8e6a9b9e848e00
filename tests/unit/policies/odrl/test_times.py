"""Times and durations in three values: zones, days in zones, open zones, months; and so in policies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.algebra.lengths import Months
from policies.odrl.compare import Elapsed, Quantity, compare
from policies.odrl.evaluate import decide, evaluate, prepare
from policies.odrl.literals import read_literal
from policies.odrl.logic import Verdict
from policies.odrl.model import Constraint, Stretch, Value
from policies.odrl.read import read, read_one
from policies.odrl.read_constraints import Demands
from policies.odrl.relate import Compatible, Conflict, NotRefines, Refines, Unknown, conflict, refines
from policies.odrl.world import Event, Request, World
from schemas.errors import PolicyMismatch
from schemas.vocab import ODRL, XSD

OPEN = Demands(zone=None)
PREFIXES = f"@prefix odrl: <{ODRL}> . @prefix xsd: <{XSD}> . @prefix ex: <urn:ex:> . "


def value(text: str, kind: str, *, is_open: bool = False) -> Value:
    found = read_literal(text, XSD + kind, lambda _: None, None if is_open else UTC)
    assert found is not None, text
    return found


def policy(operand: str, operator: str, text: str, kind: str, name: str = "p") -> str:
    return (
        f"{PREFIXES} ex:{name} a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:constraint [ "
        f"odrl:leftOperand odrl:{operand} ; odrl:operator odrl:{operator} ; "
        f'odrl:rightOperand "{text}"^^xsd:{kind} ] ] .'
    )


# --- days, months and years --------------------------------------------------------------------------

BERLIN_DAY = ("2026-11-25+01:00", "date")


@pytest.mark.parametrize(
    ("operator", "left", "right", "state"),
    [
        ("lteq", "2026-11-25T22:59:59.999999Z", BERLIN_DAY, True),
        ("lteq", "2026-11-25T23:00:00Z", BERLIN_DAY, False),
        ("gteq", "2026-11-24T23:00:00Z", BERLIN_DAY, True),
        ("lt", "2026-11-24T22:59:59Z", BERLIN_DAY, True),
        ("eq", "2026-11-25T00:00:00+01:00", BERLIN_DAY, True),
        ("neq", "2026-11-25T23:30:00Z", BERLIN_DAY, True),
        ("lteq", "2026-11-26T11:59:00Z", ("2026-11-25-12:00", "date"), True),
        ("lteq", "2026-12-31T23:59:59Z", ("2026", "gYear"), True),
        ("gt", "2026-12-31T23:59:59Z", ("2026", "gYear"), False),
        ("gt", "2027-01-01T00:00:00Z", ("2026", "gYear"), True),
        ("gteq", "2025-12-31T23:30:00Z", ("2026+01:00", "gYear"), True),
        ("eq", "2028-02-29T12:00:00Z", ("2028-02", "gYearMonth"), True),
        ("lteq", "2028-03-01T00:00:00Z", ("2028-02Z", "gYearMonth"), False),
    ],
)
def test_a_day_a_month_and_a_year_are_all_of_it_in_their_zone(
    operator: str, left: str, right: tuple[str, str], state: bool
) -> None:
    assert compare(operator, (value(left, "dateTime"),), (value(*right),)) is state


@pytest.mark.parametrize(
    ("operator", "left", "right", "state"),
    [
        ("lt", ("2026-11-25+01:00", "date"), ("2026-11-25Z", "date"), True),
        ("eq", ("2026-11-25+01:00", "date"), ("2026-11-25Z", "date"), False),
        ("eq", ("2026-11-25+12:00", "date"), ("2026-11-24-12:00", "date"), True),
        ("lteq", ("2026", "gYear"), ("2026", "gYear"), True),
        ("eq", ("2026-11-25", "date"), ("2026", "gYear"), True),
        ("lteq", ("2026-11-25", "date"), ("2026-11", "gYearMonth"), True),
        ("lt", ("2026", "gYear"), ("2026-11-25", "date"), None),
        ("gt", ("2027", "gYear"), ("2026-11-25", "date"), True),
        ("lt", ("08:00:00Z", "time"), ("18:00:00Z", "time"), True),
        ("eq", ("13:00:00+01:00", "time"), ("12:00:00Z", "time"), True),
        ("eq", ("24:00:00Z", "time"), ("00:00:00Z", "time"), True),
        ("lt", ("08:00:00Z", "time"), ("2026-11-25", "date"), None),
        ("eq", ("08:00:00Z", "time"), ("2026-11-25", "date"), None),
    ],
)
def test_stretches_of_time_compare_by_their_start_or_by_what_lies_in_them(
    operator: str, left: tuple[str, str], right: tuple[str, str], state: bool | None
) -> None:
    assert compare(operator, (value(*left),), (value(*right),)) is state


# --- open zones --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "hours", "state"),
    [
        ("lt", -15, True), ("lt", -14, None), ("lt", 0, None), ("lt", 14, False), ("lteq", 14, None),
        ("lteq", 15, False), ("gt", 15, True), ("gt", 14, None), ("gteq", 14, True), ("eq", 0, None),
        ("eq", 15, False), ("neq", -15, True), ("isAnyOf", 0, None), ("isNoneOf", 15, True),
    ],
)  # fmt: skip
def test_a_time_without_a_zone_is_unknown_within_fourteen_hours(
    operator: str, hours: int, state: bool | None
) -> None:
    noon = value("2026-11-25T12:00:00", "dateTime", is_open=True)
    at = datetime(2026, 11, 25, 12, tzinfo=UTC) + timedelta(hours=hours)
    assert compare(operator, (at,), (noon,)) is state
    turned = {"lt": "gt", "gt": "lt", "lteq": "gteq", "gteq": "lteq"}.get(operator, operator)
    assert compare(turned, (noon,), (at,)) is state


def test_two_times_without_a_zone_compare_as_they_are_written() -> None:
    early, late = (value(f"2026-11-25T{hour}:00:00", "dateTime", is_open=True) for hour in (10, 12))
    assert compare("lt", (early,), (late,)) is True
    assert compare("eq", (early,), (early,)) is True


def test_a_reader_may_leave_zones_open_and_the_warning_says_so() -> None:
    text = policy("dateTime", "lt", "2026-11-25T12:00:00", "dateTime")
    asked = Request(ODRL + "use")
    for demands, words, states in (
        (Demands(), "taken as UTC; write 2026-11-25T12:00:00Z", {11: True, 13: False}),
        (OPEN, "may be up to 14 hours earlier or later; write", {11: None, 13: None, -3: True, 27: False}),
    ):
        reading = read(text, demands=demands)
        assert words in reading.warnings[0]
        for hours, state in states.items():
            now = datetime(2026, 11, 25, tzinfo=UTC) + timedelta(hours=hours)
            (rule,) = evaluate(reading.policies[0], asked, World(now=now)).rules
            assert rule.premises[-1].state is state
            granted = decide(prepare(reading.policies[0]), asked, World(now=now)) is Verdict.PERMIT
            assert granted is (state is True)


def test_what_is_to_be_done_by_an_open_time_has_to_be_done_in_time_everywhere() -> None:
    text = (
        f"{PREFIXES} ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:duty [ odrl:action "
        "odrl:inform ; odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lteq ; "
        'odrl:rightOperand "2026-11-25"^^xsd:date ] ] ] .'
    )
    now = datetime(2026, 11, 28, tzinfo=UTC)
    for demands, last in (
        (Demands(), datetime(2026, 11, 26, tzinfo=UTC)),
        (OPEN, datetime(2026, 11, 25, 10, tzinfo=UTC)),
    ):
        model = prepare(read_one(text, demands=demands))
        for at, verdict in ((last - timedelta(seconds=1), Verdict.PERMIT), (last, Verdict.DENY)):
            done = Event(at, Request(ODRL + "inform", assignee="urn:ex:me"))
            world = World(now=now, events=(done,))
            assert decide(model, Request(ODRL + "use", assignee="urn:ex:me"), world) is verdict


def test_the_last_day_of_the_calendar_is_a_deadline_too() -> None:
    text = policy("dateTime", "lteq", "9999-12-31", "date").replace("odrl:permission", "odrl:obligation")
    found = evaluate(read_one(text), Request(), World(now=datetime(2026, 1, 1, tzinfo=UTC)))
    assert found.obligations[0].deontic == "NonSet"


# --- what is no time ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2026-11-25T23:59:60Z", "dateTime"),  # a leap second: XML Schema has none
        ("2026-11-25T24:00:01Z", "dateTime"),
        ("2026-02-29", "date"),
        ("2026-11-25+15:00", "date"),
        ("2026-11-25T12:00:00+14:30", "dateTime"),
        ("12026-01-01", "date"),
        ("-0044-03-15", "date"),
        ("0000", "gYear"),
        ("9999-12-31-14:00", "date"),
        ("0001-01-01T00:00:00+14:00", "dateTime"),
        ("9999-12-31T24:00:00Z", "dateTime"),
        ("2026-13", "gYearMonth"),
        ("12:00:00Z", "time"),
        ("\uff12026-11-25", "date"),
        ("2026-11-25T12:00:00." + "9" * 5_000 + "Z", "dateTime"),
    ],
)
def test_what_is_no_time_is_refused_with_its_place_and_what_to_write(text: str, kind: str) -> None:
    with pytest.raises(PolicyMismatch) as refused:
        read_one(policy("dateTime", "lt", text, kind))
    said = str(refused.value)
    assert said.startswith("permission[0].constraint[0]: ")
    assert f"of type xsd:{kind} is not a value for dateTime; write one like 2026-12-01T00:00:00Z" in said


def test_midnight_at_the_end_of_a_day_is_the_start_of_the_next() -> None:
    assert value("2026-12-31T24:00:00Z", "dateTime") == datetime(2027, 1, 1, tzinfo=UTC)
    assert value("2026-12-31T24:00:00.000+01:00", "dateTime") == datetime(2026, 12, 31, 23, tzinfo=UTC)


# --- durations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "left", "right", "state"),
    [
        ("lteq", timedelta(days=27), "P1M", True),
        ("lteq", timedelta(days=28), "P1M", True),
        ("lteq", timedelta(days=30), "P1M", None),
        ("lteq", timedelta(days=31), "P1M", None),
        ("lteq", timedelta(days=32), "P1M", False),
        ("gt", timedelta(days=32), "P1M", True),
        ("eq", timedelta(days=30), "P1M", None),
        ("eq", timedelta(days=32), "P1M", False),
        ("eq", Months(12), "P1Y", True),
        ("lt", Months(13), "P1Y2M", True),
        ("lteq", timedelta(days=365), "P1Y", True),
        ("lteq", timedelta(days=366), "P1Y", None),
        ("eq", 30, "P1M", None),
    ],
)
def test_a_month_is_as_long_as_the_calendar_makes_it(
    operator: str, left: Any, right: str, state: bool | None
) -> None:
    assert compare(operator, (left,), (value(right, "duration"),)) is state


def test_where_both_ends_are_known_a_month_is_that_month() -> None:
    start = datetime(2027, 1, 31, tzinfo=UTC)
    for end, state in ((datetime(2027, 2, 28, tzinfo=UTC), True), (datetime(2027, 3, 1, tzinfo=UTC), False)):
        passed = (Elapsed(start, end),)
        assert compare("lteq", passed, (Months(1),)) is state
        assert compare("gt", passed, (Months(1),)) is not state
        assert compare("eq", passed, (Months(1),)) is state
        assert compare("lteq", passed, (timedelta(days=28),)) is state
    assert compare("lteq", (Elapsed(start, start),), (Months(10**6),)) is True
    assert compare("gteq", (Elapsed(start, start),), (timedelta.min,)) is True


def test_a_duration_in_a_policy_is_kept_as_long_as_it_surely_lasts() -> None:
    model = prepare(read_one(policy("elapsedTime", "lteq", "P1M", "duration")))
    for days, verdict in ((28, Verdict.PERMIT), (29, Verdict.DENY), (40, Verdict.DENY)):
        asked = Request(ODRL + "use", values={ODRL + "elapsedTime": (timedelta(days=days),)})
        assert decide(model, asked) is verdict


@pytest.mark.parametrize("text", ["P", "PT", "P1Y2", "P1H", "P1.5D", "1M", "P-1M", "p1m", "P1M2Y", "PT1S1M",
                                  "P9999999Y", "PT1.1234567S", "P\u0663M", f"P{9:09000}D"])  # fmt: skip
def test_what_is_no_duration_is_refused_with_its_place_and_what_to_write(text: str) -> None:
    with pytest.raises(PolicyMismatch, match=r"permission\[0\]\.constraint\[0\]: .*; write one like P30D"):
        read_one(policy("elapsedTime", "lteq", text, "duration"))


@pytest.mark.parametrize(("text", "kind"), [("P1M", "dayTimeDuration"), ("P1D", "yearMonthDuration")])
def test_a_duration_of_another_type_is_refused(text: str, kind: str) -> None:
    with pytest.raises(PolicyMismatch, match=f"of type xsd:{kind} is not a value for elapsedTime"):
        read_one(policy("elapsedTime", "lteq", text, kind))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("lteq", "P1M"), ("gteq", "P32D"), Conflict),
        (("lteq", "P1M"), ("gteq", "P30D"), Unknown),
        (("lteq", "P1M"), ("gteq", "P28D"), Compatible),
        (("lteq", "P1M"), ("gt", "P1M"), Conflict),
        (("lteq", "P1Y"), ("gteq", "P12M"), Compatible),
        (("lteq", "P1Y"), ("gteq", "P13M"), Conflict),
        (("eq", "P1M"), ("eq", "P30D"), Unknown),
        (("eq", "P1M"), ("neq", "P30D"), Unknown),
        (("lt", "-P1M"), ("lt", "P1M"), Conflict),
    ],
)
def test_policies_with_months_conflict_where_every_start_says_so(
    one: tuple[str, str], other: tuple[str, str], expected: type
) -> None:
    mine, theirs = (
        read_one(policy("elapsedTime", *limit, "duration", name=name))
        for limit, name in ((one, "a"), (other, "b"))
    )
    for answer in (conflict(mine, theirs), conflict(theirs, mine)):
        assert isinstance(answer, expected), answer


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"),
    [
        ("P28D", "P1M", Refines),
        ("P1M", "P31D", Refines),
        ("P1M", "P30D", Unknown),
        ("P30D", "P1M", Unknown),
        ("P32D", "P1M", NotRefines),
        ("P1Y", "P12M", Refines),
    ],
)
def test_a_duration_lies_within_another_only_if_from_every_start(
    narrow: str, wide: str, expected: type
) -> None:
    mine, theirs = (read_one(policy("elapsedTime", "lteq", text, "duration")) for text in (narrow, wide))
    assert isinstance(refines(mine, replace(theirs, id="urn:other")), expected)


def test_years_and_zoned_days_are_compared_between_policies_too() -> None:
    def limit(operator: str, text: str, kind: str, demands: Demands | None = None) -> Any:
        return read_one(policy("dateTime", operator, text, kind, name=operator), demands=demands or Demands())

    year = limit("eq", "2026", "gYear")
    assert isinstance(conflict(year, limit("gt", "2026-12-31", "date")), Conflict)
    assert isinstance(conflict(year, limit("gt", "2026-12-31+01:00", "date")), Compatible)
    assert isinstance(
        refines(limit("lt", "2027-01-01T00:00:00Z", "dateTime"), limit("lteq", "2026", "gYear")), Refines
    )
    unzoned = limit("lt", "2026-01-01T00:00:00", "dateTime", OPEN)
    assert isinstance(conflict(unzoned, limit("gteq", "2026", "gYear")), Unknown)


# --- laws --------------------------------------------------------------------------------------------

_ZONED = st.builds(
    lambda at, zone: f"{at.isoformat().removesuffix('+00:00')}{zone}",
    st.integers(0, 72 * 60).map(lambda at: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=at)),
    st.sampled_from(["Z", "+01:00", "-05:30", "+14:00", "-14:00", ""]),
)
_DAYS = st.builds(
    lambda day, zone: f"{day.isoformat()}{zone}",
    st.dates(date(2026, 1, 1), date(2026, 1, 4)),
    st.sampled_from(["Z", "+01:00", "+14:00", "-14:00", ""]),
)
_TIMES = st.one_of(
    _ZONED.map(lambda text: value(text, "dateTime", is_open=True)),
    _DAYS.map(lambda text: value(text, "date", is_open=True)),
    st.sampled_from(["2025", "2026Z", "2026+14:00"]).map(lambda text: value(text, "gYear", is_open=True)),
)


def _zoned(time: Value, hours: int) -> Value:
    """The same time, if it has no zone, in one that is so far off UTC."""
    shift = timedelta(hours=hours)
    if isinstance(time, Stretch) and time.first.tzinfo is None:
        first, last = (end.replace(tzinfo=UTC) - shift for end in (time.first, time.last))
        return replace(time, first=first, last=last)
    if isinstance(time, datetime) and time.tzinfo is None:
        return time.replace(tzinfo=UTC) - shift
    return time


@given(
    _TIMES, _TIMES, st.integers(-14, 14), st.integers(-14, 14), st.sampled_from(["lt", "lteq", "gt", "gteq"])
)
def test_what_is_known_of_open_times_is_so_in_every_zone(
    left: Value, right: Value, mine: int, theirs: int, operator: str
) -> None:
    same = isinstance(left, type(right)) and _zoned(left, 0) != left and _zoned(right, 0) != right
    known = compare(operator, (left,), (right,))
    zoned = compare(operator, (_zoned(left, mine),), (_zoned(right, mine if same else theirs),))
    # Where both are open they are taken to be of one zone, as XML Schema does.
    both_open = _zoned(left, 0) is not left and _zoned(right, 0) is not right
    if both_open:
        zoned = compare(operator, (_zoned(left, mine),), (_zoned(right, mine),))
    assert known is None or zoned is known


def test_a_quantity_of_hours_is_a_duration() -> None:
    hour, minute = "http://qudt.org/vocab/unit/HR", "https://qudt.org/vocab/unit/MIN"
    assert compare("lteq", (timedelta(minutes=90),), (2,), unit=hour) is True
    assert compare("lteq", (timedelta(minutes=121),), (2,), unit=hour) is False
    assert compare("eq", (Quantity(120, minute),), (2,), unit=hour) is True
    assert compare("eq", (Quantity(2, minute),), (timedelta(minutes=2),), unit=minute) is True
    assert compare("neq", (timedelta(hours=2),), (2,)) is None


def test_constraints_of_a_policy_are_told_with_their_durations() -> None:
    (constraint,) = read_one(policy("elapsedTime", "lteq", "P14M", "duration")).permissions[0].constraints
    assert isinstance(constraint, Constraint)
    assert [str(one) for one in constraint.values] == ["P1Y2M"]
