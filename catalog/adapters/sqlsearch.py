"""Finding records in SQL: full text and facets in one statement each, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    distinct,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)

from catalog.adapters.sql import record_of
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
            if query.narrowed:
                hits = self._hits(query)
            else:
                hits = (
                    select(records.c.key, literal(0).label("rank"), literal(0.0).label("score"))
                    .where(LIVE)
                    .cte()
                )
            ordered = (
                select(hits.c.key, func.count().over().label("total"))
                .join(records, records.c.key == hits.c.key)
                .order_by(*_order(hits))
                .limit(query.size)
                .offset((query.page - 1) * query.size)
            )
            page = connection.execute(ordered).all()
            keys = [row.key for row in page]
            rows = {
                row._mapping["key"]: record_of(row)
                for row in connection.execute(select(records).where(records.c.key.in_(keys)))
            }
            total = (
                page[0].total
                if page
                else connection.execute(select(func.count()).select_from(hits)).scalar_one()
            )
            counted = connection.execute(
                select(facets.c.kind, facets.c.value, func.count().label("count"))
                .join(hits, hits.c.key == facets.c.record)
                .group_by(facets.c.kind, facets.c.value)
            ).all()
            found = tuple(rows[key] for key in keys)
            return Found(found, total, _facets(counted), self._ambiguous(connection, found))

    def _hits(self, query: Query) -> CTE:
        conditions: list[ColumnElement[bool]] = [LIVE]
        for kind, value in (("theme", query.theme), ("publisher", query.publisher), ("access", query.access)):
            if value is not None:
                having = select(facets.c.record).where(facets.c.kind == kind, facets.c.value == value)
                conditions.append(records.c.key.in_(having))
        if not query.folded:
            return (
                select(records.c.key, literal(0).label("rank"), literal(0.0).label("score"))
                .where(*conditions)
                .cte("hits")
            )
        matches = self._matches(query)
        joined = select(records.c.key, _rank(query.folded).label("rank"), matches.c.score.label("score"))
        return joined.join(matches, matches.c.key == records.c.key).where(*conditions).cte("hits")

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
        wanted = select(records).where(LIVE)
        if query.narrowed:
            wanted = wanted.where(records.c.key.in_(select(self._hits(query).c.key)))
        if after is not None:
            wanted = wanted.where(
                tuple_(records.c.participant, records.c.dataset) > tuple_(*map(literal, after))
            )
        wanted = wanted.order_by(records.c.participant, records.c.dataset).limit(limit).offset(offset)
        with self._database.read() as connection:
            return tuple(record_of(row) for row in connection.execute(wanted))


def _rank(folded: str) -> ColumnElement[int]:
    """Rank exact matches before the rest: the whole id or title, its last name, its end, the title's start."""
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


def _order(hits: CTE) -> tuple[ColumnElement[Any], ...]:
    return (hits.c.rank, hits.c.score, records.c.folded_title, hits.c.key)


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
