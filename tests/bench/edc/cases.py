"""What is measured, the same for every kind of participant."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import httpx2

from tests.bench.edc import table
from tests.bench.edc.clients import Ended, Failed, Reader, forget
from tests.bench.edc.peer import Peer
from tests.bench.edc.table import Column

ROUNDS = 30
UNCOUNTED = 5
"""Rounds before the first that counts: code gets warm, connections get open."""
STARTS = 5
WALKS = {100: 10, 1_000: 5, 10_000: 2}
LOAD_SECONDS = 6.0
LOAD_ROUNDS = 3
"""A load lasts at least so long, and each of those who ask asks at least so often."""
READER = "did:web:reader.example"
MILLI = 1000.0
MEGA = 1e6

T = TypeVar("T")


def tell(what: str) -> None:
    """Say on stderr where the long run stands."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")
    sys.stderr.flush()


def p99(seconds: Sequence[float]) -> float:
    """The 99th percentile; of thirty values nearly the worst."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[98]


def name(number: int) -> str:
    """The id of a dataset."""
    return f"urn:hansa:bench:{number:05}"


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0][:300]


def starts(column: Column, make: Callable[[str], Peer], count: int = STARTS) -> None:
    """How long a fresh process needs until every door answers."""
    taken = []
    for number in range(count):
        peer = make(f"start-{number}")
        try:
            taken.append(peer.start())
        finally:
            peer.stop()
    column.put(table.READY, statistics.median(taken) * MILLI)


def memory(column: Column, peer: Peer, rss: table.Row, pss: table.Row) -> None:
    """What a process holds now."""
    held = peer.memory()
    column.put(rss, held.rss / MEGA)
    column.put(pss, held.pss / MEGA)


def catalogue(column: Column, provider: Peer, held: int) -> None:
    """Pages of a growing catalogue, asked by one raw client; and all of it, in as few pages as it gives."""
    reader = Reader(READER)
    for size in table.SIZES:
        tell(f"{column.name}: publishing {size - held:,} datasets, then asking for pages of {size:,}")
        provider.offer([name(number) for number in range(held, size)])
        held = size
        for limit in (table.OWN_PAGE, table.LONG_PAGE):
            pages = [reader.page(provider.dsp, limit) for _ in range(UNCOUNTED + ROUNDS)][UNCOUNTED:]
            wrong = {page.datasets for page in pages} - {min(size, limit)}
            if wrong:
                raise Failed(f"pages of {limit} in a catalogue of {size} had {wrong} datasets")
            seconds = statistics.median(page.seconds for page in pages)
            column.put(table.page_row(size, limit), seconds * MILLI)
            column.put(table.SENT, pages[-1].sent / 1000)
            column.put(table.UNPACKED, pages[-1].unpacked / 1000)
        walks = [_walk(reader, provider, size) for _ in range(WALKS[size])]
        column.put(table.WHOLE[size], statistics.median(seconds for seconds, _ in walks) * MILLI)
    column.notes.append(f"a catalogue of {held:,} came in {walks[0][1]} page(s)")


def _walk(reader: Reader, provider: Peer, size: int) -> tuple[float, int]:
    """Fetch every dataset; return the seconds that the requests took, and their number."""
    seconds, pages, url = 0.0, 0, None
    seen: set[str] = set()
    while len(seen) < size:
        page = reader.page(provider.dsp, size, url)
        seconds, pages, url = seconds + page.seconds, pages + 1, page.next
        seen |= page.ids
        if not page.datasets or (url is None and len(seen) < size):
            raise Failed(f"the catalogue ended after {len(seen)} of {size} datasets")
    return seconds, pages


def negotiations(column: Column, consumer: Peer, provider: Peer, dataset: str, rounds: int = ROUNDS) -> str:
    """From the contract request to FINALIZED at the consumer's management API; return one agreement."""
    ask = consumer.ask(provider, dataset)
    seconds, agreement = _timed(column, "negotiations", rounds, lambda: consumer.await_agreement(ask()))
    column.put(table.AGREED, statistics.median(seconds) * MILLI)
    column.put(table.AGREED_99, p99(seconds) * MILLI)
    column.put(table.RATES[1], len(seconds) / sum(seconds))
    return agreement


def transfers(column: Column, consumer: Peer, provider: Peer, agreement: str, rounds: int = ROUNDS) -> None:
    """From the transfer request until the consumer holds the address of the data."""
    seconds, _ = _timed(column, "transfers", rounds, lambda: consumer.fetch(provider, agreement))
    column.put(table.STARTED, statistics.median(seconds) * MILLI)
    column.put(table.STARTED_99, p99(seconds) * MILLI)


def _timed(column: Column, what: str, rounds: int, act: Callable[[], T]) -> tuple[list[float], T]:
    """Do something so many times that it goes well; return the seconds of each, and the last outcome.

    Raises:
        Ended: with the words of the peer, if it goes wrong as often as it goes well.
    """
    seconds: list[float] = []
    failed = 0
    uncounted = min(UNCOUNTED, rounds // 3)
    while True:
        begun = time.perf_counter()
        try:
            outcome = act()
        except Ended as error:
            failed += 1
            tell(f"{column.name}: {_first_line(error)}")
            if failed > uncounted + rounds:
                raise
            continue
        seconds.append(time.perf_counter() - begun)
        if len(seconds) == uncounted + rounds:
            break
    if failed:
        column.notes.append(
            f"{failed} of {failed + len(seconds)} {what} ended TERMINATED and were not counted"
        )
    return seconds[uncounted:], outcome


def load(column: Column, consumer: Peer, provider: Peer, dataset: str, at_once: int) -> None:
    """Negotiations a second while so many are under way: who has one opens the next."""
    ask = consumer.ask(provider, dataset)
    gate = threading.Barrier(at_once + 1)
    failed: list[Ended] = []

    def keep_asking() -> list[float]:
        ends: list[float] = []
        expected, rounds = 0.0, 0
        try:
            gate.wait()
            until = time.perf_counter() + LOAD_SECONDS
            while rounds < LOAD_ROUNDS or time.perf_counter() < until:
                rounds += 1
                begun = time.perf_counter()
                try:
                    consumer.await_agreement(ask(), expected)
                except Ended as error:
                    failed.append(error)
                    continue
                ends.append(time.perf_counter())
                expected = ends[-1] - begun
        finally:
            forget()
        return ends

    with ThreadPoolExecutor(at_once) as pool:
        asking = [pool.submit(keep_asking) for _ in range(at_once)]
        gate.wait()
        begun = time.perf_counter()
        ends = [each.result() for each in asking]
    if failed:
        tell(f"{column.name}: {_first_line(failed[0])}")
        column.notes.append(
            f"{at_once} at a time: {len(failed)} of {len(failed) + sum(map(len, ends))} negotiations ended "
            "TERMINATED, or stood still, and were not counted"
        )
    # Each by its own time: one that stands still must not stretch the time of all the others.
    column.put(table.RATES[at_once], sum(len(each) / (each[-1] - begun) for each in ends if each))


def one_kind(column: Column, make: Callable[[str], Peer], bulk: Callable[[Column, Peer, Peer], None]) -> None:
    """Measure one kind of participant, against a peer of its own kind."""
    tell(f"{column.name}: starting {STARTS} times")
    starts(column, make)
    provider, consumer = make("provider"), make("consumer")
    try:
        provider.start()
        consumer.start()
        time.sleep(1)  # what a process does after it is ready belongs to its memory at rest
        memory(column, provider, table.RSS, table.PSS)
        provider.offer([name(0)])
        for at_once in reversed(table.AT_ONCE[1:]):
            tell(f"{column.name}: negotiating, {at_once} at a time")
            load(column, consumer, provider, name(0), at_once)
        tell(f"{column.name}: {ROUNDS} negotiations, {ROUNDS} transfers")
        agreement = negotiations(column, consumer, provider, name(0))
        transfers(column, consumer, provider, agreement)
        memory(column, provider, table.RSS_AGREED, table.PSS_AGREED)
        catalogue(column, provider, 1)
        tell(f"{column.name}: moving 1 GB, several times")
        bulk(column, consumer, provider)
        memory(column, provider, table.RSS_ALL, table.PSS_ALL)
    finally:
        provider.stop()
        consumer.stop()


def mixed(column: Column, consumer: Peer, provider: Peer, rounds: int) -> None:
    """Measure a pair of different kinds."""
    tell(f"{column.name}: {rounds} negotiations and transfers")
    try:
        provider.start()
        consumer.start()
        provider.offer([name(0)])
        agreement = negotiations(column, consumer, provider, name(0), rounds)
        transfers(column, consumer, provider, agreement, rounds)
    finally:
        provider.stop()
        consumer.stop()


def attempted(column: Column, act: Callable[[], None]) -> Column:
    """Fill a column; what fails is said below the table, and the other columns are still measured."""
    try:
        act()
    except (Failed, httpx2.HTTPError) as error:
        tell(f"{column.name}: FAILED: {error!r}")
        column.notes.append(f"not measured to the end: {_first_line(error)}")
    return column


def folder(home: Path, column: Column) -> Path:
    """Where the processes of a column live."""
    return home / "".join(letter if letter.isalnum() else "-" for letter in column.name.lower())
