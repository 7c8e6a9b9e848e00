"""Finding records in SQL: full text and facets in one statement each, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    cast,
    distinct,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)

from catalog.adapters.rows import WHOLE, record_of
from catalog.adapters.tables import LIVE, Database, facets, records
from catalog.adapters.words import Words, words_for
from catalog.records import CatalogRecord
from catalog.search import FacetCount, Facets, Found, Query, facet_label

_MOST_VALUES = 12
"""Values shown of a facet."""
_LEAST_PART = 3
"""Characters from which on a text is also looked for inside ids and titles."""


class SqlFinder:
    """Searches what `SqlRecords` keeps."""

    def __init__(self, database: Database) -> None:
        """Make the finder over a database."""
        self._database = database
        self._words: Words = words_for(database)

    def search(self, query: Query) -> Found:
        """Return a page of live records with the counts over all hits."""
        with self._database.read() as connection:
            hits, order = self._hits(query)
            # The keys of all hits are read once, and counted over: matching twice would cost more.
            keys = connection.execute(hits.order_by(*order)).scalars().all()
            start = (query.page - 1) * query.size
            page = keys[start : start + query.size]
            rows = {
                row._mapping["key"]: record_of(row)
                for row in connection.execute(WHOLE.where(records.c.key.in_(page)))
            }
            found = tuple(rows[key] for key in page)
            return Found(found, len(keys), self._count(connection, keys), self._ambiguous(connection, found))

    def _hits(self, query: Query) -> tuple[Select[int], tuple[ColumnElement[Any], ...]]:
        """Select the keys of all hits, and say how they are ordered."""
        wanted = select(records.c.key).where(LIVE)
        for kind, value in (("theme", query.theme), ("publisher", query.publisher), ("access", query.access)):
            if value is not None:
                having = select(facets.c.record).where(facets.c.kind == kind, facets.c.value == value)
                wanted = wanted.where(records.c.key.in_(having))
        by_title = (records.c.folded_title, records.c.key)
        if not query.folded:
            return wanted, by_title
        matches = self._matches(query)
        return (
            wanted.join(matches, matches.c.key == records.c.key),
            (_rank(query.folded), matches.c.score, *by_title),
        )

    def _count(self, connection: Connection, keys: Sequence[int]) -> Facets:
        if self._database.is_sqlite:
            given = func.json_each(json.dumps(keys)).table_valued("value")
            wanted = select(given.c.value)
        else:
            wanted = select(func.unnest(cast(list(keys), ARRAY(BigInteger))))
        counted = connection.execute(
            select(facets.c.kind, facets.c.value, func.count().label("count"))
            .where(facets.c.record.in_(wanted))
            .group_by(facets.c.kind, facets.c.value)
        ).all()
        return _facets(counted)

    def _matches(self, query: Query) -> CTE:
        ways: list[Select[Any]] = []
        if query.words:
            by_words = self._words.matching(query.words).subquery()
            key, score = by_words.c
            ways.append(select(key.label("key"), score.label("score")))
        if len(query.folded) >= _LEAST_PART or not ways:
            part = or_(
                records.c.folded_id.contains(query.folded, autoescape=True),
                records.c.folded_title.contains(query.folded, autoescape=True),
            )
            ways.append(select(records.c.key.label("key"), literal(0.0).label("score")).where(LIVE, part))
        either = union_all(*ways).subquery()
        return (
            select(either.c.key, func.min(either.c.score).label("score"))
            .group_by(either.c.key)
            .cte("matches")
        )

    @staticmethod
    def _ambiguous(connection: Connection, found: Sequence[CatalogRecord]) -> frozenset[str]:
        shared = (
            select(records.c.dataset)
            .where(records.c.dataset.in_([record.entry.dataset for record in found]), LIVE)
            .group_by(records.c.dataset)
            .having(func.count(distinct(records.c.participant)) > 1)
        )
        return frozenset(connection.execute(shared).scalars())

    def page(
        self, query: Query, *, after: tuple[str, str] | None = None, offset: int = 0, limit: int
    ) -> tuple[CatalogRecord, ...]:
        """Return live records that fit a query, ordered by participant and id, after a given one."""
        wanted = WHOLE.where(LIVE)
        if query.narrowed:
            wanted = wanted.where(records.c.key.in_(self._hits(query)[0]))
        if after is not None:
            wanted = wanted.where(
                tuple_(records.c.participant, records.c.dataset) > tuple_(*map(literal, after))
            )
        wanted = wanted.order_by(records.c.participant, records.c.dataset).limit(limit).offset(offset)
        with self._database.read() as connection:
            return tuple(record_of(row) for row in connection.execute(wanted))


def _rank(folded: str) -> ColumnElement[int]:
    """Rank exact matches first: the whole id or title, the id's last name, its end, the title's start."""
    return case(
        (
            or_(
                records.c.folded_id == folded,
                records.c.folded_title == folded,
                and_(records.c.identifier.is_not(None), func.lower(records.c.identifier) == folded),
            ),
            0,
        ),
        (records.c.tail == folded, 1),
        (records.c.folded_id.endswith(folded, autoescape=True), 2),
        (records.c.folded_title.startswith(folded, autoescape=True), 3),
        else_=4,
    )


def _facets(counted: Iterable[Row[Any]]) -> Facets:
    by_kind: dict[str, list[FacetCount]] = defaultdict(list)
    for row in counted:
        by_kind[row.kind].append(
            FacetCount(row.value, facet_label(row.kind, row.value), row._mapping["count"])
        )
    shown = {
        kind: tuple(sorted(values, key=lambda item: (-item.count, item.label))[:_MOST_VALUES])
        for kind, values in by_kind.items()
    }
    return Facets(**shown)
