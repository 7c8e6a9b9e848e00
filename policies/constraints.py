"""Constraints, one by one: JSON as ODRL writes it -> typed conditions and limits, or a refusal by name.

Source: ODRL Information Model 2.2, constraint class; our profile table.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from policies import operands, profile
from policies.masking import Masking
from policies.operands import OPERANDS
from policies.profile import Operand, Operator
from policies.rules import (
    ColumnFilter,
    ColumnList,
    ColumnMask,
    Combination,
    Condition,
    DataLimit,
    ParticipantLimit,
    PurposeLimit,
    RowLimit,
    TimeLimit,
)
from policies.values import read_count, read_many, read_scalar, read_text, read_time, shown
from schemas.base import IRI_PATTERN
from schemas.errors import PolicyMismatch, UnknownTerm
from schemas.odrl import Constraint

_TICK = timedelta(microseconds=1)
_KNOWN_MEMBERS = "leftOperand, operator, rightOperand, and, or, xone"


def direct_constraints(constraints: Iterable[Constraint], place: str) -> Iterable[tuple[Constraint, str]]:
    """Walk the constraints that must all hold, with their places: a rule's own, and those under its `and`s.

    Raises:
        UnknownTerm: if an `and` carries members that we do not know.
    """
    for index, constraint in enumerate(constraints):
        where = f"{place}.constraint[{index}]"
        yield from _conjuncts(constraint, where)


def _conjuncts(constraint: Constraint, place: str) -> Iterable[tuple[Constraint, str]]:
    if not constraint.and_:
        yield constraint, place
        return
    _refuse_constraint_members(constraint, place)
    for index, part in enumerate(constraint.and_):
        yield from _conjuncts(part, f"{place}.and[{index}]")


def _refuse_constraint_members(constraint: Constraint, place: str) -> None:
    extra = dict(constraint.model_extra or {})
    extra.pop("@id", None)
    if str(extra.get("@type")).rpartition(":")[2] in ("Constraint", "LogicalConstraint"):
        del extra["@type"]
    for name in extra:
        raise UnknownTerm(f"cannot enforce {shown(name)} in {place}; known there: {_KNOWN_MEMBERS}")


def read_condition(constraint: Constraint, place: str) -> Condition:
    """Read a constraint that speaks of the use; one that speaks of the data cannot stand here.

    Raises:
        UnknownTerm, PolicyMismatch, Malformed: as `read_constraint`.
    """
    found = read_constraint(constraint, place)
    if isinstance(found, DataLimit):
        raise UnknownTerm(
            f"cannot enforce {shown(constraint.left_operand)} in {place}; "
            "a limit on the data stands directly in a permission, or under its 'and'"
        )
    return found


def read_constraint(constraint: Constraint, place: str) -> Condition | DataLimit:
    """Read one constraint.

    Raises:
        UnknownTerm: naming a member, operand, operator or purpose that we do not know, and its place.
        PolicyMismatch: naming a value that the operand cannot take.
        Malformed: naming a value that cannot be read at all.
    """
    _refuse_constraint_members(constraint, place)
    if constraint.and_sequence:
        raise UnknownTerm(f"cannot enforce 'andSequence' in {place}; known: and, or, xone")
    for form, parts in (("and", constraint.and_), ("or", constraint.or_), ("xone", constraint.xone)):
        if parts:
            read = tuple(read_condition(part, f"{place}.{form}[{index}]") for index, part in enumerate(parts))
            return Combination(form, read, place)
    spelled = constraint.left_operand or ""
    found = operands.operand_named(spelled)
    if found is None:
        known = ", ".join(operand.name for operand in OPERANDS)
        raise UnknownTerm(f"cannot enforce {shown(spelled)} in {place}; known: {known}")
    operand, column = found
    operator = profile.operator_named(constraint.operator or "")
    if operator not in operand.operators:
        known = ", ".join(operand.operators)
        raise UnknownTerm(
            f"cannot enforce operator {shown(constraint.operator)} of {operand.name} in {place}; "
            f"known: {known}"
        )
    return _atom(operand, column, operator, constraint.right_operand, place)


def _atom(
    operand: Operand, column: str | None, operator: Operator, value: Any, place: str
) -> Condition | DataLimit:
    where = f"{place} ({operand.name})"
    match operand:
        case operands.DATE_TIME:
            return _time_limit(operator, _single(value, where), place, where)
        case operands.PURPOSE:
            names = [read_text(item, where) for item in _values(operator, value, where)]
            return PurposeLimit(operator, tuple(_purpose(name, where) for name in names), place)
        case operands.PARTICIPANT:
            ids = [read_text(item, where) for item in _values(operator, value, where)]
            return ParticipantLimit(tuple(_participant(name, where) for name in ids), place)
        case operands.COLUMNS:
            names = [read_text(item, where) for item in _values(operator, value, where)]
            return ColumnList(tuple(dict.fromkeys(names)), place)
        case operands.MASK:
            return ColumnMask(column or "", Masking.read(_single(value, where), where), place)
        case operands.ROW_COUNT:
            return RowLimit(read_count(_single(value, where), where), place)
        case operands.COLUMN:
            values = tuple(read_scalar(item, where) for item in _values(operator, value, where))
            return ColumnFilter(column or "", operator, values, place)
        case _:
            raise UnknownTerm(f"cannot enforce {operand.name} in {place} yet; leave it out")


def _values(operator: Operator, value: Any, where: str) -> tuple[Any, ...]:
    several = operator in (Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_NONE_OF)
    return read_many(value, where) if several else (_single(value, where),)


def _single(value: Any, where: str) -> Any:
    items = read_many(value, where)
    if len(items) != 1:
        raise PolicyMismatch(f"{where}: {len(items)} values where one is meant; write one, or use isAnyOf")
    return items[0]


def _purpose(name: str, where: str) -> str:
    try:
        return profile.purpose_iri(name)
    except UnknownTerm as error:
        raise UnknownTerm(f"{where}: {error}") from None


def _participant(name: str, where: str) -> str:
    if not IRI_PATTERN.match(name):
        raise PolicyMismatch(
            f"{where}: {shown(name)} is no participant id; write one like did:web:lab.example"
        )
    return name


def _time_limit(operator: Operator, value: Any, place: str, where: str) -> TimeLimit:
    start, after = read_time(value, where)
    whole_day = start != after
    past = after if whole_day or after is None else _next(after)
    since, until = {
        Operator.GTEQ: (start, None),
        Operator.GT: (past, None),
        Operator.LT: (None, start),
        Operator.LTEQ: (None, past),
    }.get(operator, (start, past))
    if operator is Operator.GT and since is None:
        raise PolicyMismatch(f"{where}: nothing comes after {start.date()}; write an earlier time")
    return TimeLimit(operator, start, whole_day, since, until, place)


def _next(instant: datetime) -> datetime | None:
    return instant + _TICK if instant < datetime.max.replace(tzinfo=instant.tzinfo) else None
