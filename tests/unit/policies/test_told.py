"""Sentences and rules are two forms of one thing: neither direction loses anything, in either language."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies.compiled import CompiledPolicy
from policies.explain import explain, label_text
from policies.kinds.durations import Duration
from policies.kinds.masking import UNITS, Masking, MaskKind
from policies.kinds.values import tagged
from policies.profile import ACTIONS, PURPOSES, Label, Operator
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
    Consent,
    Consequence,
    CountLimit,
    CountUnit,
    CredentialLimit,
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
    Since,
    TimeLimit,
)
from policies.words.language import TABLES, Language, language, number, span
from policies.words.told import Rules, Told, rules_told
from schemas.errors import Malformed

WORDS = st.text(alphabet=string.ascii_letters + "'\" ;,.\\()«ß\u202e\n", min_size=1, max_size=6)
NAMES = st.lists(WORDS, min_size=1, max_size=4, unique=True).map(tuple)
TIMES = st.integers(1_577_836_800, 1_893_456_000).map(lambda at: datetime.fromtimestamp(at, UTC))
COUNTS = st.integers(1, 10**12)
REGIONS = st.lists(
    st.sampled_from(["DE", "FR", "EU", "EEA", "EUROPE"]), min_size=1, max_size=3, unique=True
).map(tuple)
DURATIONS = st.builds(Duration, st.integers(0, 30), st.timedeltas(timedelta(seconds=1), timedelta(days=400)))
SCALARS = st.one_of(
    WORDS,
    st.integers(-(2**63), 2**63),
    st.booleans(),
    st.decimals(-1000, 1000, places=3).map(lambda value: value.normalize() + 0),
    TIMES,
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
)
PLACE = st.just("p")


def _time_limit(operator: Operator, at: datetime, whole: bool) -> TimeLimit:
    value = at.replace(hour=0, minute=0, second=0, microsecond=0) if whole else at
    return TimeLimit(operator, value, whole, None, value, "p")


TIME_LIMITS = st.builds(
    _time_limit,
    st.sampled_from([Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ, Operator.EQ]),
    TIMES,
    st.booleans(),
)
ATOMS = st.one_of(
    TIME_LIMITS,
    st.builds(
        PurposeLimit,
        st.sampled_from([Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_NONE_OF, Operator.EQ]),
        st.lists(st.sampled_from(PURPOSES), min_size=1, max_size=3, unique=True).map(tuple),
        PLACE,
    ),
    st.builds(
        ParticipantLimit,
        st.lists(
            st.sampled_from(["did:web:a.example", "did:web:b.example", "did:web:c.example"]),
            min_size=1,
            unique=True,
        ).map(tuple),
        PLACE,
    ),
    st.builds(
        ElapsedLimit,
        st.sampled_from([Operator.LT, Operator.LTEQ]),
        DURATIONS,
        st.sampled_from(list(Since)),
        PLACE,
    ),
    st.builds(
        DayLimit,
        st.lists(st.integers(0, 6), min_size=1, unique=True).map(tuple),
        st.sampled_from(["UTC", "Europe/Berlin"]),
        PLACE,
    ),
    st.builds(
        DayTimeLimit,
        st.lists(
            st.tuples(st.builds(time, st.integers(0, 23)), st.builds(time, st.integers(0, 23))),
            min_size=1,
            max_size=2,
        ).map(tuple),
        st.sampled_from(["UTC", "Europe/Berlin"]),
        PLACE,
    ),
    st.builds(GroupLimit, NAMES, PLACE),
    st.builds(CredentialLimit, WORDS, NAMES, PLACE),
    st.builds(RegionLimit, st.sampled_from([Operator.IS_PART_OF, Operator.EQ]), REGIONS, PLACE),
    st.builds(
        EnvironmentLimit,
        st.lists(
            st.sampled_from(
                ["secure-processing-environment", "trusted-execution-environment", "federated-only"]
            ),
            min_size=1,
            unique=True,
        ).map(tuple),
        PLACE,
    ),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.builds(
        Combination,
        st.sampled_from(["and", "or", "xone"]),
        st.lists(inner, min_size=2, max_size=3).map(tuple),
        PLACE,
    ),
    max_leaves=5,
)
FILTERS = st.one_of(
    st.builds(
        ColumnFilter,
        WORDS,
        st.sampled_from([Operator.EQ, Operator.NEQ, Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ]),
        SCALARS.map(lambda value: (value,)),
        PLACE,
    ),
    st.builds(
        ColumnFilter,
        WORDS,
        st.sampled_from([Operator.IS_ANY_OF, Operator.IS_NONE_OF]),
        st.lists(SCALARS, min_size=1, max_size=3).map(tuple),
        PLACE,
    ),
    st.builds(ColumnRegion, WORDS, REGIONS, PLACE),
)
MASKS = st.one_of(
    st.sampled_from([Masking(MaskKind.HASH), Masking(MaskKind.NULL), Masking(MaskKind.REDACT)]),
    st.sampled_from(UNITS).map(lambda unit: Masking(MaskKind.TRUNCATE, unit)),
    st.decimals("0.001", 1000, places=3).map(lambda step: Masking(MaskKind.BUCKET, step.normalize())),
    st.integers(-18, 18).map(lambda digits: Masking(MaskKind.ROUND, Decimal(digits))),
)
LIMITS = st.one_of(
    FILTERS,
    st.builds(ColumnList, NAMES, PLACE),
    st.builds(ColumnMask, WORDS, MASKS, PLACE),
    st.builds(NotTogether, NAMES, PLACE),
    st.builds(Sample, st.decimals("0.01", 100, places=2).map(lambda share: share.normalize()), PLACE),
    st.builds(KAnonymity, st.integers(2, 100), NAMES, PLACE),
    st.builds(AggregateOnly, st.integers(2, 100), st.one_of(st.none(), WORDS), PLACE),
    st.builds(Consent, WORDS, PLACE),
    st.builds(RowLimit, COUNTS, PLACE),
    st.builds(ByteLimit, COUNTS, PLACE),
    st.builds(CountLimit, st.sampled_from(list(CountUnit)), COUNTS, PLACE),
    st.builds(RateLimit, COUNTS, st.timedeltas(timedelta(seconds=1), timedelta(days=30)), PLACE),
)
_PERMITTED = [action.iri for action in ACTIONS if action.permitted]
_PROMISED = [action.iri for action in ACTIONS if action.prohibited and not action.permitted]
PERMISSIONS = st.builds(
    CompiledPermission,
    st.sampled_from(_PERMITTED),
    st.lists(CONDITIONS, max_size=2).map(tuple),
    st.lists(LIMITS, max_size=2).map(tuple),
    PLACE,
    st.one_of(st.none(), st.builds(Revocable, st.one_of(st.none(), DURATIONS), PLACE)),
)
PROHIBITIONS = st.one_of(
    st.builds(
        CompiledProhibition,
        st.sampled_from(_PERMITTED),
        st.lists(CONDITIONS, max_size=2).map(tuple),
        st.just(False),
        PLACE,
        st.lists(FILTERS, max_size=2).map(tuple),
    ),
    st.builds(
        CompiledProhibition,
        st.sampled_from(_PROMISED),
        st.lists(CONDITIONS, max_size=2).map(tuple),
        st.just(True),
        PLACE,
    ),
)
DUTIES = st.builds(
    CompiledDuty,
    st.sampled_from([action.iri for action in ACTIONS if action.obliged]),
    st.lists(TIME_LIMITS, max_size=1).map(tuple),
    PLACE,
    st.one_of(st.none(), DURATIONS),
    st.one_of(st.none(), DURATIONS),
    st.sampled_from(list(Consequence)),
)


def _policy(
    assignee: str | None,
    permissions: list[CompiledPermission],
    prohibitions: list[CompiledProhibition],
    duties: list[CompiledDuty],
) -> CompiledPolicy:
    def placed(kind: str, rules: list[Any]) -> tuple[Any, ...]:
        return tuple(replace(rule, place=f"{kind}[{index}]") for index, rule in enumerate(rules))

    return CompiledPolicy(
        "urn:offer:1",
        None,
        assignee,
        placed("permission", permissions),
        placed("prohibition", prohibitions),
        placed("obligation", duties),
        (),
    )


POLICIES = st.builds(
    _policy,
    st.sampled_from([None, "did:web:lab.example"]),
    st.lists(PERMISSIONS, max_size=3),
    st.lists(PROHIBITIONS, max_size=2),
    st.lists(DUTIES, max_size=2),
)


def rules_of(policy: CompiledPolicy) -> Rules:
    return Rules(policy.assignee, policy.permissions, policy.prohibitions, policy.duties)


@settings(max_examples=300, deadline=None)
@given(POLICIES, st.sampled_from(list(Language)))
def test_what_the_sentences_say_as_data_is_the_policy(policy: CompiledPolicy, lang: Language) -> None:
    sentences = explain(policy, lang)
    sent = json.loads(json.dumps([one.told.as_json() for one in sentences if one.told]))
    assert len(sent) == len(sentences)
    told = [Told(one["about"], tuple(one["rules"]), one["term"]) for one in sent]
    assert in_order(rules_told(told)) == in_order(rules_of(policy))


def in_order(rules: Rules) -> dict[str, Any]:
    """The rules as JSON, with the terms of each permission in one order: it makes no difference there."""
    found = rules.as_json()
    for rule in found["permissions"]:
        for kind in ("conditions", "limits"):
            rule[kind] = sorted(rule[kind], key=json.dumps)
    return found


def meaning(policy: CompiledPolicy) -> Any:
    """What the policy says, without the differences that make none: how often, and spelling."""
    return _once(_meant(rules_of(policy).as_json()))


def _once(value: Any) -> Any:
    """Leave out what repeats what stands beside it; under xone a repetition makes a difference."""
    if isinstance(value, list):
        return [_once(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        items = _once(item)
        if isinstance(items, list) and key != "parts":
            items = list({json.dumps(one): one for one in items}.values())
        found[key] = items
    return found


_SAME = {"isA": "isAnyOf", "isPartOf": "isAnyOf"}


def _meant(value: Any) -> Any:
    if isinstance(value, list):
        return [_meant(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "ColumnFilter":
        operator = {"eq": "isAnyOf"}.get(value["operator"], value["operator"])
        values = [_number(item) for item in value["values"]]
        operator = "isNoneOf" if operator == "neq" else operator
        return ["filter", value["column"], operator, values]
    if value.get("type") == "CompiledDuty":
        dated = bool(value["conditions"] or value["delay"] or value["every"])
        due = [limit["until"] for limit in value["conditions"]]
        rest = [value["action"], value["delay"], value["every"], value["consequence"] if dated else None]
        return ["duty", due, *rest]
    if value.get("type") == "TimeLimit":
        return ["time", value["operator"], value["value"], value["whole_day"]]
    meant = {key: _meant(item) for key, item in value.items()}
    if meant.get("type") == "PurposeLimit":
        meant["operator"] = _SAME.get(meant["operator"], meant["operator"])
    return meant


def _number(item: Any) -> Any:
    if isinstance(item, dict) and ("decimal" in item or "integer" in item):
        return tagged(Decimal(next(iter(item.values()))))
    return tagged(item) if isinstance(item, int) and not isinstance(item, bool) else item


@settings(max_examples=400, deadline=None)
@given(POLICIES, POLICIES, st.sampled_from(list(Language)))
def test_different_policies_read_differently(
    one: CompiledPolicy, other: CompiledPolicy, lang: Language
) -> None:
    assume(meaning(one) != meaning(other))
    assert [item.text for item in explain(one, lang)] != [item.text for item in explain(other, lang)]


@settings(max_examples=600, deadline=None)
@given(st.data(), st.sampled_from(list(Language)))
def test_one_term_changed_is_read(data: st.DataObject, lang: Language) -> None:
    pool = data.draw(st.sampled_from([CONDITIONS, LIMITS]))
    one, other = data.draw(pool), data.draw(pool)

    def policy(term: Any) -> CompiledPolicy:
        conditions, limits = ((term,), ()) if pool is CONDITIONS else ((), (term,))
        return _policy(None, [CompiledPermission(_PERMITTED[0], conditions, limits, "")], [], [])

    assume(meaning(policy(one)) != meaning(policy(other)))
    texts = [[item.text for item in explain(policy(term), lang)] for term in (one, other)]
    assert texts[0] != texts[1]


def test_every_language_has_words_for_every_message_with_the_same_slots() -> None:
    slots = {
        lang: {
            id: {
                name
                for form in ((text,) if isinstance(text, str) else text)
                for _, name, _, _ in string.Formatter().parse(form)
                if name
            }
            for id, text in table.items()
        }
        for lang, table in TABLES.items()
    }
    forms = {
        "may": [action for action in ACTIONS if action.permitted],
        "may not": [action for action in ACTIONS if action.permitted and action.prohibited],
        "not to": [action for action in ACTIONS if action.prohibited and not action.permitted],
        "to": [action for action in ACTIONS if action.obliged],
    }
    used = {f"{form}.{action.name}" for form, actions in forms.items() for action in actions}
    verbs = {f"{form}.{action.name}" for form in forms for action in ACTIONS}
    plain = {lang: {id: found for id, found in ids.items() if id not in verbs} for lang, ids in slots.items()}
    assert plain[Language.EN] == plain[Language.DE]
    for ids in slots.values():
        assert used <= set(ids)


@pytest.mark.parametrize("lang", list(Language))
def test_no_german_word_is_in_an_english_sentence_and_no_english_one_in_a_german(lang: Language) -> None:
    other = {"en": {"Sie", "nur", "der", "Daten"}, "de": {"you", "only", "the", "data"}}[lang]
    for text in TABLES[lang].values():
        for form in (text,) if isinstance(text, str) else text:
            assert other.isdisjoint(form.split()), form


def test_labels_are_named_in_german() -> None:
    assert [label_text(label, Language.DE) for label in Label] == [
        "hier durchgesetzt",
        "bei Vertragsschluss geprüft",
        "zugesagt, wird geprüft",
    ]
    assert [label_text(label) for label in Label] == [label.value for label in Label]


def test_numbers_and_lengths_of_time_follow_the_language() -> None:
    assert number(12_500) == "12,500"
    assert number(12_500, Language.DE) == "12.500"
    assert number(Decimal("1234.5"), Language.DE) == "1.234,5"
    assert span("P30D", Language.DE) == "30 Tagen"
    assert span("PT1H30M") == "1 hour and 30 minutes"
    assert span("P1Y", Language.DE) == "1 Jahr"


def test_a_language_without_words_is_refused_by_name() -> None:
    assert language("de-AT") is Language.DE
    with pytest.raises(Malformed, match="no words in language 'fr'; there are: en, de"):
        language("fr")
