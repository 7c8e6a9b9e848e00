"""Is everything that one policy asks for allowed by another? Rule by rule, with the term that is too wide.

A permission is compared with one permission of the other policy at a time, or, where they differ only in
their conditions, with several together.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from policies.algebra.formulas import Every, Formula, Impossible, Negated, Some, can_hold
from policies.compare.extents import USE_FACTS, Extents, longest, shortest
from policies.compare.tightness import are_rows_matched_too, is_kept
from policies.compiled import CompiledPolicy
from policies.kinds.durations import Duration
from policies.profile import is_action_within
from policies.rules import (
    Combination,
    CompiledDuty,
    CompiledPermission,
    CompiledProhibition,
    CompiledRule,
    Condition,
    Consequence,
    DataLimit,
)
from policies.words.language import Message, Several, message, say
from policies.words.wording import compact, phrase, said
from schemas.vocab import compact_iri


def misfits(requested: CompiledPolicy, offered: CompiledPolicy) -> tuple[str, ...]:
    """Return why a request asks for more than an offer allows, or nothing if it does not.

    Each reason names the rule and the term, with what is asked and what is offered.
    """
    extents = Extents.of(requested, offered)
    found = [reason for rule in requested.permissions for reason in _too_wide(rule, offered, extents)]
    for rule in offered.prohibitions:
        if not any(is_forbidden_too(rule, own, extents) for own in requested.prohibitions):
            found.append(
                f"{rule.place} of the offer is not kept: you promise not to: {words_of(rule)}; "
                f"the request forbids {_listed(requested.prohibitions)}"
            )
    for duty in offered.duties:
        if not any(is_owed_too(duty, own) for own in requested.duties):
            found.append(
                f"{duty.place} of the offer is not accepted: {words_of(duty)}; "
                f"the request accepts {_listed(requested.duties)}"
            )
    return tuple(found)


def _listed(rules: Iterable[CompiledRule]) -> str:
    return "; ".join(words_of(rule) for rule in rules) or "nothing"


def is_within(narrow: CompiledPermission, wide: CompiledPermission, extents: Extents) -> bool:
    """Say whether everything that one permission allows, another one allows too."""
    return _limits_fit(narrow, wide) and _holds_within(
        extents.hold(narrow.conditions, outer=True), extents.hold(wide.conditions, outer=False)
    )


def _limits_fit(narrow: CompiledPermission, wide: CompiledPermission) -> bool:
    return (
        is_action_within(narrow.action, wide.action)
        and all(is_kept(limit, narrow) for limit in wide.limits)
        and is_revocable_too(wide, narrow)
    )


def _holds_within(narrow: Formula, wide: Formula) -> bool:
    return isinstance(can_hold(Every((narrow, Negated(wide))), USE_FACTS), Impossible)


def is_revocable_too(wide: CompiledPermission, narrow: CompiledPermission) -> bool:
    """Say whether one permission can be revoked at least as soon as another."""
    if wide.revocable is None:
        return True
    if narrow.revocable is None:
        return False
    return _is_sooner(narrow.revocable.notice, wide.revocable.notice)


def _is_sooner(mine: Duration | None, theirs: Duration | None) -> bool:
    """Say whether a notice is surely no longer than another; no notice is none at all."""
    return mine is None or (theirs is not None and is_no_longer(mine, theirs))


def is_no_longer(one: Duration, other: Duration) -> bool:
    """Say whether a length of time surely takes no longer than another, wherever it starts."""
    if one.months <= other.months and one.rest <= other.rest:
        return True
    return longest(one) <= shortest(other)


def _too_wide(rule: CompiledPermission, offered: CompiledPolicy, extents: Extents) -> list[str]:
    """Return why no permission of the offer holds what one of the request claims, for the nearest one."""
    asked = extents.hold(rule.conditions, outer=True)
    near = [wide for wide in offered.permissions if _limits_fit(rule, wide)]
    together = Some(tuple(extents.hold(wide.conditions, outer=False) for wide in near))
    if near and _holds_within(asked, together):
        return []
    said = [_reasons(rule, wide, extents) for wide in offered.permissions]
    # What is wide for several reasons is told by the permission that it comes nearest to.
    nothing = [f"{rule.place}: the offer permits nothing; the request asks for {words_of(rule)}"]
    return min(said, key=len, default=nothing)


def _reasons(rule: CompiledPermission, wide: CompiledPermission, extents: Extents) -> list[str]:
    found = []
    if not is_action_within(rule.action, wide.action):
        found.append(
            f"{rule.place} asks to {compact([rule.action])}, {wide.place} of the offer permits "
            f"{compact([wide.action])}"
        )
    asked = extents.hold(rule.conditions, outer=True)
    for condition in wide.conditions:
        if not _holds_within(asked, extents.hold((condition,), outer=False)):
            own = [phrase(other) for other in rule.conditions if _are_alike(other, condition)]
            found.append(_wider(rule, own, phrase(condition), condition.place))
    for limit in wide.limits:
        if not is_kept(limit, rule):
            own = [phrase(other) for other in rule.limits if _are_alike(other, limit)]
            found.append(_wider(rule, own, phrase(limit), limit.place))
    if not is_revocable_too(wide, rule) and wide.revocable is not None:
        mine = [_notice(rule)] if rule.revocable else []
        found.append(_wider(rule, mine, _notice(wide), wide.revocable.place))
    return found or [f"{rule.place} cannot be compared with {wide.place} of the offer"]


def _wider(rule: CompiledRule, own: list[str], offered: str, place: str) -> str:
    asked = " and ".join(own) or "no such limit"
    return f"{rule.place} asks for more than the offer: {asked}; offered: {offered} ({place} of the offer)"


def _notice(rule: CompiledPermission) -> str:
    notice = rule.revocable.notice if rule.revocable else None
    return f"revocable with a notice of {notice.text}" if notice is not None else "revocable at once"


def _are_alike(one: Condition | DataLimit, other: Condition | DataLimit) -> bool:
    """Say whether two terms speak of the same thing, so that one is shown beside the other."""
    if isinstance(one, Combination) or isinstance(other, Combination):
        return isinstance(one, Combination) and isinstance(other, Combination)
    return type(one) is type(other) and getattr(one, "column", None) == getattr(other, "column", None)


def is_forbidden_too(rule: CompiledProhibition, own: CompiledProhibition, extents: Extents) -> bool:
    """Say whether everything that one prohibition forbids, another one forbids too."""
    return (
        is_action_within(rule.action, own.action)
        and _holds_within(
            extents.may_hold(rule.conditions, outer=True), extents.may_hold(own.conditions, outer=False)
        )
        and (not own.filters or (bool(rule.filters) and are_rows_matched_too(rule.filters, own.filters)))
    )


def is_owed_too(duty: CompiledDuty, own: CompiledDuty) -> bool:
    """Say whether one obligation is owed by another as well: the same action, no later, no seldomer."""
    return (
        duty.action == own.action
        and _is_due_no_later(own, duty)
        and _is_as_short(own.delay, duty.delay)
        and _is_as_short(own.every, duty.every)
        and (own.consequence is duty.consequence or own.consequence is Consequence.TERMINATE)
    )


def _is_due_no_later(own: CompiledDuty, duty: CompiledDuty) -> bool:
    mine, theirs = due_by(own), due_by(duty)
    return theirs is None or (mine is not None and mine <= theirs)


def due_by(duty: CompiledDuty) -> datetime | None:
    """Return the instant before which an obligation has to be done, or None without one."""
    return min((limit.until for limit in duty.conditions if limit.until is not None), default=None)


def _is_as_short(mine: Duration | None, theirs: Duration | None) -> bool:
    return theirs is None or (mine is not None and is_no_longer(mine, theirs))


def words_of(rule: CompiledRule) -> str:
    """Put a rule shortly into words: its action and its terms."""
    return say(short_said(rule))


def short_said(rule: CompiledRule) -> Message:
    """Return what a rule says shortly, as a message."""
    parts = [said(term) for term in rule.conditions]
    if isinstance(rule, CompiledPermission):
        parts += [said(limit) for limit in rule.limits]
        parts += [message("text", text=_notice(rule))] if rule.revocable else []
    elif isinstance(rule, CompiledProhibition):
        parts += [said(limit) for limit in rule.filters]
    else:
        parts += [message("text", text=words) for words in _duty_words(rule)]
    if not parts:
        return message("rule.bare", action=compact_iri(rule.action))
    return message("rule.terms", action=compact_iri(rule.action), parts=Several(tuple(parts), "join.xone"))


def _duty_words(duty: CompiledDuty) -> list[str]:
    found = [f"within {duty.delay.text} after the last delivery"] if duty.delay is not None else []
    found += [f"every {duty.every.text}"] if duty.every is not None else []
    return [*found, f"or else {duty.consequence}"] if duty.consequence is Consequence.TERMINATE else found
