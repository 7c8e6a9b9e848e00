"""What `hansa data open` asks for, by how it is typed."""

from __future__ import annotations

from typing import Any

import pytest

from connector.commands.developer import _names, _question


@pytest.mark.parametrize(
    ("group", "measures", "asked"),
    [
        (None, None, None),
        ("sex", None, {"group": ["sex"], "measures": [{"function": "count"}]}),
        ("a, b", ["mean:c"], {"group": ["a", "b"], "measures": [{"function": "mean", "column": "c"}]}),
        (None, ["max:a:b"], {"group": [], "measures": [{"function": "max", "column": "a:b"}]}),
    ],
)  # fmt: skip
def test_groups_and_measures_become_one_question(
    group: str | None, measures: list[str] | None, asked: dict[str, Any] | None
) -> None:
    assert _question(group, measures) == asked


def test_names_are_parted_by_commas() -> None:
    assert _names("id, age,") == ["id", "age"]
