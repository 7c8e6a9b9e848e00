"""Any policy as an offer of the Dataspace Protocol, or a refusal that names what would be lost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.compiled import compile_policy
from policies.decision import Permit, decide
from policies.odrl.dsp import as_offer, read_offer
from policies.odrl.inherit import resolved
from policies.odrl.read import read
from policies.odrl.read_constraints import LENIENT
from policies.use import Use, UseTotals
from schemas.errors import DataspaceError, Malformed, PolicyCycle, PolicyMismatch, UnknownTerm
from schemas.jsonld import compact_form
from schemas.odrl import Offer
from schemas.vocab import DSP_CONTEXT, HANSA, HANSA_PROFILE, ODRL, XSD

HEAD = (
    f"@prefix odrl: <{ODRL}> . @prefix h: <{HANSA}> . @prefix dpv: <https://w3id.org/dpv#> . "
    "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . "
    "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . "
)
OFFER = f"""<urn:o> a odrl:Offer ; odrl:profile <{HANSA_PROFILE}> ; odrl:permission [
  odrl:action h:train ; odrl:constraint
    [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lteq ; odrl:rightOperand "2026-12-31"^^xsd:date ],
    [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand dpv:ScientificResearch ],
    [ odrl:leftOperand <{HANSA}column/age> ; odrl:operator odrl:gteq ; odrl:rightOperand 18.5 ],
    [ odrl:leftOperand h:rowCount ; odrl:operator odrl:lteq ; odrl:rightOperand 1000 ] ] ;
  odrl:obligation [ odrl:action odrl:attribute ] ."""
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SCIENCE = Use("did:web:lab.example", HANSA + "train", "https://w3id.org/dpv#ScientificResearch")


def test_a_turtle_offer_is_compiled_and_decided_like_ours() -> None:
    offer = read_offer(HEAD + OFFER)
    outcome = decide(compile_policy(offer), SCIENCE, UseTotals(rows=400), NOON)
    assert isinstance(outcome, Permit)
    assert outcome.limits.rows == 600
    assert outcome.limits.until == datetime(2027, 1, 1, tzinfo=UTC)
    assert [duty.action for duty in offer.obligation] == [ODRL + "attribute"]


def test_what_travels_comes_back_the_same_under_the_context_of_the_protocol() -> None:
    offer = read_offer(HEAD + OFFER)
    wire = {"@context": [DSP_CONTEXT], **offer.wire()}
    back = Offer.read({key: item for key, item in compact_form(wire).items() if key != "@context"})
    first, second = (compile_policy(one).permissions[0] for one in (offer, back))
    assert (first.action, first.conditions, first.limits) == (second.action, second.conditions, second.limits)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("odrl:permission [ odrl:action [ rdf:value odrl:use ; odrl:refinement [ "
         "odrl:leftOperand odrl:count ; odrl:operator odrl:lt ; odrl:rightOperand 5 ] ] ]",
         "a refinement of the action in permission[0]"),
        ("odrl:permission [ odrl:action odrl:use ; odrl:duty [ odrl:action odrl:inform ] ]",
         "a duty of a permission in permission[0]"),
        ("odrl:prohibition [ odrl:action odrl:use ; odrl:remedy [ odrl:action odrl:delete ] ]",
         "a remedy in prohibition[0]"),
        ("odrl:obligation [ odrl:action odrl:delete ; odrl:consequence [ odrl:action odrl:inform ] ]",
         "a consequence in obligation[0]"),
        ("odrl:permission [ odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand odrl:absoluteSize ; "
         "odrl:operator odrl:lt ; odrl:rightOperand 5 ; odrl:unit <http://qudt.org/vocab/unit/MegaBYTE> ] ]",
         "the unit 'http://qudt.org/vocab/unit/MegaBYTE' in permission[0].constraint[0]"),
        ("odrl:permission [ odrl:action odrl:use ; odrl:target h:a ], "
         "[ odrl:action odrl:use ; odrl:target h:b ]",
         "another target (hansa:a and hansa:b) in permission[1]"),
        ("odrl:conflict odrl:perm ; odrl:permission [ odrl:action odrl:use ]", "conflict perm"),
    ],
)  # fmt: skip
def test_what_the_protocol_has_no_word_for_does_not_travel(rules: str, words: str) -> None:
    with pytest.raises(PolicyMismatch, match="cannot travel by the Dataspace Protocol; ") as refused:
        read_offer(f"{HEAD} <urn:o> a odrl:Offer ; {rules} .")
    assert words in str(refused.value)


def test_a_term_of_nobody_is_refused_before_it_travels() -> None:
    with pytest.raises(UnknownTerm, match="'urn:moon'"):
        read_offer(f"{HEAD} <urn:o> a odrl:Offer ; odrl:permission [ odrl:action <urn:moon> ] .")


FAMILY = """<urn:o> a odrl:Offer ; odrl:inheritFrom <urn:p> ; odrl:permission [ odrl:action odrl:use ] .
<urn:p> a odrl:Set ; odrl:prohibition [ odrl:action odrl:sell ] ."""


def test_a_file_with_parents_is_read_as_the_policy_that_none_inherits_from() -> None:
    offer = read_offer(HEAD + FAMILY)
    assert offer.id == "urn:o"
    assert [rule.action for rule in offer.prohibition] == [ODRL + "sell"]
    assert not read_offer(HEAD + FAMILY, "urn:p").permission


@pytest.mark.parametrize(
    ("more", "refusal", "words"),
    [
        (" <urn:p> odrl:inheritFrom <urn:o> .", PolicyCycle, "urn:o"),
        (" <urn:q> a odrl:Set ; odrl:permission [ odrl:action odrl:use ] .", Malformed, "urn:o, urn:q"),
        (" <urn:o> odrl:inheritFrom <urn:gone> .", UnknownTerm, "urn:gone"),
    ],
)
def test_circles_strangers_and_lost_parents_are_named(
    more: str, refusal: type[DataspaceError], words: str
) -> None:
    with pytest.raises(refusal, match=words):
        read_offer(HEAD + FAMILY + more)


def test_what_has_parents_does_not_travel_unmerged() -> None:
    text = (
        f"{HEAD} <urn:o> a odrl:Set ; odrl:inheritFrom <urn:p> ; odrl:permission [ odrl:action odrl:use ] ."
    )
    (policy,) = read(text, demands=LENIENT).policies
    with pytest.raises(PolicyMismatch, match="inheritFrom in urn:o cannot travel"):
        as_offer(policy)


def test_a_family_travels_once_it_is_merged() -> None:
    text = (
        f"{HEAD} <urn:p> a odrl:Set ; odrl:prohibition [ odrl:action odrl:sell ] . "
        "<urn:o> a odrl:Offer ; odrl:inheritFrom <urn:p> ; odrl:permission [ odrl:action odrl:use ] ."
    )
    policies = {policy.id: policy for policy in read(text, demands=LENIENT).policies}
    offer = as_offer(resolved(policies["urn:o"], policies, parties=False))
    assert [rule.action for rule in offer.prohibition] == [ODRL + "sell"]


@pytest.mark.parametrize(
    ("operand", "right", "wire"),
    [
        ("elapsedTime", '"P1Y2M"^^xsd:duration', "P1Y2M"),
        ("elapsedTime", '"P14M"^^xsd:yearMonthDuration', "P1Y2M"),
        ("dateTime", '"2026-12-01"^^xsd:date', {"@value": "2026-12-01", "@type": f"{XSD}date"}),
    ],
)
def test_months_and_days_travel_as_they_are(operand: str, right: str, wire: object) -> None:
    assert offered(operand, right)["rightOperand"] == wire


def test_a_day_of_another_zone_cannot_travel_and_the_refusal_says_what_to_write() -> None:
    with pytest.raises(PolicyMismatch, match=r"2026-12-01\+01:00 of type xsd:date .*; write an xsd:dateTime"):
        offered("dateTime", '"2026-12-01+01:00"^^xsd:date')


def offered(operand: str, right: str) -> dict[str, object]:
    text = (
        f"@prefix odrl: <{ODRL}> . @prefix xsd: <{XSD}> . <urn:p> a odrl:Offer ; odrl:permission [ "
        f"odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand odrl:{operand} ; "
        f"odrl:operator odrl:lteq ; odrl:rightOperand {right} ] ] ."
    )
    (permission,) = read_offer(text).model_dump(by_alias=True, exclude_none=True)["permission"]
    (constraint,) = permission["constraint"]
    return dict(constraint)
