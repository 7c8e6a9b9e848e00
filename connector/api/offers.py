"""How an offer is said to us: a template and its parameters, or ODRL."""

from __future__ import annotations

from typing import Any

from policies.templates import fill
from schemas.errors import Malformed
from schemas.odrl import Offer


def read_offer(said: dict[str, Any], id: str = "urn:hansa:draft") -> Offer:
    """Read an offer: a template and its parameters, or ODRL.

    Raises:
        Refused: saying what does not fit, and where.
    """
    if "template" not in said:
        return Offer.read({"@id": id, **said})
    unknown = set(said) - {"template", "parameters"}
    if unknown:
        raise Malformed(f"offer has {sorted(unknown)} besides 'template' and 'parameters'")
    parameters = said.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise Malformed("offer.parameters is no JSON object")
    return fill(str(said["template"]), id, **{str(key): value for key, value in parameters.items()})
