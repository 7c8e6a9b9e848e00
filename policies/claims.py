"""Which claims a policy asks for, and how the log keeps them, so that a decision can be made again.

The log keeps no more of a participant than the decision hung on: of groups one that counts for each
condition, of credentials the same, and the region and environment only where they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from policies.compiled import CompiledPolicy
from policies.rules import (
    Combination,
    Condition,
    CredentialLimit,
    EnvironmentLimit,
    GroupLimit,
    RegionLimit,
)
from policies.use import NO_CLAIMS, Claims
from schemas.errors import Malformed

if TYPE_CHECKING:
    from schemas.identity import Member

CLAIMS = "claims"
"""The member of a record's detail that holds the claims of a decision."""

_Asked = GroupLimit | CredentialLimit | RegionLimit | EnvironmentLimit


def stated(member: Member) -> Claims:
    """Return what a member list states of one of its members."""
    pairs = ((name, value) for name, values in member.credentials.items() for value in values)
    return Claims(
        frozenset(member.groups), tuple(sorted(pairs)), member.region, member.environment, listed=True
    )


def asked(policy: CompiledPolicy, claims: Claims) -> Claims:
    """Return as much of the claims as the policy's decision can hang on."""
    permitting = (item for rule in policy.permissions for item in rule.conditions)
    forbidding = (item for rule in policy.prohibitions for item in rule.conditions)
    wanted = (*_asked(permitting), *_asked(forbidding))
    if not wanted:
        return NO_CLAIMS
    groups, credentials = set(), set()
    for condition in wanted:
        if isinstance(condition, GroupLimit):
            groups.update(sorted(claims.groups.intersection(condition.groups))[:1])
        elif isinstance(condition, CredentialLimit):
            named = ((name, value) for name, value in claims.credentials if name == condition.claim)
            credentials.update(sorted(pair for pair in named if pair[1] in condition.values)[:1])
    return Claims(
        frozenset(groups),
        tuple(sorted(credentials)),
        claims.region if any(isinstance(item, RegionLimit) for item in wanted) else None,
        claims.environment if any(isinstance(item, EnvironmentLimit) for item in wanted) else None,
        claims.listed,
    )


def _asked(conditions: Iterable[Condition]) -> Iterable[_Asked]:
    for condition in conditions:
        if isinstance(condition, Combination):
            yield from _asked(condition.parts)
        elif isinstance(condition, _Asked):
            yield condition


def claims_detail(policy: CompiledPolicy, claims: Claims) -> dict[str, str | int]:
    """Return what goes into a record's detail: nothing where the policy asks for no claims."""
    kept = asked(policy, claims)
    if kept == NO_CLAIMS:
        return {}
    told: dict[str, Any] = {
        "groups": sorted(kept.groups),
        "credentials": [list(pair) for pair in kept.credentials],
        "region": kept.region,
        "environment": kept.environment,
        "listed": kept.listed,
    }
    stated = {name: value for name, value in told.items() if value}
    return {CLAIMS: json.dumps(stated, sort_keys=True, ensure_ascii=False, separators=(",", ":"))}


def claims_in(detail: Mapping[str, str | int]) -> Claims:
    """Return the claims that a record says its decision was made on.

    Raises:
        Malformed: if the record holds something else there.
    """
    said = detail.get(CLAIMS)
    if said is None:
        return NO_CLAIMS
    try:
        told = json.loads(str(said))
        claims = Claims(
            frozenset(_texts(told.get("groups", []))),
            tuple((_text(name), _text(value)) for name, value in told.get("credentials", [])),
            _text(told["region"]) if "region" in told else None,
            _text(told["environment"]) if "environment" in told else None,
            told.get("listed", False) is True,
        )
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed(f"the claims of the record cannot be read: {type(error).__name__}") from None
    return claims


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return [_text(item) for item in value]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value
