"""The table of where each type of term is kept: every type, every operand, files and tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policies.operands import OPERANDS
from policies.profile import ACTIONS
from tests.profile_terms import SAMPLES

HOME = Path(__file__).parents[2]
TICKED = re.compile(r"`([^`]+)`")


def table() -> dict[str, list[str]]:
    """The rows of the table, by the name of the type."""
    text = (HOME / "connector" / "README.md").read_text()
    part = text.split("## Where each type of term is kept", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in rows}


TABLE = table()


def test_every_type_of_the_profile_stands_in_the_table_once_and_no_other() -> None:
    assert list(TABLE) == list(SAMPLES)


def test_every_operand_and_action_is_one_of_a_type() -> None:
    named = {name for row in TABLE.values() for name in TICKED.findall(row[0])}
    known = {operand.name.partition("<")[0] for operand in OPERANDS}
    assert known <= named
    assert named - known <= {row.name for row in ACTIONS} | {"odrl:nextPolicy"}


@pytest.mark.parametrize("name", TABLE)
def test_what_keeps_a_type_is_there_and_so_is_its_test(name: str) -> None:
    _terms, where, kept_by, tested_by = TABLE[name]
    assert where
    files = TICKED.findall(kept_by)
    assert files
    for file in files:
        assert (HOME / file).is_file(), file
    test_file, test = TICKED.findall(tested_by)
    found = [path for path in (HOME / "tests").rglob(test_file) if f"def {test}(" in path.read_text()]
    assert len(found) == 1, (test_file, test)
