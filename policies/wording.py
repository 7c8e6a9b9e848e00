"""How single terms of a policy are put into words; sentences, reasons and misfits are built from these."""

from __future__ import annotations

from collections.abc import Iterable

from policies.profile import Operator, has_narrower
from policies.rules import (
    ColumnFilter,
    ColumnList,
    ColumnMask,
    Combination,
    Condition,
    DataLimit,
    ParticipantLimit,
    PurposeLimit,
    RowLimit,
    TimeLimit,
)
from policies.values import spell, spell_time
from schemas.vocab import compact_iri

_MOST_NAMED = 12

_COMPARED = {
    Operator.EQ: "is",
    Operator.NEQ: "is not",
    Operator.LT: "is below",
    Operator.LTEQ: "is at most",
    Operator.GT: "is above",
    Operator.GTEQ: "is at least",
    Operator.IS_ANY_OF: "is",
    Operator.IS_NONE_OF: "is neither",
}


def listed(names: Iterable[str], word: str = "or") -> str:
    """Join names for people: `a`, `a or b`, `a, b or c`; long lists are cut, and say so."""
    items = list(names)
    if len(items) > _MOST_NAMED:
        items = [*items[:_MOST_NAMED], f"{len(items) - _MOST_NAMED} more"]
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def compact(iris: Iterable[str], word: str = "or") -> str:
    """Join IRIs for people, in their short spelling."""
    return listed((compact_iri(iri) for iri in iris), word)


def phrase(limit: Condition | DataLimit) -> str:
    """Put one limit into words that follow on "you may use the data"."""
    match limit:
        case TimeLimit():
            return _time(limit)
        case PurposeLimit(operator=Operator.EQ):
            return f"for exactly the purpose {compact(limit.purposes)}"
        case PurposeLimit(operator=Operator.IS_NONE_OF):
            return f"for purposes outside {compact(limit.purposes, 'and')}"
        case PurposeLimit():
            lead = "a purpose under" if any(map(has_narrower, limit.purposes)) else "the purpose"
            return f"for {lead} {compact(limit.purposes)}"
        case ParticipantLimit():
            return f"by {listed(limit.participants)}"
        case Combination(form="xone"):
            return "under exactly one of: " + "; ".join(phrase(part) for part in limit.parts)
        case Combination():
            return "(" + f" {limit.form} ".join(phrase(part) for part in limit.parts) + ")"
        case _:
            return _data(limit)


def _time(limit: TimeLimit) -> str:
    when = limit.value.date().isoformat() if limit.whole_day else spell_time(limit.value)
    match limit.operator:
        case Operator.GTEQ:
            return f"from {when} on"
        case Operator.GT:
            return f"after {when}"
        case Operator.LT:
            return f"before {when}"
        case Operator.LTEQ:
            return f"up to and including {when}"
        case _:
            return f"on {when}" if limit.whole_day else f"exactly at {when}"


def _data(limit: DataLimit) -> str:
    match limit:
        case ColumnFilter():
            word = "nor" if limit.operator is Operator.IS_NONE_OF else "or"
            compared = "is not" if word == "nor" and len(limit.values) == 1 else _COMPARED[limit.operator]
            values = listed((spell(value) for value in limit.values), word)
            return f"only rows whose {limit.column!r} {compared} {values}"
        case ColumnList():
            return f"only the columns {listed((repr(name) for name in limit.columns), 'and')}"
        case ColumnMask():
            return f"with {limit.column!r} {masked(limit.mask)}"
        case RowLimit():
            return f"at most {limit.rows:,} rows over the life of the agreement"
