"""How a process hears that another one changed what its streams stand on.

PostgreSQL: `LISTEN` on a connection of its own; who revokes, suspends or ends something says `NOTIFY` in the
same transaction. SQLite: `PRAGMA data_version`, which costs microseconds and no lock. Whoever waits looks for
itself once in a while, too: a notice that was lost with its connection costs no more than that.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

import structlog
from sqlalchemy import Connection, Text, cast, func, select, union_all
from sqlalchemy.exc import DatabaseError, InterfaceError

from connector.adapters.sql_database import Database
from connector.adapters.sql_obligations import is_overdue
from connector.adapters.sql_tables import agreements, flows, obligations, transfers
from schemas.errors import StorageUnavailable

STEP_SECONDS = 0.05
"""How often an SQLite file is asked whether somebody wrote to it."""
RETRY_SECONDS = 0.25
"""How long a listener waits before it tries again to reach a database that is away."""

_log = structlog.get_logger("connector.changes")


class SqlChanges:
    """A Changes over the database of one connector."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._version: int | None = None

    def wait(self, seconds: float) -> bool:
        """Wait until something may have changed."""
        try:
            if self._connection is None:
                self._connection = self._database.listen()
                self._version = None
                return True  # whatever changed while nobody listened
            if self._database.is_sqlite:
                return self._look(self._connection, time.monotonic() + seconds)
            return self._hear(self._connection, seconds)
        except (DatabaseError, InterfaceError, StorageUnavailable) as error:
            _log.warning("no news of changes", problem=str(error).strip().split("\n", 1)[0])
        self.close()
        time.sleep(min(RETRY_SECONDS, seconds))
        return True

    def marks(self, names: Collection[str]) -> Mapping[str, str]:
        """Return a mark for each agreement, transfer and flow of these ids."""
        wanted = list(names)
        found: dict[str, str] = {}
        # One question: each way to the database and back counts while a stream should have ended.
        parts = [select(agreements.c.id, agreements.c.value).where(agreements.c.id.in_(wanted))]
        for table in (transfers, flows):
            parts.append(select(table.c.pid, cast(table.c.version, Text)).where(table.c.pid.in_(wanted)))
        parts.append(
            select(obligations.c.agreement, cast(func.count(), Text))
            .where(obligations.c.agreement.in_(wanted), obligations.c.fulfilled.is_(False))
            .where(is_overdue())
            .group_by(obligations.c.agreement)
        )
        with self._database.read() as connection:
            for name, mark in sorted(map(tuple, connection.execute(union_all(*parts)))):
                found[name] = f"{found[name]} {mark}" if name in found else mark
        return found

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _look(self, connection: Connection, deadline: float) -> bool:
        while True:
            # No transaction: one would go on seeing the file as it was.
            version: int = _raw(connection).execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._version = version
                return True
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            time.sleep(min(STEP_SECONDS, rest))

    def _hear(self, connection: Connection, seconds: float) -> bool:
        """Wait for a notice, and take all that came with it."""
        import psycopg  # only who uses PostgreSQL loads its driver

        try:
            return len(list(_raw(connection).notifies(timeout=seconds, stop_after=1))) > 0
        except psycopg.Error as error:
            raise StorageUnavailable(f"the listening connection broke: {error}") from None


def _raw(connection: Connection) -> Any:
    return connection.connection.dbapi_connection
