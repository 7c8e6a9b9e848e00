"""What changed between two policies: each rule added, removed, widened, narrowed, changed or equal.

Widened means that more is allowed than before, whatever the rule: a prohibition that forbids less is widened.
A rule that is wider in one term and narrower in another, or that cannot be compared, is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from policies.compare.extents import Extents
from policies.compare.fit import due_by, is_forbidden_too, is_owed_too, is_within, words_of
from policies.compare.normal import normal_rule
from policies.compiled import CompiledPolicy
from policies.kinds.values import spell_time
from policies.profile import is_action_within
from policies.rules import (
    ColumnFilter,
    ColumnMask,
    ColumnRegion,
    Combination,
    CompiledDuty,
    CompiledPermission,
    CompiledProhibition,
    CompiledRule,
    Condition,
    Consent,
    CountLimit,
    CredentialLimit,
    DataLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
)
from policies.words.wording import compact, phrase
from schemas.canonical import canonical


class Kind(StrEnum):
    """What became of a rule or of one of its terms."""

    ADDED = "added"
    REMOVED = "removed"
    WIDENED = "widened"
    NARROWED = "narrowed"
    CHANGED = "changed"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class TermChange:
    """What became of one term; `old` and `new` are its words, None where it is absent."""

    kind: Kind
    term: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one rule; `old` and `new` are its places, and `terms` the terms that differ.

    `words` say what the rule says now, or said before it was removed.
    """

    kind: Kind
    old: str | None
    new: str | None
    words: str
    terms: tuple[TermChange, ...] = ()


_Rule = TypeVar("_Rule", CompiledPermission, CompiledProhibition, CompiledDuty)


def changes(old: CompiledPolicy, new: CompiledPolicy) -> tuple[Change, ...]:
    """Return what became of each rule: permissions, prohibitions, obligations, each in the new order."""
    extents = Extents.of(old, new)

    def permission(before: CompiledPermission, after: CompiledPermission) -> tuple[bool, bool]:
        return is_within(before, after, extents), is_within(after, before, extents)

    def prohibition(before: CompiledProhibition, after: CompiledProhibition) -> tuple[bool, bool]:
        # What forbids no more than before allows no less.
        return is_forbidden_too(after, before, extents), is_forbidden_too(before, after, extents)

    def duty(before: CompiledDuty, after: CompiledDuty) -> tuple[bool, bool]:
        return is_owed_too(after, before), is_owed_too(before, after)

    return (
        *_compared(old.permissions, new.permissions, permission, _of_permission),
        *_compared(old.prohibitions, new.prohibitions, prohibition, _of_prohibition),
        *_compared(old.duties, new.duties, duty, _of_duty),
    )


_Within = Callable[[_Rule, _Rule], tuple[bool, bool]]
"""Whether the old rule allows nothing beyond the new, and the new nothing beyond the old."""
_Groups = Callable[[_Rule], dict[str, tuple[_Rule, str]]]
"""For each term of a rule: a rule that has only this term, and its words."""


def _compared(
    old: Sequence[_Rule], new: Sequence[_Rule], within: _Within[_Rule], groups: _Groups[_Rule]
) -> list[Change]:
    partner = _paired(old, new, groups)
    found: list[Change] = []
    for index, after in enumerate(new):
        before = partner.get(index)
        if before is None:
            found.append(Change(Kind.ADDED, None, after.place, words_of(after)))
            continue
        terms = tuple(_terms(before, after, within, groups))
        kind = _kind(*within(before, after))
        if _same(before, after):
            kind, terms = Kind.EQUAL, ()
        found.append(Change(kind, before.place, after.place, words_of(after), terms))
    kept = {id(before) for before in partner.values()}
    for rule in old:
        if id(rule) not in kept:
            found.append(Change(Kind.REMOVED, rule.place, None, words_of(rule)))
    return found


def _kind(old_in_new: bool, new_in_old: bool) -> Kind:
    match old_in_new, new_in_old:
        case True, True:
            return Kind.EQUAL
        case True, False:
            return Kind.WIDENED
        case False, True:
            return Kind.NARROWED
        case _:
            return Kind.CHANGED


def _same(one: CompiledRule, other: CompiledRule) -> bool:
    return canonical(normal_rule(one)) == canonical(normal_rule(other))


def _paired(old: Sequence[_Rule], new: Sequence[_Rule], groups: _Groups[_Rule]) -> dict[int, _Rule]:
    """Pair each new rule with the old one that it was: an equal one, else the most alike of its action."""
    left = list(old)
    found: dict[int, _Rule] = {}
    for index, after in enumerate(new):
        equal = next((rule for rule in left if _same(rule, after)), None)
        if equal is not None:
            left.remove(equal)
            found[index] = equal
    for index, after in enumerate(new):
        related = [rule for rule in left if index not in found and _are_related(rule, after)]
        if related:
            best = max(related, key=lambda rule: _likeness(rule, new[index], groups))
            left.remove(best)
            found[index] = best
    return found


def _are_related(one: CompiledRule, other: CompiledRule) -> bool:
    return is_action_within(one.action, other.action) or is_action_within(other.action, one.action)


def _likeness(one: _Rule, other: _Rule, groups: _Groups[_Rule]) -> tuple[bool, int]:
    theirs = groups(other)
    shared = sum(name in theirs and theirs[name][1] == words for name, (_, words) in groups(one).items())
    return one.action == other.action, shared


def _terms(
    before: _Rule, after: _Rule, within: _Within[_Rule], groups: _Groups[_Rule]
) -> Iterable[TermChange]:
    mine: dict[str, tuple[_Rule, str]] = groups(before)
    theirs: dict[str, tuple[_Rule, str]] = groups(after)
    bare_before = replace(_bare(before), action=after.action)
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        old_rule, old_words = mine.get(name, (bare_before, None))
        new_rule, new_words = theirs.get(name, (_bare(after), None))
        if name != _ACTION:
            old_rule = replace(old_rule, action=after.action)
        if old_words == new_words or _same(old_rule, new_rule):
            continue
        yield TermChange(_kind(*within(old_rule, new_rule)), name, old_words, new_words)


_ACTION = "action"


def _bare(rule: _Rule) -> _Rule:
    """Return a rule of the same action that says nothing else."""
    if isinstance(rule, CompiledPermission):
        return replace(rule, conditions=(), limits=(), revocable=None)
    if isinstance(rule, CompiledProhibition):
        return replace(rule, conditions=(), filters=())
    return replace(rule, conditions=(), delay=None, every=None, consequence=type(rule.consequence).SUSPEND)


def _of_permission(rule: CompiledPermission) -> dict[str, tuple[CompiledPermission, str]]:
    bare = _bare(rule)
    found = {_ACTION: (bare, compact([rule.action]))}
    for name, conditions in _grouped(rule.conditions).items():
        found[name] = (replace(bare, conditions=conditions), _words(conditions))
    for name, limits in _grouped(rule.limits).items():
        found[name] = (replace(bare, limits=limits), _words(limits))
    if rule.revocable is not None:
        notice = rule.revocable.notice
        said = f"with a notice of {notice.text}" if notice is not None else "at once"
        found["hansa:revocable"] = (replace(bare, revocable=rule.revocable), said)
    return found


def _of_prohibition(rule: CompiledProhibition) -> dict[str, tuple[CompiledProhibition, str]]:
    bare = _bare(rule)
    found = {_ACTION: (bare, compact([rule.action]))}
    for name, conditions in _grouped(rule.conditions).items():
        found[name] = (replace(bare, conditions=conditions), _words(conditions))
    for name, filters in _grouped(rule.filters).items():
        found[name] = (replace(bare, filters=filters), _words(filters))
    return found


def _of_duty(rule: CompiledDuty) -> dict[str, tuple[CompiledDuty, str]]:
    bare = _bare(rule)
    found = {_ACTION: (bare, compact([rule.action]))}
    if (due := due_by(rule)) is not None:
        found["odrl:dateTime"] = (replace(bare, conditions=rule.conditions), f"before {spell_time(due)}")
    if rule.delay is not None:
        found["odrl:delayPeriod"] = (replace(bare, delay=rule.delay), rule.delay.text)
    if rule.every is not None:
        found["odrl:timeInterval"] = (replace(bare, every=rule.every), rule.every.text)
    found["hansa:consequence"] = (replace(bare, consequence=rule.consequence), rule.consequence.value)
    return found


_Term = TypeVar("_Term", bound=Condition | DataLimit)


def _grouped(terms: Iterable[_Term]) -> dict[str, tuple[_Term, ...]]:
    """Bring together the terms that speak of the same thing, in the order of their names."""
    found: dict[str, tuple[_Term, ...]] = {}
    for term in terms:
        name = term_name(term)
        found[name] = (*found.get(name, ()), term)
    return dict(sorted(found.items()))


def term_name(term: Condition | DataLimit) -> str:
    """Return what a term speaks of, for people: what it limits, and the column where it is about one."""
    kind = _NAMES.get(type(term).__name__, type(term).__name__)
    match term:
        case ColumnFilter() | ColumnRegion() | ColumnMask() | Consent():
            return f"{kind}/{term.column}"
        case CredentialLimit():
            return f"{kind}/{term.claim}"
        case ElapsedLimit():
            return "odrl:elapsedTime" if term.since == "agreement" else "hansa:elapsedSinceDelivery"
        case CountLimit():
            return f"odrl:count of {term.unit}s"
        case DayLimit() | DayTimeLimit():
            return f"{kind} in {term.zone}"
        case Combination():
            return f"{term.form} of several"
        case _:
            return kind


_NAMES = {
    "TimeLimit": "odrl:dateTime",
    "PurposeLimit": "odrl:purpose",
    "ParticipantLimit": "hansa:participant",
    "GroupLimit": "hansa:participantGroup",
    "CredentialLimit": "hansa:credential",
    "RegionLimit": "odrl:spatial",
    "EnvironmentLimit": "hansa:environment",
    "DayLimit": "hansa:dayOfWeek",
    "DayTimeLimit": "hansa:timeOfDay",
    "ColumnFilter": "hansa:column",
    "ColumnRegion": "hansa:rowSpatial",
    "ColumnList": "hansa:columns",
    "ColumnMask": "hansa:mask",
    "NotTogether": "hansa:notTogether",
    "Sample": "odrl:percentage",
    "KAnonymity": "hansa:kAnonymity",
    "AggregateOnly": "hansa:aggregateOnly",
    "Consent": "hansa:consent",
    "RowLimit": "hansa:rowCount",
    "ByteLimit": "hansa:byteCount",
    "RateLimit": "hansa:rate",
}


def _words(terms: Iterable[Condition | DataLimit]) -> str:
    return " and ".join(phrase(term) for term in terms)
