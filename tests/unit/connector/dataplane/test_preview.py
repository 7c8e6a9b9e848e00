"""A preview shows the holder what a stream would send, and whom a change would touch; nothing is counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connector.dataplane.cells import rows_as_text
from connector.dataplane.preview import Previews, Target
from policies.compiled import compile_policy
from policies.decision import Deny
from policies.use import NO_CLAIMS, Use
from schemas.errors import Malformed, NotFound, PolicyMismatch
from tests.streaming import CONSUMER, TRAIN, Provider, limit, offer, write

ROWS = 300
TABLE = pa.table(
    {
        "id": range(ROWS),
        "name": [f"name {i % 7}" for i in range(ROWS)],
        "age": [None if i % 10 == 9 else i % 90 for i in range(ROWS)],
    }
)
USE = Use(CONSUMER, TRAIN)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    yield made
    made.close()


@pytest.fixture
def previews(provider: Provider) -> Previews:
    return Previews(
        offerings=provider.stores.offerings,
        sources=provider.sources,
        scans=provider.sources,
        agreements=provider.stores.negotiations,
        streams=provider.streams.open_by_agreement,
        totals=provider.usage.totals,
        claims=lambda participant: NO_CLAIMS,
        mask_secret=b"m" * 32,
        clock=provider.clock,
    )


def dataset_of(provider: Provider) -> str:
    return provider.stores.transfers.get(provider.transfer).dataset


TERMS: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "a row filter": [limit("column/age", "gteq", 40)],
    "columns": [limit("columns", "isAnyOf", ["age", "id"])],
    "an empty column": [limit("mask/name", "eq", "null"), limit("column/age", "lt", 10)],
    "coarse numbers": [limit("mask/age", "eq", "bucket:10"), limit("mask/name", "eq", "redact")],
    "alike rows": [limit("kAnonymity", "gteq", 5), limit("quasiIdentifiers", "isAllOf", ["name"])],
}


@pytest.mark.parametrize("name", list(TERMS))
def test_a_preview_shows_the_first_rows_that_a_stream_sends(
    provider: Provider, previews: Previews, name: str
) -> None:
    sent = provider.read(provider.ticket(TABLE, *TERMS[name]))
    policy = compile_policy(offer(*TERMS[name]))
    for target in (Target(source="t.parquet"), Target(dataset=dataset_of(provider))):
        sight = previews.see(target, policy, USE, 20)
        assert sight.rows is not None
        assert sight.rows.replace_schema_metadata(None).equals(sent.slice(0, 20))
        assert sight.more is (sent.num_rows > 20)


def test_pseudonyms_of_a_preview_are_no_real_ones(provider: Provider, previews: Previews) -> None:
    masked = limit("mask/name", "eq", "hash")
    sent = provider.read(provider.ticket(TABLE, masked))
    sight = previews.see(Target(source="t.parquet"), compile_policy(offer(masked)), USE)
    assert sight.rows is not None
    shown = set(sight.rows["name"].to_pylist())
    assert len(shown) == 7
    assert shown.isdisjoint(set(sent["name"].to_pylist()) | set(TABLE["name"].to_pylist()))


def test_a_preview_counts_and_logs_nothing(provider: Provider, previews: Previews) -> None:
    provider.ticket(TABLE, limit("rowCount", "lteq", 5))
    before = provider.records()
    sight = previews.see(Target(source="t.parquet"), compile_policy(offer(limit("rowCount", "lteq", 5))), USE)
    assert sight.rows is not None
    assert sight.rows.num_rows == 5
    assert provider.records() == before
    assert provider.usage.totals(provider.agreement).rows == 0


def test_who_is_denied_sees_no_row(provider: Provider, previews: Previews) -> None:
    write(provider.data / "t.parquet", TABLE)
    policy = compile_policy(offer(action="hansa:evaluate"))
    sight = previews.see(Target(source="t.parquet"), policy, USE)
    assert isinstance(sight.decision, Deny)
    assert sight.rows is None


def test_of_data_of_which_groups_leave_only_the_size_of_the_whole_is_shown(
    provider: Provider, previews: Previews
) -> None:
    write(provider.data / "t.parquet", TABLE)
    policy = compile_policy(offer(limit("aggregateOnly", "eq", "true"), limit("minGroupSize", "gteq", 10)))
    sight = previews.see(Target(source="t.parquet"), policy, USE)
    assert sight.rows is not None
    assert rows_as_text(sight.rows) == [[str(ROWS)]]


def test_only_rows_of_those_who_consent_are_shown(provider: Provider, previews: Previews) -> None:
    write(provider.data / "t.parquet", TABLE)
    consents = {
        "subject": ["name 1", "name 2"],
        "purpose": ["", ""],
        "given_at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC")),
        "withdrawn_at": pa.array([None, datetime(2026, 2, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
    }
    write(provider.data / "consents.parquet", pa.table(consents))
    policy = compile_policy(offer(limit("consent/name", "eq", "given")))
    sight = previews.see(Target(source="t.parquet", consent="consents.parquet"), policy, USE)
    assert sight.rows is not None
    assert set(sight.rows["name"].to_pylist()) == {"name 1"}
    with pytest.raises(PolicyMismatch, match="consent"):
        previews.see(Target(source="t.parquet"), policy, USE)


def test_what_cannot_be_previewed_says_why(provider: Provider, previews: Previews) -> None:
    write(provider.data / "t.parquet", TABLE)
    policy = compile_policy(offer(limit("columns", "isAnyOf", ["salary"])))
    with pytest.raises(PolicyMismatch, match="names column 'salary', which the data lack"):
        previews.see(Target(source="t.parquet"), policy, USE)
    with pytest.raises(Malformed, match="a preview shows 1 to 100"):
        previews.see(Target(source="t.parquet"), compile_policy(offer()), USE, 101)
    with pytest.raises(NotFound, match="below the folders"):
        previews.see(Target(source="../secret.parquet"), compile_policy(offer()), USE)
    with pytest.raises(Malformed, match="name a dataset or a source"):
        previews.columns(Target())


def test_a_change_touches_who_would_get_no_new_agreement_and_stops_no_stream(
    provider: Provider, previews: Previews
) -> None:
    ticket = provider.ticket(pa.table({"id": range(50_000)}))
    dataset = dataset_of(provider)
    with provider.streams.open(ticket) as stream:
        batches = stream.batches()
        next(batches)
        (touched,) = previews.touched(dataset, compile_policy(offer(action="hansa:evaluate")))
        assert touched.loses
        assert touched.streams == 1
        (same,) = previews.touched(dataset, compile_policy(offer()))
        assert not same.loses
    provider.stores.negotiations.revoke(provider.agreement, "over")
    assert previews.touched(dataset, compile_policy(offer())) == ()


def test_of_columns_that_stay_apart_the_last_is_left_out_and_that_is_told(
    provider: Provider, previews: Previews
) -> None:
    apart = limit("notTogether", "isAllOf", ["id", "age"])
    provider.ticket(TABLE, apart)
    policy = compile_policy(offer(apart))
    for target in (Target(source="t.parquet"), Target(dataset=dataset_of(provider))):
        sight = previews.see(target, policy, USE)
        assert sight.rows is not None
        assert sight.rows.column_names == ["id", "name"]
        assert sight.notes == ("apart",)


@pytest.mark.parametrize(
    ("terms", "notes"),
    [
        ([limit("mask/name", "eq", "hash")], ("varies",)),
        ([limit("percentage", "lteq", 50)], ("varies",)),
        ([limit("mask/name", "eq", "null"), limit("column/age", "gteq", 40)], ()),
    ],
)
def test_it_is_told_where_every_agreement_has_values_of_its_own(
    provider: Provider, previews: Previews, terms: list[dict[str, Any]], notes: tuple[str, ...]
) -> None:
    write(provider.data / "t.parquet", TABLE)
    assert previews.see(Target(source="t.parquet"), compile_policy(offer(*terms)), USE).notes == notes
