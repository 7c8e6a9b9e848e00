"""Publishing: each term is checked against the data, and no more is told than the offers show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connector.offering.describe import Holder, Publication
from connector.offering.push import CatalogPush
from connector.outbox.ports import Delivery
from schemas.errors import NotFound
from schemas.odrl import Offer
from schemas.usage import UsageKind
from tests.streaming import Provider, limit, offer, write

TABLE = pa.table(
    {"id": range(100), "name": [f"name {i % 3}" for i in range(100)], "age": [i % 50 for i in range(100)]}
)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    yield made
    made.close()


def test_a_file_becomes_a_dataset_that_is_announced_and_logged(provider: Provider) -> None:
    report = provider.publish(TABLE, offer())
    (name,) = report.published
    found = provider.offerings.dataset(name)
    assert (found.rows, [column.name for column in found.columns]) == (100, ["id", "name", "age"])
    assert found.columns[1].statistics is not None
    assert found.columns[1].statistics.top == ("name 0", "name 1", "name 2")
    assert provider.told == [([name], [])]
    assert [(record.kind, record.dataset, record.rows) for record in provider.records()] == [
        (UsageKind.ASSET_PUBLISHED, name, 100)
    ]


def test_the_same_again_changes_nothing_and_other_terms_replace_it(provider: Provider) -> None:
    (name,) = provider.publish(TABLE, offer()).published
    issued = provider.offerings.dataset(name).issued
    provider.now = provider.now.replace(year=2027)
    assert provider.publish(TABLE, offer()).unchanged == (name,)
    assert len(provider.told) == 1
    assert provider.publish(TABLE, offer(limit("rowCount", "lteq", 5))).published == (name,)
    assert provider.offerings.dataset(name).issued == issued
    assert provider.offerings.dataset(name).modified != issued


def test_a_file_that_grew_a_column_is_not_published_under_the_same_id(provider: Provider) -> None:
    (name,) = provider.publish(TABLE, offer()).published
    grown = TABLE.append_column("ssn", pa.array([str(number) for number in range(100)]))
    report = provider.publish(grown, offer(limit("mask/ssn", "eq", "hash")))
    ((_, reason),) = report.refused
    assert "'ssn'" in reason
    assert "an 'id' of its own" in reason
    assert [column.name for column in provider.offerings.dataset(name).columns] == ["id", "name", "age"]


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (limit("moonPhase", "eq", "full"), "moonPhase"),
        (limit("column/height", "gt", 5), "'height'"),
        (limit("mask/height", "eq", "hash"), "'height'"),
        (limit("columns", "isAnyOf", ["id", "height"]), "'height'"),
        (limit("column/age", "gt", "old"), '"old"'),
    ],
)
def test_a_term_that_cannot_be_kept_is_refused_by_name_and_the_rest_is_published(
    provider: Provider, terms: dict[str, Any], said: str
) -> None:
    write(provider.data / "bad.parquet", TABLE)
    write(provider.data / "good.parquet", TABLE)
    items = [
        Publication(source="bad.parquet", title="Bad", offers=(offer(terms),)),
        Publication(source="good.parquet", title="Good", offers=(offer(),)),
    ]
    report = provider.offerings.publish(items)
    assert len(report.published) == 1
    ((source, reason),) = report.refused
    assert source == "bad.parquet"
    assert said in reason


def test_a_policy_that_contradicts_itself_is_refused_with_both_rules_and_nothing_is_published(
    provider: Provider,
) -> None:
    write(provider.data / "people.parquet", TABLE)
    rules = {
        "permission": [{"action": "hansa:train", "constraint": [limit("column/age", "lt", 18)]}],
        "prohibition": [{"action": "use", "constraint": [limit("column/age", "lteq", 20)]}],
    }
    contradictory = Offer.read({"@id": "urn:offer:never", **rules})
    report = provider.offerings.publish(
        [Publication(source="people.parquet", title="People", offers=(contradictory,))]
    )
    ((_, reason),) = report.refused
    assert "permission[0] (hansa:train" in reason
    assert "is always forbidden by prohibition[0]" in reason
    assert "change or remove one of them" in reason
    assert provider.offerings.count() == 0
    assert provider.offerings.publish(
        [Publication(source="people.parquet", title="People", offers=(offer(),))]
    ).published


def test_unreadable_and_missing_files_are_refused_by_name(provider: Provider) -> None:
    (provider.data / "broken.parquet").write_bytes(b"PAR1 nothing PAR1")
    items = [
        Publication(source=name, title="X", offers=(offer(),))
        for name in ("broken.parquet", "gone.parquet", "/etc/passwd")
    ]
    report = provider.offerings.publish(items)
    assert [source for source, _ in report.refused] == ["broken.parquet", "gone.parquet", "/etc/passwd"]
    assert "cannot be read as Parquet" in report.refused[0][1]
    assert provider.offerings.count() == 0


def test_two_files_of_one_name_do_not_replace_each_other(provider: Provider) -> None:
    (provider.data / "sub").mkdir()
    write(provider.data / "t.parquet", TABLE)
    write(provider.data / "sub" / "t.parquet", TABLE)
    first = Publication(source="t.parquet", title="X", offers=(offer(),))
    second = replace(first, source="sub/t.parquet")
    report = provider.offerings.publish([first, second])
    assert len(report.published) == 1
    assert "give this one an 'id' of its own" in report.refused[0][1]
    assert provider.offerings.publish([replace(second, id="urn:own:t")]).published == ("urn:own:t",)


def test_what_a_policy_withholds_is_nowhere_in_the_description(provider: Provider) -> None:
    table = pa.table(
        {
            "region": ["open"] * 50 + ["SECRET-region"] * 50,
            "name": ["SECRET-a", "SECRET-b"] * 50,
            "code": ["SECRET-c", "SECRET-d"] * 50,
            "value": [*range(50), *[987654321] * 50],
        }
    )
    (name,) = provider.publish(
        table,
        offer(
            limit("column/region", "eq", "open"),
            limit("mask/name", "eq", "hash"),
            limit("columns", "isAnyOf", ["region", "name", "value"]),
        ),
    ).published
    found = provider.offerings.dataset(name)
    told = str({key: value for key, value in found.wire().items() if key != "hasPolicy"})
    assert "SECRET" not in told
    assert "987654321" not in told
    assert "code" not in [column.name for column in found.columns]
    assert found.rows == 50
    assert found.columns[2].statistics is not None
    assert found.columns[2].statistics.maximum == "49"


def test_what_is_withdrawn_is_offered_no_longer(provider: Provider) -> None:
    (name,) = provider.publish(TABLE, offer()).published
    provider.offerings.withdraw(name)
    assert provider.told[-1] == ([], [name])
    assert provider.records()[-1].kind is UsageKind.ASSET_WITHDRAWN
    with pytest.raises(NotFound):
        provider.offerings.dataset(name)
    with pytest.raises(NotFound):
        provider.offerings.withdraw(name)
    assert provider.publish(TABLE, offer()).published == (name,)


def test_a_batch_of_any_size_is_saved_in_pieces(provider: Provider) -> None:
    write(provider.data / "t.parquet", TABLE)
    items = [
        Publication(source="t.parquet", title="X", id=f"urn:t:{number}", offers=(offer(),))
        for number in range(250)
    ]
    assert len(provider.offerings.publish(items).published) == 250
    assert [len(offered) for offered, _ in provider.told] == [200, 50]
    assert len(provider.offerings.told(0, 300)) == 250


class TestPush:
    """Messages to the shared catalogues."""

    @pytest.fixture
    def push(self) -> CatalogPush:
        return CatalogPush(
            catalogs=[
                ("did:web:one.example", "https://one.example/"),
                ("did:web:two.example", "https://two.example"),
            ],
            holder=Holder("did:web:p.example", "P", "https://p.example/dsp"),
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            new_id=iter(f"urn:uuid:{number}" for number in range(10_000)).__next__,
        )

    def test_every_catalogue_is_told_in_its_own_queue_and_in_bounded_pieces(
        self, push: CatalogPush, provider: Provider
    ) -> None:
        (name,) = provider.publish(TABLE, offer()).published
        one = provider.stores.offerings.get(name)
        messages = push([one] * 1100, ["urn:gone a/b"])
        assert [(m.method, m.recipient) for m in messages].count(("POST", "did:web:one.example")) == 3
        assert all(len(m.document.get("dataset", ())) <= 500 for m in messages)
        assert {m.url for m in messages if m.method == "DELETE"} == {
            "https://one.example/publish/datasets/urn%3Agone%20a%2Fb",
            "https://two.example/publish/datasets/urn%3Agone%20a%2Fb",
        }
        assert len({m.process for m in messages}) == 2

    def test_what_a_catalogue_refused_can_be_read(self, push: CatalogPush, provider: Provider) -> None:
        (name,) = provider.publish(TABLE, offer()).published
        message = push([provider.stores.offerings.get(name)], [])[0]
        push.delivered(
            message, Delivery(200, {"accepted": 0, "refused": [{"id": name, "reason": "no theme"}]})
        )
        assert push.problems() == {"did:web:one.example": (f"{name}: no theme",)}
        push.delivered(message, Delivery(200, {"accepted": 1, "refused": []}))
        assert push.problems() == {}
        push.undeliverable(message, "deadline passed", ["nobody answers"])
        assert push.problems() == {"did:web:one.example": ("deadline passed", "nobody answers")}


def test_two_offers_of_the_same_terms_are_one_too_many(provider: Provider) -> None:
    twice = Offer.read({"@id": "urn:o", "permission": [{"action": "use"}]})
    write(provider.data / "t.parquet", TABLE)
    for offers in ((twice, twice), (offer(), offer())):
        report = provider.offerings.publish([Publication(source="t.parquet", title="X", offers=offers)])
        assert "two offers" in report.refused[0][1]
