"""The official conformance kit of the Dataspace Protocol, run whole against a connector on each database."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.interop.tck import suite
from tests.interop.tck.fixture import OFF, known_ids
from tests.postgres import Databases

pytestmark = [pytest.mark.interop, pytest.mark.e2e]

Run = Callable[[str], dict[str, suite.Outcome]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Run:
    """Runs the kit once on each kind of database, when the first test asks for it."""

    @cache
    def once(kind: str) -> dict[str, suite.Outcome]:
        home: Path = tmp_path_factory.mktemp(f"tck-{kind}")
        if kind == "sqlite":
            return {one.id: one for one in suite.run(home)}
        databases: Databases = request.getfixturevalue("postgres_databases")
        with databases.fresh() as url:
            return {one.id: one for one in suite.run(home, url)}

    return once


KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("test", known_ids())
def test_the_kit_is_content(run: Run, kind: str, test: str) -> None:
    outcome = run(kind).get(test)
    assert outcome is not None, f"the kit did not run {test}"
    assert outcome.passed, f"{test} {outcome.outcome}: {outcome.why}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_kit_runs_exactly_the_tests_that_we_know(run: Run, kind: str) -> None:
    outcomes = run(kind)
    assert sorted(one.id for one in outcomes.values() if one.outcome != "skipped") == sorted(known_ids())
    assert sorted(one.id for one in outcomes.values() if one.outcome == "skipped") == sorted(OFF)
    assert len(known_ids()) == 65
