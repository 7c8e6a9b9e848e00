"""Messages as they travel: to plain JSON, and back from what a stranger wrote, bounded and checked.

What comes back has a known id, exactly the slots of that id, and arguments of known kinds, so that every
language can say it. Who does not know an id tells the English sentence that travels beside it.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from policies.words.language import TABLES, Argument, Language, Listed, Message, Several, Span, message, say
from schemas.errors import Malformed, StreamEnded
from schemas.worded import MOST_TOLD, Fuller, Worded

MOST_DEPTH = 8
MOST_PARTS = 200
"""Arguments and names of one message, those within them included."""
MOST_TEXT = 1000
"""Characters of one argument."""
LEAST_CUT = 100
"""Characters that are left at least of a sentence that was cut."""
_WORDS = ("and", "or", "nor")
KNOWN = frozenset.intersection(*(frozenset(table) for table in TABLES.values()))
"""What every language has words for."""


def spoken(told: Message) -> str:
    """Return a message as an English sentence that carries it; bare, if it is too long to be carried."""
    carried = json.dumps(carry(told), ensure_ascii=False, separators=(",", ":"))
    return Worded(say(told), carried) if len(carried) <= MOST_TOLD else say(told)


def in_words(text: str, lang: Language) -> str:
    """Return a sentence in a language if it carries what it says and we understand that, else its text."""
    found = text if lang is Language.EN else understood(text)
    return found if isinstance(found, str) else say(found, lang)


def ended(error: StreamEnded) -> str:
    """Return how a stream ended before its data did, as a sentence that carries it and its reason."""
    return spoken(message("end.stream", n=error.rows, kind=error.end, reason=understood(error.reason)))


def understood(text: str) -> Message | str:
    """Return the message that a sentence carries, or its text if it carries none that we know.

    What it carries has to be what its English text says, unless we wrote it: else a peer could tell one
    reader this, another that, and the log a third.
    """
    if not isinstance(text, Worded):
        return text
    try:
        told = read_carried(json.loads(text.told))
    except (Malformed, ValueError, RecursionError):
        return str(text)
    return told if isinstance(text, Fuller) or _is_said(told, text) else str(text)


def _is_said(told: Message, text: str) -> bool:
    """Whether a text is what a message says in English, on one line, and perhaps cut on its way."""
    said, line = " ".join(say(told).split()), " ".join(text.split())
    cut = line.removesuffix("…").rstrip()
    return said == line or (len(cut) >= LEAST_CUT and said.startswith(cut))


def carry(told: Message) -> dict[str, Any]:
    """Return a message as plain JSON."""
    return {"code": told.id, "with": {name: _carried(value) for name, value in told.arguments}}


def _carried(value: Argument) -> Any:
    match value:
        case str():
            return value
        case Decimal():
            return {"number": str(value)}
        case int():
            return value if abs(value) < 2**53 else {"number": str(value)}
        case Span():
            return {"span": value.text}
        case Listed():
            return {"list": [_carried(item) for item in value.items], "word": value.word}
        case Several():
            return {"several": [carry(item) for item in value.items], "word": value.word}
        case Message():
            return carry(value)


def read_carried(said: Any) -> Message:
    """Read a message that a stranger carried to us.

    Raises:
        Malformed: naming what does not fit.
    """
    return _Reader().message(said, 0)


@cache
def slots(id: str) -> frozenset[str]:
    """Return the slots that a message has in every language."""
    forms = TABLES[Language.EN][id]
    return frozenset(
        name
        for form in ((forms,) if isinstance(forms, str) else forms)
        for _, name, _, _ in string.Formatter().parse(form)
        if name
    )


class _Reader:
    """Reads one message, and counts its parts."""

    def __init__(self) -> None:
        self._parts = 0

    def message(self, said: Any, depth: int) -> Message:
        self._count(depth)
        if not isinstance(said, Mapping) or set(said) != {"code", "with"}:
            raise Malformed("a reason carries 'code' and 'with', and nothing else")
        id, given = said["code"], said["with"]
        if not isinstance(id, str) or id not in KNOWN:
            raise Malformed(f"no reason is called {str(id)[:80]!r} here")
        if not isinstance(given, Mapping) or set(given) != slots(id):
            raise Malformed(f"reason {id!r} takes {', '.join(sorted(slots(id))) or 'nothing'}")
        return Message(id, tuple((name, self._argument(value, depth + 1)) for name, value in given.items()))

    def _argument(self, said: Any, depth: int) -> Argument:
        self._count(depth)
        match said:
            case str():
                return _text(said)
            case bool() | float() | None:
                raise Malformed("an argument of a reason is text, a whole number, or an object")
            case int() if abs(said) < 2**53:
                return said
            case {"number": str(digits), **rest} if not rest:
                return _number(digits)
            case {"span": str(length), **rest} if not rest:
                return Span(_text(length))
            case {"list": list(items), "word": str(word), **rest} if not rest and word in _WORDS:
                return Listed(tuple(self._item(item, depth + 1) for item in items), word)
            case {"several": list(items), "word": str(word), **rest} if not rest and _joins(word):
                return Several(tuple(self.message(item, depth + 1) for item in items), word)
            case _:
                return self.message(said, depth)

    def _item(self, said: Any, depth: int) -> str | Message:
        if isinstance(said, str):
            self._count(depth)
            return _text(said)
        return self.message(said, depth)

    def _count(self, depth: int) -> None:
        self._parts += 1
        if depth > MOST_DEPTH or self._parts > MOST_PARTS:
            raise Malformed(f"a reason of more than {MOST_PARTS} parts, or {MOST_DEPTH} levels")


def _joins(word: str) -> bool:
    return word.startswith("join.") and word in KNOWN


def _text(said: str) -> str:
    if len(said) > MOST_TEXT or not said.isprintable():
        raise Malformed(f"an argument of a reason is printable, and of at most {MOST_TEXT} characters")
    return said


def _number(digits: str) -> Decimal | int:
    try:
        number = Decimal(digits) if len(digits) <= 60 else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > 60:
        raise Malformed(f"{digits[:60]!r} is no number that a reason takes")
    return int(number) if digits.lstrip("-").isdecimal() else number
