"""What the catalogue keeps of a dataset, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.records import (
    UNSTATED,
    Entry,
    Surroundings,
    dataset_id,
    diff,
    document_text,
    entry_from,
    standing_alone,
)
from schemas.errors import Malformed, TooLarge
from schemas.vocab import FOAF, HANSA
from tests.catalog_space import catalogue, dataset, flights

DID = "did:web:mobility.example"
AROUND = Surroundings(DID).within(catalogue(DID, [], "https://mobility.example/dsp"))


def read(raw: dict[str, Any], around: Surroundings = AROUND) -> Entry:
    document = standing_alone(raw, around.services)
    return entry_from(document, document_text(document), around)


def test_an_entry_knows_what_a_reader_asks_first() -> None:
    entry = read(flights())
    assert (entry.title, entry.language) == ("Flights data", "en")
    assert (entry.rows, entry.byte_size) == (336_776, 5_242_880)
    assert (entry.publisher, entry.access, entry.themes) == ("Mobility Operator", "RESTRICTED", ("TRAN",))
    assert entry.keywords == ("aviation", "delay")
    assert entry.endpoint == "https://mobility.example/dsp"
    assert "dep_delay" in entry.details


def test_the_kept_document_stands_alone_with_its_service_written_out() -> None:
    document = json.loads(read(flights()).document)
    service = document["distribution"][0]["accessService"]
    assert service == {
        "@id": "urn:connector",
        "@type": "DataService",
        "endpointURL": "https://mobility.example/dsp",
    }


def test_the_kept_document_keeps_members_that_we_do_not_know() -> None:
    document = json.loads(read(dataset("urn:a", **{"https://example.org/x": {"deep": [1.5]}})).document)
    assert document["https://example.org/x"] == {"deep": [1.5]}


def test_the_order_of_members_does_not_change_the_digest() -> None:
    raw = flights()
    backwards = dict(reversed(list(raw.items())))
    assert read(raw).digest == read(backwards).digest


def test_a_moved_connector_changes_the_digest_of_a_dataset_that_relies_on_it() -> None:
    moved = Surroundings(DID).within(catalogue(DID, [], "https://elsewhere.example/dsp"))
    assert read(flights()).digest != read(flights(), moved).digest


def test_a_set_of_one_may_come_without_brackets() -> None:
    raw = dataset("urn:a")
    raw["hasPolicy"], raw["distribution"] = raw["hasPolicy"][0], raw["distribution"][0]
    document = json.loads(read(raw).document)
    assert isinstance(document["hasPolicy"], list)
    assert isinstance(document["distribution"], list)


def test_the_publisher_is_the_datasets_own_then_the_catalogues_then_the_participant() -> None:
    named = Surroundings(DID).within(
        {**catalogue(DID, []), "dct:publisher": {"@id": DID, FOAF + "name": "Operator"}}
    )
    assert read(flights(), named).publisher == "Mobility Operator"
    assert read(dataset("urn:a"), named).publisher == "Operator"
    assert read(dataset("urn:a")).publisher == DID


def test_a_title_in_the_readers_language_wins_and_all_are_searched() -> None:
    titles = [{"@value": "Flüge", "@language": "de"}, {"@value": "Flights", "@language": "en"}]
    entry = read(dataset("urn:a", **{"dct:title": titles}))
    assert entry.title == "Flights"
    assert "Flüge" in entry.texts


def test_a_dataset_without_title_is_called_by_its_identifier_or_id() -> None:
    assert read(dataset("urn:a", **{"dct:title": [], "dct:identifier": "A-1"})).title == "A-1"
    assert read(dataset("urn:a", **{"dct:title": []})).title == "urn:a"


def test_unstated_access_is_said_to_be_unstated() -> None:
    assert read(dataset("urn:a")).access == UNSTATED


def test_control_characters_do_not_reach_what_people_read() -> None:
    entry = read(dataset("urn:a", "Bell\u0007 and\u0000 nul"))
    assert entry.title == "Bell  and  nul"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"hasPolicy": []}, "no offer"),
        ({HANSA + "rows": 2**80}, "a count of"),
        ({HANSA + "rows": -1}, "a count of"),
        ({"distribution": []}, "no distribution"),
        (
            {"distribution": [{"format": "x", "accessService": {"@id": "s", "endpointURL": "ftp://x"}}]},
            "ftp://x",
        ),
        ({"dct:title": {"@value": {"nested": 1}}, "distribution": "nonsense"}, "distribution"),
        ({"hasPolicy": [{"@id": "urn:o", "permission": [{"constraint": []}]}]}, "action"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_place(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read(dataset("urn:a", **changed))


@pytest.mark.parametrize("raw", [None, [], {}, {"@id": ""}, {"@id": 7}, {"@id": "x" * 513}, {"@id": "a\nb"}])
def test_a_dataset_without_a_usable_id_is_refused(raw: Any) -> None:
    with pytest.raises(Malformed):
        dataset_id(raw)


def test_a_document_past_the_bound_is_refused_with_both_sizes() -> None:
    with pytest.raises(TooLarge, match="at most 2097152"):
        document_text(dataset("urn:a", **{"dct:description": "x" * 2_200_000}))


def test_half_a_surrogate_pair_is_refused_and_does_not_reach_the_database() -> None:
    with pytest.raises(Malformed, match="surrogate"):
        document_text(dataset("urn:a", "\ud800"))


def test_changed_members_are_named_in_plain_words() -> None:
    before, after = flights(), flights(**{"dct:title": "Other", "hasPolicy": []})
    assert diff(before, after) == ("offers", "title")
