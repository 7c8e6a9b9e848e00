"""A policy of the model -> the form in which the Dataspace Protocol writes it, or a refusal by name.

What the protocol's context has no word for would be lost on the way, and a policy that loses a refinement
allows more than it says: so it does not travel.

Source: Dataspace Protocol 2025-1, contract-schema.json and the ODRL profile of its context.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from policies.algebra.lengths import Months, spelt
from policies.odrl.inherit import resolved
from policies.odrl.model import (
    Condition,
    ConflictStrategy,
    Duty,
    Iri,
    Logical,
    Permission,
    PolicyKind,
    PolicyModel,
    Prohibition,
    Refined,
    Stretch,
    Typed,
    Value,
)
from policies.odrl.read import read
from policies.odrl.read_constraints import Demands, shorter
from policies.refusals.refusal import refusal
from schemas.errors import Malformed, PolicyMismatch
from schemas.odrl import Offer
from schemas.vocab import HANSA, HANSA_PROFILE, ODRL, XSD

PRODUCT = Demands(parties=False, known_spaces=(HANSA,), known_profiles=frozenset({HANSA_PROFILE}))
"""What our own profile asks of a document; which of its terms can be kept is said when it is compiled."""

_Rule = Permission | Prohibition | Duty


def read_offer(document: bytes | str, policy_id: str | None = None, media_type: str | None = None) -> Offer:
    """Read an offer from Turtle or JSON-LD, with what it inherits, for `policies.compiled.compile_policy`.

    Args:
        document: one policy, or several, of which `policy_id` names one.
        policy_id: its IRI; None asks for the only one, or the only one that no other inherits from.
        media_type: `text/turtle` or `application/ld+json`; None tells them apart.

    Raises:
        Malformed: if there is no such policy, or there are several.
        PolicyCycle: naming the circle.
        DataspaceError: as `policies.odrl.read.read`, `policies.odrl.inherit.resolved` and `as_offer`.
    """
    found = read(document, media_type, PRODUCT).policies
    others = {policy.id: policy for policy in found}
    chosen = _chosen(found, policy_id)
    return as_offer(resolved(chosen, others, parties=False) if chosen.inherits else chosen)


def _chosen(found: tuple[PolicyModel, ...], policy_id: str | None) -> PolicyModel:
    if policy_id is not None:
        wanted = [policy for policy in found if policy.id == policy_id]
    else:
        parents = {name for policy in found for name in policy.inherits}
        # Where every policy is somebody's parent they go round in a circle, which is told by its members.
        wanted = [policy for policy in found if policy.id not in parents] or list(found[:1])
    if len(wanted) == 1:
        return wanted[0]
    existing = ", ".join(shorter(policy.id) for policy in (wanted or found)[:10])
    if policy_id is not None:
        raise Malformed(f"document holds no policy {policy_id[:120]!r}; it holds: {existing}")
    raise Malformed(refusal("several policies", existing=existing))


def as_offer(policy: PolicyModel) -> Offer:
    """Write a policy as an offer.

    Raises:
        PolicyMismatch: naming what the Dataspace Protocol has no word for, its place, and what to write.
    """
    if policy.void or policy.inherits:
        raise _cannot(
            "inheritFrom" if policy.inherits else "conflict", policy.id, "merge the parents in first"
        )
    if policy.conflict_stated and policy.conflict is not ConflictStrategy.PROHIBIT:
        raise _cannot(f"conflict {policy.conflict}", policy.id, "leave it out: a prohibition wins here")
    if policy.kind in (PolicyKind.REQUEST, PolicyKind.ASSERTION):
        raise _cannot(f"a policy of class {policy.kind}", policy.id, "write an Offer")
    rules: tuple[_Rule, ...] = (*policy.permissions, *policy.prohibitions, *policy.obligations)
    said: dict[str, Any] = {"@type": "Offer", "@id": policy.id, "profile": list(policy.profiles)}
    for side in ("target", "assigner", "assignee"):
        shared = _shared(rules, side)
        if shared is not None:
            said[side] = shared
    said["permission"] = [_rule(rule) for rule in policy.permissions]
    said["prohibition"] = [_rule(rule) for rule in policy.prohibitions]
    said["obligation"] = [_rule(rule) for rule in policy.obligations]
    return Offer.model_validate({key: value for key, value in said.items() if value not in ([], None)})


def _cannot(what: str, place: str, fix: str) -> PolicyMismatch:
    return PolicyMismatch(
        f"{what} in {place.removeprefix('_:')[:160]} cannot travel by the Dataspace Protocol; {fix}"
    )


def _shared(rules: Iterable[_Rule], side: str) -> str | None:
    """Return what all rules say of a target or party: the protocol states it once, for the whole offer."""
    found: dict[str | None, str] = {}
    for rule in rules:
        one: Refined = getattr(rule, side)
        if one.refinements:
            raise _cannot(f"a refinement of the {side}", rule.id, "write it as a constraint of the rule")
        found.setdefault(one.iri, rule.id)
    if len(found) > 1:
        both = " and ".join(shorter(name or "any") for name in list(found)[:2])
        raise _cannot(f"another {side} ({both})", list(found.values())[1], "write an offer for each")
    return next(iter(found), None)


def _rule(rule: _Rule) -> dict[str, Any]:
    if rule.action.refinements:
        raise _cannot("a refinement of the action", rule.id, "write it as a constraint of the rule")
    if rule.action.iri is None:
        raise _cannot("a rule without an action", rule.id, "write an action")
    if isinstance(rule, Permission) and rule.duties:
        raise _cannot("a duty of a permission", rule.id, "write it as an obligation of the policy")
    if isinstance(rule, Prohibition) and rule.remedies:
        raise _cannot("a remedy", rule.id, "leave it out")
    if isinstance(rule, Duty) and rule.consequences:
        raise _cannot("a consequence", rule.id, "write it as a constraint: hansa:consequence eq suspend")
    made: dict[str, Any] = {"action": rule.action.iri}
    if rule.constraints:
        made["constraint"] = [_condition(one) for one in rule.constraints]
    return made


def _condition(one: Condition) -> dict[str, Any]:
    if isinstance(one, Logical):
        return {one.form: [_condition(part) for part in one.parts]}
    if one.unit is not None:
        raise _cannot(f"the unit {shorter(one.unit)!r}", one.id, "write the value in the unit of its operand")
    if one.reference is not None:
        raise _cannot("a rightOperandReference", one.id, "write the value itself")
    if one.status is not None:
        raise _cannot("a status", one.id, "leave it out: what was used is counted here")
    values = [_value(value, one.id) for value in one.values]
    bare = one.operand.removeprefix(ODRL)
    return {
        "leftOperand": f"odrl:{bare}" if bare != one.operand else one.operand,
        "operator": one.operator.removeprefix(ODRL),
        "rightOperand": values[0] if len(values) == 1 else values,
    }


def _value(value: Value, place: str) -> Any:
    if isinstance(value, Iri):
        return value.value
    if isinstance(value, Stretch):
        raise _cannot(f"{value.text} of type {shorter(value.datatype)}", place, "write an xsd:dateTime")
    if isinstance(value, Typed):
        raise _cannot(f"a value of type {shorter(value.datatype)!r}", place, "write a text, number or time")
    if isinstance(value, datetime) and value.tzinfo is None:
        raise _cannot(f"{value.isoformat()}, which has no time zone,", place, "write it with Z")
    if isinstance(value, datetime):
        return {"@value": value.isoformat().replace("+00:00", "Z"), "@type": f"{XSD}dateTime"}
    if isinstance(value, date):
        return {"@value": value.isoformat(), "@type": f"{XSD}date"}
    if isinstance(value, timedelta | Months):
        return spelt(value)
    if isinstance(value, Decimal):
        return {"@value": format(value, "f"), "@type": f"{XSD}decimal"}
    return value
