"""`hansa` loads what a verb needs when the verb is called, and says the same of it before."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from connector.cli import app
from connector.commands.later import Later

ROOT: Any = get_command(app)
HEAVY = (
    "anyio", "catalog.settings", "connector.settings", "cryptography", "duckdb", "fastapi", "httpx2",
    "joserfc", "pyarrow", "pydantic", "sqlalchemy", "uvicorn",
)  # fmt: skip
HELPED = """
import json, sys
sys.argv = ["hansa", "--help"]
from connector.cli import main
try:
    main()
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]))
"""


def test_help_lists_every_verb_and_loads_none_of_what_they_need() -> None:
    ran = subprocess.run([sys.executable, "-c", HELPED], capture_output=True, text=True, check=True)
    text, said = ran.stdout.rstrip().rsplit("\n", 1)
    code, loaded = json.loads(said)
    assert code == 0
    assert all(verb in text for verb in (*ROOT.commands, "catalog"))
    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize("name", ROOT.commands)
def test_what_is_said_of_a_verb_before_it_is_loaded_is_what_it_says_itself(name: str) -> None:
    later = ROOT.commands[name]
    assert isinstance(later, Later)
    assert later.loaded().help.split("\n\n")[0].strip() == later.help


@pytest.mark.parametrize("name", ROOT.commands)
def test_every_verb_helps_under_its_own_name(name: str) -> None:
    for _ in range(2):  # what a group gathers, it gathers once
        told = CliRunner().invoke(app, [name, "--help"], prog_name="hansa")
        assert told.exit_code == 0, told.output
        assert f"hansa {name} [" in told.output


def test_a_verb_that_is_not_there_is_told_with_one_that_is() -> None:
    told = CliRunner().invoke(app, ["conector"])
    assert told.exit_code == 2
    assert "connector" in told.output
