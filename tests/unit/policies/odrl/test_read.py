"""Reading policies: what they mean, however they are written, and what is refused by name, place and fix."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from policies.algebra.lengths import Months
from policies.odrl.model import (
    ANYTHING,
    Constraint,
    DutyRole,
    Iri,
    Logical,
    PolicyKind,
    PolicyModel,
)
from policies.odrl.read import read, read_one
from policies.odrl.read_constraints import LENIENT, Demands
from schemas.errors import (
    DataspaceError,
    Malformed,
    PolicyMismatch,
    UnknownContext,
    UnknownTerm,
)
from schemas.vocab import DSP_CONTEXT, ODRL, XSD

PREFIXES = (
    f"@prefix odrl: <{ODRL}> . @prefix xsd: <{XSD}> . @prefix ex: <urn:ex:> . "
    "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . "
)
CONTEXT = "http://www.w3.org/ns/odrl.jsonld"


def turtle(text: str, demands: Demands | None = None, **extra: Any) -> PolicyModel:
    return read_one(PREFIXES + text, demands=demands or Demands(), **extra)


def limited(constraint: str) -> str:
    return f"ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:constraint {constraint} ] ."


def document(**members: Any) -> str:
    base = {"@context": CONTEXT, "@type": "Set", "uid": "urn:ex:p"}
    return json.dumps({**base, **members})


def only(policy: PolicyModel) -> Constraint:
    (found,) = policy.permissions[0].constraints
    assert isinstance(found, Constraint)
    return found


# --- what it means -----------------------------------------------------------------------------------


def test_turtle_and_json_ld_mean_the_same() -> None:
    one = turtle(
        "ex:p a odrl:Offer ; odrl:assigner ex:us ; odrl:permission [ odrl:target ex:data ; "
        "odrl:action odrl:read ; odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; "
        'odrl:rightOperand "2026-12-01"^^xsd:date ] ] .'
    )
    other = read_one(
        json.dumps(
            {
                "@context": CONTEXT,
                "@type": "Offer",
                "uid": "urn:ex:p",
                "assigner": "urn:ex:us",
                "permission": {
                    "target": "urn:ex:data",
                    "action": "read",
                    "constraint": {
                        "leftOperand": "dateTime",
                        "operator": "lt",
                        "rightOperand": {"@value": "2026-12-01", "@type": "xsd:date"},
                    },
                },
            }
        )
    )
    assert one == other
    assert one.kind is PolicyKind.OFFER
    assert only(one).values == (date(2026, 12, 1),)


@pytest.mark.parametrize(
    "operand", ["dateTime", "odrl:dateTime", ODRL + "dateTime", {"@id": "odrl:dateTime"}]
)
def test_a_left_operand_means_the_same_in_each_spelling(operand: Any) -> None:
    constraint = {
        "leftOperand": operand,
        "operator": "neq",
        "rightOperand": {"@value": "2026-12-01T00:00:00Z", "@type": "xsd:dateTime"},
    }
    found = only(read_one(document(permission={"action": "use", "constraint": constraint})))
    assert (found.operand, found.operator) == (ODRL + "dateTime", ODRL + "neq")


def test_a_context_of_the_document_may_rename_terms() -> None:
    text = json.dumps(
        {
            "@context": [
                CONTEXT,
                {"allow": {"@id": "odrl:permission", "@type": "@id"}, "what": "odrl:action"},
            ],
            "uid": "urn:ex:p",
            "@type": "Set",
            "allow": {"what": {"@id": "odrl:read"}},
        }
    )
    assert read_one(text).permissions[0].action.iri == ODRL + "read"


def test_a_document_may_hold_several_policies() -> None:
    nodes = [{"@type": "Set", "uid": f"urn:ex:{at}", "permission": {"action": "use"}} for at in (1, 2)]
    text = json.dumps({"@context": CONTEXT, "@graph": nodes})
    assert [policy.id for policy in read(text).policies] == ["urn:ex:1", "urn:ex:2"]
    assert read_one(text, "urn:ex:2").id == "urn:ex:2"
    with pytest.raises(Malformed, match="several policies; ask for one of: urn:ex:1, urn:ex:2"):
        read_one(text)
    with pytest.raises(Malformed, match="no policy 'urn:ex:3'"):
        read_one(text, "urn:ex:3")


def test_the_short_form_becomes_atomic_rules_and_a_rule_wins_over_its_policy() -> None:
    policy = turtle(
        "ex:p a odrl:Set ; odrl:action odrl:play ; odrl:assignee ex:john ; odrl:target ex:a, ex:b ; "
        "odrl:permission [ odrl:action odrl:play, odrl:print ], [ odrl:assignee ex:beth ] ."
    )
    said = {(rule.action.iri, rule.target.iri, rule.assignee.iri) for rule in policy.permissions}
    assert len(policy.permissions) == len(said) == 6
    assert (ODRL + "print", "urn:ex:b", "urn:ex:john") in said
    assert (ODRL + "play", "urn:ex:a", "urn:ex:beth") in said
    assert not any(action == ODRL + "print" and who == "urn:ex:beth" for action, _, who in said)


def test_duties_have_their_four_roles_and_do_not_take_the_action_of_the_policy() -> None:
    policy = turtle(
        "ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:duty [ odrl:action odrl:inform ; "
        "odrl:consequence [ odrl:action odrl:delete ] ] ] ; odrl:prohibition [ odrl:action odrl:sell ; "
        "odrl:remedy [ odrl:action odrl:compensate ] ] ; odrl:obligation [ odrl:action odrl:attribute ] ."
    )
    (duty,) = policy.permissions[0].duties
    roles = [duty.role, duty.consequences[0].role, policy.prohibitions[0].remedies[0].role]
    assert [*roles, policy.obligations[0].role] == [
        DutyRole.DUTY,
        DutyRole.CONSEQUENCE,
        DutyRole.REMEDY,
        DutyRole.OBLIGATION,
    ]


def test_refinements_stand_on_actions_and_collections() -> None:
    policy = turtle(
        "ex:p a odrl:Set ; odrl:permission [ odrl:action [ rdf:value odrl:print ; odrl:refinement [ "
        "odrl:leftOperand odrl:resolution ; odrl:operator odrl:lteq ; odrl:rightOperand 1200 ] ] ; "
        "odrl:assignee [ a odrl:PartyCollection ; odrl:source ex:staff ; odrl:refinement [ odrl:leftOperand "
        'odrl:recipient ; odrl:operator odrl:eq ; odrl:rightOperand "x" ] ] ] .'
    )
    rule = policy.permissions[0]
    assert (rule.action.iri, len(rule.action.refinements)) == (ODRL + "print", 1)
    assert (rule.assignee.iri, rule.assignee.collection) == ("urn:ex:staff", True)
    assert rule.target == ANYTHING


def test_combinations_nest_and_lists_keep_their_order() -> None:
    def one(day: int) -> str:
        return (
            "[ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; "
            f'odrl:rightOperand "2026-01-0{day}"^^xsd:date ]'
        )

    policy = turtle(limited(f"[ odrl:andSequence ( {one(2)} [ odrl:xone ( {one(1)} {one(3)} ) ] ) ]"))
    (whole,) = policy.permissions[0].constraints
    assert isinstance(whole, Logical)
    first, second = whole.parts
    assert (whole.form, isinstance(second, Logical)) == ("andSequence", True)
    assert isinstance(first, Constraint)
    assert first.values == (date(2026, 1, 2),)


@pytest.mark.parametrize("right", ['"a", "b"', '("a" "b")'])
def test_repeated_values_and_lists_are_the_same(right: str) -> None:
    text = f"[ odrl:leftOperand odrl:language ; odrl:operator odrl:isAnyOf ; odrl:rightOperand {right} ]"
    assert only(turtle(limited(text))).values == ("a", "b")


def test_a_json_array_and_a_list_are_the_same() -> None:
    for right in (["a", "b"], {"@list": ["a", "b"]}):
        constraint = {"leftOperand": "language", "operator": "isAnyOf", "rightOperand": right}
        policy = read_one(document(permission={"action": "use", "constraint": constraint}))
        assert only(policy).values == ("a", "b")


def test_a_time_without_a_zone_is_utc_and_warned_of_with_its_place() -> None:
    text = limited(
        "[ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; "
        'odrl:rightOperand "2026-12-01T12:00:00"^^xsd:dateTime ]'
    )
    reading = read(PREFIXES + text)
    assert only(reading.policies[0]).values == (datetime(2026, 12, 1, 12, tzinfo=UTC),)
    (warning,) = reading.warnings
    assert "permission[0].constraint[0]" in warning
    assert "no time zone" in warning
    assert "write 2026-12-01T12:00:00Z" in warning


def test_values_are_read_exactly() -> None:
    for written, value in (
        ('"P30D"^^xsd:duration', timedelta(days=30)),
        ('"PT1H30M"^^xsd:dayTimeDuration', timedelta(minutes=90)),
        ('"P1M"^^xsd:duration', Months(1)),
        ('"-P1Y2M3DT1.5S"^^xsd:duration', Months(-14, -timedelta(days=3, seconds=1.5))),
        ('"P1Y"^^xsd:yearMonthDuration', Months(12)),
    ):
        text = (
            f"[ odrl:leftOperand odrl:elapsedTime ; odrl:operator odrl:lteq ; odrl:rightOperand {written} ]"
        )
        assert only(turtle(limited(text))).values == (value,)
    text = "[ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand ex:science ]"
    assert only(turtle(limited(text))).values == (Iri("urn:ex:science"),)


def test_the_misspelled_neq_of_the_published_context_is_taken_and_warned_of() -> None:
    text = limited("[ odrl:leftOperand odrl:count ; odrl:operator odrl:neg ; odrl:rightOperand 5 ]")
    reading = read(PREFIXES + text)
    assert only(reading.policies[0]).operator == ODRL + "neq"
    assert "'neg' is taken as 'neq'" in reading.warnings[0]


# --- what is refused ---------------------------------------------------------------------------------

COUNT = "odrl:leftOperand odrl:count ; odrl:operator odrl:lt ; odrl:rightOperand 5"


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (limited("[ odrl:leftOperand ex:moon ; odrl:operator odrl:eq ; odrl:rightOperand 1 ]"), UnknownTerm,
         "operand 'urn:ex:moon' in permission[0].constraint[0]; known there: absolutePosition"),
        (limited("[ odrl:leftOperand odrl:count ; odrl:operator odrl:anyOf ; odrl:rightOperand 1 ]"),
         UnknownTerm, "operator 'anyOf' in permission[0].constraint[0]; known there: eq, neq"),
        ("ex:p a odrl:Set ; odrl:permission [ odrl:action ex:fly ] .", UnknownTerm,
         "action 'urn:ex:fly' in permission[0].action"),
        ("ex:p a odrl:Set ; odrl:profile ex:x ; odrl:permission [ odrl:action odrl:use ] .", UnknownTerm,
         "profile 'urn:ex:x' in policy"),
        ("ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; ex:but 1 ] .", UnknownTerm,
         "'urn:ex:but' in permission[0]"),
        (limited(f"[ {COUNT} ; odrl:unit ex:spoon ]"), UnknownTerm, "unit 'urn:ex:spoon'"),
        (limited('[ odrl:leftOperand odrl:count ; odrl:operator odrl:lt ; odrl:rightOperand "many" ]'),
         PolicyMismatch, "'many' of type xsd:string is not a value for count; write one like 5"),
        (limited('[ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; odrl:rightOperand '
                 '"2026-02-30"^^xsd:date ]'), PolicyMismatch, "'2026-02-30'"),
        (limited("[ odrl:leftOperand odrl:count ; odrl:operator odrl:lt ]"), Malformed, "no rightOperand"),
        (limited("[ odrl:operator odrl:lt ; odrl:rightOperand 1 ]"), Malformed, "no leftOperand"),
        (limited(f"[ {COUNT}, 6 ; odrl:operator odrl:gt ]"), Malformed, "2 values of operator; write one"),
        (limited(f"[ odrl:and [ {COUNT} ] ; odrl:or [ {COUNT} ] ]"), Malformed, "nest them instead"),
        (limited("ex:elsewhere"), Malformed, "'urn:ex:elsewhere' is not described here"),
        ("ex:p a odrl:Set .", Malformed, "policy has no rule; write a permission"),
        ("ex:p a ex:Thing .", Malformed, "document holds no policy"),
        ("ex:p a odrl:Set ; odrl:permission [ odrl:target ex:t ] .", Malformed, "has no action; write one"),
        ("ex:p a odrl:Offer ; odrl:permission [ odrl:action odrl:use ] .", Malformed,
         "of an Offer has no assigner"),
        ("ex:p a odrl:Agreement ; odrl:assigner ex:u ; odrl:permission [ odrl:action odrl:use ] .", Malformed,
         "of an Agreement has no assignee"),
        ("ex:p a odrl:Offer, odrl:Agreement ; odrl:permission [ odrl:action odrl:use ] .", Malformed,
         "Offer and Agreement at once"),
        ("ex:p a odrl:Set ; odrl:conflict odrl:win ; odrl:permission [ odrl:action odrl:use ] .", Malformed,
         "conflict is 'win'; write perm, prohibit or invalid"),
        ("ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; "
         "odrl:remedy [ odrl:action odrl:delete ] ] .", Malformed, "a permission holds no remedy"),
        ("ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ", Malformed, "not Turtle"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_term_place_and_fix(
    text: str, error: type[DataspaceError], words: str
) -> None:
    with pytest.raises(error) as refused:
        turtle(text)
    assert words in str(refused.value)


def test_where_terms_are_not_demanded_unknown_ones_stay_and_are_warned_of() -> None:
    text = limited("[ odrl:leftOperand ex:moon ; odrl:operator odrl:eq ; odrl:rightOperand 1 ]")
    reading = read(PREFIXES + text, demands=LENIENT)
    assert only(reading.policies[0]).operand == "urn:ex:moon"
    assert "operand 'urn:ex:moon'" in reading.warnings[0]


def test_an_unknown_context_is_refused_by_name_and_never_fetched() -> None:
    with pytest.raises(
        UnknownContext, match=r"'https://evil\.example/c\.jsonld' is unknown here, and never fetched"
    ):
        read(json.dumps({"@context": "https://evil.example/c.jsonld", "permission": {}}))
    inner = {"@context": {"@import": "https://evil.example/i.jsonld"}, "permission": {}}
    with pytest.raises(UnknownContext, match=r"evil\.example/i"):
        read(json.dumps(inner))
    scoped = {"@context": {"x": {"@id": "urn:x", "@context": "https://evil.example/s"}}, "permission": {}}
    with pytest.raises(Malformed, match="context of its own"):
        read(json.dumps(scoped))


def test_the_context_of_the_protocol_reads_its_form() -> None:
    policy = read_one(
        json.dumps(
            {
                "@context": [DSP_CONTEXT],
                "@type": "Offer",
                "@id": "urn:ex:p",
                "assigner": "urn:ex:us",
                "permission": [{"action": "use", "constraint": []}],
            }
        )
    )
    assert policy.permissions[0].action.iri == ODRL + "use"
