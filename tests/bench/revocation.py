"""How long a stream lives on after another process revoked its agreement, on both databases.

Streams run through the HTTP door at full speed while a process of its own revokes one agreement after the
other. Measured is the time from the commit of the revocation, in that process, until the stream has ended:
no batch leaves after that. Some readers are slow, so that the door waits for them.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from connector.dataplane.scanned import Scanned
from connector.dataplane.stream import End, OpenStream
from schemas.errors import DataspaceError
from tests.bench.stream import MemoryScan, MemoryScans, table
from tests.postgres import Databases, running_postgres
from tests.revoker import Revoker, revoker
from tests.streaming import Provider, offer

REVOCATIONS = 120
OPEN = 8
"""Streams at a time; every other one is read slowly."""
SLOW_SECONDS = 0.02


class _Endless(MemoryScans):
    """A scan that gives the same batches for ever."""

    def scan(self, _source: str, _plan: object, _request: object) -> _EndlessScan:
        return _EndlessScan(self._batches)


class _EndlessScan(MemoryScan):
    def batches(self) -> Iterator[Scanned]:
        return (Scanned(batch) for batch in itertools.cycle(self._batches))

    def interrupt(self) -> None:
        """Nothing takes long."""

    def close(self) -> None:
        """Nothing is open."""


def run() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        _show("sqlite", _measured(Path(folder), None))
    with (
        running_postgres() as server,
        Databases(server).fresh() as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        _show("postgresql", _measured(Path(folder), url))


def _show(database: str, milliseconds: list[float]) -> None:
    ranked = sorted(milliseconds)
    p99 = ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]
    sys.stdout.write(
        f"{database:12} {len(ranked)} revocations, {OPEN} streams open:"
        f"  p50 {statistics.median(ranked):6.1f} ms   p99 {p99:6.1f} ms   most {ranked[-1]:6.1f} ms\n"
    )


class _Readers:
    """Keeps so many streams open, and knows when each one ended."""

    def __init__(self, provider: Provider, tickets: list[tuple[str, str, str]]) -> None:
        self._provider, self._tickets = provider, tickets
        self.ended: dict[str, float] = {}
        self.running: dict[str, threading.Event] = {}
        self._real_closed = provider.streams.closed
        provider.streams.closed = self._closed  # type: ignore[method-assign]

    def _closed(self, stream: OpenStream) -> None:
        if isinstance(stream.end, End) and stream.end.kind == "revoked":
            self.ended.setdefault(stream.ticket.agreement, time.monotonic())
        self._real_closed(stream)

    def start(self, number: int) -> threading.Thread:
        agreement, transfer, ticket = self._tickets[number]
        begun = self.running[agreement] = threading.Event()

        def read() -> None:
            self._provider.transfer, self._provider.agreement = transfer, agreement
            try:
                with self._provider.client(ticket) as stream:
                    for _ in stream:
                        begun.set()
                        if number % 2:
                            time.sleep(SLOW_SECONDS)
            except DataspaceError:
                pass  # revoked: that is what is measured

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        begun.wait(30)
        return thread


def _measured(folder: Path, database: str | None) -> list[float]:
    provider = Provider(folder, block_rows=1 << 30, database=database)
    rows = table(200_000)
    tickets = []
    first = provider.ticket(rows)
    tickets.append((provider.agreement, provider.transfer, first))
    (dataset,) = [one.dataset.id for one in provider.stores.offerings.page(0, 10)]
    for _ in range(REVOCATIONS + OPEN):
        ticket = provider.grant(dataset, offer())
        tickets.append((provider.agreement, provider.transfer, ticket))
    provider.streams._scans = _Endless(rows.to_batches(max_chunksize=20_000))
    with ExitStack() as parts:
        parts.callback(provider.close)
        parts.enter_context(provider.watching())
        elsewhere = parts.enter_context(revoker(str(provider.database)))
        parts.enter_context(provider.door())
        return _revoked_one_by_one(_Readers(provider, tickets), elsewhere, tickets)


def _revoked_one_by_one(
    readers: _Readers, elsewhere: Revoker, tickets: list[tuple[str, str, str]]
) -> list[float]:
    threads = {number: readers.start(number) for number in range(OPEN)}
    took = []
    for number in range(REVOCATIONS):
        agreement = tickets[number][0]
        committed = elsewhere("revoke", agreement, "measured")
        threads.pop(number).join(60)
        took.append((readers.ended[agreement] - committed) * 1000)
        threads[number + OPEN] = readers.start(number + OPEN)
    for number in list(threads):
        elsewhere("revoke", tickets[number][0], "the measurement ends")
    for thread in threads.values():
        thread.join(60)
    return took


if __name__ == "__main__":
    run()
