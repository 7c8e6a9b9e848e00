"""One policy in many forms: order, prefixes, names for nameless nodes, lists, and JSON-LD change nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pyoxigraph as rdf
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from pyld import jsonld

from policies.odrl.evaluate import Evaluation, evaluate
from policies.odrl.read import read_one
from policies.odrl.read_constraints import LENIENT
from policies.odrl.vocabulary import odrl_context
from schemas.vocab import ODRL
from tests import odrl_drawn
from tests.naive_odrl import Plain, Setting

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
Triples = list[rdf.Triple]
POLICY = "urn:x:p"


def shuffled(triples: Triples, seed: int) -> bytes:
    """The statements in any order, with other labels for the nameless nodes."""
    order = random.Random(seed)  # an order, not a secret
    labels: dict[str, rdf.BlankNode] = {}

    def renamed(term: Any) -> Any:
        if isinstance(term, rdf.BlankNode):
            return labels.setdefault(term.value, rdf.BlankNode(f"n{order.randrange(10**9)}x{len(labels)}"))
        return term

    # The order of the values of one property is that of several rules: it may change, as ODRL has none.
    mixed = [rdf.Triple(renamed(t.subject), t.predicate, renamed(t.object)) for t in triples]
    order.shuffle(mixed)
    return rdf.serialize(mixed, format=rdf.RdfFormat.N_TRIPLES) or b""


def with_prefixes(triples: Triples, _: int) -> bytes:
    """Turtle with prefixes that nobody expects."""
    prefixes = {"": ODRL, "odrl": "urn:x:", "a-1.b": "http://www.w3.org/2001/XMLSchema#", "ex": RDF}
    return rdf.serialize(triples, format=rdf.RdfFormat.TURTLE, prefixes=prefixes) or b""


def named(triples: Triples, _: int) -> bytes:
    """Every nameless node has a name."""

    def of(term: Any) -> Any:
        return rdf.NamedNode(f"urn:node:{term.value}") if isinstance(term, rdf.BlankNode) else term

    return (
        rdf.serialize(
            [rdf.Triple(of(t.subject), t.predicate, of(t.object)) for t in triples],
            format=rdf.RdfFormat.TURTLE,
        )
        or b""
    )


def flat(triples: Triples, _: int) -> bytes:
    """JSON-LD as an RDF library writes it: expanded and flat, with lists as nodes or as lists."""
    return rdf.serialize(triples, format=rdf.RdfFormat.JSON_LD) or b""


def compact(triples: Triples, _: int) -> bytes:
    """JSON-LD framed into a tree and compacted with ODRL's context."""
    quads = rdf.serialize(triples, format=rdf.RdfFormat.N_QUADS) or b""
    expanded = jsonld.from_rdf(quads.decode(), {"useNativeTypes": False})
    framed = jsonld.frame(expanded, {"@context": odrl_context(), "@id": POLICY}, {"embed": "@always"})
    return json.dumps({**framed, "@context": CONTEXT}).encode()


FORMS: dict[str, Callable[[Triples, int], bytes]] = {
    "statements in any order": shuffled,
    "strange prefixes": with_prefixes,
    "names for all": named,
    "flat JSON-LD": flat,
    "compact JSON-LD": compact,
}


def states(evaluation: Evaluation) -> Any:
    """What came of it, whatever the rules are called and in which order they stand."""
    return (
        evaluation.verdict,
        sorted(
            repr((type(one.rule).__name__, one.rule.action.iri, one.active, one.control, one.attempted))
            for one in evaluation.rules
        ),
        sorted(one.deontic for one in evaluation.obligations),
    )


@pytest.mark.parametrize("form", FORMS)
@how(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(policy=odrl_drawn.policies(), place=odrl_drawn.settings(), seed=st.integers(0, 10**6))
def test_a_policy_means_the_same_in_each_form(form: str, policy: Plain, place: Setting, seed: int) -> None:
    text = odrl_drawn.turtle(policy)
    other = FORMS[form](list(rdf.parse(text.encode(), format=rdf.RdfFormat.TURTLE)), seed)
    request, world = odrl_drawn.asked(place)
    behaviour = odrl_drawn.behaviour(place)
    one, two = (read_one(document, demands=LENIENT) for document in (text, other))
    assert one.id == two.id == POLICY
    assert states(evaluate(one, request, world, behaviour)) == states(
        evaluate(two, request, world, behaviour)
    )
