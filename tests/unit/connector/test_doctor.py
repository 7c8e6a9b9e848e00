"""The doctor says what is not well, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.commands.checks import Check, examine


def settings(folder: Path, text: str) -> Path:
    file = folder / "hansa.toml"
    file.write_text(text, encoding="utf-8")
    return file


def looked(file: Path | None) -> dict[str, Check]:
    return {check.name: check for check in examine(file)}


def test_without_settings_only_the_installation_is_looked_at() -> None:
    assert set(looked(None)) == {"Python", "SQLite", "pyarrow"}


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    found = looked(settings(tmp_path, "prot = 1\n"))["settings"]
    assert not found.well
    assert "prot" in found.found


@pytest.mark.parametrize(("stream", "well"), [("", False), ('public_url = "https://stream.example"\n', True)])
def test_a_provider_that_would_send_consumers_to_its_own_loopback_is_told(
    tmp_path: Path, stream: str, well: bool
) -> None:
    text = f'public_url = "https://data.example"\n[data]\nroots = ["{tmp_path}"]\n[stream]\n{stream}'
    found = looked(settings(tmp_path, text))["stream address"]
    assert found.well is well
    assert "public_url" in found.fix


def test_a_participant_that_is_on_no_member_list_is_told(tmp_path: Path) -> None:
    found = looked(settings(tmp_path, 'public_url = "http://localhost:1"\n'))
    assert not found["identity"].well
    assert not found["DID document"].well
    assert found["disk"].found.endswith(str(tmp_path))
