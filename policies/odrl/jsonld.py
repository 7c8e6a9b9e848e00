"""Foreign JSON-LD -> a small graph: its own contexts bounded, others bundled, and nothing ever fetched.

The library expands a document; the statements are taken from that form here. Its own way to them compares
each value of a property with all before it, which a hostile document makes as long as it likes.

Source: JSON-LD 1.1, and its algorithms: expansion, deserialization to RDF.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from policies.odrl.graph import Blank, Graph, Literal, Named, Node, Term, short
from policies.odrl.vocabulary import RDF, odrl_context
from policies.refusals.refusal import refusal
from schemas.errors import Malformed, TooLarge, UnknownContext
from schemas.foreign import EDC_CONTEXT, ODRL_CONTEXT
from schemas.vocab import DSP_CONTEXT, DSP_ODRL_CONTEXT, EDC, XSD

MOST_VALUES = 20_000
"""Values of a JSON-LD document, its own contexts included."""
MOST_CONTEXTS = 200
MOST_CONTEXT_TERMS = 2_000
DEEPEST_JSON = 60
_MOST_MEANINGLESS = 20
_MOST_DIGITS = 320
_NO_DOUBLE = "policy holds a number that no double can be; write it as a typed text"
_MOST_WHOLE = 10**21
"""JSON's whole numbers are integers up to here, and doubles from here on."""

KNOWN_CONTEXTS = frozenset(
    {ODRL_CONTEXT, "https://www.w3.org/ns/odrl.jsonld", DSP_CONTEXT, DSP_ODRL_CONTEXT, EDC_CONTEXT}
)
_NOWHERE = "https://relative.invalid/"
"""What relative ids are resolved against and freed of again: peers use bare UUIDs and names as ids."""
_NIL = Named(RDF + "nil")


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


def from_json(data: bytes) -> Graph:
    """Read a JSON-LD document into a graph; what several named graphs say is laid together.

    Raises:
        TooLarge, UnknownContext, Malformed: as `policies.odrl.documents.read_graph`.
    """
    from pyld import jsonld  # expensive to import

    try:
        document = json.loads(data, object_pairs_hook=_once, parse_constant=_no_number, parse_int=_whole)
        # Half a surrogate pair is text that no encoder takes: refuse it before anybody keeps it.
        json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise TooLarge(refusal("json deep")) from None
    except ValueError as error:
        raise Malformed(refusal("json", why=str(error)[:120])) from None
    _Census().take(document)
    graph = Graph()

    def dropped(name: str | None) -> None:
        _note(graph, name)

    try:
        expanded = jsonld.expand(document, {"documentLoader": _load, "base": _NOWHERE}, dropped)
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
    taker = _Taker(graph)
    for item in expanded:
        taker.term(item)
    return graph


def _note(graph: Graph, name: str | None) -> None:
    said = "a member" if name is None else name[:120]
    if said not in graph.meaningless and len(graph.meaningless) < _MOST_MEANINGLESS:
        graph.meaningless.append(said)


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


def _whole(text: str) -> int:
    """Read a whole number; more digits than a double can have are refused before they cost anything."""
    if len(text) > _MOST_DIGITS:
        raise Malformed(_NO_DOUBLE)
    return int(text)


class _Taker:
    """Takes the statements of an expanded document into a graph, each at the cost of one look-up."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made = 0

    def term(self, item: Any) -> Term:
        """Take in what an item of an expanded document says, and return what it is."""
        if "@value" in item:
            return _literal(item)
        if "@list" in item:
            return self._list(item["@list"])
        subject = self._subject(item.get("@id"))
        for kind in item.get("@type", ()):
            self._say(subject, RDF + "type", _node(kind))
        for name in ("@graph", "@included"):
            for inner in item.get(name, ()):
                self.term(inner)
        for name, subjects in item.get("@reverse", {}).items():
            for inner in subjects:
                other = self.term(inner)
                if not isinstance(other, Literal):
                    self._say(other, name, subject)
        for name, values in item.items():
            if not name.startswith("@"):
                for value in values:
                    self._say(subject, name, self.term(value))
        return subject

    def _say(self, subject: Node, name: str, value: Term) -> None:
        if name.startswith("_:"):  # RDF knows no property without a name
            _note(self._graph, name)
        else:
            self._graph.add(subject, short(_freed(name)), value)

    def _subject(self, said: Any) -> Node:
        return self._fresh() if said is None else _node(said)

    def _fresh(self) -> Blank:
        self._made += 1
        return Blank(f"#{self._made}")  # names in documents begin with _:

    def _list(self, items: Iterable[Any]) -> Node:
        head: Node = _NIL
        last: Node | None = None
        for item in items:
            link = self._fresh()
            self._graph.add(link, RDF + "first", self.term(item))
            if last is None:
                head = link
            else:
                self._graph.add(last, RDF + "rest", link)
            last = link
        if last is not None:
            self._graph.add(last, RDF + "rest", _NIL)
        return head


def _node(said: Any) -> Node:
    if not isinstance(said, str):
        raise Malformed(f"policy is not JSON-LD that we can read: an id is {type(said).__name__}")
    text = short(said)
    return Blank(text) if text.startswith("_:") else Named(_freed(text))


def _freed(iri: str) -> str:
    return iri.removeprefix(_NOWHERE)


def _literal(item: Mapping[str, Any]) -> Literal:
    """Return a value as RDF writes it: numbers of JSON are integers if they are whole, else doubles."""
    value, said = item["@value"], item.get("@type")
    if said == "@json":
        return Literal(short(json.dumps(value, sort_keys=True)), RDF + "JSON")
    if isinstance(value, bool):
        text, kind = ("true" if value else "false"), XSD + "boolean"
    elif isinstance(value, int) and abs(value) < _MOST_WHOLE and said != XSD + "double":
        text, kind = str(value), XSD + "integer"
    elif isinstance(value, int | float):
        text, kind = _double(value), XSD + "double"
    else:
        text, kind = str(value), XSD + "string"
        if said is None and item.get("@language") is not None:
            return Literal(short(text), RDF + "langString", str(item["@language"]))
    return Literal(short(text), kind if said is None else _freed(str(said)))


def _double(value: float) -> str:
    """Write a double as its canonical form has it: 5.5 is `5.5E0`."""
    try:
        return re.sub(r"(\d)0*E\+?(-)?0*(\d)", r"\1E\2\3", f"{value:1.15E}")
    except OverflowError:
        raise Malformed(_NO_DOUBLE) from None


class _Census:
    """Counts what a JSON-LD document holds before anything is made of it, without recursion."""

    def __init__(self) -> None:
        self.values = self.contexts = self.terms = 0

    def take(self, document: Any) -> None:
        """Count, and refuse what no policy needs.

        Raises:
            TooLarge, UnknownContext, Malformed: as `policies.odrl.documents.read_graph`.
        """
        if not isinstance(document, dict | list):
            raise Malformed(f"policy is JSON, but {type(document).__name__}; expected an object")
        level: list[tuple[Any, bool]] = [(document, False)]
        depth = 0
        while level:
            depth += 1
            self.values += len(level)
            if depth > DEEPEST_JSON or self.values > MOST_VALUES:
                raise TooLarge(refusal("json values", deepest=DEEPEST_JSON, most=MOST_VALUES))
            level = [item for value, inside in level for item in self._parts(value, inside)]

    def _parts(self, value: Any, inside: bool) -> Iterable[tuple[Any, bool]]:
        if isinstance(value, str):
            if inside and len(value) > 1000:
                raise TooLarge(f"a context holds {value[:40]!r}… of {len(value):,} characters; at most 1,000")
            return ()
        if isinstance(value, list):
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
        self.contexts += len(said) if isinstance(said, list) else 1
        if self.contexts > MOST_CONTEXTS:
            raise TooLarge(f"document has more than {MOST_CONTEXTS} contexts; write one at its top")
        for context in said if isinstance(said, list) else [said]:
            if isinstance(context, str) and context not in KNOWN_CONTEXTS:
                raise _unknown(context)
