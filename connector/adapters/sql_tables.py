"""The tables of a connector: one database, so that state, mail and usage records share a transaction.

```
replay                       token ids until they expire
outgoing                     messages on their way, in the order in which they were saved
offerings                    datasets as published here
negotiations  transfers      processes; what is looked up stands in columns, the rest in `value`
flows  left_planes           data flows of foreign control planes; which of those took their leave
agreements                   what both sides hold
obligations                  what is owed under agreements that we gave, by when, and whether it was done
obligation_books             agreements that were looked through for what is owed
usage_totals  usage_streams  what was used and reserved: by agreement, by stream
usage_readings               how far each transfer has read, so that a resumed one is no new epoch
usage_records                what happened, with its salt; `place` is its leaf, once it has one
log_leaves  log_heads        the tree: entry and leaf hash by place; one root a size, signed later
```

Units: times are integers, microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from schemas.errors import Malformed

SCHEMA_OWNER = "connector"
SCHEMA_VERSION = 6
"""Raised with every change of a table; a database of another version is refused, never altered in passing."""

MOST_NAME = 2048
"""UTF-8 bytes of a text that is looked up; PostgreSQL's indexes end a little later."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Write a time as the tables hold it."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Read a time as the tables hold it."""
    return _EPOCH + micros * _MICROSECOND


class Name(TypeDecorator[str]):
    """A text that is looked up. It may come from a peer, so what a database could not index is refused."""

    # Byte order, so that both databases sort alike.
    impl = Text().with_variant(Text(collation="C"), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Check a text on its way into a statement.

        Raises:
            Malformed: if it holds a NUL or half a surrogate pair, or is too long.
        """
        if value is None:
            return None
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise Malformed(f"{value[:80]!r} is not valid Unicode text") from None
        if "\x00" in value:
            raise Malformed(f"{value[:80]!r} holds a NUL; names are plain text")
        if size > MOST_NAME:
            raise Malformed(f"{value[:80]!r}… is a name of {size} bytes; at most {MOST_NAME}")
        return value


_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself

metadata = MetaData()

schema_version = Table(
    "hansa_schema",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("version", Integer, nullable=False),
)

replay = Table(
    "replay",
    metadata,
    Column("issuer", Name, primary_key=True),
    Column("jti", Name, primary_key=True),
    Column("until", BigInteger, nullable=False, index=True),
)

outgoing = Table(
    "outgoing",
    metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("id", Name, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("process", Name, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("problem", Text),
    Column("leased", BigInteger),
    Column("holder", Text),
    Index("outgoing_by_process", "process", "seq"),
    sqlite_autoincrement=True,  # a number is never given twice, so order survives deletion
)

offerings = Table(
    "offerings",
    metadata,
    Column("id", Name, primary_key=True),
    Column("withdrawn", Boolean, nullable=False),
    Column("words", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("value", Text, nullable=False),
)


def _processes(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("pid", Name, primary_key=True),
        Column("counterparty", Name, nullable=False),
        Column("counter_pid", Name),
        Column("finished", Boolean, nullable=False, index=True),
        Column("created", BigInteger, nullable=False),
        Column("updated", BigInteger, nullable=False, index=True),
        Column("version", Integer, nullable=False),
        Column("value", Text, nullable=False),
        UniqueConstraint("counterparty", "counter_pid", name=f"{name}_of_counterparty"),
    )


negotiations = _processes("negotiations")
transfers = _processes("transfers")
flows = _processes("flows")

left_planes = Table("left_planes", metadata, Column("id", Name, primary_key=True))

agreements = Table(
    "agreements",
    metadata,
    Column("id", Name, primary_key=True),
    Column("dataset", Name, nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("signed", BigInteger, nullable=False, index=True),
    Column("revoked", Boolean, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("ends", BigInteger),
    Column("value", Text, nullable=False),
)
Index(
    "agreements_ending",
    agreements.c.ends,
    sqlite_where=agreements.c.ends.is_not(None),
    postgresql_where=agreements.c.ends.is_not(None),
)

obligations = Table(
    "obligations",
    metadata,
    Column("id", Name, primary_key=True),
    Column("agreement", Name, nullable=False, index=True),
    Column("place", Text, nullable=False),
    Column("period", Integer, nullable=False),
    Column("counterparty", Name, nullable=False),
    Column("due", BigInteger),
    Column("fulfilled", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("value", Text, nullable=False),
)
Index(
    "obligations_owed",
    obligations.c.due,
    sqlite_where=obligations.c.fulfilled.is_(False),
    postgresql_where=obligations.c.fulfilled.is_(False),
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", Name, primary_key=True),
    Column("agreement", Name, nullable=False, index=True),
    Column("signed", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("value", Text, nullable=False),
)

books = Table(
    "obligation_books",
    metadata,
    Column("agreement", Name, primary_key=True),
    Column("again", Boolean, nullable=False),
)

usage_totals = Table(
    "usage_totals",
    metadata,
    Column("agreement", Name, primary_key=True),
    Column("used", BigInteger, nullable=False, default=0),
    Column("reserved", BigInteger, nullable=False, default=0),
    Column("used_bytes", BigInteger, nullable=False, default=0),
    Column("reserved_bytes", BigInteger, nullable=False, default=0),
    Column("requests", BigInteger, nullable=False, default=0),
    Column("epochs", BigInteger, nullable=False, default=0),
    Column("full", BigInteger, nullable=False, default=0),  # when the bucket of a rate will be full again
    Column("first_delivery", BigInteger),
    Column("last_delivery", BigInteger),
    Column("released", Text),  # columns let go of sets that must stay apart: a JSON array
)

usage_streams = Table(
    "usage_streams",
    metadata,
    Column("stream", Name, primary_key=True),
    Column("agreement", Name, nullable=False),
    Column("owner", Integer, nullable=False),
    Column("transfer", Name),
    Column("requests", Integer, nullable=False, default=0),
    Column("reserved", BigInteger, nullable=False, default=0),
    Column("reserved_bytes", BigInteger, nullable=False, default=0),
    Column("settled", BigInteger),
)
Index(
    "usage_streams_open",
    usage_streams.c.stream,
    sqlite_where=usage_streams.c.settled.is_(None),
    postgresql_where=usage_streams.c.settled.is_(None),
)

usage_readings = Table(
    "usage_readings",
    metadata,
    Column("agreement", Name, primary_key=True),
    Column("transfer", Name, primary_key=True),
    Column("begin", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("again", BigInteger, nullable=False),
    Column("stream", Name),
    Column("start", BigInteger, nullable=False),
)

usage_records = Table(
    "usage_records",
    metadata,
    Column("seq", _Serial, primary_key=True, autoincrement=True),
    Column("id", Name, nullable=False, unique=True),
    Column("place", BigInteger, unique=True),
    Column("salt", LargeBinary, nullable=False),
    Column("record", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
Index(
    "usage_records_waiting",
    usage_records.c.seq,
    sqlite_where=usage_records.c.place.is_(None),
    postgresql_where=usage_records.c.place.is_(None),
)

log_leaves = Table(
    "log_leaves",
    metadata,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
)

log_heads = Table(
    "log_heads",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text),
)
