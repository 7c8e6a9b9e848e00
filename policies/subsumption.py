"""Policies beside each other: the same, a fit, a clash, a change. No solver runs here.

Order, spelling (`odrl:purpose`, `purpose`, the full IRI), repeated terms, ids and parties make no
difference. A request fits an offer if it asks for nothing beyond it: narrower is enough, wider never is, and
what nobody here can compare does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from policies.compare.changes import Change, changes
from policies.compare.clashes import Clash, clashes_between, clashes_in
from policies.compare.fit import misfits, words_of
from policies.compare.normal import normal_policy, normal_rule
from policies.compiled import CompiledPolicy, compile_policy
from policies.rules import CompiledRule
from schemas.canonical import canonical
from schemas.errors import Refused
from schemas.odrl import Policy


@dataclass(frozen=True, slots=True)
class Fit:
    """The request fits the offer."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """The request does not fit the offer, and why."""

    reasons: tuple[str, ...]


def normal_form(policy: Policy) -> dict[str, Any]:
    """Return what a policy says as JSON that is equal exactly for policies that say the same.

    Raises:
        Refused: if the policy cannot be compiled, as `compile_policy` says.
    """
    return normal_policy(compile_policy(policy))


def same_terms(one: Policy, other: Policy) -> bool:
    """Say whether two policies say the same, whatever their ids, parties, order and spelling.

    Raises:
        Refused: if one of them cannot be compiled.
    """
    return normal_form(one) == normal_form(other)


def matches(request: Policy, offer: Policy) -> Fit | Misfit:
    """Say whether a request says the same as an offer, and otherwise what either lacks.

    A request that cannot be compiled does not match; the reason names the term.

    Raises:
        Refused: if the offer, which is ours, cannot be compiled.
    """
    offered = compile_policy(offer)
    try:
        requested = compile_policy(request)
    except Refused as error:
        return Misfit((f"the request cannot be read: {error}",))
    if normal_policy(requested) == normal_policy(offered):
        return Fit()
    return Misfit(_differences(requested, offered))


def covers(request: Policy, offer: Policy) -> Fit | Misfit:
    """Say whether a request fits an offer: whether it asks for nothing that the offer does not allow.

    Every permission that it claims lies within the offer's, every prohibition of the offer is kept, every
    obligation accepted. The reasons name the term that is too wide, with both values.

    Raises:
        Refused: if the offer, which is ours, cannot be compiled.
    """
    offered = compile_policy(offer)
    try:
        requested = compile_policy(request)
    except Refused as error:
        return Misfit((f"the request cannot be read: {error}",))
    reasons = misfits(requested, offered)
    return Misfit(reasons) if reasons else Fit()


def conflicts(one: Policy, other: Policy | None = None) -> tuple[Clash, ...]:
    """Return where a policy contradicts itself, or where two can never be kept together, by rule.

    Raises:
        Refused: if one of them cannot be compiled.
    """
    first = compile_policy(one)
    return clashes_in(first) if other is None else clashes_between(first, compile_policy(other))


def diff(old: Policy, new: Policy) -> tuple[Change, ...]:
    """Return what became of each rule: added, removed, widened, narrowed, changed or equal, term by term.

    Raises:
        Refused: if one of them cannot be compiled.
    """
    return changes(compile_policy(old), compile_policy(new))


def _differences(requested: CompiledPolicy, offered: CompiledPolicy) -> tuple[str, ...]:
    found = []
    for kind, ours, theirs in (
        ("a permission", offered.permissions, requested.permissions),
        ("a prohibition", offered.prohibitions, requested.prohibitions),
        ("an obligation", offered.duties, requested.duties),
    ):
        found += _one_way(f"the offer has {kind} that the request lacks", ours, theirs)
        found += _one_way(f"the request has {kind} that the offer lacks", theirs, ours)
    return tuple(found)


def _one_way(lead: str, these: Iterable[CompiledRule], those: Iterable[CompiledRule]) -> list[str]:
    known = {canonical(normal_rule(rule)) for rule in those}
    return [f"{lead}: {words_of(rule)}" for rule in these if canonical(normal_rule(rule)) not in known]
