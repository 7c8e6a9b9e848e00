"""Policies as files: JSON as the Dataspace Protocol writes it, JSON-LD, or Turtle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.refusals.refusal import refusal
from schemas.errors import Malformed
from schemas.vocab import DSP_CONTEXT, DSP_ODRL_CONTEXT

if TYPE_CHECKING:
    from schemas.odrl import Policy

DRAFT = "urn:hansa:draft"
"""What an offer is called that has no name yet."""
MOST_FILE = 4 << 20
"""Bytes of a policy file."""


def read_file(file: Path) -> Policy:
    """Read a policy from a file: JSON as the Dataspace Protocol writes it, JSON-LD, or Turtle.

    Raises:
        Malformed: if it cannot be read, or is too large.
        Refused: as its form is refused.
    """
    try:
        size = file.stat().st_size
        text = file.read_text(encoding="utf-8") if size <= MOST_FILE else ""
    except (OSError, ValueError) as error:
        raise Malformed(refusal("file", file=file, why=_why(error))) from None
    if size > MOST_FILE:
        raise Malformed(refusal("file large", file=file, size=size, most=MOST_FILE))
    if file.suffix == ".ttl":
        return _read_rdf(text, "text/turtle")
    try:
        document = json.loads(text)
    except RecursionError:
        raise Malformed(refusal("file deep", file=file)) from None
    except ValueError as error:
        raise Malformed(refusal("file json", file=file, why=error)) from None
    if isinstance(document, list) or (isinstance(document, dict) and _is_foreign(document)):
        return _read_rdf(text, "application/ld+json")
    if not isinstance(document, dict):
        raise Malformed(refusal("file object", file=file))
    return _read_protocol(document)


def _why(error: OSError | ValueError) -> str:
    """Say why a file cannot be read, without its name."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _is_foreign(document: dict[str, Any]) -> bool:
    """Say whether JSON brings a context of its own, in which its words may mean anything."""
    context = document.get("@context", [])
    named = context if isinstance(context, list) else [context]
    return "@graph" in document or not all(one in (DSP_CONTEXT, DSP_ODRL_CONTEXT) for one in named)


def _read_rdf(text: str, media_type: str) -> Policy:
    from policies.odrl.dsp import read_offer

    return read_offer(text, None, media_type)


def _read_protocol(document: dict[str, Any]) -> Policy:
    from schemas.odrl import Agreement, Offer

    if document.get("@type") in ("Agreement", "odrl:Agreement"):
        return Agreement.read({**document, "@type": "Agreement"})
    return Offer.read({"@id": DRAFT, **document, "@type": "Offer"})


def offer_file(file: Path) -> dict[str, Any]:
    """Read an offer from a file, as the management door takes it.

    Raises:
        Malformed: if it cannot be read, or is an agreement.
        Refused: as its form is refused.
    """
    from schemas.odrl import Offer

    policy = read_file(file)
    if not isinstance(policy, Offer):
        raise Malformed(refusal("file agreement", file=file))
    said = policy.wire()
    return {**said, "@id": ""} if policy.id.startswith("_:") or policy.id == DRAFT else said
