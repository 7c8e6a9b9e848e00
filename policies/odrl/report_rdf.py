"""An evaluation as the community's compliance report, in RDF.

Premises that a rule does not state are left out. What cannot be known is Unsatisfied there, since the
vocabulary knows no third state; a comment says so.

Source: Compliance Report Model 0.9.0, https://w3id.org/force/compliance-report#.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

import pyoxigraph as rdf

from policies.algebra.lengths import Months, spelt
from policies.odrl.compare import Elapsed, Measured, Quantity
from policies.odrl.conditions import PremiseReport
from policies.odrl.duties import DutyReport
from policies.odrl.evaluate import Evaluation, RuleReport
from policies.odrl.model import Constraint, Iri, Logical, Permission, Refined, Stretch, Typed
from policies.odrl.vocabulary import RDF
from schemas.vocab import DCT, ODRL, XSD

REPORT = "https://w3id.org/force/compliance-report#"
_COMMENT = "http://www.w3.org/2000/01/rdf-schema#comment"
_UNKNOWN = "indeterminate: a value or a term that this depends on is not known"
_PREFIXES = {"report": REPORT, "odrl": ODRL, "dct": DCT, "xsd": XSD}
_PREMISES = {
    "target": "TargetReport",
    "party": "PartyReport",
    "action": "ActionReport",
    "constraint": "ConstraintReport",
}

Triple = rdf.Triple
_Node = rdf.NamedNode | rdf.BlankNode


def report_turtle(evaluation: Evaluation, report_id: str | None = None) -> str:
    """Return an evaluation as a compliance report in Turtle.

    Args:
        evaluation: what to report.
        report_id: the IRI of the report; its rule reports are named after it. None leaves all unnamed.
    """
    triples = report_triples(evaluation, report_id)
    text = rdf.serialize(triples, format=rdf.RdfFormat.TURTLE, prefixes=_PREFIXES)
    return text.decode() if text else ""


def report_triples(evaluation: Evaluation, report_id: str | None = None) -> tuple[rdf.Triple, ...]:
    """Return the statements of a compliance report; arguments as `report_turtle`."""
    writer = _Writer(report_id)
    writer.policy(evaluation)
    return tuple(writer.triples)


class _Writer:
    """Gathers statements, and names the nodes they are about."""

    def __init__(self, report_id: str | None) -> None:
        self.triples: list[rdf.Triple] = []
        self._report_id = report_id
        self._made = 0

    def node(self, kind: str) -> _Node:
        """Make a node of a class; nodes are numbered, so that the same evaluation gives the same report."""
        self._made += 1
        made: _Node
        if self._report_id is None:
            made = rdf.BlankNode(f"r{self._made}")
        else:
            name = self._report_id if self._made == 1 else f"{self._report_id}#r{self._made}"
            made = rdf.NamedNode(name)
        self.say(made, RDF + "type", rdf.NamedNode(REPORT + kind))
        return made

    def say(self, subject: _Node, name: str, value: rdf.NamedNode | rdf.BlankNode | rdf.Literal) -> None:
        """Add a statement."""
        self.triples.append(rdf.Triple(subject, rdf.NamedNode(name), value))

    def state(self, subject: _Node, name: str, state: str) -> None:
        """Add a statement about a state of the vocabulary."""
        self.say(subject, REPORT + name, rdf.NamedNode(REPORT + state))

    def refer(self, subject: _Node, name: str, identity: str | None) -> None:
        """Point at something of the policy by its id; what has none cannot be pointed at."""
        if identity is None:
            return
        found = None if identity.startswith("_:") else _named(identity)
        if found is not None:
            self.say(subject, REPORT + name, found)
        else:
            text = identity.removeprefix("_:")
            self.say(subject, DCT + "description", rdf.Literal(f"{name}: {text}"))

    def policy(self, evaluation: Evaluation) -> None:
        """Write the report of a policy and all in it."""
        node = self.node("PolicyReport")
        if evaluation.world.now is not None:
            self.say(node, DCT + "created", literal(evaluation.world.now))
        self.refer(node, "policy", evaluation.policy.id)
        self.refer(node, "policyRequest", evaluation.request.id)
        if evaluation.stopped is not None:
            self.say(node, _COMMENT, rdf.Literal(f"not evaluated: {evaluation.stopped}"))
        self.say(node, _COMMENT, rdf.Literal(f"verdict: {evaluation.verdict}"))
        for rule in evaluation.rules:
            self.say(node, REPORT + "ruleReport", self.rule(rule, evaluation.request.rule_id))
        for duty in evaluation.obligations:
            self.say(node, REPORT + "ruleReport", self.duty(duty))

    def rule(self, report: RuleReport, asked: str | None) -> _Node:
        """Write the report of a permission or prohibition."""
        is_permission = isinstance(report.rule, Permission)
        node = self.node("PermissionReport" if is_permission else "ProhibitionReport")
        self.state(node, "attemptState", "Attempted")
        self.refer(node, "rule", report.rule.id)
        self.refer(node, "ruleRequest", asked)
        self.premises(node, report.rule, report.premises)
        if is_permission:
            for duty in report.duties:
                self.say(node, REPORT + "conditionReport", self.duty(duty))
        self.state(node, "activationState", "Active" if report.active else "Inactive")
        return node

    def duty(self, report: DutyReport) -> _Node:
        """Write the report of a duty."""
        node = self.node("DutyReport")
        self.refer(node, "rule", report.duty.id)
        for premise in report.premises:
            if premise.kind == "constraint":
                self.say(node, REPORT + "premiseReport", self.premise(premise))
        self.state(node, "activationState", "Inactive" if report.active is False else "Active")
        self.state(node, "performanceState", report.performance)
        self.state(node, "deonticState", report.deontic)
        return node

    def premises(self, node: _Node, rule: object, found: Iterable[PremiseReport]) -> None:
        """Write the premises that a rule states."""
        stated = {"target": "target", "party": "assignee", "action": "action"}
        for premise in found:
            side = getattr(rule, stated.get(premise.kind, ""), None)
            if isinstance(side, Refined) and side.iri is None and not side.refinements:
                continue
            self.say(node, REPORT + "premiseReport", self.premise(premise))

    def premise(self, report: PremiseReport) -> _Node:
        """Write one premise, and the parts of it."""
        node = self.node(_PREMISES[report.kind])
        condition = report.condition
        if report.kind == "constraint":
            self.refer(node, "constraint", report.id)
        if report.text is not None:
            self.say(node, DCT + "description", rdf.Literal(report.text))
        if isinstance(condition, Logical):
            self.say(node, REPORT + "constraintLogicalOperand", rdf.NamedNode(ODRL + condition.form))
        if isinstance(condition, Constraint):
            self.refer(node, "constraintOperator", condition.operator)
            for value in report.left:
                self.say(node, REPORT + "constraintLeftOperand", literal(value))
            for value in condition.values:
                self.say(node, REPORT + "constraintRightOperand", literal(value))
        for part in report.parts:
            self.say(node, REPORT + "premiseReport", self.premise(part))
        self.state(node, "satisfactionState", "Satisfied" if report.state is True else "Unsatisfied")
        if report.state is None:
            self.say(node, _COMMENT, rdf.Literal(_UNKNOWN))
        return node


def _named(iri: str) -> rdf.NamedNode | None:
    """Return the node of an absolute IRI; peers use bare names as ids, which RDF cannot point at."""
    try:
        return rdf.NamedNode(iri)
    except ValueError:
        return None


def literal(value: Measured) -> rdf.NamedNode | rdf.Literal:
    """Return a value of our model as RDF."""
    if isinstance(value, Quantity):
        value = value.value
    if isinstance(value, Elapsed):
        value = value.until - value.since
    if isinstance(value, Iri):
        return _named(value.value) or rdf.Literal(value.value)
    if isinstance(value, Typed):
        kind = _named(value.datatype)
        return rdf.Literal(value.text, datatype=kind) if kind else rdf.Literal(value.text)
    if isinstance(value, bool):
        return rdf.Literal(value)
    if isinstance(value, datetime):
        text, name = value.isoformat().replace("+00:00", "Z"), "dateTime"
    elif isinstance(value, date):
        text, name = value.isoformat(), "date"
    elif isinstance(value, Stretch):
        text, name = value.text, value.datatype.removeprefix(XSD)
    elif isinstance(value, timedelta):
        text, name = spelt(value), "dayTimeDuration"
    elif isinstance(value, Months):
        text, name = spelt(value), "duration"
    elif isinstance(value, int):
        text, name = str(value), "integer"
    elif isinstance(value, Decimal):
        text, name = format(value, "f"), "decimal"
    else:
        return rdf.Literal(value)
    return rdf.Literal(text, datatype=rdf.NamedNode(XSD + name))
