"""Typed rules: what is left of a policy once every term in it is understood.

A permission keeps its conditions (about the one who asks) apart from its filters, columns, masks and row
limit (about the data); conditions are a tree, the rest is flat, because all of it must hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policies.profile import Operator
from policies.values import Scalar


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """The use falls into `[since, until)`; `value` and `whole_day` keep how it was written.

    Times have microseconds, so that "at most T" is "before T plus one".
    """

    operator: Operator
    value: datetime
    whole_day: bool
    since: datetime | None
    until: datetime | None
    place: str


@dataclass(frozen=True, slots=True)
class PurposeLimit:
    """The declared purpose lies under one of these (isA, isAnyOf), is this one (eq), or lies under none."""

    operator: Operator
    purposes: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class ParticipantLimit:
    """The caller is one of these."""

    participants: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Combination:
    """Conditions of which all (`and`), at least one (`or`) or exactly one (`xone`) must hold."""

    form: str
    parts: tuple[Condition, ...]
    place: str


Condition = TimeLimit | PurposeLimit | ParticipantLimit | Combination


@dataclass(frozen=True, slots=True)
class ColumnFilter:
    """Only rows are released whose cell in the column compares so; a null cell never does."""

    column: str
    operator: Operator
    values: tuple[Scalar, ...]
    place: str


@dataclass(frozen=True, slots=True)
class ColumnList:
    """Only these columns are released."""

    columns: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class ColumnMask:
    """The cells of the column are released as `hash` or `null` only."""

    column: str
    mask: str
    place: str


@dataclass(frozen=True, slots=True)
class RowLimit:
    """At most so many rows are released over the life of the agreement."""

    rows: int
    place: str


DataLimit = ColumnFilter | ColumnList | ColumnMask | RowLimit


@dataclass(frozen=True, slots=True, eq=False)
class CompiledPermission:
    """One permission: the action, the conditions on the use, and the limits on the data.

    Compared by identity, so that what is derived from it can be kept beside it cheaply; compare meaning
    with `policies.subsumption.normal_form`.
    """

    action: str
    conditions: tuple[Condition, ...]
    limits: tuple[DataLimit, ...]
    place: str

    @property
    def rows(self) -> int | None:
        """The least of the row limits, or None without any."""
        return min((limit.rows for limit in self.limits if isinstance(limit, RowLimit)), default=None)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledProhibition:
    """One prohibition: the action, and the conditions under which it is forbidden.

    `is_promise` marks an action that happens out of our sight, such as handing data on: it is agreed and
    audited, and no question of use is answered by it.
    """

    action: str
    conditions: tuple[Condition, ...]
    is_promise: bool
    place: str


@dataclass(frozen=True, slots=True, eq=False)
class CompiledDuty:
    """One obligation: the action, and the time limits that say by when."""

    action: str
    conditions: tuple[TimeLimit, ...]
    place: str


CompiledRule = CompiledPermission | CompiledProhibition | CompiledDuty
