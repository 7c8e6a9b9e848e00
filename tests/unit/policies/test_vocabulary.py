"""The published profile says what the tables say, and its context reads and writes every term."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rdflib
from pyld import jsonld

from policies.operands import OPERANDS
from policies.profile import ACTIONS, Action, Operand
from policies.subsumption import normal_form
from policies.vocabulary import (
    ENFORCEMENT,
    OPERATOR,
    SKOS,
    profile_context,
    profile_html,
    profile_jsonld,
    profile_turtle,
    triples,
)
from schemas.odrl import Offer
from schemas.vocab import ODRL
from tests.profile_terms import SAMPLES, sample

TERMS: tuple[Operand | Action, ...] = (*OPERANDS, *ACTIONS)
DEFINITION = rdflib.URIRef(SKOS + "definition")


@pytest.fixture(scope="module")
def turtle() -> rdflib.Graph:
    return rdflib.Graph().parse(data=profile_turtle(), format="turtle")


def test_every_term_stands_in_the_document_with_both_languages_and_its_label(turtle: rdflib.Graph) -> None:
    for row in TERMS:
        term = rdflib.URIRef(row.iri)
        languages = {value.language for value in turtle.objects(term, DEFINITION)}  # type: ignore[attr-defined]
        assert languages == {"en", "de"}, row.name
        assert [str(value) for value in turtle.objects(term, rdflib.URIRef(ENFORCEMENT))] == [row.label.value]
    for operand in OPERANDS:
        taken = turtle.objects(rdflib.URIRef(operand.iri), rdflib.URIRef(OPERATOR))
        assert {str(value) for value in taken} == {ODRL + operator for operator in operand.operators}


def test_json_ld_and_turtle_are_one_graph(turtle: rdflib.Graph) -> None:
    read = rdflib.Graph().parse(data=json.dumps(profile_jsonld()), format="json-ld")
    assert len(turtle) == len(set(triples()))
    assert set(read) == set(turtle)


def test_the_page_for_people_names_every_term_and_its_label() -> None:
    page = profile_html()
    for row in TERMS:
        assert row.name.replace("<", "&lt;").replace(">", "&gt;") in page
        assert row.label.value in page


@pytest.mark.parametrize("name", SAMPLES)
def test_an_offer_of_every_type_is_written_and_read_under_the_context(name: str) -> None:
    context = profile_context()["@context"]
    before = sample(name)
    expanded = jsonld.expand({"@context": context, **before})
    short = jsonld.compact(expanded, context)
    again = jsonld.compact(jsonld.expand(short), {})
    assert set(_operands(again)) == {item["leftOperand"] for item in _atoms(before)}
    plain = {key: value for key, value in jsonld.compact(expanded, _plain()).items() if key != "@context"}
    assert normal_form(Offer.read(plain)) == normal_form(Offer.read(before))


def test_bare_names_of_our_terms_are_read_under_the_context() -> None:
    context = profile_context()["@context"]
    (node,) = jsonld.expand(
        {
            "@context": context,
            "@type": "Offer",
            "permission": [
                {
                    "action": "train",
                    "constraint": [
                        {"leftOperand": "rowCount", "operator": "lteq", "rightOperand": "5"},
                        {"leftOperand": "hansa:mask/a%20b", "operator": "eq", "rightOperand": "hash"},
                    ],
                }
            ],
        }
    )
    said = json.dumps(node)
    assert "https://w3id.org/hansa/policy/1#train" in said
    assert "https://w3id.org/hansa/policy/1#rowCount" in said
    assert "https://w3id.org/hansa/policy/1#mask/a%20b" in said


def _plain() -> dict[str, Any]:
    """The context without our own short names: what a policy looks like on the wire."""
    members = ("permission", "prohibition", "obligation", "constraint", "and", "or", "xone", "rightOperand")
    kept = (*members, "action", "leftOperand", "operator", "profile", "Offer", "odrl")
    operators = {operator.value for row in OPERANDS for operator in row.operators}
    return {key: value for key, value in profile_context()["@context"].items() if key in {*kept, *operators}}


def _atoms(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [atom for item in value for atom in _atoms(item)]
    if not isinstance(value, dict):
        return []
    own = [value] if "leftOperand" in value else []
    return own + [atom for item in value.values() for atom in _atoms(item)]


def _operands(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for item in value for name in _operands(item)]
    if not isinstance(value, dict):
        return []
    own = [value[ODRL + "leftOperand"]["@id"]] if ODRL + "leftOperand" in value else []
    return own + [name for item in value.values() for name in _operands(item)]
