"""Three holders publish at the same time: two small ones, and one whose 2,175 tables take a while."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from connector.demo import data, holdings
from connector.demo.space import Space

CHUNK = 100
"""Datasets published in one request."""
TERMS = {
    "mobility": "research only",
    "hospital": "purpose, time window, row filter, pseudonyms, row cap; one: figures only",
    "lab": "open for training",
}


@dataclass
class Holder:
    """How far a holder is; seconds, and what was refused with its reason."""

    tables: list[data.Table]
    published: int = 0
    seconds: float = 0.0
    refused: list[tuple[str, str]] = field(default_factory=list)


class Publishing:
    """The publications of all holders, under way."""

    def __init__(self, space: Space, tables: Path, at: datetime) -> None:
        """Start to publish, a thread a holder; each speaks to its own connector."""
        self._space = space
        self._tables = tables
        self._at = at
        self._stopped = threading.Event()
        listed = data.unpacked(tables)
        self.holders = {
            name: Holder([table for table in listed if table.holder == name]) for name in data.HOLDERS
        }
        self._pool = ThreadPoolExecutor(len(data.HOLDERS))
        self._running: dict[str, Future[Holder]] = {
            name: self._pool.submit(self._publish, name) for name in data.HOLDERS
        }

    @property
    def published(self) -> int:
        """How many datasets are published so far."""
        return sum(holder.published for holder in self.holders.values())

    def is_done(self, name: str) -> bool:
        """Return whether a holder is through with all of its tables."""
        return self._running[name].done()

    def wait(self, name: str) -> Holder:
        """Wait until a holder is through, and return how it went; what failed there is raised here."""
        return self._running[name].result()

    def stop(self) -> None:
        """Publish nothing more; what is under way is awaited."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _publish(self, name: str) -> Holder:
        holder, door = self.holders[name], self._space.management(name)
        start = time.perf_counter()
        for first in range(0, len(holder.tables), CHUNK):
            if self._stopped.is_set():
                break
            part = holder.tables[first : first + CHUNK]
            answered = door.publish(
                [holdings.publication(table, self._tables / name, self._at) for table in part]
            )
            holder.published += len(answered["published"])
            holder.refused += [(item["source"], item["reason"]) for item in answered["refused"]]
        holder.seconds = time.perf_counter() - start
        return holder
