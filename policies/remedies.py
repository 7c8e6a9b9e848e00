"""Why a use is denied, in every language, and the smallest change that would make it pass.

A change is looked for among what the user can change (purpose, action, time, a new agreement, what the
member list states of them) and what the holder can change (leave out one term). Every change that is told
was tried: the changed question was put to `decide`, and it said yes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations, islice

from policies.compiled import CompiledPolicy
from policies.decision import Deny, decide
from policies.explain import rule_said
from policies.instants import turns
from policies.kinds.values import quoted, spell_time
from policies.profile import ACTIONS, PURPOSES, do_purposes_overlap, is_action_within
from policies.rules import (
    ByteLimit,
    Combination,
    CompiledPermission,
    CompiledProhibition,
    Condition,
    CountLimit,
    CredentialLimit,
    DataLimit,
    EnvironmentLimit,
    GroupLimit,
    ParticipantLimit,
    PurposeLimit,
    RegionLimit,
    RowLimit,
)
from policies.truth import forbids, holds
from policies.use import Use, UseTotals
from policies.words.language import Language, Message, message, sentence
from policies.words.wording import said
from schemas.vocab import compact_iri

MOST_TRIED = 4_000
"""How many changed questions are decided at most, so that a hostile policy cannot keep us busy."""

MOST_PURPOSES = 12
"""How many purposes are tried together with another change."""
MOST_INSTANTS = 64
"""How many instants ahead are tried, where windows recur."""


@dataclass(frozen=True)
class Question:
    """A use under a policy at a time, with what was used so far."""

    policy: CompiledPolicy
    use: Use
    totals: UseTotals
    at: datetime

    def passes(self) -> bool:
        """Say whether it is permitted."""
        return not isinstance(decide(self.policy, self.use, self.totals, self.at), Deny)


@dataclass(frozen=True)
class Change:
    """One change: who could make it (`user` or `holder`), what sort it is of, and what it is in words."""

    by: str
    sort: str
    said: Message


@dataclass(frozen=True)
class Remedy:
    """Changes that together make a use pass, and the question as it passes."""

    changes: tuple[Change, ...]
    question: Question

    def sentences(self, lang: Language = Language.EN) -> tuple[str, ...]:
        """Say the changes, one sentence each."""
        return tuple(sentence(change.said, lang) for change in self.changes)


_Changed = tuple[Change, Callable[[Question], Question]]


def against(question: Question) -> tuple[Message, ...]:
    """Return everything that stands against a use; nothing, if it is permitted."""
    policy, use, at = question.policy, question.use, question.at
    if question.passes():
        return ()
    if policy.assignee is not None and use.participant != policy.assignee:
        return (message("not for you", party=policy.assignee),)
    forbidden = [rule for rule in policy.prohibitions if forbids(rule, use, question.totals, at)]
    if forbidden:
        return tuple(message("forbidden", rule=rule_said(rule)) for rule in forbidden)
    covering = [rule for rule in policy.permissions if is_action_within(use.action, rule.action)]
    if not covering:
        return (message("not permitted", action=message(f"may.{compact_iri(use.action)}")),)
    return tuple(dict.fromkeys(one for rule in covering for one in _unmet(rule, question)))


def against_sentences(question: Question, lang: Language = Language.EN) -> tuple[str, ...]:
    """Say what stands against a use, in whole sentences."""
    told = against(question)
    return tuple(sentence(one, lang) for one in ((message("denied"), *told) if told else ()))


def _unmet(rule: CompiledPermission, question: Question) -> Iterator[Message]:
    for condition in rule.conditions:
        state = holds(condition, question.use, question.totals, question.at)
        if state is not True:
            yield message("unknown" if state is None else "unmet", condition=said(condition))
    for limit in rule.limits:
        if _used_up(limit, question.totals):
            yield message("used up", limit=said(limit))


def _used_up(limit: DataLimit, totals: UseTotals) -> bool:
    match limit:
        case RowLimit():
            return totals.rows >= limit.rows
        case ByteLimit():
            return totals.bytes >= limit.bytes
        case CountLimit():
            used = totals.requests if limit.unit == "request" else totals.epochs
            return used >= limit.most
        case _:
            return False


def remedies(question: Question, most: int = 3) -> tuple[Remedy, ...]:
    """Return the smallest changes that make a use pass: single ones if any do, else pairs.

    Args:
        question: a use that is denied; of one that is permitted there is nothing to change.
        most: how many to return.

    Returns:
        Remedies of equal size; those that the user can make alone first, one of each sort.
    """
    if question.passes():
        return ()
    changes = sorted(_changes(question), key=lambda pair: pair[0].by == "holder")
    for size, pool in ((1, changes), (2, _few_purposes(question, changes))):
        found: dict[tuple[str, ...], Remedy] = {}
        for some in islice(combinations(pool, size), MOST_TRIED):
            sorts = tuple(change.sort for change, _ in some)
            if len(set(sorts)) < size:
                continue
            changed = question
            for _, make in some:
                changed = make(changed)
            if sorts not in found and changed.passes():
                found[sorts] = Remedy(tuple(change for change, _ in some), changed)
        if found:
            ranked = sorted(found.values(), key=lambda one: sum(part.by == "holder" for part in one.changes))
            return tuple(ranked[:most])
    return ()


def _few_purposes(question: Question, changes: Iterable[_Changed]) -> list[_Changed]:
    """Keep few purposes, since pairs are many: the nearest of those that some permission is for."""
    kept: list[_Changed] = []
    purposes = 0
    for change, make in changes:
        if change.sort == "purpose":
            if purposes >= MOST_PURPOSES or not _is_wanted(make(question)):
                continue
            purposes += 1
        kept.append((change, make))
    return kept


def _is_wanted(question: Question) -> bool:
    """Say whether the purpose is what some permission asks for, all else aside."""
    return any(
        all(
            holds(limit, question.use, question.totals, question.at) is True
            for limit in rule.conditions
            if isinstance(limit, PurposeLimit)
        )
        for rule in question.policy.permissions
    )


def _changes(question: Question) -> Iterator[_Changed]:
    yield from _by_purpose(question)
    yield from _by_action(question)
    yield from _by_time(question)
    if question.totals != UseTotals():
        fresh = Change("user", "agreement", message("change.agreement"))
        yield fresh, lambda asked: replace(asked, totals=UseTotals(agreed=asked.at))
    yield from _by_claims(question)
    yield from _by_party(question)
    yield from _by_holder(question)


def _by_purpose(question: Question) -> Iterator[_Changed]:
    stated = question.use.purpose
    named = [
        purpose
        for limit in _conditions(question.policy)
        if isinstance(limit, PurposeLimit)
        for purpose in limit.purposes
    ]
    near = [purpose for purpose in PURPOSES if stated and do_purposes_overlap(purpose, stated)]
    for purpose in dict.fromkeys((*(one for one in named if one in near), *near, *named, *PURPOSES)):
        if purpose != stated:
            said_so = message("change.purpose", purpose=compact_iri(purpose))
            yield Change("user", "purpose", said_so), _use(purpose=purpose)


def _use(**changed: object) -> Callable[[Question], Question]:
    return lambda asked: replace(asked, use=replace(asked.use, **changed))  # type: ignore[arg-type]  # names of Use


def _by_action(question: Question) -> Iterator[_Changed]:
    for row in ACTIONS:
        if row.permitted and row.iri != question.use.action:
            verb = message(f"may.{row.name}")
            yield Change("user", "action", message("change.action", action=verb)), _use(action=row.iri)


def _by_time(question: Question) -> Iterator[_Changed]:
    policy = question.policy
    later = turns(policy.instants, policy.moving, question.totals, question.at)
    for instant in islice(later, MOST_INSTANTS):
        wait = message("change.time", when=spell_time(instant))
        yield Change("user", "time", wait), _at(instant)


def _at(instant: datetime) -> Callable[[Question], Question]:
    return lambda asked: replace(asked, at=instant)


def _by_claims(question: Question) -> Iterator[_Changed]:
    claims = question.use.claims
    for limit in _conditions(question.policy):
        match limit:
            case GroupLimit():
                for group in limit.groups:
                    joined = replace(claims, groups=claims.groups | {group})
                    told = message("change.group", group=quoted(group))
                    yield Change("user", "group", told), _claimed("groups", joined.groups)
            case CredentialLimit():
                for value in limit.values:
                    told = message("change.credential", name=quoted(limit.claim), value=quoted(value))
                    held = (*claims.credentials, (limit.claim, value))
                    yield Change("user", "credential", told), _claimed("credentials", held)
            case RegionLimit():
                for region in limit.regions:
                    told = message("change.region", region=region)
                    yield Change("user", "region", told), _claimed("region", region)
            case EnvironmentLimit():
                for name in limit.environments:
                    told = message("change.environment", environment=message(f"environment.{name}"))
                    yield Change("user", "environment", told), _claimed("environment", name)
            case _:
                continue


def _claimed(name: str, value: object) -> Callable[[Question], Question]:
    def make(asked: Question) -> Question:
        claims = replace(asked.use.claims, **{name: value})  # type: ignore[arg-type]  # names of Claims
        return replace(asked, use=replace(asked.use, claims=claims))

    return make


def _by_party(question: Question) -> Iterator[_Changed]:
    policy = question.policy
    named = [policy.assignee] if policy.assignee is not None else []
    for limit in _conditions(policy):
        if isinstance(limit, ParticipantLimit):
            named += limit.participants
    for party in dict.fromkeys(named):
        if party != question.use.participant:
            yield Change("user", "party", message("change.party", party=party)), _use(participant=party)


def _by_holder(question: Question) -> Iterator[_Changed]:
    for index, rule in enumerate(question.policy.permissions):
        for term in (*rule.conditions, *rule.limits):
            told = Change("holder", f"term {rule.place}", message("change.term", term=said(term)))
            yield told, _without(index, term)
    for index, prohibition in enumerate(question.policy.prohibitions):
        if not prohibition.is_promise:
            told = Change("holder", "prohibition", message("change.prohibition", rule=rule_said(prohibition)))
            yield told, _lifted(index)


def _without(index: int, term: Condition | DataLimit) -> Callable[[Question], Question]:
    def make(asked: Question) -> Question:
        rule = asked.policy.permissions[index]
        looser = replace(
            rule,
            conditions=tuple(one for one in rule.conditions if one is not term),
            limits=tuple(one for one in rule.limits if one is not term),
        )
        permissions = list(asked.policy.permissions)
        permissions[index] = looser
        return replace(asked, policy=replace(asked.policy, permissions=tuple(permissions)))

    return make


def _lifted(index: int) -> Callable[[Question], Question]:
    def make(asked: Question) -> Question:
        left = tuple(rule for at, rule in enumerate(asked.policy.prohibitions) if at != index)
        return replace(asked, policy=replace(asked.policy, prohibitions=left))

    return make


def _conditions(policy: CompiledPolicy) -> Iterator[Condition]:
    """Yield every condition that is no combination."""
    rules: tuple[CompiledPermission | CompiledProhibition, ...] = (*policy.permissions, *policy.prohibitions)
    waiting = [condition for rule in rules for condition in rule.conditions]
    while waiting:
        condition = waiting.pop(0)
        if isinstance(condition, Combination):
            waiting += condition.parts
        else:
            yield condition
