"""Foreign JSON-LD -> the compact form that our models read; bundled contexts only, never the network.

The Dataspace Protocol lets a peer read its compact form as plain JSON, so a document under the DSP
context (and known companions) is taken as it stands. Anything else is expanded and compacted under our
own bundled context, which maps the same terms.

Source: JSON-LD 1.1; Dataspace Protocol 2025-1, chapter 4.2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from schemas.errors import Malformed, UnknownContext
from schemas.foreign import COMPANIONS
from schemas.vocab import DSP_CONTEXT, DSP_ODRL_CONTEXT

KNOWN_CONTEXTS = frozenset({DSP_CONTEXT}) | COMPANIONS

_STUMBLES = (TypeError, ValueError, LookupError, AttributeError, RecursionError)
_NOWHERE = "https://relative.invalid/"
"""What relative ids are resolved against and freed of again: peers use bare UUIDs and names as ids."""


def _bundled(name: str) -> dict[str, Any]:
    text = files("schemas").joinpath("resources", "contexts", name).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _contexts(document: Mapping[str, Any]) -> list[Any]:
    said = document.get("@context")
    return said if isinstance(said, list) else [said]


def _refuse_unknown(value: Any) -> None:
    """Walk every context, nested ones too, before anything is processed."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in ("@context", "@import"):
                for context in item if isinstance(item, list) else [item]:
                    if isinstance(context, str) and context not in KNOWN_CONTEXTS:
                        known = ", ".join(sorted(KNOWN_CONTEXTS))
                        raise UnknownContext(
                            f"context {context[:120]!r} is unknown here, and never fetched; known: {known}"
                        )
            _refuse_unknown(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_unknown(item)


def compact_form(document: Any) -> dict[str, Any]:
    """Return the form that our models read.

    Raises:
        UnknownContext: naming a context that is not bundled.
        Malformed: if the document is not JSON-LD with a context.
    """
    if not isinstance(document, dict):
        raise Malformed(f"expected a JSON-LD object, got {type(document).__name__}")
    if "@context" not in document:
        raise Malformed(f"document has no '@context'; expected [{DSP_CONTEXT!r}]")
    _refuse_unknown(document)
    contexts = _contexts(document)
    if DSP_CONTEXT in contexts and all(isinstance(context, str) for context in contexts):
        return document
    return _recompact(document)


def _recompact(document: dict[str, Any]) -> dict[str, Any]:
    from pyld import jsonld  # expensive to import, and seldom needed

    context = _bundled("dataspace.jsonld")

    def load(url: str, _options: Any) -> dict[str, Any]:
        found = _of_odrl(context) if url == DSP_ODRL_CONTEXT else context
        return {"contextUrl": None, "documentUrl": url, "document": found}

    try:
        compacted = jsonld.compact(document, context, {"documentLoader": load, "base": _NOWHERE})
    except jsonld.JsonLdError as error:
        raise Malformed(f"document is not JSON-LD that we can read: {error.type}") from None
    except _STUMBLES as error:
        # pyld 3.3 takes some contexts apart that it has not checked, as a text for an object.
        raise Malformed(f"document is not JSON-LD that we can read: {type(error).__name__}") from None
    if not isinstance(compacted, dict) or "@graph" in compacted:
        raise Malformed("document describes several things at its top; expected exactly one")
    names = {_meaning(meant): term for term, meant in context["@context"].items()}
    freed: dict[str, Any] = _freed(compacted, names)
    return {**freed, "@context": [DSP_CONTEXT]}


def _of_odrl(context: dict[str, Any]) -> dict[str, Any]:
    """Return the part of our context that DSP's own one imports: whoever writes that out imports it there."""
    terms = context["@context"]
    kept = {
        term: meant
        for term, meant in terms.items()
        if term in ("@version", "odrl", "xsd") or _meaning(meant).startswith("odrl:")
    }
    return {"@context": kept}


def _meaning(meant: Any) -> str:
    return str(meant.get("@id") if isinstance(meant, dict) else meant)


def _freed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a document with its relative ids as they were written, and every term under its plain name.

    A term keeps its prefix where a text stands for an id, as DSP's own context has it in places.
    """
    if isinstance(value, str):
        return value.removeprefix(_NOWHERE)
    if isinstance(value, list):
        return [_freed(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: names[key] for key in value if key in names and names[key] not in value}
    return {plain.get(key, key.removeprefix(_NOWHERE)): _freed(item, names) for key, item in value.items()}
