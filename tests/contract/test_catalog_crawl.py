"""The one door and the crawler, over the real stores: never empty, never stale, whatever peers do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.adapters.sql import SqlRecords
from catalog.adapters.sqlsearch import SqlFinder
from catalog.adapters.sqlstate import SqlOrigins
from catalog.adapters.tables import Database
from catalog.crawl import CLAIM, Crawler
from catalog.ingest import Ingest
from catalog.ports import OriginState, PeerPage
from catalog.records import ChangeKind, Origin, Way
from catalog.search import Query
from schemas.errors import Forbidden, Malformed, PeerUnavailable, StorageUnavailable, UnknownContext
from schemas.vocab import DSP_CONTEXT
from tests.catalog_space import catalogue, dataset, flights

LAB = "did:web:lab.example"
URL = "https://lab.example/dsp"
INTERVAL = timedelta(minutes=5)


@dataclass
class Clock:
    at: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, time: timedelta) -> None:
        self.at += time


@dataclass
class Wire:
    """A peer's catalogue as pages, each a document or an error; pages are named 0, 1, …"""

    pages: list[Any] = field(default_factory=list)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def catalog_page(self, participant: str, base: str, page: str | None) -> PeerPage:
        self.asked.append((participant, base, page))
        number = int(page or 0)
        found = self.pages[number]
        if isinstance(found, BaseException):
            raise found
        return PeerPage(found, str(number + 1) if number + 1 < len(self.pages) else None)


@dataclass
class Catalogue:
    records: SqlRecords
    finder: SqlFinder
    origins: SqlOrigins
    ingest: Ingest
    crawler: Crawler
    wire: Wire
    clock: Clock

    def ids(self) -> list[str]:
        return sorted(record.entry.dataset for record in self.finder.search(Query(size=100)).records)

    def state(self) -> OriginState:
        (state,) = self.origins.all()
        return state

    def restarted(self) -> Crawler:
        return Crawler(self.origins, self.wire, self.ingest, clock=self.clock, interval=INTERVAL)


@pytest.fixture
def here(stores_url: str) -> Iterator[Catalogue]:
    database = Database(stores_url)
    clock, wire, records, origins = Clock(), Wire(), SqlRecords(database), SqlOrigins(database)
    ingest = Ingest(records, clock)
    crawler = Crawler(origins, wire, ingest, clock=clock, interval=INTERVAL)
    made = Catalogue(records, SqlFinder(database), origins, ingest, crawler, wire, clock)
    crawler.add(LAB, URL)
    yield made
    database.close()


def page(*names: str) -> dict[str, Any]:
    return catalogue(LAB, [dataset(f"urn:{name}") for name in names])


def test_a_crawl_walks_all_pages_and_says_how_it_went(here: Catalogue) -> None:
    here.wire.pages = [page("a", "b"), page("c"), page("d")]
    assert here.crawler.work_once()
    assert here.ids() == ["urn:a", "urn:b", "urn:c", "urn:d"]
    state = here.state()
    assert (state.result, state.pages, state.datasets, state.failures) == ("ok", 3, 4, 0)
    assert state.next_try == here.clock.at + INTERVAL
    assert here.wire.asked == [(LAB, URL, None), (LAB, URL, "1"), (LAB, URL, "2")]
    assert not here.crawler.work_once()


def test_the_next_crawl_takes_what_is_new_and_withdraws_what_vanished(here: Catalogue) -> None:
    here.wire.pages = [page("a", "b"), page("c")]
    here.crawler.work_once()
    here.wire.pages = [page("a", "new")]
    here.clock.pass_(INTERVAL)
    here.crawler.work_once()
    assert here.ids() == ["urn:a", "urn:new"]
    assert here.state().withdrawn == 2
    (tombstone,) = here.records.find("urn:b")
    assert tombstone.withdrawn == here.clock.at
    assert [change.kind for change in here.records.changes(LAB, "urn:a")] == [ChangeKind.ADDED]


@pytest.mark.parametrize(
    "trouble",
    [
        PeerUnavailable("host is down"),
        Malformed("not JSON"),
        {"@context": [DSP_CONTEXT], "@type": "Elephant"},
        [],
        None,
    ],
)
def test_a_failing_crawl_keeps_what_is_held_and_tries_again_later_each_time(
    here: Catalogue, trouble: Any
) -> None:
    here.wire.pages = [page("a", "b")]
    here.crawler.work_once()
    here.wire.pages = [trouble]
    waits = []
    for _ in range(9):
        state = here.state()
        assert state.next_try is not None
        here.clock.at = state.next_try
        assert here.crawler.work_once()
        after = here.state()
        assert after.next_try is not None
        waits.append((after.next_try - here.clock.at).total_seconds())
    assert here.ids() == ["urn:a", "urn:b"]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert here.state().failures == 9
    assert here.state().result != "ok"
    here.wire.pages = [page("a")]
    here.clock.pass_(INTERVAL)
    here.crawler.work_once()
    assert (here.state().failures, here.state().result, here.ids()) == (0, "ok", ["urn:a"])


def test_a_crawl_that_breaks_in_the_middle_goes_on_where_it_was(here: Catalogue) -> None:
    here.wire.pages = [page("a"), page("b"), PeerUnavailable("reset"), page("d")]
    here.crawler.work_once()
    assert here.ids() == ["urn:a", "urn:b"]
    here.wire.pages[2] = page("c")
    here.wire.asked.clear()
    here.clock.pass_(timedelta(seconds=5))
    here.crawler.work_once()
    assert [asked[2] for asked in here.wire.asked] == ["2", "3"]
    assert here.ids() == ["urn:a", "urn:b", "urn:c", "urn:d"]
    assert here.state().result == "ok"


def test_a_place_that_cannot_be_had_again_is_given_up_and_the_crawl_begins_anew(here: Catalogue) -> None:
    here.wire.pages = [page("a"), Malformed("this page token has expired")]
    here.crawler.work_once()
    here.clock.pass_(timedelta(seconds=5))
    here.crawler.work_once()
    here.wire.pages = [page("a"), page("b")]
    here.clock.pass_(timedelta(seconds=10))
    here.crawler.work_once()
    assert here.wire.asked[-2:] == [(LAB, URL, None), (LAB, URL, "1")]
    assert here.state().result == "ok"


def test_a_process_that_dies_between_pages_loses_nothing(here: Catalogue) -> None:
    class Killed(BaseException):
        pass

    here.wire.pages = [page("a", "b"), page("c")]
    here.crawler.work_once()
    here.clock.pass_(INTERVAL)
    here.wire.pages = [page("a"), Killed()]
    with pytest.raises(Killed):
        here.crawler.work_once()
    # The old is still there: only a crawl that ended may withdraw.
    assert here.ids() == ["urn:a", "urn:b", "urn:c"]
    here.wire.pages = [page("a"), page("new")]
    fresh = here.restarted()
    assert not fresh.work_once()
    here.clock.pass_(CLAIM)
    assert fresh.work_once()
    assert here.wire.asked[-1] == (LAB, URL, "1")
    assert here.ids() == ["urn:a", "urn:new"]


def test_an_origin_removed_while_it_is_crawled_leaves_nothing_behind(
    here: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_then_answer(participant: str, base: str, page_: str | None) -> PeerPage:
        here.crawler.remove(LAB)
        return PeerPage(page("late"), "1" if page_ is None else None)

    monkeypatch.setattr(here.wire, "catalog_page", remove_then_answer)
    here.crawler.work_once()
    assert here.ids() == []
    assert here.origins.all() == ()


def test_a_full_disk_during_a_crawl_is_a_failure_like_any_other(
    here: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.wire.pages = [page("a")]

    def full(*_: Any, **__: Any) -> None:
        raise StorageUnavailable("the disk is full; nothing was changed")

    with monkeypatch.context() as patched:
        patched.setattr(here.records, "save", full)
        here.crawler.work_once()
    assert "disk is full" in str(here.state().result)
    here.clock.pass_(timedelta(seconds=5))
    here.crawler.work_once()
    assert here.ids() == ["urn:a"]


def test_a_pushed_dataset_is_not_withdrawn_by_a_crawl_that_never_saw_it(here: Catalogue) -> None:
    here.ingest.take(page("pushed"), Origin(LAB, Way.PUSHED))
    here.wire.pages = [page("crawled")]
    here.crawler.work_once()
    assert here.ids() == ["urn:crawled", "urn:pushed"]


def test_a_peer_that_speaks_for_another_participant_is_not_believed(here: Catalogue) -> None:
    here.wire.pages = [catalogue("did:web:victim.example", [dataset("urn:a")])]
    here.crawler.work_once()
    assert here.ids() == []
    assert "victim" in str(here.state().result)


def test_a_peer_that_names_no_participant_is_taken_at_its_address(here: Catalogue) -> None:
    document = page("a")
    del document["participantId"]
    here.wire.pages = [document]
    here.crawler.work_once()
    assert here.ids() == ["urn:a"]


def test_an_empty_catalogue_is_an_answer(here: Catalogue) -> None:
    here.wire.pages = [page("a")]
    here.crawler.work_once()
    here.wire.pages = [page()]
    here.clock.pass_(INTERVAL)
    here.crawler.work_once()
    assert (here.ids(), here.state().result) == ([], "ok")


# the door


def take(here: Catalogue, document: Mapping[str, Any]) -> Any:
    return here.ingest.take(document, Origin(LAB, Way.PUSHED))


def test_bad_datasets_are_refused_by_name_and_do_not_hold_up_the_others(here: Catalogue) -> None:
    bad = [
        dataset("urn:x", hasPolicy=[]),
        {"@id": ""},
        "nonsense",
        dataset("urn:twice"),
        dataset("urn:twice"),
        None,
    ]
    taken = take(here, catalogue(LAB, [*bad, dataset("urn:good")]))
    assert taken.accepted == 2
    assert sorted(refused.id for refused in taken.refused) == ["", "None", "None", "urn:twice", "urn:x"]
    assert all(refused.reason for refused in taken.refused)
    assert here.ids() == ["urn:good", "urn:twice"]


def test_taking_the_same_document_twice_changes_nothing(here: Catalogue) -> None:
    take(here, catalogue(LAB, [flights(), dataset("urn:a")]))
    taken = take(here, catalogue(LAB, [flights(), dataset("urn:a")]))
    assert (taken.accepted, taken.unchanged) == (0, 2)
    assert len(here.records.changes(LAB, "urn:a")) == 1


def test_a_participants_own_nested_catalogues_are_read_and_anothers_are_not(here: Catalogue) -> None:
    nested = {"@id": "urn:n", "@type": "Catalog", "dataset": [dataset("urn:mine")]}
    foreign = {**nested, "participantId": "did:web:other.example", "dataset": [dataset("urn:theirs")]}
    take(here, {**catalogue(LAB, []), "catalog": [nested, foreign]})
    assert here.ids() == ["urn:mine"]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"@type": "Catalog"}, Malformed),
        ({"@context": ["https://evil.example/context"], "@type": "Catalog"}, UnknownContext),
        ({"@context": [DSP_CONTEXT], "@type": "Dataset"}, Malformed),
        ({"@context": [DSP_CONTEXT], "@type": "Catalog"}, Forbidden),
        ({"@context": [DSP_CONTEXT], "@type": "Catalog", "participantId": "did:web:x"}, Forbidden),
        ([], Malformed),
        ("x", Malformed),
    ],
)
def test_a_document_that_is_no_catalogue_of_the_caller_is_refused(
    here: Catalogue, document: Any, error: type
) -> None:
    with pytest.raises(error):
        take(here, document)
    assert here.ids() == []


def test_a_catalogue_in_other_json_ld_is_understood(here: Catalogue) -> None:
    document = {
        "@context": {
            "d": "http://www.w3.org/ns/dcat#",
            "o": "http://www.w3.org/ns/odrl/2/",
            "t": "http://purl.org/dc/terms/",
            "s": "https://w3id.org/dspace/2025/1/",
        },
        "@id": "urn:cat",
        "@type": "d:Catalog",
        "s:participantId": {"@id": LAB},
        "d:service": {"@id": "urn:svc", "@type": "d:DataService", "d:endpointURL": {"@id": URL}},
        "d:dataset": {
            "@id": "urn:foreign",
            "@type": "d:Dataset",
            "t:title": {"@value": "Fremd", "@language": "de"},
            "o:hasPolicy": {
                "@id": "urn:o",
                "@type": "o:Offer",
                "o:permission": {"o:action": {"@id": "o:use"}},
            },
            "d:distribution": {
                "@type": "d:Distribution",
                "t:format": {"@id": "urn:format"},
                "d:accessService": {"@id": "urn:svc"},
            },
        },
    }
    taken = take(here, document)
    assert taken.refused == ()
    (record,) = here.records.find("urn:foreign")
    assert (record.entry.title, record.entry.endpoint) == ("Fremd", URL)
