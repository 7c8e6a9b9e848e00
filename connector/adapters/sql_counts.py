"""An agreement's row of counts in SQL: locked, read, and how much of what is wanted it leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, update

from connector.adapters.sql_database import Database
from connector.adapters.sql_tables import from_micros, to_micros, usage_totals
from connector.usage.ports import Reservation
from policies.counting import Amount, Bound, Rate
from policies.use import UseTotals


@dataclass(frozen=True, slots=True)
class Account:
    """An agreement's row, as its lock found it. Units: rows, bytes; `full` in microseconds."""

    used: int = 0
    reserved: int = 0
    used_bytes: int = 0
    reserved_bytes: int = 0
    requests: int = 0
    epochs: int = 0
    full: int = 0
    first_delivery: int | None = None
    last_delivery: int | None = None
    released: str | None = None

    @property
    def rows(self) -> int:
        """Rows that count: sent, or reserved."""
        return self.used + self.reserved

    @property
    def bytes(self) -> int:
        """Bytes that count: sent, or reserved."""
        return self.used_bytes + self.reserved_bytes

    def delivering(self, taken: Reservation, rate: Rate | None, at: int) -> dict[str, int]:
        """Return what the row says once a reservation is taken, at so many microseconds since 1970."""
        return {
            "reserved": self.reserved + taken.rows,
            "reserved_bytes": self.reserved_bytes + taken.bytes,
            "full": self.full if rate is None else rate.taken(self.full, taken.rows, at),
            "first_delivery": at if self.first_delivery is None else self.first_delivery,
            "last_delivery": max(at, self.last_delivery or at),
        }

    def totals(self, begun: bool = False) -> UseTotals:
        """Return the totals; an epoch that was `begun` and goes on is counted out."""
        first, last = self.first_delivery, self.last_delivery
        return UseTotals(
            rows=self.rows,
            bytes=self.bytes,
            requests=self.requests,
            epochs=self.epochs - begun,
            first_delivery=None if first is None else from_micros(first),
            last_delivery=None if last is None else from_micros(last),
            released=frozenset(json.loads(self.released or "[]")),
        )


COLUMNS = tuple(usage_totals.c[name] for name in Account.__dataclass_fields__)


def lock_totals(database: Database, connection: Connection, agreement: str) -> Account:
    """Hold an agreement's row until the transaction ends, and return it."""
    # Writing the row as it is takes its lock, whether or not it was there.
    statement = (
        database.insert(usage_totals)
        .on_conflict_do_update(index_elements=["agreement"], set_={"used": usage_totals.c.used})
        .returning(*COLUMNS)
    )
    return Account(*connection.execute(statement, {"agreement": agreement}).one())


def delivered_by(connection: Connection, agreement: str, account: Account, last: datetime) -> None:
    """Note when rows left last, in a row whose lock is held: long after they were reserved, maybe."""
    at = max(account.last_delivery or 0, to_micros(last))
    connection.execute(
        update(usage_totals).where(usage_totals.c.agreement == agreement).values(last_delivery=at)
    )


def let_go(connection: Connection, agreement: str, columns: frozenset[str]) -> None:
    """Note in a row whose lock is held which columns were let go of sets that must stay apart."""
    held = json.dumps(sorted(columns))
    connection.execute(
        update(usage_totals).where(usage_totals.c.agreement == agreement).values(released=held)
    )


def granted_of(account: Account, wanted: Amount, most: Bound, at: int) -> Reservation:
    """Return how much of what is wanted may be taken now: all or some of both, or nothing."""
    rows = _within(wanted.rows, account.rows, most.rows)
    size = _within(wanted.bytes, account.bytes, most.bytes)
    nothing = Reservation(0, account.rows, 0, account.bytes)
    if (wanted.rows and not rows) or (wanted.bytes and not size):
        return nothing
    if most.rate is not None and rows:
        rows, wait = most.rate.grant(account.full, rows, at)
        if not rows:
            return replace(nothing, wait=wait)
    return Reservation(rows, account.rows, size, account.bytes)


def _within(wanted: int, total: int, most: int | None) -> int:
    return wanted if most is None else max(0, min(wanted, most - total))
