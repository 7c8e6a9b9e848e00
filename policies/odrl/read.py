"""Turtle or JSON-LD -> policies: the compact form expanded, everything named, each refusal with its place.

Source: ODRL Information Model 2.2, sections 2.1 to 2.9; 2.7 for the compact form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import product
from typing import NamedTuple

from policies.odrl.documents import read_graph
from policies.odrl.graph import Blank, Literal, Named, Node, Term
from policies.odrl.inherit import refuse_lacking
from policies.odrl.model import (
    ANYTHING,
    ConflictStrategy,
    Duty,
    DutyRole,
    Permission,
    PolicyKind,
    PolicyModel,
    Prohibition,
    Refined,
    Shared,
)
from policies.odrl.read_constraints import Demands, Desk, named, read_conditions, shorter, shown
from policies.odrl.vocabulary import (
    CLASSES,
    CONSTRAINT_MEMBERS,
    CORE_PROFILE,
    INCLUDED_IN,
    PARTICIPANT_MEMBERS,
    POLICY_MEMBERS,
    RDF,
    RULE_MEMBERS,
)
from policies.refusals.refusal import refusal
from schemas.errors import Malformed, TooLarge
from schemas.vocab import ODRL, expand_iri

MOST_POLICIES = 500
_RULES = ("permission", "prohibition", "obligation")
_TYPE = RDF + "type"
_ASSET_CLASSES = frozenset({ODRL + "Asset", ODRL + "AssetCollection"})
"""What a policy may be besides: it can be the target of another one."""
_STRICT = Demands()
_KINDS = {
    "Offer": PolicyKind.OFFER,
    "Agreement": PolicyKind.AGREEMENT,
    "Request": PolicyKind.REQUEST,
    "Assertion": PolicyKind.ASSERTION,
}
_NESTED = {"duty": DutyRole.DUTY, "consequence": DutyRole.CONSEQUENCE, "remedy": DutyRole.REMEDY}
_MAY_HOLD = {
    "permission": ("duty",),
    "prohibition": ("remedy",),
    "obligation": ("consequence",),
    "duty": ("consequence",),
    "consequence": (),
    "remedy": (),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document says.

    `members` are its statements of membership (member -> collections), `actions` those of actions
    (narrower -> wider). They are what the author says, and count only if whoever evaluates believes it.
    """

    policies: tuple[PolicyModel, ...]
    warnings: tuple[str, ...] = ()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    actions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read(document: bytes | str, media_type: str | None = None, demands: Demands = _STRICT) -> Reading:
    """Read every policy of a document, in its order.

    Args:
        document: Turtle or JSON-LD in UTF-8; see `policies.odrl.documents` for the bounds.
        media_type: `text/turtle` or `application/ld+json`; None tells them apart.
        demands: how much is asked of a policy.

    Raises:
        UnknownTerm: naming a term that is neither ODRL's nor in `demands`, its place, and what is known.
        PolicyMismatch: naming a value that does not fit its operand.
        UnknownContext: naming a context that is not bundled.
        TooLarge, PolicyCycle, Malformed: naming the bound or the place.
    """
    desk = Desk(read_graph(document, media_type), demands)
    _refuse_meaningless(desk)
    nodes = [node for node in desk.graph.nodes if _is_policy(desk, node)]
    if not nodes:
        raise Malformed(refusal("no policy"))
    if len(nodes) > MOST_POLICIES:
        raise TooLarge(refusal("many policies", count=len(nodes), most=MOST_POLICIES))
    policies = tuple(_policy(desk, node, at, len(nodes)) for at, node in enumerate(nodes))
    ids = [policy.id for policy in policies]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise Malformed(refusal("policy twice", name=repr(shorter(min(twice)))))
    return Reading(
        policies,
        tuple(desk.warnings),
        _statements(desk, ("partOf",)),
        _statements(desk, ("includedIn", "implies")),
    )


def read_one(
    document: bytes | str,
    policy_id: str | None = None,
    media_type: str | None = None,
    demands: Demands = _STRICT,
) -> PolicyModel:
    """Read the policy with an id; None asks for the only one.

    Raises:
        Malformed: if there is no such policy, or there are several and no id is given.
        DataspaceError: as `read`.
    """
    found = read(document, media_type, demands).policies
    if policy_id is None and len(found) == 1:
        return found[0]
    for policy in found:
        if policy.id == policy_id:
            return policy
    existing = ", ".join(shorter(policy.id) for policy in found[:10])
    asked = "several policies" if policy_id is None else f"no policy {policy_id[:120]!r}"
    raise Malformed(f"document holds {asked}; ask for one of: {existing}")


def _refuse_meaningless(desk: Desk) -> None:
    """Look for members without a meaning: a misspelt constraint would be lost, and widen its rule."""
    known = sorted(POLICY_MEMBERS | RULE_MEMBERS | CONSTRAINT_MEMBERS)
    for name in desk.graph.meaningless:
        desk.unknown(
            f"member {name!r}, to which its context gives no meaning,",
            "document",
            get_close_matches(name, known, 3) or known,
        )


def _statements(desk: Desk, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {
        node.iri: wider
        for node, said in desk.graph.nodes.items()
        if isinstance(node, Named)
        and (
            wider := tuple(
                value.iri for name in names for value in said.get(ODRL + name, ()) if isinstance(value, Named)
            )
        )
    }


def _classes(desk: Desk, node: Term) -> list[str]:
    types = [value.iri for value in desk.graph.objects(node, _TYPE) if isinstance(value, Named)]
    return [CLASSES[iri] for iri in types if iri in CLASSES]


def _is_policy(desk: Desk, node: Node) -> bool:
    return bool(_classes(desk, node)) or any(desk.graph.objects(node, ODRL + name) for name in _RULES)


def _policy(desk: Desk, node: Node, at: int, count: int) -> PolicyModel:
    place = "policy" if count == 1 else f"policy[{at}]"
    lead = "" if count == 1 else f"{place}."
    desk.check_members(node, place, POLICY_MEMBERS)
    _refuse_unknown_class(desk, node, place)
    classes = [name for name in _classes(desk, node) if name != "Policy"]
    if len(set(classes)) > 1:
        raise Malformed(f"{place} is {' and '.join(classes)} at once; write one class")
    kind = _KINDS.get(classes[0], PolicyKind.SET) if classes else PolicyKind.SET
    profiles = tuple(
        named(desk, item, "profile", place) for item in desk.graph.objects(node, ODRL + "profile")
    )
    for profile in profiles:
        if profile not in desk.demands.known_profiles and profile != CORE_PROFILE:
            desk.unknown(f"profile {profile[:120]!r}", place, (*desk.demands.known_profiles, CORE_PROFILE))
    parents = tuple(
        named(desk, item, "inheritFrom", place) for item in desk.graph.objects(node, ODRL + "inheritFrom")
    )
    shared = Shared(
        _actions(desk, node, place),
        _participants(desk, node, "target", place),
        _participants(desk, node, "assigner", place),
        _participants(desk, node, "assignee", place),
    )
    conflict, stated, void = _conflict(desk, node, place)
    made: dict[str, list[Permission | Prohibition | Duty]] = {name: [] for name in _RULES}
    for name in _RULES:
        rules = [
            item for value in desk.graph.objects(node, ODRL + name) for item in desk.graph.items(value, place)
        ]
        for index, rule in enumerate(rules):
            made[name] += _rule(desk, rule, shared, _Spot(name, f"{lead}{name}[{index}]"))
    if not parents and not any(made.values()):
        raise Malformed(refusal("no rules", place=place))
    policy = PolicyModel(
        id=_id(desk, node, f"_:{place}"),
        kind=kind,
        profiles=profiles,
        conflict=conflict,
        inherits=parents,
        permissions=tuple(rule for rule in made["permission"] if isinstance(rule, Permission)),
        prohibitions=tuple(rule for rule in made["prohibition"] if isinstance(rule, Prohibition)),
        obligations=tuple(rule for rule in made["obligation"] if isinstance(rule, Duty)),
        shared=shared,
        conflict_stated=stated,
        void=void,
    )
    if not parents:  # what is lacking may still be inherited
        refuse_lacking(policy, actions=desk.demands.actions, parties=desk.demands.parties)
    return policy


def _refuse_unknown_class(desk: Desk, node: Node, place: str) -> None:
    """Look for a misspelt class: an Offer that is not known as one would grant as a Set does."""
    for value in desk.graph.objects(node, _TYPE):
        if not isinstance(value, Named) or value.iri in CLASSES or value.iri in _ASSET_CLASSES:
            continue
        if value.iri.startswith(ODRL) or ":" not in value.iri:
            desk.unknown(f"class {shorter(value.iri)!r}", place, CLASSES)


def _id(desk: Desk, node: Term, otherwise: str) -> str:
    if isinstance(node, Named):
        return node.iri
    for value in desk.graph.objects(node, ODRL + "uid"):
        if isinstance(value, Named):
            return value.iri
        if isinstance(value, Literal):
            return value.text
    return otherwise


def _conflict(desk: Desk, node: Node, place: str) -> tuple[ConflictStrategy, bool, str | None]:
    said = [named(desk, item, "conflict", place) for item in desk.graph.objects(node, ODRL + "conflict")]
    found = set()
    for iri in said:
        bare = iri.removeprefix(ODRL)
        if bare not in list(ConflictStrategy):
            raise Malformed(f"{place}: conflict is {shorter(iri)!r}; write perm, prohibit or invalid")
        found.add(ConflictStrategy(bare))
    if len(found) > 1:
        return (
            ConflictStrategy.INVALID,
            True,
            f"it states several conflict strategies: {', '.join(sorted(found))}",
        )
    return (found.pop() if found else ConflictStrategy.INVALID), bool(said), None


class _Spot(NamedTuple):
    """Where a rule stands: by which property, in words, and inside which nodes."""

    name: str
    place: str
    path: tuple[Term, ...] = ()


def _rule(desk: Desk, node: Term, shared: Shared, spot: _Spot) -> list[Permission | Prohibition | Duty]:
    """Read a rule and multiply it into atomic ones."""
    name, place, path = spot
    path = desk.enter(node, path, place)
    if isinstance(node, Literal):
        raise Malformed(f"{place} is {shown(node)}; write a rule with an action")
    if isinstance(node, Named) and node not in desk.graph.nodes:
        raise Malformed(f"{place}: {shown(node)} is not described here; write the rule with its action")
    _refuse_other_class(desk, node, name, place)
    desk.check_members(node, place, RULE_MEMBERS)
    for inner in _NESTED:
        if inner not in _MAY_HOLD[name] and desk.graph.objects(node, ODRL + inner):
            raise Malformed(f"{place}: a {name} holds no {inner}; known there: action, target, constraint")
    identity = _id(desk, node, f"_:{place}")
    constraints = read_conditions(
        desk, desk.graph.objects(node, ODRL + "constraint"), f"{place}.constraint", path
    )
    nested = tuple(
        duty for inner in _MAY_HOLD[name] for duty in _duties(desk, node, inner, f"{place}.{inner}", path)
    )
    sides = (
        _actions(desk, node, place) or shared.actions or (ANYTHING,),
        _participants(desk, node, "target", place) or shared.targets or (ANYTHING,),
        _participants(desk, node, "assigner", place) or shared.assigners or (ANYTHING,),
        _participants(desk, node, "assignee", place) or shared.assignees or (ANYTHING,),
    )
    desk.spend(len(sides[0]) * len(sides[1]) * len(sides[2]) * len(sides[3]))
    made: list[Permission | Prohibition | Duty] = []
    for action, target, assigner, assignee in product(*sides):
        if name == "permission":
            made.append(Permission(identity, action, target, assigner, assignee, constraints, nested))
        elif name == "prohibition":
            made.append(Prohibition(identity, action, target, assigner, assignee, constraints, nested))
        else:
            role = _NESTED.get(name, DutyRole.OBLIGATION)
            made.append(Duty(identity, role, action, target, assigner, assignee, constraints, nested))
    return made


def _refuse_other_class(desk: Desk, node: Node, name: str, place: str) -> None:
    """A prohibition that is pointed at as a permission would turn into its opposite."""
    own = name.capitalize() if name in ("permission", "prohibition") else "Duty"
    for value in desk.graph.objects(node, _TYPE):
        bare = value.iri.removeprefix(ODRL) if isinstance(value, Named) else ""
        if bare in ("Permission", "Prohibition", "Duty") and bare != own:
            raise Malformed(f"{place}: a {bare} stands as a {name}; point at it by the property of its class")


def _duties(desk: Desk, node: Term, name: str, place: str, path: tuple[Term, ...]) -> Iterable[Duty]:
    nodes = [
        item for value in desk.graph.objects(node, ODRL + name) for item in desk.graph.items(value, place)
    ]
    for index, item in enumerate(nodes):
        for rule in _rule(desk, item, Shared(), _Spot(name, f"{place}[{index}]", path)):
            if isinstance(rule, Duty):
                yield rule


# --- actions, assets, parties ------------------------------------------------------------------------


def _actions(desk: Desk, node: Term, place: str) -> tuple[Refined, ...]:
    place = f"{place}.action"
    found = [
        item for value in desk.graph.objects(node, ODRL + "action") for item in desk.graph.items(value, place)
    ]
    desk.spend(len(found) // 8)
    return tuple(_action(desk, item, place) for item in found)


def _action(desk: Desk, node: Term, place: str) -> Refined:
    values = desk.graph.objects(node, RDF + "value")
    if len(values) > 1:
        raise Malformed(f"{place}: {len(values)} values of rdf:value; write one action")
    desk.check_members(node, place, PARTICIPANT_MEMBERS, only_odrl=True)
    said = values[0] if values else node
    if isinstance(said, Literal) and ODRL + said.text in INCLUDED_IN:
        desk.warn(
            place, f"the action is the text {said.text!r}, taken as odrl:{said.text}; write it as an IRI"
        )
        iri = ODRL + said.text
    elif isinstance(said, Blank):
        raise Malformed(f"{place}: a node without a name and without rdf:value; name the action in rdf:value")
    else:
        iri = expand_iri(named(desk, said, "action", place))
    if iri not in INCLUDED_IN and iri not in desk.demands.known_actions and not desk.is_ours(iri):
        desk.unknown(f"action {shorter(iri)!r}", place, (*INCLUDED_IN, *desk.demands.known_actions))
    refinements = read_conditions(
        desk, desk.graph.objects(node, ODRL + "refinement"), f"{place}.refinement", (node,)
    )
    own = node.iri if isinstance(node, Named) and node != said else None
    return Refined(iri, refinements, id=own)


def _participants(desk: Desk, node: Term, name: str, place: str) -> tuple[Refined, ...]:
    place = f"{place}.{name}"
    found = [
        item for value in desk.graph.objects(node, ODRL + name) for item in desk.graph.items(value, place)
    ]
    desk.spend(len(found) // 8)
    return tuple(_participant(desk, item, name, place) for item in found)


def _participant(desk: Desk, node: Term, name: str, place: str) -> Refined:
    if isinstance(node, Literal):
        return Refined(named(desk, node, name, place))
    desk.check_members(node, place, PARTICIPANT_MEMBERS, only_odrl=True)
    source = desk.one(node, "source", place)
    types = [value.iri for value in desk.graph.objects(node, _TYPE) if isinstance(value, Named)]
    collection = source is not None or any(iri.removeprefix(ODRL).endswith("Collection") for iri in types)
    origin = None if source is None else named(desk, source, "source", place)
    refinements = read_conditions(
        desk, desk.graph.objects(node, ODRL + "refinement"), f"{place}.refinement", (node,)
    )
    iri = _id(desk, node, "")
    if not iri:
        iri = origin or f"_:{place}"
        if origin is None:
            desk.warn(place, f"the {name} has neither an id nor a source, so nobody can be it; name it")
    return Refined(iri, refinements, collection, None if origin == iri else origin, iri)
