"""Policy and decision in plain sentences, made from the same typed rules that decide.

Deterministic: the same policy always gives the same sentences, each with the label that says who keeps it,
and with what it says as data: `policies.words.told` builds the rules again from those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from policies import operands
from policies.compiled import CompiledPolicy
from policies.decision import Deny, Limits, Permit
from policies.kinds.values import spell_time
from policies.plan import Branch, DataPlan
from policies.profile import Label, Operand, action_of
from policies.rules import (
    AggregateOnly,
    ByteLimit,
    ColumnFilter,
    ColumnList,
    ColumnMask,
    ColumnRegion,
    Combination,
    CompiledDuty,
    CompiledPermission,
    CompiledProhibition,
    Condition,
    Consent,
    CountLimit,
    CredentialLimit,
    DataLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
    EnvironmentLimit,
    GroupLimit,
    KAnonymity,
    NotTogether,
    ParticipantLimit,
    PurposeLimit,
    RateLimit,
    RegionLimit,
    Revocable,
    RowLimit,
    Sample,
    TimeLimit,
)
from policies.words.language import Argument, Language, Listed, Message, Several, Span, message, say, sentence
from policies.words.told import About, Told, bare, encoded
from policies.words.wording import cell, said
from schemas.vocab import compact_iri


@dataclass(frozen=True, slots=True)
class Sentence:
    """One term in a plain sentence, who keeps it, and what it says as data."""

    text: str
    label: Label
    told: Told | None = field(default=None, compare=False)


_OPERAND_OF: dict[type, Operand] = {
    TimeLimit: operands.DATE_TIME,
    ElapsedLimit: operands.ELAPSED,
    DayLimit: operands.DAY_OF_WEEK,
    DayTimeLimit: operands.TIME_OF_DAY,
    PurposeLimit: operands.PURPOSE,
    ParticipantLimit: operands.PARTICIPANT,
    GroupLimit: operands.PARTICIPANT_GROUP,
    CredentialLimit: operands.CREDENTIAL,
    RegionLimit: operands.SPATIAL,
    EnvironmentLimit: operands.ENVIRONMENT,
    ColumnFilter: operands.COLUMN,
    ColumnRegion: operands.ROW_SPATIAL,
    ColumnList: operands.COLUMNS,
    ColumnMask: operands.MASK,
    NotTogether: operands.NOT_TOGETHER,
    Sample: operands.PERCENTAGE,
    KAnonymity: operands.K_ANONYMITY,
    AggregateOnly: operands.AGGREGATE_ONLY,
    Consent: operands.CONSENT,
    RowLimit: operands.ROW_COUNT,
    ByteLimit: operands.BYTE_COUNT,
    CountLimit: operands.COUNT,
    RateLimit: operands.RATE,
}


def label_text(label: Label, lang: Language = Language.EN) -> str:
    """Return a label in the words of a language."""
    return say(message(f"label.{label}"), lang)


def label_of(limit: Condition | DataLimit) -> Label:
    """Return who keeps a term; a combination is as strong as its weakest part."""
    if isinstance(limit, Combination):
        return _weakest(label_of(part) for part in limit.parts)
    return _OPERAND_OF[type(limit)].label


def _weakest(labels: Iterable[Label]) -> Label:
    return max(labels, key=list(Label).index, default=Label.ENFORCED)


def explain(policy: CompiledPolicy, lang: Language = Language.EN) -> tuple[Sentence, ...]:
    """Say what a policy allows, forbids and asks, one sentence a term.

    Args:
        policy: a compiled policy.
        lang: the language of the sentences; their labels and data are the same in each.

    Returns:
        The sentences in the order of the policy: permissions, prohibitions, obligations. A term that two
        rules have alike is told once, for both.
    """
    found: list[Sentence] = []
    for spoken, label, told in _said(policy):
        found.append(Sentence(sentence(spoken, lang), label, told))
    return tuple(found)


def explain_as_data(policy: CompiledPolicy, lang: Language) -> list[dict[str, Any]]:
    """Say the same as `explain` in plain data: each sentence with its label and with what it says."""
    return [
        {
            "text": one.text,
            "label": one.label.value,
            "labelText": label_text(one.label, lang),
            "data": one.told.as_json() if one.told is not None else None,
        }
        for one in explain(policy, lang)
    ]


_Said = tuple[Message, Label, Told]


def _said(policy: CompiledPolicy) -> Iterator[_Said]:
    if policy.assignee is not None:
        party = message("for", party=policy.assignee)
        yield party, Label.ENFORCED, Told(About.PARTY, (), policy.assignee)
    if not policy.permissions:
        yield message("nothing"), Label.ENFORCED, Told(About.NOTHING, (), None)
    for group in _alike(policy.permissions):
        yield from _permission(group)
    yield from _once(
        (*_prohibition(rule), Told(About.PROHIBITION, (rule.place,), encoded(rule)))
        for rule in policy.prohibitions
    )
    yield from _once(
        (_duty(rule), Label.PROMISED, Told(About.OBLIGATION, (rule.place,), encoded(rule)))
        for rule in policy.duties
    )


def _once(said: Iterable[_Said]) -> Iterator[_Said]:
    """Tell what is said alike of several rules once, for all of them."""
    found: dict[str, _Said] = {}
    for spoken, label, told in said:
        key = repr(told.term)
        before = found[key][2].rules if key in found else ()
        found[key] = spoken, label, Told(told.about, (*before, *told.rules), told.term)
    yield from found.values()


def _alike(permissions: Iterable[CompiledPermission]) -> list[list[CompiledPermission]]:
    """Group neighbours that differ in their action only, so that their terms are told once."""
    groups: list[list[CompiledPermission]] = []
    for permission in permissions:
        if groups and _terms(groups[-1][0]) == _terms(permission):
            groups[-1].append(permission)
        else:
            groups.append([permission])
    return groups


def _terms(rule: CompiledPermission) -> tuple[Any, ...]:
    return bare(rule.conditions), bare(rule.limits), bare((rule.revocable,))


def _permission(group: Sequence[CompiledPermission]) -> Iterator[_Said]:
    places = tuple(permission.place for permission in group)
    actions = tuple(permission.action for permission in group)
    verbs = tuple(dict.fromkeys(_verb("may", action) for action in actions))
    labels = (row.label for row in map(action_of, actions) if row is not None)
    told = Told(About.ACTIONS, places, list(actions))
    yield message("may", actions=Listed(verbs, "and")), _weakest(labels), told
    first = group[0]
    yield from _once(
        (message("only", condition=said(item)), label_of(item), Told(About.CONDITION, places, encoded(item)))
        for item in first.conditions
    )
    yield from _once(
        (_limit(item), label_of(item), Told(About.LIMIT, places, encoded(item))) for item in first.limits
    )
    if first.revocable is not None:
        yield (
            _revocable(first.revocable),
            Label.ENFORCED,
            Told(About.REVOCABLE, places, encoded(first.revocable)),
        )


def _verb(form: str, action: str) -> Message:
    return message(f"{form}.{compact_iri(action)}")


def _limit(limit: DataLimit) -> Message:
    if isinstance(limit, ColumnFilter):
        return message("receive.filtered", limit=said(limit), column=repr(limit.column))
    if isinstance(limit, ColumnRegion):
        return message("receive.placed", limit=said(limit))
    if isinstance(limit, NotTogether):
        return message("receive.apart", columns=Listed(tuple(map(repr, limit.columns)), "and"))
    return message("receive.masked" if isinstance(limit, ColumnMask) else "receive", limit=said(limit))


def _revocable(term: Revocable) -> Message:
    if term.notice is None:
        return message("revocable")
    return message("revocable.notice", span=Span(term.notice.text))


def _prohibition(rule: CompiledProhibition) -> tuple[Message, Label]:
    row = action_of(rule.action)
    label = row.label if row is not None else Label.PROMISED
    conditions = Several(tuple(said(condition) for condition in rule.conditions), "join.and")
    when = ".when" if rule.conditions else ""
    more: dict[str, Argument] = {"conditions": conditions} if rule.conditions else {}
    if rule.is_promise:
        return message(f"promise not{when}", action=_verb("not to", rule.action), **more), Label.PROMISED
    if rule.filters:
        more["cells"] = Several(tuple(cell(one) for one in rule.filters), "join.and")
        when = f".rows{when}"
    parts = (*rule.conditions, *rule.filters)
    weakest = _weakest((label, *(label_of(part) for part in parts)))
    return message(f"may not{when}", action=_verb("may not", rule.action), **more), weakest


def rule_said(rule: CompiledProhibition) -> Message:
    """Return what a prohibition says, as a message."""
    return _prohibition(rule)[0]


def _duty(rule: CompiledDuty) -> Message:
    due = []
    before = min((limit.until for limit in rule.conditions if limit.until is not None), default=None)
    if before is not None:
        due.append(message("due.before", when=spell_time(before)))
    if rule.delay is not None:
        due.append(message("due.after", span=Span(rule.delay.text)))
    if rule.every is not None:
        due.append(message("due.every", span=Span(rule.every.text)))
    action = _verb("to", rule.action)
    if not due:
        return message("promise", action=action)
    overdue = message(f"overdue.{rule.consequence}")
    return message("promise.due", action=action, due=Several(tuple(due), "join.and"), overdue=overdue)


def explain_decision(decision: Permit | Deny, lang: Language = Language.EN) -> tuple[str, ...]:
    """Say what a decision means, in whole sentences; the reasons of a denial are in English.

    `policies.remedies` says of a policy and a use, in every language, what stands against it.
    """
    match decision:
        case Deny(reasons=reasons):
            return (sentence(message("denied"), lang), *(_capital(str(reason)) for reason in reasons))
        case Permit(limits=limits, plan=plan):
            told = (message("permitted"), *limits_said(limits), *plan_said(plan))
            return tuple(sentence(one, lang) for one in told)
        case _:
            assert_never(decision)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def limits_said(limits: Limits) -> Iterator[Message]:
    """Say how far a permit reaches."""
    if limits.until is not None:
        yield message("ends", when=spell_time(limits.until.replace(microsecond=0)))
    counted = {
        "rows": limits.rows,
        "bytes": limits.bytes,
        "requests": limits.requests,
        "epochs": limits.epochs,
    }
    for name, left in counted.items():
        if left is not None:
            yield message(f"left.{name}", n=left)
    if limits.rate is not None:
        rate = RateLimit(limits.rate.rows, limits.rate.period, "plan")
        yield message("plan.limit", limit=said(rate))


def plan_said(plan: DataPlan) -> Iterator[Message]:
    """Say what leaves under a plan, in which form."""
    if plan.aggregate is not None:
        yield _left(AggregateOnly(plan.aggregate.min_group, plan.aggregate.subject, "plan"))
    for index, branch in enumerate(plan.branches, 1):
        if len(plan.branches) > 1:
            yield message("plan.branch", n=index, most=len(plan.branches))
        yield from _branch(branch)
    for names in plan.apart:
        yield _left(NotTogether(names, "plan"))
    for conjunction in plan.excluded:
        cells = tuple(cell(ColumnFilter(one.column, one.operator, one.values, "plan")) for one in conjunction)
        yield message("plan.excluded", cells=Several(cells, "join.and"))


def _left(limit: DataLimit) -> Message:
    return message("plan.limit", limit=said(limit))


def _branch(branch: Branch) -> Iterator[Message]:
    if branch.columns is not None:
        yield _left(ColumnList(branch.columns, "plan"))
    for name, mask in branch.masks:
        yield message("plan.masked", limit=said(ColumnMask(name, mask, "plan")))
    for one in branch.predicate:
        yield _left(ColumnFilter(one.column, one.operator, one.values, "plan"))
    if branch.sample is not None:
        yield _left(Sample(branch.sample, "plan"))
    if branch.anonymity is not None:
        yield _left(KAnonymity(branch.anonymity.k, branch.anonymity.quasi_identifiers, "plan"))
    if branch.consent is not None:
        yield _left(Consent(branch.consent.column, "plan"))
