"""The usage log in SQL: records with their salts, rows used and reserved, and the tree over the records.

The order of an agreement's records is the order in which its totals changed: whoever changes them holds the
agreement's row until it commits, and draws the record's number meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text, update

from connector.adapters.sql_database import Database, insert_new
from connector.adapters.sql_tables import (
    agreements,
    log_heads,
    log_leaves,
    usage_records,
    usage_streams,
    usage_totals,
)
from connector.usage.ports import LoggedRecord, LogHead, Reservation
from policies.evidence.commitment import commit
from policies.evidence.tree import leaf_hash
from policies.use import UseTotals
from schemas.errors import AlreadyExists, EvidenceBroken, Forbidden, StaleState
from schemas.usage import UsageRecord

Salts = Callable[[], bytes]
"""Draws 32 random bytes, new ones at each call."""

_SEQUENCER = text("SELECT pg_try_advisory_xact_lock(1212239443, 1)")


def put_records(
    database: Database, connection: Connection, records: Sequence[UsageRecord], salts: Salts
) -> None:
    """Save records in a transaction that is under way; one that stands there already is not doubled.

    Raises:
        AlreadyExists: if another record has the same id.
        Malformed: if a record is too long.
    """
    rows = [{"id": record.id, "salt": salts(), "record": record.canonical()} for record in records]
    new = insert_new(database, connection, usage_records, rows)
    for row in rows:
        if row["id"] not in new:
            held = _stored_record(connection, str(row["id"]))
            if held != row["record"]:
                raise AlreadyExists(
                    f"usage record {row['id']} exists with other content; give each event its own id"
                )


def _stored_record(connection: Connection, record_id: str) -> bytes | None:
    return connection.execute(
        select(usage_records.c.record).where(usage_records.c.id == record_id)
    ).scalar_one_or_none()


def lock_totals(database: Database, connection: Connection, agreement: str) -> int:
    """Hold an agreement's row until the transaction ends, and return its total."""
    start = {"agreement": agreement, "used": 0, "reserved": 0}
    # Writing the row as it is takes its lock, whether or not it was there.
    statement = (
        database.insert(usage_totals)
        .on_conflict_do_update(index_elements=["agreement"], set_={"used": usage_totals.c.used})
        .returning(usage_totals.c.used + usage_totals.c.reserved)
    )
    return int(connection.execute(statement, start).scalar_one())


class SqlUsage:
    """A UsageStore.

    Args:
        database: Where everything is kept.
        salts: Draws the salts of new records.
    """

    def __init__(self, database: Database, salts: Salts) -> None:
        self._database = database
        self._salts = salts

    def append(self, records: Sequence[UsageRecord]) -> None:
        """Save records durably; repeating a record changes nothing."""
        with self._database.write() as connection:
            put_records(self._database, connection, records, self._salts)

    def totals(self, agreement: str) -> UseTotals:
        """Return what an agreement has used, open reservations included."""
        statement = select(usage_totals.c.used + usage_totals.c.reserved).where(
            usage_totals.c.agreement == agreement
        )
        with self._database.read() as connection:
            return UseTotals(rows=connection.execute(statement).scalar_one_or_none() or 0)

    def reserve(
        self, agreement: str, stream: str, rows: int, most: int | None, record: UsageRecord
    ) -> Reservation:
        """Take up to `rows` rows for a stream, so that the agreement's total never passes `most`.

        Repeating the same record grants what it granted before, once.
        """
        with self._database.write() as connection:
            total = lock_totals(self._database, connection, agreement)
            earlier, revoked = self._before(connection, agreement, record.id)
            if earlier is not None:
                held = json.loads(earlier)
                return Reservation(rows=held["rows"], total=held["rowsBefore"])
            if revoked:
                raise Forbidden(f"agreement {agreement} was revoked; no more rows leave under it")
            granted = rows if most is None else max(0, min(rows, most - total))
            if granted == 0:
                return Reservation(rows=0, total=total)
            self._take(connection, agreement, stream, granted)
            filled = record.model_copy(update={"rows": granted, "rows_before": total})
            put_records(self._database, connection, [filled], self._salts)
            return Reservation(rows=granted, total=total)

    def settle(self, agreement: str, stream: str, rows: int, record: UsageRecord) -> None:
        """Replace a stream's reservations by the rows that it sent; a second time changes nothing."""
        with self._database.write() as connection:
            total = lock_totals(self._database, connection, agreement)
            connection.execute(
                self._database.insert(usage_streams).on_conflict_do_nothing(),
                self._row(agreement, stream, 0),
            )
            reserved = connection.execute(
                update(usage_streams)
                .where(usage_streams.c.stream == stream, usage_streams.c.settled.is_(None))
                .values(settled=rows)
                .returning(usage_streams.c.reserved)
            ).scalar_one_or_none()
            if reserved is None:
                return
            connection.execute(
                update(usage_totals)
                .where(usage_totals.c.agreement == agreement)
                .values(used=usage_totals.c.used + rows, reserved=usage_totals.c.reserved - reserved)
            )
            filled = record.model_copy(update={"rows": rows, "rows_before": total - reserved})
            put_records(self._database, connection, [filled], self._salts)

    def open_streams(self) -> Sequence[tuple[str, str, int]]:
        """Return (agreement, stream, rows reserved) of streams that a crash left behind."""
        columns = usage_streams.c
        statement = (
            select(columns.agreement, columns.stream, columns.reserved, columns.owner)
            .where(columns.settled.is_(None), columns.owner != self._database.owner)
            .order_by(columns.stream)
        )
        with self._database.read() as connection:
            alive = self._database.others_alive(connection)
            rows = connection.execute(statement).all()
        return [(row.agreement, row.stream, row.reserved) for row in rows if row.owner not in alive]

    def sequence(self, most: int = 1000) -> int:
        """Give the oldest records without a place the next places in the log; return how many."""
        waiting = (
            select(usage_records.c.seq, usage_records.c.record, usage_records.c.salt)
            .where(usage_records.c.place.is_(None))
            .order_by(usage_records.c.seq)
            .limit(most)
        )
        if self.backlog() == 0:  # no write lock for nothing
            return 0
        with self._database.write() as connection:
            # SQLite has one writer anyway; on PostgreSQL who does not get the lock has nothing to do.
            if not self._database.is_sqlite and not connection.execute(_SEQUENCER).scalar_one():
                return 0
            records = connection.execute(waiting).all()
            if not records:
                return 0
            start = _size(connection)
            entries = [commit(row.record, row.salt) for row in records]
            connection.execute(
                log_leaves.insert(),
                [
                    {"place": start + at, "entry": entry, "leaf": leaf_hash(entry)}
                    for at, entry in enumerate(entries)
                ],
            )
            connection.execute(
                update(usage_records)
                .where(usage_records.c.seq == bindparam("which"))
                .values(place=bindparam("where")),
                [{"which": row.seq, "where": start + at} for at, row in enumerate(records)],
            )
            return len(records)

    def backlog(self) -> int:
        """Return how many records have no place yet."""
        statement = select(func.count()).select_from(usage_records).where(usage_records.c.place.is_(None))
        with self._database.read() as connection:
            return connection.execute(statement).scalar_one()

    def size(self) -> int:
        """Return how many leaves the log has."""
        with self._database.read() as connection:
            return _size(connection)

    def entries(self, start: int, most: int) -> Sequence[LoggedRecord]:
        """Return records by place, from `start`."""
        columns = usage_records.c
        statement = (
            select(columns.place, columns.record, columns.salt)
            .where(columns.place >= start, columns.place < start + most)
            .order_by(columns.place)
        )
        with self._database.read() as connection:
            return [
                LoggedRecord(row.place, bytes(row.record), bytes(row.salt))
                for row in connection.execute(statement)
            ]

    def leaf_hashes(self, start: int, end: int) -> Sequence[bytes]:
        """Return the 32-byte leaf hashes of places start … end - 1."""
        return self._leaves(log_leaves.c.leaf, start, end)

    def entry_bytes(self, start: int, end: int) -> Sequence[bytes]:
        """Return the public leaf entries (commitments) of places start … end - 1."""
        return self._leaves(log_leaves.c.entry, start, end)

    def head(self) -> LogHead | None:
        """Return the newest signed head."""
        statement = (
            select(log_heads).where(log_heads.c.note.is_not(None)).order_by(log_heads.c.size.desc()).limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return None if row is None else LogHead(row.size, bytes(row.root), row.note)

    def stage_head(self, size: int, root: bytes) -> None:
        """Record a head before it is signed; the same one again changes nothing.

        Raises:
            EvidenceBroken: if another root was recorded for that size; then never sign.
        """
        statement = self._database.insert(log_heads).on_conflict_do_nothing()
        with self._database.write() as connection:
            connection.execute(statement, {"size": size, "root": root})
            held = bytes(
                connection.execute(select(log_heads.c.root).where(log_heads.c.size == size)).scalar_one()
            )
        if held != root:
            raise EvidenceBroken(
                f"size {size} was recorded with root {held.hex()}, now the log makes {root.hex()}; "
                "it is not signed: keep the database as evidence and ask how it came to differ"
            )

    def publish_head(self, head: LogHead) -> None:
        """Save the signed note of a staged head.

        Raises:
            EvidenceBroken: if it was never staged with this root.
        """
        statement = (
            update(log_heads)
            .where(log_heads.c.size == head.size, log_heads.c.root == head.root)
            .values(note=head.note)
        )
        with self._database.write() as connection:
            if connection.execute(statement).rowcount != 1:
                raise EvidenceBroken(
                    f"size {head.size} was never recorded with root {head.root.hex()}; stage it first"
                )

    def _leaves(self, column: Any, start: int, end: int) -> Sequence[bytes]:
        place = log_leaves.c.place
        statement = select(column).where(place >= start, place < end).order_by(place)
        with self._database.read() as connection:
            return [bytes(value) for value in connection.execute(statement).scalars()]

    def _before(self, connection: Connection, agreement: str, record_id: str) -> tuple[bytes | None, bool]:
        """Return the record of that id, if it was saved before, and whether the agreement was revoked."""
        earlier = select(usage_records.c.record).where(usage_records.c.id == record_id)
        revoked = select(agreements.c.revoked).where(agreements.c.id == agreement)
        row = connection.execute(select(earlier.scalar_subquery(), revoked.scalar_subquery())).one()
        return row[0], bool(row[1])

    def _row(self, agreement: str, stream: str, rows: int) -> dict[str, Any]:
        return {"stream": stream, "agreement": agreement, "owner": self._database.owner, "reserved": rows}

    def _take(self, connection: Connection, agreement: str, stream: str, rows: int) -> None:
        columns = usage_streams.c
        insert = self._database.insert(usage_streams)
        statement = insert.on_conflict_do_update(
            index_elements=["stream"],
            set_={"reserved": columns.reserved + insert.excluded.reserved},
            where=(columns.agreement == insert.excluded.agreement) & columns.settled.is_(None),
        ).returning(columns.stream)
        if connection.execute(statement, self._row(agreement, stream, rows)).first() is None:
            raise StaleState(f"stream {stream} was settled, or is of another agreement; open a new one")
        connection.execute(
            update(usage_totals)
            .where(usage_totals.c.agreement == agreement)
            .values(reserved=usage_totals.c.reserved + rows)
        )


def _size(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(log_leaves.c.place) + 1, 0))).scalar_one())
