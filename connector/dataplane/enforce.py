"""From a scanned batch to what may leave: rows checked again, masks laid, hidden columns dropped.

The scan has applied the row filter already, with another engine. Here every batch is checked once more,
so that an error in either stops the stream instead of leaking a row.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from connector.offering.columns import can_hash, plain_array, streamed_schema, streamed_type
from policies.masking import Masking, MaskKind
from policies.plan import Branch, Comparison, DataPlan
from policies.profile import Operator
from schemas.errors import DataspaceError, PolicyMismatch

HASH_CHARACTERS = 16
"""Hexadecimal characters of a pseudonym: 64 bits."""

MOST_KNOWN = 1 << 16
"""Hashes that one stream keeps."""

_WIDEST_DECIMAL = 76


def mask_key(secret: bytes, agreement: str) -> bytes:
    """Derive the key of an agreement's pseudonyms: under another one the same value looks different."""
    return hmac.digest(secret, b"hansa-mask-1\x00" + agreement.encode(), "sha256")


def comparable(comparison: Comparison, datatype: pa.DataType) -> tuple[pa.DataType, list[pa.Scalar]]:
    """Return the type in which a column of `datatype` is compared, and the values in that type.

    Raises:
        PolicyMismatch: if a value does not fit the column.
    """
    values = comparison.typed(str(datatype))
    target = datatype
    if pa.types.is_timestamp(datatype) and datatype.unit in ("s", "ms"):
        target = pa.timestamp("us", datatype.tz)
    elif pa.types.is_decimal(datatype):
        target = _decimal_type(
            comparison, datatype, [value for value in values if isinstance(value, Decimal)]
        )
    try:
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
    target, scalars = comparable(comparison, column.type)
    cells = column if column.type == target else column.cast(target)
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
            found = pc.is_in(cells, pa.array([scalar.as_py() for scalar in scalars], target))
            passed = found if comparison.operator is Operator.IS_ANY_OF else pc.invert(found)
            passed = pc.and_(passed, pc.is_valid(cells))
        case _:
            raise PolicyMismatch(
                f"filter on {comparison.column!r}: operator {comparison.operator} compares no cells"
            )
    if pa.types.is_floating(target):
        passed = pc.and_(passed, pc.invert(pc.is_nan(cells)))
    return pc.fill_null(passed, False)


def rows_that_pass(predicate: tuple[Comparison, ...], columns: Mapping[str, pa.Array]) -> pa.Array | None:
    """Return which rows pass all comparisons (booleans without nulls); None if there is none to pass."""
    passed = None
    for comparison in predicate:
        mask = row_mask(comparison, columns[comparison.column])
        passed = mask if passed is None else pc.and_(passed, mask)
    return passed


class Pseudonyms:
    """Replaces values by keyed hashes of their text; null stays null.

    Hashes of values that come again are kept, a bounded number of them: columns that are masked often name
    the same few thousand people.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str | bytes, str] = {}

    def of(self, column: pa.Array) -> pa.Array:
        """Return the pseudonyms of a column.

        Shapes: a plain string column of equal length (a dictionary would carry more than it shows).
        """
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(
                pa.timestamp(column.type.unit)
            )  # its text must not hang on a time zone database
        encoded = column.dictionary_encode()
        values = encoded.dictionary
        if not (pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)):
            values = values.cast(pa.binary() if pa.types.is_fixed_size_binary(values.type) else pa.string())
        known = self._known
        if len(known) > MOST_KNOWN:
            known.clear()
        texts = values.to_pylist()
        for text in texts:
            if text not in known:
                raw = text if isinstance(text, bytes) else text.encode()
                known[text] = hmac.digest(self._key, raw, "sha256")[: HASH_CHARACTERS // 2].hex()
        return pa.array([known[text] for text in texts], pa.string()).take(encoded.indices)


def exact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch in buffers that hold its rows and nothing else; no copy where they do already.

    Arrow pads what it sends to 64 bytes, and the padding of a slice is the beginning of the rows after it.
    """
    if batch.get_total_buffer_size() == batch.nbytes:
        return batch
    if batch.num_rows < 2:
        return batch.take(pa.array(range(batch.num_rows), pa.int64()))
    half = batch.num_rows // 2
    return pa.concat_batches([batch.slice(0, half), batch.slice(half)])  # joining always copies, and fast


@dataclass(frozen=True)
class Enforcement:
    """A plan made ready for the batches of one scan.

    Shapes: `schema` is what leaves: released columns in the order of the data, plain types, masked by hash as
    string.
    """

    branch: Branch
    schema: pa.Schema
    pseudonyms: Pseudonyms

    @classmethod
    def of(cls, plan: DataPlan, scanned: pa.Schema, key: bytes) -> Enforcement:
        """Fit a plan to the schema of a scan.

        Raises:
            PolicyMismatch: if the plan names a column that the scan lacks, releases none, or asks for a
                hash of values that have no plain text.
        """
        branch = sole_branch(plan)
        lacking = sorted(plan.named - set(scanned.names))
        if lacking:
            raise PolicyMismatch(f"the plan names column {lacking[0]!r}, which the data lack")
        plain = streamed_schema(scanned)
        fields = [_released(plain.field(name), branch.mask_of(name)) for name in plan.visible(scanned.names)]
        if not fields:
            raise PolicyMismatch("the plan releases no column")
        return cls(branch, pa.schema(fields), Pseudonyms(key))

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return what may leave of a scanned batch.

        Raises:
            DataspaceError: if a row is in the batch that the filter excludes; then nothing of it may leave.
        """
        at = {name: index for index, name in enumerate(batch.schema.names)}
        filtered = {item.column for item in self.branch.predicate}
        seen = {name: _plain(batch.column(at[name])) for name in filtered}
        passed = rows_that_pass(self.branch.predicate, seen)
        if passed is not None and batch.num_rows:
            kept = pc.sum(passed).as_py() or 0
            if kept != batch.num_rows:
                raise DataspaceError(
                    f"the scan let {batch.num_rows - kept} of {batch.num_rows} rows through that the "
                    "policy's row filter excludes; nothing of them was sent; report this"
                )
        columns = [self._release(batch.column(at[field.name]), field) for field in self.schema]
        out = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        # Without a filter the rows after a batch are released too, and need no hiding.
        return exact(out) if self.branch.predicate else out

    def _release(self, column: pa.Array, field: pa.Field) -> pa.Array:
        mask = self.branch.mask_of(field.name)
        if mask is None:
            return plain_array(column, field.type)
        if mask.kind is MaskKind.HASH:
            return self.pseudonyms.of(_plain(column))
        return pa.nulls(len(column), field.type)


def _plain(column: pa.Array) -> pa.Array:
    return plain_array(column, streamed_type(column.type))


def _released(field: pa.Field, mask: Masking | None) -> pa.Field:
    if mask is None:
        return field
    if mask.kind is not MaskKind.HASH:
        return pa.field(field.name, field.type, nullable=True)
    if not can_hash(field.type):
        raise PolicyMismatch(
            f"mask on {field.name!r}: values of type {field.type} cannot be hashed; "
            "use 'null' or leave the column out"
        )
    return pa.field(field.name, pa.string(), field.nullable)


def sole_branch(plan: DataPlan) -> Branch:
    """Return the branch of a plan that has one, and nothing else that would have to be kept."""
    (branch,) = plan.branches
    if branch.sample or branch.anonymity or branch.consent or plan.excluded or plan.apart or plan.aggregate:
        raise PolicyMismatch("the plan asks for more than rows, columns and masks")
    return branch
