"""The constraints of a rule: JSON as ODRL writes it -> typed conditions and limits, or a refusal by name.

Some terms explain another: a time zone the times of the day, a unit a count. Such a term stands beside its
partner, in the same rule or under the same `and`, and is gathered before the partner is read.

Source: ODRL Information Model 2.2, constraint class; our profile table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies import operands, readings
from policies.kinds.values import read_scalar, shown
from policies.operands import OPERANDS, operand_named
from policies.profile import Operand, Operator, Role, operator_named
from policies.refusals.refusal import refusal
from policies.rules import (
    AggregateOnly,
    ByteLimit,
    ColumnFilter,
    ColumnList,
    ColumnMask,
    ColumnRegion,
    Combination,
    Condition,
    Consent,
    CountLimit,
    CountUnit,
    DataLimit,
    KAnonymity,
    NotTogether,
    RateLimit,
    Revocable,
    RowLimit,
    Sample,
    Since,
)
from schemas.errors import PolicyMismatch, UnknownTerm
from schemas.odrl import Constraint

_KNOWN_MEMBERS = "leftOperand, operator, rightOperand, and, or, xone"
LEAST_GROUP = 10
"""The least size of a group of statistics, unless `hansa:minGroupSize` states another."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One comparison, its operand and operator looked up, its value not yet read."""

    operand: Operand
    named: str
    operator: Operator
    value: Any
    place: str

    @property
    def where(self) -> str:
        """The place and the term, as messages name them."""
        return f"{self.place} ({self.operand.name})"


@dataclass(slots=True)
class Scope:
    """What stands beside a constraint, and what is to be said of the rule besides its terms.

    `own` are the terms of this group, by operand; `outer` is the group around it. `used` are the places of
    those that explained something.
    """

    own: Mapping[str, Atom]
    outer: Scope | None = None
    used: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def beside(self, operand: Operand) -> Atom | None:
        """Return the nearest term that explains the one that is read."""
        atom = self.own.get(operand.iri)
        if atom is not None:
            self.used.add(atom.place)
            return atom
        return self.outer.beside(operand) if self.outer is not None else None

    def refuse_unused(self) -> None:
        """Refuse what stands beside nothing that it could explain.

        Raises:
            PolicyMismatch: naming it, and its partner.
        """
        for atom in self.own.values():
            if atom.place not in self.used:
                partners = " or ".join(row.name for row in OPERANDS if row.iri in atom.operand.beside)
                raise PolicyMismatch(refusal("explains beside", where=atom.where, partners=partners))


def direct_constraints(
    constraints: Iterable[Constraint], place: str, warnings: list[str]
) -> Iterable[tuple[Constraint, str, Scope]]:
    """Walk the constraints that must all hold, with their places and what stands beside them.

    These are a rule's own, and those under its `and`s; terms that only explain others are not among them.

    Raises:
        UnknownTerm: if an `and` carries members that we do not know.
        PolicyMismatch: if a term explains nothing, or the same is said twice.
    """
    placed = [(item, f"{place}.constraint[{index}]") for index, item in enumerate(constraints)]
    yield from _group(placed, None, warnings)


def _group(
    placed: list[tuple[Constraint, str]], outer: Scope | None, warnings: list[str]
) -> Iterable[tuple[Constraint, str, Scope]]:
    scope = Scope(_own(placed), outer, warnings=warnings)
    explaining = {atom.place for atom in scope.own.values()}
    for constraint, where in placed:
        if where in explaining:
            continue
        if not constraint.and_:
            yield constraint, where, scope
            continue
        _refuse_constraint_members(constraint, where)
        parts = [(part, f"{where}.and[{index}]") for index, part in enumerate(constraint.and_)]
        yield from _group(parts, scope, warnings)
    scope.refuse_unused()


def _own(placed: list[tuple[Constraint, str]]) -> dict[str, Atom]:
    own: dict[str, Atom] = {}
    for constraint, where in placed:
        found = operand_named(constraint.left_operand or "")
        if found is None or found[0].role is not Role.BESIDE:
            continue
        atom = _atom_of(constraint, where)
        if atom.operand.iri in own:
            raise PolicyMismatch(
                refusal("said twice also", where=atom.where, place=own[atom.operand.iri].place)
            )
        own[atom.operand.iri] = atom
    return own


def _refuse_constraint_members(constraint: Constraint, place: str) -> None:
    extra = dict(constraint.model_extra or {})
    extra.pop("@id", None)
    if str(extra.get("@type")).rpartition(":")[2] in ("Constraint", "LogicalConstraint"):
        del extra["@type"]
    for name in extra:
        raise UnknownTerm(refusal("member", name=shown(name), place=place, known_members=_KNOWN_MEMBERS))


def _atom_of(constraint: Constraint, place: str) -> Atom:
    _refuse_constraint_members(constraint, place)
    spelled = constraint.left_operand or ""
    found = operand_named(spelled)
    if found is None:
        known = ", ".join(operand.name for operand in OPERANDS)
        raise UnknownTerm(refusal("operand", spelled=shown(spelled), place=place, known=known))
    operand, named = found
    operator = operator_named(constraint.operator or "")
    if operator not in operand.operators:
        known = ", ".join(operand.operators)
        raise UnknownTerm(
            refusal(
                "operator", operator=shown(constraint.operator), name=operand.name, place=place, known=known
            )
        )
    return Atom(operand, named or "", operator, constraint.right_operand, place)


def read_condition(constraint: Constraint, place: str, scope: Scope) -> Condition:
    """Read a constraint that speaks of the use; one that speaks of the data cannot stand here.

    Raises:
        UnknownTerm, PolicyMismatch, Malformed: as `read_constraint`.
    """
    found = read_constraint(constraint, place, scope)
    if isinstance(found, DataLimit | Revocable | Atom):
        operand = operand_named(constraint.left_operand or "")
        stands = operand[0].role.value if operand is not None else Role.DATA.value
        raise UnknownTerm(
            refusal("stands", left_operand=shown(constraint.left_operand), place=place, stands=stands)
        )
    return found


def read_constraint(
    constraint: Constraint, place: str, scope: Scope
) -> Condition | DataLimit | Revocable | Atom:
    """Read one constraint; what only an obligation can say comes back unread.

    Raises:
        UnknownTerm: naming a member, operand, operator or purpose that we do not know, and its place.
        PolicyMismatch: naming a value that the operand cannot take.
        Malformed: naming a value that cannot be read at all.
    """
    if constraint.and_sequence:
        raise UnknownTerm(refusal("sequence", place=place))
    for form, parts in (("or", constraint.or_), ("xone", constraint.xone)):
        if parts:
            _refuse_constraint_members(constraint, place)
            read = tuple(
                read_condition(part, f"{place}.{form}[{index}]", scope) for index, part in enumerate(parts)
            )
            return Combination(form, read, place)
    if constraint.and_:
        # Only under `or` and `xone`: what stands directly in a rule was walked by `direct_constraints`.
        group = _group([(constraint, place)], scope, scope.warnings)
        return Combination("and", tuple(read_condition(*item) for item in group), place)
    atom = _atom_of(constraint, place)
    match atom.operand.role:
        case Role.DATA:
            return _data_limit(atom, scope)
        case Role.RULE:
            readings.read_true(atom.value, atom.where)
            notice = scope.beside(operands.NOTICE)
            return Revocable(readings.read_fixed(notice.value, notice.where) if notice else None, place)
        case Role.BESIDE:
            raise PolicyMismatch(refusal("explains directly", where=atom.where))
        case Role.DUTY:
            return atom
        case Role.USE:
            return _use_condition(atom, scope)


def _use_condition(atom: Atom, scope: Scope) -> Condition:
    operator, value, place, where = atom.operator, atom.value, atom.place, atom.where
    match atom.operand:
        case operands.DATE_TIME:
            said = readings.single(value, where)
            limit = readings.read_time_limit(operator, said, place, where)
            if warning := readings.zoneless(said, where):
                scope.warnings.append(warning)
            return limit
        case operands.ELAPSED:
            return readings.read_elapsed(operator, Since.AGREEMENT, value, place, where)
        case operands.ELAPSED_SINCE_DELIVERY:
            return readings.read_elapsed(operator, Since.DELIVERY, value, place, where)
        case operands.DAY_OF_WEEK:
            return readings.read_days(operator, value, _zone(scope), place, where)
        case operands.TIME_OF_DAY:
            return readings.read_windows(operator, value, _zone(scope), place, where)
        case _:
            return readings.read_use_condition(atom.operand, atom.named, operator, value, place)


def _zone(scope: Scope) -> str:
    said = scope.beside(operands.TIME_ZONE)
    return readings.read_zone(said.value, said.where) if said is not None else "UTC"


def _data_limit(atom: Atom, scope: Scope) -> DataLimit:
    operator, value, place, where = atom.operator, atom.value, atom.place, atom.where
    match atom.operand:
        case operands.COLUMN:
            values = tuple(read_scalar(item, where) for item in readings.values_of(operator, value, where))
            return ColumnFilter(atom.named, operator, values, place)
        case operands.ROW_SPATIAL:
            names = readings.names_of(operator, value, where)
            return ColumnRegion(atom.named, readings.read_regions(names, where), place)
        case operands.COLUMNS:
            return ColumnList(readings.names_of(operator, value, where), place)
        case operands.MASK:
            return ColumnMask(atom.named, readings.read_mask(value, where), place)
        case operands.NOT_TOGETHER:
            names = readings.names_of(operator, value, where)
            if len(names) < 2:
                raise PolicyMismatch(refusal("alone apart", where=where))
            return NotTogether(names, place)
        case operands.PERCENTAGE:
            return Sample(readings.read_percentage(value, where), place)
        case operands.K_ANONYMITY:
            return _anonymity(atom, scope)
        case operands.AGGREGATE_ONLY:
            return _aggregate(atom, scope)
        case operands.CONSENT:
            readings.read_word(value, ("given",), where)
            return Consent(atom.named, place)
        case _:
            return _counted(atom, scope)


def _anonymity(atom: Atom, scope: Scope) -> KAnonymity:
    k = readings.read_group_size(atom.value, atom.where)
    names = scope.beside(operands.QUASI_IDENTIFIERS)
    if names is None:
        raise PolicyMismatch(refusal("no quasi", where=atom.where))
    return KAnonymity(k, readings.names_of(names.operator, names.value, names.where), atom.place)


def _aggregate(atom: Atom, scope: Scope) -> AggregateOnly:
    readings.read_true(atom.value, atom.where)
    size, subject = scope.beside(operands.MIN_GROUP_SIZE), scope.beside(operands.SUBJECT)
    return AggregateOnly(
        readings.read_group_size(size.value, size.where) if size is not None else LEAST_GROUP,
        readings.read_column(subject.value, subject.where) if subject is not None else None,
        atom.place,
    )


def _counted(atom: Atom, scope: Scope) -> DataLimit:
    if atom.operand is operands.RATE:
        return RateLimit(*readings.read_rate(atom.value, atom.where), atom.place)
    most = readings.read_most(atom.operator, atom.value, atom.where)
    if atom.operand is operands.ROW_COUNT:
        return RowLimit(most, atom.place)
    if atom.operand is operands.BYTE_COUNT:
        return ByteLimit(most, atom.place)
    said = scope.beside(operands.UNIT_OF_COUNT)
    unit = readings.read_unit(said.value, said.where) if said is not None else CountUnit.REQUEST
    if isinstance(unit, CountUnit):
        return CountLimit(unit, most, atom.place)
    return RowLimit(most, atom.place) if unit == "row" else ByteLimit(most, atom.place)
