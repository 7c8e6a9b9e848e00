"""What a sentence says, as data: from all sentences of a policy its rules can be built again.

The data are plain JSON. A term is written as its type and its fields; where it stood in the policy is left
out, since a sentence may speak for several rules at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, TypeVar, get_type_hints

from policies import rules
from policies.kinds.durations import Duration, read_duration
from policies.kinds.masking import Masking
from policies.rules import (
    CompiledDuty,
    CompiledPermission,
    CompiledProhibition,
    Condition,
    DataLimit,
    Revocable,
)
from schemas.errors import Malformed

R = TypeVar("R")


class About(StrEnum):
    """What a sentence is about."""

    PARTY = "party"
    NOTHING = "nothing"
    ACTIONS = "actions"
    CONDITION = "condition"
    LIMIT = "limit"
    REVOCABLE = "revocable"
    PROHIBITION = "prohibition"
    OBLIGATION = "obligation"


@dataclass(frozen=True, slots=True)
class Told:
    """What one sentence says, of which rules: their places, such as `permission[0]`, and the term itself."""

    about: About
    rules: tuple[str, ...]
    term: Any

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"about": self.about.value, "rules": list(self.rules), "term": self.term}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that sentences say, without the places where they stood."""

    assignee: str | None
    permissions: tuple[CompiledPermission, ...]
    prohibitions: tuple[CompiledProhibition, ...]
    duties: tuple[CompiledDuty, ...]

    def as_json(self) -> dict[str, Any]:
        """Return them as JSON, equal exactly for rules that are written alike."""
        return {
            "assignee": self.assignee,
            "permissions": [encoded(rule) for rule in self.permissions],
            "prohibitions": [encoded(rule) for rule in self.prohibitions],
            "duties": [encoded(rule) for rule in self.duties],
        }


_TERMS = {
    kind.__name__: kind
    for kind in (*vars(rules).values(), Duration, Masking)
    if isinstance(kind, type) and is_dataclass(kind)
}


def encoded(value: Any) -> Any:
    """Write a term as JSON: dataclasses with their type, values that JSON lacks with their kind."""
    if is_dataclass(value) and not isinstance(value, type):
        named = {
            field.name: encoded(getattr(value, field.name))
            for field in fields(value)
            if field.name != "place"
        }
        return {"type": type(value).__name__, **named}
    match value:
        case Enum():
            return value.value
        case tuple():
            return [encoded(item) for item in value]
        case Decimal():
            return {"decimal": str(value)}
        case datetime():
            return {"dateTime": value.astimezone(UTC).isoformat()}
        case date():
            return {"date": value.isoformat()}
        case time():
            return {"time": value.isoformat()}
        case timedelta():
            return {"duration": Duration(0, value).text if value else "PT0S"}
        case int() if not isinstance(value, bool) and abs(value) >= 2**53:
            return {"integer": str(value)}  # beyond what every reader of JSON keeps exactly
        case _:
            return value


def decoded(value: Any) -> Any:
    """Read a term that `encoded` wrote; its place is empty.

    Raises:
        Malformed: if it is none.
    """
    if isinstance(value, list):
        return tuple(decoded(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "type" in value:
        kind = _TERMS.get(value["type"])
        if kind is None:
            raise Malformed(f"no term is called {str(value['type'])[:80]!r}")
        hints = get_type_hints(kind)
        given = {name: _fitting(hints[name], decoded(item)) for name, item in value.items() if name != "type"}
        if "place" in hints:
            given["place"] = ""
        return kind(**given)
    ((kind_name, text),) = value.items()
    return _VALUES[kind_name](text)


def _fitting(hint: Any, value: Any) -> Any:
    return hint(value) if isinstance(hint, type) and issubclass(hint, Enum) else value


def _duration(text: str) -> timedelta:
    return timedelta() if text == "PT0S" else read_duration(text, "term").rest


_VALUES: dict[str, Any] = {
    "decimal": Decimal,
    "dateTime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "duration": _duration,
    "integer": int,
}


def bare(terms: Iterable[Condition | DataLimit | Revocable | None]) -> tuple[Any, ...]:
    """Return terms in a form that is equal exactly for terms that say the same by the same words."""
    return tuple(repr(encoded(term)) for term in terms)


def rules_told(told: Sequence[Told]) -> Rules:
    """Build the rules of a policy again from what its sentences say.

    Raises:
        Malformed: if a sentence speaks of a permission that no sentence before it opened.
    """
    assignee = None
    permissions: dict[str, CompiledPermission] = {}
    prohibitions: dict[str, CompiledProhibition] = {}
    duties: dict[str, CompiledDuty] = {}
    for one in told:
        match one.about:
            case About.PARTY:
                assignee = one.term
            case About.NOTHING:
                continue
            case About.ACTIONS:
                for place, action in zip(one.rules, one.term, strict=True):
                    permissions[place] = CompiledPermission(action, (), (), "")
            case About.PROHIBITION:
                prohibitions |= {place: decoded(one.term) for place in one.rules}
            case About.OBLIGATION:
                duties |= {place: decoded(one.term) for place in one.rules}
            case _:
                for place in one.rules:
                    permissions[place] = _with(permissions, place, one)
    return Rules(assignee, _placed(permissions), _placed(prohibitions), _placed(duties))


def _placed(found: dict[str, R]) -> tuple[R, ...]:
    """Return rules in the order of their places."""
    return tuple(
        rule for _, rule in sorted(found.items(), key=lambda pair: int(pair[0].strip("]").partition("[")[2]))
    )


def _with(permissions: dict[str, CompiledPermission], place: str, one: Told) -> CompiledPermission:
    if place not in permissions:
        raise Malformed(f"a {one.about} is told of {place}, of which nothing was told before")
    rule, term = permissions[place], decoded(one.term)
    match one.about:
        case About.CONDITION:
            return replace(rule, conditions=(*rule.conditions, term))
        case About.LIMIT:
            return replace(rule, limits=(*rule.limits, term))
        case _:
            return replace(rule, revocable=term)
