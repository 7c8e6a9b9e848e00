"""Permissions that nobody could ever use: found when a policy is read, and refused as the slip that they are.

Only what one permission says against itself; whether two rules clash is a question of `subsumption`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from policies.kinds.masking import MaskKind
from policies.kinds.values import shown, spell_time
from policies.refusals.refusal import refusal
from policies.rules import (
    AggregateOnly,
    ColumnList,
    ColumnMask,
    Condition,
    Consent,
    DataLimit,
    DayLimit,
    KAnonymity,
    NotTogether,
    RateLimit,
    TimeLimit,
)
from schemas.errors import PolicyMismatch

_Limit = TypeVar("_Limit", bound=DataLimit)


def refuse_nothing_left(conditions: Iterable[Condition], limits: Iterable[DataLimit], place: str) -> None:
    """Refuse a permission whose own terms leave no time, no day or no data.

    Raises:
        PolicyMismatch: naming the terms that stand against each other, and what to change.
    """
    said, kept = tuple(conditions), tuple(limits)
    _no_time(said, place)
    _no_columns(kept, place)
    _one_of_a_kind(kept)


def _no_time(conditions: tuple[Condition, ...], place: str) -> None:
    windows = [condition for condition in conditions if isinstance(condition, TimeLimit)]
    opens = max((w.since for w in windows if w.since is not None), default=None)
    closes = min((w.until for w in windows if w.until is not None), default=None)
    if opens is not None and closes is not None and opens >= closes:
        raise PolicyMismatch(
            refusal("never opens", place=place, opens=spell_time(opens), closes=spell_time(closes))
        )
    days = [condition for condition in conditions if isinstance(condition, DayLimit)]
    for zone in {limit.zone for limit in days}:
        here = [set(limit.days) for limit in days if limit.zone == zone]
        if not set.intersection(*here):
            raise PolicyMismatch(refusal("no days", place=place))


def _of(kind: type[_Limit], limits: tuple[DataLimit, ...]) -> list[_Limit]:
    return [limit for limit in limits if isinstance(limit, kind)]


def _no_columns(limits: tuple[DataLimit, ...], place: str) -> None:
    """Refuse lists that share no column, and terms over columns that the lists hide: both are slips."""
    lists = [set(limit.columns) for limit in _of(ColumnList, limits)]
    if not lists:
        return
    released = set.intersection(*lists)
    if not released:
        raise PolicyMismatch(refusal("no columns", place=place))
    for mask in _of(ColumnMask, limits):
        if mask.column not in released:
            raise PolicyMismatch(
                refusal("hidden mask", place=mask.place, column=shown(mask.column), place2=place)
            )
    for limit in _of(NotTogether, limits):
        if hidden := [name for name in limit.columns if name not in released]:
            raise PolicyMismatch(
                refusal("hidden apart", place=limit.place, item=shown(hidden[0]), place2=place)
            )
    for anonymity in _of(KAnonymity, limits):
        if hidden := [name for name in anonymity.quasi_identifiers if name not in released]:
            raise PolicyMismatch(
                refusal("hidden quasi", place=anonymity.place, item=shown(hidden[0]), place2=place)
            )


def _one_of_a_kind(limits: tuple[DataLimit, ...]) -> None:
    """Refuse what a permission can have one of only, and what goes with it."""
    for kind, name in ((RateLimit, "hansa:rate"), (AggregateOnly, "hansa:aggregateOnly")):
        found = [limit for limit in limits if isinstance(limit, kind)]
        if len(found) > 1:
            raise PolicyMismatch(refusal("repeats", place=found[1].place, name=name, place2=found[0].place))
    consents = {limit.column: limit for limit in _of(Consent, limits)}
    if len(consents) > 1:
        one, other = sorted(consents)[:2]
        raise PolicyMismatch(
            refusal(
                "two consents",
                place=consents[other].place,
                other=shown(other),
                place2=consents[one].place,
                one=shown(one),
            )
        )
    emptied = {limit.column for limit in _of(ColumnMask, limits) if limit.mask.kind is MaskKind.NULL}
    for anonymity in _of(KAnonymity, limits):
        if told := [name for name in anonymity.quasi_identifiers if name in emptied]:
            raise PolicyMismatch(refusal("emptied quasi", place=anonymity.place, item=shown(told[0])))
    statistics = _of(AggregateOnly, limits)
    for limit in limits if statistics else ():
        if isinstance(limit, KAnonymity):
            raise PolicyMismatch(refusal("no rows", place=limit.place, place2=statistics[0].place))
