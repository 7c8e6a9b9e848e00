"""Each term that is kept in the stream: from the policy as it travels to exactly the rows that leave."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.client.stream import Access, DataStream
from connector.dataplane.masks import mask_key
from connector.dataplane.question import Question
from connector.dataplane.sample import sample_salt
from connector.offering.describe import Publication
from policies.operands import column_operand, mask_operand
from schemas.errors import DataspaceError, Malformed, PolicyMismatch, UseDenied, WorldMoved
from schemas.odrl import Offer
from schemas.usage import UsageKind
from tests.naive_plan import drawn
from tests.streaming import LOOPBACK, TRAIN, Provider, limit, offer


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC).replace(tzinfo=None)  # type: ignore[misc, arg-type]


PEOPLE = pa.table(
    {
        "name": ["Ann", "Bob", "Cem", None, "Eve", "Fay"],
        "age": pa.array([31, 47, 31, 62, None, 31], pa.int16()),
        "sex": ["F", "M", "M", "M", "F", None],
        "country": ["DE", "US", "FR", "DE", None, "CH"],
        "seen": pa.array(
            [
                at(1969, 12, 31, 23, 59, 59),
                at(2026, 3, 1, 0, 30),
                None,
                at(2024, 2, 29, 12, 0),
                at(2026, 12, 31),
                at(1970, 1, 1),
            ],
            pa.timestamp("us"),
        ),
        "paid": pa.array(
            [Decimal("-0.05"), Decimal("12.34"), Decimal("99.95"), None, Decimal("0.00"), Decimal("7.50")]
        ).cast(pa.decimal128(8, 2)),
        "score": [0.125, float("nan"), -2.5, 1e6, None, float("inf")],
    }
)


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    return Provider(tmp_path)


def rows(provider: Provider, *constraints: dict[str, Any], columns: Sequence[str] | None = None) -> list[Any]:
    read: list[Any] = provider.read(provider.ticket(PEOPLE, *constraints), columns=columns).to_pylist()
    return read


def column(provider: Provider, name: str, *constraints: dict[str, Any]) -> list[Any]:
    return [row[name] for row in rows(provider, *constraints, columns=[name])]


def mask(name: str, how: str) -> dict[str, Any]:
    return limit("mask/" + mask_operand(name).rpartition("/")[2], "eq", how)


def permitting(*permissions: Sequence[dict[str, Any]], prohibiting: Sequence[dict[str, Any]] = ()) -> Offer:
    """An offer of several permissions, and of one prohibition over some rows."""
    told: dict[str, Any] = {
        "@id": "",
        "permission": [{"action": "use", "constraint": list(constraints)} for constraints in permissions],
    }
    if prohibiting:
        told["prohibition"] = [{"action": "use", "constraint": list(prohibiting)}]
    return Offer.read(told)


def granted(provider: Provider, own: Offer, table: pa.Table = PEOPLE, **given: Any) -> str:
    report = provider.publish(table, own, **given)
    assert report.refused == (), report.refused
    return provider.grant(report.published[0], own)


def test_a_row_filter_lets_matching_rows_through_and_no_empty_cell(provider: Provider) -> None:
    assert column(provider, "name", limit("column/age", "lteq", 47)) == ["Ann", "Bob", "Cem", "Fay"]
    assert column(provider, "age", limit("column/score", "gt", 0)) == [
        31,
        62,
        31,
    ]  # infinity is more, NaN is not


def test_an_area_filter_lets_through_the_countries_of_the_region(provider: Provider) -> None:
    assert column(provider, "name", limit("rowSpatial/country", "isPartOf", "EU")) == ["Ann", "Cem", None]


def test_a_column_list_hides_every_other_column(provider: Provider) -> None:
    assert rows(provider, limit("columns", "isAnyOf", ["sex", "age"]))[0] == {"age": 31, "sex": "F"}


@pytest.mark.parametrize(
    ("name", "how", "expected"),
    [
        ("age", "null", [None] * 6),
        ("name", "redact", ["[redacted]"] * 6),
        ("age", "bucket:10", [30, 40, 30, 60, None, 30]),
        ("age", "round:-1", [30, 50, 30, 60, None, 30]),
        ("paid", "bucket:0.10", ["-0.10", "12.30", "99.90", None, "0.00", "7.50"]),
        ("paid", "round:1", ["0.00", "12.30", "100.00", None, "0.00", "7.50"]),
        ("paid", "bucket:10", ["-10.00", "10.00", "90.00", None, "0.00", "0.00"]),
        ("score", "bucket:1", [0.0, None, -3.0, 1e6, None, None]),
        ("score", "round:0", [0.0, None, -2.0, 1e6, None, None]),
        ("score", "round:2", [0.13, None, -2.5, 1e6, None, None]),
        (
            "seen",
            "truncate:year",
            ["1969-01-01", "2026-01-01", None, "2024-01-01", "2026-01-01", "1970-01-01"],
        ),
        (
            "seen",
            "truncate:quarter",
            ["1969-10-01", "2026-01-01", None, "2024-01-01", "2026-10-01", "1970-01-01"],
        ),
        (
            "seen",
            "truncate:month",
            ["1969-12-01", "2026-03-01", None, "2024-02-01", "2026-12-01", "1970-01-01"],
        ),
        (
            "seen",
            "truncate:week",
            ["1969-12-29", "2026-02-23", None, "2024-02-26", "2026-12-28", "1969-12-29"],
        ),
        (
            "seen",
            "truncate:day",
            ["1969-12-31", "2026-03-01", None, "2024-02-29", "2026-12-31", "1970-01-01"],
        ),
        (
            "seen",
            "truncate:hour",
            ["1969-12-31T23", "2026-03-01", None, "2024-02-29T12", "2026-12-31", "1970-01-01"],
        ),
    ],
)
def test_a_mask_leaves_exactly_this_of_a_column(
    provider: Provider, name: str, how: str, expected: list[Any]
) -> None:
    found = column(provider, name, mask(name, how))
    if name == "paid":
        expected = [None if text is None else Decimal(text) for text in expected]
    if name == "seen":
        expected = [None if text is None else dt.datetime.fromisoformat(text) for text in expected]
    assert found == expected


def test_a_hash_is_the_same_for_the_same_value_and_tells_nothing_of_it(provider: Provider) -> None:
    found = column(provider, "age", mask("age", "hash"))
    assert found[0] == found[2] == found[5] != found[1]
    assert found[4] is None
    assert all(len(text) == 16 for text in found if text)


@pytest.mark.parametrize(
    ("name", "how", "word"),
    [
        ("name", "bucket:10", "numbers"),
        ("age", "bucket:0.5", "whole number"),
        ("age", "redact", "a column of text"),
        ("name", "truncate:month", "dates"),
        ("paid", "bucket:0.001", "multiple of 0.01"),
    ],
)
def test_a_mask_that_does_not_fit_its_column_is_refused_at_publication(
    provider: Provider, name: str, how: str, word: str
) -> None:
    report = provider.publish(PEOPLE, offer(mask(name, how)))
    assert report.published == ()
    assert name in report.refused[0][1]
    assert word in report.refused[0][1]


def test_columns_that_must_stay_apart_are_never_read_together(provider: Provider) -> None:
    ticket = provider.ticket(PEOPLE, limit("notTogether", "isAllOf", ["name", "age"]))
    with pytest.raises(PolicyMismatch, match="'name', 'age' must not be read together"):
        provider.read(ticket)
    with pytest.raises(PolicyMismatch, match="'name', 'age' must not be read together"):
        provider.read(ticket, columns=["age", "sex", "name"])
    assert provider.read(ticket, columns=["age"]).column_names == ["age"]


def test_who_has_read_one_of_columns_that_must_stay_apart_never_reads_the_rest(provider: Provider) -> None:
    apart = (
        limit("notTogether", "isAllOf", ["name", "age", "home"]),
        limit("notTogether", "isAllOf", ["age", "n"]),
    )
    table = pa.table({"name": ["Ann"], "age": [30], "home": ["Bern"], "n": [1]})
    ticket = provider.ticket(table, *apart)
    assert provider.read(ticket, columns=["name", "n"]).num_rows == 1
    before = provider.stores.usage.totals(provider.agreement)
    why = "'age', 'n' must not be read together, nor one after the other: 'n' was read under this agreement"
    with pytest.raises(PolicyMismatch, match=why):
        provider.read(ticket, columns=["age"])
    assert provider.stores.usage.totals(provider.agreement) == before, "a refused opening counts as none"
    assert provider.read(ticket, columns=["home", "name"])["home"].to_pylist() == ["Bern"], "two of three"
    assert provider.stores.usage.totals(provider.agreement).released == {"name", "n", "home"}

    other = provider.start(provider.agreement, provider.stores.transfers.get(provider.transfer).dataset)
    with pytest.raises(PolicyMismatch, match="nor one after the other"):
        provider.read(other, columns=["age"])
    decisions = [one for one in provider.records() if one.kind is UsageKind.ACCESS_DECISION]
    assert [one.detail["apart"] for one in decisions] == ['["n", "name"]', "[]", '["home", "name"]', "[]"]
    assert provider.read(provider.ticket(table, *apart), columns=["age"]).num_rows == 1, "another agreement"


def test_columns_that_leave_empty_and_openings_that_fail_let_nothing_go(provider: Provider) -> None:
    apart = limit("notTogether", "isAllOf", ["name", "age"])
    table = pa.table({"name": ["Ann"], "age": [30]})
    ticket = provider.ticket(table, apart, limit("mask/name", "eq", "null"))
    assert provider.read(ticket).num_rows == 1
    assert provider.stores.usage.totals(provider.agreement).released == {"age"}
    ticket = provider.ticket(table, apart)
    for columns in (["name", "nothing"], ["name", "age"], None):
        with pytest.raises(PolicyMismatch):
            provider.read(ticket, columns=columns)
    assert provider.stores.usage.totals(provider.agreement).released == frozenset()
    assert provider.read(ticket, columns=["age"]).num_rows == 1


def test_a_sample_is_the_same_rows_at_every_reading_whatever_columns_are_asked_for(
    provider: Provider,
) -> None:
    table = pa.table({"n": range(4000), "m": [str(n) for n in range(4000)]})
    ticket = provider.ticket(table, limit("percentage", "lteq", "12.5"), name="many", row_group_size=500)
    salt = sample_salt(mask_key(b"m" * 32, provider.agreement))
    expected = [n for n in range(4000) if drawn(salt, n) < 2**64 // 8]
    assert 400 < len(expected) < 600
    assert provider.read(ticket)["n"].to_pylist() == expected
    assert provider.read(ticket, columns=["m"])["m"].to_pylist() == [str(n) for n in expected]
    assert provider.read(ticket, start=333)["n"].to_pylist() == expected[333:]
    other = provider.grant("urn:hansa:provider.example:many", offer(limit("percentage", "lteq", "12.5")))
    assert provider.read(other)["n"].to_pylist() != expected


def test_people_who_are_not_hidden_among_enough_others_are_left_out(provider: Provider) -> None:
    hidden = limit("kAnonymity", "gteq", 2), limit("quasiIdentifiers", "isAllOf", ["age"])
    assert column(provider, "name", *hidden) == ["Ann", "Cem", "Fay"]
    both = limit("kAnonymity", "gteq", 2), limit("quasiIdentifiers", "isAllOf", ["sex", "country"])
    assert column(provider, "name", *both) == []
    # Classes are of the rows that the permission covers, not of the whole file.
    assert column(provider, "name", *hidden, limit("column/sex", "isAnyOf", ["M"])) == []


def test_empty_cells_make_a_class_of_their_own(provider: Provider) -> None:
    table = pa.table({"n": range(5), "q": ["a", None, None, "b", "b"]})
    hidden = limit("kAnonymity", "gteq", 2), limit("quasiIdentifiers", "isAllOf", ["q"])
    ticket = provider.ticket(table, *hidden, name="q", row_group_size=1)
    assert provider.read(ticket)["n"].to_pylist() == [1, 2, 3, 4]
    assert provider.read(ticket, start=3)["n"].to_pylist() == [4]


def test_of_two_permissions_each_shows_its_own_cells_in_its_own_rows(provider: Provider) -> None:
    own = permitting(
        [
            limit("columns", "isAnyOf", ["name", "age"]),
            limit("column/sex", "eq", "F"),
            mask("age", "bucket:10"),
        ],
        [limit("columns", "isAnyOf", ["age", "country"]), limit("column/age", "lt", 50)],
    )
    assert provider.read(granted(provider, own)).to_pylist() == [
        {"name": "Ann", "age": 31, "country": "DE"},  # both: the exact age
        {"name": None, "age": 47, "country": "US"},
        {"name": None, "age": 31, "country": "FR"},
        {"name": "Eve", "age": None, "country": None},
        {"name": None, "age": 31, "country": "CH"},
    ]


def test_rows_that_a_prohibition_speaks_of_never_leave_and_an_empty_cell_is_one_of_them(
    provider: Provider,
) -> None:
    own = permitting([], prohibiting=[limit("column/sex", "eq", "M")])
    assert provider.read(granted(provider, own))["name"].to_pylist() == ["Ann", "Eve"]


def consents(provider: Provider, *entries: tuple[Any, Any, str | None, str | None]) -> None:
    """Write the consent table: subject, purpose, given, withdrawn."""
    table = pa.table(
        {
            "subject": pa.array([entry[0] for entry in entries], pa.string()),
            "purpose": pa.array([entry[1] for entry in entries], pa.string()),
            "given_at": _times(entry[2] for entry in entries),
            "withdrawn_at": _times(entry[3] for entry in entries),
        }
    )
    fresh = provider.data / "fresh.parquet"
    pq.write_table(table, fresh)
    fresh.replace(provider.data / "consents.parquet")


def _times(texts: Any) -> pa.Array:
    return pa.array(
        [None if text is None else dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) for text in texts],
        pa.timestamp("us", "UTC"),
    )


def consented(provider: Provider, table: pa.Table, purpose: str | None = None, *more: dict[str, Any]) -> str:
    own = offer(limit("consent/name", "eq", "given"), *more)
    pq.write_table(table, provider.data / "people.parquet", row_group_size=100)
    report = provider.offerings.publish(
        [Publication("people.parquet", "People", (own,), consent="consents.parquet")]
    )
    assert report.refused == (), report.refused
    return provider.grant((report.published + report.unchanged)[0], own, purpose)


RESEARCH = "https://w3id.org/dpv#ScientificResearch"


def test_only_rows_of_subjects_who_consent_leave(provider: Provider) -> None:
    consents(
        provider,
        ("Ann", None, "2026-01-01", None),
        ("Bob", "ResearchAndDevelopment", "2026-01-01", None),
        ("Cem", RESEARCH, "2026-01-01", "2026-11-23T12:00:00"),  # withdrawn just now
        ("Eve", "dpv:Marketing", "2026-01-01", None),
        ("Fay", None, "2026-11-23T12:00:01", None),  # not yet given
        ("Fay", "noSuchPurpose", "2026-01-01", None),
        (None, None, "2026-01-01", None),
    )
    assert provider.read(consented(provider, PEOPLE, RESEARCH))["name"].to_pylist() == ["Ann", "Bob"]
    assert provider.read(consented(provider, PEOPLE, None))["name"].to_pylist() == ["Ann"]
    provider.now += dt.timedelta(seconds=1)
    assert provider.read(consented(provider, PEOPLE, None))["name"].to_pylist() == ["Ann", "Fay"]


def test_a_withdrawal_on_another_line_ends_what_was_given_before_it(provider: Provider) -> None:
    consents(
        provider,
        ("Ann", None, "2026-01-01", None),
        ("Ann", None, "2026-01-01", "2026-02-01"),  # written down beside, as in a book of what happened
        ("Bob", None, "2026-01-01", "2026-02-01"),
        ("Bob", None, "2026-03-01", None),  # given anew
        ("Cem", RESEARCH, "2026-01-01", None),
        ("Cem", "dpv:ScientificResearch", "2025-01-01", "2026-02-01"),
        ("Eve", RESEARCH, "2026-01-01", None),
        ("Eve", "Marketing", "2026-01-01", "2026-02-01"),  # another purpose
        ("Fay", None, "2026-01-01", None),
        ("Fay", None, "2026-01-01", "2026-11-23T12:00:01"),  # only announced
    )
    ticket = consented(provider, PEOPLE, RESEARCH)
    assert provider.read(ticket)["name"].to_pylist() == ["Bob", "Eve", "Fay"]
    provider.now += dt.timedelta(seconds=1)
    assert provider.read(ticket)["name"].to_pylist() == ["Bob", "Eve"]


def test_a_withdrawal_stops_the_rows_that_follow_and_the_others_keep_their_numbers(
    provider: Provider,
) -> None:
    people = pa.table({"name": ["a", "b"] * 3000, "n": range(6000)})
    both = ("a", None, "2026-01-01", None), ("b", None, "2026-01-01", None)
    consents(provider, *both)
    provider.streams._batch_bytes = 1 << 10
    ticket = consented(provider, people)
    seen: list[int] = []
    with provider.streams.open(ticket) as stream:
        for batch, position in stream.batches():
            seen += batch["n"].to_pylist()
            if not position:
                continue
            if position < 4000 and len(seen) == position and position >= 1000:
                consents(provider, both[0], ("b", None, "2026-01-01", "2026-11-01"))
                cut = position
        assert position == 5999  # the last row of "a": the row after it is withheld, and has its number
    assert seen == [*range(cut), *(n for n in range(cut, 6000) if n % 2 == 0)]
    assert provider.read(ticket, start=cut)["n"].to_pylist() == [n for n in range(cut, 6000) if n % 2 == 0]
    assert provider.read(ticket, start=5000)["n"].to_pylist() == list(range(5000, 6000, 2))
    consents(provider, *both)
    assert provider.read(ticket, start=5998)["n"].to_pylist() == [5998, 5999]


def test_a_reader_resumes_over_rows_that_are_withheld(provider: Provider) -> None:
    people = pa.table({"name": ["a", "b"] * 50, "n": range(100)})
    consents(provider, ("b", None, "2026-01-01", None))
    provider.streams._batch_bytes = 64
    ticket = consented(provider, people)
    with provider.door():
        access = Access(provider.url + provider.transfer, ticket, "d", provider.agreement, LOOPBACK)
        with DataStream(access) as stream:
            first = next(stream)
            state = stream.state_dict()
            assert state["position"] == first["n"].to_pylist()[-1] + 1
        with DataStream(access) as stream:
            stream.load_state_dict(state)
            rest = stream.read_all()
    assert [*first["n"].to_pylist(), *rest["n"].to_pylist()] == list(range(1, 100, 2))


def test_people_hidden_among_others_are_counted_among_those_who_consent(provider: Provider) -> None:
    people = pa.table({"name": ["a", "b", "c", "d"], "q": [1, 1, 2, 2]})
    given = [(name, None, "2026-01-01", None) for name in "abc"]
    consents(provider, *given)
    hidden = limit("kAnonymity", "gteq", 2), limit("quasiIdentifiers", "isAllOf", ["q"])
    ticket = consented(provider, people, None, *hidden)
    assert provider.read(ticket)["name"].to_pylist() == ["a", "b"]


def test_who_is_left_alone_by_a_withdrawal_is_hidden_among_others_no_more(provider: Provider) -> None:
    names = [f"p{n}" for n in range(2000)]
    people = pa.table({"name": names, "room": [n // 2 for n in range(2000)]})
    everybody = [(name, None, "2026-01-01", None) for name in names]
    consents(provider, *everybody)
    provider.streams._batch_bytes = 1 << 10
    hidden = limit("kAnonymity", "gteq", 2), limit("quasiIdentifiers", "isAllOf", ["room"])
    ticket = consented(provider, people, None, *hidden)
    with provider.streams.open(ticket) as stream:
        batches = stream.batches()
        assert 0 < next(batches)[0].num_rows < 1000
        # One of the two in each room: the other one would stand there alone.
        consents(provider, *everybody[::2])
        assert list(batches) == []
    assert provider.read(ticket).num_rows == 0


def test_a_consent_table_that_vanishes_stops_the_stream(provider: Provider) -> None:
    consents(provider, ("a", None, "2026-01-01", None))
    provider.streams._batch_bytes = 64
    ticket = consented(provider, pa.table({"name": ["a"] * 500}))
    with provider.streams.open(ticket) as stream:
        batches = stream.batches()
        next(batches)
        (provider.data / "consents.parquet").unlink()
        assert list(batches) == []
        assert stream.end is not None
        assert stream.end.kind == "failed"
        assert "consents.parquet" in stream.end.reason


def test_an_offer_that_asks_for_consent_needs_a_consent_table(provider: Provider) -> None:
    report = provider.publish(PEOPLE, offer(limit("consent/name", "eq", "given")))
    assert "publish the data with 'consent'" in report.refused[0][1]


PATIENTS = pa.table(
    {
        "who": [f"p{n // 2}" for n in range(60)],  # every subject has two rows
        "ward": ["A"] * 30 + ["B"] * 20 + ["C"] * 10,
        "sex": (["F", "F", "M"] * 20),
        "age": pa.array([20 + n for n in range(60)], pa.int32()),
    }
)
STATISTICS = limit("aggregateOnly", "eq", True), limit("minGroupSize", "gteq", 10)


def ask(provider: Provider, ticket: str, group: list[str], *measures: tuple[str, str | None]) -> list[Any]:
    told = [{"function": name, **({"column": of} if of else {})} for name, of in measures]
    question = Question.read(json.dumps({"group": group, "measures": told}))
    with provider.streams.open(ticket, question=question) as stream:
        batches = [batch for batch, _ in stream.batches()]
    found: list[Any] = pa.Table.from_batches(batches, stream.schema).to_pylist()
    return found


def test_where_only_statistics_are_released_rows_never_leave(provider: Provider) -> None:
    ticket = provider.ticket(PATIENTS, *STATISTICS)
    with pytest.raises(UseDenied, match="statistics over groups, and no rows"):
        provider.read(ticket)
    assert ask(
        provider, ticket, ["ward"], ("count", None), ("mean", "age"), ("min", "age"), ("sum", "age")
    ) == [
        {"ward": "A", "count": 30, "mean(age)": 34.5, "min(age)": 20, "sum(age)": 1035},
        {"ward": "B", "count": 20, "mean(age)": 59.5, "min(age)": 50, "sum(age)": 1190},
        {"ward": "C", "count": 10, "mean(age)": 74.5, "min(age)": 70, "sum(age)": 745},
    ]
    assert ask(provider, ticket, [], ("count", None), ("max", "age")) == [{"count": 60, "max(age)": 79}]


def test_a_group_that_is_too_small_is_held_back_and_so_is_what_would_give_it_away(provider: Provider) -> None:
    ticket = provider.ticket(PATIENTS, limit("aggregateOnly", "eq", True), limit("minGroupSize", "gteq", 15))
    # C has 10 rows. Alone it would follow from the total of 60; so B is held back with it.
    assert ask(provider, ticket, ["ward"], ("count", None)) == [{"ward": "A", "count": 30}]
    # A has 20 women and 10 men: the men would follow from the 30 of A, so the women are held back too.
    assert ask(provider, ticket, ["ward", "sex"], ("count", None)) == []


def test_groups_are_as_large_as_the_people_in_them(provider: Provider) -> None:
    ticket = provider.ticket(
        PATIENTS,
        limit("aggregateOnly", "eq", True),
        limit("minGroupSize", "gteq", 10),
        limit("subject", "eq", "who"),
    )
    # Of C only five people are there, in ten rows; B has ten, and is held back with it.
    assert ask(provider, ticket, ["ward"], ("subjects", None), ("count", None)) == [
        {"ward": "A", "subjects": 15, "count": 30}
    ]


def test_a_measure_to_which_too_few_gave_a_value_is_empty(provider: Provider) -> None:
    table = PATIENTS.append_column("rare", pa.array([1.5] * 3 + [None] * 57, pa.float64()))
    ticket = provider.ticket(table, *STATISTICS)
    assert ask(provider, ticket, [], ("mean", "rare"), ("count", "rare"), ("count", None)) == [
        {"mean(rare)": None, "count(rare)": None, "count": 60}
    ]


def test_how_many_gave_no_value_is_not_told_where_they_are_few(provider: Provider) -> None:
    few = pa.array([None] * 3 + [7] * 57, pa.int64())
    many = pa.array([None] * 20 + [7] * 40, pa.int64())
    ticket = provider.ticket(PATIENTS.append_column("few", few).append_column("many", many), *STATISTICS)
    measures = [(function, name) for name in ("few", "many", "age") for function in ("count", "sum", "mean")]
    (told,) = ask(provider, ticket, [], *measures)
    # Three people without a value would follow from either of these two.
    assert (told["count(few)"], told["mean(few)"], told["sum(few)"]) == (None, None, 57 * 7)
    assert (told["count(many)"], told["mean(many)"], told["sum(many)"]) == (40, 7.0, 280)
    assert told["count(age)"] == 60


def test_a_question_that_makes_very_many_groups_is_refused_before_they_are_weighed(
    provider: Provider,
) -> None:
    table = pa.table({"id": range(100_001)})
    ticket = provider.ticket(table, *STATISTICS)
    with pytest.raises(DataspaceError, match="more than 100000 groups; group by columns of fewer values"):
        ask(provider, ticket, ["id"], ("count", None))
    assert ask(provider, ticket, [], ("count", None)) == [{"count": 100_001}]


def test_groups_are_of_masked_values_where_columns_are_masked(provider: Provider) -> None:
    ticket = provider.ticket(PATIENTS, *STATISTICS, mask("age", "bucket:20"))
    assert ask(provider, ticket, ["age"], ("count", None)) == [
        {"age": 20, "count": 20},
        {"age": 40, "count": 20},
        {"age": 60, "count": 20},
    ]


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("{", "not JSON"),
        ('{"group": ["a"]}', "measures"),
        ('{"group": "a", "measures": [{"function": "count"}]}', "list of column names"),
        ('{"measures": [{"function": "median", "column": "a"}]}', "known: count"),
        ('{"measures": [{"function": "sum"}]}', "needs a column"),
        ('{"measures": [{"function": "count", "filter": "x"}]}', "'function' and 'column' only"),
        ('{"group": ["count"], "measures": [{"function": "count"}]}', "two columns 'count'"),
        ('{"group": ["a","b","c","d","e"], "measures": [{"function": "count"}]}', "at most 4"),
    ],
)
def test_a_question_that_is_none_is_refused(question: str, word: str) -> None:
    with pytest.raises(Malformed, match=word):
        Question.read(question)


def test_a_question_about_columns_that_are_hidden_or_hold_no_numbers_is_refused(provider: Provider) -> None:
    ticket = provider.ticket(PATIENTS, *STATISTICS, limit("columns", "isAnyOf", ["ward", "sex"]))
    with pytest.raises(PolicyMismatch, match="'age' is not among those"):
        ask(provider, ticket, [], ("sum", "age"))
    with pytest.raises(PolicyMismatch, match="asks for numbers"):
        ask(provider, ticket, [], ("sum", "sex"))
    with pytest.raises(PolicyMismatch, match="names no column of subjects"):
        ask(provider, ticket, [], ("subjects", None))


def test_a_question_travels_through_the_door_and_the_client(provider: Provider) -> None:
    ticket = provider.ticket(PATIENTS, *STATISTICS)
    with provider.door():
        access = Access(
            provider.url + provider.transfer,
            ticket,
            "d",
            provider.agreement,
            LOOPBACK,
            question={"group": ["ward"], "measures": [{"function": "count"}]},
        )
        with DataStream(access) as stream:
            assert stream.read_all().to_pylist() == [
                {"ward": "A", "count": 30},
                {"ward": "B", "count": 20},
                {"ward": "C", "count": 10},
            ]
    (decision,) = [one for one in provider.records() if one.kind is UsageKind.ACCESS_DECISION]
    assert str(decision.detail["aggregate"]).startswith("sha256:")


def test_rows_are_not_asked_about_where_rows_may_be_read(provider: Provider) -> None:
    with pytest.raises(PolicyMismatch, match="leave aggregate out"):
        ask(provider, provider.ticket(PATIENTS), ["ward"], ("count", None))


def test_streams_of_one_agreement_carry_one_mark_and_those_of_another_another(provider: Provider) -> None:
    marks = []
    first = provider.ticket(PEOPLE)
    for ticket in (first, first, provider.grant("urn:hansa:provider.example:t", offer())):
        with provider.streams.open(ticket) as stream:
            marks.append(stream.schema.metadata[b"watermark"])
    assert marks[0] == marks[1] != marks[2]
    assert len(marks[0]) == 32


def test_a_scan_can_be_interrupted_from_elsewhere_at_any_time(provider: Provider) -> None:
    table = pa.table({"n": range(200_000)})
    ticket = provider.ticket(table, limit("column/n", "gteq", 0), name="long", row_group_size=10_000)
    with provider.streams.open(ticket) as stream:
        batches = stream.batches()
        next(batches)
        stream._scan.interrupt()
        stream._scan.interrupt()
        assert list(batches) == []
        assert stream.end is not None
        assert stream.end.kind == "failed"
        assert "interrupted" in stream.end.reason


HOSTILE = ("age", "Age", 'na"me', "x'; DROP TABLE c0; --", "line\nbreak", "\u0430ge", "n" * 1000, "c0", "*")


def test_hostile_names_and_values_are_data_and_nothing_else(provider: Provider) -> None:
    values = ["'; DROP TABLE c0; --", '"', "\x00", "ß", "${x}", "{{ 7*7 }}"]
    table = pa.table(dict.fromkeys(HOSTILE, values))
    for name in HOSTILE:
        for value in values:
            own = offer(
                limit("column/" + column_operand(name).rpartition("/")[2], "eq", value),
                limit("columns", "isAnyOf", [name]),
            )
            ticket = granted(provider, own, table, name=f"h{hash((name, value))}")
            assert provider.read(ticket).to_pylist() == [{name: value}]


def test_columns_that_differ_by_case_only_are_two(provider: Provider) -> None:
    table = pa.table({"age": [1, 2], "Age": [20, 10]})
    ticket = provider.ticket(table, limit("column/Age", "gteq", 20), mask("age", "bucket:10"), name="twins")
    assert provider.read(ticket).to_pylist() == [{"age": 0, "Age": 20}]


def test_nothing_of_a_masked_value_leaves_in_any_byte(provider: Provider) -> None:
    secret = [f"SECRET-{n}" for n in range(40)]
    table = pa.table(
        {
            "name": pa.array(secret).dictionary_encode(),
            "note": secret,
            "number": pa.array([424242424242 + n for n in range(40)]),
            "keep": [n % 2 for n in range(40)],
        }
    ).replace_schema_metadata({"pandas": "SECRET"})
    own = permitting(
        [
            limit("column/keep", "eq", 1),
            mask("name", "redact"),
            mask("note", "null"),
            mask("number", "bucket:1000000"),
        ],
        [limit("columns", "isAnyOf", ["keep", "number"]), mask("number", "null")],
    )
    ticket = granted(provider, own, table, name="secret")
    with (
        provider.door(),
        DataStream(
            Access(provider.url + provider.transfer, ticket, "d", provider.agreement, LOOPBACK)
        ) as stream,
    ):
        whole = stream.read_all()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)
    sent = sink.getvalue().to_pybytes()
    assert b"SECRET" not in sent
    assert not any((424242424242 + n).to_bytes(8, "little") in sent for n in range(40))
    described = json.dumps(provider.offerings.dataset("urn:hansa:provider.example:secret").wire())
    assert "SECRET" not in described
    assert "42424242" not in described


def test_an_engine_that_lets_a_row_through_stops_the_stream_and_names_no_value(provider: Provider) -> None:
    ticket = provider.ticket(PEOPLE, limit("column/age", "gteq", 47), limit("columns", "isAnyOf", ["name"]))
    with provider.streams.open(ticket) as stream:
        judge = stream._scan._held.judge  # type: ignore[attr-defined]
        judge._passes = [type(judge._passes[0]).__invert__(judge._passes[0])]
        with pytest.raises(DataspaceError, match="row filter excludes; nothing of them was sent") as refused:
            list(stream.batches())
        assert "Ann" not in str(refused.value)


def test_what_is_told_to_everybody_knows_nothing_of_people_hidden_or_asked(provider: Provider) -> None:
    consents(provider, ("Ann", None, "2026-01-01", None))
    consented(provider, PEOPLE)
    for constraints in (
        (limit("kAnonymity", "gteq", 2), limit("quasiIdentifiers", "isAllOf", ["age"])),
        (limit("percentage", "lteq", 50),),
        STATISTICS,
    ):
        provider.publish(
            PEOPLE, offer(*constraints), name=f"told{len(constraints)}{constraints[0]['operator']}"
        )
    told = [one.dataset for one in provider.offerings.page(0, 10)]
    assert len(told) == 4
    assert all(dataset.rows is None for dataset in told)
    assert all(column.statistics is None for dataset in told for column in dataset.columns)


@pytest.mark.parametrize(
    "withholding", [STATISTICS, (limit("percentage", "lteq", 50),)], ids=["groups", "sample"]
)
def test_beside_an_offer_that_withholds_rows_an_open_one_has_no_statistics_told(
    provider: Provider, withholding: Any
) -> None:
    assert provider.publish(PEOPLE, offer(), offer(*withholding, action=TRAIN)).refused == ()
    (told,) = [one.dataset for one in provider.offerings.page(0, 10)]
    assert all(column.statistics is None for column in told.columns)


def test_rows_that_a_prohibition_withholds_are_in_no_statistics(provider: Provider) -> None:
    own = permitting([], prohibiting=[limit("column/sex", "eq", "M")])
    provider.publish(PEOPLE, own, name="less")
    dataset = provider.offerings.dataset("urn:hansa:provider.example:less")
    assert dataset.rows == 2
    ages = next(column for column in dataset.columns if column.name == "age")
    assert ages.statistics is not None
    assert (ages.statistics.minimum, ages.statistics.maximum) == ("31", "31")


def test_an_interrupted_scan_says_so_to_whoever_reads_it(provider: Provider) -> None:
    ticket = provider.ticket(PEOPLE)
    with provider.streams.open(ticket) as stream:
        stream._scan.interrupt()
        with pytest.raises(WorldMoved, match="interrupted"):
            list(stream._scan.batches())


@pytest.mark.parametrize("names", [["Name", "age"], ["name", "age "], ["name", "aged"]])
def test_a_set_to_keep_apart_that_names_what_the_data_lack_is_not_published(
    provider: Provider, names: list[str]
) -> None:
    report = provider.publish(
        pa.table({"name": ["Ann"], "age": [30]}), offer(limit("notTogether", "isAllOf", names))
    )
    assert report.published == ()
    assert "lack" in report.refused[0][1]


def test_the_log_says_when_the_last_rows_of_a_stream_left_and_nothing_where_none_did(
    provider: Provider,
) -> None:
    table = pa.table({"name": ["Ann"], "age": [30]})
    assert provider.read(provider.ticket(table)).num_rows == 1
    assert provider.read(provider.ticket(table), start=1).num_rows == 0
    settled = [one for one in provider.records() if one.kind is UsageKind.STREAM_SETTLED]
    assert [one.detail.get("last") for one in settled] == [provider.now.isoformat(), None]
