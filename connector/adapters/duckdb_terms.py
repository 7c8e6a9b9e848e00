"""Comparisons and masks as expressions of DuckDB: objects over columns and constants, never text of a query.

Columns reach DuckDB in forms in which every engine computes alike: dates and times as whole numbers of days
or ticks (no time zone database, no lost nanoseconds), and under names of ours (a name that differs from
another by its case only would be the same column to DuckDB).
"""

from __future__ import annotations

from datetime import date
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

import duckdb
import pyarrow as pa
from duckdb import CaseExpression, ColumnExpression, ConstantExpression, Expression, FunctionExpression

from connector.dataplane.compare import comparable
from connector.dataplane.masks import TICKS, tick_bounds
from connector.dataplane.sample import sample_bound
from connector.offering.columns import can_judge
from connector.offering.masked import masked_type, step_of
from policies.kinds.masking import Masking, MaskKind
from policies.plan import Comparison
from policies.profile import Operator

_SETS = (Operator.IS_ANY_OF, Operator.IS_NONE_OF)
_BIGINT = duckdb.sqltype("BIGINT")
_UBIGINT = duckdb.sqltype("UBIGINT")
_DOUBLE = duckdb.sqltype("DOUBLE")
_DATE = duckdb.sqltype("DATE")


def form_of(datatype: pa.DataType) -> pa.DataType | None:
    """Return the type in which cells of a plain type reach DuckDB; None if they cannot."""
    types = pa.types
    if not can_judge(datatype):
        return None
    if types.is_date32(datatype):
        return pa.int32()
    if types.is_date64(datatype) or types.is_timestamp(datatype):
        return pa.int64()
    if types.is_float16(datatype):
        return pa.float32()
    return pa.decimal128(datatype.precision, datatype.scale) if types.is_decimal(datatype) else datatype


def comparison_term(comparison: Comparison, datatype: pa.DataType, cells: Expression) -> Expression:
    """Return a comparison of a column in its form; null where the cell is null.

    Raises:
        PolicyMismatch: if a value does not fit the column.
    """
    target, scalars = comparable(comparison, datatype)
    types = pa.types
    if types.is_timestamp(datatype):
        ratio = TICKS[target.unit] // TICKS[datatype.unit]
        exact = [Fraction(scalar.cast(pa.int64()).as_py(), ratio) for scalar in scalars]
        return _whole_term(comparison.operator, exact, cells)
    if types.is_decimal(datatype):
        unit = Decimal(1).scaleb(-datatype.scale)
        exact = [Fraction(scalar.as_py()) / Fraction(unit) for scalar in scalars]
        bound = 10**datatype.precision
        return _whole_term(comparison.operator, exact, cells, unit=datatype.scale, bound=bound)
    if types.is_date32(datatype):
        values: list[Any] = [scalar.cast(pa.int32()).as_py() for scalar in scalars]
    elif types.is_date64(datatype):
        values = [scalar.cast(pa.int64()).as_py() for scalar in scalars]
    else:
        values = [scalar.as_py() for scalar in scalars]
    return _term(comparison.operator, [ConstantExpression(value) for value in values], cells)


def _term(operator: Operator, constants: list[Expression], cells: Expression) -> Expression:
    match operator:
        case Operator.EQ:
            return cells == constants[0]
        case Operator.NEQ:
            return cells != constants[0]
        case Operator.LT:
            return cells < constants[0]
        case Operator.LTEQ:
            return cells <= constants[0]
        case Operator.GT:
            return cells > constants[0]
        case Operator.GTEQ:
            return cells >= constants[0]
        case Operator.IS_ANY_OF:
            return cells.isin(*constants)
        case _:
            return cells.isnotin(*constants)


def _whole_term(
    operator: Operator, values: list[Fraction], cells: Expression, unit: int = 0, bound: int = 2**63
) -> Expression:
    """Compare cells that are whole numbers of units with values that may lie between two.

    What is below 2.5 is at most 2; what is beyond the bound every cell of the type is below.
    """
    if operator in (Operator.EQ, Operator.NEQ) or operator in _SETS:
        held = [int(value) for value in values if value.denominator == 1 and abs(value) < bound]
        negated = operator in (Operator.NEQ, Operator.IS_NONE_OF)
        if not held:
            return _always(cells, negated)
        constants = [_constant(value, unit) for value in held]
        return cells.isnotin(*constants) if negated else cells.isin(*constants)
    floor = values[0].numerator // values[0].denominator
    is_whole = values[0].denominator == 1
    at_most = operator in (Operator.LT, Operator.LTEQ)
    if operator is Operator.LT and is_whole:
        floor -= 1
    if operator is Operator.GTEQ and is_whole:
        floor -= 1
    # Now LT and LTEQ ask for "at most floor", GT and GTEQ for "above floor".
    if floor >= bound:
        return _always(cells, at_most)
    if floor < -bound:
        return _always(cells, not at_most)
    if floor == -bound and bound != 2**63:
        return _always(cells, not at_most)
    constant = _constant(floor, unit)
    return cells <= constant if at_most else cells > constant


def _constant(value: int, unit: int) -> Expression:
    with localcontext(Context(prec=100)):
        return ConstantExpression(Decimal(value).scaleb(-unit) if unit else value)


def _always(cells: Expression, answer: bool) -> Expression:
    """Answer the same for every cell, null for a null one."""
    return CaseExpression(cells.isnotnull(), ConstantExpression(answer))


def coarse_term(mask: Masking, name: str, datatype: pa.DataType, cells: Expression) -> Expression:
    """Return a column in its form under a bucket, a rounding or a truncation.

    Shapes: in the form of `masked_type`; null where there is no bucket, as `masks.coarsened` says.
    """
    wanted = masked_type(name, datatype, mask)
    if mask.kind is MaskKind.TRUNCATE:
        return _truncated(datatype, str(mask.argument), cells)
    if pa.types.is_floating(datatype):
        return _floored_float(mask, cells)
    step = step_of(mask)
    if wanted == datatype and mask.kind is MaskKind.ROUND and _keeps_all(step, datatype):
        return cells
    is_rounding = mask.kind is MaskKind.ROUND
    if pa.types.is_integer(datatype):
        return _floored_integer(int(step), is_rounding, wanted, cells)
    # Every constant with the column's scale, so that DuckDB widens no type beyond what it has.
    number = step.quantize(Decimal(1).scaleb(-datatype.scale), context=Context(prec=100))
    rest = _rest(cells, ConstantExpression(number))
    floored = cells - rest
    if is_rounding:
        half = ConstantExpression(step / 2)
        floored = CaseExpression(rest >= half, floored + ConstantExpression(number)).otherwise(floored)
    return floored.cast(duckdb.decimal_type(wanted.precision, wanted.scale))


def _keeps_all(step: Decimal, datatype: pa.DataType) -> bool:
    scale = datatype.scale if pa.types.is_decimal(datatype) else 0
    return step <= Decimal(1).scaleb(-scale)


def _rest(cells: Expression, step: Expression) -> Expression:
    """Return what is above the multiple below: DuckDB's own remainder has the sign of the number."""
    rest = cells % step
    return CaseExpression(rest < ConstantExpression(0), rest + step).otherwise(rest)


def _floored_integer(step: int, is_rounding: bool, wanted: pa.DataType, cells: Expression) -> Expression:
    signed = not pa.types.is_uint64(wanted)
    cells = cells.cast(_BIGINT if signed else _UBIGINT)
    inside = cells >= ConstantExpression(-(2**63) + step if signed else 0)
    if is_rounding:
        inside = inside & (cells <= ConstantExpression((2**63 if signed else 2**64) - 1 - step))
    safe = CaseExpression(inside, cells)
    rest = _rest(safe, ConstantExpression(step))
    floored = safe - rest
    if is_rounding:
        up = rest >= ConstantExpression((step + 1) // 2)
        floored = CaseExpression(up, floored + ConstantExpression(step)).otherwise(floored)
    return floored.cast(_BIGINT if signed else _UBIGINT)


def _floored_float(mask: Masking, cells: Expression) -> Expression:
    cells = cells.cast(_DOUBLE)
    if mask.kind is MaskKind.BUCKET:
        step = ConstantExpression(float(step_of(mask)))
        floored = FunctionExpression("floor", cells / step) * step
    else:
        digits = int(Decimal(str(mask.argument)))
        power = ConstantExpression(float(10 ** abs(digits)))
        scaled = cells * power if digits >= 0 else cells / power
        whole = FunctionExpression("floor", scaled + ConstantExpression(0.5))
        floored = whole / power if digits >= 0 else whole * power
    return CaseExpression(FunctionExpression("isfinite", floored), floored)


def _truncated(datatype: pa.DataType, unit: str, cells: Expression) -> Expression:
    if pa.types.is_date32(datatype):
        day, hour = 1, 1
    else:
        ticks = TICKS["ms"] if pa.types.is_date64(datatype) else TICKS[datatype.unit]
        day, hour = 86_400 * ticks, 3_600 * ticks
    lowest, highest = tick_bounds(day)
    inside = (cells >= ConstantExpression(lowest)) & (cells <= ConstantExpression(highest))
    safe = CaseExpression(inside, cells.cast(_BIGINT))
    if unit == "hour":
        return safe - _rest(safe, ConstantExpression(hour))
    start = safe - _rest(safe, ConstantExpression(day))
    if unit == "day":
        return start
    if unit == "week":  # 1970-01-01 was a Thursday, three days after a Monday
        shifted = start + ConstantExpression(3 * day)
        return shifted - _rest(shifted, ConstantExpression(7 * day)) - ConstantExpression(3 * day)
    days = FunctionExpression("divide", start, ConstantExpression(day))
    epoch = ConstantExpression(date(1970, 1, 1))
    first = FunctionExpression(
        "date_trunc", ConstantExpression(unit), epoch + days.cast(duckdb.sqltype("INTEGER"))
    )
    return (first.cast(_DATE) - epoch) * ConstantExpression(day)


def sample_term(percentage: Decimal, drawn: Expression) -> Expression:
    """Say whether a row is in the sample, by what was drawn for its position in the file."""
    return drawn < ConstantExpression(sample_bound(percentage)).cast(_UBIGINT)


def class_term(cells: list[Expression]) -> Expression:
    """Return a number for the class of a row: the same for equal values, null among them."""
    return FunctionExpression("hash", *cells)


def unsigned_zero(cells: Expression, datatype: pa.DataType) -> Expression:
    """Return cells in which zero, which has two signs in floating point, is one value."""
    return cells + ConstantExpression(0.0) if pa.types.is_floating(datatype) else cells


def named(index: int) -> str:
    """Return the name under which a column is known to DuckDB."""
    return f"c{index}"


def column(name: str) -> Expression:
    """Return a column by the name that we gave it."""
    return ColumnExpression(name)
