"""Are the limits on the data of one permission at least as tight as those of another?

Each limit of the wider permission must be kept by the narrower one: fewer columns, stronger masks, fewer
rows, smaller counts. A limit that nobody here can compare is not kept: what we cannot compare does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from policies.extents import rows_matching, rows_of, sorts_of
from policies.formulas import Every, Impossible, Negated, can_hold
from policies.masking import Masking, MaskKind
from policies.rules import (
    AggregateOnly,
    ByteLimit,
    ColumnFilter,
    ColumnList,
    ColumnMask,
    ColumnRegion,
    CompiledPermission,
    Consent,
    CountLimit,
    DataLimit,
    KAnonymity,
    NotTogether,
    RateLimit,
    RowFilter,
    RowLimit,
    Sample,
)

_COARSER = {
    "hour": ("hour", "day", "week", "month", "quarter", "year"),
    "day": ("day", "week", "month", "quarter", "year"),
    "week": ("week",),
    "month": ("month", "quarter", "year"),
    "quarter": ("quarter", "year"),
    "year": ("year",),
}
"""For each unit to which times are truncated: the units that reveal nothing beyond it."""


def is_kept(limit: DataLimit, narrow: CompiledPermission) -> bool:
    """Say whether a permission keeps a limit of another one: it releases nothing beyond it."""
    match limit:
        case ColumnFilter() | ColumnRegion():
            return are_rows_within(filters_of(narrow), (limit,))
        case ColumnList():
            released = released_by(narrow)
            return released is not None and released <= set(limit.columns)
        case ColumnMask():
            return _is_masked(limit, narrow)
        case NotTogether():
            return _are_apart(limit, narrow)
        case _:
            return any(_is_as_tight(own, limit) for own in narrow.limits)


def filters_of(permission: CompiledPermission) -> tuple[RowFilter, ...]:
    """Return the row filters of a permission."""
    return tuple(limit for limit in permission.limits if isinstance(limit, ColumnFilter | ColumnRegion))


def released_by(permission: CompiledPermission) -> frozenset[str] | None:
    """Return the columns that a permission releases; None for all that the data have."""
    lists = [frozenset(limit.columns) for limit in permission.limits if isinstance(limit, ColumnList)]
    return frozenset.intersection(*lists) if lists else None


def are_rows_within(narrow: Iterable[RowFilter], wide: Iterable[RowFilter]) -> bool:
    """Say whether every row that passes some filters surely passes others."""
    narrow, wide = tuple(narrow), tuple(wide)
    sorts = sorts_of((*narrow, *wide))
    outside = Every((rows_of(narrow, sorts), Negated(rows_of(wide, sorts))))
    return isinstance(can_hold(outside), Impossible)


def are_rows_matched_too(narrow: Iterable[RowFilter], wide: Iterable[RowFilter]) -> bool:
    """Say whether every row that some filters of a prohibition match, others match too.

    A null cell matches every filter there, so that even filters that no value passes match some rows.
    """
    narrow, wide = tuple(narrow), tuple(wide)
    sorts = sorts_of((*narrow, *wide))
    outside = Every((rows_matching(narrow, sorts), Negated(rows_matching(wide, sorts))))
    return isinstance(can_hold(outside), Impossible)


def _is_masked(limit: ColumnMask, narrow: CompiledPermission) -> bool:
    released = released_by(narrow)
    if released is not None and limit.column not in released:
        return True
    masks = (own for own in narrow.limits if isinstance(own, ColumnMask) and own.column == limit.column)
    return any(reveals_no_more(own.mask, limit.mask) for own in masks)


def reveals_no_more(one: Masking, other: Masking) -> bool:
    """Say whether a masked cell tells nothing that the cell under the other mask would not tell.

    A hash tells whether two cells are equal, a rounded one roughly what they are: neither is the stronger.
    Nor does 2.4, of one digit, follow from 2.45, of two: what was 2.449 is told from what was 2.451.
    """
    if one == other or one.kind is MaskKind.NULL:
        return True
    if one.kind is MaskKind.REDACT:
        return other.kind is not MaskKind.NULL
    if one.kind is not other.kind or one.kind in (MaskKind.HASH, MaskKind.ROUND):
        return False
    mine, theirs = one.argument, other.argument
    if isinstance(mine, Decimal) and isinstance(theirs, Decimal):
        return Fraction(mine) % Fraction(theirs) == 0
    return str(mine) in _COARSER.get(str(theirs), ())


def _are_apart(limit: NotTogether, narrow: CompiledPermission) -> bool:
    released = released_by(narrow)
    if released is not None and not set(limit.columns) <= released:
        return True
    own = (set(other.columns) for other in narrow.limits if isinstance(other, NotTogether))
    return any(columns <= set(limit.columns) for columns in own)


def _is_as_tight(own: DataLimit, limit: DataLimit) -> bool:
    match own, limit:
        case (RowLimit(), RowLimit()):
            return own.rows <= limit.rows
        case (ByteLimit(), ByteLimit()):
            return own.bytes <= limit.bytes
        case (CountLimit(), CountLimit()):
            return own.unit is limit.unit and own.most <= limit.most
        case (RateLimit(), RateLimit()):
            # Fewer at once, and fewer in the long run.
            return own.rows <= limit.rows and own.rows * limit.period <= limit.rows * own.period
        case (Sample(), Sample()):
            return own.percentage <= limit.percentage
        case (KAnonymity(), KAnonymity()):
            # Rows that share more columns also share fewer.
            return own.k >= limit.k and set(own.quasi_identifiers) >= set(limit.quasi_identifiers)
        case (AggregateOnly(), AggregateOnly()):
            return own.min_group >= limit.min_group and limit.subject in (None, own.subject)
        case (Consent(), Consent()):
            return own.column == limit.column
        case _:
            return False
