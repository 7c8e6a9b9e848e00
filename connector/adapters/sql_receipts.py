"""Receipts of ours, in SQL: saved with their mail, and later with the record that they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select, update

from connector.adapters.sql_database import Database
from connector.adapters.sql_outbox import put_outgoing
from connector.adapters.sql_tables import receipts, to_micros
from connector.adapters.sql_usage import Salts, put_records
from connector.adapters.sql_values import Stored
from connector.obligations.sent import SentReceipt
from connector.outbox.ports import Outgoing
from schemas.errors import AlreadyExists, NotFound, StaleState
from schemas.usage import UsageRecord


class SqlReceipts:
    """A ReceiptStore.

    Args:
        database: where everything is kept.
        salts: draws the salts of usage records.
    """

    def __init__(self, database: Database, salts: Salts) -> None:
        self._database, self._salts = database, salts
        self._stored = Stored(SentReceipt)

    def add(self, receipt: SentReceipt, outgoing: Outgoing) -> None:
        """Save a new receipt with the message that hands it over: both or neither."""
        row = self._row(replace(receipt, version=1))
        new = self._database.insert(receipts).on_conflict_do_nothing().returning(receipts.c.id)
        with self._database.write() as connection:
            if connection.execute(new, row).first() is None:
                raise AlreadyExists(f"receipt {receipt.id} was saved before")
            put_outgoing(self._database, connection, [outgoing])

    def get(self, receipt_id: str) -> SentReceipt:
        """Return a receipt by its id."""
        statement = select(receipts.c.value).where(receipts.c.id == receipt_id)
        with self._database.read() as connection:
            found = connection.execute(statement).scalar()
        if found is None:
            raise NotFound(f"no receipt {receipt_id[:120]!r} of ours")
        return self._stored.read(found)

    def save(self, receipt: SentReceipt, records: Sequence[UsageRecord] = ()) -> None:
        """Replace a receipt that was read at its version, with the records of what became of it."""
        columns = receipts.c
        statement = update(receipts).where(columns.id == receipt.id, columns.version == receipt.version)
        with self._database.write() as connection:
            changed = connection.execute(
                statement.values(**self._row(replace(receipt, version=receipt.version + 1)))
            )
            if changed.rowcount != 1:
                raise StaleState(
                    f"receipt {receipt.id} was read at version {receipt.version}, and changed since; "
                    "load it again"
                )
            put_records(self._database, connection, records, self._salts)

    def of(self, agreement: str) -> Sequence[SentReceipt]:
        """Return the receipts under an agreement, oldest first."""
        columns = receipts.c
        statement = select(columns.value).where(columns.agreement == agreement)
        with self._database.read() as connection:
            found = connection.execute(statement.order_by(columns.signed, columns.id)).scalars()
            return [self._stored.read(value) for value in found]

    def recent(self, most: int) -> Sequence[SentReceipt]:
        """Return the latest receipts, newest first."""
        columns = receipts.c
        statement = select(columns.value).order_by(columns.signed.desc(), columns.id.desc()).limit(most)
        with self._database.read() as connection:
            return [self._stored.read(value) for value in connection.execute(statement).scalars()]

    def _row(self, receipt: SentReceipt) -> dict[str, Any]:
        return {
            "id": receipt.id,
            "agreement": receipt.agreement,
            "signed": to_micros(receipt.signed),
            "version": receipt.version,
            "value": self._stored.write(receipt),
        }
