from __future__ import annotations

from datetime import UTC, datetime

from policies.compiled import compile_policy
from policies.decision import decide
from policies.explain import Sentence, explain, explain_decision
from policies.language import Language
from policies.profile import Label
from policies.templates import fill
from policies.use import UseTotals
from tests.policy_builders import LAB, NOON, allowing, compiled, limit, rule, use


def test_a_policy_is_told_term_by_term_with_the_label_of_who_keeps_it() -> None:
    policy = compiled(
        rule(
            "use",
            limit("purpose", "isA", "dpv:ResearchAndDevelopment"),
            limit("purpose", "isNoneOf", ["dpv:CommercialPurpose"]),
            limit("dateTime", "lteq", "2026-12-31"),
            limit("participant", "isAnyOf", [LAB]),
            limit("column/age", "gteq", 18),
            limit("column/sex", "isNoneOf", ["F", "M"]),
            limit("columns", "isAnyOf", ["age", "id", "sex"]),
            limit("mask/id", "eq", "hash"),
            limit("mask/sex", "eq", "null"),
            limit("rowCount", "lteq", 10_000),
        ),
        prohibition=[rule("odrl:sell"), rule("hansa:train", limit("purpose", "isA", "dpv:Marketing"))],
        obligation=[rule("delete", limit("dateTime", "lteq", "2027-01-31"))],
    )
    enforced, signing, promised = Label
    assert explain(policy) == (
        Sentence("You may use the data.", enforced),
        Sentence("Only for a purpose under dpv:ResearchAndDevelopment.", signing),
        Sentence("Only for purposes outside dpv:CommercialPurpose.", signing),
        Sentence("Only up to and including 2026-12-31.", enforced),
        Sentence(f"Only by {LAB}.", enforced),
        Sentence(
            "You receive only rows whose 'age' is at least 18; rows with an empty 'age' are left out.",
            enforced,
        ),
        Sentence(
            'You receive only rows whose \'sex\' is neither "F" nor "M"; '
            "rows with an empty 'sex' are left out.",
            enforced,
        ),
        Sentence("You receive only the columns 'age', 'id' and 'sex'.", enforced),
        Sentence("You receive the data with 'id' replaced by a keyed hash.", enforced),
        Sentence("You receive the data with 'sex' left empty.", enforced),
        Sentence("You receive at most 10,000 rows over the life of the agreement.", enforced),
        Sentence("You promise not to sell the data.", promised),
        Sentence(
            "You may not train or fine-tune models on the data for a purpose under dpv:Marketing.",
            signing,
        ),
        Sentence(
            "You promise to delete the data before 2027-02-01T00:00Z; "
            "if that is overdue, the agreement is suspended.",
            promised,
        ),
    )


def test_actions_under_the_same_terms_are_told_once() -> None:
    assert [sentence.text for sentence in explain(compile_policy(fill("open-training", "urn:o")))] == [
        "You may train or fine-tune models on the data, evaluate models on the data and analyse the data."
    ]


def test_a_policy_that_permits_nothing_says_so() -> None:
    assert explain(compiled(prohibition=[rule("use")])) == (
        Sentence("Nothing is permitted.", Label.ENFORCED),
        Sentence("You may not use the data.", Label.ENFORCED),
    )


def test_the_one_whom_a_policy_is_for_is_named() -> None:
    assert explain(allowing(assignee=LAB))[0] == Sentence(f"This is for {LAB} alone.", Label.ENFORCED)


def test_a_combination_is_as_weak_as_its_weakest_part() -> None:
    policy = allowing(
        {"or": [limit("dateTime", "lt", "2027-01-01"), limit("purpose", "eq", "dpv:Marketing")]}
    )
    assert explain(policy)[1] == Sentence(
        "Only (before 2027-01-01 or for exactly the purpose dpv:Marketing).", Label.SIGNING
    )


def test_a_permit_is_told_with_its_limits_and_its_plan() -> None:
    policy = allowing(
        limit("dateTime", "lt", datetime(2026, 12, 1, tzinfo=UTC).isoformat()),
        limit("rowCount", "lteq", 1000),
        limit("columns", "isAnyOf", ["age", "id"]),
        limit("mask/id", "eq", "hash"),
        limit("column/age", "gt", 17),
    )
    assert explain_decision(decide(policy, use(), UseTotals(10), NOON)) == (
        "The use is permitted.",
        "It ends at 2026-12-01T00:00Z.",
        "990 more rows may be released.",
        "Released: only the columns 'age' and 'id'.",
        "Released with 'id' replaced by a keyed hash.",
        "Released: only rows whose 'age' is above 17.",
    )


def test_a_permit_is_told_in_german_too() -> None:
    policy = allowing(limit("columns", "isAnyOf", ["age", "id"]), limit("rowCount", "lteq", 1000))
    assert explain_decision(decide(policy, use(), UseTotals(), NOON), Language.DE) == (
        "Die Nutzung ist erlaubt.",
        "1.000 Zeilen können noch geliefert werden.",
        "Geliefert werden: nur die Spalten 'age' und 'id'.",
    )


def test_permissions_with_the_same_first_terms_keep_their_own() -> None:
    first, second = limit("dateTime", "lt", "2027-01-01"), limit("purpose", "eq", "dpv:Marketing")
    texts = [
        item.text for item in explain(compiled(rule("hansa:train", first), rule("hansa:rag", first, second)))
    ]
    assert texts == [
        "You may train or fine-tune models on the data.",
        "Only before 2027-01-01.",
        "You may look things up in the data while a model answers.",
        "Only before 2027-01-01.",
        "Only for exactly the purpose dpv:Marketing.",
    ]


def test_a_denial_is_told_with_every_reason_and_its_fix() -> None:
    assert explain_decision(decide(compiled(rule("hansa:train")), use("use"), UseTotals(), NOON)) == (
        "The use is denied.",
        "Action odrl:use is not permitted; ask for hansa:train.",
    )


def test_a_long_list_is_cut_and_says_so() -> None:
    names = [f"c{number:02}" for number in range(40)]
    text = explain(allowing(limit("columns", "isAnyOf", names)))[1].text
    assert text.endswith("'c11' and 28 more.")
