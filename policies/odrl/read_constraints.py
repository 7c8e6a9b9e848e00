"""Constraints and the values in them: graph -> model; and what every part of the reader shares.

Source: ODRL Information Model 2.2, section 2.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta, tzinfo
from decimal import Decimal
from typing import Literal as OneOf
from typing import cast

from policies.algebra.lengths import Months
from policies.odrl import literals
from policies.odrl.graph import Blank, Graph, Literal, Named, Term
from policies.odrl.model import Condition, Constraint, Iri, Logical, Stretch, Typed, Value
from policies.odrl.vocabulary import (
    ALIASES,
    ANNOTATIONS,
    CONSTRAINT_MEMBERS,
    DURATION,
    FORMS,
    NUMBER,
    OPERANDS,
    OPERATORS,
    RDF,
    TIME,
    UNITS,
)
from policies.refusals.refusal import refusal
from schemas.errors import Malformed, PolicyCycle, PolicyMismatch, TooLarge, UnknownTerm
from schemas.vocab import ODRL, PREFIXES, XSD

MOST_CONSTRAINTS = 2_000
"""Constraints and rules of one document, each counted as often as it is said."""
DEEPEST = 16
"""How deep constraints and duties may stand in one another."""
MOST_WARNINGS = 200
_OLD_MEMBERS = frozenset({"uid", "operator", "operand", "constraint"})


@dataclass(frozen=True, slots=True)
class Demands:
    """How much a reader asks of a policy; the default asks for all.

    Attributes:
        terms: every action, operand, unit, profile and member is one of ODRL's or of those given here.
        parties: an Offer has an assigner, an Agreement an assigner and an assignee.
        actions: every rule has an action.
        known_actions: further actions, and the one that includes each.
        known_operands: further left operands.
        known_profiles: profiles whose terms are among those.
        known_spaces: namespaces of which every action, operand and unit is known; somebody else checks them.
        zone: whose time it is where a value states no zone; None leaves it open, and so partly unknown.
    """

    terms: bool = True
    parties: bool = True
    actions: bool = True
    known_actions: Mapping[str, str | None] = field(default_factory=dict)
    known_operands: frozenset[str] = frozenset()
    known_profiles: frozenset[str] = frozenset()
    known_spaces: tuple[str, ...] = ()
    zone: tzinfo | None = UTC


LENIENT = Demands(terms=False, parties=False, actions=False)
"""For the policies of others that are only looked at: unknown terms stay, and are warned of."""


@dataclass(slots=True)
class Desk:
    """What every part of the reader works on: the graph, the demands, the warnings and the budget."""

    graph: Graph
    demands: Demands
    warnings: list[str] = field(default_factory=list)
    spent: int = 0

    def warn(self, place: str, text: str) -> None:
        """Note something that was understood, but is better written otherwise."""
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(f"{place}: {text}")

    def spend(self, count: int = 1) -> None:
        """Count rules and constraints.

        Raises:
            TooLarge: past the bound.
        """
        self.spent += count
        if self.spent > MOST_CONSTRAINTS:
            raise TooLarge(refusal("constraints", most=MOST_CONSTRAINTS))

    def enter(self, node: Term, path: tuple[Term, ...], place: str) -> tuple[Term, ...]:
        """Step into a node.

        Raises:
            PolicyCycle: if we are in it already.
            TooLarge: if we are too deep.
        """
        if node in path:
            raise PolicyCycle(refusal("holds itself", place=place, node=shown(node)))
        if len(path) >= DEEPEST:
            raise TooLarge(refusal("deep", place=place, deepest=DEEPEST))
        return (*path, node)

    def one(self, node: Term, name: str, place: str) -> Term | None:
        """Return the only value of a property, or None.

        Raises:
            Malformed: if there are several.
        """
        found = self.graph.objects(node, name if ":" in name else ODRL + name)
        if len(found) > 1:
            raise Malformed(refusal("several values", place=place, count=len(found), name=name))
        return found[0] if found else None

    def is_ours(self, iri: str) -> bool:
        """Say whether a term is of a namespace that somebody else checks."""
        return bool(self.demands.known_spaces) and iri.startswith(self.demands.known_spaces)

    def unknown(self, text: str, place: str, known: Iterable[str]) -> None:
        """Refuse a word that we do not know, or let it pass with a warning where terms are not demanded."""
        names = ", ".join(sorted({shorter(name) for name in known}))
        text = refusal("not evaluated", text=text, place=place, names=names)
        if self.demands.terms:
            raise UnknownTerm(text)
        self.warn(place, text)

    def check_members(self, node: Term, place: str, known: frozenset[str], only_odrl: bool = False) -> None:
        """Look for members that nobody here understands: to leave one out could widen a policy."""
        if isinstance(node, Literal):
            return
        for name in self.graph.nodes.get(node, {}):
            bare = name.removeprefix(ODRL)
            if bare in known or name.startswith((RDF, *ANNOTATIONS)):
                continue
            if only_odrl and bare == name:
                continue
            self.unknown(f"{shorter(name)!r}", place, known)


def shorter(iri: str) -> str:
    """Write an IRI for people: ODRL's own names bare, others with a known prefix."""
    if iri.startswith(ODRL):
        return iri.removeprefix(ODRL)
    for prefix, base in PREFIXES.items():
        if iri.startswith(base):
            return f"{prefix}:{iri[len(base) :]}"
    return iri[:120]


def shown(term: Term) -> str:
    """Write a node for a message."""
    if isinstance(term, Blank):
        return "a node without a name"
    return repr(shorter(term.iri)) if isinstance(term, Named) else repr(term.text[:80])


def named(desk: Desk, term: Term, what: str, place: str) -> str:
    """Return an IRI; a text that spells one is taken with a warning.

    Raises:
        Malformed: if it is neither.
    """
    if isinstance(term, Named):
        return term.iri
    if isinstance(term, Literal) and term.datatype in (XSD + "string", XSD + "anyURI"):
        prefix, colon, rest = term.text.partition(":")
        if colon and prefix and " " not in term.text:
            desk.warn(place, f"{what} is the text {term.text[:80]!r}, taken as an IRI; write it as one")
            known = PREFIXES.get(prefix)
            return known + rest if known and not rest.startswith("//") else term.text
    raise Malformed(f"{place}: {what} is {shown(term)}; write an IRI")


def read_conditions(
    desk: Desk, nodes: Iterable[Term], place: str, path: tuple[Term, ...]
) -> tuple[Condition, ...]:
    """Read constraints that must all hold; `place` ends with the property that they are values of."""
    found = [item for node in nodes for item in desk.graph.items(node, place)]
    return tuple(read_condition(desk, node, f"{place}[{at}]", path) for at, node in enumerate(found))


def read_condition(desk: Desk, node: Term, place: str, path: tuple[Term, ...]) -> Condition:
    """Read one constraint, or a combination of them.

    Raises:
        UnknownTerm: naming an operand, operator, unit or member that we do not know.
        PolicyMismatch: naming a value that its operand cannot take.
        Malformed, PolicyCycle, TooLarge: naming the place.
    """
    path = desk.enter(node, path, place)
    desk.spend()
    name = node.iri if isinstance(node, Named) else f"_:{place}"
    if isinstance(node, Literal) or node not in desk.graph.nodes:
        raise Malformed(refusal("not described", place=place, node=shown(node)))
    old = [form for form in FORMS if Named(ODRL + form) in desk.graph.objects(node, ODRL + "operator")]
    if old and not desk.graph.objects(node, ODRL + "leftOperand"):
        return _old_logical(desk, node, old[0], place, path)
    desk.check_members(node, place, CONSTRAINT_MEMBERS)
    forms = [form for form in FORMS if desk.graph.objects(node, ODRL + form)]
    if forms:
        return _logical(desk, node, forms, place, path)
    return _atomic(desk, node, name, place)


def _old_logical(desk: Desk, node: Term, form: str, place: str, path: tuple[Term, ...]) -> Logical:
    """Read the form of ODRL 2.1: the combination as an operator, its parts as operands or constraints."""
    desk.check_members(node, place, _OLD_MEMBERS)
    desk.warn(place, f"{form!r} stands as an operator, as in ODRL 2.1; write it as a property")
    found = [item for name in ("operand", "constraint") for item in desk.graph.objects(node, ODRL + name)]
    return _combined(desk, node, form, found, (place, path))


def _logical(desk: Desk, node: Term, forms: list[str], place: str, path: tuple[Term, ...]) -> Logical:
    if len(forms) > 1 or desk.graph.objects(node, ODRL + "leftOperand"):
        said = ", ".join(forms)
        raise Malformed(refusal("two forms", place=place, said=said))
    return _combined(desk, node, forms[0], desk.graph.objects(node, ODRL + forms[0]), (place, path))


def _combined(
    desk: Desk, node: Term, form: str, nodes: Iterable[Term], spot: tuple[str, tuple[Term, ...]]
) -> Logical:
    place, path = spot
    parts = read_conditions(desk, nodes, f"{place}.{form}", path)
    if not parts:
        raise Malformed(refusal("empty form", place=place, form=form))
    name = node.iri if isinstance(node, Named) else f"_:{place}"
    return Logical(name, cast("OneOf['and', 'or', 'xone', 'andSequence']", form), parts)


def _atomic(desk: Desk, node: Term, name: str, place: str) -> Constraint:
    left, verb = desk.one(node, "leftOperand", place), desk.one(node, "operator", place)
    if left is None or verb is None:
        missing = "leftOperand" if left is None else "operator"
        raise Malformed(refusal("missing side", place=place, missing=missing))
    operand = _alias(desk, named(desk, left, "leftOperand", place), place)
    if operand not in OPERANDS and operand not in desk.demands.known_operands and not desk.is_ours(operand):
        desk.unknown(f"operand {shorter(operand)!r}", place, (*OPERANDS, *desk.demands.known_operands))
    operator = _alias(desk, named(desk, verb, "operator", place), place)
    if operator.removeprefix(ODRL) not in OPERATORS or not operator.startswith(ODRL):
        raise UnknownTerm(
            refusal(
                "not evaluated",
                text=f"operator {shorter(operator)!r}",
                place=place,
                names=", ".join(OPERATORS),
            )
        )
    datatype = _iri_of(desk, node, "dataType", place) or _iri_of(desk, node, "datatype", place)
    unit = _iri_of(desk, node, "unit", place)
    if unit is not None and unit not in UNITS and not desk.is_ours(unit):
        desk.unknown(f"unit {shorter(unit)!r}", place, ("a QUDT, DBpedia or UCUM unit of the pinned table",))
    rights = [
        item
        for value in desk.graph.objects(node, ODRL + "rightOperand")
        for item in desk.graph.items(value, place)
    ]
    desk.spend(len(rights) // 8)
    reference = _iri_of(desk, node, "rightOperandReference", place)
    if not rights and reference is None:
        raise Malformed(refusal("no right side", place=place, operand=shorter(operand)))
    status = desk.one(node, "status", place)
    if status is not None:
        desk.warn(place, f"status says what {shorter(operand)} was once; what it is now is looked at instead")
    return Constraint(
        id=name,
        operand=operand,
        operator=operator,
        values=tuple(_right(desk, item, operand, datatype, place) for item in rights),
        unit=unit,
        datatype=datatype,
        reference=reference,
        status=None if status is None else _right(desk, status, operand, None, place),
    )


def _alias(desk: Desk, iri: str, place: str) -> str:
    meant = ALIASES.get(iri)
    if meant is None:
        return iri
    desk.warn(place, f"{shorter(iri)!r} is taken as {shorter(meant)!r}; write that")
    return meant


def _iri_of(desk: Desk, node: Term, name: str, place: str) -> str | None:
    found = desk.one(node, name, place)
    return None if found is None else named(desk, found, name, place)


def _right(desk: Desk, term: Term, operand: str, datatype: str | None, place: str) -> Value:
    if isinstance(term, Named):
        return Iri(term.iri)
    if isinstance(term, Blank):
        raise Malformed(f"{place}: rightOperand is a node without a name; write a value or an IRI")
    kind = OPERANDS.get(operand)
    written = datatype if datatype and term.datatype == XSD + "string" else term.datatype
    if term.language is not None:
        written = XSD + "string"

    def warn(text: str) -> None:
        desk.warn(place, text)

    if written == XSD + "string" and kind in (TIME, DURATION, NUMBER):
        value = _untyped(term.text, kind, warn, desk.demands.zone)
    else:
        value = literals.read_literal(term.text, written, warn, desk.demands.zone)
        if value is not None and not _fits(value, kind):
            value = None
    if value is not None:
        return value
    wanted = {TIME: "2026-12-01T00:00:00Z", DURATION: "P30D", NUMBER: "5"}.get(kind or "", "one of its type")
    text = (
        f"{place}: {term.text[:80]!r} of type {shorter(written)} is not a value for {shorter(operand)}; "
        f"write one like {wanted}"
    )
    if desk.demands.terms:
        raise PolicyMismatch(text)
    desk.warn(place, text)
    return Typed(term.text, written)  # equal to nothing else, and known to differ from nothing


def _untyped(text: str, kind: str, warn: literals.Warn, zone: tzinfo | None) -> Value | None:
    """Read a text by what its operand takes."""
    value: Value | None
    if kind == TIME:
        value = literals.read_date(text, warn, zone)
        value = literals.read_time(text, warn, zone) if value is None else value
    elif kind == DURATION:
        value = literals.read_literal(text, XSD + "duration", warn)
    else:
        value = literals.read_number(text)
    if value is not None:
        warn(f"{text[:80]!r} has no datatype and is taken as a {kind}; state its datatype")
    return value


def _fits(value: Value, kind: str | None) -> bool:
    if kind == TIME:
        return isinstance(value, date) or (isinstance(value, Stretch) and value.datatype != XSD + "time")
    if kind == DURATION:
        return isinstance(value, timedelta | Months | date | int | Decimal)
    if kind == NUMBER:
        return isinstance(value, int | Decimal) and not isinstance(value, bool)
    return True
