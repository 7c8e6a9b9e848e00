"""Right operands of every datatype: equal by value within a family, whatever they were written as."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from policies.odrl.compare import Quantity, Values, compare
from policies.odrl.evaluate import decide, evaluate, prepare
from policies.odrl.logic import Verdict
from policies.odrl.model import Constraint, Iri, PolicyModel, Value
from policies.odrl.read import read, read_one
from policies.odrl.read_constraints import LENIENT, Demands
from policies.odrl.relate import Compatible, Conflict, NotRefines, Refines, Unknown, conflict, refines
from policies.odrl.world import FAIL_CLOSED, Request, World
from schemas.errors import DataspaceError, PolicyMismatch, UnknownTerm
from schemas.vocab import ODRL, XSD

PREFIXES = f"@prefix odrl: <{ODRL}> . @prefix xsd: <{XSD}> . @prefix ex: <urn:ex:> . "
EURO = ("http://dbpedia.org/resource/Euro", "http://publications.europa.eu/resource/authority/currency/EUR")
KILO, MEGA = "http://qudt.org/vocab/unit/KiloBYTE", "https://dbpedia.org/resource/Megabyte"


def written(operand: str, operator: str, right: str, more: str = "") -> str:
    return (
        f"{PREFIXES} ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:constraint [ "
        f"odrl:leftOperand odrl:{operand} ; odrl:operator odrl:{operator} ; "
        f"odrl:rightOperand {right} {more} ] ] ."
    )


def policy(operand: str, operator: str, right: str, more: str = "", **extra: Any) -> PolicyModel:
    return read_one(written(operand, operator, right, more), **extra)


def right_of(operand: str, right: str) -> Value:
    (constraint,) = policy(operand, "eq", right).permissions[0].constraints
    assert isinstance(constraint, Constraint)
    return constraint.values[0]


@pytest.mark.parametrize(
    ("operand", "right", "left", "state"),
    [
        ("count", "5", 5, True),
        ("count", '"5"^^xsd:unsignedByte', Decimal("5.0"), True),
        ("count", '"+05"^^xsd:integer', 5, True),
        ("payAmount", '"5"^^xsd:double', 5, True),
        ("payAmount", '"5e0"^^xsd:float', Decimal(5), True),
        ("payAmount", '"0.1"^^xsd:double', Decimal("0.1"), True),
        ("version", '"NaN"^^xsd:double', 5, None),
        ("version", '"INF"^^xsd:float', 5, None),
        ("version", '"-INF"^^xsd:float', 5, None),
        ("version", '"1"^^xsd:boolean', True, True),
        ("version", '"true"^^xsd:boolean', True, True),
        ("version", '"0"^^xsd:boolean', False, True),
        ("version", '"true"^^xsd:boolean', 1, False),
        ("version", '"true"^^xsd:boolean', "true", False),
        ("language", '"de"@en', "de", True),
        ("language", '"de"^^xsd:token', "de", True),
        ("purpose", '"urn:ex:a"^^xsd:anyURI', Iri("urn:ex:a"), True),
        ("purpose", '"urn:ex:a"', Iri("urn:ex:a"), False),
        ("purpose", "ex:a", "urn:ex:a", False),
        ("purpose", "ex:a", Iri("urn:ex:a"), True),
        ("version", '"5"^^xsd:integer', "5", False),
        ("version", '"BA5E"^^xsd:hexBinary', "BA5E", None),
    ],
)
def test_a_right_operand_means_its_value_and_not_its_letters(
    operand: str, right: str, left: Any, state: bool | None
) -> None:
    value = right_of(operand, right)
    assert compare("eq", (left,), (value,)) is state
    assert compare("isNoneOf", (left,), (value,)) is (None if state is None else not state)


@pytest.mark.parametrize(
    ("operand", "right"),
    [
        ("count", '"1e999999999"^^xsd:double'),
        ("count", '"' + "9" * 5_000 + '"^^xsd:integer'),
        ("count", '"' + "9" * 5_000 + '"^^xsd:decimal'),
        ("count", '"0x10"^^xsd:integer'),
        ("count", '"1_000"^^xsd:integer'),
        ("count", '"\uff15"^^xsd:integer'),
        ("count", '"true"^^xsd:boolean'),
        ("version", '"yes"^^xsd:boolean'),
        ("version", '"TRUE"^^xsd:boolean'),
        ("purpose", '"two words"^^xsd:anyURI'),
        ("purpose", '""^^xsd:anyURI'),
    ],
)
def test_what_is_no_value_of_its_type_is_refused_with_its_place_and_what_to_write(
    operand: str, right: str
) -> None:
    with pytest.raises(
        PolicyMismatch, match=rf"permission\[0\]\.constraint\[0\]: .* is not a value for {operand}; write"
    ):
        policy(operand, "eq", right)


@pytest.mark.parametrize("number", ["1e999999999", "-1e999999999", "9" * 5_000, "1" + "0" * 400 + ".5"])
def test_numbers_of_json_past_all_bounds_are_refused(number: str) -> None:
    limit = {"leftOperand": "payAmount", "operator": "lt", "rightOperand": "NUMBER"}
    rule = {"action": "use", "constraint": limit}
    document = {"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set", "permission": rule}
    text = json.dumps(document).replace('"NUMBER"', number)
    with pytest.raises(DataspaceError, match="; write"):
        read_one(text)


@pytest.mark.parametrize("operator", ["\uff45q", "\u0435q", "eq\u200b", "EQ", "is\u0410nyOf", "neq\u0301"])
def test_operators_in_letters_that_look_alike_are_refused_by_name(operator: str) -> None:
    text = (
        f"{PREFIXES} ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:constraint [ "
        f"odrl:leftOperand odrl:count ; odrl:operator <{ODRL}{operator}> ; odrl:rightOperand 1 ] ] ."
    )
    for demands in (Demands(), LENIENT):
        with pytest.raises(
            UnknownTerm, match=r"operator .* in permission\[0\]\.constraint\[0\]; known there: eq, neq"
        ):
            read_one(text, demands=demands)


# --- units -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "operator", "right", "unit", "state"),
    [
        (Quantity(5, EURO[0]), "eq", 5, EURO[1], True),
        (Quantity(5, EURO[0]), "lt", 5, EURO[1], False),
        (Quantity(1000, KILO), "eq", 1, MEGA, True),
        (Quantity(Decimal("0.999999999999999999999999999999999999"), MEGA), "lt", 1000, KILO, True),
        (
            Quantity(Decimal("0.9999999999999999999999999999999999999999999999999"), MEGA),
            "eq",
            1000,
            KILO,
            False,
        ),
        (
            Quantity(7, "https://qudt.org/vocab/unit/MIN"),
            "neq",
            Decimal(7),
            "http://qudt.org/vocab/unit/MIN",
            False,
        ),
        (Quantity(1, "https://qudt.org/vocab/unit/HR"), "eq", 60, "http://dbpedia.org/resource/Minute", True),
        (Quantity(5, EURO[0]), "eq", 5, MEGA, None),
        (Quantity(5, EURO[0]), "neq", 5, MEGA, None),
        (Quantity(5, "urn:shell"), "neq", 5, EURO[0], None),
        (Quantity("five", EURO[0]), "lt", 5, EURO[1], None),
        (Quantity(Decimal("sNaN"), KILO), "lt", 5, MEGA, None),
        (Quantity(Decimal("-Infinity"), KILO), "lt", 5, MEGA, None),
        (
            Quantity(50, "http://qudt.org/vocab/unit/PERCENT"),
            "eq",
            Decimal("0.5"),
            "http://qudt.org/vocab/unit/UNITLESS",
            True,
        ),
    ],
)
def test_units_are_the_same_whatever_vocabulary_names_them_and_convert_exactly(
    left: Quantity, operator: str, right: Any, unit: str, state: bool | None
) -> None:
    assert compare(operator, (left,), (right,), unit=unit) is state


def test_several_values_in_several_units_are_all_compared() -> None:
    sizes: Values = (Quantity(1, MEGA), Quantity(900, KILO))
    assert compare("lteq", sizes, (1000,), unit=KILO) is True
    assert compare("lteq", sizes, (999,), unit=KILO) is False
    assert compare("isAllOf", sizes, (1000, 900), unit=KILO) is True
    assert compare("lteq", (*sizes, Quantity(1, EURO[0])), (999,), unit=KILO) is None


@pytest.mark.parametrize(
    ("one", "other", "conflicts", "refined"),
    [
        (("lteq", "1", MEGA), ("gteq", "1001", KILO), Conflict, NotRefines),
        (("lteq", "1", MEGA), ("gteq", "1000", KILO), Compatible, NotRefines),
        (("lteq", "1", MEGA), ("lteq", "1000", KILO), Compatible, Refines),
        (("lteq", "1", MEGA), ("lteq", "999", KILO), Compatible, NotRefines),
        (("lteq", "1", MEGA), ("lteq", "2000", EURO[0]), Unknown, Unknown),
        (("eq", "1", "urn:shell"), ("eq", "1", "urn:shell"), Compatible, Refines),
        (("eq", "1", "urn:shell"), ("eq", "1", "urn:pebble"), Unknown, Unknown),
    ],
)
def test_policies_in_different_units_are_compared_where_they_convert(
    one: tuple[str, str, str], other: tuple[str, str, str], conflicts: type, refined: type
) -> None:
    mine, theirs = (
        policy("absoluteSize", operator, number, f"; odrl:unit <{unit}>", demands=LENIENT)
        for operator, number, unit in (one, other)
    )
    theirs = replace(theirs, id="urn:ex:other")
    assert isinstance(conflict(mine, theirs), conflicts)
    assert isinstance(refines(mine, theirs), refined)


# --- status ------------------------------------------------------------------------------------------

STATUS = "; odrl:status "


def test_a_status_is_warned_of_and_decides_nothing_by_default() -> None:
    model = policy("count", "lteq", "5", STATUS + "1")
    assert decide(prepare(model), Request(ODRL + "use")) is Verdict.DENY
    asked = Request(ODRL + "use", values={ODRL + "count": (5,)})
    assert decide(prepare(model), asked) is Verdict.DENY
    assert decide(prepare(model), replace(asked, values={ODRL + "count": (4,)})) is Verdict.PERMIT
    reading = read(written("count", "lteq", "5", STATUS + "1"))
    assert reading.warnings == (
        "permission[0].constraint[0]: status says what count was once; what it is now is looked at instead",
    )


@pytest.mark.parametrize(
    ("operand", "right", "status", "state"),
    [
        ("count", "5", "4", True),
        ("count", "5", "5", False),
        ("payAmount", f"5 ; odrl:unit <{EURO[0]}>", "5.00", True),
        ("dateTime", '"2026-12-01"^^xsd:date', '"2026-11-30T00:00:00Z"^^xsd:dateTime', True),
    ],
)
def test_where_it_is_believed_a_status_stands_for_what_nobody_else_knows(
    operand: str, right: str, status: str, state: bool
) -> None:
    believing = replace(FAIL_CLOSED, believe_status=True)
    model = policy(operand, "lteq", right, STATUS + status)
    asked = Request(ODRL + "use")
    found = evaluate(model, asked, World(), believing)
    assert found.rules[0].premises[-1].state is state
    assert (found.verdict is Verdict.PERMIT) is state
    assert found.verdict is decide(prepare(model, believing), asked)
    if operand == "dateTime":
        late = World(now=datetime(2026, 12, 5, tzinfo=UTC))
        assert evaluate(model, asked, late, believing).verdict is Verdict.DENY


def test_a_status_of_another_type_than_its_operand_is_refused() -> None:
    with pytest.raises(PolicyMismatch, match="'soon' of type xsd:string is not a value for count"):
        policy("count", "lteq", "5", STATUS + '"soon"')
