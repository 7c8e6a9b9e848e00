"""Documents made to hurt: each is refused by the bound that it breaks."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.odrl import documents, graph, jsonld
from policies.odrl.model import Constraint, Logical
from policies.odrl.read import read, read_one
from policies.odrl.read_constraints import LENIENT, Demands
from schemas.errors import DataspaceError, Malformed, PolicyCycle, TooLarge, UnknownTerm
from schemas.vocab import ODRL
from tests.effort import calls_of

PREFIXES = (
    f"@prefix odrl: <{ODRL}> . @prefix ex: <urn:ex:> . "
    "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . "
)
COUNT = "odrl:leftOperand odrl:count ; odrl:operator odrl:lt ; odrl:rightOperand 5"


def limited(constraint: str) -> str:
    return f"ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:constraint {constraint} ] ."


def test_a_policy_of_787_constraints_is_read_and_one_of_ten_thousand_is_not() -> None:
    def many(count: int) -> str:
        parts = " ".join(f"[ {COUNT} ]" for _ in range(count))
        return limited(f"[ odrl:or ( {parts} ) ]")

    (whole,) = read_one(PREFIXES + many(787)).permissions[0].constraints
    assert isinstance(whole, Logical)
    assert len(whole.parts) == 787
    with pytest.raises(TooLarge, match="2,000"):
        read_one(PREFIXES + many(10_000))


def test_deep_nesting_is_refused_in_both_forms() -> None:
    deep = "[ odrl:and " * 40 + f"[ {COUNT} ]" + " ]" * 40
    with pytest.raises(TooLarge, match="deeper than 16"):
        read_one(PREFIXES + limited(deep))
    with pytest.raises(TooLarge):
        read('{"@context": {}, "a": ' + "[" * 5000 + "]" * 5000 + "}")
    with pytest.raises(TooLarge):
        read('{"@context": {}, "a": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}")


def test_a_constraint_shared_again_and_again_is_counted_each_time() -> None:
    layers = "".join(f"ex:c{at} odrl:and ex:c{at + 1}, ex:d{at + 1} . " for at in range(14))
    copies = "".join(f"ex:d{at} odrl:and ex:c{at + 1}, ex:d{at + 1} . " for at in range(1, 14))
    ends = f"ex:c14 {COUNT} . ex:d14 {COUNT} ."
    with pytest.raises(TooLarge, match="2,000"):
        read_one(PREFIXES + limited("ex:c0") + layers + copies + ends)


def test_circles_are_refused_by_name() -> None:
    with pytest.raises(
        PolicyCycle, match=r"permission\[0\]\.constraint\[0\]\.and\[0\]: 'urn:ex:c' holds itself"
    ):
        read_one(PREFIXES + limited("ex:c") + " ex:c odrl:and ex:c .")
    duty = "ex:d odrl:action odrl:inform ; odrl:consequence ex:d ."
    with pytest.raises(DataspaceError, match=r"holds itself|holds no consequence"):
        read_one(
            PREFIXES + "ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:duty ex:d ] . " + duty
        )


def test_a_list_that_comes_back_to_itself_or_breaks_off_is_refused() -> None:
    for rest, words in (("rdf:rest ex:l", "comes back to itself"), ("ex:x 1", "0 tails")):
        text = limited("[ odrl:or ex:l ]") + f" ex:l rdf:first [ {COUNT} ] ; {rest} ."
        with pytest.raises(Malformed, match=words):
            read_one(PREFIXES + text)


def test_a_prefix_that_grows_every_term_is_refused() -> None:
    bomb = f"@prefix b: <urn:{'x' * 1_000_000}> . " + "b:a b:b b:c . " * 100_000
    with pytest.raises(TooLarge, match="with its prefix"):
        read(bomb)
    ld = {"@context": {"b": "urn:" + "x" * 100_000}, "permission": [{"b:a": 1}] * 100}
    with pytest.raises(TooLarge, match="a context holds"):
        read(json.dumps(ld))


def test_size_statements_values_and_contexts_are_bounded() -> None:
    with pytest.raises(TooLarge, match="bytes"):
        read(b" " * (documents.MOST_BYTES + 1))
    with pytest.raises(TooLarge, match="statements"):
        read("".join(f"<urn:{at}> <urn:p> 1 . " for at in range(graph.MOST_TRIPLES + 1)))
    with pytest.raises(TooLarge, match="values"):
        read(json.dumps({"@context": {}, "a": list(range(jsonld.MOST_VALUES))}))
    with pytest.raises(TooLarge, match="contexts"):
        read(json.dumps({"a": [{"@context": {}}] * (jsonld.MOST_CONTEXTS + 1)}))
    with pytest.raises(TooLarge, match="terms"):
        read(json.dumps({"@context": {f"t{at}": "urn:x" for at in range(jsonld.MOST_CONTEXT_TERMS + 1)}}))


@pytest.mark.parametrize("form", ["arrays in an array", "nodes of one name", "sets in an array"])
def test_reading_does_not_grow_with_the_square_of_the_values_of_a_property(form: str) -> None:
    def document(count: int) -> str:
        rows = [[{"@id": f"urn:{at}:{one}"} for one in range(count)] for at in range(4)]
        values: object = [{"@set": row} for row in rows] if form.startswith("sets") else rows
        limit = {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": values}
        nodes: list[dict[str, object]] = [limit | {"@id": "urn:c"}]
        if form.startswith("nodes"):
            nodes = [limit | {"@id": "urn:c", "rightOperand": row} for row in rows]
        policy = {"@type": "Set", "permission": {"action": "use", "constraint": {"@id": "urn:c"}}}
        return json.dumps({"@context": "http://www.w3.org/ns/odrl.jsonld", "@graph": [policy, *nodes]})

    (constraint,) = read_one(document(1_000)).permissions[0].constraints
    assert isinstance(constraint, Constraint)
    assert len(constraint.values) == 4_000
    few, many = (calls_of(partial(read_one, document(count))) for count in (250, 1_000))
    assert many < 6 * few  # four times as many values; with each pair compared, it would be sixteen times


def test_contexts_in_an_array_are_counted_one_by_one() -> None:
    with pytest.raises(TooLarge, match="contexts"):
        read(json.dumps({"a": [{"@context": ["http://www.w3.org/ns/odrl.jsonld"] * 90}] * 3}))


def test_a_long_list_that_many_policies_share_is_counted_each_time() -> None:
    items = " ".join(f"ex:t{at}" for at in range(9_000))
    shared = "ex:h rdf:first ex:t ; rdf:rest ( " + items + " ) . "
    policies = "".join(
        f"ex:p{at} a odrl:Set ; odrl:target ex:h ; odrl:inheritFrom ex:z . " for at in range(9)
    )
    with pytest.raises(TooLarge, match="2,000"):
        read(PREFIXES + shared + policies)


@pytest.mark.parametrize("member", ["constrain", "prohibitions", "Constraint_", "refinements"])
def test_a_misspelt_member_is_refused_since_what_it_says_would_be_lost(member: str) -> None:
    limit = {"leftOperand": "purpose", "operator": "eq", "rightOperand": "x"}
    rule = {"action": "use", member: [limit]}
    text = json.dumps(
        {"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set", "uid": "urn:p", "permission": rule}
    )
    with pytest.raises(UnknownTerm, match=f"member '{member}', to which its context gives no meaning"):
        read(text)
    assert any(member in warning for warning in read(text, demands=LENIENT).warnings)


@pytest.mark.parametrize("name", ["Offr", "odrl:Offr", "offer"])
def test_a_misspelt_class_is_refused_since_it_would_grant_as_a_set_does(name: str) -> None:
    text = json.dumps(
        {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "@type": name,
            "uid": "urn:p",
            "permission": {"action": "use"},
        }
    )
    with pytest.raises(UnknownTerm, match=r"class '.*' in policy; known there: Agreement"):
        read(text)


@pytest.mark.parametrize("data", [b"\xff\xfe{", b"", b"[]", b"[1]", b"{", b'{"@context": 5}', b'{"@id": 3}'])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


def test_half_a_character_is_refused_before_anybody_keeps_it() -> None:
    for text in ('{"@context": {}, "@id": "\\ud800"}', '{"@context": {}, "\\udfff": 1}'):
        with pytest.raises(Malformed, match=r"not JSON: .*surrogates not allowed"):
            read(text)


def test_another_media_type_is_refused_by_name() -> None:
    with pytest.raises(Malformed, match="not as 'text/html'"):
        read("x", "text/html")


def test_a_member_that_is_said_twice_is_refused_since_one_would_be_lost() -> None:
    text = '{"@context": {}, "prohibition": [1], "prohibition": []}'
    with pytest.raises(Malformed, match="says 'prohibition' twice"):
        read(text)
    with pytest.raises(Malformed, match="NaN"):
        read('{"@context": {}, "a": NaN}')


def test_a_rule_that_is_not_described_or_is_of_another_class_is_refused() -> None:
    with pytest.raises(Malformed, match=r"permission\[0\]: 'urn:ex:r' is not described here"):
        read(PREFIXES + "ex:p a odrl:Set ; odrl:permission ex:r .", demands=LENIENT)
    rule = "[ a odrl:Prohibition ; odrl:action odrl:use ]"
    with pytest.raises(Malformed, match="a Prohibition stands as a permission"):
        read(PREFIXES + f"ex:p a odrl:Set ; odrl:permission {rule} .", demands=LENIENT)


def test_a_repeated_statement_says_nothing_new() -> None:
    rule = "ex:p odrl:permission ex:r . ex:r odrl:action odrl:use . "
    assert len(read_one(PREFIXES + "ex:p a odrl:Set . " + rule * 100).permissions) == 1


WHOLE = (
    PREFIXES + limited(f"[ odrl:and ( [ {COUNT} ] [ odrl:or ( [ {COUNT} ] ) ] ) ]"),
    json.dumps(
        {
            "@context": ["http://www.w3.org/ns/odrl.jsonld", {"x": "urn:x:"}],
            "@graph": [
                {
                    "@type": "Set",
                    "uid": "urn:p",
                    "permission": [{"action": ["use"], "target": {"uid": "x:t"}}],
                }
            ],
        }
    ),
)


PIECES = ("", "[", "]", "{", "}", '"', "(", ")", ";", "null", "1", '"@id"', "@list")


@given(st.sampled_from(WHOLE), st.data())
def test_whatever_is_cut_or_exchanged_in_a_document_is_read_or_refused(
    text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    piece = data.draw(st.sampled_from(PIECES))
    for document in (text[:start] + piece + text[end:], data.draw(st.binary(max_size=60))):
        for demands in (LENIENT, Demands()):
            with suppress(DataspaceError):
                read(document, demands=demands)
