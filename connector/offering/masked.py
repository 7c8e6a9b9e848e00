"""Masks over the columns of a file: which fit which type, and the type of what is then released."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pyarrow as pa

from connector.offering.columns import can_hash, is_text
from policies.kinds.masking import Masking, MaskKind
from policies.refusals.refusal import refusal
from schemas.errors import PolicyMismatch

WIDEST_BUCKETED = 36
"""Digits of decimals that can be put into buckets or rounded: what a bucket adds must fit 38."""


def masked_type(name: str, datatype: pa.DataType, mask: Masking) -> pa.DataType:
    """Return the type in which the cells of a column of `datatype` are released under a mask.

    Numbers that are put into buckets or rounded become as wide as their kind gets, since the bucket of the
    smallest small number is no small number.

    Raises:
        PolicyMismatch: naming the column, if the mask cannot be laid over values of its type.
    """
    match mask.kind:
        case MaskKind.NULL:
            return datatype
        case MaskKind.HASH:
            if not can_hash(datatype):
                raise _misfit(name, datatype, mask, "use 'null' or leave the column out")
            return pa.string()
        case MaskKind.REDACT:
            if not is_text(datatype):
                raise _misfit(name, datatype, mask, "use 'null', or redact a column of text")
            return datatype
        case MaskKind.TRUNCATE:
            if not (pa.types.is_date(datatype) or pa.types.is_timestamp(datatype)):
                raise _misfit(name, datatype, mask, "truncate a column of dates or timestamps")
            return datatype
        case MaskKind.BUCKET | MaskKind.ROUND:
            return _number_type(name, datatype, mask)


def _number_type(name: str, datatype: pa.DataType, mask: Masking) -> pa.DataType:
    step = step_of(mask)
    if pa.types.is_floating(datatype):
        return pa.float64()
    if pa.types.is_integer(datatype):
        if mask.kind is MaskKind.ROUND and step <= 1:
            return datatype
        if step != step.to_integral_value() or step >= 2**63:
            raise _misfit(name, datatype, mask, "use a whole number below 2^63")
        return pa.uint64() if pa.types.is_uint64(datatype) else pa.int64()
    if pa.types.is_decimal(datatype):
        smallest = Decimal(1).scaleb(-datatype.scale)
        if mask.kind is MaskKind.ROUND and step <= smallest:
            return datatype
        if datatype.precision > WIDEST_BUCKETED or not 0 <= datatype.scale <= datatype.precision:
            raise _misfit(name, datatype, mask, f"{WIDEST_BUCKETED} digits can be masked so; use 'null'")
        if step % smallest or step.adjusted() >= datatype.precision - datatype.scale:
            raise _misfit(name, datatype, mask, f"use a multiple of {smallest} that the type can hold")
        return pa.decimal128(datatype.precision + 1, datatype.scale)
    raise _misfit(name, datatype, mask, "use it on a column of numbers")


def _misfit(name: str, datatype: pa.DataType, mask: Masking, fix: str) -> PolicyMismatch:
    can = "hashed" if mask.kind is MaskKind.HASH else f"masked by {mask.text!r}"
    return PolicyMismatch(refusal("mask type", column=repr(name), item=str(datatype)[:80], can=can, fix=fix))


def step_of(mask: Masking) -> Decimal:
    """Return the width of the steps in which a bucket or a rounding leaves numbers."""
    argument = Decimal(str(mask.argument))
    return argument if mask.kind is MaskKind.BUCKET else Decimal(1).scaleb(-int(argument))


def released_field(field: pa.Field, masks: Iterable[Masking | None], hidden: bool) -> pa.Field:
    """Return the field in which the cells of a column leave, all the ways together in which rows show it.

    Args:
        field: the column in its plain type.
        masks: how it is shown, by one permission or several; None is unmasked.
        hidden: whether some rows do not show it at all.

    Where numbers are shown exactly in some rows and in buckets in others, both leave in the type of buckets.
    A hash leaves as text; where others see numbers in the same column it has no place, and is null.
    """
    wanted = tuple(dict.fromkeys(masks))
    types = {
        mask: field.type if mask is None else masked_type(field.name, field.type, mask) for mask in wanted
    }
    shown = [
        kind
        for mask, kind in types.items()
        if mask is None or mask.kind not in (MaskKind.NULL, MaskKind.HASH)
    ]
    released = field.type
    if shown:
        released = next((kind for kind in shown if kind != field.type), field.type)
    elif any(mask is not None and mask.kind is MaskKind.HASH for mask in wanted):
        released = pa.string()
    whole = len(wanted) == 1 and (wanted[0] is None or wanted[0].kind is MaskKind.HASH)
    return pa.field(field.name, released, field.nullable or hidden or not whole)
