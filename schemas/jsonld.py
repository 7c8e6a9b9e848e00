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
from schemas.vocab import DSP_CONTEXT

KNOWN_CONTEXTS = frozenset({DSP_CONTEXT}) | COMPANIONS

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
            if key == "@import":
                # pyld 3.3 lays the importing terms into its own copy, which all later documents are read by.
                raise UnknownContext(
                    f"a context imports {str(item)[:120]!r}, which is refused, and never fetched; "
                    "list it in '@context'"
                )
            if key == "@context":
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
        return {"contextUrl": None, "documentUrl": url, "document": context}

    try:
        compacted = jsonld.compact(document, context, {"documentLoader": load, "base": _NOWHERE})
    except jsonld.JsonLdError as error:
        raise Malformed(f"document is not JSON-LD that we can read: {error.type}") from None
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # What the library trips over in documents that no check foresaw.
        raise Malformed(f"document is not JSON-LD that we can read: {type(error).__name__}") from None
    if not isinstance(compacted, dict) or "@graph" in compacted:
        raise Malformed("document describes several things at its top; expected exactly one")
    freed: dict[str, Any] = _relative(compacted)
    return {**freed, "@context": [DSP_CONTEXT]}


def _relative(value: Any) -> Any:
    """Return a document with its relative ids as they were written."""
    if isinstance(value, str):
        return value.removeprefix(_NOWHERE)
    if isinstance(value, dict):
        return {_relative(key): _relative(item) for key, item in value.items()}
    return [_relative(item) for item in value] if isinstance(value, list) else value
