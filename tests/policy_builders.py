"""Small policies for tests: rules and constraints in the form that travels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from policies.compiled import CompiledPolicy, compile_policy
from policies.use import Use
from schemas.odrl import Offer
from schemas.vocab import DPV, HANSA, ODRL

LAB = "did:web:lab.example"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RESEARCH = DPV + "ScientificResearch"


def limit(left: str, operator: str, right: Any) -> dict[str, Any]:
    """One constraint; `left` may be short for a term of our profile."""
    known = left.startswith(("odrl:", "http", "hansa:")) or left in ("dateTime", "purpose")
    return {
        "leftOperand": left if known else HANSA + left,
        "operator": operator,
        "rightOperand": right,
    }


def rule(action: str, *constraints: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """One rule."""
    return {"action": action, "constraint": list(constraints), **extra}


def offer(*permissions: dict[str, Any], **members: Any) -> Offer:
    """An offer with these permissions."""
    return Offer.read({"@id": "urn:offer:1", "permission": list(permissions), **members})


def compiled(*permissions: dict[str, Any], **members: Any) -> CompiledPolicy:
    """A compiled offer with these permissions."""
    return compile_policy(offer(*permissions, **members))


def allowing(*constraints: dict[str, Any], **members: Any) -> CompiledPolicy:
    """A compiled offer that permits any use under these constraints."""
    return compiled(rule("use", *constraints), **members)


def use(action: str = HANSA + "train", purpose: str | None = RESEARCH, participant: str = LAB) -> Use:
    """A use by the lab; by default training for scientific research."""
    return Use(participant, ODRL + "use" if action == "use" else action, purpose)
