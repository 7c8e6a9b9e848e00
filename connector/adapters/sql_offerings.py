"""What is offered, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select

from connector.adapters.sql_database import Database
from connector.adapters.sql_outbox import put_outgoing
from connector.adapters.sql_tables import offerings as table
from connector.adapters.sql_usage import Salts, put_records
from connector.adapters.sql_values import Stored
from connector.offering.ports import Offering
from connector.offering.sought import ALL, Sought
from connector.outbox.ports import Outgoing
from schemas.base import pruned
from schemas.dcat import Dataset
from schemas.errors import NotFound
from schemas.usage import UsageRecord

_STORED = Stored(Offering)
_GET = select(table).where(table.c.id == bindparam("which"))


class SqlOfferings:
    """An OfferingStore."""

    def __init__(self, database: Database, salts: Salts) -> None:
        self._database = database
        self._salts = salts

    def put(
        self,
        offerings: Sequence[Offering],
        *,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
    ) -> None:
        """Save offerings with the mail and records they cause; a replaced one gains a version."""
        # Last one wins within a batch; in order of id, so that two writers cannot wait for each other.
        rows = {offering.dataset.id: _to_row(offering) for offering in offerings}
        insert = self._database.insert(table)
        changes = {name: insert.excluded[name] for name in ("withdrawn", "words", "value")}
        statement = insert.on_conflict_do_update(
            index_elements=["id"], set_={**changes, "version": table.c.version + 1}
        )
        with self._database.write() as connection:
            if rows:
                connection.execute(statement, [rows[key] for key in sorted(rows)])
            put_outgoing(self._database, connection, outgoing)
            put_records(self._database, connection, records, self._salts)

    def get(self, dataset_id: str) -> Offering:
        """Return an offering, withdrawn ones included."""
        with self._database.read() as connection:
            row = connection.execute(_GET, {"which": dataset_id}).first()
        if row is None:
            raise NotFound(f"no dataset has the id {dataset_id!r}")
        return _from_row(row)

    def many(self, dataset_ids: Sequence[str]) -> Mapping[str, Offering]:
        """Return those offerings that exist among some ids, withdrawn ones included."""
        with self._database.read() as connection:
            rows = connection.execute(select(table).where(table.c.id.in_(list(dataset_ids)))).all()
        return {row.id: _from_row(row) for row in rows}

    def page(self, offset: int, limit: int, sought: Sought = ALL) -> Sequence[Offering]:
        """Return offerings that are not withdrawn and are sought, ordered by dataset id."""
        statement = self._page(table, offset, limit, sought)
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return [_from_row(row) for row in rows]

    def told(self, offset: int, limit: int, sought: Sought = ALL) -> Sequence[bytes]:
        """Return the datasets of a page as JSON texts; what is only passed on is never made a value."""
        statement = self._page(table.c.value, offset, limit, sought)
        with self._database.read() as connection:
            values = connection.execute(statement).scalars().all()
        return [_told(value) for value in values]

    def count(self, sought: Sought = ALL) -> int:
        """Return how many offerings `page` would go through."""
        statement = select(func.count()).select_from(table).where(*self._fitting(sought))
        with self._database.read() as connection:
            return connection.execute(statement).scalar_one()

    def _page(self, what: Any, offset: int, limit: int, sought: Sought) -> Select[Any]:
        return select(what).where(*self._fitting(sought)).order_by(table.c.id).offset(offset).limit(limit)

    def _fitting(self, sought: Sought) -> list[ColumnElement[bool]]:
        words = _storable(sought.text or "").casefold().split()
        fitting = [
            table.c.withdrawn.is_(False),
            *(table.c.words.contains(word, autoescape=True) for word in words[:32]),
        ]
        if sought.ids is not None:
            fitting.append(table.c.id.in_([_storable(one) for one in sought.ids]))
        if sought.like is not None:
            fitting.append(self._fits(_storable(sought.like)))
        return fitting

    def _fits(self, pattern: str) -> ColumnElement[bool]:
        """Compare ids with a pattern; SQLite's LIKE passes over case, so its GLOB is asked."""
        if not self._database.is_sqlite:
            return table.c.id.like(pattern.replace("\\", "\\\\"), escape="\\")
        glob = "".join(_GLOB.get(mark, mark) for mark in pattern)
        return table.c.id.op("GLOB", is_comparison=True)(glob)


_GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


def _words(dataset: Dataset) -> str:
    texts = (*dataset.title, *dataset.description, *dataset.keyword)
    return _storable("\n".join([dataset.id, *(text.value for text in texts)]).casefold())


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\x00", " ")


def _to_row(offering: Offering) -> dict[str, Any]:
    return {
        "id": offering.dataset.id,
        "withdrawn": offering.withdrawn is not None,
        "words": _words(offering.dataset),
        "version": 1,
        "value": _STORED.write(offering),
    }


def _from_row(row: Row[Any]) -> Offering:
    return _STORED.read(row.value).at_version(row.version)


def _told(value: str) -> bytes:
    return _remembered(value) if len(value) <= _MOST_REMEMBERED else _translated(value)


def _translated(value: str) -> bytes:
    # A stored dataset is its wire form before pruning: both are the model's own JSON by alias.
    return to_json(pruned(from_json(value)["dataset"]))


_MOST_REMEMBERED = 16 << 10
"""Characters of a stored offering that is kept translated; with as many of them, 32 MB at the very most."""
# Everybody asks for the first pages. What is remembered goes by the stored text itself, so it is never stale.
_remembered = lru_cache(maxsize=1024)(_translated)
