"""The tables of the catalogue, the same on SQLite and PostgreSQL, and the engine over them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from schemas.errors import Misconfigured, StorageUnavailable

SCHEMA_VERSION = 1
_BUSY_SECONDS = 15

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"},
)
_KEY = BigInteger().with_variant(Integer(), "sqlite")

about = Table("about", metadata, Column("schema_version", Integer, nullable=False))

records = Table(
    "records",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=True),
    Column("participant", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("language", Text),
    Column("description", Text, nullable=False),
    Column("publisher", Text, nullable=False),
    Column("identifier", Text),
    Column("endpoint", Text),
    Column("rows", BigInteger),
    Column("byte_size", BigInteger),
    Column("access", Text, nullable=False),
    Column("themes", Text, nullable=False),
    Column("keywords", Text, nullable=False),
    Column("offers", Text, nullable=False),
    Column("folded_id", Text, nullable=False),
    Column("folded_title", Text, nullable=False),
    Column("tail", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("run", BigInteger),
    Column("withdrawn", BigInteger),
    Column("reason", Text),
    Index(None, "participant", "dataset", unique=True),
    Index(None, "dataset"),
)

# Apart from the records, so that a search reads short rows only.
documents = Table(
    "documents",
    metadata,
    Column("record", _KEY, ForeignKey("records.key"), primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)

LIVE = records.c.withdrawn.is_(None)
"""A tombstone is kept, but found by nobody."""

facets = Table(
    "facets",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("record", _KEY, ForeignKey("records.key"), primary_key=True),
    Index(None, "record"),
    sqlite_with_rowid=False,
)

changes = Table(
    "changes",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=True),
    Column("participant", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("members", Text, nullable=False),
    Index(None, "participant", "dataset"),
)

origins = Table(
    "origins",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("run", BigInteger, nullable=False, default=0),
    Column("next_page", Text),
    Column("started", BigInteger),
    Column("finished", BigInteger),
    Column("succeeded", BigInteger),
    Column("result", Text),
    Column("next_try", BigInteger),
    Column("failures", Integer, nullable=False, default=0),
    Column("pages", Integer, nullable=False, default=0),
    Column("datasets", Integer, nullable=False, default=0),
    Column("refused", Integer, nullable=False, default=0),
    Column("withdrawn", Integer, nullable=False, default=0),
    Column("claimed_until", BigInteger, nullable=False, default=0),
)

replays = Table(
    "replays",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("jti", Text, primary_key=True),
    Column("expires", BigInteger, nullable=False),
    Index(None, "expires"),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(at: datetime) -> int:
    """Return a time as microseconds since 1970-01-01 UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """Return a time from microseconds since 1970-01-01 UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def from_micros(micros: int | None) -> datetime | None:
    """Return a time that may be absent."""
    return None if micros is None else moment(micros)


class Database:
    """An engine whose failures are StorageUnavailable, and whose transactions are all or nothing."""

    def __init__(self, url: str) -> None:
        """Connect, and make the tables if the database is new.

        Raises:
            Misconfigured: if the URL is not one that we speak, or the database is of another version.
            StorageUnavailable: if it cannot be reached or written.
        """
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        with self.write() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(4846361)"))
            metadata.create_all(connection)
            for statement in _TEXT_INDEX["sqlite" if self.is_sqlite else "postgresql"]:
                connection.execute(text(statement))
            found = connection.execute(select(about.c.schema_version)).scalar()
            if found is None:
                connection.execute(insert(about).values(schema_version=SCHEMA_VERSION))
            elif found != SCHEMA_VERSION:
                raise Misconfigured(
                    f"the database holds a catalogue of version {found}, this program writes {SCHEMA_VERSION}"
                )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with _as_ours(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that writes: committed when the block ends, undone when it fails."""
        with (
            _as_ours(),
            self.engine.execution_options(hansa_write=True).connect() as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StorageUnavailable(
            f"the database did not answer: {str(error.orig)[:200]}; nothing was changed"
        ) from error
    except SQLAlchemyError as error:
        raise StorageUnavailable(
            f"the database did not answer: {type(error).__name__}; nothing was changed"
        ) from error


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The URL may hold a password, so it is not repeated.
        raise Misconfigured("database_url is not a URL; expected postgresql://user@host/name") from None
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_size=8, max_overflow=8, pool_pre_ping=True
        )
    if parsed.get_backend_name() != "sqlite":
        raise Misconfigured(
            f"database_url is for {parsed.get_backend_name()!r}; expected sqlite or postgresql"
        )
    engine = create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's own transaction handling would begin too late; see `_begin_sqlite`.
    connection.isolation_level = None
    # How long to wait for a lock it knows already: by `timeout`, with which it was connected.
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "PRAGMA foreign_keys=ON",
        "PRAGMA cache_size=-4000",
    ):
        connection.execute(statement)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once, so that it waits its turn instead of failing in the middle.
    writes = connection.get_execution_options().get("hansa_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


_TEXT_INDEX = {
    "sqlite": (
        "CREATE VIRTUAL TABLE IF NOT EXISTS record_words USING fts5("
        "id, texts, publisher, details, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3')",
    ),
    "postgresql": (
        "ALTER TABLE records ADD COLUMN IF NOT EXISTS words tsvector",
        "CREATE INDEX IF NOT EXISTS ix_records_words ON records USING gin (words)",
    ),
}
