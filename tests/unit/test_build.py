"""What is installed is what is declared, pinned, and fetched: none of it lies in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "policies", "connector", "catalog")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
IMPORTED_AS = {"scikit-learn": "sklearn", "pyyaml": "yaml"}
AT_CHOICE = {"torch", "datasets", "polars", "pandas"}
"""What an AI developer may hand a stream to; loaded only when asked for, so no dependency."""


def names(requirements: list[str]) -> set[str]:
    found = {re.split(r"[\[<>=~! ]", requirement)[0].lower() for requirement in requirements}
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in found}


def imported(folder: Path) -> set[tuple[str, Path]]:
    found: set[tuple[str, Path]] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            else:
                continue
            found |= {(module.split(".")[0], file) for module in modules}
    known = sys.stdlib_module_names | set(PACKAGES)
    return {(name, file) for name, file in found if name not in known}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_of_a_package_is_a_declared_dependency(package: str) -> None:
    declared = names(PROJECT["dependencies"]) | AT_CHOICE
    demo = declared | names(EXTRAS["demo"])
    for name, file in imported(ROOT / package):
        allowed = demo if "demo" in file.parts else declared
        assert name in allowed, (
            f"{file.relative_to(ROOT)} imports {name!r}, which pyproject.toml does not declare"
        )


def test_every_dependency_is_pinned_and_a_pin_is_a_name_and_a_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
    pinned = names(lines)
    for requirements in (PROJECT["dependencies"], *EXTRAS.values()):
        assert names(requirements) <= pinned


def test_fetched_third_party_files_are_not_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*vendor/*"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert listed.stdout == ""
