"""The records of the catalogue in SQL, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, text, update

from catalog.adapters.tables import LIVE, Database, changes, facets, from_micros, records, to_micros
from catalog.adapters.words import Words, words_for
from catalog.ports import Holding, Saved
from catalog.records import CatalogRecord, Change, ChangeKind, Entry, Origin, Way, diff

_CHUNK = 500
"""Ids in one statement: below the bound of parameters of either database."""
_MOST_CHANGES = 20


def _chunks(items: Iterable[str]) -> Iterable[list[str]]:
    everything = list(items)
    return (everything[start : start + _CHUNK] for start in range(0, len(everything), _CHUNK))


def _values(entry: Entry, origin: Origin) -> dict[str, Any]:
    return {
        "participant": origin.participant,
        "dataset": entry.dataset,
        "way": origin.way.value,
        "document": entry.document,
        "digest": entry.digest,
        "title": entry.title,
        "language": entry.language,
        "description": entry.description,
        "publisher": entry.publisher,
        "identifier": entry.identifier,
        "endpoint": entry.endpoint,
        "rows": entry.rows,
        "byte_size": entry.byte_size,
        "access": entry.access,
        "themes": json.dumps(entry.themes),
        "keywords": json.dumps(entry.keywords),
        "offers": entry.offers,
        "texts": entry.texts,
        "details": entry.details,
        "folded_id": entry.dataset.lower(),
        "folded_title": entry.title.lower(),
        "tail": re.split(r"[^\w]+", entry.dataset.lower())[-1],
    }


def record_of(row: Row[Any]) -> CatalogRecord:
    held = row._mapping
    entry = Entry(
        **{name: held[name] for name in _PLAIN},
        themes=tuple(json.loads(held["themes"])),
        keywords=tuple(json.loads(held["keywords"])),
    )
    first, changed = from_micros(held["first_seen"]), from_micros(held["changed"])
    assert first is not None and changed is not None  # noqa: S101 (columns are NOT NULL)
    return CatalogRecord(
        entry=entry,
        origin=Origin(held["participant"], Way(held["way"])),
        version=held["version"],
        first_seen=first,
        changed=changed,
        withdrawn=from_micros(held["withdrawn"]),
        reason=held["reason"],
    )


_PLAIN = (
    "dataset", "document", "digest", "title", "language", "description", "publisher", "identifier", "endpoint",
    "rows", "byte_size", "access", "offers", "texts", "details",
)  # fmt: skip


@dataclass
class _Work:
    """What one save has to write."""

    new: list[Entry] = field(default_factory=list)
    renewed: list[tuple[int, Entry]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
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
            work = _sort(entries, held, origin, to_micros(at))
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
            changed=len(work.updates) - work.restored,
            restored=work.restored,
            unchanged=len(same) + len(work.same),
        )

    def _lock(self, connection: Connection, participant: str) -> None:
        # SQLite has one writer anyway; on PostgreSQL two instances must not insert the same dataset.
        if not self._database.is_sqlite:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(participant))))

    @staticmethod
    def _held(connection: Connection, participant: str, datasets: list[str]) -> dict[str, Row[Any]]:
        wanted = (records.c.key, records.c.dataset, records.c.digest, records.c.version, records.c.withdrawn,
                  records.c.document)  # fmt: skip
        return {
            row.dataset: row
            for chunk in _chunks(datasets)
            for row in connection.execute(
                select(*wanted).where(records.c.participant == participant, records.c.dataset.in_(chunk))
            )
        }

    def _write(self, connection: Connection, work: _Work, origin: Origin, micros: int) -> None:
        if work.updates:
            # One statement a record: `bindparam` names must differ from the columns they set.
            for values in work.updates:
                key = values.pop("key")
                connection.execute(update(records).where(records.c.key == key).values(**values))
            connection.execute(delete(facets).where(facets.c.record.in_([key for key, _ in work.renewed])))
        indexed = list(work.renewed)
        if work.new:
            rows = [
                {**_values(entry, origin), "version": 1, "first_seen": micros, "changed": micros}
                for entry in work.new
            ]
            inserted = connection.execute(insert(records).returning(records.c.key, records.c.dataset), rows)
            keys = {row.dataset: row.key for row in inserted}
            indexed += [(keys[entry.dataset], entry) for entry in work.new]
        if indexed:
            self._words.put(connection, indexed)
            connection.execute(
                insert(facets), [row for key, entry in indexed for row in _facet_rows(key, entry)]
            )
        if work.changes:
            connection.execute(insert(changes), work.changes)

    def withdraw(self, participant: str, dataset: str, reason: str, at: datetime) -> bool:
        """Withdraw one dataset and keep its tombstone; false if there is none to withdraw."""
        return (
            self._withdraw(
                (records.c.participant == participant) & (records.c.dataset == dataset), reason, at
            )
            > 0
        )

    def withdraw_unseen(self, participant: str, run: int, reason: str, at: datetime) -> int:
        """Withdraw what an earlier crawl of this participant saw and crawl `run` did not; returns how many."""
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
            connection.execute(
                insert(changes),
                [
                    _change(
                        row.participant, row.dataset, ChangeKind.WITHDRAWN, row.version, micros, (reason,)
                    )
                    for row in gone
                ],
            )
            for start in range(0, len(gone), _CHUNK):
                part = [row.key for row in gone[start : start + _CHUNK]]
                connection.execute(delete(facets).where(facets.c.record.in_(part)))
        return len(gone)

    def find(self, dataset: str, participant: str | None = None) -> tuple[CatalogRecord, ...]:
        """Return the records of an id, tombstones included: one a participant that uses it."""
        wanted = select(records).where(records.c.dataset == dataset).order_by(records.c.participant)
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
            return tuple(_as_change(row._mapping) for row in connection.execute(wanted))

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


def _sort(entries: Sequence[Entry], held: Mapping[str, Row[Any]], origin: Origin, micros: int) -> _Work:
    work = _Work()
    for entry in entries:
        row = held.get(entry.dataset)
        if row is None:
            work.new.append(entry)
            work.changes.append(_change(origin.participant, entry.dataset, ChangeKind.ADDED, 1, micros))
            continue
        if row.withdrawn is None and row.digest == entry.digest:
            work.same.append(entry.dataset)
            continue
        back = row.withdrawn is not None
        kind = ChangeKind.RESTORED if back else ChangeKind.CHANGED
        work.restored += back
        differing = diff(json.loads(row.document), json.loads(entry.document)) or (
            () if back else ("service",)
        )
        work.changes.append(
            _change(origin.participant, entry.dataset, kind, row.version + 1, micros, differing)
        )
        work.renewed.append((row.key, entry))
        work.updates.append(
            {**_values(entry, origin), "key": row.key, "version": row.version + 1, "changed": micros,
             "withdrawn": None, "reason": None}
        )  # fmt: skip
    return work


def _facet_rows(key: int, entry: Entry) -> list[dict[str, Any]]:
    pairs = {
        ("publisher", entry.publisher),
        ("access", entry.access),
        *(("theme", theme) for theme in entry.themes),
    }
    return [{"kind": kind, "value": value, "record": key} for kind, value in sorted(pairs)]


def _change(
    participant: str, dataset: str, kind: ChangeKind, version: int, micros: int, members: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "participant": participant,
        "dataset": dataset,
        "kind": kind.value,
        "version": version,
        "at": micros,
        "members": json.dumps(members),
    }


def _as_change(held: Mapping[str, Any]) -> Change:
    at = from_micros(held["at"])
    assert at is not None  # noqa: S101 (the column is NOT NULL)
    return Change(
        participant=held["participant"],
        dataset=held["dataset"],
        kind=ChangeKind(held["kind"]),
        version=held["version"],
        at=at,
        members=tuple(json.loads(held["members"])),
    )
