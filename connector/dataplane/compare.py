"""Rows and comparisons: which cells pass, by pyarrow. What another engine said is checked with this."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from policies.plan import Comparison
from policies.profile import Operator
from schemas.errors import PolicyMismatch

_WIDEST_DECIMAL = 76


def comparable(comparison: Comparison, datatype: pa.DataType) -> tuple[pa.DataType, list[pa.Scalar]]:
    """Return the type in which a column of `datatype` is compared, and the values in that type.

    Raises:
        PolicyMismatch: if a value does not fit the column.
    """
    values = comparison.typed(str(datatype))
    target = datatype
    if pa.types.is_timestamp(datatype) and datatype.unit in ("s", "ms"):
        target = pa.timestamp("us", datatype.tz)
    elif pa.types.is_float16(datatype):
        target = pa.float32()  # half precision has no comparisons of its own
    elif pa.types.is_decimal(datatype):
        target = _decimal_type(
            comparison, datatype, [value for value in values if isinstance(value, Decimal)]
        )
    try:
        if target != datatype and pa.types.is_floating(target):
            values = tuple(float(pa.scalar(value, datatype).as_py()) for value in values)
        scalars = [
            pa.scalar(value).cast(target) if isinstance(value, Decimal) else pa.scalar(value, target)
            for value in values
        ]
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        raise PolicyMismatch(
            f"filter on {comparison.column!r}: {values[0]!r} cannot be compared with type {datatype}"
        ) from None
    return target, scalars


def _decimal_type(comparison: Comparison, datatype: pa.DataType, values: list[Decimal]) -> pa.DataType:
    """Find a decimal type that holds both the column and the values exactly."""
    exponents = [int(value.as_tuple().exponent) for value in values]
    scale = max([datatype.scale, *(-exponent for exponent in exponents)])
    whole = max([datatype.precision - datatype.scale, *(value.adjusted() + 1 for value in values), 1])
    if scale + whole > _WIDEST_DECIMAL:
        raise PolicyMismatch(
            f"filter on {comparison.column!r}: {values[0]} cannot be compared exactly with type {datatype}"
        )
    return pa.decimal256(_WIDEST_DECIMAL, scale)


def row_mask(comparison: Comparison, column: pa.Array) -> pa.Array:
    """Say for each cell whether it passes a comparison; a null cell never does, nor does NaN, its like.

    Shapes: as many booleans as cells, none of them null.
    """
    return pc.fill_null(known(comparison, column), False)


def known(comparison: Comparison, column: pa.Array) -> pa.Array:
    """Say for each cell whether it passes; null where the cell is null or NaN."""
    target, scalars = comparable(comparison, column.type)
    cells = column if column.type == target else column.cast(target)
    is_floating = pa.types.is_floating(target)
    first = scalars[0]
    match comparison.operator:
        case Operator.EQ:
            passed = pc.equal(cells, first)
        case Operator.NEQ:
            passed = pc.not_equal(cells, first)
        case Operator.LT:
            passed = pc.less(cells, first)
        case Operator.LTEQ:
            passed = pc.less_equal(cells, first)
        case Operator.GT:
            passed = pc.greater(cells, first)
        case Operator.GTEQ:
            passed = pc.greater_equal(cells, first)
        case Operator.IS_ANY_OF | Operator.IS_NONE_OF:
            values = [scalar.as_py() for scalar in scalars]
            if is_floating and 0.0 in values:
                values += [0.0, -0.0]  # a set tells them apart, a comparison does not
            found = pc.is_in(cells, pa.array(values, target))
            passed = found if comparison.operator is Operator.IS_ANY_OF else pc.invert(found)
            passed = pc.if_else(pc.is_valid(cells), passed, pa.scalar(None, pa.bool_()))
        case _:
            raise PolicyMismatch(
                f"filter on {comparison.column!r}: operator {comparison.operator} compares no cells"
            )
    if is_floating:
        unknown = pc.fill_null(pc.is_nan(cells), True)
        passed = pc.if_else(unknown, pa.scalar(None, pa.bool_()), passed)
    return passed


def rows_that_pass(predicate: tuple[Comparison, ...], columns: Mapping[str, pa.Array]) -> pa.Array | None:
    """Return which rows pass all comparisons (booleans without nulls); None if there is none to pass."""
    passed = None
    for comparison in predicate:
        mask = row_mask(comparison, columns[comparison.column])
        passed = mask if passed is None else pc.and_(passed, mask)
    return passed


def rows_that_match(
    excluded: tuple[tuple[Comparison, ...], ...], columns: Mapping[str, pa.Array]
) -> pa.Array | None:
    """Return which rows match any conjunction, and so must not leave; None if there is none.

    A comparison with null or NaN cannot be known, and counts as matching.
    """
    found = None
    for conjunction in excluded:
        matched = None
        for comparison in conjunction:
            one = pc.fill_null(known(comparison, columns[comparison.column]), True)
            matched = one if matched is None else pc.and_(matched, one)
        found = matched if found is None else pc.or_(found, matched)
    return found
