"""Outgoing mail and replayed tokens, in SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, delete, func, or_, select, update

from connector.adapters.sql_database import Database, insert_new
from connector.adapters.sql_tables import from_micros, outgoing, replay, to_micros
from connector.outbox.ports import Outgoing

# Written once: to put a statement together costs several times as much as to run it.
_CLAIMABLE = (
    outgoing.c.due <= bindparam("now"),
    or_(outgoing.c.leased.is_(None), outgoing.c.leased <= bindparam("now")),
)
# A question (GET) comes after everything that has to be said, however long it has waited for its answer.
_LATER = 1 << 52
_FIRST = func.min(outgoing.c.seq + case((outgoing.c.method == "GET", _LATER), else_=0)) % _LATER
_OLDEST = select(_FIRST).where(outgoing.c.process == bindparam("of")).scalar_subquery()
# One statement: on PostgreSQL a second claimant waits for the row, sees the lease, and gets nothing.
# SKIP LOCKED would be wrong here: it would hand out the second message while the first is on its way.
_CLAIM = (
    update(outgoing)
    .where(outgoing.c.seq == _OLDEST, *_CLAIMABLE)
    .values(leased=bindparam("until"), holder=bindparam("holder"))
    .returning(outgoing)
)
_SENT = delete(outgoing).where(outgoing.c.id == bindparam("which"))
# Whose lease ran out may come back late: by then the message may be in other hands.
_OURS = (
    outgoing.c.id == bindparam("which"),
    or_(outgoing.c.holder.is_(None), outgoing.c.holder == bindparam("by")),
)
_RELEASE = update(outgoing).where(*_OURS).values(leased=None)
_POSTPONE = update(outgoing).where(*_OURS).values(attempts=outgoing.c.attempts + 1, leased=None)


def put_outgoing(database: Database, connection: Connection, messages: Sequence[Outgoing]) -> None:
    """Save messages in a transaction that is under way; one that waits already is left as it is."""
    insert_new(database, connection, outgoing, [_to_row(message) for message in messages])


class SqlReplay:
    """A ReplayStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remember = database.insert(replay).on_conflict_do_nothing().returning(replay.c.jti)

    def remember(self, issuer: str, jti: str, until: datetime) -> bool:
        """Record a token id; true exactly once for each (issuer, jti)."""
        row = {"issuer": issuer, "jti": jti, "until": to_micros(until)}
        with self._database.write() as connection:
            return connection.execute(self._remember, row).first() is not None

    def forget_expired(self, at: datetime) -> None:
        """Drop ids that expired before `at`."""
        with self._database.write() as connection:
            connection.execute(delete(replay).where(replay.c.until < to_micros(at)))


class SqlOutbox:
    """An OutboxStore.

    Args:
        database: Where the messages wait.
        holder: The name under which this process shows that it lives; None if it does not.
    """

    def __init__(self, database: Database, holder: str | None = None) -> None:
        self._database, self._holder = database, holder

    def claim(self, process: str, at: datetime, until: datetime) -> Outgoing | None:
        """Lease the oldest message of a process, if it is due and not leased."""
        given = {"of": process, "now": to_micros(at), "until": to_micros(until), "holder": self._holder}
        with self._database.write() as connection:
            row = connection.execute(_CLAIM, given).first()
        return None if row is None else _from_row(row)

    def due(self, at: datetime, most: int = 100) -> Sequence[str]:
        """Return processes whose oldest message is due and not leased, longest waiting first."""
        statement = (
            select(outgoing.c.process)
            .where(outgoing.c.seq.in_(select(_FIRST).group_by(outgoing.c.process)))
            .where(*_CLAIMABLE)
            .order_by(outgoing.c.due, outgoing.c.seq)
            .limit(most)
        )
        with self._database.read() as connection:
            return connection.execute(statement, {"now": to_micros(at)}).scalars().all()

    def sent(self, outgoing_id: str) -> None:
        """Remove a message that was delivered, or given up."""
        with self._database.write() as connection:
            connection.execute(_SENT, {"which": outgoing_id})

    def postpone(self, outgoing_id: str, due: datetime, problem: str) -> None:
        """Count a failed attempt, end the lease, and set the next try."""
        changed = _POSTPONE.values(due=to_micros(due), problem=_storable(problem))
        with self._database.write() as connection:
            connection.execute(changed, {"which": outgoing_id, "by": self._holder})

    def hasten(self, outgoing_id: str, due: datetime) -> None:
        """Bring the next try of a message forward to `due`; nothing if it is leased, gone, or due before."""
        which = (outgoing.c.id == outgoing_id, outgoing.c.due > to_micros(due), outgoing.c.leased.is_(None))
        with self._database.write() as connection:
            connection.execute(update(outgoing).where(*which).values(due=to_micros(due)))

    def release(self, outgoing_id: str) -> None:
        """End a lease without counting an attempt."""
        with self._database.write() as connection:
            connection.execute(_RELEASE, {"which": outgoing_id, "by": self._holder})

    def take_back(self, dead: Collection[str]) -> None:
        """End every lease of holders that have surely died."""
        statement = update(outgoing).where(outgoing.c.holder.in_(dead)).values(leased=None, holder=None)
        with self._database.write() as connection:
            connection.execute(statement)

    def pending(self, process: str | None = None) -> Sequence[Outgoing]:
        """Return what waits, oldest first."""
        statement = select(outgoing).order_by(outgoing.c.seq)
        if process is not None:
            statement = statement.where(outgoing.c.process == process)
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(statement)]

    def add(self, message: Outgoing) -> None:
        """Save a message that no change of state causes; nothing if its id waits already."""
        with self._database.write() as connection:
            put_outgoing(self._database, connection, [message])


def _storable(text: str) -> str:
    """A problem may quote a peer's answer; PostgreSQL takes no NUL in it."""
    return text.encode(errors="replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _to_row(message: Outgoing) -> dict[str, Any]:
    return {
        "id": message.id,
        "kind": message.kind,
        "process": message.process,
        "recipient": message.recipient,
        "method": message.method,
        "url": message.url,
        "document": json.dumps(message.document),
        "created": to_micros(message.created),
        "deadline": to_micros(message.deadline),
        "due": to_micros(message.due),
        "attempts": message.attempts,
        "problem": None if message.problem is None else _storable(message.problem),
    }


def _from_row(row: Row[Any]) -> Outgoing:
    return Outgoing(
        id=row.id,
        kind=row.kind,
        process=row.process,
        recipient=row.recipient,
        method=row.method,
        url=row.url,
        document=json.loads(row.document),
        created=from_micros(row.created),
        deadline=from_micros(row.deadline),
        due=from_micros(row.due),
        attempts=row.attempts,
        problem=row.problem,
    )
