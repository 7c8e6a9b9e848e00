"""Foreign Turtle or JSON-LD -> a small graph; bounded in every direction, and never fetching anything.

Source: RDF 1.1 Turtle; JSON-LD 1.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyoxigraph

from policies.odrl.vocabulary import RDF, odrl_context
from schemas.errors import Malformed, TooLarge, UnknownContext
from schemas.foreign import EDC_CONTEXT, ODRL_CONTEXT
from schemas.vocab import DSP_CONTEXT, DSP_ODRL_CONTEXT, EDC, XSD

MOST_BYTES = 4 << 20
MOST_TRIPLES = 60_000
MOST_TEXT = 10_000
"""Characters of one IRI or literal, prefixes written out."""
MOST_VALUES = 20_000
"""Values of a JSON-LD document, its own contexts included."""
MOST_ITEMS = 1_000
"""Items of one JSON array: the JSON-LD library compares each with all before it."""
MOST_CONTEXTS = 200
MOST_CONTEXT_TERMS = 2_000
DEEPEST_JSON = 60

KNOWN_CONTEXTS = frozenset(
    {ODRL_CONTEXT, "https://www.w3.org/ns/odrl.jsonld", DSP_CONTEXT, DSP_ODRL_CONTEXT, EDC_CONTEXT}
)
_NOWHERE = "https://relative.invalid/"
"""What relative ids are resolved against and freed of again: peers use bare UUIDs and names as ids."""


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
    """Subject -> property IRI -> objects, all in the order of the document."""

    nodes: dict[Node, dict[str, list[Term]]] = field(default_factory=dict)
    size: int = 0
    _said: set[tuple[Node, str, Term]] = field(default_factory=set)

    def add(self, subject: Node, name: str, value: Term) -> None:
        """Take one statement in; a repetition says nothing new.

        Raises:
            TooLarge: past the bounds of this file.
        """
        self.size += 1
        if self.size > MOST_TRIPLES:
            raise TooLarge(f"policy document has more than {MOST_TRIPLES:,} statements; split it")
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
                raise Malformed(f"{place}: a list comes back to itself; end it with rdf:nil")
            if len(first) != 1 or len(rest) != 1:
                raise Malformed(f"{place}: a list has {len(first)} items and {len(rest)} tails at one place")
            seen.add(head)
            yield first[0]
            head = rest[0]


def read_graph(document: bytes | str, media_type: str | None = None) -> Graph:
    """Read a document into a graph.

    Args:
        document: Turtle (N-Triples included) or JSON-LD in UTF-8.
        media_type: `text/turtle` or `application/ld+json`; None tells them apart by the first character.

    Raises:
        TooLarge: past a bound, naming it.
        UnknownContext: naming a context that is not bundled.
        Malformed: if it cannot be read, saying where.
    """
    data = document.encode() if isinstance(document, str) else document
    if len(data) > MOST_BYTES:
        raise TooLarge(f"policy document has {len(data):,} bytes; at most {MOST_BYTES:,} are read")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if _is_json(data, media_type):
        return _from_json(data)
    return _from_turtle(data)


def _is_json(data: bytes, media_type: str | None) -> bool:
    if media_type is None:
        start = data.lstrip()
        # Turtle may begin with a blank node in brackets: JSON's brackets hold objects or nothing else.
        return start.startswith(b"{") or (start.startswith(b"[") and start[1:].lstrip()[:1] in (b"{", b"]"))
    kind = media_type.partition(";")[0].strip().lower()
    if kind in ("application/ld+json", "application/json"):
        return True
    if kind in ("text/turtle", "application/n-triples"):
        return False
    raise Malformed(f"policies are read as text/turtle or application/ld+json, not as {kind[:60]!r}")


def _from_turtle(data: bytes) -> Graph:
    graph = Graph()
    try:
        for triple in pyoxigraph.parse(data, format=pyoxigraph.RdfFormat.TURTLE):
            subject, value = _term(triple.subject), _term(triple.object)
            if isinstance(subject, Literal):  # never so in RDF 1.1
                raise Malformed("a literal stands as a subject")
            graph.add(subject, _short(triple.predicate.value), value)
    except SyntaxError as error:
        raise Malformed(f"policy is not Turtle that we can read: {str(error)[:200]}") from None
    except UnicodeDecodeError:
        raise Malformed("policy is not UTF-8 text") from None
    return graph


def _short(text: str) -> str:
    if len(text) > MOST_TEXT:
        raise TooLarge(
            f"{text[:40]!r}… has {len(text):,} characters with its prefix; at most {MOST_TEXT:,} are read"
        )
    return text


def _term(term: Any) -> Term:
    if isinstance(term, pyoxigraph.NamedNode):
        return Named(_short(term.value))
    if isinstance(term, pyoxigraph.BlankNode):
        return Blank(term.value)
    if isinstance(term, pyoxigraph.Literal):
        return Literal(_short(term.value), term.datatype.value, term.language)
    raise Malformed(f"{str(term)[:80]} is a statement about a statement, which ODRL does not know")


# --- JSON-LD -----------------------------------------------------------------------------------------


@cache
def _bundled() -> dict[str, Any]:
    return {"@context": odrl_context() | {"edc": EDC}}


def _load(url: str, _options: Any) -> dict[str, Any]:
    """Hand out what is bundled; every known context gives ODRL's words the same meaning."""
    if url not in KNOWN_CONTEXTS:
        raise _unknown(url)
    return {"contextUrl": None, "documentUrl": url, "document": _bundled()}


def _unknown(url: str) -> UnknownContext:
    known = ", ".join(sorted(KNOWN_CONTEXTS))
    return UnknownContext(f"context {url[:120]!r} is unknown here, and never fetched; known: {known}")


def _from_json(data: bytes) -> Graph:
    from pyld import jsonld  # expensive to import

    try:
        document = json.loads(data, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise TooLarge("policy nests its JSON too deeply") from None
    except ValueError as error:
        raise Malformed(f"policy is not JSON: {str(error)[:120]}") from None
    _Census().take(document)
    options = {"documentLoader": _load, "base": _NOWHERE}
    try:
        dataset = jsonld.to_rdf(document, options)
    except jsonld.JsonLdError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UnknownContext):
            cause = getattr(cause, "cause", None) or cause.__cause__ or cause.__context__
        if isinstance(cause, UnknownContext):
            raise cause from None
        raise Malformed(f"policy is not JSON-LD that we can read: {error.type}") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        # What the library trips over in documents that no context check foresaw.
        raise Malformed(f"policy is not JSON-LD that we can read: {type(error).__name__}") from None
    graph = Graph()
    for triples in dataset.values():
        for triple in triples:
            _take(graph, triple)
    return graph


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says a member twice: of two prohibitions, one would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(f"policy is JSON that says {twice[:80]!r} twice in one object; write an array")
    return made


def _no_number(name: str) -> Any:
    raise Malformed(f"policy holds {name}, which is no number of JSON; write a number")


def _take(graph: Graph, triple: Mapping[str, Mapping[str, Any]]) -> None:
    subject, value = _ld_term(triple["subject"]), _ld_term(triple["object"])
    if not isinstance(subject, Literal):
        graph.add(subject, _short(_freed(triple["predicate"]["value"])), value)


def _freed(iri: str) -> str:
    return iri.removeprefix(_NOWHERE)


def _ld_term(term: Mapping[str, Any]) -> Term:
    text = _short(str(term["value"]))
    if term["type"] == "IRI":
        return Named(_freed(text))
    if term["type"] == "blank node":
        return Blank(text)
    return Literal(text, str(term.get("datatype", XSD + "string")), term.get("language"))


class _Census:
    """Counts what a JSON-LD document holds before anything is made of it, without recursion."""

    def __init__(self) -> None:
        self.values = self.contexts = self.terms = 0

    def take(self, document: Any) -> None:
        """Count, and refuse what no policy needs.

        Raises:
            TooLarge, UnknownContext, Malformed: as `read_graph`.
        """
        if not isinstance(document, dict | list):
            raise Malformed(f"policy is JSON, but {type(document).__name__}; expected an object")
        level: list[tuple[Any, bool]] = [(document, False)]
        depth = 0
        while level:
            depth += 1
            self.values += len(level)
            if depth > DEEPEST_JSON or self.values > MOST_VALUES:
                raise TooLarge(
                    f"policy nests its JSON deeper than {DEEPEST_JSON} or has more than {MOST_VALUES:,} "
                    "values"
                )
            level = [item for value, inside in level for item in self._parts(value, inside)]

    def _parts(self, value: Any, inside: bool) -> Iterable[tuple[Any, bool]]:
        if isinstance(value, str):
            if inside and len(value) > 1000:
                raise TooLarge(f"a context holds {value[:40]!r}… of {len(value):,} characters; at most 1,000")
            return ()
        if isinstance(value, list):
            if len(value) > MOST_ITEMS:
                raise TooLarge(
                    f"policy has {len(value):,} values in one array; at most {MOST_ITEMS:,} are read"
                )
            return [(item, inside) for item in value]
        if not isinstance(value, dict):
            return ()
        if inside:
            self._count_terms(value)
        found = []
        for key, item in value.items():
            if key == "@context":
                if inside:
                    raise Malformed("a context holds a context of its own; write its terms out")
                self._check_contexts(item)
            elif inside and key == "@import":
                raise _unknown(str(item))
            found.append((item, inside or key == "@context"))
        return found

    def _count_terms(self, context: Mapping[str, Any]) -> None:
        self.terms += len(context)
        if self.terms > MOST_CONTEXT_TERMS:
            raise TooLarge(f"contexts in the document define more than {MOST_CONTEXT_TERMS:,} terms")

    def _check_contexts(self, said: Any) -> None:
        self.contexts += 1
        if self.contexts > MOST_CONTEXTS:
            raise TooLarge(f"document has more than {MOST_CONTEXTS} contexts; write one at its top")
        for context in said if isinstance(said, list) else [said]:
            if isinstance(context, str) and context not in KNOWN_CONTEXTS:
                raise _unknown(context)
