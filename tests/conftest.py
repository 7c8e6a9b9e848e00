"""Fixtures for all tests: databases to keep things in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import fresh_database, running_postgres

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of the session's own PostgreSQL server; if none can be started, the tests that need it fail."""
    with running_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Makes fresh PostgreSQL databases, and drops them when the test ends."""
    with ExitStack() as made:
        yield lambda: made.enter_context(fresh_database(postgres_server, f"hansa_{next(_NUMBERS)}"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def stores_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a fresh, empty database: every test that asks for it runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/stores.db"
    make: Callable[[], str] = request.getfixturevalue("postgres_url")
    return make()
