"""What can be set, typed or met as an error is documented, and what is documented works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

import catalog.cli
import catalog.settings
import connector.cli
import connector.settings
from connector.commands.later import Later
from schemas import errors

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted(file for file in ROOT.glob("**/README.md") if ".venv" not in file.parts)


def text(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def loaded(command: Any) -> Any:
    return command.loaded() if isinstance(command, Later) else command


def verbs(app: typer.Typer, *before: str) -> Iterator[str]:
    command: Any = get_command(app)
    for name, sub in command.commands.items():
        deeper = getattr(loaded(sub), "commands", None)
        if deeper:
            yield from (" ".join((*before, name, inner)) for inner in deeper)
        else:
            yield " ".join((*before, name))


@pytest.mark.parametrize("verb", sorted(verbs(connector.cli.app)))
def test_every_verb_is_documented(verb: str) -> None:
    assert re.search(rf"`{verb.split()[-1]}`|hansa {verb}`", text("connector", "README.md")), verb


@pytest.mark.parametrize("verb", sorted(verbs(catalog.cli.app)))
def test_every_verb_of_the_catalogue_is_documented(verb: str) -> None:
    assert verb in text("catalog", "README.md")


@pytest.mark.parametrize("setting", sorted(connector.settings.Settings.model_fields))
def test_every_setting_of_a_connector_is_documented(setting: str) -> None:
    assert f"`{setting}`" in text("connector", "README.md")


@pytest.mark.parametrize("setting", sorted(catalog.settings.Settings.model_fields))
def test_every_setting_of_a_catalogue_is_documented(setting: str) -> None:
    assert f"`{setting}`" in text("catalog", "README.md")


@pytest.mark.parametrize("name", [name for name in dir(errors) if isinstance(getattr(errors, name), type)])
def test_every_error_code_is_documented_with_its_status(name: str) -> None:
    kind = getattr(errors, name)
    if kind.__module__ != errors.__name__:
        return
    assert re.search(rf"\| `{kind.code}` \| {kind.status} \|", text("schemas", "README.md")), kind.code
    assert f"{kind.status} {kind.code}" in (errors.__doc__ or ""), kind.code


def test_no_error_code_means_two_things() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.DataspaceError)
    ]
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("file", READMES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_and_path_in_a_readme_leads_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), f"{file.name}: {target}"


@pytest.mark.parametrize("room", ["schemas", "connector"])
def test_every_place_that_a_room_names_is_there(room: str) -> None:
    table = [line for line in text(room, "README.md").split("\n## ")[0].splitlines() if line.startswith("|")]
    for path in re.findall(r"`([\w/]+(?:\.py|/))`", "\n".join(table)):
        assert (ROOT / room / path).exists() or (ROOT / path).exists(), path


def test_the_python_of_the_readme_compiles_and_names_what_exists() -> None:
    blocks = re.findall(r"```python\n(.*?)```", text("README.md"), re.S)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")
    assert callable(connector.open)


def test_the_commands_of_the_readme_exist() -> None:
    known = {f"hansa {verb}" for verb in verbs(connector.cli.app)} | {"make demo", "make test", "make check"}
    for command in re.findall(r"^(?:\s*)(hansa \w+(?: \w+)?|make \w+)", text("README.md"), re.M):
        assert any(command == name or command.startswith(name + " ") for name in known) or any(
            name.startswith(command) for name in known
        ), command
