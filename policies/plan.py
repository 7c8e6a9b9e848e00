"""What the data plane must do under the permissions that hold: which rows, which columns, which masks.

A plan holds values, never text of a query. Each permission is a branch: a row leaves if it passes at least
one branch, and a cell of it is shown as the most revealing branch that this row passes shows it. So a
column that one permission grants is never shown in rows that only another one covers. Null never compares:
a row whose filtered cell is null passes no branch, and matches every prohibition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from policies.kinds.masking import UNITS, Masking, MaskKind
from policies.kinds.places import countries_in, countries_outside
from policies.kinds.values import Scalar, fit_value, tagged
from policies.profile import Operator
from policies.refusals.refusal import refusal
from policies.rules import (
    AggregateOnly,
    ColumnFilter,
    ColumnList,
    ColumnMask,
    ColumnRegion,
    CompiledPermission,
    CompiledProhibition,
    Consent,
    DataLimit,
    KAnonymity,
    NotTogether,
    RowFilter,
    Sample,
)
from schemas.canonical import digest
from schemas.errors import PolicyMismatch

_LEVELS = (
    MaskKind.NULL,
    MaskKind.REDACT,
    MaskKind.HASH,
    MaskKind.TRUNCATE,
    MaskKind.BUCKET,
    MaskKind.ROUND,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition on a row; `values` has one value, or several for isAnyOf and isNoneOf."""

    column: str
    operator: Operator
    values: tuple[Scalar, ...]

    @property
    def value(self) -> Scalar:
        """The first value; the only one, except for isAnyOf and isNoneOf."""
        return self.values[0]

    def typed(self, datatype: str) -> tuple[Scalar | float, ...]:
        """Return the values as Python values of the column's type (the text that pyarrow prints for it).

        Raises:
            PolicyMismatch: if one does not fit.
        """
        return tuple(fit_value(value, datatype, f"filter on {self.column!r}") for value in self.values)

    def as_json(self) -> list[Any]:
        """Return the comparison as JSON, its values in one order."""
        return [self.column, self.operator.value, sorted(tagged(value) for value in self.values)]


@dataclass(frozen=True, slots=True)
class Anonymity:
    """A row passes only if at least `k` rows of its branch share its values in the quasi-identifiers.

    Null is a value like any other.
    """

    k: int
    quasi_identifiers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConsentJoin:
    """A row passes only if the subject in `column` has a consent that stands, for the purpose (an IRI)."""

    column: str
    purpose: str | None


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Rows never leave; groups of at least `min_group` do: of rows, or of different values of `subject`."""

    min_group: int
    subject: str | None


@dataclass(frozen=True, slots=True)
class Branch:
    """What one permission releases: columns (None = all), masks over some, and the rows that pass.

    A row passes if all comparisons hold, it is in the sample (percent of the rows, the same at each
    reading), its subject consents, and its class is large enough. Masks apply after that, so that
    conditions always see true values.
    """

    columns: tuple[str, ...] | None = None
    masks: tuple[tuple[str, Masking], ...] = ()
    predicate: tuple[Comparison, ...] = ()
    sample: Decimal | None = None
    anonymity: Anonymity | None = None
    consent: ConsentJoin | None = None

    def shows(self, column: str) -> bool:
        """Say whether the branch releases a column, masked or not."""
        return self.columns is None or column in self.columns

    def mask_of(self, column: str) -> Masking | None:
        """Return the mask over a column, if there is one."""
        return next((mask for name, mask in self.masks if name == column), None)

    @property
    def seen(self) -> frozenset[str]:
        """The columns that decide whether a row passes."""
        names = {item.column for item in self.predicate}
        names.update(self.anonymity.quasi_identifiers if self.anonymity is not None else ())
        return frozenset(names | ({self.consent.column} if self.consent is not None else set()))

    @property
    def named(self) -> frozenset[str]:
        """Every column that the branch speaks of."""
        return self.seen | {name for name, _ in self.masks} | set(self.columns or ())

    def as_json(self) -> dict[str, Any]:
        """Return the branch as JSON, in one order."""
        told: dict[str, Any] = {
            "columns": sorted(self.columns) if self.columns is not None else None,
            "masks": [[name, mask.text] for name, mask in sorted(self.masks, key=lambda item: item[0])],
            "predicate": sorted(item.as_json() for item in self.predicate),
        }
        if self.sample is not None:
            told["sample"] = format(self.sample.normalize() + 0, "f")
        if self.anonymity is not None:
            told["anonymity"] = [self.anonymity.k, sorted(self.anonymity.quasi_identifiers)]
        if self.consent is not None:
            told["consent"] = [self.consent.column, self.consent.purpose]
        return told


@dataclass(frozen=True, slots=True)
class DataPlan:
    """What is released under all permissions that hold together.

    `excluded` are conjunctions of comparisons: a row that matches one never leaves. `apart` are sets of
    columns that no projection may hold as a whole. With `aggregate` no row leaves, only groups.
    """

    branches: tuple[Branch, ...] = (Branch(),)
    excluded: tuple[tuple[Comparison, ...], ...] = ()
    apart: tuple[tuple[str, ...], ...] = ()
    aggregate: Aggregation | None = None

    def visible(self, all_columns: Iterable[str]) -> list[str]:
        """Return the columns that are released, in the order of the data; masked ones are among them."""
        return [name for name in all_columns if any(branch.shows(name) for branch in self.branches)]

    @property
    def seen(self) -> frozenset[str]:
        """The columns that decide whether a row leaves."""
        excluding = {item.column for conjunction in self.excluded for item in conjunction}
        if self.aggregate is not None and self.aggregate.subject is not None:
            excluding.add(self.aggregate.subject)
        return frozenset(excluding).union(*(branch.seen for branch in self.branches))

    @property
    def named(self) -> frozenset[str]:
        """Every column that the plan speaks of, those of `apart` aside: they limit, and need not be there."""
        return self.seen.union(*(branch.named for branch in self.branches))

    @property
    def is_open(self) -> bool:
        """Whether every row leaves."""
        return not self.excluded and any(
            not branch.predicate and branch.sample is None and not branch.anonymity and not branch.consent
            for branch in self.branches
        )

    def shown_apart(self, columns: Iterable[str]) -> frozenset[str]:
        """Return which of the columns are of a set that must stay apart, and show anything at all."""
        # A column that is null in every row is not visible beside others.
        return frozenset(
            name
            for name in columns
            if any(name in names for names in self.apart)
            and any(branch.shows(name) and not _is_empty(branch.mask_of(name)) for branch in self.branches)
        )

    def whole_set(self, columns: Iterable[str]) -> tuple[str, ...] | None:
        """Return the first set of `apart` that the columns hold as a whole, if they hold one."""
        held = set(columns)
        return next((names for names in self.apart if held.issuperset(names)), None)

    @property
    def digest(self) -> str:
        """Return `sha256:…` over the plan, equal exactly for plans that do the same by the same words."""
        return digest(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON, in one order."""
        told: dict[str, Any] = {"branches": [branch.as_json() for branch in self.branches]}
        if self.excluded:
            told["excluded"] = sorted(sorted(item.as_json() for item in each) for each in self.excluded)
        if self.apart:
            told["apart"] = sorted(sorted(names) for names in self.apart)
        if self.aggregate is not None:
            told["aggregate"] = [self.aggregate.min_group, self.aggregate.subject]
        return told


def _is_empty(mask: Masking | None) -> bool:
    return mask is not None and mask.kind is MaskKind.NULL


def revealing(mask: Masking | None) -> tuple[int, Decimal]:
    """Return how much a mask reveals, to compare: more is larger, no mask is the largest.

    Among masks of one kind the finer one reveals more.
    """
    if mask is None:
        return len(_LEVELS), Decimal(0)
    fine = Decimal(0)
    if mask.kind is MaskKind.TRUNCATE:
        fine = Decimal(UNITS.index(str(mask.argument)))
    elif isinstance(mask.argument, Decimal):
        fine = mask.argument if mask.kind is MaskKind.ROUND else -mask.argument
    return _LEVELS.index(mask.kind), fine


def joined(one: Masking | None, other: Masking) -> Masking:
    """Return the mask that keeps both: the coarser of two where one says less than the other, else null.

    A bucket of 15 does not hide all that one of 10 hides, nor the other way round; and a hash tells cells of
    one bucket apart.
    """
    if one is None or one == other:
        return other
    lower, upper = sorted((one, other), key=revealing)
    if lower.kind in (MaskKind.NULL, MaskKind.REDACT) or _divides(lower, upper):
        return lower
    return Masking(MaskKind.NULL)


def _divides(coarse: Masking, fine: Masking) -> bool:
    """Say whether everything that the coarse mask tells follows from what the fine one tells."""
    if coarse.kind is not fine.kind:
        return False
    if coarse.kind is MaskKind.BUCKET:
        return Fraction(str(coarse.argument)) % Fraction(str(fine.argument)) == 0
    # No week ends where a month does; and what was rounded twice is not what was rounded once.
    return coarse.kind is MaskKind.TRUNCATE and (
        "week" not in (coarse.argument, fine.argument) or fine.argument in ("day", "hour")
    )


@lru_cache(maxsize=512)
def plan_for(
    permissions: tuple[CompiledPermission, ...],
    prohibitions: tuple[CompiledProhibition, ...] = (),
    purpose: str | None = None,
) -> DataPlan:
    """Derive the plan of the permissions that hold, less the rows that prohibitions that apply speak of.

    Args:
        permissions: those that hold, in the order of the policy.
        prohibitions: those that apply; only their row filters matter here.
        purpose: what the use is for (an IRI), by which consent is looked up.

    Raises:
        PolicyMismatch: if a permission wants two things of which a row can have one only.
    """
    limits = tuple(limit for permission in permissions for limit in permission.limits)
    return DataPlan(
        tuple(dict.fromkeys(_branch(permission, purpose) for permission in permissions)),
        tuple(dict.fromkeys(_forbidden(rule.filters) for rule in prohibitions if rule.filters)),
        tuple(dict.fromkeys(limit.columns for limit in limits if isinstance(limit, NotTogether))),
        _aggregation(limits),
    )


def _branch(permission: CompiledPermission, purpose: str | None) -> Branch:
    """All limits of one permission hold together: lists intersect, the stricter mask wins."""
    limits = permission.limits
    columns: tuple[str, ...] | None = None
    masks: dict[str, Masking] = {}
    for limit in limits:
        if isinstance(limit, ColumnList):
            columns = tuple(name for name in limit.columns if columns is None or name in columns)
        elif isinstance(limit, ColumnMask):
            masks[limit.column] = joined(masks.get(limit.column), limit.mask)
    consents = {limit.column for limit in limits if isinstance(limit, Consent)}
    if len(consents) > 1:
        raise PolicyMismatch(
            refusal("consent columns", place=permission.place, repr=", ".join(map(repr, sorted(consents))))
        )
    return Branch(
        columns,
        tuple(sorted(masks.items(), key=lambda item: item[0])),
        _comparisons(limit for limit in limits if isinstance(limit, RowFilter)),
        min((limit.percentage for limit in limits if isinstance(limit, Sample)), default=None),
        _anonymity(limits),
        ConsentJoin(consents.pop(), purpose) if consents else None,
    )


def _anonymity(limits: Iterable[DataLimit]) -> Anonymity | None:
    """Who is hidden among k by all quasi-identifiers is hidden among k by some of them."""
    wanted = [limit for limit in limits if isinstance(limit, KAnonymity)]
    if not wanted:
        return None
    names = dict.fromkeys(name for limit in wanted for name in limit.quasi_identifiers)
    return Anonymity(max(limit.k for limit in wanted), tuple(names))


def _aggregation(limits: Iterable[DataLimit]) -> Aggregation | None:
    wanted = [limit for limit in limits if isinstance(limit, AggregateOnly)]
    if not wanted:
        return None
    subjects = {limit.subject for limit in wanted} - {None}
    if len(subjects) > 1:
        raise PolicyMismatch(refusal("subject columns", place=wanted[0].place))
    return Aggregation(max(limit.min_group for limit in wanted), subjects.pop() if subjects else None)


def _comparisons(filters: Iterable[RowFilter]) -> tuple[Comparison, ...]:
    found = []
    for item in filters:
        match item:
            case ColumnFilter():
                found.append(Comparison(item.column, item.operator, item.values))
            case ColumnRegion():
                codes = countries_in(item.regions)
                found.append(Comparison(item.column, Operator.IS_ANY_OF, codes))
    return tuple(found)


def _forbidden(filters: Iterable[RowFilter]) -> tuple[Comparison, ...]:
    """A cell is outside a forbidden region only if it names a country that surely is."""
    return tuple(
        Comparison(item.column, Operator.IS_NONE_OF, countries_outside(item.regions))
        if isinstance(item, ColumnRegion)
        else Comparison(item.column, item.operator, item.values)
        for item in filters
    )
