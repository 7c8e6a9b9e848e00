"""The stores of a connector over each kind of database, and ways in which a database fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from connector.adapters.sql import SqlStores

Open = Callable[[], SqlStores]
Fail = Callable[[SqlStores], Any]


@pytest.fixture
def open_stores(stores_url: str) -> Iterator[Open]:
    """Opens the same database again, as a restarted or a second process would."""
    with ExitStack() as opened:

        def open_again() -> SqlStores:
            stores = SqlStores(stores_url)
            opened.callback(stores.close)
            return stores

        yield open_again


@pytest.fixture
def stores(open_stores: Open) -> SqlStores:
    """The stores under test, empty."""
    return open_stores()


@contextmanager
def _not_stored(stores: SqlStores) -> Iterator[None]:
    """Make COMMIT fail before anything is stored, as a full disk does."""
    dialect = stores.database.engine.dialect
    real = dialect.do_commit

    def fail(dbapi_connection: Any) -> None:
        dialect.do_rollback(dbapi_connection)
        raise OperationalError("COMMIT", {}, Exception("database or disk is full"))

    dialect.do_commit = fail  # type: ignore[method-assign]
    try:
        yield
    finally:
        dialect.do_commit = real  # type: ignore[method-assign]


@contextmanager
def _stored_but_reported_as_failed(stores: SqlStores) -> Iterator[None]:
    """Make COMMIT succeed, and the news of it get lost, as a broken connection does."""
    dialect = stores.database.engine.dialect
    real = dialect.do_commit

    def fail(dbapi_connection: Any) -> None:
        real(dbapi_connection)
        raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    dialect.do_commit = fail  # type: ignore[method-assign]
    try:
        yield
    finally:
        dialect.do_commit = real  # type: ignore[method-assign]


@pytest.fixture
def not_stored() -> Fail:
    """Writes fail, and nothing is stored."""
    return _not_stored


@pytest.fixture
def stored_but_reported_as_failed() -> Fail:
    """Writes fail, although everything was stored."""
    return _stored_but_reported_as_failed


@pytest.fixture(
    params=[_not_stored, _stored_but_reported_as_failed], ids=["not stored", "stored all the same"]
)
def failing_write(request: pytest.FixtureRequest) -> Fail:
    """Either way in which a write fails."""
    found: Fail = request.param
    return found
