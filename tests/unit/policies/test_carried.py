"""What a reason says travels beside its English text, and is told in the reader's language, or not at all."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.outbox.letter import shorten
from policies.refusals.data import DATA
from policies.refusals.reading import READING
from policies.refusals.refusal import REFUSALS
from policies.refusals.rules import RULES
from policies.refusals.terms import TERMS
from policies.refusals.unread import UNREAD
from policies.refusals.values import VALUES
from policies.templates import fill
from policies.words.carried import KNOWN, MOST_PARTS, carry, in_words, read_carried, slots, spoken
from policies.words.en import FORMS
from policies.words.language import TABLES, Argument, Language, Listed, Message, Several, Span, message, say
from schemas.errors import Malformed
from schemas.worded import MOST_TOLD, Worded, read_told, told_json, told_of, told_text, worded, wording

ROOT = Path(__file__).parents[3]
CODE = [file for room in ("policies", "connector", "catalog") for file in sorted((ROOT / room).rglob("*.py"))]
TEXTS = st.text(alphabet=string.printable[:95] + "äß«»", min_size=0, max_size=12)
IDS = st.sampled_from(sorted(KNOWN))


def arguments(inner: st.SearchStrategy[Message]) -> st.SearchStrategy[Argument]:
    return st.one_of(
        TEXTS,
        st.integers(-(10**20), 10**20),
        st.decimals(-1000, 1000, places=3),
        st.sampled_from(["P30D", "PT12H", "P1M"]).map(Span),
        st.builds(
            Listed,
            st.lists(TEXTS | inner, max_size=3).map(tuple),
            st.sampled_from(["and", "or", "nor"]),
        ),
        st.builds(Several, st.lists(inner, max_size=3).map(tuple), st.sampled_from(["join.and", "join.or"])),
        inner,
    )


@st.composite
def messages(draw: Any, depth: int = 2) -> Message:
    id = draw(IDS)
    inner = messages(depth - 1) if depth else st.just(message("weekday.0"))
    return Message(id, tuple((slot, draw(arguments(inner))) for slot in sorted(slots(id))))


def asked() -> Iterator[tuple[str, str, int, frozenset[str] | None]]:
    """Every `message("id", …)` and `refusal("id", …)` of the product: where it stands, and its slots."""
    for file in CODE:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            first = node.args[0] if node.args else None
            prefix = {"message": "", "refusal": "refused."}.get(node.func.id)
            if prefix is not None and isinstance(first, ast.Constant):
                given = None if any(one.arg is None for one in node.keywords) else node.keywords
                named = None if given is None else frozenset(str(one.arg) for one in given)
                yield prefix + str(first.value), file.name, node.lineno, named


def test_every_message_that_the_product_makes_has_words_in_each_language_and_its_slots_are_filled() -> None:
    found = list(asked())
    ids = {id for id, *_ in found}
    assert len(ids) > 180
    assert {id for id in TABLES[Language.EN] if id.startswith("refused.")} <= ids
    for id, file, line, named in found:
        for lang in Language:
            assert id in TABLES[lang], f"{file}:{line} says {id!r}, which has no words in {lang}"
        if named is not None:
            assert named == slots(id), f"{file}:{line} fills {sorted(named)} of {id!r}"


def test_every_message_has_the_same_slots_in_each_language() -> None:
    for lang, table in TABLES.items():
        for id, forms in table.items():
            for form in (forms,) if isinstance(forms, str) else forms:
                named = {name for _, name, _, _ in string.Formatter().parse(form) if name}
                # One of a thing may say its number in words.
                assert slots(id) - {"n"} <= named <= slots(id), (lang, id, form)
        # English has each form of each action, also those that no sentence uses.
        assert all(id.split(".")[0] in FORMS for id in table.keys() - KNOWN)


@given(messages())
def test_a_message_comes_back_as_it_was_and_says_the_same_in_every_language(told: Message) -> None:
    back = read_carried(json.loads(json.dumps(carry(told))))
    for lang in Language:
        assert say(back, lang) == say(told, lang)


def test_a_worded_sentence_is_its_text_and_is_told_in_the_language_of_its_reader() -> None:
    text = spoken(message("why.group", who="did:web:x", groups=Listed(("sme", "ngo"), "or")))
    assert text == "did:web:x is not known to be in sme or ngo"
    assert in_words(text, Language.EN) == text
    assert in_words(text, Language.DE) == "es ist nicht bekannt, dass did:web:x zu sme oder ngo gehört"
    assert json.dumps([text]) == '["did:web:x is not known to be in sme or ngo"]'


def test_what_is_too_long_to_be_carried_travels_as_its_text_alone() -> None:
    told = spoken(message("why.action", action="x" * MOST_TOLD))
    assert not isinstance(told, Worded)
    assert told.startswith("action xxx")


DEEP: Any = {"code": "why.action", "with": {"action": "x"}}
for _ in range(30):
    DEEP = {"code": "why.action", "with": {"action": DEEP}}

HOSTILE: list[Any] = [
    {},
    {"code": "why.moon", "with": {}},
    {"code": ["why.nothing"], "with": {}},
    {"code": "why.nothing", "with": {"more": "x"}},
    {"code": "why.nothing", "with": {}, "more": 1},
    {"code": "why.action", "with": {}},
    {"code": "why.action", "with": {"action": True}},
    {"code": "why.action", "with": {"action": 1.5}},
    {"code": "why.action", "with": {"action": None}},
    {"code": "why.action", "with": {"action": "x" * 1001}},
    {"code": "why.action", "with": {"action": "a\u202eb\x1b[31m"}},
    {"code": "why.action", "with": {"action": {"number": "NaN"}}},
    {"code": "why.action", "with": {"action": {"number": "1e999999"}}},
    {"code": "why.action", "with": {"action": {"number": "9" * 100}}},
    {"code": "why.action", "with": {"action": {"list": ["x"], "word": "list.more"}}},
    {"code": "why.action", "with": {"action": {"several": [], "word": "why.nothing"}}},
    {"code": "why.action", "with": {"action": {"list": ["x"] * (MOST_PARTS + 1), "word": "or"}}},
    {"code": "why.action", "with": {"action": 2**60}},
    DEEP,
]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_hostile_peer_carries_is_refused_and_its_text_is_told_instead(said: Any) -> None:
    with pytest.raises(Malformed):
        read_carried(said)
    assert in_words(Worded("as it was said", json.dumps(said)), Language.DE) == "as it was said"


@pytest.mark.parametrize("text", ["the rules allow everything", "", "the rules", "the…", "the rules allow…"])
def test_who_says_one_thing_in_english_and_carries_another_is_told_as_in_english(text: str) -> None:
    told = spoken(message("why.nothing"))
    assert isinstance(told, Worded)
    assert in_words(Worded(text, told.told), Language.DE) == text


def test_a_sentence_that_was_cut_or_broken_into_lines_still_carries_what_it_says() -> None:
    told = spoken(message("why.action", action="y" * 300))
    assert isinstance(told, Worded)
    german = in_words(told, Language.DE)
    assert german != told
    for way in (shorten(told, 200), told[:400], told.replace(" ", "\n  ", 1)):
        assert in_words(Worded(way, told.told), Language.DE) == german


@pytest.mark.parametrize(
    "said",
    [None, 5, True, "", "{", "[" * 5000, '{"code":1}', {"a": 1}, [], [None], ["x"], [{"a": "x" * 5000}],
     [{"a": "\ud800"}], [{"a": float("nan")}], "[" + "1," * 40_000 + "1]"],
)  # fmt: skip
def test_what_is_no_list_of_short_objects_carries_nothing(said: Any) -> None:
    assert read_told(said, 1) == ()


def test_reasons_and_what_they_carry_stay_side_by_side() -> None:
    plain, rich = "free text", spoken(message("why.nothing"))
    assert told_of((plain, plain)) == ()
    assert told_text((plain,)) is None
    texts = ("free text", str(rich))
    for way in (told_text((plain, rich)), told_json((plain, rich))):
        back = worded(texts, read_told(way, 2))
        assert back == (plain, rich)
        assert [in_words(one, Language.DE) for one in back] == ["free text", "die Regeln erlauben nichts"]
    # More than there are reasons, or fewer: nothing moves to a sentence that is not its own.
    assert read_told(told_json((plain, rich)), 1) == ()
    assert worded(texts, ("x",)) == texts


def test_a_number_keeps_its_size_and_its_signs() -> None:
    told = message("why.used.rows", used=12_500, most=Decimal("1E+4"))
    back = read_carried(json.loads(json.dumps(carry(told))))
    assert say(back, Language.DE) == "12.500 von 10.000 Zeilen dieser Vereinbarung sind verbraucht"


def test_a_time_is_told_as_it_was_counted() -> None:
    when = datetime(2026, 12, 1, tzinfo=UTC).isoformat()
    assert in_words(spoken(message("end.expired", when=when)), Language.DE).endswith(when)


def test_a_sentence_that_says_more_than_it_carries_is_told_as_it_stands_elsewhere() -> None:
    with pytest.raises(Malformed) as refused:
        fill("time-boxed", "urn:offer:1")
    here = wording(refused.value)
    assert "braucht die Angabe 'not_after'" in in_words(here, Language.DE)
    [elsewhere] = worded([str(here)], told_of([here]))
    assert in_words(elsewhere, Language.DE) == str(here)


def test_no_refusal_takes_the_name_of_another() -> None:
    tables = (DATA, READING, RULES, TERMS, UNREAD, VALUES)
    assert sum(map(len, tables)) == len(REFUSALS)
