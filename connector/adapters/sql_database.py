"""One database, SQLite or PostgreSQL, as the stores use it: transactions take all or nothing.

SQLite: WAL, `synchronous=FULL`; writers queue inside this process (a lock, so that none starves) and between
processes (`BEGIN IMMEDIATE`, at most 15 s). PostgreSQL: psycopg 3, READ COMMITTED with row locks.

A crash inside a transaction leaves nothing behind. A connection that breaks *during* COMMIT may have
committed all the same: the caller is told StorageUnavailable, and its next try meets what was stored.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.selectable import TypedReturnsRows

from connector.adapters.sql_tables import SCHEMA_OWNER, SCHEMA_VERSION, metadata, schema_version
from schemas.errors import DataspaceError, Malformed, Misconfigured, StorageUnavailable

WAIT_SECONDS = 15
"""How long a writer waits for its turn before it is told to try again later."""

CHANNEL = "hansa_changes"
"""Where PostgreSQL tells what streams have to look at again."""

_SCHEMA_LOCK = 0x48414E53  # "HANS": one process at a time makes the tables of a PostgreSQL database
_PRESENCE = 0x48415052  # "HAPR": the lock that a process holds while it lives
_PRAGMAS = (
    f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)

_NOTIFY = text("SELECT pg_notify(:channel, :name)")

Insert = sqlite.Insert | postgresql.Insert


class Database:
    """Gives transactions: `read()` sees one moment, `write()` saves all or nothing.

    Args:
        url: `sqlite:////absolute/file.db`, or `postgresql://user:password@host/name`.

    Raises:
        Misconfigured: if the URL is of another kind, or the database was made by another version.
        StorageUnavailable: if it cannot be reached or written.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse_url(url)
        self.shown = parsed.render_as_string(hide_password=True)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._turn = threading.Lock()
        self.engine = _sqlite_engine(parsed) if self.is_sqlite else _postgres_engine(parsed)
        try:
            with self.write() as connection:
                self._prepare(connection)
            self.owner = secrets.randbits(31)
            self._presence = None if self.is_sqlite else self._announce()
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads.

        Raises:
            StorageUnavailable: if the database cannot be read.
        """
        with self._explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that is committed at the end of the block, or rolled back if it raises.

        Raises:
            StorageUnavailable: if it could not be committed.
        """
        with (
            self._explained(),
            self._queue(),
            self.engine.connect() as connection,
            connection.execution_options(hansa_write=True).begin(),
        ):
            yield connection

    def insert(self, table: Table) -> Insert:
        """Return an INSERT that knows ON CONFLICT, in the dialect of this database."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def announce(self, connection: Connection, name: str) -> None:
        """Have every process look again at what stands on an agreement or process, once this is committed."""
        if not self.is_sqlite:
            connection.execute(_NOTIFY, {"channel": CHANNEL, "name": name})

    def listen(self) -> Connection:
        """Return a connection of its own that hears what is announced, outside of the pool.

        Raises:
            StorageUnavailable: if the database cannot be reached.
        """
        with self._explained():
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if not self.is_sqlite:
                connection.execute(text(f"LISTEN {CHANNEL}"))
            connection.detach()
            return connection

    def others_alive(self, connection: Connection) -> set[int]:
        """Return the `owner` of every other process that works on this database now.

        An SQLite file has one serving process; a second one is not a way of using it.
        """
        if self.is_sqlite:
            return set()
        statement = text(
            "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = :kind AND objsubid = 2"
            " AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return set(connection.execute(statement, {"kind": _PRESENCE}).scalars()) - {self.owner}

    def close(self) -> None:
        """Close every connection."""
        if self._presence is not None:
            self._presence.close()
        self.engine.dispose()

    def stay(self) -> None:
        """Announce this process again, if the connection that does so broke; called once a second.

        Raises:
            StorageUnavailable: if the database cannot be reached.
        """
        if self.is_sqlite:
            return
        presence, self._presence = self._presence, None
        if presence is not None:
            try:
                presence.execute(text("SELECT 1"))
            except DatabaseError:
                presence.close()
            else:
                self._presence = presence
                return
        self._presence = self._announce()

    def _announce(self) -> Connection:
        """Hold a lock for as long as this process lives; the server frees it when the process dies.

        If this one connection breaks, a process that starts before `stay` was called may settle our open
        streams: they end early, with every reserved row counted as used.
        """
        with self._explained():
            presence = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            held = text("SELECT pg_advisory_lock(:kind, :owner)")
            presence.execute(held, {"kind": _PRESENCE, "owner": self.owner})
            presence.detach()
            return presence

    @contextmanager
    def _queue(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        if not self._turn.acquire(timeout=WAIT_SECONDS):
            raise StorageUnavailable(
                f"{self.shown}: no turn to write within {WAIT_SECONDS} s; try again later"
            )
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout:
            raise StorageUnavailable(f"{self.shown}: all connections are in use; try again later") from None
        except StatementError as error:
            raise self._explain(error) from error
        except UnicodeEncodeError:
            raise Malformed("text with half a surrogate pair cannot be stored") from None

    def _explain(self, error: StatementError) -> Exception:
        if isinstance(error.orig, DataspaceError):
            return error.orig  # a value refused by its column type
        said = str(error.orig).strip().split("\n", 1)[0]
        if isinstance(error, DataError):
            return Malformed(f"a value does not fit the database: {said}")
        if isinstance(error, IntegrityError):
            return error
        if isinstance(error, DatabaseError | InterfaceError):
            return StorageUnavailable(f"{self.shown}: {said}; nothing was changed, try again later")
        return error

    def _prepare(self, connection: Connection) -> None:
        """Make the tables of an empty database; refuse one of another version."""
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
        if inspect(connection).has_table(schema_version.name):
            found: dict[str, int] = {
                row.owner: row.version for row in connection.execute(select(schema_version))
            }
            if found != {SCHEMA_OWNER: SCHEMA_VERSION}:
                held = ", ".join(f"{owner} {version}" for owner, version in found.items()) or "nothing"
                raise Misconfigured(
                    f"database {self.shown} holds the tables of {held}; this Hansa needs {SCHEMA_OWNER} "
                    f"{SCHEMA_VERSION}: use the Hansa that made it, or point 'database' to an empty one"
                )
            return
        metadata.create_all(connection)
        connection.execute(schema_version.insert(), {"owner": SCHEMA_OWNER, "version": SCHEMA_VERSION})


def insert_new(
    database: Database, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> set[str]:
    """Insert rows, leaving out those whose `id` stands there already; return the ids that were new."""
    if not rows:
        return set()
    return set(connection.execute(_insert_new(database.is_sqlite, table), list(rows)).scalars())


@cache
def _insert_new(is_sqlite: bool, table: Table) -> TypedReturnsRows[Any]:
    """Write the statement once: to put it together costs several times as much as to run it."""
    insert = sqlite.insert(table) if is_sqlite else postgresql.insert(table)
    return insert.on_conflict_do_nothing(index_elements=["id"]).returning(table.c.id)


def _parse_url(url: str) -> URL:
    known = "say sqlite:////absolute/file.db or postgresql://user:password@host/name"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Misconfigured(f"the database setting is not a URL; {known}") from None
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise Misconfigured(f"database {shown} is not a file, so nothing would survive; {known}")
        return parsed
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise Misconfigured(f"database {shown} is of a kind that we do not speak; {known}")


def _sqlite_engine(url: URL) -> Engine:
    file = Path(str(url.database))
    try:
        # Tickets and salts are inside: nobody else may read it. SQLite gives -wal and -shm the same mode.
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StorageUnavailable(f"cannot open database file {file}: {error.strerror}") from None
    engine = create_engine(url, pool_size=16, max_overflow=16, pool_timeout=WAIT_SECONDS)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer that began by reading could find its moment gone; so it takes the write lock first.
        writes = connection.get_execution_options().get("hansa_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    return create_engine(
        url,
        pool_size=16,
        max_overflow=16,
        pool_timeout=WAIT_SECONDS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "options": f"-c lock_timeout={WAIT_SECONDS}s"},
    )
