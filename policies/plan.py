"""What the data plane must do under a permission: which columns, which masks, which rows.

A plan holds values, never text of a query. Null never compares: a row whose filtered cell is null is
dropped, whatever the operator.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, assert_never

from policies.masking import MaskKind
from policies.profile import Operator
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
    KAnonymity,
    NotTogether,
    RateLimit,
    RowLimit,
    Sample,
)
from policies.values import Scalar, fit_value, tagged
from schemas.canonical import digest
from schemas.errors import PolicyMismatch


class Mask(StrEnum):
    """What a cell is replaced by: a keyed hash of it, or null."""

    HASH = "hash"
    NULL = "null"


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


@dataclass(frozen=True, slots=True)
class DataPlan:
    """What is released: columns (None = all), masks over some, and the rows that pass all comparisons.

    Masks apply after the row filter, so that a filter always sees true values.
    """

    columns: tuple[str, ...] | None = None
    masks: tuple[tuple[str, Mask], ...] = ()
    predicate: tuple[Comparison, ...] = ()

    def visible(self, all_columns: Iterable[str]) -> list[str]:
        """Return the columns that are released, in the order of the data; masked ones are among them."""
        return [name for name in all_columns if self.columns is None or name in self.columns]

    def mask_of(self, column: str) -> Mask | None:
        """Return the mask over a column, if there is one."""
        return next((mask for name, mask in self.masks if name == column), None)

    @property
    def digest(self) -> str:
        """Return `sha256:…` over the plan, equal exactly for plans that do the same by the same words."""
        return digest(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON, in one order."""
        return {
            "columns": sorted(self.columns) if self.columns is not None else None,
            "masks": [[name, mask.value] for name, mask in self.masks],
            "predicate": sorted(
                [item.column, item.operator.value, sorted(tagged(value) for value in item.values)]
                for item in self.predicate
            ),
        }


def _mask(limit: ColumnMask) -> Mask:
    if limit.mask.kind not in (MaskKind.HASH, MaskKind.NULL):
        raise PolicyMismatch(f"{limit.place}: no stream here can keep mask {limit.mask.text!r}; leave it out")
    return Mask(limit.mask.kind.value)


@lru_cache(maxsize=4096)
def plan_for(permission: CompiledPermission) -> DataPlan:
    """Derive the plan: lists of columns intersect, null outdoes hash, all comparisons must hold."""
    columns: tuple[str, ...] | None = None
    masks: dict[str, Mask] = {}
    predicate: list[Comparison] = []
    for limit in permission.limits:
        match limit:
            case ColumnList():
                columns = tuple(name for name in limit.columns if columns is None or name in columns)
            case ColumnMask():
                mask = _mask(limit)
                masks[limit.column] = Mask.NULL if masks.get(limit.column) is Mask.NULL else mask
            case ColumnFilter():
                predicate.append(Comparison(limit.column, limit.operator, limit.values))
            case RowLimit() | ByteLimit() | CountLimit() | RateLimit():
                pass  # counted over the agreement's life: `decision` turns it into the rows still allowed
            case ColumnRegion() | NotTogether() | Sample() | KAnonymity() | AggregateOnly() | Consent():
                raise PolicyMismatch(f"{limit.place}: no stream here can keep this limit; leave it out")
            case _:
                assert_never(limit)
    return DataPlan(columns, tuple(sorted(masks.items())), tuple(predicate))
