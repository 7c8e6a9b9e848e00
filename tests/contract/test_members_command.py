"""`hansa catalog members add` states what the authority knows of a participant."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalog.app import open_members
from catalog.cli import app
from catalog.settings import load_settings

DID = "did:web:lab.example"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "catalog"), "--authority"])
    assert done.exit_code == 0, done.output
    return tmp_path / "catalog" / "catalog.toml"


def add(config: Path, *options: str) -> tuple[int, str]:
    base = ["members", "add", DID, "--role", "consumer", "--thumbprint", "t", "--config", str(config)]
    done = CliRunner().invoke(app, [*base, *options])
    return done.exit_code, done.output


def test_the_list_states_what_was_said_of_a_member(config: Path) -> None:
    claims = ("--group", "labs", "--group", "sme", "--credential", "iso=27001", "--credential", "iso=9001")
    code, said = add(config, *claims, "--region", "DE", "--environment", "federated-only")
    assert code == 0, said
    (member,) = open_members(load_settings(config)).listed().members
    assert (member.groups, member.region, member.environment) == (("labs", "sme"), "DE", "federated-only")
    assert member.credentials == {"iso": ("27001", "9001")}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--credential", "iso"), "is not CLAIM=VALUE; write one like sme=true"),
        (("--region", "Atlantis"), "'Atlantis' is no region that we know"),
        (("--environment", "basement"), "is unknown; known: secure-processing-environment"),
    ],
)
def test_what_cannot_be_stated_is_refused_and_nothing_is_listed(
    config: Path, options: tuple[str, ...], words: str
) -> None:
    code, said = add(config, *options)
    assert code != 0
    assert words in " ".join(said.split())
    assert open_members(load_settings(config)).plain().members == ()
