"""Origins and used tokens in SQL."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from importlib import import_module
from typing import Any

from sqlalchemy import Row, case, delete, func, insert, select, update

from catalog.adapters.tables import Database, from_micros, origins, replays, to_micros
from catalog.ports import OriginState

_TIMES = ("started", "finished", "succeeded", "next_try")


def _state(row: Row[Any]) -> OriginState:
    held = {key: value for key, value in row._mapping.items() if key != "claimed_until"}
    return OriginState(**{**held, **{name: from_micros(held[name]) for name in _TIMES}})


class SqlOrigins:
    """Keeps origins; a claim is a time until which nobody else takes the origin."""

    def __init__(self, database: Database) -> None:
        """Make the store over a database."""
        self._database = database

    def add(self, origin_id: str, url: str, at: datetime) -> OriginState:
        """Add an origin, due at once; a known one with another URL moves there."""
        micros = to_micros(at)
        with self._database.write() as connection:
            known = connection.execute(select(origins).where(origins.c.id == origin_id)).first()
            if known is None:
                connection.execute(insert(origins).values(id=origin_id, url=url, next_try=micros))
            elif known.url != url:
                connection.execute(
                    update(origins)
                    .where(origins.c.id == origin_id)
                    .values(url=url, next_try=micros, next_page=None, failures=0)
                )
            return _state(connection.execute(select(origins).where(origins.c.id == origin_id)).one())

    def remove(self, origin_id: str) -> bool:
        """Forget an origin; false if it is unknown."""
        with self._database.write() as connection:
            return connection.execute(delete(origins).where(origins.c.id == origin_id)).rowcount > 0

    def all(self) -> tuple[OriginState, ...]:
        """Return every origin, by id."""
        with self._database.read() as connection:
            return tuple(_state(row) for row in connection.execute(select(origins).order_by(origins.c.id)))

    def hasten(self, origin_id: str, at: datetime) -> bool:
        """Make an origin due now; false if it is unknown."""
        with self._database.write() as connection:
            due = update(origins).where(origins.c.id == origin_id).values(next_try=to_micros(at))
            return connection.execute(due).rowcount > 0

    def claim(self, at: datetime, until: datetime) -> OriginState | None:
        """Take the origin that has been due longest, for nobody else until `until`; None if none is due."""
        micros = to_micros(at)
        due = (
            select(origins.c.id)
            .where(origins.c.next_try <= micros, origins.c.claimed_until <= micros)
            .order_by(origins.c.next_try)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._database.write() as connection:
            found = connection.execute(due).scalar()
            if found is None:
                return None
            connection.execute(
                update(origins).where(origins.c.id == found).values(claimed_until=to_micros(until))
            )
            return _state(connection.execute(select(origins).where(origins.c.id == found)).one())

    def save(self, state: OriginState, until: datetime | None) -> bool:
        """Keep how a crawl stands; `until` holds the claim, None gives it up; false if it was removed."""
        values = asdict(state)
        for name in _TIMES:
            values[name] = None if values[name] is None else to_micros(values[name])
        # The URL is the operator's, and may have moved while the crawl ran.
        where = values.pop("id"), values.pop("url")
        claimed = 0 if until is None else to_micros(until)
        kept = update(origins).where(origins.c.id == where[0], origins.c.url == where[1])
        with self._database.write() as connection:
            if connection.execute(kept.values(**values, claimed_until=claimed)).rowcount:
                return True
            connection.execute(update(origins).where(origins.c.id == where[0]).values(claimed_until=0))
            return False

    def next_due(self) -> datetime | None:
        """Return when the next origin falls due, claims considered; None if there is none."""
        later = case(
            (origins.c.claimed_until > origins.c.next_try, origins.c.claimed_until), else_=origins.c.next_try
        )
        with self._database.read() as connection:
            return from_micros(connection.execute(select(func.min(later))).scalar())


class SqlReplays:
    """Remembers used tokens until they expire."""

    def __init__(self, database: Database) -> None:
        """Make the store over a database."""
        self._database = database
        # Only the dialect that is spoken is loaded.
        self._insert = import_module(f"sqlalchemy.dialects.{database.engine.dialect.name}").insert

    def first_use(self, issuer: str, jti: str, expires: datetime, at: datetime) -> bool:
        """Remember a token until it expires; false if it was used before."""
        with self._database.write() as connection:
            connection.execute(delete(replays).where(replays.c.expires < to_micros(at)))
            remembered = (
                self._insert(replays)
                .values(issuer=issuer, jti=jti, expires=to_micros(expires))
                .on_conflict_do_nothing()
                .returning(replays.c.jti)
            )
            return connection.execute(remembered).first() is not None
