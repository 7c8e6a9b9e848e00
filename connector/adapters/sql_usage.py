"""The usage log in SQL: records with their salts, rows used and reserved, and the tree over the records.

The order of an agreement's records is the order in which its totals changed: whoever changes them holds the
agreement's row until it commits, and draws the record's number meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, text, update

from connector.adapters.sql_counts import COLUMNS, Account, delivered_by, granted_of, let_go, lock_totals
from connector.adapters.sql_database import Database, insert_new
from connector.adapters.sql_tables import (
    agreements,
    log_heads,
    log_leaves,
    usage_readings,
    usage_records,
    usage_streams,
    usage_totals,
)
from connector.usage.ports import Judge, LeftOpen, LoggedRecord, LogHead, Reservation, Sent
from policies.counting import Amount, Bound, Reading, opened
from policies.evidence.commitment import commit
from policies.evidence.tree import leaf_hash
from policies.use import UseTotals, released_in
from schemas.errors import AlreadyExists, EvidenceBroken, Forbidden, Malformed, StaleState
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

    def totals(self, agreement: str, transfer: str | None = None) -> UseTotals:
        """Return what an agreement has used, open reservations included."""
        statement = select(*COLUMNS).where(usage_totals.c.agreement == agreement)
        with self._database.read() as connection:
            row = connection.execute(statement).first()
            begun = transfer is not None and self._reading(connection, agreement, transfer) is not None
        return UseTotals() if row is None else Account(*row).totals(begun)

    def admit(self, record: UsageRecord, judge: Judge) -> UsageRecord:
        """Decide on the opening of a stream, count it if it is permitted, and save the decision, all at once.

        Raises:
            Malformed: if the record does not name agreement, transfer, stream and first row.
        """
        agreement, transfer, stream = record.agreement, record.transfer, record.stream
        start = record.detail.get("start")
        if agreement is None or transfer is None or stream is None or not isinstance(start, int):
            raise Malformed(f"record {record.id} names no agreement, transfer, stream or start")
        with self._database.write() as connection:
            account = lock_totals(self._database, connection, agreement)
            earlier, _ = self._before(connection, agreement, record.id)
            if earlier is not None:
                return UsageRecord.model_validate_json(earlier)
            reading, begins = opened(self._reading(connection, agreement, transfer), stream, start)
            totals = account.totals(begun=not begins)
            found = {
                "rows_before": totals.rows,
                "bytes_before": totals.bytes,
                "requests_before": totals.requests,
                "epochs_before": totals.epochs,
            }
            told = record.model_copy(update={**found, **judge(totals)})
            if told.decision == "permit":
                told = told.model_copy(update={"requests": 1, "epochs": int(begins)})
                self._count(connection, agreement, {"requests": 1, "epochs": int(begins)})
                if apart := released_in(told.detail) - totals.released:
                    let_go(connection, agreement, totals.released | apart)
                self._put_reading(connection, agreement, transfer, reading)
                row = {**self._row(agreement, stream), "transfer": transfer, "requests": 1}
                connection.execute(self._database.insert(usage_streams), row)
            put_records(self._database, connection, [told], self._salts)
            return told

    def reserve(
        self, agreement: str, stream: str, wanted: Amount, most: Bound, record: UsageRecord
    ) -> Reservation:
        """Take up to what is wanted for a stream, so that the agreement's totals never pass `most`.

        Repeating the same record grants what it granted before, once.
        """
        with self._database.write() as connection:
            account = lock_totals(self._database, connection, agreement)
            earlier, revoked = self._before(connection, agreement, record.id)
            if earlier is not None:
                held = json.loads(earlier)
                return Reservation(held["rows"], held["rowsBefore"], held["byteCount"], held["bytesBefore"])
            if revoked:
                raise Forbidden(f"agreement {agreement} was revoked; no more rows leave under it")
            granted = granted_of(account, wanted, most, record.at)
            if granted.rows or granted.bytes:
                self._take(connection, agreement, stream, granted)
                row = account.delivering(granted, most.rate, record.at)
                connection.execute(
                    update(usage_totals).where(usage_totals.c.agreement == agreement).values(row)
                )
                counts = {"rows": granted.rows, "byte_count": granted.bytes}
                found = {"rows_before": account.rows, "bytes_before": account.bytes}
                filled = record.model_copy(update={**counts, **found})
                put_records(self._database, connection, [filled], self._salts)
            return granted

    def settle(self, agreement: str, stream: str, sent: Sent, record: UsageRecord) -> None:
        """Replace a stream's reservations by what it sent; a second time changes nothing."""
        columns = usage_streams.c
        with self._database.write() as connection:
            account = lock_totals(self._database, connection, agreement)
            connection.execute(
                self._database.insert(usage_streams).on_conflict_do_nothing(), self._row(agreement, stream)
            )
            held = connection.execute(
                update(usage_streams)
                .where(columns.stream == stream, columns.settled.is_(None))
                .values(settled=sent.rows)
                .returning(columns.reserved, columns.reserved_bytes, columns.requests, columns.transfer)
            ).first()
            if held is None:
                return
            back = held.requests if sent.requests == 0 else 0
            is_vain = self._end_reading(connection, agreement, held.transfer, stream, sent)
            change = {
                "used": sent.rows,
                "reserved": -held.reserved,
                "used_bytes": sent.bytes,
                "reserved_bytes": -held.reserved_bytes,
                "requests": -back,
                "epochs": -is_vain,
            }
            self._count(connection, agreement, change)
            if sent.rows and sent.last is not None:
                delivered_by(connection, agreement, account, sent.last)
            filled = {
                "rows": sent.rows,
                "byte_count": sent.bytes,
                "rows_before": account.rows - held.reserved,
                "bytes_before": account.bytes - held.reserved_bytes,
                "requests": 0 if back else None,
                "epochs": 0 if is_vain else None,
            }
            put_records(self._database, connection, [record.model_copy(update=filled)], self._salts)

    def open_streams(self) -> Sequence[LeftOpen]:
        """Return the streams that a crash left behind."""
        columns = usage_streams.c
        statement = (
            select(columns.agreement, columns.stream, columns.reserved, columns.reserved_bytes, columns.owner)
            .where(columns.settled.is_(None), columns.owner != self._database.owner)
            .order_by(columns.stream)
        )
        with self._database.read() as connection:
            alive = self._database.others_alive(connection)
            rows = connection.execute(statement).all()
        return [
            LeftOpen(row.agreement, row.stream, row.reserved, row.reserved_bytes)
            for row in rows
            if row.owner not in alive
        ]

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

    def _row(self, agreement: str, stream: str) -> dict[str, Any]:
        return {"stream": stream, "agreement": agreement, "owner": self._database.owner}

    def _take(self, connection: Connection, agreement: str, stream: str, taken: Reservation) -> None:
        columns = usage_streams.c
        insert = self._database.insert(usage_streams)
        statement = insert.on_conflict_do_update(
            index_elements=["stream"],
            set_={
                "reserved": columns.reserved + insert.excluded.reserved,
                "reserved_bytes": columns.reserved_bytes + insert.excluded.reserved_bytes,
            },
            where=(columns.agreement == insert.excluded.agreement) & columns.settled.is_(None),
        ).returning(columns.stream)
        row = {**self._row(agreement, stream), "reserved": taken.rows, "reserved_bytes": taken.bytes}
        if connection.execute(statement, row).first() is None:
            raise StaleState(f"stream {stream} was settled, or is of another agreement; open a new one")

    def _count(self, connection: Connection, agreement: str, change: dict[str, int]) -> None:
        connection.execute(
            update(usage_totals)
            .where(usage_totals.c.agreement == agreement)
            .values({name: usage_totals.c[name] + by for name, by in change.items()})
        )

    def _reading(self, connection: Connection, agreement: str, transfer: str) -> Reading | None:
        columns = usage_readings.c
        row = connection.execute(
            select(columns.begin, columns.end, columns.again, columns.stream, columns.start).where(
                columns.agreement == agreement, columns.transfer == transfer
            )
        ).first()
        return None if row is None else Reading(*row)

    def _end_reading(
        self, connection: Connection, agreement: str, transfer: str | None, stream: str, sent: Sent
    ) -> bool:
        """Have a stream's reading end; say whether its epoch is given back, as its request is."""
        reading = self._reading(connection, agreement, transfer) if transfer is not None else None
        if transfer is None or reading is None or reading.stream != stream:
            return False
        ended = reading.settled(stream, sent.rows)
        if sent.requests == 0 and ended.is_empty:
            of_it = (usage_readings.c.agreement == agreement) & (usage_readings.c.transfer == transfer)
            connection.execute(delete(usage_readings).where(of_it))
            return True
        self._put_reading(connection, agreement, transfer, ended)
        return False

    def _put_reading(self, connection: Connection, agreement: str, transfer: str, reading: Reading) -> None:
        values = {
            "begin": reading.begin,
            "end": reading.end,
            "again": reading.again,
            "stream": reading.stream,
            "start": reading.start,
        }
        statement = self._database.insert(usage_readings).on_conflict_do_update(
            index_elements=["agreement", "transfer"], set_=values
        )
        connection.execute(statement, {"agreement": agreement, "transfer": transfer, **values})


def _size(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(log_leaves.c.place) + 1, 0))).scalar_one())
