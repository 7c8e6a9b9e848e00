"""How single terms of a policy are put into words; sentences, reasons and misfits are built from these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from policies.durations import spell_period
from policies.masking import REDACTED, Masking, MaskKind
from policies.profile import DAYS, Operator, has_narrower
from policies.rules import (
    AggregateOnly,
    Atom,
    ByteLimit,
    ColumnFilter,
    ColumnList,
    ColumnMask,
    ColumnRegion,
    Combination,
    Condition,
    Consent,
    CountLimit,
    CountUnit,
    CredentialLimit,
    DataLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
    EnvironmentLimit,
    GroupLimit,
    KAnonymity,
    NotTogether,
    ParticipantLimit,
    PurposeLimit,
    RateLimit,
    RegionLimit,
    RowLimit,
    Sample,
    Since,
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
        case Combination(form="xone"):
            return "under exactly one of: " + "; ".join(phrase(part) for part in limit.parts)
        case Combination():
            return "(" + f" {limit.form} ".join(phrase(part) for part in limit.parts) + ")"
        case TimeLimit() | ElapsedLimit() | DayLimit() | DayTimeLimit():
            return _when(limit)
        case (
            PurposeLimit()
            | ParticipantLimit()
            | GroupLimit()
            | CredentialLimit()
            | RegionLimit()
            | EnvironmentLimit()
        ):
            return _who(limit)
        case ColumnFilter() | ColumnRegion() | ColumnList() | ColumnMask() | NotTogether():
            return _columns(limit)
        case _:
            return _amount(limit)


def _who(limit: Atom) -> str:
    match limit:
        case PurposeLimit(operator=Operator.EQ):
            return f"for exactly the purpose {compact(limit.purposes)}"
        case PurposeLimit(operator=Operator.IS_NONE_OF):
            return f"for purposes outside {compact(limit.purposes, 'and')}"
        case PurposeLimit():
            lead = "a purpose under" if any(map(has_narrower, limit.purposes)) else "the purpose"
            return f"for {lead} {compact(limit.purposes)}"
        case ParticipantLimit():
            return f"by {listed(limit.participants)}"
        case GroupLimit():
            return f"by members of {compact(limit.groups)}"
        case CredentialLimit():
            values = listed(f'"{value}"' for value in limit.values)
            return f"by those of whom the authority states {limit.claim!r} as {values}"
        case RegionLimit(operator=Operator.EQ):
            return f"by those whose place is exactly {listed(limit.regions)}"
        case RegionLimit():
            return f"by those whose place is in {listed(limit.regions)}"
        case EnvironmentLimit():
            return f"inside a {listed(limit.environments)}"
        case TimeLimit() | ElapsedLimit() | DayLimit() | DayTimeLimit():
            return _when(limit)
        case _:
            assert_never(limit)


def _when(limit: TimeLimit | ElapsedLimit | DayLimit | DayTimeLimit) -> str:
    match limit:
        case TimeLimit():
            return _time(limit)
        case ElapsedLimit():
            lead = "for less than" if limit.operator is Operator.LT else "for"
            start = "the agreement" if limit.since is Since.AGREEMENT else "the first delivery"
            return f"{lead} {limit.duration.text} after {start}"
        case DayLimit():
            return f"on {listed(DAYS[day] for day in limit.days)} ({limit.zone})"
        case DayTimeLimit():
            windows = (f"{start:%H:%M} and {end:%H:%M}" for start, end in limit.windows)
            return f"between {listed(windows)} ({limit.zone})"


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


def masked(mask: Masking) -> str:
    """Say what a mask does to a column, in words that follow on its name."""
    match mask.kind:
        case MaskKind.NULL:
            return "left empty"
        case MaskKind.REDACT:
            return f"replaced by {REDACTED!r}"
        case MaskKind.HASH:
            return "replaced by a keyed hash"
        case MaskKind.TRUNCATE:
            return f"cut down to the {mask.argument}"
        case MaskKind.BUCKET:
            return f"rounded down to multiples of {mask.argument:f}"
        case MaskKind.ROUND:
            return f"rounded to {mask.argument:f} decimal digits"


def _columns(limit: ColumnFilter | ColumnRegion | ColumnList | ColumnMask | NotTogether) -> str:
    match limit:
        case ColumnFilter():
            word = "nor" if limit.operator is Operator.IS_NONE_OF else "or"
            compared = "is not" if word == "nor" and len(limit.values) == 1 else _COMPARED[limit.operator]
            values = listed((spell(value) for value in limit.values), word)
            return f"only rows whose {limit.column!r} {compared} {values}"
        case ColumnRegion():
            return f"only rows whose {limit.column!r} lies in {listed(limit.regions)}"
        case ColumnList():
            return f"only the columns {listed((repr(name) for name in limit.columns), 'and')}"
        case ColumnMask():
            return f"with {limit.column!r} {masked(limit.mask)}"
        case NotTogether():
            return f"never {listed((repr(name) for name in limit.columns), 'and')} together"


def _amount(
    limit: Sample | KAnonymity | AggregateOnly | Consent | RowLimit | ByteLimit | CountLimit | RateLimit,
) -> str:
    match limit:
        case Sample():
            return f"only {limit.percentage:f} % of the rows, always the same ones"
        case KAnonymity():
            names = listed((repr(name) for name in limit.quasi_identifiers), "and")
            return f"only rows that share their {names} with at least {limit.k - 1:,} others"
        case AggregateOnly():
            what = f"different {limit.subject!r}" if limit.subject is not None else "rows"
            return f"only statistics over groups of at least {limit.min_group:,} {what}"
        case Consent():
            return f"only rows whose {limit.column!r} has consented to the purpose"
        case RowLimit():
            return f"at most {limit.rows:,} rows over the life of the agreement"
        case ByteLimit():
            return f"at most {limit.bytes:,} bytes over the life of the agreement"
        case CountLimit():
            what = "request" if limit.unit is CountUnit.REQUEST else "epoch"
            return f"at most {limit.most:,} {what}{'s' * (limit.most != 1)} over the life of the agreement"
        case RateLimit():
            return f"at most {limit.rows:,} rows in {spell_period(limit.period)}"
        case _:
            assert_never(limit)
