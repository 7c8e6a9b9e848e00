"""Sentences that also carry what they say as data, so that a reader in another language can be told the same.

The text is English and stands alone. The data travel beside it: in DSP messages as one JSON text under a name
of our own, so that foreign JSON-LD processors have nothing to interpret; elsewhere as JSON. What is read
comes from strangers: it is bounded here, and understood (or not) by `policies.words.carried`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.errors import PeerRefused, UseDenied
from schemas.vocab import HANSA

TOLD = HANSA + "told"
"""The member of a DSP message that carries what its reasons say, in their order, as JSON text."""
MOST_REASONS = 8
MOST_TOLD = 4000
"""Characters of what one sentence carries."""


class Worded(str):
    """An English sentence, with what it says as JSON text; as text it is like any other."""

    __slots__ = ("told",)
    told: str

    def __new__(cls, text: str, told: str) -> Worded:
        """Make it from its text and its data."""
        made = super().__new__(cls, text)
        made.told = told
        return made


class Fuller(Worded):
    """A sentence of ours whose text says more than it carries; who is sent it is told the text."""

    __slots__ = ()


def told_of(reasons: Iterable[str]) -> tuple[str, ...]:
    """Return what sentences carry, in their order, "" for one that carries nothing; () if none does."""
    told = tuple(reason.told if isinstance(reason, Worded) else "" for reason in reasons)
    return told if any(told) else ()


def worded(texts: Sequence[str], told: Sequence[str]) -> tuple[str, ...]:
    """Put texts and what they carry together again; what does not stand side by side is left out."""
    if len(texts) != len(told):
        return tuple(texts)
    return tuple(Worded(text, one) if one else text for text, one in zip(texts, told, strict=True))


def told_json(reasons: Iterable[str]) -> list[Any]:
    """Return what sentences carry as JSON, null for one that carries nothing; [] if none does."""
    return [json.loads(one) if one else None for one in told_of(reasons)]


def told_text(reasons: Iterable[str]) -> str | None:
    """Return the same as one JSON text; None if no sentence carries anything."""
    told = told_json(reasons)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")) if told else None


def read_told(said: Any, count: int) -> tuple[str, ...]:
    """Read what a stranger says that its `count` reasons carry: a list, or the JSON text of one.

    What is no object, or too long, carries nothing; what is no list at all says nothing of any of them.
    """
    if isinstance(said, str):
        if len(said) > MOST_REASONS * MOST_TOLD:
            return ()
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            return ()
    if not isinstance(said, list) or not said:
        return ()
    told = [_bounded(one) for one in said[:count]]
    told += [""] * (count - len(told))
    return tuple(told) if any(told) else ()


def _bounded(said: Any) -> str:
    if not isinstance(said, Mapping):
        return ""
    try:
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        # A lone surrogate could be neither stored nor sent on.
        text.encode()
    except (ValueError, TypeError, RecursionError):
        return ""
    return text if len(text) <= MOST_TOLD else ""


def wording(error: Exception) -> str:
    """Return what an error says, with what that carries."""
    said = error.args[0] if error.args else None
    return said if isinstance(said, Worded) else str(error)


def reasons_of(error: Exception) -> list[str]:
    """Return the reasons that an error carries, or its message as the only one, with what they carry."""
    if isinstance(error, UseDenied | PeerRefused) and error.reasons:
        return list(error.reasons)
    return [wording(error)]
