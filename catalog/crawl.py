"""Crawling: asking participants for their catalogues, again and again, page by page.

Never empty, never stale: a crawl that fails keeps what is held and is tried again, sooner at first and later
each time; one that ends has seen everything, so what it did not see is withdrawn. Its place is saved after
every page: a crash here leaves at most one page to be asked for twice, which changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from catalog.ingest import Ingest
from catalog.ports import Origins, OriginState, Peers
from catalog.records import Origin, Way
from schemas.errors import DataspaceError, Malformed, StorageUnavailable

CLAIM = timedelta(seconds=120)
"""How long an instance may be silent before another takes its crawl over."""
FIRST_RETRY = timedelta(seconds=5)
MOST_PAGES = 10_000
THREADS = 2
_LONGEST_NAP = 30.0

_log = structlog.get_logger("catalog.crawl")


@dataclass
class _Crawl:
    """How far the crawl at hand has come; what is lost of it is at most the page at hand."""

    state: OriginState


class Crawler:
    """A loop in threads that keeps every origin fresh."""

    def __init__(
        self,
        origins: Origins,
        peers: Peers,
        ingest: Ingest,
        *,
        clock: Callable[[], datetime],
        interval: timedelta,
    ) -> None:
        """Make a crawler; `interval` lies between two successful crawls of an origin."""
        self._origins = origins
        self._peers = peers
        self._ingest = ingest
        self._clock = clock
        self._interval = interval
        self._wake = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._loop, name=f"crawl-{number}", daemon=True)
            for number in range(THREADS)
        ]

    def start(self) -> None:
        """Begin to crawl."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the page at hand; the rest goes on after the next start."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=15)

    # What the doors ask of the crawler: origins in, origins out, how they stand.

    def origins(self) -> tuple[OriginState, ...]:
        """Return every origin and how its crawls went."""
        return self._origins.all()

    def add(self, origin_id: str, url: str) -> OriginState:
        """Add an origin and crawl it at once."""
        state = self._origins.add(origin_id, url, self._clock())
        self._notify()
        return state

    def remove(self, origin_id: str) -> bool:
        """Forget an origin and withdraw what was crawled from it; false if it is unknown."""
        known = self._origins.remove(origin_id)
        if known:
            self._ingest.withdraw_origin(origin_id)
        return known

    def hasten(self, origin_id: str) -> bool:
        """Crawl an origin now; false if it is unknown."""
        known = self._origins.hasten(origin_id, self._clock())
        self._notify()
        return known

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify_all()

    def _loop(self) -> None:
        while not self._stopping:
            try:
                worked = self.work_once()
                nap = 0.0 if worked else self._until_due()
            except StorageUnavailable as error:
                _log.warning("crawl.storage", error=str(error))
                nap = FIRST_RETRY.total_seconds()
            if nap:
                with self._wake:
                    if not self._stopping:
                        self._wake.wait(nap)

    def _until_due(self) -> float:
        due = self._origins.next_due()
        if due is None:
            return _LONGEST_NAP
        # Another instance may add an origin without waking us, so no nap is long.
        return min(max((due - self._clock()).total_seconds(), 0.05), _LONGEST_NAP)

    def work_once(self) -> bool:
        """Crawl the origin that is due, if any; false if none was."""
        now = self._clock()
        state = self._origins.claim(now, now + CLAIM)
        if state is None:
            return False
        crawl = _Crawl(state)
        try:
            self._crawl(crawl, now)
        except DataspaceError as error:
            self._failed(crawl.state, f"{error.code}: {error}")
        except Exception as error:  # a bug in reading one peer must not end the crawling of the others
            _log.exception("crawl.bug", origin=state.id)
            self._failed(crawl.state, f"internal-error: {type(error).__name__}")
        return True

    def _crawl(self, crawl: _Crawl, now: datetime) -> None:
        state = crawl.state
        if state.next_page is None:
            crawl.state = replace(
                state, run=state.run + 1, started=now, pages=0, datasets=0, refused=0, withdrawn=0
            )
        while not self._stopping:
            state = crawl.state = self._take_page(crawl.state)
            if state.next_page is None:
                gone = self._ingest.withdraw_unseen(state.id, state.run)
                self._succeeded(replace(state, withdrawn=gone))
                return
            if state.pages >= MOST_PAGES:
                crawl.state = replace(state, next_page=None)
                raise Malformed(f"the catalogue has more than {MOST_PAGES} pages")
            if not self._origins.save(state, self._clock() + CLAIM):
                self._left(state.id)
                return
        self._origins.save(replace(crawl.state, next_try=self._clock()), None)

    def _take_page(self, state: OriginState) -> OriginState:
        page = self._peers.catalog_page(state.id, state.url, state.next_page)
        document = page.document
        if "participantId" not in document:
            document = {**document, "participantId": state.id}
        taken = self._ingest.take(document, Origin(state.id, Way.CRAWLED), run=state.run)
        for refused in taken.refused[:3]:
            _log.warning("crawl.refused", origin=state.id, dataset=refused.id, reason=refused.reason)
        return replace(
            state,
            next_page=page.next_page,
            pages=state.pages + 1,
            datasets=state.datasets + taken.accepted + taken.unchanged,
            refused=state.refused + len(taken.refused),
        )

    def _succeeded(self, state: OriginState) -> None:
        now = self._clock()
        ended = replace(
            state,
            finished=now,
            succeeded=now,
            result="ok",
            failures=0,
            next_try=now + self._interval,
            next_page=None,
        )
        if not self._origins.save(ended, None):
            self._left(state.id)
        _log.info(
            "crawl.done",
            origin=state.id,
            pages=state.pages,
            datasets=state.datasets,
            withdrawn=state.withdrawn,
        )

    def _failed(self, state: OriginState, result: str) -> None:
        now = self._clock()
        failures = state.failures + 1
        pause = min(FIRST_RETRY * 2 ** min(failures - 1, 16), self._interval)
        # A page that cannot be had again (the peer restarted, its link expired) must not hold up the origin
        # for ever: the second failure in a row starts from the first page.
        page = state.next_page if failures == 1 else None
        failed = replace(
            state, finished=now, result=result, failures=failures, next_try=now + pause, next_page=page
        )
        self._origins.save(failed, None)
        _log.warning(
            "crawl.failed", origin=state.id, error=result, failures=failures, next_try=str(now + pause)
        )

    def _left(self, origin_id: str) -> None:
        """An origin that was removed while its crawl ran: take out what came in meanwhile."""
        if all(state.id != origin_id for state in self._origins.all()):
            self._ingest.withdraw_origin(origin_id)
