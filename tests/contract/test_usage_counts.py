"""The promises of UsageStore about counted limits: exact, whoever races for them, and wherever one dies."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.context import SpawnContext
from typing import Any

import pytest

from connector.adapters.sql import SqlStores
from connector.adapters.sql_tables import from_micros
from connector.usage.ports import Judge, LeftOpen, Reservation, Sent
from policies.counting import Amount, Bound, Rate
from policies.use import UseTotals, released_detail
from schemas.errors import Forbidden, Malformed, StorageUnavailable, UseDenied
from schemas.usage import UsageKind, UsageRecord
from tests import store_builders
from tests.contract.conftest import Fail, Open
from tests.store_builders import AGREEMENT, negotiation, record, signed

READERS = 64
TRANSFER = "urn:uuid:transfer-1"


def asked(stream: str, transfer: str = TRANSFER, start: int = 0) -> UsageRecord:
    """The record of an opening that nobody has decided on."""
    named = {"agreement": AGREEMENT, "transfer": transfer, "stream": stream, "detail": {"start": start}}
    return record(UsageKind.ACCESS_DECISION, **named)


def allowing(**most: int) -> Judge:
    """A judge that permits while totals are below what is named."""

    def judge(totals: UseTotals) -> Mapping[str, Any]:
        spent = any(getattr(totals, name) >= count for name, count in most.items())
        return {"decision": "deny", "reasons": ("used up",)} if spent else {"decision": "permit"}

    return judge


def admit(
    stores: SqlStores, stream: str, start: int = 0, transfer: str = TRANSFER, **most: int
) -> UsageRecord:
    """Ask for a stream."""
    return stores.usage.admit(asked(stream, transfer, start), allowing(**most))


def settle(stores: SqlStores, stream: str, rows: int = 0, requests: int = 1) -> None:
    """End a stream."""
    stores.usage.settle(AGREEMENT, stream, Sent(rows, 0, requests), record(UsageKind.STREAM_SETTLED))


def reserve(stores: SqlStores, wanted: Amount, most: Bound, at: int = 1, stream: str = "s") -> Reservation:
    """Reserve at a time."""
    told = record(agreement=AGREEMENT, stream=stream).model_copy(update={"at": at})
    return stores.usage.reserve(AGREEMENT, stream, wanted, most, told)


def placed(stores: SqlStores) -> list[UsageRecord]:
    """Sequence everything, and return the records in the order of the log."""
    while stores.usage.sequence():
        pass
    return [UsageRecord.model_validate_json(item.record) for item in stores.usage.entries(0, 10_000)]


def together(act: Callable[[int], None]) -> None:
    """Do something in 64 threads at once; what one of them raises is raised here."""
    failed: list[BaseException] = []
    start = threading.Barrier(READERS)

    def run(at: int) -> None:
        start.wait()
        try:
            act(at)
        except BaseException as error:  # told by the thread that waits
            failed.append(error)

    threads = [threading.Thread(target=run, args=(at,)) for at in range(READERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


# --- requests and epochs -----------------------------------------------------------------------------


def test_the_judge_sees_what_was_used_and_its_answer_is_saved_with_it(stores: SqlStores) -> None:
    first = admit(stores, "s1")
    assert (first.decision, first.requests, first.epochs) == ("permit", 1, 1)
    reserve(stores, Amount(30, 600), Bound(), at=5_000_000, stream="s1")
    reserve(stores, Amount(5, 100), Bound(), at=7_000_000, stream="s1")
    seen: list[UseTotals] = []

    def judge(totals: UseTotals) -> Mapping[str, Any]:
        seen.append(totals)
        return {"decision": "deny", "reasons": ("no",)}

    told = stores.usage.admit(asked("s2"), judge)
    assert seen == [
        UseTotals(35, 700, 1, 1, None, from_micros(5_000_000), from_micros(7_000_000)),
    ]
    assert seen == [stores.usage.totals(AGREEMENT)], "a denied opening counts as none"
    assert (told.rows_before, told.bytes_before, told.requests_before, told.epochs_before) == (35, 700, 1, 1)
    assert (told.decision, told.reasons, told.requests) == ("deny", ("no",), None)
    assert placed(stores)[-1] == told


def test_a_judge_that_raises_leaves_nothing(stores: SqlStores) -> None:
    def judge(_: UseTotals) -> Mapping[str, Any]:
        raise UseDenied(("broken",))

    with pytest.raises(UseDenied):
        stores.usage.admit(asked("s1"), judge)
    assert (stores.usage.backlog(), stores.usage.totals(AGREEMENT)) == (0, UseTotals())


def test_a_record_that_names_no_stream_opens_none(stores: SqlStores) -> None:
    with pytest.raises(Malformed, match="names no agreement, transfer, stream or start"):
        stores.usage.admit(record(UsageKind.ACCESS_DECISION, agreement=AGREEMENT), allowing())


def test_an_admission_that_failed_either_way_counts_once_when_repeated(
    stores: SqlStores, failing_write: Fail
) -> None:
    told = asked("s1")
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.usage.admit(told, allowing(requests=1))
    assert stores.usage.admit(told, allowing(requests=1)).decision == "permit"
    assert stores.usage.totals(AGREEMENT).requests == 1
    assert [item.id for item in placed(stores)] == [told.id]


@pytest.mark.parametrize("unit", ["requests", "epochs"])
def test_of_sixty_four_openings_by_two_processes_exactly_as_many_pass_as_are_left(
    open_stores: Open, unit: str
) -> None:
    both, said = (open_stores(), open_stores()), []

    def ask(at: int) -> None:
        said.append(admit(both[at % 2], f"s{at}", 0, TRANSFER, **{unit: 17}).decision)

    together(ask)
    assert (said.count("permit"), said.count("deny")) == (17, READERS - 17)
    assert getattr(both[0].usage.totals(AGREEMENT), unit) == 17
    counted = 0
    for item in placed(both[0]):  # the order of the log is the order in which they were counted
        assert getattr(item, f"{unit}_before") == counted
        counted += getattr(item, unit) or 0


def letting_go(*columns: str, apart: frozenset[str]) -> Judge:
    """A judge that lets columns go unless all of a set would have left."""

    def judge(totals: UseTotals) -> Mapping[str, Any]:
        told = columns if not apart <= totals.released | set(columns) else ()
        return {"decision": "permit", "detail": {"start": 0, **released_detail(told)}}

    return judge


def test_columns_that_were_let_go_are_known_to_every_opening_after_it(open_stores: Open) -> None:
    one, other = open_stores(), open_stores()
    both = frozenset({"a", "b"})
    one.usage.admit(asked("s1"), letting_go("a", "x", apart=both))
    denied = {"decision": "deny", "detail": {"start": 0, **released_detail(["y"])}}
    other.usage.admit(asked("s2"), lambda _: denied)
    assert other.usage.totals(AGREEMENT).released == {"a", "x"}
    settle(one, "s1", requests=0)
    told = other.usage.admit(asked("s3"), letting_go("b", apart=both))
    assert told.detail["apart"] == "[]"
    again = other.usage.admit(asked("s4"), letting_go("a", apart=both))
    assert again.detail["apart"] == '["a"]'
    assert one.usage.totals(AGREEMENT).released == {"a", "x"}


def test_columns_are_let_go_with_the_opening_or_not_at_all(stores: SqlStores, failing_write: Fail) -> None:
    told = asked("s1")
    for _ in range(2):
        with failing_write(stores), pytest.raises(StorageUnavailable):
            stores.usage.admit(told, letting_go("a", apart=frozenset("ab")))
        totals = stores.usage.totals(AGREEMENT)
        assert (totals.requests, totals.released) in [(0, frozenset()), (1, frozenset("a"))]
    stores.usage.admit(told, letting_go("a", apart=frozenset("ab")))
    assert stores.usage.totals(AGREEMENT).released == {"a"}


def test_of_columns_that_must_stay_apart_racing_openings_never_let_all_go(stores: SqlStores) -> None:
    apart = frozenset({"a", "b", "c"})

    def act(at: int) -> None:
        told = asked(f"s{at}", f"urn:uuid:transfer-{at}")
        stores.usage.admit(told, letting_go("abc"[at % 3], apart=apart))

    together(act)
    assert len(stores.usage.totals(AGREEMENT).released) == 2


def test_two_readers_of_the_last_request_are_told_apart(open_stores: Open) -> None:
    one, other = open_stores(), open_stores()
    assert admit(one, "s1", requests=1).decision == "permit"
    assert admit(other, "s2", requests=1).decision == "deny"


def test_a_request_that_failed_here_before_it_sent_anything_is_given_back_once(stores: SqlStores) -> None:
    admit(stores, "s1", requests=1)
    for _ in range(2):
        settle(stores, "s1", requests=0)
    assert stores.usage.totals(AGREEMENT).requests == 0
    assert placed(stores)[-1].requests == 0
    assert admit(stores, "s2", requests=1).decision == "permit"


def test_an_epoch_in_which_nothing_was_sent_is_given_back_with_its_request_and_only_then(
    stores: SqlStores,
) -> None:
    admit(stores, "s1", epochs=1)
    for _ in range(2):
        settle(stores, "s1", requests=0)
    assert stores.usage.totals(AGREEMENT).epochs == 0
    assert placed(stores)[-1].epochs == 0
    again = admit(stores, "s2", transfer="urn:uuid:other", epochs=1)
    assert (again.decision, again.epochs, again.epochs_before) == ("permit", 1, 0), "another transfer may"
    settle(stores, "s2", requests=1)
    assert stores.usage.totals(AGREEMENT).epochs == 1, "its reader went away"
    assert placed(stores)[-1].epochs is None
    admit(stores, "s3", epochs=2)
    settle(stores, "s3", 800)
    admit(stores, "s4", 800, epochs=2)
    settle(stores, "s4", requests=0)
    assert stores.usage.totals(AGREEMENT).epochs == 2, "rows were sent in it by the stream before"
    assert admit(stores, "s5", 800, epochs=2).epochs == 0, "and it goes on"


def test_an_epoch_goes_on_after_a_break_and_only_where_it_broke(stores: SqlStores) -> None:
    admit(stores, "s1", epochs=1)
    assert admit(stores, "early", 500, epochs=1).decision == "deny", "the first one still reads"
    settle(stores, "s1", 800)
    assert stores.usage.totals(AGREEMENT).epochs == 1
    assert stores.usage.totals(AGREEMENT, TRANSFER).epochs == 0, "it may still go on"
    assert admit(stores, "s0", epochs=1).decision == "deny"
    assert admit(stores, "other", 800, "urn:uuid:other", epochs=1).decision == "deny"
    on = admit(stores, "s2", 750, epochs=1)
    assert (on.decision, on.epochs, on.epochs_before) == ("permit", 0, 0)
    settle(stores, "s2", 250)
    assert admit(stores, "s3", 500, epochs=1).decision == "deny"


# --- rows, bytes, rate -------------------------------------------------------------------------------


def test_bytes_are_cut_at_their_limit_and_without_any_left_no_row_is_taken(stores: SqlStores) -> None:
    most = Bound(bytes=100)
    assert reserve(stores, Amount(10, 80), most) == Reservation(10, 0, 80, 0)
    assert reserve(stores, Amount(10, 80), most) == Reservation(10, 10, 20, 80)
    assert reserve(stores, Amount(10, 80), most) == Reservation(0, 20, 0, 100)
    assert reserve(stores, Amount(0, 1), most) == Reservation(0, 20, 0, 100)
    assert [(item.byte_count, item.bytes_before) for item in placed(stores)] == [(80, 0), (20, 80)]
    stores.usage.settle(AGREEMENT, "s", Sent(15, 70), record(UsageKind.STREAM_SETTLED))
    assert stores.usage.totals(AGREEMENT).bytes == 70
    assert reserve(stores, Amount(10, 80), most, stream="t") == Reservation(10, 15, 30, 70)


def test_a_rate_counts_the_time_of_the_record_and_says_how_long_to_wait(stores: SqlStores) -> None:
    most, at = Bound(rate=Rate(600, timedelta(minutes=1))), 10**15
    assert reserve(stores, Amount(1000, 10), most, at).rows == 600
    found = reserve(stores, Amount(1000, 10), most, at)
    assert (found.rows, found.bytes, found.wait) == (0, 0, timedelta(seconds=2))
    assert reserve(stores, Amount(1000, 10), most, at + 2_000_000).rows == 20
    assert reserve(stores, Amount(50, 10), Bound(630, rate=most.rate), at + 60_000_000).rows == 10
    assert stores.usage.backlog() == 3


@pytest.mark.parametrize(
    ("most", "whole"),
    [
        (Bound(rows=1000), Amount(1000, 20_000)),
        (Bound(bytes=9_999), Amount(504, 9_999)),
        (Bound(rate=Rate(1000, timedelta(hours=1))), Amount(1000, 20_000)),
    ],
    ids=["rows", "bytes", "rate"],
)
def test_sixty_four_readers_of_two_processes_take_all_that_is_there_and_no_more(
    open_stores: Open, most: Bound, whole: Amount
) -> None:
    both = (open_stores(), open_stores())
    granted: list[Reservation] = []

    def read(at: int) -> None:
        while (found := reserve(both[at % 2], Amount(7, 140), most, 10**15, f"s{at}")).rows:
            granted.append(found)

    together(read)
    assert sum(found.bytes for found in granted) >= whole.bytes
    assert sum(found.rows for found in granted) == whole.rows
    if most.bytes is not None:
        assert sum(found.bytes for found in granted) == most.bytes
    total = 0
    for item in placed(both[0]):
        assert (item.rows_before, item.bytes_before) == (total, both_bytes(total, most))
        total += item.rows or 0


def both_bytes(rows: int, most: Bound) -> int:
    """Bytes that stood in the log beside so many rows."""
    return min(20 * rows, most.bytes) if most.bytes is not None else 20 * rows


def test_nothing_is_taken_under_a_revoked_agreement(stores: SqlStores) -> None:
    process = negotiation()
    stores.negotiations.add(process)
    held = signed(process.pid)
    stores.negotiations.save(process, seen=0, agreement=held)
    stores.negotiations.revoke(held.agreement.id, "breach")
    told = record(agreement=held.agreement.id, stream="s")
    with pytest.raises(Forbidden, match="revoked"):
        stores.usage.reserve(held.agreement.id, "s", Amount(1, 1), Bound(), told)


# --- processes ---------------------------------------------------------------------------------------


def _race(url: str, name: int, results: Any) -> None:
    """Race in a process of its own, for all that is counted at once; then live until told to end."""
    store_builders._NUMBERS = itertools.count(10**6 * (name + 1))  # ids that no other process makes
    stores = SqlStores(url)
    requests = rows = size = 0
    try:
        while True:
            stream = f"p{name}-{requests}"
            if admit(stores, stream, transfer=f"t{name}", requests=40).decision == "deny":
                break
            requests += 1
            found = reserve(stores, Amount(23, 230), Bound(700, 6_500), stream=stream)
            rows, size = rows + found.rows, size + found.bytes
            settle_exactly(stores, stream, found)
    finally:
        results.put((requests, rows, size))
        stores.close()


def settle_exactly(stores: SqlStores, stream: str, found: Reservation) -> None:
    """End a stream that sent all that it reserved."""
    told = record(UsageKind.STREAM_SETTLED)
    stores.usage.settle(AGREEMENT, stream, Sent(found.rows, found.bytes), told)


@contextmanager
def processes(context: SpawnContext, count: int, url: str, results: Any) -> Iterator[None]:
    """Run racers, and wait for them."""
    racers = [context.Process(target=_race, args=(url, at, results)) for at in range(count)]
    for racer in racers:
        racer.start()
    yield
    for racer in racers:
        racer.join()


def test_three_processes_that_race_for_all_limits_keep_each_of_them(
    stores: SqlStores, stores_url: str
) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with processes(context, 3, stores_url, results):
        got = [results.get(timeout=60) for _ in range(3)]
    requests, rows, size = (sum(column) for column in zip(*got, strict=True))
    assert requests == 40
    assert (rows, size) == (29 * 23, 6_500), "the last of them got fewer bytes than it wanted"
    totals = stores.usage.totals(AGREEMENT)
    assert (totals.requests, totals.rows, totals.bytes) == (requests, rows, size)


def test_a_stream_that_was_admitted_and_reserved_nothing_is_left_open_by_a_crash(open_stores: Open) -> None:
    dead, living = open_stores(), open_stores()
    admit(dead, "s1")
    dead.close()
    expected = [LeftOpen(AGREEMENT, "s1", 0, 0)]
    for _ in range(1000):  # a server takes a moment to notice that a connection ended
        if living.usage.open_streams() == expected:
            break
    assert living.usage.open_streams() == expected


def test_the_last_delivery_is_when_the_last_rows_left_not_when_they_were_reserved(stores: SqlStores) -> None:
    admit(stores, "s")
    reserve(stores, Amount(10), Bound(), at=1_000)
    late, early = from_micros(5_000), from_micros(2_000)
    ended = record(UsageKind.STREAM_SETTLED)
    stores.usage.settle(AGREEMENT, "s", Sent(4, 0, 1, late), ended)
    totals = stores.usage.totals(AGREEMENT)
    assert (totals.first_delivery, totals.last_delivery) == (from_micros(1_000), late)
    admit(stores, "t")
    reserve(stores, Amount(10), Bound(), at=1_500, stream="t")
    stores.usage.settle(AGREEMENT, "t", Sent(1, 0, 1, early), record(UsageKind.STREAM_SETTLED))
    admit(stores, "u")
    stores.usage.settle(AGREEMENT, "u", Sent(0, 0, 1, from_micros(9_000)), record(UsageKind.STREAM_SETTLED))
    assert stores.usage.totals(AGREEMENT).last_delivery == late
