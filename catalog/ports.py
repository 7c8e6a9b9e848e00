"""What the catalogue needs from the world; each line is a promise that contract tests check."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from catalog.records import CatalogRecord, Change, Entry, Origin
from catalog.search import Found, Query


@dataclass(frozen=True)
class Saved:
    """What a save did, in numbers of datasets."""

    added: int = 0
    changed: int = 0
    restored: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class Holding:
    """What one participant has here: live datasets, rows where stated, and when something last changed."""

    participant: str
    publisher: str
    datasets: int
    rows: int
    changed: datetime | None


class Records(Protocol):
    """Holds the records of all datasets."""

    def digests(self, participant: str, datasets: Collection[str]) -> dict[str, str]:
        """Return the digests of those datasets of a participant that are held and not withdrawn."""
        ...

    def save(
        self,
        origin: Origin,
        entries: Sequence[Entry],
        same: Collection[str],
        *,
        run: int | None,
        at: datetime,
    ) -> Saved:
        """Take entries in one transaction: all of them, or none.

        An entry whose digest is held changes nothing; a withdrawn one comes back; each other one raises the
        record's version and leaves a change. The ids in `same` are known to be unchanged. With `run`, each
        dataset named is marked as seen by that crawl.

        Raises:
            StorageUnavailable: if the write was not taken; nothing was changed.
        """
        ...

    def withdraw(self, participant: str, dataset: str, reason: str, at: datetime) -> bool:
        """Withdraw one dataset and keep its tombstone; false if there is none to withdraw."""
        ...

    def withdraw_unseen(self, participant: str, run: int, reason: str, at: datetime) -> int:
        """Withdraw what an earlier crawl of a participant saw and crawl `run` did not; returns how many."""
        ...

    def withdraw_all(self, participant: str, reason: str, at: datetime) -> int:
        """Withdraw what was crawled from this participant; returns how many."""
        ...

    def find(self, dataset: str, participant: str | None = None) -> tuple[CatalogRecord, ...]:
        """Return the records of an id, tombstones included: one a participant that uses it."""
        ...

    def changes(self, participant: str, dataset: str) -> tuple[Change, ...]:
        """Return the latest changes of a record, newest first."""
        ...

    def holdings(self) -> tuple[Holding, ...]:
        """Return what each participant has here, most datasets first."""
        ...

    def ready(self) -> None:
        """Ask for a sign of life.

        Raises:
            StorageUnavailable: if there is none.
        """
        ...


class Finder(Protocol):
    """Searches the records."""

    def search(self, query: Query) -> Found:
        """Return a page of live records with the counts over all hits.

        Every word of the text must begin a word of the dataset's texts, or the whole text be part of its id
        or title. An id, identifier or title that equals the text comes first, then an id that ends in it.
        """
        ...

    def page(
        self, query: Query, *, after: tuple[str, str] | None = None, offset: int = 0, limit: int
    ) -> tuple[CatalogRecord, ...]:
        """Return live records that fit a query, ordered by participant and id, after a given one."""
        ...


@dataclass(frozen=True)
class OriginState:
    """An origin to crawl, and how its crawls went.

    `run` numbers the crawls; `next_page` is where an interrupted one goes on. `result` is "ok", or the error
    of the last crawl; `next_try` is when it is crawled again.
    """

    id: str
    url: str
    run: int = 0
    next_page: str | None = None
    started: datetime | None = None
    finished: datetime | None = None
    succeeded: datetime | None = None
    result: str | None = None
    next_try: datetime | None = None
    failures: int = 0
    pages: int = 0
    datasets: int = 0
    refused: int = 0
    withdrawn: int = 0


class Origins(Protocol):
    """Holds the origins and whose turn it is."""

    def add(self, origin_id: str, url: str, at: datetime) -> OriginState:
        """Add an origin, due at once; a known one with another URL moves there."""
        ...

    def remove(self, origin_id: str) -> bool:
        """Forget an origin; false if it is unknown."""
        ...

    def all(self) -> tuple[OriginState, ...]:
        """Return every origin, by id."""
        ...

    def hasten(self, origin_id: str, at: datetime) -> bool:
        """Make an origin due now; false if it is unknown."""
        ...

    def claim(self, at: datetime, until: datetime) -> OriginState | None:
        """Take the origin that has been due longest, for nobody else until `until`; None if none is due."""
        ...

    def save(self, state: OriginState, until: datetime | None) -> bool:
        """Keep how a crawl stands; `until` holds the claim, None gives it up.

        False if the origin was removed meanwhile, or moved to another URL; then nothing is kept.
        """
        ...

    def next_due(self) -> datetime | None:
        """Return when the next origin falls due, claims considered; None if there is none."""
        ...


class Replays(Protocol):
    """Remembers the tokens that were used."""

    def first_use(self, issuer: str, jti: str, expires: datetime, at: datetime) -> bool:
        """Remember a token until it expires; false if it was used before."""
        ...


@dataclass(frozen=True)
class PeerPage:
    """One page of a peer's catalogue, and where the next is."""

    document: Mapping[str, Any]
    next_page: str | None


class Peers(Protocol):
    """Asks participants for their catalogues, in the catalogue's own name."""

    def catalog_page(self, participant: str, base: str, page: str | None) -> PeerPage:
        """Ask for the first page of a catalogue, or for the one at `page`.

        Raises:
            PeerUnavailable: if the peer cannot be reached, or refuses.
            Malformed: if its answer is not a catalogue.
            EgressForbidden: if the address may not be connected to.
        """
        ...


class MemberFiles(Protocol):
    """Keeps the signed member list, and the plain one where the catalogue signs it itself."""

    def signed(self) -> tuple[str, object] | None:
        """Return the signed list and a mark that changes with it; None where there is none yet."""
        ...

    def plain(self) -> tuple[bytes, object] | None:
        """Return the plain list and a mark that changes with it; None where there is none yet."""
        ...

    def write_signed(self, token: str) -> None:
        """Replace the signed list, whole or not at all."""
        ...

    def write_plain(self, document: bytes) -> None:
        """Replace the plain list, whole or not at all."""
        ...
