"""Does a condition hold? In three values: yes, no, and cannot be known (None).

What cannot be known never grants, and never lifts a prohibition.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from policies.instants import elapsed_end
from policies.odrl.logic import COMBINED, all_of
from policies.odrl.logic import forbids as stands
from policies.profile import (
    Operator,
    do_purposes_overlap,
    is_action_within,
    is_narrower_or_equal,
    is_purpose,
)
from policies.regions_geo import do_regions_overlap, is_part_of, is_region
from policies.rules import (
    Combination,
    CompiledProhibition,
    Condition,
    CredentialLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
    EnvironmentLimit,
    GroupLimit,
    ParticipantLimit,
    PurposeLimit,
    RegionLimit,
    Since,
    TimeLimit,
)
from policies.use import Claims, Use, UseTotals
from policies.windows import is_open


def holds(condition: Condition, use: Use, totals: UseTotals, at: datetime) -> bool | None:
    """Say whether a condition holds; None where it cannot be known.

    Args:
        condition: of a permission or a prohibition.
        use: what somebody means to do, and what is known of them.
        totals: when the agreement was made and first used.
        at: the time, with a zone.
    """
    if isinstance(condition, TimeLimit):
        since, until = condition.since, condition.until
        return (since is None or since <= at) and (until is None or at < until)
    if isinstance(condition, PurposeLimit):
        return _purpose_holds(condition, use.purpose)
    if isinstance(condition, ParticipantLimit):
        return use.participant in condition.participants if use.participant else None
    if isinstance(condition, Combination):
        return COMBINED[condition.form](holds(part, use, totals, at) for part in condition.parts)
    if isinstance(condition, ElapsedLimit):
        return _in_time(condition, totals, at)
    if isinstance(condition, DayLimit | DayTimeLimit):
        return is_open(condition, at)
    return _claimed(condition, use.claims)


def _purpose_holds(limit: PurposeLimit, purpose: str | None) -> bool | None:
    if purpose is None or not is_purpose(purpose):
        return None
    if limit.operator is Operator.EQ:
        if purpose in limit.purposes:
            return True
        return None if any(is_narrower_or_equal(named, purpose) for named in limit.purposes) else False
    inside: bool | None = False
    for named in limit.purposes:
        if is_narrower_or_equal(purpose, named):
            inside = True
            break
        if do_purposes_overlap(purpose, named):
            inside = None  # what is stated leaves open whether it falls under this one
    if limit.operator is Operator.IS_NONE_OF:
        return None if inside is None else not inside
    return inside


def _in_time(limit: ElapsedLimit, totals: UseTotals, at: datetime) -> bool | None:
    if limit.since is Since.AGREEMENT and totals.agreed is None:
        return None
    end = elapsed_end(limit, totals, at)
    return end is None or at < end


def _claimed(
    condition: GroupLimit | CredentialLimit | RegionLimit | EnvironmentLimit, claims: Claims
) -> bool | None:
    match condition:
        case GroupLimit():
            return True if not claims.groups.isdisjoint(condition.groups) else claims.unless_stated
        case CredentialLimit():
            stated = {value for name, value in claims.credentials if name == condition.claim}
            return True if not stated.isdisjoint(condition.values) else claims.unless_stated
        case RegionLimit():
            return _placed(condition, claims.region)
        case EnvironmentLimit():
            if claims.environment is None:
                return None
            return claims.environment in condition.environments
        case _:
            assert_never(condition)


def _placed(limit: RegionLimit, region: str | None) -> bool | None:
    if region is None or not is_region(region):
        return None
    if limit.operator is Operator.EQ:
        if region in limit.regions:
            return True
    elif any(is_part_of(region, whole) for whole in limit.regions):
        return True
    # Whose stated place is wider than the one asked for may be inside or outside it.
    return None if any(do_regions_overlap(region, named) for named in limit.regions) else False


def all_hold(conditions: Iterable[Condition], use: Use, totals: UseTotals, at: datetime) -> bool | None:
    """Say whether all conditions hold; None where none fails but one cannot be known."""
    return all_of(holds(condition, use, totals, at) for condition in conditions)


def applies(prohibition: CompiledProhibition, use: Use, totals: UseTotals, at: datetime) -> bool:
    """Say whether a prohibition stands against a use, or some rows of it; what cannot be known counts as yes.

    A promise (such as not to hand data on) is no answer to a question of use, so it never stands here.
    Asking for a wide action is asking for all that lies under it.
    """
    if prohibition.is_promise:
        return False
    touches = is_action_within(use.action, prohibition.action) or is_action_within(
        prohibition.action, use.action
    )
    return touches and stands(all_hold(prohibition.conditions, use, totals, at))


def forbids(prohibition: CompiledProhibition, use: Use, totals: UseTotals, at: datetime) -> bool:
    """Say whether a prohibition stands against a whole use; one on some rows only excludes these."""
    return not prohibition.filters and applies(prohibition, use, totals, at)
