"""Our profile as a document: every term of the tables, for people, for JSON-LD and for RDF.

Made from `operands.OPERANDS` and `profile.ACTIONS`, so that what is published is what is enforced.

Source: ODRL 2.2 Information Model, section 3 (profiles); JSON-LD 1.1; RDF 1.1 Turtle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

from policies.kinds.masking import UNITS
from policies.kinds.places import REGIONS_VERSION
from policies.operands import OPERANDS
from policies.profile import (
    ACTIONS,
    ANALYSE,
    EVALUATE,
    FINE_TUNE,
    RAG,
    TRAIN,
    TRAIN_GENERATIVE,
    USE,
    Action,
    Operand,
    Role,
    ValueKind,
)
from schemas.vocab import DCT, HANSA, HANSA_PROFILE, ODRL, PREFIXES, XSD, compact_iri

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
OWL = "http://www.w3.org/2002/07/owl#"

VERSION = "1"
ENFORCEMENT = HANSA + "enforcement"
OPERATOR = HANSA + "takesOperator"
RANGE = HANSA + "takesValue"
STANDS = HANSA + "stands"
BESIDE = HANSA + "standsBeside"

_PREFIXES = {**PREFIXES, "rdf": RDF, "rdfs": RDFS, "skos": SKOS, "owl": OWL}
_DATATYPES = {
    ValueKind.INSTANT: XSD + "dateTime",
    ValueKind.DURATION: XSD + "duration",
    ValueKind.COUNT: XSD + "positiveInteger",
    ValueKind.GROUP_SIZE: XSD + "positiveInteger",
    ValueKind.PERCENTAGE: XSD + "decimal",
    ValueKind.TRUE: XSD + "boolean",
    ValueKind.PARTICIPANT: XSD + "anyURI",
    ValueKind.PURPOSE: XSD + "anyURI",
    ValueKind.UNIT: XSD + "anyURI",
}
_OWN = (
    (ENFORCEMENT, "who keeps a term", "wer eine Bedingung durchsetzt"),
    (OPERATOR, "an operator that an operand takes", "ein Operator, den ein Operand erlaubt"),
    (RANGE, "the values that an operand takes", "die Werte, die ein Operand erlaubt"),
    (STANDS, "where a constraint with this operand stands", "wo eine Bedingung mit diesem Operanden steht"),
    (BESIDE, "what an operand explains in the same rule", "was ein Operand in derselben Regel erläutert"),
)
_ACTIONS_DE = {
    USE: "die Daten nutzen",
    TRAIN: "Modelle mit den Daten trainieren oder nachtrainieren",
    FINE_TUNE: "vorhandene Modelle mit den Daten nachtrainieren",
    TRAIN_GENERATIVE: "generative Modelle mit den Daten trainieren",
    EVALUATE: "Modelle mit den Daten bewerten",
    ANALYSE: "die Daten auswerten",
    RAG: "in den Daten nachschlagen, während ein Modell antwortet",
    ODRL + "distribute": "die Daten an andere weitergeben",
    ODRL + "derive": "aus den Daten abgeleitete Werke veröffentlichen",
    ODRL + "reproduce": "dauerhafte Kopien der Daten anlegen",
    ODRL + "transfer": "das Eigentum an den Daten übertragen",
    ODRL + "sell": "die Daten verkaufen",
    ODRL + "give": "die Daten verschenken",
    ODRL + "delete": "die Daten löschen",
    ODRL + "attribute": "den Anbieter als Quelle der Daten nennen",
    ODRL + "inform": "dem Anbieter berichten, wie die Daten genutzt wurden",
    ODRL + "nextPolicy": "die Daten nur unter denselben Bedingungen weitergeben",
}
_UNITS = (
    ("request", "a request for data", "ein Abruf von Daten"),
    ("epoch", "a pass over all data that an agreement shows", "ein Durchgang durch alle gezeigten Daten"),
    ("row", "a row", "eine Zeile"),
    ("byte", "a byte of a row's cells", "ein Byte der Zellen einer Zeile"),
)


@dataclass(frozen=True, slots=True)
class Text:
    """A literal: plain, in a language, or of a datatype."""

    value: str
    language: str = ""
    datatype: str = ""


Triple = tuple[str, str, "str | Text"]


@cache
def triples() -> tuple[Triple, ...]:
    """Return the profile as triples: subject, predicate, and an IRI or a literal."""
    found: list[Triple] = [
        (HANSA_PROFILE, RDF + "type", OWL + "Ontology"),
        (HANSA_PROFILE, RDF + "type", ODRL + "Profile"),
        (HANSA_PROFILE, RDF + "type", SKOS + "ConceptScheme"),
        (HANSA_PROFILE, DCT + "title", Text("Hansa policy profile", "en")),
        (HANSA_PROFILE, DCT + "title", Text("Hansa-Profil für Nutzungsbedingungen", "de")),
        (HANSA_PROFILE, OWL + "versionInfo", Text(VERSION)),
        (HANSA_PROFILE, RDFS + "comment", Text(f"Regions as of {REGIONS_VERSION}.", "en")),
    ]
    for iri, english, german in _OWN:
        found.append((iri, RDF + "type", RDF + "Property"))
        found += _labels(iri, english, german)
    for operand in OPERANDS:
        found += _operand(operand)
    for action in ACTIONS:
        found += _action(action)
    for name, english, german in _UNITS:
        found.append((HANSA + name, RDF + "type", SKOS + "Concept"))
        found += _labels(HANSA + name, english, german)
    return tuple(found)


def _labels(iri: str, english: str, german: str) -> Iterable[Triple]:
    yield iri, SKOS + "inScheme", HANSA_PROFILE
    yield iri, RDFS + "isDefinedBy", HANSA_PROFILE if iri.startswith(HANSA) else ODRL
    yield iri, SKOS + "prefLabel", Text(compact_iri(iri).rpartition(":")[2], "en")
    yield iri, SKOS + "definition", Text(english, "en")
    yield iri, SKOS + "definition", Text(german, "de")


def _operand(operand: Operand) -> Iterable[Triple]:
    iri = operand.iri
    yield iri, RDF + "type", ODRL + "LeftOperand"
    yield iri, RDF + "type", SKOS + "Concept"
    yield from _labels(iri, *operand.meaning)
    yield iri, ENFORCEMENT, Text(operand.label.value, "en")
    yield iri, STANDS, Text(operand.role.value, "en")
    yield iri, RANGE, Text(operand.kind.value, "en")
    if operand.suffix:
        yield (
            iri,
            SKOS + "note",
            Text(f"A percent-encoded name of a {operand.suffix} follows.", "en"),
        )
    if datatype := _DATATYPES.get(operand.kind):
        yield iri, RDFS + "range", datatype
    for operator in operand.operators:
        yield iri, OPERATOR, ODRL + operator.value
    for partner in operand.beside if operand.role is Role.BESIDE else ():
        yield iri, BESIDE, partner


def _action(action: Action) -> Iterable[Triple]:
    yield action.iri, RDF + "type", ODRL + "Action"
    yield action.iri, RDF + "type", SKOS + "Concept"
    yield from _labels(action.iri, action.verb, _ACTIONS_DE[action.iri])
    yield action.iri, ENFORCEMENT, Text(action.label.value, "en")
    if action.parent is not None:
        yield action.iri, ODRL + "includedIn", action.parent


def profile_context() -> dict[str, Any]:
    """Return a JSON-LD context under which our terms are written short: `rowCount`, `train`, `hansa:mask/x`.

    Left operands, operators and actions are read against this vocabulary, so that bare names of ODRL and of
    ours both work; what a column is called never becomes a term.
    """
    names: dict[str, Any] = {
        "@version": 1.1,
        "odrl": ODRL,
        "hansa": HANSA,
        "dpv": PREFIXES["dpv"],
        "xsd": XSD,
    }
    for iri in (*(row.iri for row in OPERANDS if not row.suffix), *(row.iri for row in ACTIONS)):
        names[compact_iri(iri).rpartition(":")[2]] = iri
    names |= {unit: HANSA + unit for unit, _, _ in _UNITS}
    names |= {
        operator: ODRL + operator for operator in sorted({o for row in OPERANDS for o in row.operators})
    }
    names |= {kind: ODRL + kind for kind in ("Offer", "Agreement", "Permission", "Prohibition", "Duty")}
    for member in ("permission", "prohibition", "obligation", "constraint"):
        names[member] = {"@id": ODRL + member, "@type": "@id", "@container": "@set"}
    for member in ("and", "or", "xone"):
        names[member] = {"@id": ODRL + member, "@type": "@id", "@container": "@set"}
    for member in ("action", "leftOperand", "operator"):
        names[member] = {"@id": ODRL + member, "@type": "@vocab"}
    for member in ("profile", "target", "assigner", "assignee"):
        names[member] = {"@id": ODRL + member, "@type": "@id"}
    names["rightOperand"] = ODRL + "rightOperand"
    return {"@context": names}


def profile_jsonld() -> dict[str, Any]:
    """Return the profile as expanded JSON-LD under one `@graph`."""
    nodes: dict[str, dict[str, Any]] = {}
    for subject, predicate, value in triples():
        node = nodes.setdefault(subject, {"@id": subject})
        if predicate == RDF + "type":
            node.setdefault("@type", []).append(value)
        else:
            node.setdefault(predicate, []).append(_json(value))
    return {"@graph": list(nodes.values())}


def _json(value: str | Text) -> dict[str, str]:
    if isinstance(value, str):
        return {"@id": value}
    told = {"@value": value.value}
    if value.language:
        told["@language"] = value.language
    return told


def profile_turtle() -> str:
    """Return the profile as Turtle."""
    lines = [f"@prefix {prefix}: <{base}> ." for prefix, base in sorted(_PREFIXES.items())]
    last = ""
    for subject, predicate, value in triples():
        if subject != last:
            lines.append("")
            last = subject
        lines.append(f"<{subject}> <{predicate}> {_turtle(value)} .")
    return "\n".join(lines) + "\n"


def _turtle(value: str | Text) -> str:
    if isinstance(value, str):
        return f"<{value}>"
    said = value.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{said}"' + (f"@{value.language}" if value.language else "")


def profile_html() -> str:
    """Return the profile as a plain page for people."""
    operands = "\n".join(
        "<tr>"
        f'<th scope="row"><code>{escape(row.name)}</code></th>'
        f"<td>{escape(row.meaning[0])}<br><span lang=de>{escape(row.meaning[1])}</span></td>"
        f"<td>{escape(', '.join(row.operators))}</td><td>{escape(row.kind.value)}</td>"
        f"<td>{escape(row.label.value)}</td></tr>"
        for row in OPERANDS
    )
    actions = "\n".join(
        f'<tr><th scope="row"><code>{escape(row.name)}</code></th>'
        f"<td>{escape(row.verb)}<br><span lang=de>{escape(_ACTIONS_DE[row.iri])}</span></td>"
        f"<td>{escape(compact_iri(row.parent or ''))}</td><td>{escape(row.label.value)}</td></tr>"
        for row in ACTIONS
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Hansa policy profile</title>"
        f"<h1>Hansa policy profile, version {VERSION}</h1>"
        f"<p>Profile: <code>{HANSA_PROFILE}</code>. Masks: hash, null, redact, bucket:n, round:n, "
        f"truncate:{', '.join(UNITS)}.</p>"
        "<h2>Operands</h2><table><thead><tr><th>operand<th>says<th>operators<th>values<th>label</thead>"
        f"<tbody>{operands}</tbody></table>"
        "<h2>Actions</h2><table><thead><tr><th>action<th>means<th>under<th>label</thead>"
        f"<tbody>{actions}</tbody></table></html>\n"
    )
