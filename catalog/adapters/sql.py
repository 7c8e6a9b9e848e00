"""The records of the catalogue in SQL, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, text, update

from catalog.adapters.rows import WHOLE, change_of, change_row, facet_rows, record_of, values_of
from catalog.adapters.tables import (
    LIVE,
    Database,
    changes,
    documents,
    facets,
    from_micros,
    records,
    to_micros,
)
from catalog.adapters.words import Words, words_for
from catalog.ports import Holding, Saved
from catalog.records import CatalogRecord, Change, ChangeKind, Entry, Origin, Way, diff

_CHUNK = 500
"""Ids in one statement: below the bound of parameters of either database."""
_MOST_CHANGES = 20


def _chunks(items: Iterable[str]) -> Iterable[list[str]]:
    everything = list(items)
    return (everything[start : start + _CHUNK] for start in range(0, len(everything), _CHUNK))


@dataclass
class _Work:
    """What one save has to write."""

    new: list[Entry] = field(default_factory=list)
    renewed: list[tuple[int, int, Entry]] = field(default_factory=list)
    """Key, new version and entry."""
    changes: list[Change] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    restored: int = 0


class SqlRecords:
    """Keeps records, their words, facets and changes together in one transaction."""

    def __init__(self, database: Database) -> None:
        """Make the store over a database."""
        self._database = database
        self._words: Words = words_for(database)

    def digests(self, participant: str, datasets: Collection[str]) -> dict[str, str]:
        """Return the digests of those datasets of a participant that are held and not withdrawn."""
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for chunk in _chunks(datasets):
                rows = connection.execute(
                    select(records.c.dataset, records.c.digest).where(
                        records.c.participant == participant, records.c.dataset.in_(chunk), LIVE
                    )
                )
                found.update((row.dataset, row.digest) for row in rows)
        return found

    def save(
        self,
        origin: Origin,
        entries: Sequence[Entry],
        same: Collection[str],
        *,
        run: int | None,
        at: datetime,
    ) -> Saved:
        """Take entries in one transaction: all of them, or none."""
        with self._database.write() as connection:
            self._lock(connection, origin.participant)
            held = self._held(connection, origin.participant, [entry.dataset for entry in entries])
            work = _sort(entries, held, origin, at)
            self._write(connection, work, origin, to_micros(at))
            if run is not None:
                for chunk in _chunks([*same, *(entry.dataset for entry in entries)]):
                    connection.execute(
                        update(records)
                        .where(
                            records.c.participant == origin.participant, records.c.dataset.in_(chunk), LIVE
                        )
                        .values(run=run)
                    )
        return Saved(
            added=len(work.new),
            changed=len(work.renewed) - work.restored,
            restored=work.restored,
            unchanged=len(same) + len(work.same),
        )

    def _lock(self, connection: Connection, participant: str) -> None:
        # SQLite has one writer anyway; on PostgreSQL two instances must not insert the same dataset.
        if not self._database.is_sqlite:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(participant))))

    @staticmethod
    def _held(connection: Connection, participant: str, datasets: list[str]) -> dict[str, Any]:
        wanted = select(
            records.c.key, records.c.dataset, records.c.digest, records.c.version, records.c.withdrawn,
            documents.c.document,
        ).join(documents, documents.c.record == records.c.key)  # fmt: skip
        return {
            row.dataset: row
            for chunk in _chunks(datasets)
            for row in connection.execute(
                wanted.where(records.c.participant == participant, records.c.dataset.in_(chunk))
            )
        }

    def _write(self, connection: Connection, work: _Work, origin: Origin, micros: int) -> None:
        for key, version, entry in work.renewed:
            values = {**values_of(entry, origin), "version": version, "changed": micros}
            connection.execute(
                update(records).where(records.c.key == key).values(**values, withdrawn=None, reason=None)
            )
        keys = [key for key, _, _ in work.renewed]
        _drop(connection, facets, keys)
        _drop(connection, documents, keys)
        written = [(key, entry) for key, _, entry in work.renewed]
        if work.new:
            born = {"version": 1, "first_seen": micros, "changed": micros}
            inserted = connection.execute(
                insert(records).returning(records.c.key, records.c.dataset),
                [{**values_of(entry, origin), **born} for entry in work.new],
            )
            made = {row.dataset: row.key for row in inserted}
            written += [(made[entry.dataset], entry) for entry in work.new]
        if written:
            self._words.put(connection, written)
            connection.execute(insert(facets), [row for pair in written for row in facet_rows(*pair)])
            connection.execute(
                insert(documents), [{"record": key, "document": entry.document} for key, entry in written]
            )
        if work.changes:
            connection.execute(insert(changes), [change_row(change) for change in work.changes])

    def withdraw(self, participant: str, dataset: str, reason: str, at: datetime) -> bool:
        """Withdraw one dataset and keep its tombstone; false if there is none to withdraw."""
        return (
            self._withdraw(
                (records.c.participant == participant) & (records.c.dataset == dataset), reason, at
            )
            > 0
        )

    def withdraw_unseen(self, participant: str, run: int, reason: str, at: datetime) -> int:
        """Withdraw what an earlier crawl of a participant saw and crawl `run` did not; returns how many."""
        return self._withdraw((records.c.participant == participant) & (records.c.run < run), reason, at)

    def withdraw_all(self, participant: str, reason: str, at: datetime) -> int:
        """Withdraw what was crawled from this participant; returns how many."""
        crawled = (records.c.participant == participant) & (records.c.way == Way.CRAWLED.value)
        return self._withdraw(crawled, reason, at)

    def _withdraw(self, which: ColumnElement[bool], reason: str, at: datetime) -> int:
        micros = to_micros(at)
        with self._database.write() as connection:
            gone = connection.execute(
                update(records)
                .where(which, LIVE)
                .values(
                    withdrawn=micros, reason=reason, changed=micros, version=records.c.version + 1, run=None
                )
                .returning(records.c.key, records.c.participant, records.c.dataset, records.c.version)
            ).all()
            if not gone:
                return 0
            self._words.drop(connection, [row.key for row in gone])
            kind = ChangeKind.WITHDRAWN
            told = [Change(row.participant, row.dataset, kind, row.version, at, (reason,)) for row in gone]
            connection.execute(insert(changes), [change_row(change) for change in told])
            _drop(connection, facets, [row.key for row in gone])
        return len(gone)

    def find(self, dataset: str, participant: str | None = None) -> tuple[CatalogRecord, ...]:
        """Return the records of an id, tombstones included: one a participant that uses it."""
        wanted = WHOLE.where(records.c.dataset == dataset).order_by(records.c.participant)
        if participant is not None:
            wanted = wanted.where(records.c.participant == participant)
        with self._database.read() as connection:
            return tuple(record_of(row) for row in connection.execute(wanted))

    def changes(self, participant: str, dataset: str) -> tuple[Change, ...]:
        """Return the latest changes of a record, newest first."""
        wanted = (
            select(changes)
            .where(changes.c.participant == participant, changes.c.dataset == dataset)
            .order_by(changes.c.key.desc())
            .limit(_MOST_CHANGES)
        )
        with self._database.read() as connection:
            return tuple(change_of(row) for row in connection.execute(wanted))

    def holdings(self) -> tuple[Holding, ...]:
        """Return what each participant has here, most datasets first."""
        wanted = (
            select(
                records.c.participant,
                func.max(records.c.publisher).label("publisher"),
                func.count().label("datasets"),
                func.coalesce(func.sum(records.c.rows), 0).label("rows"),
                func.max(records.c.changed).label("changed"),
            )
            .where(LIVE)
            .group_by(records.c.participant)
            .order_by(func.count().desc(), records.c.participant)
        )
        with self._database.read() as connection:
            return tuple(
                Holding(row.participant, row.publisher, row.datasets, int(row.rows), from_micros(row.changed))
                for row in connection.execute(wanted)
            )

    def ready(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            StorageUnavailable: if it does not answer.
        """
        with self._database.read() as connection:
            connection.execute(text("SELECT 1"))


def _sort(entries: Sequence[Entry], held: Mapping[str, Any], origin: Origin, at: datetime) -> _Work:
    work = _Work()
    for entry in entries:
        row = held.get(entry.dataset)
        if row is None:
            work.new.append(entry)
            work.changes.append(Change(origin.participant, entry.dataset, ChangeKind.ADDED, 1, at))
            continue
        if row.withdrawn is None and row.digest == entry.digest:
            work.same.append(entry.dataset)
            continue
        back = row.withdrawn is not None
        kind = ChangeKind.RESTORED if back else ChangeKind.CHANGED
        # Where the documents are the same, what changed is the connector that all datasets share.
        differing = diff(json.loads(row.document), json.loads(entry.document))
        named = differing if differing or back else ("service",)
        version = row.version + 1
        work.restored += back
        work.changes.append(Change(origin.participant, entry.dataset, kind, version, at, named))
        work.renewed.append((row.key, version, entry))
    return work


def _drop(connection: Connection, table: Table, keys: Sequence[int]) -> None:
    for start in range(0, len(keys), _CHUNK):
        connection.execute(delete(table).where(table.c.record.in_(keys[start : start + _CHUNK])))
