"""The promises of UsageStore."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from connector.adapters.sql import SqlStores
from connector.usage.ports import LeftOpen, LogHead, Reservation, Sent
from policies.counting import Amount, Bound
from policies.evidence.commitment import commit
from policies.evidence.tree import leaf_hash
from policies.use import UseTotals
from schemas.errors import AlreadyExists, EvidenceBroken, Malformed, StaleState, StorageUnavailable
from schemas.usage import UsageKind, UsageRecord
from tests.contract.conftest import Fail, Open
from tests.store_builders import AGREEMENT, record

STREAM = "urn:stream:1"


def placed(stores: SqlStores) -> list[UsageRecord]:
    """Sequence everything, and return the records in the order of the log."""
    while stores.usage.sequence():
        pass
    return [UsageRecord.model_validate_json(item.record) for item in stores.usage.entries(0, 10_000)]


def together(count: int, act: Callable[[int], None]) -> None:
    """Do something in many threads at once."""
    threads = [threading.Thread(target=act, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- records -----------------------------------------------------------------------------------------


def test_what_was_appended_is_there_after_a_restart_in_order(stores: SqlStores, open_stores: Open) -> None:
    told = [record() for _ in range(3)]
    stores.usage.append(told[:2])
    stores.usage.append(told[2:])
    assert placed(open_stores()) == told


def test_appending_a_record_again_does_not_double_it(stores: SqlStores) -> None:
    told = record()
    stores.usage.append([told])
    stores.usage.append([told])
    assert stores.usage.backlog() == 1


def test_another_record_with_the_same_id_is_refused(stores: SqlStores) -> None:
    told = record()
    stores.usage.append([told])
    with pytest.raises(AlreadyExists, match=told.id):
        stores.usage.append([record(), told.model_copy(update={"rows": 5})])
    assert stores.usage.backlog() == 1


def test_a_record_that_is_too_long_is_refused(stores: SqlStores) -> None:
    with pytest.raises(Malformed):
        stores.usage.append([record(reasons=("x" * 5000,))])


def test_an_append_that_failed_either_way_can_be_repeated(stores: SqlStores, failing_write: Fail) -> None:
    told = record()
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.usage.append([told])
    stores.usage.append([told])
    assert placed(stores) == [told]


def test_every_record_has_a_salt_of_its_own(stores: SqlStores) -> None:
    stores.usage.append([record() for _ in range(50)])
    stores.usage.sequence()
    salts = {item.salt for item in stores.usage.entries(0, 50)}
    assert len(salts) == 50
    assert {len(salt) for salt in salts} == {32}


def taken(
    stores: SqlStores, rows: int, most: int | None, stream: str = STREAM, told: UsageRecord | None = None
) -> Reservation:
    """Reserve rows."""
    return stores.usage.reserve(AGREEMENT, stream, Amount(rows), Bound(most), told or record())


# --- rows --------------------------------------------------------------------------------------------


def test_nothing_was_used_of_an_agreement_that_is_unknown(stores: SqlStores) -> None:
    assert stores.usage.totals("urn:uuid:nowhere") == UseTotals()


def test_a_reservation_counts_at_once_and_its_record_says_what_was_granted(stores: SqlStores) -> None:
    assert taken(stores, 30, 100) == Reservation(rows=30, total=0)
    assert taken(stores, 30, 100, "urn:stream:2") == Reservation(rows=30, total=30)
    assert stores.usage.totals(AGREEMENT).rows == 60
    assert [(item.rows, item.rows_before) for item in placed(stores)] == [(30, 0), (30, 30)]


def test_only_what_is_left_is_granted_and_nothing_is_saved_when_nothing_is_left(stores: SqlStores) -> None:
    assert taken(stores, 80, 100).rows == 80
    assert taken(stores, 80, 100) == Reservation(rows=20, total=80)
    assert taken(stores, 80, 100) == Reservation(rows=0, total=100)
    assert taken(stores, 80, 50) == Reservation(rows=0, total=100)
    assert stores.usage.backlog() == 2


def test_without_a_limit_everything_is_granted(stores: SqlStores) -> None:
    assert taken(stores, 2**40, None).rows == 2**40


def test_agreements_do_not_share_their_rows(stores: SqlStores) -> None:
    taken(stores, 100, 100)
    assert stores.usage.reserve("urn:other", "urn:stream:2", Amount(100), Bound(100), record()).rows == 100


def test_settling_replaces_reservations_by_what_was_sent(stores: SqlStores) -> None:
    taken(stores, 60, 100)
    taken(stores, 40, 100)
    taken(stores, 10, None, "urn:stream:2")
    stores.usage.settle(AGREEMENT, STREAM, Sent(70), record(UsageKind.STREAM_SETTLED))
    assert stores.usage.totals(AGREEMENT).rows == 80
    assert (placed(stores)[-1].rows, placed(stores)[-1].rows_before) == (70, 10)


def test_a_stream_is_settled_once(stores: SqlStores) -> None:
    taken(stores, 60, 100)
    for rows in (20, 60):
        stores.usage.settle(AGREEMENT, STREAM, Sent(rows), record(UsageKind.STREAM_SETTLED))
    assert stores.usage.totals(AGREEMENT).rows == 20
    assert stores.usage.backlog() == 2
    with pytest.raises(StaleState, match=STREAM):
        taken(stores, 1, 100)


def test_a_stream_that_sent_nothing_can_be_settled(stores: SqlStores) -> None:
    stores.usage.settle(AGREEMENT, STREAM, Sent(0), record(UsageKind.STREAM_SETTLED))
    assert stores.usage.totals(AGREEMENT).rows == 0
    assert stores.usage.backlog() == 1


def test_a_reservation_that_failed_either_way_is_granted_once_when_repeated(
    stores: SqlStores, failing_write: Fail
) -> None:
    told = record()
    with failing_write(stores), pytest.raises(StorageUnavailable):
        taken(stores, 30, 100, told=told)
    assert taken(stores, 30, 100, told=told) == Reservation(rows=30, total=0)
    assert stores.usage.totals(AGREEMENT).rows == 30
    settled = record(UsageKind.STREAM_SETTLED)
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.usage.settle(AGREEMENT, STREAM, Sent(10), settled)
    stores.usage.settle(AGREEMENT, STREAM, Sent(10), settled)
    assert stores.usage.totals(AGREEMENT).rows == 10
    assert stores.usage.backlog() == 2


def test_sixty_four_readers_of_two_processes_never_pass_the_limit_by_a_row(open_stores: Open) -> None:
    both = (open_stores(), open_stores())
    granted: list[int] = []

    def read(at: int) -> None:
        stores = both[at % 2]
        while True:
            told = record(agreement=AGREEMENT, stream=f"urn:stream:{at}")
            rows = stores.usage.reserve(AGREEMENT, f"urn:stream:{at}", Amount(7), Bound(1000), told).rows
            if rows == 0:
                return
            granted.append(rows)

    together(64, read)
    assert sum(granted) == 1000
    assert both[0].usage.totals(AGREEMENT).rows == 1000
    total = 0
    for item in placed(both[0]):  # the order of the log is the order in which the totals grew
        assert item.rows_before == total
        total += item.rows or 0
    assert total == 1000


def test_streams_of_a_process_that_died_are_open_and_those_of_the_living_are_not(open_stores: Open) -> None:
    dead, living = open_stores(), open_stores()
    dead.usage.reserve(AGREEMENT, STREAM, Amount(30), Bound(100), record())
    dead.usage.reserve(AGREEMENT, "urn:stream:settled", Amount(10), Bound(100), record())
    dead.usage.settle(AGREEMENT, "urn:stream:settled", Sent(5), record())
    living.usage.reserve(AGREEMENT, "urn:stream:mine", Amount(20), Bound(100), record())
    assert LeftOpen(AGREEMENT, "urn:stream:mine", 20, 0) not in living.usage.open_streams()
    dead.close()
    deadline = time.monotonic() + 10  # a server takes a moment to notice that a connection ended
    while living.usage.open_streams() != [LeftOpen(AGREEMENT, STREAM, 30, 0)] and time.monotonic() < deadline:
        pass
    assert living.usage.open_streams() == [LeftOpen(AGREEMENT, STREAM, 30, 0)]


@pytest.mark.postgres
def test_two_living_processes_on_one_server_do_not_settle_each_others_streams(
    postgres_url: Callable[[], str],
) -> None:
    url = postgres_url()
    one, other = SqlStores(url), SqlStores(url)
    try:
        one.usage.reserve(AGREEMENT, STREAM, Amount(30), Bound(100), record())
        assert other.usage.open_streams() == []
    finally:
        one.close()
        other.close()


# --- the tree ----------------------------------------------------------------------------------------


def test_records_get_consecutive_places_oldest_first(stores: SqlStores) -> None:
    stores.usage.append([record() for _ in range(5)])
    assert stores.usage.sequence(most=3) == 3
    assert (stores.usage.size(), stores.usage.backlog()) == (3, 2)
    stores.usage.append([record()])
    assert stores.usage.sequence() == 3
    assert stores.usage.sequence() == 0
    assert [item.index for item in stores.usage.entries(0, 100)] == list(range(6))


def test_the_leaves_are_commitments_to_the_records(stores: SqlStores) -> None:
    stores.usage.append([record() for _ in range(5)])
    stores.usage.sequence()
    entries = [commit(item.record, item.salt) for item in stores.usage.entries(0, 5)]
    assert stores.usage.entry_bytes(0, 5) == entries
    assert stores.usage.leaf_hashes(0, 5) == [leaf_hash(entry) for entry in entries]
    assert stores.usage.leaf_hashes(1, 3) == [leaf_hash(entry) for entry in entries[1:3]]
    assert stores.usage.entries(3, 10)[0].index == 3
    assert stores.usage.entries(5, 10) == []


def test_many_sequencers_give_each_record_one_place(open_stores: Open) -> None:
    both = (open_stores(), open_stores())
    both[0].usage.append([record() for _ in range(400)])
    counts: list[int] = []
    together(6, lambda at: counts.append(sum(both[at % 2].usage.sequence(most=50) for _ in range(10))))
    while both[0].usage.sequence():
        pass
    assert both[0].usage.size() == 400
    assert [item.index for item in both[0].usage.entries(0, 1000)] == list(range(400))
    assert len(both[0].usage.leaf_hashes(0, 400)) == 400


def test_sequencing_goes_on_while_records_are_appended(open_stores: Open) -> None:
    both = (open_stores(), open_stores())
    done = threading.Event()
    sequencer = threading.Thread(
        target=lambda: [both[1].usage.sequence(most=20) for _ in iter(done.is_set, True)]
    )
    sequencer.start()

    def write(_: int) -> None:
        for _number in range(15):
            both[0].usage.append([record()])

    together(8, write)
    done.set()
    sequencer.join()
    assert len({item.id for item in placed(both[0])}) == 120


def test_a_batch_of_places_that_failed_either_way_is_given_once(
    stores: SqlStores, failing_write: Fail
) -> None:
    told = [record() for _ in range(4)]
    stores.usage.append(told)
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.usage.sequence()
    assert placed(stores) == told
    assert stores.usage.size() == 4


def test_the_newest_signed_head_is_returned(stores: SqlStores, open_stores: Open) -> None:
    assert stores.usage.head() is None
    for size in (2, 10, 9):
        root = bytes([size]) * 32
        stores.usage.stage_head(size, root)
        stores.usage.publish_head(LogHead(size, root, f"note {size}"))
    stores.usage.stage_head(11, b"\x0b" * 32)
    assert open_stores().usage.head() == LogHead(10, b"\x0a" * 32, "note 10")


def test_a_size_never_has_two_roots(stores: SqlStores, open_stores: Open) -> None:
    stores.usage.stage_head(5, b"a" * 32)
    stores.usage.stage_head(5, b"a" * 32)
    with pytest.raises(EvidenceBroken, match="size 5"):
        open_stores().usage.stage_head(5, b"b" * 32)


def test_of_two_roots_at_once_one_is_refused(open_stores: Open) -> None:
    both = (open_stores(), open_stores())
    outcomes: list[str] = []

    def stage(at: int) -> None:
        try:
            both[at % 2].usage.stage_head(5, bytes([at % 2]) * 32)
            outcomes.append(f"root {at % 2}")
        except EvidenceBroken:
            outcomes.append("refused")

    together(8, stage)
    assert sorted(outcomes)[:4] == ["refused"] * 4
    assert len(set(outcomes)) == 2


def test_a_head_that_was_never_staged_is_not_published(stores: SqlStores) -> None:
    stores.usage.stage_head(5, b"a" * 32)
    for head in (LogHead(5, b"b" * 32, "note"), LogHead(6, b"a" * 32, "note")):
        with pytest.raises(EvidenceBroken, match="never recorded"):
            stores.usage.publish_head(head)
    assert stores.usage.head() is None


def test_a_head_that_failed_either_way_can_be_staged_and_published_again(
    stores: SqlStores, failing_write: Fail
) -> None:
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.usage.stage_head(5, b"a" * 32)
    stores.usage.stage_head(5, b"a" * 32)
    head = LogHead(5, b"a" * 32, "note")
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.usage.publish_head(head)
    stores.usage.publish_head(head)
    assert stores.usage.head() == head
