"""The ledger of obligations, in SQL. Who writes an entry second is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from connector.adapters.sql_database import Database
from connector.adapters.sql_tables import agreements, books, obligations, to_micros
from connector.adapters.sql_usage import Salts, put_records
from connector.adapters.sql_values import Stored
from connector.obligations.entry import Entry, Stage
from schemas.base import Role
from schemas.errors import StaleState
from schemas.usage import UsageRecord


def is_overdue() -> ColumnElement[bool]:
    """Say of a row of the ledger whether it was told to be overdue: no other value in it is that word."""
    return obligations.c.value.contains(f'"{Stage.OVERDUE.value}"')


class SqlObligations:
    """A LedgerStore.

    Args:
        database: where everything is kept.
        salts: draws the salts of usage records.
    """

    def __init__(self, database: Database, salts: Salts) -> None:
        self._database, self._salts = database, salts
        self._stored = Stored(Entry)

    def put(self, entries: Sequence[Entry], records: Sequence[UsageRecord] = ()) -> None:
        """Save entries with the records of what happened to them: all or nothing."""
        with self._database.write() as connection:
            for entry in entries:
                self._put(connection, entry)
            put_records(self._database, connection, records, self._salts)
            for agreement in {entry.agreement for entry in entries if entry.stage is Stage.OVERDUE}:
                self._database.announce(connection, agreement)

    def _put(self, connection: Connection, entry: Entry) -> None:
        row = self._row(replace(entry, version=entry.version + 1))
        if entry.version == 0:
            new = self._database.insert(obligations).on_conflict_do_nothing().returning(obligations.c.id)
            if connection.execute(new, row).first() is None:
                raise StaleState(f"obligation {entry.id} was entered meanwhile; load it again")
            return
        columns = obligations.c
        statement = update(obligations).where(columns.id == entry.id, columns.version == entry.version)
        if connection.execute(statement.values(**row)).rowcount != 1:
            raise StaleState(
                f"obligation {entry.id} was read at version {entry.version}, and changed since; load it again"
            )

    def book(self, agreement: str, *, again: bool) -> None:
        """Note that an agreement was looked through."""
        statement = self._database.insert(books).on_conflict_do_nothing()
        with self._database.write() as connection:
            connection.execute(statement, {"agreement": agreement, "again": again})

    def unbooked(self, most: int) -> Sequence[str]:
        """Return final agreements that we gave, and that nobody looked through yet."""
        columns = agreements.c
        statement = (
            select(columns.id)
            .outerjoin(books, books.c.agreement == columns.id)
            .where(books.c.agreement.is_(None), columns.role == Role.PROVIDER.value, columns.final.is_(True))
            .order_by(columns.signed)
            .limit(most)
        )
        with self._database.read() as connection:
            return list(connection.execute(statement).scalars())

    def booked(self) -> Sequence[str]:
        """Return agreements that have to be looked at again and again."""
        statement = select(books.c.agreement).where(books.c.again.is_(True)).order_by(books.c.agreement)
        with self._database.read() as connection:
            return list(connection.execute(statement).scalars())

    def of(self, agreement: str) -> Sequence[Entry]:
        """Return the entries of an agreement, by place and period."""
        columns = obligations.c
        return self._all(
            select(columns.value)
            .where(columns.agreement == agreement)
            .order_by(columns.place, columns.period)
        )

    def moving(self, due: datetime, most: int) -> Sequence[Entry]:
        """Return what is due by then, and neither fulfilled nor told to be overdue; the most urgent first."""
        columns = obligations.c
        statement = select(columns.value).where(
            columns.fulfilled.is_(False), ~is_overdue(), columns.due <= to_micros(due)
        )
        return self._all(statement.order_by(columns.due, columns.id).limit(most))

    def overdue(self, after: str, most: int) -> Sequence[Entry]:
        """Return what was told to be overdue and is not fulfilled, by id, those after an id."""
        columns = obligations.c
        statement = select(columns.value).where(
            columns.fulfilled.is_(False), is_overdue(), columns.id > after
        )
        return self._all(statement.order_by(columns.id).limit(most))

    def owed(self, due: datetime | None, most: int, counterparty: str | None = None) -> Sequence[Entry]:
        """Return what is not fulfilled, the most urgent first."""
        columns = obligations.c
        statement = select(columns.value).where(columns.fulfilled.is_(False))
        if due is not None:
            statement = statement.where(columns.due <= to_micros(due))
        if counterparty is not None:
            statement = statement.where(columns.counterparty == counterparty)
        ordered = statement.order_by(columns.due.is_(None), columns.due, columns.id)
        return self._all(ordered.limit(most))

    def _all(self, statement: Any) -> Sequence[Entry]:
        with self._database.read() as connection:
            return [self._stored.read(value) for value in connection.execute(statement).scalars()]

    def _row(self, entry: Entry) -> dict[str, Any]:
        return {
            "id": entry.id,
            "agreement": entry.agreement,
            "place": entry.place,
            "period": entry.period,
            "counterparty": entry.counterparty,
            "due": None if entry.due is None else to_micros(entry.due),
            "fulfilled": entry.stage is Stage.FULFILLED,
            "version": entry.version,
            "value": self._stored.write(entry),
        }
