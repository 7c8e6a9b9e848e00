"""Every process reads its settings alike: the environment wins over the file, and nothing is passed over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.settings import load_settings
from connector.settings import load
from schemas.errors import Misconfigured

READS: dict[str, Callable[[Path], Any]] = {"connector": load, "catalog": load_settings}
pytestmark = pytest.mark.parametrize("kind", READS)


def written(folder: Path, text: str) -> Path:
    path = folder / "hansa.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_environment_wins_over_the_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSA_PORT", "4711")
    monkeypatch.setenv("HANSA_EGRESS__ALLOW", '["10.0.0.0/8"]')
    read = READS[kind](written(tmp_path, 'port = 1234\nhost = "127.0.0.9"'))
    assert (read.port, read.host, tuple(read.egress.allow)) == (4711, "127.0.0.9", ("10.0.0.0/8",))


def test_a_misspelt_variable_is_named_with_what_is_known(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSA_PROT", "1")
    with pytest.raises(Misconfigured, match=r"HANSA_PROT names no setting; known: .*HANSA_PORT"):
        READS[kind](written(tmp_path, ""))


def test_what_the_client_reads_is_no_misspelt_setting(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSA_API_KEY", "secret")
    monkeypatch.setenv("HANSA_CONNECTOR", "http://localhost:1")
    assert READS[kind](written(tmp_path, "port = 1234")).port == 1234


def test_a_file_that_is_not_there_is_named_with_the_command_that_makes_one(kind: str, tmp_path: Path) -> None:
    fix = f"name yours with --config, or make some with: hansa {kind} init"
    with pytest.raises(Misconfigured, match=rf"none\.toml; {fix}"):
        READS[kind](tmp_path / "none.toml")


def test_a_file_that_is_no_toml_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"hansa\.toml cannot be read"):
        READS[kind](written(tmp_path, "port = "))
