"""Sentences as data: a message id with typed arguments, put into words by the table of a language.

Nothing is glued together outside the tables, so that each language keeps its own word order, endings and
number signs. The tables are `en` and `de`; both have the same ids and the same slots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from policies.refusals.refusal import table
from policies.words import de, en
from schemas.errors import Malformed

MOST_NAMED = 12
"""Longer lists are cut for people, and say so; what stands beside a sentence as data has them whole."""


class Language(StrEnum):
    """The languages in which a policy can be read."""

    EN = "en"
    DE = "de"


@dataclass(frozen=True, slots=True)
class Listed:
    """Names in a row; `word` joins the last one: `and`, `or` or `nor`."""

    items: tuple[str | Message, ...]
    word: str


@dataclass(frozen=True, slots=True)
class Several:
    """Messages in a row; `word` is the id of what stands between them."""

    items: tuple[Message, ...]
    word: str


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time as ISO 8601 writes it, such as `P30D` or `PT12H`."""

    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to say: its id in the tables, and what fills the slots there."""

    id: str
    arguments: tuple[tuple[str, Argument], ...] = ()


Argument = str | int | Decimal | Listed | Several | Span | Message


def message(id: str, **arguments: Argument) -> Message:
    """Make a message."""
    return Message(id, tuple(arguments.items()))


TABLES: Mapping[Language, Mapping[str, str | tuple[str, str]]] = MappingProxyType(
    {Language.EN: {**en.MESSAGES, **table(0)}, Language.DE: {**de.MESSAGES, **table(1)}}
)
_UNITS = MappingProxyType({Language.EN: en.UNITS, Language.DE: de.UNITS})
_SIGNS = MappingProxyType({Language.EN: (",", "."), Language.DE: (".", ",")})


def language(name: str) -> Language:
    """Read the name of a language, such as `de` or `de-AT`.

    Raises:
        Malformed: naming the languages that there are.
    """
    short = name.strip().lower().replace("_", "-").partition("-")[0]
    if short not in Language._value2member_map_:
        raise Malformed(f"no words in language {name[:40]!r}; there are: {', '.join(Language)}")
    return Language(short)


def say(told: Message, lang: Language = Language.EN) -> str:
    """Put a message into the words of a language."""
    form = TABLES[lang][told.id]
    if isinstance(form, tuple):  # one of a thing, or any other number of it
        form = form[0] if dict(told.arguments).get("n") == 1 else form[1]
    return form.format(**{name: _argument(value, lang) for name, value in told.arguments})


def sentence(told: Message, lang: Language = Language.EN) -> str:
    """Put a message into a whole sentence, with its capital letter and its full stop."""
    text = say(told, lang)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _argument(value: Argument, lang: Language) -> str:
    match value:
        case str():
            return value
        case int() | Decimal():
            return number(value, lang)
        case Listed():
            names = tuple(item if isinstance(item, str) else say(item, lang) for item in value.items)
            return listed(names, value.word, lang)
        case Several():
            return _table(lang, value.word).join(say(item, lang) for item in value.items)
        case Span():
            return span(value.text, lang)
        case Message():
            return say(value, lang)


def _table(lang: Language, id: str) -> str:
    form = TABLES[lang][id]
    return form if isinstance(form, str) else form[1]


def number(value: int | Decimal, lang: Language = Language.EN) -> str:
    """Write a number with the signs of a language: 12,500.5 in English is 12.500,5 in German."""
    grouping, point = _SIGNS[lang]
    whole, dot, part = f"{value:,f}".partition(".") if isinstance(value, Decimal) else (f"{value:,}", "", "")
    return whole.replace(",", grouping) + (point + part if dot else "")


def listed(items: tuple[str, ...], word: str = "or", lang: Language = Language.EN) -> str:
    """Join names for people: `a`, `a or b`, `a, b or c`; long lists are cut, and say so."""
    names = list(items)
    if len(names) > MOST_NAMED:
        more = message("list.more", n=len(names) - MOST_NAMED)
        names = [*names[:MOST_NAMED], say(more, lang)]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {_table(lang, f'list.{word}')} {names[-1]}"


_SPAN = re.compile(
    r"P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


def span(text: str, lang: Language = Language.EN) -> str:
    """Write a length of time in words: `30 days`, `1 hour and 30 minutes`; German in the dative."""
    found = _SPAN.fullmatch(text)
    if found is None:
        return text
    parts = []
    for unit, amount in found.groupdict().items():
        if amount is not None:
            one, many = _UNITS[lang][unit]
            parts.append(f"{number(Decimal(amount), lang)} {one if Decimal(amount) == 1 else many}")
    return listed(tuple(parts), "and", lang) or text
