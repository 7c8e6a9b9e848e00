"""Fixtures for all tests: databases to keep things in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import Databases, running_postgres


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[Databases]:
    """The session's own PostgreSQL server; if none can be started, the tests that need it fail."""
    with running_postgres() as url:
        yield Databases(url)


@pytest.fixture
def postgres_url(postgres_databases: Databases) -> Iterator[Callable[[], str]]:
    """Makes fresh PostgreSQL databases, and takes them back when the test ends."""
    with ExitStack() as made:
        yield lambda: made.enter_context(postgres_databases.fresh())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def stores_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a fresh, empty database: every test that asks for it runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/stores.db"
    make: Callable[[], str] = request.getfixturevalue("postgres_url")
    return make()
