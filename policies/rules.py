"""Typed rules: what is left of a policy once every term in it is understood.

A permission keeps its conditions (about the one who asks) apart from its limits (about the data, and how much
of them); conditions are a tree, the rest is flat, because all of it must hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

from policies.kinds.durations import Duration
from policies.kinds.masking import Masking
from policies.kinds.values import Scalar
from policies.profile import Operator


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


class Since(StrEnum):
    """Where an elapsed time begins."""

    AGREEMENT = "agreement"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class ElapsedLimit:
    """The use falls within a time after the agreement, or after the first delivery under it.

    With `lteq` the last instant counts, with `lt` it does not. Before the first delivery, one that counts
    from there holds.
    """

    operator: Operator
    duration: Duration
    since: Since
    place: str


@dataclass(frozen=True, slots=True)
class DayLimit:
    """The use falls on one of these days of the week (0 = Monday) in an IANA time zone."""

    days: tuple[int, ...]
    zone: str
    place: str


@dataclass(frozen=True, slots=True)
class DayTimeLimit:
    """The use falls into one of these windows of the day, `[from, to)`, in an IANA time zone.

    A window whose end is not after its start runs over midnight; an end of 00:00 is the end of the day.
    """

    windows: tuple[tuple[time, time], ...]
    zone: str
    place: str


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """The caller is in one of these groups, by the signed member list."""

    groups: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class CredentialLimit:
    """The member list states this claim of the caller with one of these values."""

    claim: str
    values: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class RegionLimit:
    """The caller's place, by the member list, is one of these regions, or (not for `eq`) a part of one."""

    operator: Operator
    regions: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class EnvironmentLimit:
    """The data are processed in one of these environments, by the member list."""

    environments: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Combination:
    """Conditions of which all (`and`), at least one (`or`) or exactly one (`xone`) must hold."""

    form: str
    parts: tuple[Condition, ...]
    place: str


Atom = (
    TimeLimit
    | ElapsedLimit
    | DayLimit
    | DayTimeLimit
    | PurposeLimit
    | ParticipantLimit
    | GroupLimit
    | CredentialLimit
    | RegionLimit
    | EnvironmentLimit
)
"""A condition that is no combination."""

Condition = Atom | Combination

MovingLimit = ElapsedLimit | DayLimit | DayTimeLimit
"""A condition that changes at instants which it does not name."""


@dataclass(frozen=True, slots=True)
class ColumnFilter:
    """Only rows are released whose cell in the column compares so; a null cell never does."""

    column: str
    operator: Operator
    values: tuple[Scalar, ...]
    place: str


@dataclass(frozen=True, slots=True)
class ColumnRegion:
    """Only rows are released whose cell in the column is the code of one of these regions, or of a part."""

    column: str
    regions: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class ColumnList:
    """Only these columns are released."""

    columns: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class ColumnMask:
    """The cells of the column are released masked only."""

    column: str
    mask: Masking
    place: str


@dataclass(frozen=True, slots=True)
class NotTogether:
    """These columns are never all released to one request."""

    columns: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Only so many percent of the rows are released, always the same ones under one agreement."""

    percentage: Decimal
    place: str


@dataclass(frozen=True, slots=True)
class KAnonymity:
    """Rows are released only where at least `k` rows share the same values in these columns."""

    k: int
    quasi_identifiers: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class AggregateOnly:
    """Rows never leave; statistics do, over groups of at least `min_group` rows, or subjects where named."""

    min_group: int
    subject: str | None
    place: str


@dataclass(frozen=True, slots=True)
class Consent:
    """Only rows are released whose subject, named in the column, has consented to the use's purpose."""

    column: str
    place: str


@dataclass(frozen=True, slots=True)
class RowLimit:
    """At most so many rows are released over the life of the agreement."""

    rows: int
    place: str


@dataclass(frozen=True, slots=True)
class ByteLimit:
    """At most so many bytes are released over the life of the agreement."""

    bytes: int
    place: str


class CountUnit(StrEnum):
    """What `odrl:count` counts; rows and bytes compile to `RowLimit` and `ByteLimit`."""

    REQUEST = "request"
    EPOCH = "epoch"


@dataclass(frozen=True, slots=True)
class CountLimit:
    """At most so many requests, or passes over the data (epochs), over the life of the agreement.

    The one that is asked for counts: `most` 5 allows five.
    """

    unit: CountUnit
    most: int
    place: str


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most so many rows in each period, over all streams of the agreement."""

    rows: int
    period: timedelta
    place: str


RowFilter = ColumnFilter | ColumnRegion
"""Which rows are meant, by the value of a column."""

DataLimit = (
    RowFilter
    | ColumnList
    | ColumnMask
    | NotTogether
    | Sample
    | KAnonymity
    | AggregateOnly
    | Consent
    | RowLimit
    | ByteLimit
    | CountLimit
    | RateLimit
)


@dataclass(frozen=True, slots=True)
class Revocable:
    """The holder may revoke; a planned revocation takes effect after the notice (None = at once)."""

    notice: Duration | None
    place: str


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
    revocable: Revocable | None = None

    @property
    def rows(self) -> int | None:
        """The least of the row limits, or None without any."""
        return _least(limit.rows for limit in self.limits if isinstance(limit, RowLimit))

    @property
    def bytes(self) -> int | None:
        """The least of the byte limits, or None without any."""
        return _least(limit.bytes for limit in self.limits if isinstance(limit, ByteLimit))

    @property
    def requests(self) -> int | None:
        """The least of the request limits, or None without any."""
        return self._most(CountUnit.REQUEST)

    @property
    def epochs(self) -> int | None:
        """The least of the epoch limits, or None without any."""
        return self._most(CountUnit.EPOCH)

    @property
    def rate(self) -> RateLimit | None:
        """The rate limit, or None; there is never a second one."""
        return next((limit for limit in self.limits if isinstance(limit, RateLimit)), None)

    def _most(self, unit: CountUnit) -> int | None:
        counts = (limit for limit in self.limits if isinstance(limit, CountLimit))
        return _least(limit.most for limit in counts if limit.unit is unit)


def _least(values: Iterable[int]) -> int | None:
    return min(values, default=None)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledProhibition:
    """One prohibition: the action, the conditions under which it is forbidden, and on which rows.

    Without `filters` the use is forbidden; with them, rows that pass all of them never leave, and the use
    goes on. `is_promise` marks an action that happens out of our sight, such as handing data on: it is
    agreed and audited, and no question of use is answered by it.
    """

    action: str
    conditions: tuple[Condition, ...]
    is_promise: bool
    place: str
    filters: tuple[RowFilter, ...] = ()


class Consequence(StrEnum):
    """What happens to the agreement when an obligation is overdue."""

    SUSPEND = "suspend"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True, eq=False)
class CompiledDuty:
    """One obligation: the action, by when, how long after the last delivery, how often, and what if not.

    `conditions` say before which instant; `delay` counts from the last delivery; `every` repeats from the
    agreement on.
    """

    action: str
    conditions: tuple[TimeLimit, ...]
    place: str
    delay: Duration | None = None
    every: Duration | None = None
    consequence: Consequence = Consequence.SUSPEND


CompiledRule = CompiledPermission | CompiledProhibition | CompiledDuty
