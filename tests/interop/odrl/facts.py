"""Small looks into RDF for the suites: what a file states, without any reader of ours."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pyoxigraph as rdf

ODRL = "http://www.w3.org/ns/odrl/2/"
REPORT = "https://w3id.org/force/compliance-report#"
DCT = "http://purl.org/dc/terms/"
TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
Term = rdf.NamedNode | rdf.BlankNode | rdf.Literal


class Facts:
    """The statements of a Turtle document, by subject and property."""

    def __init__(self, *documents: bytes) -> None:
        self.said: dict[Term, dict[str, list[Term]]] = defaultdict(lambda: defaultdict(list))
        for document in documents:
            for triple in rdf.parse(document, format=rdf.RdfFormat.TURTLE):
                self.said[triple.subject][triple.predicate.value].append(triple.object)

    @classmethod
    def of(cls, *paths: Path) -> Facts:
        return cls(*(path.read_bytes() for path in paths))

    def all(self, subject: Term, name: str) -> list[Term]:
        return self.said[subject][name] if subject in self.said else []

    def one(self, subject: Term, name: str) -> Term | None:
        found = self.all(subject, name)
        return found[0] if found else None

    def text(self, subject: Term, name: str) -> str | None:
        found = self.one(subject, name)
        return None if found is None else found.value

    def typed(self, kind: str) -> list[Term]:
        return [subject for subject in list(self.said) if rdf.NamedNode(kind) in self.said[subject][TYPE]]

    def statements(self, name: str) -> list[tuple[str, Term]]:
        return [(subject.value, value) for subject in list(self.said) for value in self.all(subject, name)]
