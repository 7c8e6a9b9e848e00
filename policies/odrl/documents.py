"""Foreign Turtle or JSON-LD -> a small graph; bounded in every direction, and never fetching anything.

Source: RDF 1.1 Turtle; JSON-LD 1.1.
"""

from __future__ import annotations

from policies.odrl.graph import Graph, from_turtle
from policies.odrl.jsonld import from_json
from policies.refusals.refusal import refusal
from schemas.errors import Malformed, TooLarge

MOST_BYTES = 4 << 20


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
        raise TooLarge(refusal("bytes", size=len(data), most=MOST_BYTES))
    data = data.removeprefix(b"\xef\xbb\xbf")
    if _is_json(data, media_type):
        return from_json(data)
    return from_turtle(data)


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
