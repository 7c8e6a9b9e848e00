"""The promises of the catalogue's stores, line by line, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.adapters.sql import SqlRecords
from catalog.adapters.sqlsearch import SqlFinder
from catalog.adapters.sqlstate import SqlOrigins, SqlReplays
from catalog.adapters.tables import Database
from catalog.ports import Saved
from catalog.records import (
    ChangeKind,
    Entry,
    Origin,
    Surroundings,
    Way,
    document_text,
    entry_from,
    standing_alone,
)
from catalog.search import Query
from schemas.errors import Misconfigured, StorageUnavailable
from schemas.vocab import ACCESS_RIGHT, DATA_THEME
from tests.catalog_space import catalogue, dataset, flights, offer

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
LAB = "did:web:lab.example"
PUSHED, CRAWLED = Origin(LAB, Way.PUSHED), Origin(LAB, Way.CRAWLED)


@pytest.fixture
def database(stores_url: str) -> Iterator[Database]:
    opened = Database(stores_url)
    yield opened
    opened.close()


@pytest.fixture
def records(database: Database) -> SqlRecords:
    return SqlRecords(database)


@pytest.fixture
def finder(database: Database) -> SqlFinder:
    return SqlFinder(database)


def entry(raw: dict[str, Any], participant: str = LAB) -> Entry:
    around = Surroundings(participant).within(catalogue(participant, []))
    document = standing_alone(raw, around.services)
    return entry_from(document, document_text(document), around)


def put(
    records: SqlRecords,
    *raws: dict[str, Any],
    origin: Origin = PUSHED,
    run: int | None = None,
    at: datetime = AT,
) -> Saved:
    return records.save(origin, [entry(raw, origin.participant) for raw in raws], (), run=run, at=at)


def ids(finder: SqlFinder, text: str = "", **asked: Any) -> list[str]:
    return [record.entry.dataset for record in finder.search(Query(text, **asked)).records]


# records


def test_what_is_saved_is_found_again_as_it_was(records: SqlRecords) -> None:
    assert put(records, flights()) == Saved(added=1)
    (record,) = records.find("urn:hansa:mobility:nycflights13-flights")
    kept = entry(flights())
    assert record.entry == replace(kept, texts="", details="")
    assert (record.origin, record.version, record.first_seen, record.changed) == (PUSHED, 1, AT, AT)


def test_saving_the_same_again_changes_nothing(records: SqlRecords) -> None:
    put(records, flights())
    assert put(records, flights(), at=AT + timedelta(days=1)) == Saved(unchanged=1)
    (record,) = records.find("urn:hansa:mobility:nycflights13-flights")
    assert (record.version, record.changed) == (1, AT)


def test_a_change_raises_the_version_and_leaves_its_members(records: SqlRecords, finder: SqlFinder) -> None:
    put(records, dataset("urn:a", "Lung cancer"))
    later = AT + timedelta(hours=1)
    assert put(records, dataset("urn:a", "Heart attacks"), at=later) == Saved(changed=1)
    assert [(change.kind, change.version, change.members) for change in records.changes(LAB, "urn:a")] == [
        (ChangeKind.CHANGED, 2, ("title",)),
        (ChangeKind.ADDED, 1, ()),
    ]
    assert ids(finder, "lung") == []
    assert ids(finder, "heart") == ["urn:a"]


def test_the_digests_of_live_records_are_told(records: SqlRecords) -> None:
    put(records, dataset("urn:a"), dataset("urn:b"))
    records.withdraw(LAB, "urn:b", "gone", AT)
    assert records.digests(LAB, ["urn:a", "urn:b", "urn:c"]) == {"urn:a": entry(dataset("urn:a")).digest}
    assert records.digests("did:web:other.example", ["urn:a"]) == {}


def test_two_participants_may_use_the_same_id(records: SqlRecords, finder: SqlFinder) -> None:
    other = Origin("did:web:other.example", Way.PUSHED)
    put(records, dataset("asset-1", "Mine"))
    put(records, dataset("asset-1", "Theirs"), origin=other)
    assert [record.entry.title for record in records.find("asset-1")] == ["Mine", "Theirs"]
    assert [record.entry.title for record in records.find("asset-1", other.participant)] == ["Theirs"]
    assert finder.search(Query("asset-1")).ambiguous == {"asset-1"}


def test_a_withdrawn_dataset_leaves_a_tombstone_that_no_search_finds(
    records: SqlRecords, finder: SqlFinder
) -> None:
    put(records, flights())
    assert records.withdraw(LAB, "urn:hansa:mobility:nycflights13-flights", "on purpose", AT)
    (tombstone,) = records.find("urn:hansa:mobility:nycflights13-flights")
    assert (tombstone.withdrawn, tombstone.reason, tombstone.version) == (AT, "on purpose", 2)
    for text in ("", "flights", "urn:hansa:mobility:nycflights13-flights"):
        found = finder.search(Query(text))
        assert (found.total, found.facets.theme) == (0, ())
    assert not records.withdraw(LAB, "urn:hansa:mobility:nycflights13-flights", "twice", AT)
    assert not records.withdraw(
        "did:web:other.example", "urn:hansa:mobility:nycflights13-flights", "theft", AT
    )


def test_a_withdrawn_dataset_comes_back_even_unchanged(records: SqlRecords, finder: SqlFinder) -> None:
    put(records, dataset("urn:a", "Back again"))
    records.withdraw(LAB, "urn:a", "gone", AT)
    assert put(records, dataset("urn:a", "Back again")) == Saved(restored=1)
    assert ids(finder, "back") == ["urn:a"]
    assert [change.kind for change in records.changes(LAB, "urn:a")] == [
        ChangeKind.RESTORED,
        ChangeKind.WITHDRAWN,
        ChangeKind.ADDED,
    ]


def test_what_a_later_crawl_did_not_see_is_withdrawn_and_nothing_else(
    records: SqlRecords, finder: SqlFinder
) -> None:
    put(records, dataset("urn:stays"), dataset("urn:goes"), origin=CRAWLED, run=1)
    put(records, dataset("urn:pushed"))
    put(records, dataset("urn:foreign"), origin=Origin("did:web:other.example", Way.CRAWLED), run=1)
    records.save(CRAWLED, (), ["urn:stays"], run=2, at=AT)
    assert records.withdraw_unseen(LAB, 2, "vanished", AT) == 1
    assert sorted(ids(finder)) == ["urn:foreign", "urn:pushed", "urn:stays"]


def test_an_origin_that_is_left_takes_along_what_was_crawled(records: SqlRecords, finder: SqlFinder) -> None:
    put(records, dataset("urn:crawled"), origin=CRAWLED, run=1)
    put(records, dataset("urn:pushed"))
    assert records.withdraw_all(LAB, "left", AT) == 1
    assert ids(finder) == ["urn:pushed"]


def test_a_save_that_fails_changes_nothing(records: SqlRecords, finder: SqlFinder) -> None:
    good, bad = entry(dataset("urn:good")), replace(entry(dataset("urn:bad")), title="\x00", rows=2**80)
    with pytest.raises((StorageUnavailable, OverflowError)):
        records.save(PUSHED, [good, bad], (), run=None, at=AT)
    assert ids(finder) == []
    assert records.changes(LAB, "urn:good") == ()


def test_many_are_saved_at_once_and_counted(records: SqlRecords) -> None:
    many = [
        dataset(f"urn:{number}", **{"https://w3id.org/hansa/policy/1#rows": 10}) for number in range(1200)
    ]
    assert put(records, *many) == Saved(added=1200)
    assert put(records, *many) == Saved(unchanged=1200)
    (holding,) = records.holdings()
    assert (holding.participant, holding.datasets, holding.rows, holding.changed) == (LAB, 1200, 12_000, AT)


def test_two_writers_at_once_lose_nothing(records: SqlRecords, finder: SqlFinder) -> None:
    raws = [dataset(f"urn:{number}") for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        saved = list(pool.map(lambda _: put(records, *raws), range(4)))
    assert sum(each.added for each in saved) == 40
    assert finder.search(Query()).total == 40


# finding


@pytest.fixture
def library(records: SqlRecords) -> SqlRecords:
    def themed(code: str) -> dict[str, Any]:
        return {"dcat:theme": [{"@id": DATA_THEME + code}]}

    put(
        records,
        flights(),
        dataset(
            "urn:hansa:lab:airlines",
            "Airlines",
            **{"dct:description": "Names of carriers of flights."},
            **themed("TRAN"),
        ),
        dataset("urn:hansa:lab:lung", "Survival of patients with lung cancer", **themed("HEAL")),
        dataset("urn:hansa:lab:nycflights", "A smaller table", **themed("TRAN")),
        dataset(
            "https://lab.example/d/42",
            "Straßen und Flüße",
            **{"dct:accessRights": {"@id": ACCESS_RIGHT + "PUBLIC"}},
        ),
        dataset("urn:odd", "100% of a_b", **{"dct:identifier": "DOI-10.5"}),
    )
    return records


@pytest.mark.usefixtures("library")
class TestSearch:
    FLIGHTS = "urn:hansa:mobility:nycflights13-flights"

    def test_the_dataset_whose_id_ends_in_the_text_comes_first(self, finder: SqlFinder) -> None:
        found = ids(finder, "flights")
        assert found[0] == self.FLIGHTS
        assert set(found) == {self.FLIGHTS, "urn:hansa:lab:airlines", "urn:hansa:lab:nycflights"}

    def test_an_id_a_part_of_its_end_and_a_title_find_it(self, finder: SqlFinder) -> None:
        for text in ("nycflights13-flights", "s13-FLIGHTS", self.FLIGHTS, "Flights data"):
            assert ids(finder, text)[0] == self.FLIGHTS, text

    def test_the_beginning_of_words_is_enough_in_any_order(self, finder: SqlFinder) -> None:
        assert ids(finder, "canc lun") == ["urn:hansa:lab:lung"]
        assert ids(finder, "ai") == ["urn:hansa:lab:airlines"]

    def test_every_word_must_occur(self, finder: SqlFinder) -> None:
        assert ids(finder, "lung flights") == []

    def test_column_names_and_keywords_are_found(self, finder: SqlFinder) -> None:
        assert ids(finder, "dep_delay") == [self.FLIGHTS]
        assert ids(finder, "aviation") == [self.FLIGHTS]

    def test_identifiers_are_found(self, finder: SqlFinder) -> None:
        assert ids(finder, "doi-10.5") == ["urn:odd"]

    def test_other_alphabets_are_found(self, finder: SqlFinder) -> None:
        assert ids(finder, "straßen") == ["https://lab.example/d/42"]

    def test_signs_are_only_signs(self, finder: SqlFinder) -> None:
        hostile = (
            '"',
            "' OR 1=1 --",
            "* NEAR(",
            "a:b:c !& |",
            "%%%",
            "___",
            "\\",
            "(((",
            "-flights",
            "x" * 200,
            "NOT",
        )
        for text in hostile:
            assert finder.search(Query(text)).total <= 3, text

    def test_a_percent_sign_is_no_wildcard(self, finder: SqlFinder) -> None:
        assert ids(finder, "100%") == ["urn:odd"]
        assert ids(finder, "a_b") == ["urn:odd"]

    def test_facets_count_all_hits_and_narrow_them(self, finder: SqlFinder) -> None:
        found = finder.search(Query())
        assert found.total == 6
        assert {item.value: item.count for item in found.facets.theme} == {"TRAN": 3, "HEAL": 1}
        assert {item.value: item.count for item in found.facets.access} == {
            "PUBLIC": 1,
            "RESTRICTED": 1,
            "UNSTATED": 4,
        }
        narrowed = finder.search(Query(theme="TRAN", access="RESTRICTED"))
        assert [record.entry.dataset for record in narrowed.records] == [self.FLIGHTS]
        assert narrowed.facets.publisher[0].value == "Mobility Operator"
        assert ids(finder, "flights", publisher="Mobility Operator") == [self.FLIGHTS]
        assert ids(finder, theme="NONE") == []

    def test_pages_follow_each_other_without_gap_or_overlap(self, finder: SqlFinder) -> None:
        pages = [ids(finder, page=page, size=2) for page in (1, 2, 3, 4)]
        assert [len(page) for page in pages] == [2, 2, 2, 0]
        assert [one for page in pages for one in page] == ids(finder)
        assert finder.search(Query(page=9, size=2)).total == 6

    def test_all_records_can_be_read_page_by_page(self, finder: SqlFinder) -> None:
        seen: list[str] = []
        after = None
        while page := finder.page(Query(), after=after, limit=2):
            seen += [record.entry.dataset for record in page]
            after = (page[-1].origin.participant, page[-1].entry.dataset)
        assert sorted(seen) == sorted(ids(finder))
        assert len(seen) == 6
        assert finder.page(Query("flights"), offset=1, limit=9) == finder.page(Query("flights"), limit=9)[1:]


# origins


@pytest.fixture
def origins(database: Database) -> SqlOrigins:
    return SqlOrigins(database)


def test_a_new_origin_is_due_at_once_and_claimed_by_one(origins: SqlOrigins) -> None:
    origins.add("did:web:a", "https://a/dsp", AT)
    claimed = origins.claim(AT, AT + timedelta(minutes=1))
    assert claimed is not None
    assert (claimed.id, claimed.url, claimed.run) == ("did:web:a", "https://a/dsp", 0)
    assert origins.claim(AT, AT + timedelta(minutes=1)) is None
    assert origins.next_due() == AT + timedelta(minutes=1)


def test_the_claim_of_a_dead_process_runs_out(origins: SqlOrigins) -> None:
    origins.add("did:web:a", "https://a/dsp", AT)
    origins.claim(AT, AT + timedelta(minutes=1))
    assert origins.claim(AT + timedelta(minutes=1), AT + timedelta(minutes=2)) is not None


def test_who_has_waited_longest_comes_first(origins: SqlOrigins) -> None:
    origins.add("did:web:late", "https://a/dsp", AT + timedelta(seconds=1))
    origins.add("did:web:early", "https://b/dsp", AT)
    claimed = origins.claim(AT + timedelta(hours=1), AT + timedelta(hours=2))
    assert claimed is not None
    assert claimed.id == "did:web:early"


def test_how_a_crawl_stands_is_kept_and_its_claim_given_up(origins: SqlOrigins) -> None:
    origins.add("did:web:a", "https://a/dsp", AT)
    claimed = origins.claim(AT, AT + timedelta(minutes=1))
    assert claimed is not None
    done = replace(claimed, run=3, result="ok", finished=AT, next_try=AT + timedelta(minutes=5), pages=2)
    assert origins.save(done, None)
    assert origins.all() == (done,)
    assert origins.claim(AT + timedelta(minutes=4), AT) is None
    assert origins.claim(AT + timedelta(minutes=5), AT + timedelta(minutes=6)) == done


def test_adding_again_changes_nothing_and_another_url_moves_the_origin(origins: SqlOrigins) -> None:
    origins.add("did:web:a", "https://a/dsp", AT)
    claimed = origins.claim(AT, AT + timedelta(minutes=1))
    assert claimed is not None
    origins.save(replace(claimed, next_try=AT + timedelta(minutes=5), next_page="https://a/dsp?2"), None)
    assert origins.add("did:web:a", "https://a/dsp", AT + timedelta(minutes=1)).next_page == "https://a/dsp?2"
    moved = origins.add("did:web:a", "https://b/dsp", AT + timedelta(minutes=1))
    assert (moved.url, moved.next_page, moved.next_try) == ("https://b/dsp", None, AT + timedelta(minutes=1))


def test_a_removed_or_moved_origin_takes_no_more_news(origins: SqlOrigins) -> None:
    state = origins.add("did:web:a", "https://a/dsp", AT)
    origins.add("did:web:a", "https://b/dsp", AT)
    assert not origins.save(replace(state, result="ok"), None)
    assert origins.remove("did:web:a")
    assert not origins.remove("did:web:a")
    assert not origins.save(state, None)
    assert origins.all() == ()
    assert origins.next_due() is None


def test_an_origin_can_be_hastened(origins: SqlOrigins) -> None:
    state = origins.add("did:web:a", "https://a/dsp", AT)
    origins.save(replace(state, next_try=AT + timedelta(hours=1)), None)
    assert origins.hasten("did:web:a", AT)
    assert origins.next_due() == AT
    assert not origins.hasten("did:web:b", AT)


# replays


def test_a_token_is_used_once_until_it_expires(database: Database) -> None:
    replays = SqlReplays(database)
    expires = AT + timedelta(minutes=5)
    assert replays.first_use("did:web:a", "1", expires, AT)
    assert not replays.first_use("did:web:a", "1", expires, AT)
    assert replays.first_use("did:web:b", "1", expires, AT)
    assert replays.first_use("did:web:a", "1", expires, expires + timedelta(seconds=1))


def test_of_many_at_once_exactly_one_uses_a_token(database: Database) -> None:
    replays = SqlReplays(database)
    with ThreadPoolExecutor(6) as pool:
        first = list(
            pool.map(lambda _: replays.first_use("did:web:a", "1", AT + timedelta(hours=1), AT), range(12))
        )
    assert sum(first) == 1


# the database itself


def test_a_database_is_opened_again_with_what_it_holds(stores_url: str) -> None:
    first = Database(stores_url)
    put(SqlRecords(first), dataset("urn:a", hasPolicy=[offer()]))
    first.close()
    second = Database(stores_url)
    assert ids(SqlFinder(second)) == ["urn:a"]
    second.close()


def test_a_database_of_another_version_is_refused(stores_url: str) -> None:
    from sqlalchemy import text

    database = Database(stores_url)
    with database.write() as connection:
        connection.execute(text("UPDATE about SET schema_version = 99"))
    database.close()
    with pytest.raises(Misconfigured, match="version 99"):
        Database(stores_url)


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense"])
def test_a_database_that_we_do_not_speak_is_refused(url: str) -> None:
    with pytest.raises((Misconfigured, StorageUnavailable)):
        Database(url)


def test_a_failing_database_is_unavailable_and_not_a_crash(database: Database, records: SqlRecords) -> None:
    from sqlalchemy import text

    with database.write() as connection:
        connection.execute(text("ALTER TABLE records RENAME TO lost"))
    with pytest.raises(StorageUnavailable, match="nothing was changed"):
        records.find("urn:a")
