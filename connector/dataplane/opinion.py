"""The second opinion: which rows a branch of a plan covers, by pyarrow alone, from the cells as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from connector.dataplane.compare import rows_that_match, rows_that_pass
from connector.dataplane.sample import sample_bound
from policies.plan import Branch, Comparison
from schemas.errors import PolicyMismatch

Cells: TypeAlias = Any
"""An array, whole or in chunks; pyarrow ships no types."""


def subjects(cells: Cells) -> Cells:
    """Return subjects as text, so that a number here and its digits there name the same person.

    Raises:
        PolicyMismatch: if values of that type name nobody.
    """
    types = pa.types
    if types.is_string(cells.type) or types.is_large_string(cells.type) or types.is_integer(cells.type):
        return cells.cast(pa.string())
    raise PolicyMismatch(f"a column of type {cells.type} names no subjects; use text or whole numbers")


def who_consent(cells: Cells, consenting: pa.Array) -> Cells:
    """Say of each cell whether its subject is among those who consent; nobody is named by null."""
    return pc.is_in(subjects(cells), consenting, skip_nulls=True)


def covered(
    branch: Branch,
    excluded: tuple[tuple[Comparison, ...], ...],
    cells: Mapping[str, Cells],
    drawn: pa.Array,
    consenting: pa.Array | None,
) -> Cells:
    """Say which rows a branch covers before classes are counted: by filter, sample, consents, prohibitions.

    `drawn` is what was drawn for each row (nulls where there is no sample), `consenting` who consents.

    Shapes: as many booleans as rows, none of them null.
    """
    passed = pa.repeat(True, len(drawn))
    if (filtered := rows_that_pass(branch.predicate, cells)) is not None:
        passed = pc.and_(passed, filtered)
    if (matched := rows_that_match(excluded, cells)) is not None:
        passed = pc.and_(passed, pc.invert(matched))
    if branch.sample is not None:
        passed = pc.and_(passed, in_sample(drawn, branch))
    if branch.consent is not None:
        nobody = pa.array([], pa.string())
        who = who_consent(cells[branch.consent.column], nobody if consenting is None else consenting)
        passed = pc.and_(passed, who)
    return passed


def in_sample(drawn: pa.Array, branch: Branch) -> pa.Array:
    """Say which rows are in the sample of a branch, by what was drawn for each."""
    if branch.sample is None or branch.sample >= 100:
        return pa.repeat(True, len(drawn))
    return pc.less(drawn, pa.scalar(sample_bound(branch.sample), pa.uint64()))
