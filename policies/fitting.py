"""Can a policy be kept on these data? Asked once, when a dataset is published, column by column.

Names are compared as they are written: case, accents and Unicode forms tell columns apart.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence

from policies.compiled import CompiledPolicy, columns_of
from policies.kinds.masking import Masking, MaskKind
from policies.kinds.values import fit_value, shown
from policies.profile import Operator
from policies.refusals.refusal import refusal
from policies.rules import (
    AggregateOnly,
    ColumnFilter,
    ColumnMask,
    ColumnRegion,
    CompiledPermission,
    Consent,
    DataLimit,
    KAnonymity,
)
from schemas.dcat import Column
from schemas.errors import PolicyMismatch

_ORDER = (Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ)
_VALUES = re.compile(r"dictionary<values=(.+), indices=\w+, ordered=\d>")
_TEXT = frozenset({"string", "large_string", "string_view", "utf8", "large_utf8"})
_WHOLE = re.compile(r"u?int(8|16|32|64)")
_NUMBER = re.compile(r"u?int(8|16|32|64)|double|float|halffloat|decimal.*")
_DAY = re.compile(r"date(32|64).*")
_MOMENT = re.compile(r"timestamp.*")
_PLAIN = re.compile(_NUMBER.pattern + r"|bool|date.*|timestamp.*|time.*")


def fit_to_columns(compiled: CompiledPolicy, columns: Sequence[Column]) -> None:
    """Check that a policy can be kept on data with these columns.

    Raises:
        PolicyMismatch: naming the term, its place, and a column that the data lack (with near names) or hold
            twice, or whose type the term cannot be kept on.
    """
    types: dict[str, str] = {}
    twice = set()
    for column in columns:
        if column.name in types:
            twice.add(column.name)
        types[column.name] = column.datatype
    for limit in compiled.data_limits():
        for name in columns_of(limit):
            if name not in types:
                raise PolicyMismatch(_no_column(limit.place, name, types))
            if name in twice:
                raise PolicyMismatch(refusal("column twice", place=limit.place, name=shown(name)))
        _fit(limit, types)
    for permission in compiled.permissions:
        _something_left(permission, types)


def _no_column(place: str, name: str, types: dict[str, str]) -> str:
    """Say which columns there are, near ones first: often only case or the form of an accent differs."""
    folded = {known: unicodedata.normalize("NFKC", known).casefold() for known in types}
    wanted = unicodedata.normalize("NFKC", name).casefold()
    same = [known for known, fold in folded.items() if fold == wanted]
    close = difflib.get_close_matches(wanted, list(dict.fromkeys(folded.values()))[:2_000], 3, 0.75)
    near = list(
        dict.fromkeys((*same, *(known for fold in close for known in types if folded[known] == fold)))
    )
    existing = ", ".join(repr(known) for known in list(types)[:40]) or "none"
    said = {"place": place, "name": shown(name), "existing": existing}
    if not near:
        return refusal("no column", **said)
    return refusal("near column", near=", ".join(ascii(known) for known in near[:3]), **said)


def _inner(datatype: str) -> str:
    found = _VALUES.fullmatch(datatype)
    return found[1] if found else datatype


def _fit(limit: DataLimit, types: dict[str, str]) -> None:
    match limit:
        case ColumnFilter():
            _fit_filter(limit, types[limit.column])
        case ColumnRegion():
            _text(limit.column, types, limit.place, "region codes such as DE")
        case ColumnMask():
            _fit_mask(limit.mask, limit.column, _inner(types[limit.column]), limit.place)
        case Consent():
            _subject(limit.column, types, limit.place)
        case AggregateOnly(subject=str() as subject):
            _subject(subject, types, limit.place)
        case KAnonymity():
            for name in limit.quasi_identifiers:
                _groups(name, types, limit.place)
        case _:
            pass  # it names columns only to show or to hide them, or none


def _fit_filter(limit: ColumnFilter, datatype: str) -> None:
    for value in limit.values:
        fitted = fit_value(value, datatype, f"{limit.place} (column {shown(limit.column)})")
        if isinstance(fitted, bool) and limit.operator in _ORDER:
            raise PolicyMismatch(
                refusal(
                    "truth values", place=limit.place, operator=limit.operator, column=shown(limit.column)
                )
            )


def _fit_mask(mask: Masking, column: str, datatype: str, place: str) -> None:
    wanted: str | None = None
    match mask.kind:
        case MaskKind.NULL:
            return
        case MaskKind.HASH:
            if datatype not in _TEXT and not _PLAIN.fullmatch(datatype) and "binary" not in datatype:
                wanted = "a column of plain values"
        case MaskKind.REDACT:
            if datatype not in _TEXT:
                wanted = "a column of text; write null for others"
        case MaskKind.BUCKET:
            if not _NUMBER.fullmatch(datatype):
                wanted = "a column of numbers"
            elif _WHOLE.fullmatch(datatype) and mask.argument != int(mask.argument or 0):
                wanted = "a column of decimal numbers; write a whole number as the width for whole numbers"
        case MaskKind.ROUND:
            if not _NUMBER.fullmatch(datatype):
                wanted = "a column of numbers"
        case MaskKind.TRUNCATE:
            if _DAY.fullmatch(datatype) and mask.argument == "hour":
                wanted = "a column of timestamps; dates have no hours"
            elif not _DAY.fullmatch(datatype) and not _MOMENT.fullmatch(datatype):
                wanted = "a column of dates or timestamps"
    if wanted is not None:
        raise PolicyMismatch(
            refusal(
                "mask column",
                place=place,
                text=mask.text,
                column=shown(column),
                item=datatype[:80],
                wanted=wanted,
            )
        )


def _text(column: str, types: dict[str, str], place: str, what: str) -> None:
    if _inner(types[column]) not in _TEXT:
        raise PolicyMismatch(
            refusal("text column", place=place, column=shown(column), item=types[column][:80], what=what)
        )


def _subject(column: str, types: dict[str, str], place: str) -> None:
    datatype = _inner(types[column])
    if datatype not in _TEXT and not _WHOLE.fullmatch(datatype):
        raise PolicyMismatch(refusal("subject column", place=place, column=shown(column), item=datatype[:80]))


def _groups(column: str, types: dict[str, str], place: str) -> None:
    datatype = _inner(types[column])
    if datatype not in _TEXT and not _PLAIN.fullmatch(datatype):
        raise PolicyMismatch(refusal("group column", place=place, column=shown(column), item=datatype[:80]))


def _something_left(permission: CompiledPermission, types: dict[str, str]) -> None:
    """Refuse statistics on data that have only the subjects themselves to tell about."""
    for limit in permission.limits:
        if isinstance(limit, AggregateOnly) and not set(types) - {limit.subject}:
            raise PolicyMismatch(refusal("no statistics", place=limit.place, subject=shown(limit.subject)))
