from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.operands import OPERANDS, column_operand, mask_operand, operand_named
from policies.profile import (
    ACTIONS,
    EVALUATE,
    FINE_TUNE,
    PURPOSES,
    TRAIN,
    USE,
    Label,
    action_iri,
    action_named,
    do_purposes_overlap,
    is_action_within,
    is_narrower_or_equal,
    operator_named,
    purpose_iri,
)
from schemas.errors import UnknownTerm
from schemas.vocab import DPV, HANSA, ODRL
from tests.shared_data import shared_data

purposes = st.sampled_from(PURPOSES)


@pytest.mark.parametrize("name", ["ScientificResearch", "dpv:ScientificResearch", DPV + "ScientificResearch"])
def test_a_purpose_may_be_written_three_ways(name: str) -> None:
    assert purpose_iri(name) == DPV + "ScientificResearch"


def test_an_unknown_purpose_is_refused_with_near_ones() -> None:
    with pytest.raises(UnknownTerm, match=r"'Research' is not a purpose of DPV 2.3.*dpv:AcademicResearch"):
        purpose_iri("Research")


@pytest.mark.parametrize("name", ["", "Purpose ", "http://other.example/Research", "x" * 10_000])
def test_no_text_that_is_no_purpose_becomes_one(name: str) -> None:
    with pytest.raises(UnknownTerm):
        purpose_iri(name)


@pytest.mark.parametrize("name", ["train", "hansa:train", HANSA + "train"])
def test_an_action_may_be_written_three_ways(name: str) -> None:
    assert action_iri(name) == TRAIN


def test_an_unknown_action_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownTerm, match="unknown action 'trian'; known: odrl:use, hansa:train"):
        action_iri("trian")


def test_fine_tuning_lies_under_training_and_training_under_use() -> None:
    assert is_action_within(FINE_TUNE, TRAIN)
    assert is_action_within(FINE_TUNE, USE)
    assert not is_action_within(TRAIN, FINE_TUNE)
    assert not is_action_within(EVALUATE, TRAIN)
    assert not is_action_within("urn:unknown", USE)


def test_a_purpose_with_two_parents_lies_under_both() -> None:
    research = DPV + "CommercialResearch"
    assert is_narrower_or_equal(research, DPV + "ResearchAndDevelopment")
    assert is_narrower_or_equal(research, DPV + "CommercialPurpose")
    assert not is_narrower_or_equal(DPV + "ScientificResearch", DPV + "CommercialPurpose")


def test_an_unknown_purpose_lies_under_nothing_and_overlaps_nothing() -> None:
    assert not is_narrower_or_equal("urn:unknown", DPV + "Purpose")
    assert not is_narrower_or_equal("urn:unknown", "urn:unknown")
    assert not do_purposes_overlap("urn:unknown", DPV + "Purpose")


@given(purposes, purposes, purposes)
def test_purposes_form_a_partial_order(one: str, two: str, three: str) -> None:
    assert is_narrower_or_equal(one, one)
    if is_narrower_or_equal(one, two) and is_narrower_or_equal(two, one):
        assert one == two
    if is_narrower_or_equal(one, two) and is_narrower_or_equal(two, three):
        assert is_narrower_or_equal(one, three)
    assert do_purposes_overlap(one, two) == do_purposes_overlap(two, one)


def test_the_pinned_purposes_are_those_of_the_published_vocabulary() -> None:
    rdflib = pytest.importorskip("rdflib")
    skos = "http://www.w3.org/2004/02/skos/core#"
    graph = rdflib.Graph().parse(shared_data("odrl", "vocab", "dpv-2.3", "dpv-purposes.ttl"))
    broader = {
        (str(narrow), str(wide))
        for narrow, wide in graph.subject_objects(rdflib.URIRef(skos + "broader"))
        if str(narrow) in PURPOSES and str(wide) in PURPOSES
    }
    assert len(broader) > 120
    for narrow, wide in broader:
        assert is_narrower_or_equal(narrow, wide), (narrow, wide)
    labelled = {str(term) for term in graph.subjects(rdflib.URIRef(skos + "prefLabel"))}
    assert set(PURPOSES) == labelled - {DPV + "hasPurpose", DPV + "hasSector", DPV + "Sector"}


@pytest.mark.parametrize("spelling", ["dateTime", "odrl:dateTime", ODRL + "dateTime"])
def test_an_operand_of_odrl_may_be_written_three_ways(spelling: str) -> None:
    found = operand_named(spelling)
    assert found is not None
    assert found[0].name == "odrl:dateTime"


@pytest.mark.parametrize(
    "spelling",
    [
        "rowCount",
        "hansa:column/",
        HANSA + "mask/",
        "dx:moonPhase",
        "odrl:payAmount",
        "",
        "purpose ",
        "Purpose",
        "hansa:",
    ],
)
def test_what_is_not_in_the_table_is_not_an_operand(spelling: str) -> None:
    assert operand_named(spelling) is None


@given(st.text(min_size=1))
def test_any_column_name_survives_the_way_into_an_operand_and_back(name: str) -> None:
    name = name.encode("utf-8", "replace").decode()
    for operand in (column_operand(name), mask_operand(name)):
        found = operand_named(operand)
        assert found is not None
        assert found[1] == name


def test_a_bare_action_of_ours_is_not_known_on_the_wire_but_one_of_odrl_is() -> None:
    assert action_named("train") is None
    assert action_named("use") is not None


@pytest.mark.parametrize("spelling", ["eq", "odrl:eq", ODRL + "eq"])
def test_an_operator_may_be_written_three_ways(spelling: str) -> None:
    assert operator_named(spelling) == "eq"


@pytest.mark.parametrize("spelling", ["=", "EQ", "hasPart", "http://eq", "", "odrl:"])
def test_what_is_not_in_the_table_is_not_an_operator(spelling: str) -> None:
    assert operator_named(spelling) is None


def test_every_row_says_who_keeps_it_and_what_it_means() -> None:
    for operand in OPERANDS:
        assert operand.label in Label
        assert operand.meaning
        assert operand.operators
    for action in ACTIONS:
        assert action.permitted or action.prohibited or action.obliged
        if not action.permitted:
            assert action.label is Label.PROMISED


def test_the_readme_shows_every_operand_as_the_table_has_it() -> None:
    told = (Path(__file__).parents[3] / "policies" / "README.md").read_text(encoding="utf-8")
    for row in OPERANDS:
        line = f"| `{row.name}` | {' '.join(row.operators)} | {row.kind.value} | {row.label.value} |"
        assert line in told, line
    for action in ACTIONS:
        assert action.name.partition(":")[2] in told, action.name
