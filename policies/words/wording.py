"""How single terms of a policy are put into words; sentences, reasons and misfits are built from these."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import assert_never

from policies.kinds.durations import Duration
from policies.kinds.masking import MaskKind
from policies.kinds.values import quoted, spell, spell_time
from policies.profile import Operator, has_narrower
from policies.rules import (
    AggregateOnly,
    ByteLimit,
    ColumnFilter,
    ColumnList,
    ColumnMask,
    ColumnRegion,
    Combination,
    Condition,
    Consent,
    CountLimit,
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
    RowFilter,
    RowLimit,
    Sample,
    TimeLimit,
)
from policies.words.language import Argument, Language, Listed, Message, Several, Span, message, say
from policies.words.language import listed as listed_in
from schemas.vocab import compact_iri

_TIMES = {
    Operator.GTEQ: "time.from",
    Operator.GT: "time.after",
    Operator.LT: "time.before",
    Operator.LTEQ: "time.until",
}
_FORMS = {"and": ("all", "join.and"), "or": ("any", "join.or"), "xone": ("one", "join.xone")}


def listed(names: Iterable[str], word: str = "or") -> str:
    """Join names for people: `a`, `a or b`, `a, b or c`; long lists are cut, and say so."""
    return listed_in(tuple(names), word)


def compact(iris: Iterable[str], word: str = "or") -> str:
    """Join IRIs for people, in their short spelling."""
    return listed((compact_iri(iri) for iri in iris), word)


def phrase(limit: Condition | DataLimit, lang: Language = Language.EN) -> str:
    """Put one limit into words that follow on "you may use the data"."""
    return say(said(limit), lang)


def said(limit: Condition | DataLimit) -> Message:
    """Return what one limit says, as a message that every language has words for."""
    match limit:
        case TimeLimit():
            return _time(limit)
        case PurposeLimit():
            return _purpose(limit)
        case ParticipantLimit():
            return message("participant", participants=Listed(limit.participants, "or"))
        case Combination():
            form, join = _FORMS[limit.form]
            return message(form, parts=Several(tuple(said(part) for part in limit.parts), join))
        case ElapsedLimit() | DayLimit() | DayTimeLimit():
            return _clock(limit)
        case GroupLimit() | CredentialLimit() | RegionLimit() | EnvironmentLimit():
            return _claim(limit)
        case ColumnFilter() | ColumnRegion():
            return message("rows", cell=cell(limit))
        case RowLimit() | ByteLimit() | CountLimit() | RateLimit():
            return _counted(limit)
        case _:
            return _data(limit)


def _time(limit: TimeLimit) -> Message:
    when = limit.value.date().isoformat() if limit.whole_day else spell_time(limit.value)
    return message(_TIMES.get(limit.operator, "time.day" if limit.whole_day else "time.instant"), when=when)


def _purpose(limit: PurposeLimit) -> Message:
    match limit.operator:
        case Operator.EQ:
            id, word = "purpose.exact", "or"
        case Operator.IS_NONE_OF:
            id, word = "purpose.outside", "and"
        case _:
            id, word = "purpose.under" if any(map(has_narrower, limit.purposes)) else "purpose.one", "or"
    return message(id, purposes=Listed(tuple(map(compact_iri, limit.purposes)), word))


def _clock(limit: ElapsedLimit | DayLimit | DayTimeLimit) -> Message:
    match limit:
        case ElapsedLimit():
            return message(f"elapsed.{limit.operator}.{limit.since}", span=Span(limit.duration.text))
        case DayLimit():
            days = tuple(message(f"day.{day}") for day in limit.days)
            return message("days", days=Listed(days, "or"), zone=limit.zone)
        case DayTimeLimit():
            windows = tuple(
                message("window", start=f"{start:%H:%M}", end=f"{end:%H:%M}") for start, end in limit.windows
            )
            return message("hours", windows=Listed(windows, "or"), zone=limit.zone)


def _claim(limit: GroupLimit | CredentialLimit | RegionLimit | EnvironmentLimit) -> Message:
    match limit:
        case GroupLimit():
            return message("group", groups=Listed(tuple(map(quoted, limit.groups)), "or"))
        case CredentialLimit():
            values = Listed(tuple(map(quoted, limit.values)), "or")
            return message("credential", name=quoted(limit.claim), values=values)
        case RegionLimit():
            id = "region.eq" if limit.operator is Operator.EQ else "region.isAnyOf"
            return message(id, regions=Listed(limit.regions, "or"))
        case EnvironmentLimit():
            named = tuple(message(f"environment.{one}") for one in limit.environments)
            return message("environment", environments=Listed(named, "or"))


def cell(limit: RowFilter) -> Message:
    """Return what a row filter says of the cell that it looks at."""
    if isinstance(limit, ColumnRegion):
        return message("cell.region", column=repr(limit.column), regions=Listed(limit.regions, "or"))
    values = tuple(map(spell, limit.values))
    id, word = limit.operator.value, "or"
    if limit.operator is Operator.IS_ANY_OF:
        id = "eq"  # "is a or b"
    elif limit.operator is Operator.IS_NONE_OF:
        id, word = ("neq", "or") if len(values) == 1 else ("isNoneOf", "nor")
    return message(f"cell.{id}", column=repr(limit.column), values=Listed(values, word))


def _counted(limit: RowLimit | ByteLimit | CountLimit | RateLimit) -> Message:
    match limit:
        case RowLimit():
            return message("limit.rows", n=limit.rows)
        case ByteLimit():
            return message("limit.bytes", n=limit.bytes)
        case CountLimit():
            return message(f"limit.{limit.unit}", n=limit.most)
        case RateLimit():
            return message("limit.rate", n=limit.rows, span=Span(Duration(0, limit.period).text))


def _data(
    limit: ColumnList | ColumnMask | NotTogether | Sample | KAnonymity | AggregateOnly | Consent,
) -> Message:
    match limit:
        case ColumnList():
            return message("columns", columns=_columns(limit.columns))
        case NotTogether():
            return message("apart", columns=_columns(limit.columns))
        case ColumnMask():
            return _mask(limit)
        case Sample():
            return message("sample", percentage=limit.percentage)
        case KAnonymity():
            return message("anonymity", n=limit.k, columns=_columns(limit.quasi_identifiers))
        case AggregateOnly(subject=None):
            return message("aggregate.rows", n=limit.min_group)
        case AggregateOnly():
            return message("aggregate.subject", n=limit.min_group, column=repr(limit.subject))
        case Consent():
            return message("consent", column=repr(limit.column))
        case _:
            assert_never(limit)


def _columns(names: Iterable[str]) -> Listed:
    return Listed(tuple(map(repr, names)), "and")


def _mask(limit: ColumnMask) -> Message:
    argument = limit.mask.argument
    more: dict[str, Argument] = {}
    match limit.mask.kind:
        case MaskKind.TRUNCATE:
            more["unit"] = message(f"unit.{argument}")
        case MaskKind.BUCKET if isinstance(argument, Decimal):
            more["step"] = argument
        case MaskKind.ROUND if isinstance(argument, Decimal):
            more["n"] = int(argument)
        case _:
            pass
    return message(f"mask.{limit.mask.kind}", column=repr(limit.column), **more)
