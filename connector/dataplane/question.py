"""A question to data of which no row may leave: group columns, and measures over each group; nothing else.

There are no filters in a question, so that two questions differ in what they group by only. A group is told
of if it is large enough, and if nothing smaller could be had by taking what is told from what any coarser
question tells: of the groups that are held back, so many are held back together.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any

from schemas.errors import Malformed

MOST_GROUPING = 4
"""Columns that a question may group by."""
MOST_MEASURES = 16
"""Measures of one question."""
MOST_QUESTION = 8_192
"""Characters of a question as it travels."""


class Function(StrEnum):
    """What is measured of a group."""

    COUNT = "count"
    SUBJECTS = "subjects"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure; `count` and `subjects` are of rows where no column is named, the others of its numbers."""

    function: Function
    column: str | None = None

    @property
    def name(self) -> str:
        """The name of its column in the answer, such as `mean(age)`."""
        return self.function.value if self.column is None else f"{self.function.value}({self.column})"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: columns to group by (none: one group of all rows), and at least one measure."""

    group: tuple[str, ...]
    measures: tuple[Measure, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is asked about, each once."""
        measured = (measure.column for measure in self.measures if measure.column is not None)
        return tuple(dict.fromkeys((*self.group, *measured)))

    @property
    def measured(self) -> tuple[str, ...]:
        """The columns that are measured, each once."""
        found = (measure.column for measure in self.measures if measure.column is not None)
        return tuple(dict.fromkeys(found))

    @classmethod
    def read(cls, text: str) -> Question:
        """Read a question as it travels: `{"group": ["sex"], "measures": [{"function": "count"}]}`.

        Raises:
            Malformed: naming the member that does not fit, and what would.
        """
        if len(text) > MOST_QUESTION:
            raise Malformed(f"aggregate has {len(text)} characters; at most {MOST_QUESTION}")
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            raise Malformed("aggregate is not JSON; write an object with 'group' and 'measures'") from None
        if not isinstance(said, dict) or set(said) - {"group", "measures"}:
            raise Malformed("aggregate is not an object with 'group' and 'measures' only")
        group, measures = said.get("group", []), said.get("measures")
        if not isinstance(group, list) or not all(isinstance(name, str) and name for name in group):
            raise Malformed("aggregate.group is not a list of column names")
        if len(group) > MOST_GROUPING or len(set(group)) < len(group):
            raise Malformed(f"aggregate.group has {len(group)} columns; at most {MOST_GROUPING}, each once")
        if not isinstance(measures, list) or not 1 <= len(measures) <= MOST_MEASURES:
            raise Malformed(f"aggregate.measures is not a list of 1 to {MOST_MEASURES} measures")
        asked = cls(tuple(group), tuple(_measure(one, index) for index, one in enumerate(measures)))
        names = [*asked.group, *(measure.name for measure in asked.measures)]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise Malformed(f"the answer would have two columns {twice[:80]!r}; ask for one of them only")
        return asked

    def as_json(self) -> dict[str, Any]:
        """Return the question as it travels."""
        measures = [
            {"function": measure.function.value, **({"column": measure.column} if measure.column else {})}
            for measure in self.measures
        ]
        return {"group": list(self.group), "measures": measures}


def _measure(said: Any, index: int) -> Measure:
    place = f"aggregate.measures[{index}]"
    if not isinstance(said, Mapping) or set(said) - {"function", "column"}:
        raise Malformed(f"{place} is not an object with 'function' and 'column' only")
    function, column = said.get("function"), said.get("column")
    if not isinstance(function, str) or function not in Function._value2member_map_:
        raise Malformed(f"{place}.function is unknown; known: {', '.join(Function)}")
    found = Function(function)
    if column is not None and not (isinstance(column, str) and column):
        raise Malformed(f"{place}.column is not the name of a column")
    if found is Function.SUBJECTS and column is not None:
        raise Malformed(f"{place}: 'subjects' takes no column; the agreement names the column of subjects")
    if column is None and found not in (Function.COUNT, Function.SUBJECTS):
        raise Malformed(f"{place}: {found.value!r} needs a column of numbers")
    return Measure(found, column)


def groups_to_tell(
    sizes: Mapping[tuple[Any, ...], int], least: int, *, are_subjects: bool
) -> frozenset[tuple[Any, ...]]:
    """Choose the groups that may be told of.

    Args:
        sizes: of each group, by its key: rows, or different subjects.
        least: the size from which a group may be told of.
        are_subjects: whether sizes count subjects, of which one may be in several groups: then sizes do not
            add up, and what is held back has to contain one group that is large enough alone.

    Every coarser question (each set of fewer columns, down to none) has groups of which ours are parts. What
    of such a group is held back here could be had by subtraction, so it is either nothing or large enough.
    """
    told = {key for key, size in sizes.items() if size >= least}
    width = len(next(iter(sizes), ()))
    coarser = [kept for count in range(width) for kept in combinations(range(width), count)]
    changed = True
    while changed:
        changed = False
        for kept in coarser:
            parts: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
            for key in sizes:
                parts[tuple(key[index] for index in kept)].append(key)
            for keys in parts.values():
                changed |= _hold_back(keys, sizes, told, least, are_subjects=are_subjects)
    return frozenset(told)


def _hold_back(
    keys: Sequence[tuple[Any, ...]],
    sizes: Mapping[tuple[Any, ...], int],
    told: set[tuple[Any, ...]],
    least: int,
    *,
    are_subjects: bool,
) -> bool:
    held = [sizes[key] for key in keys if key not in told]
    if not held or (max(held) if are_subjects else sum(held)) >= least:
        return False
    shown = [key for key in keys if key in told]
    if not shown:
        return False
    told.discard(min(shown, key=lambda key: (sizes[key], repr(key))))
    return True
