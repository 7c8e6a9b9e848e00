"""Does a condition hold? In three values: yes, no, and cannot be known (None).

What cannot be known never grants, and never lifts a prohibition.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from policies.profile import (
    Operator,
    do_purposes_overlap,
    is_action_within,
    is_narrower_or_equal,
    is_purpose,
)
from policies.rules import (
    Combination,
    CompiledProhibition,
    Condition,
    ParticipantLimit,
    PurposeLimit,
    TimeLimit,
)
from policies.use import Use


def holds(condition: Condition, use: Use, at: datetime) -> bool | None:
    """Say whether a condition holds; None where it cannot be known."""
    if isinstance(condition, TimeLimit):
        since, until = condition.since, condition.until
        return (since is None or since <= at) and (until is None or at < until)
    if isinstance(condition, PurposeLimit):
        return _purpose_holds(condition, use.purpose)
    if isinstance(condition, ParticipantLimit):
        return use.participant in condition.participants if use.participant else None
    if not isinstance(condition, Combination):
        return None  # nothing here can know it yet
    states = [holds(part, use, at) for part in condition.parts]
    if condition.form == "and":
        return False if False in states else None if None in states else True
    if condition.form == "or":
        return True if True in states else None if None in states else False
    if states.count(True) > 1:
        return False
    return None if None in states else True in states


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


def all_hold(conditions: Iterable[Condition], use: Use, at: datetime) -> bool | None:
    """Say whether all conditions hold; None where none fails but one cannot be known."""
    known = True
    for condition in conditions:
        state = holds(condition, use, at)
        if state is False:
            return False
        known = known and state is True
    return True if known else None


def applies(prohibition: CompiledProhibition, use: Use, at: datetime) -> bool:
    """Say whether a prohibition stands against a use; what cannot be known counts as yes.

    A promise (such as not to hand data on) is no answer to a question of use, so it never stands here.
    Asking for a wide action is asking for all that lies under it.
    """
    if prohibition.is_promise:
        return False
    touches = is_action_within(use.action, prohibition.action) or is_action_within(
        prohibition.action, use.action
    )
    return touches and all_hold(prohibition.conditions, use, at) is not False
