"""A world for each test: it is made of a clock, a wire, and files in the test's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.world import Party, World


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """The event loop in which the applications of every world run."""
    with start_blocking_portal() as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, portal: BlockingPortal) -> Iterator[World]:
    """A data space without participants."""
    made = World(tmp_path, portal)
    yield made
    made.close()


@pytest.fixture
def provider(world: World) -> Party:
    """A participant that offers data."""
    return world.join("provider")


@pytest.fixture
def consumer(world: World) -> Party:
    """A participant that wants data."""
    return world.join("consumer")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory, portal: BlockingPortal) -> Iterator[tuple[Party, Party]]:
    """A provider and a consumer for tests after which everything is as before."""
    made = World(tmp_path_factory.mktemp("quiet"), portal)
    yield made.join("provider"), made.join("consumer")
    made.close()
