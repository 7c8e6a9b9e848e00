"""Full text in the two dialects, FTS5 and tsvector; the words looked for are always bound values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnClause, Connection, Select, bindparam, column, func, literal_column, select, text

from catalog.adapters.tables import Database, records
from catalog.records import Entry

Row = tuple[int, Entry]

_FTS_MATCH = text(
    "SELECT rowid AS key, bm25(record_words, 6.0, 10.0, 3.0, 1.0) AS score"
    " FROM record_words WHERE record_words MATCH :match"
).columns(column("key"), column("score"))


class Words(Protocol):
    """The full-text side of the records table."""

    def put(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Index entries under the keys of their records, replacing what was there."""
        ...

    def drop(self, connection: Connection, keys: Sequence[int]) -> None:
        """Forget the words of records."""
        ...

    def matching(self, words: Sequence[str]) -> Select[tuple[int, float]]:
        """Select key and score (less is better) of the records in which every word begins some word."""
        ...


class FtsWords:
    """FTS5: a virtual table beside the records, with the same keys."""

    def put(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Index entries under the keys of their records, replacing what was there."""
        self.drop(connection, [key for key, _ in rows])
        connection.execute(
            text(
                "INSERT INTO record_words(rowid, id, texts, publisher, details) VALUES (:k, :i, :t, :p, :d)"
            ),
            [
                {
                    "k": key,
                    "i": f"{entry.dataset} {entry.identifier or ''}",
                    "t": f"{entry.title} {entry.texts}",
                    "p": entry.publisher,
                    "d": entry.details,
                }
                for key, entry in rows
            ],
        )

    def drop(self, connection: Connection, keys: Sequence[int]) -> None:
        """Forget the words of records."""
        if keys:
            connection.execute(
                text("DELETE FROM record_words WHERE rowid = :k"), [{"k": key} for key in keys]
            )

    def matching(self, words: Sequence[str]) -> Select[tuple[int, float]]:
        """Select key and score (less is better) of the records in which every word begins some word."""
        quoted = " AND ".join(f'"{word}"*' for word in words)
        # bm25 works only in a query of its own, which the planner must not fold into another.
        found = _FTS_MATCH.bindparams(match=quoted).cte("found").prefix_with("MATERIALIZED")
        return select(found.c.key, found.c.score)


class TsvectorWords:
    """PostgreSQL: a tsvector column of the records, under a GIN index."""

    _VECTOR = (
        "setweight(to_tsvector('simple', :t), 'A') || setweight(to_tsvector('simple', :i), 'B')"
        " || setweight(to_tsvector('simple', :p), 'C') || setweight(to_tsvector('simple', :d), 'D')"
    )

    def put(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Index entries under the keys of their records, replacing what was there."""
        connection.execute(
            text(f"UPDATE records SET words = {self._VECTOR} WHERE key = :k"),  # noqa: S608 (a constant)
            [
                {
                    "k": key,
                    "i": _spread(f"{entry.dataset} {entry.identifier or ''}"),
                    "t": _spread(f"{entry.title} {entry.texts}"),
                    "p": _spread(entry.publisher),
                    "d": _spread(entry.details),
                }
                for key, entry in rows
            ],
        )

    def drop(self, connection: Connection, keys: Sequence[int]) -> None:
        """Forget the words of records."""
        if keys:
            connection.execute(
                text("UPDATE records SET words = NULL WHERE key = :k"), [{"k": key} for key in keys]
            )

    def matching(self, words: Sequence[str]) -> Select[tuple[int, float]]:
        """Select key and score (less is better) of the records in which every word begins some word."""
        asked = func.to_tsquery("simple", bindparam(None, " & ".join(f"{word}:*" for word in words)))
        vector: ColumnClause[Any] = literal_column("records.words")
        return select(records.c.key, -func.ts_rank(vector, asked)).where(vector.op("@@")(asked))


def words_for(database: Database) -> Words:
    """Return the dialect of a database."""
    return FtsWords() if database.is_sqlite else TsvectorWords()


def _spread(text: str) -> str:
    """Part a text at every sign, as FTS5 does: PostgreSQL would keep `a/b` and `x.y` as one word."""
    return "".join(letter if letter.isalnum() else " " for letter in text)
