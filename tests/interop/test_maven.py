"""Fetching jars: what is missing is said by name, and nothing half-made is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.maven import JarsMissing, jars

pytestmark = pytest.mark.interop

PARSSON = "org.eclipse.parsson:parsson:1.1.7"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_jars_come_with_what_they_need_and_a_second_call_asks_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = jars("parsson", [PARSSON])
    assert {file.name for file in folder.iterdir()} == {"parsson-1.1.7.jar", "jakarta.json-api-2.1.3.jar"}
    monkeypatch.setenv("PATH", "")
    assert jars("parsson", [PARSSON]) == folder


def test_a_jar_can_be_had_alone() -> None:
    folder = jars("parsson", [f"{PARSSON}@jar"])
    assert [file.name for file in folder.iterdir()] == ["parsson-1.1.7.jar"]


def test_an_artefact_that_is_not_served_is_named_and_nothing_is_kept(own_cache: Path) -> None:
    with pytest.raises(JarsMissing, match=r"does not serve org\.eclipse\.parsson:parsson:jar:0\.0\.0;"):
        jars("parsson", ["org.eclipse.parsson:parsson:0.0.0"])
    assert list((own_cache / "hansa" / "jars").iterdir()) == []


def test_without_maven_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(JarsMissing, match="'mvn' was not found; the Debian package maven brings it"):
        jars("parsson", [PARSSON])
