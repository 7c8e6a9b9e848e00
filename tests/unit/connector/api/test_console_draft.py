"""A form and a policy are two forms of one thing; what is half filled in is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connector.api.console_draft import Draft, DraftRule, Row, changed, from_offer, read_draft
from connector.api.console_words import WORDS, words
from policies.compiled import compile_policy
from policies.operands import OPERANDS, operand_for
from policies.profile import ValueKind
from policies.subsumption import same_terms
from policies.templates import fill, template, template_names
from policies.words.language import Language
from schemas.errors import Malformed
from schemas.odrl import Offer
from schemas.vocab import HANSA, ODRL

GIVEN: dict[str, dict[str, Any]] = {
    "health-secondary-use": {
        "purposes": ["ScientificResearch"],
        "not_before": "2026-01-01",
        "not_after": "2026-12-31",
        "visible_columns": ["age", "id"],
        "max_rows": 100,
        "filter_column": "age",
        "filter_operator": "gteq",
        "filter_value": 18,
        "k": 5,
        "quasi_identifiers": ["age"],
    },
    "time-boxed": {"not_after": "2026-12-31"},
    "time-boxed-challenge": {
        "starts": "2026-12-01",
        "ends": "2026-12-31",
        "delete_by": "2027-01-31",
        "epochs": 3,
    },
}


def fields(draft: Draft) -> dict[str, str]:
    """The form as a browser sends it."""
    found: dict[str, str] = {}
    for r, rule in enumerate(draft.rules):
        found |= {f"r{r}-kind": rule.kind, f"r{r}-action": rule.action}
        for c, row in enumerate(rule.rows):
            for name in ("operand", "named", "operator", "value", "raw"):
                if getattr(row, name):
                    found[f"r{r}c{c}-{name}"] = getattr(row, name)
    return found


@pytest.mark.parametrize("name", template_names())
def test_every_template_survives_the_form(name: str) -> None:
    made = fill(name, "urn:o", **GIVEN.get(name, {}))
    draft = read_draft(fields(from_offer(made, Draft())))
    again = draft.offer({"age": "int64", "id": "int64"})
    assert compile_policy(again).warnings == ()
    assert same_terms(made, again)


def test_what_a_row_cannot_hold_is_kept_as_it_is_written() -> None:
    marketing = {
        "leftOperand": "odrl:purpose",
        "operator": "isA",
        "rightOperand": "https://w3id.org/dpv#Marketing",
    }
    comma = {"leftOperand": HANSA + "column/name", "operator": "eq", "rightOperand": "a, b"}
    offer = Offer.read(
        {
            "@id": "urn:o",
            "permission": [{"action": "odrl:use", "constraint": [{"or": [marketing, marketing]}, comma]}],
        }
    )
    draft = read_draft(fields(from_offer(offer, Draft())))
    assert all(row.raw for row in draft.rules[0].rows)
    assert same_terms(offer, draft.offer())
    broken = replace(draft, rules=(replace(draft.rules[0], rows=(Row(raw="[1"),)),))
    with pytest.raises(Malformed, match="no JSON object any more"):
        broken.offer()


def test_a_value_takes_the_type_of_its_column() -> None:
    row = Row(HANSA + "column/", "n", "isAnyOf", "1, 2")
    draft = Draft((DraftRule("permission", ODRL + "use", (row,)),))
    typed = draft.offer({"n": "int64"}).permission[0].constraint[0].right_operand
    assert [value["@value"] for value in typed] == ["1", "2"]
    assert draft.offer().permission[0].constraint[0].right_operand == ["1", "2"]


def test_rows_that_are_not_filled_in_are_left_out_and_half_filled_ones_named() -> None:
    empty = Draft((DraftRule("permission", ODRL + "use", (Row(),)),))
    assert empty.offer().permission[0].constraint == ()
    for row, told in (
        (Row(HANSA + "rowCount"), "hansa:rowCount: write a value: a whole number from 1"),
        (Row(HANSA + "mask/", "", "eq", "hash"), "hansa:mask/<column>: name the column"),
    ):
        with pytest.raises(Malformed, match=told):
            Draft((DraftRule("permission", ODRL + "use", (row,)),)).offer()


def test_buttons_add_and_remove_and_know_their_bounds() -> None:
    draft = changed(changed(Draft(), "add-rule", "obligation"), "add-row-0")
    assert draft.rules == (DraftRule("obligation", ODRL + "delete", (Row(),)),)
    assert changed(draft, "remove-row-0-0").rules[0].rows == ()
    assert changed(draft, "remove-row-7-0") == changed(draft, "nonsense") == draft
    assert changed(draft, "remove-rule-0") == Draft()
    full = Draft((DraftRule("permission", ODRL + "use"),) * 40)
    with pytest.raises(Malformed, match="40 rules"):
        changed(full, "add-rule", "permission")


def test_a_form_that_is_no_draft_is_refused() -> None:
    with pytest.raises(Malformed, match="no rule is of kind 'wish'"):
        read_draft({"r0-kind": "wish"})
    with pytest.raises(Malformed, match="write a file"):
        read_draft({f"r{n}-kind": "permission" for n in range(90)})
    assert read_draft({"csrf": "x", "r999-kind": "permission", "other": "y"}) == Draft()


def test_every_operand_can_be_told_apart_from_the_others_in_a_form() -> None:
    for operand in OPERANDS:
        left = operand_for(operand, "x") if operand.suffix else operand.iri
        constraint = {"leftOperand": left, "operator": operand.operators[0].value, "rightOperand": "1"}
        offer = Offer.read({"@id": "urn:o", "permission": [{"action": "use", "constraint": [constraint]}]})
        (row,) = from_offer(offer, Draft()).rules[0].rows
        assert (row.known, row.named) == (operand, "x" if operand.suffix else ""), json.dumps(constraint)


def test_the_pages_have_words_for_every_kind_of_value_and_form() -> None:
    for lang in Language:
        said = words(lang)
        assert {f"kind.{kind.name}" for kind in ValueKind} <= set(said)
        assert {f"form.{one.form}" for name in template_names() for one in template(name).parameters} <= set(
            said
        )
    assert all(all(both) for both in WORDS.values())
    assert not set(WORDS) & set(dir(dict)), "a template would find the method instead of the word"


def test_the_console_and_the_catalogue_share_one_style_sheet() -> None:
    root = Path(__file__).parents[4]
    for name in ("hansa.css", "hansa.js", "mark.svg"):
        ours, theirs = (root / room / "api" / "static" / name for room in ("connector", "catalog"))
        assert ours.read_bytes() == theirs.read_bytes(), name
