"""A small graph of statements, bounded; and Turtle read into it.

Source: RDF 1.1 Turtle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyoxigraph

from policies.odrl.vocabulary import RDF
from policies.refusals.refusal import refusal
from schemas.errors import Malformed, TooLarge

MOST_TRIPLES = 60_000
MOST_TEXT = 10_000
"""Characters of one IRI or literal, prefixes written out."""


@dataclass(frozen=True, slots=True)
class Blank:
    """A node without a name, known inside one document only."""

    label: str


@dataclass(frozen=True, slots=True)
class Named:
    """A node with an IRI."""

    iri: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal as it is written."""

    text: str
    datatype: str
    language: str | None = None


Node = Named | Blank
Term = Named | Blank | Literal
_NIL = Named(RDF + "nil")


@dataclass(slots=True)
class Graph:
    """Subject -> property IRI -> objects, all in the order of the document.

    `meaningless` are the members of a JSON-LD document to which its context gives no meaning, each once.
    """

    nodes: dict[Node, dict[str, list[Term]]] = field(default_factory=dict)
    size: int = 0
    meaningless: list[str] = field(default_factory=list)
    _said: set[tuple[Node, str, Term]] = field(default_factory=set)

    def add(self, subject: Node, name: str, value: Term) -> None:
        """Take one statement in; a repetition says nothing new.

        Raises:
            TooLarge: past the bounds of this file.
        """
        self.size += 1
        if self.size > MOST_TRIPLES:
            raise TooLarge(refusal("statements", most=MOST_TRIPLES))
        statement = (subject, name, value)
        if statement not in self._said:
            self._said.add(statement)
            self.nodes.setdefault(subject, {}).setdefault(name, []).append(value)

    def objects(self, subject: Term, name: str) -> list[Term]:
        """Return the values of a property, in the order of the document."""
        return [] if isinstance(subject, Literal) else self.nodes.get(subject, {}).get(name, [])

    def items(self, head: Term, place: str) -> Iterator[Term]:
        """Walk an RDF list; anything else is the only item of itself.

        Raises:
            Malformed: if the list comes back to itself, forks or breaks off.
        """
        if head != _NIL and not self.objects(head, RDF + "first"):
            yield head
            return
        seen = set()
        while head != _NIL:
            first, rest = self.objects(head, RDF + "first"), self.objects(head, RDF + "rest")
            if head in seen:
                raise Malformed(refusal("list circle", place=place))
            if len(first) != 1 or len(rest) != 1:
                raise Malformed(f"{place}: a list has {len(first)} items and {len(rest)} tails at one place")
            seen.add(head)
            yield first[0]
            head = rest[0]


def from_turtle(data: bytes) -> Graph:
    """Read a Turtle document into a graph.

    Raises:
        TooLarge, Malformed: as `policies.odrl.documents.read_graph`.
    """
    graph = Graph()
    try:
        for triple in pyoxigraph.parse(data, format=pyoxigraph.RdfFormat.TURTLE):
            subject, value = _term(triple.subject), _term(triple.object)
            if isinstance(subject, Literal):  # never so in RDF 1.1
                raise Malformed("a literal stands as a subject")
            graph.add(subject, short(triple.predicate.value), value)
    except SyntaxError as error:
        raise Malformed(refusal("turtle", why=str(error)[:200])) from None
    except UnicodeDecodeError:
        raise Malformed(refusal("utf8")) from None
    return graph


def short(text: str) -> str:
    """Refuse an IRI or literal that is longer than anybody needs.

    Raises:
        TooLarge: saying how long it is.
    """
    if len(text) > MOST_TEXT:
        raise TooLarge(refusal("long term", text=repr(text[:40]), size=len(text), most=MOST_TEXT))
    return text


def _term(term: Any) -> Term:
    if isinstance(term, pyoxigraph.NamedNode):
        return Named(short(term.value))
    if isinstance(term, pyoxigraph.BlankNode):
        return Blank(term.value)
    if isinstance(term, pyoxigraph.Literal):
        return Literal(short(term.value), term.datatype.value, term.language)
    raise Malformed(f"{str(term)[:80]} is a statement about a statement, which ODRL does not know")
