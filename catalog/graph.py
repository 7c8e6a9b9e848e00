"""DCAT models -> RDF: the DCAT-AP view of a dataset, as JSON-LD and Turtle.

The Dataspace Protocol puts offers on the dataset; DCAT-AP allows one policy, on the distribution. So where
there is exactly one offer it stands on both. Both forms are made from the same JSON-LD, whose context is
inline.

Source: DCAT-AP 3.0.1; ODRL 2.2; CSVW.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from schemas.base import IRI_PATTERN, LangString
from schemas.dcat import Agent, Column, DataService, Dataset, Distribution
from schemas.errors import Malformed
from schemas.odrl import Constraint, Offer, Rule
from schemas.vocab import ODRL, PREFIXES, expand_iri

MEDIA_JSONLD = "application/ld+json"
MEDIA_TURTLE = "text/turtle"

_IANA = "http://www.iana.org/assignments/media-types/"
_XSD_DATE = 10
"""Characters of an xsd:date without a time zone."""

Node = dict[str, Any]


def _iri(name: str, home: str) -> str:
    """Return an id as an IRI; what is none becomes a page of the catalogue."""
    return name if IRI_PATTERN.match(name) else f"{home}/datasets/{quote(name, safe='')}"


def _texts(texts: Iterable[LangString]) -> list[Any]:
    return [{"@value": t.value, "@language": t.language} if t.language else t.value for t in texts]


def _time(value: str | None) -> Node | None:
    if value is None:
        return None
    return {"@value": value, "@type": "xsd:date" if len(value) == _XSD_DATE else "xsd:dateTime"}


def _node(members: Mapping[str, Any]) -> Node:
    """Drop what is absent."""
    return {key: value for key, value in members.items() if value not in (None, [], ())}


def _agent(agent: Agent | None) -> Node | None:
    if agent is None:
        return None
    said = agent.id if agent.id and IRI_PATTERN.match(agent.id) else None
    return _node({"@id": said, "@type": "foaf:Agent", "foaf:name": agent.name})


def _links(iris: Iterable[str]) -> list[Node]:
    return [{"@id": iri} for iri in iris]


def _operand(value: Any) -> Any:
    if isinstance(value, Mapping | bool | int | float):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_operand(item) for item in value]
    text = str(value)
    expanded = expand_iri(text)
    return {"@id": expanded} if "://" in expanded or expanded.startswith(("urn:", "did:")) else text


def _constraint(constraint: Constraint) -> Node:
    for name, parts in (("and", constraint.and_), ("or", constraint.or_), ("xone", constraint.xone),
                        ("andSequence", constraint.and_sequence)):  # fmt: skip
        if parts:
            return {"@type": "odrl:LogicalConstraint", f"odrl:{name}": [_constraint(part) for part in parts]}
    return _node(
        {
            "@type": "odrl:Constraint",
            "odrl:leftOperand": {"@id": expand_iri(str(constraint.left_operand), ODRL)},
            "odrl:operator": {"@id": expand_iri(str(constraint.operator), ODRL)},
            "odrl:rightOperand": _operand(constraint.right_operand),
        }
    )


def _rule(kind: str, rule: Rule) -> Node:
    return _node(
        {
            "@type": f"odrl:{kind}",
            "odrl:action": {"@id": expand_iri(rule.action, ODRL)},
            "odrl:constraint": [_constraint(item) for item in rule.constraint],
        }
    )


def _offer(offer: Offer, home: str) -> Node:
    return _node(
        {
            "@id": _iri(offer.id, home),
            "@type": "odrl:Offer",
            "odrl:profile": _links(name for name in offer.profile if IRI_PATTERN.match(name)),
            "odrl:permission": [_rule("Permission", item) for item in offer.permission],
            "odrl:prohibition": [_rule("Prohibition", item) for item in offer.prohibition],
            "odrl:obligation": [_rule("Duty", item) for item in offer.obligation],
        }
    )


def _service(service: DataService, home: str) -> Node:
    url = service.endpoint_url
    return _node(
        {
            "@id": _iri(service.id, home),
            "@type": "dcat:DataService",
            "dct:title": _texts(service.title) or ["Connector"],
            "dcat:endpointURL": {"@id": url} if url and IRI_PATTERN.match(url) else None,
        }
    )


def _distribution(item: Distribution, dataset: Dataset, endpoint: str | None, home: str) -> Node:
    service = item.access_service if isinstance(item.access_service, DataService) else None
    url = (service and service.endpoint_url) or endpoint
    offers = item.has_policy or dataset.has_policy
    return _node(
        {
            "@id": _iri(item.id, home) if item.id else None,
            "@type": "dcat:Distribution",
            "dct:title": _texts(item.title),
            "dcat:accessURL": {"@id": url} if url and IRI_PATTERN.match(url) else None,
            "dcat:accessService": _service(service, home) if service else None,
            "dcat:mediaType": {"@id": _IANA + quote(item.media_type, safe="/+.-")}
            if item.media_type
            else None,
            "dcat:byteSize": {"@value": str(item.byte_size), "@type": "xsd:nonNegativeInteger"}
            if item.byte_size is not None
            else None,
            "odrl:hasPolicy": {"@id": _iri(offers[0].id, home)} if len(offers) == 1 else None,
        }
    )


def _column(column: Column) -> Node:
    return _node(
        {
            "@type": "csvw:Column",
            "csvw:name": column.name,
            "csvw:datatype": column.datatype,
            "dct:description": column.description,
        }
    )


def dataset_node(dataset: Dataset, *, home: str, endpoint: str | None = None) -> Node:
    """Return the DCAT-AP view of a dataset as a JSON-LD node, without its context.

    Args:
        dataset: the dataset as the Dataspace Protocol carries it.
        home: the catalogue's URL, under which ids that are no IRIs become IRIs.
        endpoint: the provider's endpoint, where a distribution only names its service.
    """
    return _node(
        {
            "@id": _iri(dataset.id, home),
            "@type": "dcat:Dataset",
            "dct:title": _texts(dataset.title),
            "dct:description": _texts(dataset.description),
            "dct:identifier": dataset.identifier or dataset.id,
            "dct:publisher": _agent(dataset.publisher),
            "dcat:keyword": _texts(dataset.keyword),
            "dcat:theme": _links(dataset.theme),
            "dct:issued": _time(dataset.issued),
            "dct:modified": _time(dataset.modified),
            "dcat:version": dataset.version,
            "dct:accessRights": {"@id": dataset.access_rights} if dataset.access_rights else None,
            "dct:license": {"@id": dataset.license} if dataset.license else None,
            "dcat:landingPage": {"@id": dataset.landing_page} if dataset.landing_page else None,
            "dct:language": _links(dataset.language),
            "dct:spatial": _links(dataset.spatial),
            "hansa:rows": dataset.rows,
            "odrl:hasPolicy": [_offer(offer, home) for offer in dataset.has_policy],
            "dcat:distribution": [
                _distribution(item, dataset, endpoint, home) for item in dataset.distribution
            ],
            "csvw:column": {"@list": [_column(column) for column in dataset.columns]}
            if dataset.columns
            else None,
        }
    )


def dataset_jsonld(dataset: Dataset, *, home: str, endpoint: str | None = None) -> Node:
    """Return the DCAT-AP view of a dataset as JSON-LD that needs no other file."""
    return {"@context": dict(PREFIXES), **dataset_node(dataset, home=home, endpoint=endpoint)}


def catalog_jsonld(nodes: Sequence[Node], *, home: str, title: str, publisher: str, did: str) -> Node:
    """Return a catalogue over dataset nodes as JSON-LD that needs no other file."""
    return {
        "@context": dict(PREFIXES),
        "@id": f"{home}/catalog",
        "@type": "dcat:Catalog",
        "dct:title": title,
        "dct:description": f"{title}: datasets of a data space.",
        "dct:publisher": {"@id": did, "@type": "foaf:Agent", "foaf:name": publisher},
        "dcat:dataset": list(nodes),
    }


def turtle(document: Node) -> str:
    """Write JSON-LD with an inline context as Turtle.

    Raises:
        Malformed: if a value of it has no place in RDF, such as an IRI with a space inside.
    """
    import pyoxigraph  # a large library that a search never needs

    try:
        quads = list(pyoxigraph.parse(json.dumps(document).encode(), format=pyoxigraph.RdfFormat.JSON_LD))
        triples = [quad.triple for quad in quads]
        written = pyoxigraph.serialize(triples, format=pyoxigraph.RdfFormat.TURTLE, prefixes=dict(PREFIXES))
    except (SyntaxError, ValueError) as error:
        raise Malformed(f"this dataset cannot be written as RDF: {str(error)[:200]}") from None
    return (written or b"").decode()
