"""A refusal is an English sentence that carries its id and what fills it; `words/` tells it in others.

What fills it is text, told as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from policies.refusals.data import DATA
from policies.refusals.reading import READING
from policies.refusals.rules import RULES
from policies.refusals.terms import TERMS
from policies.refusals.unread import UNREAD
from policies.refusals.values import VALUES
from schemas.worded import MOST_TOLD, Worded

PREFIX = "refused."
"""How the ids of refusals begin among the messages."""
MOST_SLOT = 1000
"""Characters of a value that is carried."""

REFUSALS: Mapping[str, tuple[str, str]] = MappingProxyType(VALUES | TERMS | RULES | DATA | READING | UNREAD)


def refusal(id: str, **slots: object) -> str:
    """Return why something is refused, in English, carrying what it says; bare if that is too long."""
    given = {name: value if type(value) is int else str(value) for name, value in slots.items()}
    text = REFUSALS[id][0].format(**{name: _plain(value) for name, value in given.items()})
    carried = json.dumps({"code": PREFIX + id, "with": given}, ensure_ascii=False, separators=(",", ":"))
    if len(carried) > MOST_TOLD or any(
        isinstance(value, str) and len(value) > MOST_SLOT for value in given.values()
    ):
        return text
    return Worded(text, carried)


def _plain(value: int | str) -> str:
    """Write a number as English does; other languages have signs of their own."""
    return value if isinstance(value, str) else f"{value:,}"


def table(language: int) -> dict[str, str]:
    """Return the messages of one language: 0 English, 1 German."""
    return {PREFIX + id: forms[language] for id, forms in REFUSALS.items()}
