"""A dataset's description tells what every reader of the catalogue may know, and no more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from connector.offering.columns import streamed_schema
from connector.offering.describe import (
    Extent,
    Holder,
    Publication,
    PublicView,
    check_publication,
    dataset_id,
    describe,
    described_columns,
    offer_of,
    public_view,
)
from policies.compiled import compile_policy
from schemas.base import best_text
from schemas.dcat import ColumnStatistics, Dataset
from schemas.errors import Malformed, PolicyMismatch, UnreadableData
from schemas.odrl import Offer
from schemas.vocab import FORMAT_ARROW_FLIGHT, FORMAT_ARROW_HTTP
from tests.streaming import limit, offer

HOLDER = Holder("did:web:hospital.example", "A hospital", "https://hospital.example/dsp/2025-1")
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("age", pa.int32())])


def view(*offers: Offer, schema: pa.Schema = SCHEMA) -> PublicView:
    return public_view(schema, [compile_policy(one) for one in offers])


def described(item: Publication) -> Dataset:
    columns = described_columns(SCHEMA, view(*item.offers), {})
    return describe(item, HOLDER, Extent(columns, 1000, 4096), AT)


def test_everything_mandatory_is_there_though_the_holder_said_only_a_title() -> None:
    found = described(Publication(source="colon.parquet", title="Colon", offers=(offer(),)))
    assert found.id == "urn:hansa:hospital.example:colon"
    assert best_text(found.title) == "Colon"
    assert best_text(found.description) == "Colon. 1000 rows of 3 columns: id, name, age."
    assert found.publisher is not None
    assert (found.publisher.id, found.publisher.name) == (HOLDER.did, HOLDER.name)
    assert found.issued == found.modified == "2026-11-23T12:00:00Z"
    assert [one.format for one in found.distribution] == [FORMAT_ARROW_HTTP, FORMAT_ARROW_FLIGHT]
    assert {one.byte_size for one in found.distribution} == {4096}
    assert found.rows == 1000
    assert Dataset.read(found.wire()) == found


def test_what_the_holder_says_is_taken_and_codes_become_iris() -> None:
    found = described(
        Publication(
            source="x.parquet",
            title="X",
            id="urn:example:x",
            offers=(offer(),),
            description="About X.",
            keywords=("a", " b ", ""),
            themes=("HEAL", "https://example.org/theme"),
            access_rights="PUBLIC",
            license="https://example.org/licence",
            version="2",
        )
    )
    assert best_text(found.description) == "About X."
    assert [word.value for word in found.keyword] == ["a", "b"]
    assert found.theme[0].endswith("/HEAL")
    assert found.access_rights is not None
    assert found.access_rights.endswith("/PUBLIC")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"themes": ("HEALTH",)}, "theme 'HEALTH'"),
        ({"license": "MIT"}, "license 'MIT'"),
        ({"access_rights": "secret"}, "access right 'secret'"),
        ({"id": "no iri"}, "id 'no iri'"),
        ({"title": "  "}, "title is empty"),
        ({"title": "x" * 30_000}, "30000 characters"),
    ],
)
def test_what_does_not_fit_is_named_with_its_value(change: dict[str, Any], said: str) -> None:
    item = Publication(**{"source": "x.parquet", "title": "X", "offers": (offer(),), **change})

    def publish() -> None:
        check_publication(item)
        described(item)

    with pytest.raises(Malformed, match=said):
        publish()


def test_a_publication_without_an_offer_is_refused() -> None:
    with pytest.raises(PolicyMismatch, match="no offer"):
        check_publication(Publication(source="x.parquet", title="X", offers=()))


def test_hidden_columns_are_not_described_and_masked_ones_as_they_leave() -> None:
    terms = offer(limit("columns", "isAnyOf", ["id", "age"]), limit("mask/id", "eq", "hash"))
    columns = described_columns(
        SCHEMA, view(terms), {"id": ColumnStatistics(minimum="7"), "age": ColumnStatistics()}
    )
    assert [(column.name, column.datatype) for column in columns] == [("id", "string"), ("age", "int32")]
    assert columns[0].statistics is None
    assert columns[1].statistics is not None


def test_statistics_are_told_only_of_what_every_offer_shows() -> None:
    narrow = offer(limit("columns", "isAnyOf", ["id"]))
    masked = offer(limit("mask/age", "eq", "null"))
    found = view(offer(), narrow, masked)
    assert found.described == ("id", "name", "age")
    assert found.measured == ("id",)


def test_statistics_are_over_rows_that_every_offer_releases() -> None:
    adults, men = offer(limit("column/age", "gteq", 18)), offer(limit("column/name", "eq", "Bob"))
    found = view(adults, men)
    assert {item.column for item in found.told.branches[0].predicate} == {"age", "name"}
    assert len(found.counted) == 2


def test_the_fingerprint_hangs_on_described_columns_only() -> None:
    hiding = offer(limit("columns", "isAnyOf", ["id"]))
    other = SCHEMA.append(pa.field("secret", pa.string()))
    one = describe(
        Publication("x.parquet", "X", (hiding,)),
        HOLDER,
        Extent(described_columns(SCHEMA, view(hiding), {}), 1, 1),
        AT,
    )
    two = describe(
        Publication("x.parquet", "X", (hiding,)),
        HOLDER,
        Extent(described_columns(other, view(hiding, schema=other), {}), 1, 1),
        AT,
    )
    assert one.schema_fingerprint == two.schema_fingerprint


def test_an_offer_without_id_gets_one_from_its_terms() -> None:
    first, again, other = offer(), offer(), offer(limit("rowCount", "lteq", 5))
    ids = [offer_of(one, "urn:d").id for one in (first, again, other)]
    assert ids[0] == ids[1] != ids[2]
    assert offer_of(first.model_copy(update={"id": "urn:own"}), "urn:d").id == "urn:own"
    with pytest.raises(PolicyMismatch, match="is for 'urn:other'"):
        offer_of(first.model_copy(update={"target": "urn:other"}), "urn:d")


def test_a_mask_that_cannot_be_laid_is_refused_at_publication() -> None:
    schema = pa.schema([("tags", pa.list_(pa.string()))])
    with pytest.raises(PolicyMismatch, match=r"'tags'.*cannot be hashed"):
        view(offer(limit("mask/tags", "eq", "hash")), schema=schema)


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("a/b/flights.parquet", "flights"),
        ("nycflights13.flights.parquet", "nycflights13.flights"),
        ("ü b.csv", "b"),
    ],
)
def test_ids_come_from_the_participant_and_the_file_name(source: str, end: str) -> None:
    assert dataset_id("did:web:localhost%3A8101", source) == f"urn:hansa:localhost%3A8101:{end}"


def test_columns_without_or_with_the_same_name_are_refused() -> None:
    with pytest.raises(UnreadableData, match="'a' occurs more than once"):
        streamed_schema(pa.schema([("a", pa.int8()), ("a", pa.int8())]))
    with pytest.raises(UnreadableData, match="has no name"):
        streamed_schema(pa.schema([("", pa.int8())]))
