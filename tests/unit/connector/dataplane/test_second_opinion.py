"""One engine is made to err on purpose: the other one ends the stream, and nothing of those rows leaves."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from duckdb import ConstantExpression

from connector.adapters import duckdb_judge, duckdb_scan, duckdb_terms
from connector.adapters.consents import Consents
from connector.adapters.duckdb_scan import JudgedScan
from connector.dataplane import enforce
from connector.dataplane.classes import Census, Classes
from connector.dataplane.enforce import Enforcement
from connector.dataplane.masks import mask_key
from connector.dataplane.sample import drawn_for, draws, is_sampled, sample_salt
from connector.dataplane.scanned import Scanned
from connector.offering.describe import Publication
from policies.plan import Anonymity, Branch, ConsentJoin, DataPlan
from schemas.errors import EnginesDisagree
from tests.naive_plan import drawn
from tests.streaming import Provider, limit, offer, write

KEY = mask_key(b"s" * 32, "urn:agreement:1")
PEOPLE = pa.table({"name": ["a", "b", "c", "d"] * 50, "age": ([30] * 3 + [99]) * 49 + [30] * 3 + [101]})
HIDDEN = (limit("kAnonymity", "gteq", 5), limit("quasiIdentifiers", "isAllOf", ["age"]))


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    return Provider(tmp_path)


def consented(provider: Provider, *names: str) -> str:
    given = pa.table(
        {
            "subject": list(names),
            "purpose": pa.nulls(len(names), pa.string()),
            "given_at": ["2026-01-01"] * len(names),
            "withdrawn_at": pa.nulls(len(names), pa.string()),
        }
    )
    write(provider.data / "consents.parquet", given)
    write(provider.data / "people.parquet", PEOPLE)
    own = offer(limit("consent/name", "eq", "given"))
    report = provider.offerings.publish(
        [Publication("people.parquet", "People", (own,), consent="consents.parquet")]
    )
    return provider.grant((report.published + report.unchanged)[0], own)


def refused(provider: Provider, ticket: str, why: str) -> None:
    """Read, and find that nothing left, that the log says so, and that the request was given back."""
    with pytest.raises(EnginesDisagree, match=why):
        provider.read(ticket)
    last = provider.records()[-1]
    assert (last.kind.value, last.rows, last.detail["end"]) == ("stream.settled", 0, "failed")
    totals = provider.stores.usage.totals(provider.agreement)
    assert (totals.rows, totals.bytes, totals.requests) == (0, 0, 0)


def test_a_judge_that_counts_all_people_as_one_class_is_found_out_before_a_row_leaves(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = provider.ticket(PEOPLE, *HIDDEN)
    assert provider.read(ticket).num_rows == 199
    ticket = provider.ticket(PEOPLE, *HIDDEN)
    honest = duckdb_terms.unsigned_zero

    def blind(cells: Any, datatype: pa.DataType) -> Any:
        return honest(cells, datatype) * ConstantExpression(0)

    monkeypatch.setattr(duckdb_judge, "unsigned_zero", blind)
    refused(provider, ticket, "disagree on who is hidden among 5: one counts 200 rows in 1 classes, one 199")


def test_a_judge_that_lets_a_row_of_a_small_class_through_is_found_out(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = provider.ticket(PEOPLE, *HIDDEN)
    monkeypatch.setattr(duckdb_scan, "passing", lambda verdict, _kept: verdict.passes)
    refused(provider, ticket, "1 of 200 rows through that is not hidden among 5")


def test_an_engine_that_takes_everybody_for_consenting_is_found_out(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = consented(provider, "a", "c")
    assert provider.read(ticket)["name"].unique().to_pylist() == ["a", "c"]
    ticket = consented(provider, "a", "b")

    def everybody(_self: Consents, _now: int, _covering: list[str]) -> frozenset[str]:
        return frozenset("abcd")

    monkeypatch.setattr(Consents, "_standing", everybody)
    refused(provider, ticket, "two engines disagree on who consents")


def test_a_scan_that_does_not_ask_for_consent_is_found_out(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = consented(provider, "a", "b", "c")

    def everybody(_self: JudgedScan, cells: Any) -> pa.Array:
        return pa.repeat(True, len(cells))

    monkeypatch.setattr(JudgedScan, "_consenting", everybody)
    refused(provider, ticket, "50 of 200 rows through that nobody has consented to")


def test_a_judge_that_samples_too_much_is_found_out_by_every_row(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = provider.ticket(PEOPLE, limit("percentage", "lteq", 10))
    salt = sample_salt(mask_key(b"m" * 32, provider.agreement))
    tenth = sum(drawn(salt, row) < 2**64 // 10 for row in range(200))
    assert provider.read(ticket).num_rows == tenth
    monkeypatch.setattr(duckdb_judge, "sample_term", lambda *_: ConstantExpression(True))
    ticket = provider.ticket(PEOPLE, limit("percentage", "lteq", 10))
    salt = sample_salt(mask_key(b"m" * 32, provider.agreement))
    outside = sum(drawn(salt, row) >= 2**64 // 10 for row in range(200))
    refused(provider, ticket, f"{outside} of 200 rows through that is not in the sample")


def test_rows_that_are_drawn_wrongly_all_at_once_are_found_out_one_by_one(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = provider.ticket(PEOPLE, limit("percentage", "lteq", 10))
    monkeypatch.setattr(duckdb_judge, "sample_term", lambda *_: ConstantExpression(True))
    monkeypatch.setattr(enforce, "drawn_for", lambda _, rows: pa.repeat(pa.scalar(0, pa.uint64()), len(rows)))
    with pytest.raises(EnginesDisagree, match=r"[1-9][0-9]* of 8 rows through that is not in the sample"):
        provider.read(ticket)


@pytest.mark.parametrize(
    ("branch", "why"),
    [
        (Branch(None, (), (), None, Anonymity(2, ("age",))), "counted no classes"),
        (Branch(None, (), (), None, None, ConsentJoin("name", None)), "does not tell who consents"),
    ],
)
def test_a_scan_that_brings_nothing_to_check_with_leaves_nothing(branch: Branch, why: str) -> None:
    batch = PEOPLE.combine_chunks().to_batches()[0]
    enforcement = Enforcement.of(DataPlan((branch,)), batch.schema, KEY)
    with pytest.raises(EnginesDisagree, match=why):
        enforcement.apply(Scanned(batch, (pa.repeat(True, batch.num_rows),)))


def classes(least: int, *columns: pa.Array) -> Classes:
    census = Census()
    for start in range(0, len(columns[0]), 3):  # as batches come
        parts = [column.slice(start, 3) for column in columns]
        census.add(parts, pa.repeat(True, len(parts[0])))
    return census.classes(least)


@pytest.mark.parametrize(
    ("cells", "held"),
    [
        (pa.array([None, 1, None, 2]), [True, False, True, False]),
        (pa.array([float("nan"), -float("nan"), 0.0, -0.0, 1.0]), [True, True, True, True, False]),
        (pa.array(["", None, "", "a"]), [True, False, True, False]),
        (pa.array([True, False, True, None]), [True, False, True, False]),
    ],
)
def test_null_and_nan_are_values_and_zero_has_one_sign(cells: pa.Array, held: list[bool]) -> None:
    assert classes(2, cells).hold([cells]).to_pylist() == held


def test_classes_of_many_values_in_many_columns_are_told_apart_exactly() -> None:
    # Five columns of 2^16 values have 2^80 combinations. In 64 bits the first column would be shifted out.
    count = 1 << 16
    columns = [pa.array([row * step % count for row in range(count)] * 2) for step in (1, 3, 7, 9, 11)]
    census = Census()
    census.add(columns, pa.repeat(True, 2 * count))
    found = census.classes(2)
    assert (found.count, found.rows) == (count, 2 * count)
    shifted = [pa.concat_arrays([columns[0].slice(1), columns[0].slice(0, 1)]), *columns[1:]]
    assert not any(found.hold(shifted).to_pylist())
    assert all(found.hold(columns).to_pylist())


def test_values_that_each_occur_make_no_class_that_does_not() -> None:
    columns = pa.array(["a", "a", "b", "b", "a"]), pa.array([1, 1, 2, 2, 2])
    assert classes(2, *columns).hold(columns).to_pylist() == [True, True, True, True, False]


def test_rows_that_do_not_count_make_no_class_larger() -> None:
    census = Census()
    census.add([pa.array([1, 1, 2])], pa.array([True, False, True]))
    assert census.classes(2).count == 0
    assert classes(3, pa.array([5, 5])).hold([pa.array([5])]).to_pylist() == [False]


@pytest.mark.parametrize("first", [0, 1, 2, 7, 2**40 + 1])
def test_a_stretch_of_draws_is_what_is_drawn_row_by_row(first: int) -> None:
    salt = sample_salt(KEY)
    expected = [drawn(salt, row) for row in range(first, first + 5)]
    assert draws(salt, first, 5).to_pylist() == expected
    for rows in ([first, first + 4], [first, first + 10**6]):
        assert drawn_for(salt, pa.array(rows)).to_pylist() == [drawn(salt, row) for row in rows]
    assert [is_sampled(salt, first + at, Decimal(50)) for at in range(5)] == [
        value < 2**63 for value in expected
    ]
