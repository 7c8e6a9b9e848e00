"""The promises of OfferingStore."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from connector.adapters.sql import SqlStores
from connector.offering.sought import ALL, Sought
from schemas.errors import NotFound, StorageUnavailable
from schemas.odrl import Constraint, Offer, Permission
from tests.contract.conftest import Fail, Open
from tests.store_builders import NOW, offering, outgoing, record


def test_an_offering_comes_back_exactly_as_it_was_put(stores: SqlStores, open_stores: Open) -> None:
    stores.offerings.put([offering()])
    assert open_stores().offerings.get("urn:dataset:1") == offering().at_version(1)


def test_an_unknown_offering_is_not_found_by_name(stores: SqlStores) -> None:
    with pytest.raises(NotFound, match="urn:dataset:nowhere"):
        stores.offerings.get("urn:dataset:nowhere")


def test_putting_again_replaces_and_counts_versions(stores: SqlStores) -> None:
    stores.offerings.put([offering()])
    stores.offerings.put([offering(title="Another title")])
    assert stores.offerings.get("urn:dataset:1") == offering(title="Another title").at_version(2)
    assert stores.offerings.count() == 1


def test_a_withdrawn_offering_is_kept_but_not_listed(stores: SqlStores) -> None:
    stores.offerings.put([offering(), offering("urn:dataset:2")])
    stores.offerings.put([offering(withdrawn=NOW)])
    assert [item.dataset.id for item in stores.offerings.page(0, 10)] == ["urn:dataset:2"]
    assert stores.offerings.count() == 1
    assert stores.offerings.get("urn:dataset:1").withdrawn == NOW


def test_pages_are_in_byte_order_of_ids_and_cover_everything_once(stores: SqlStores) -> None:
    ids = [f"urn:dataset:{name}" for name in ("b", "A", "a", "ä", "B", "1")]
    stores.offerings.put([offering(name) for name in ids])
    pages = [stores.offerings.page(at, 2) for at in (0, 2, 4, 6)]
    assert [item.dataset.id for page in pages for item in page] == sorted(ids)
    assert pages[3] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lung", 1),
        ("LUNG trial", 1),
        ("überleben", 2),
        ("lung flights", 0),
        ("100%", 0),
        ("_", 0),
        ("x' OR 1=1 --", 0),
        ("survival", 2),
        ("urn:dataset:2", 1),
        ("\x00", 2),
        ("   ", 2),
    ],
)
def test_every_word_of_a_search_must_occur_whatever_its_case(
    stores: SqlStores, text: str, expected: int
) -> None:
    stores.offerings.put([offering(), offering("urn:dataset:2", title="Flights")])
    assert len(stores.offerings.page(0, 10, Sought(text))) == expected
    assert stores.offerings.count(Sought(text)) == expected


def test_offerings_mail_and_records_are_saved_together(stores: SqlStores) -> None:
    message = outgoing("publication")
    stores.offerings.put([offering()], outgoing=[message], records=[record()])
    assert stores.outbox.pending() == [message]
    assert stores.usage.backlog() == 1


def test_a_put_that_was_not_stored_leaves_nothing_behind(stores: SqlStores, not_stored: Fail) -> None:
    with not_stored(stores), pytest.raises(StorageUnavailable):
        stores.offerings.put([offering()], outgoing=[outgoing()], records=[record()])
    assert (stores.offerings.count(), stores.outbox.pending(), stores.usage.backlog()) == (0, [], 0)


def test_a_put_that_failed_either_way_can_be_repeated(stores: SqlStores, failing_write: Fail) -> None:
    message, told = outgoing(), record()
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.offerings.put([offering()], outgoing=[message], records=[told])
    stores.offerings.put([offering()], outgoing=[message], records=[told])
    assert (stores.offerings.count(), stores.outbox.pending(), stores.usage.backlog()) == (1, [message], 1)


def test_a_batch_of_five_hundred_is_saved_at_once(stores: SqlStores) -> None:
    many = [offering(f"urn:dataset:{at:04}") for at in range(500)]
    stores.offerings.put(many, records=[record() for _ in many])
    assert stores.offerings.count() == 500
    assert stores.usage.backlog() == 500


def test_of_one_dataset_twice_in_a_batch_the_last_one_counts(stores: SqlStores) -> None:
    last = offering(title="Last")
    stores.offerings.put([offering(title="First"), last])
    assert replace(stores.offerings.get("urn:dataset:1"), version=0) == last


def test_many_are_returned_by_id_withdrawn_ones_included_and_unknown_ones_left_out(stores: SqlStores) -> None:
    stores.offerings.put([offering(withdrawn=NOW), offering("urn:dataset:2"), offering("urn:dataset:3")])
    found = stores.offerings.many(["urn:dataset:1", "urn:dataset:2", "urn:dataset:nowhere"])
    assert sorted(found) == ["urn:dataset:1", "urn:dataset:2"]
    assert found["urn:dataset:1"].withdrawn == NOW
    assert found["urn:dataset:2"] == stores.offerings.get("urn:dataset:2")
    assert stores.offerings.many([]) == {}


def test_what_is_told_of_a_page_is_the_wire_form_of_its_datasets(stores: SqlStores) -> None:
    rich = offering()
    empty = Constraint(left_operand="spatial", operator="isNoneOf", right_operand=[])
    term = Permission(action="use", constraint=(empty,))
    kept = rich.dataset.model_copy(
        update={"has_policy": (Offer(id="urn:offer:1", permission=(term,)),), "version": '1.0 "ä"'}
    )
    stores.offerings.put([replace(rich, dataset=kept), offering("urn:dataset:2"), offering("urn:dataset:3")])
    stores.offerings.put([offering("urn:dataset:2", withdrawn=NOW)])
    one = Sought(ids=("urn:dataset:1",))
    for sought, count in ((ALL, 2), (Sought("lung"), 2), (one, 1), (Sought(like="%:3"), 1), (Sought("x"), 0)):
        found = stores.offerings.page(0, 10, sought)
        told = stores.offerings.told(0, 10, sought)
        assert len(found) == stores.offerings.count(sought) == count
        assert [json.loads(one) for one in told] == [one.dataset.wire() for one in found]
    assert len(stores.offerings.told(0, 1)) == 1
    assert (
        json.loads(stores.offerings.told(0, 1)[0])["hasPolicy"][0]["permission"][0]["constraint"][0][
            "rightOperand"
        ]
        == []
    )
    assert [json.loads(one)["@id"] for one in stores.offerings.told(1, 5)] == ["urn:dataset:3"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("urn:dataset:%", {"urn:dataset:A", "urn:dataset:a", "urn:dataset:a*[b]?"}),
        ("%:a", {"urn:dataset:a"}),
        ("%:_", {"urn:dataset:A", "urn:dataset:a"}),
        ("%*[b]?", {"urn:dataset:a*[b]?"}),
        ("%[ab]", set()),
        ("urn:dataset:*", set()),
        ("\\%", set()),
        ("%'%", set()),
        ("", set()),
    ],
)
def test_ids_are_compared_with_a_pattern_letter_by_letter(
    stores: SqlStores, pattern: str, expected: set[str]
) -> None:
    stores.offerings.put(
        [offering("urn:dataset:A"), offering("urn:dataset:a"), offering("urn:dataset:a*[b]?")]
    )
    assert {item.dataset.id for item in stores.offerings.page(0, 10, Sought(like=pattern))} == expected


def test_a_page_of_some_ids_leaves_out_what_is_withdrawn_or_unknown(stores: SqlStores) -> None:
    stores.offerings.put(
        [offering("urn:dataset:1", withdrawn=NOW), offering("urn:dataset:2"), offering("u:3")]
    )
    ids = ("urn:dataset:1", "u:3", "urn:dataset:2", "nowhere", "\x00")
    asked = Sought(ids=ids)
    assert [item.dataset.id for item in stores.offerings.page(0, 10, asked)] == ["u:3", "urn:dataset:2"]
    assert [item.dataset.id for item in stores.offerings.page(1, 10, asked)] == ["urn:dataset:2"]
    assert stores.offerings.page(0, 10, Sought(ids=())) == []
    assert stores.offerings.page(0, 10, Sought("lung", ids, "u:%"))[0].dataset.id == "u:3"
