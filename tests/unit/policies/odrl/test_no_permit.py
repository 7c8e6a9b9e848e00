"""Ways to a permit that nobody should get: by what is unknown, of another sort, out of order or too wide."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from policies.odrl.compare import compare
from policies.odrl.evaluate import decide, prepare
from policies.odrl.logic import Verdict
from policies.odrl.model import Iri
from policies.odrl.read import read_one
from policies.odrl.read_constraints import LENIENT
from policies.odrl.world import Request, World
from schemas.vocab import ODRL

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
PREFIXES = (
    f"@prefix odrl: <{ODRL}> . @prefix ex: <urn:ex:> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> . "
)
LAX = "odrl:conflict odrl:prohibit ; "


def limit(operand: str, operator: str, right: str, extra: str = "") -> str:
    return (
        f"[ odrl:leftOperand odrl:{operand} ; odrl:operator odrl:{operator} ; "
        f"odrl:rightOperand {right} {extra} ]"
    )


def rule(kind: str, action: str = "read", *limits: str) -> str:
    constraints = "".join(f" ; odrl:constraint {one}" for one in limits)
    return f"odrl:{kind} [ odrl:action odrl:{action}{constraints} ] ; "


def reading(*limits: str) -> str:
    return rule("permission", "read", *limits)


def verdict(rules: str, action: str | None = "read", now: datetime | None = NOON, **facts: Any) -> Verdict:
    model = read_one(f"{PREFIXES} ex:p a odrl:Set ; {rules} .", demands=LENIENT)
    values = {ODRL + name: value if isinstance(value, tuple) else (value,) for name, value in facts.items()}
    asked = Request(action and ODRL + action, "urn:ex:data", "urn:ex:me", values=values)
    return decide(prepare(model), asked, World(now=now))


LATER = '"2020-01-01T00:00:00Z"^^xsd:dateTime'
DENIED: dict[str, tuple[str, dict[str, Any]]] = {
    "a profile that nobody knows": (f"odrl:profile ex:x ; {reading()}", {}),
    "a prohibition that cannot be known": (
        LAX + reading() + rule("prohibition", "read", limit("language", "eq", '"en"')),
        {},
    ),
    "its opposite, which cannot be known either": (
        LAX + reading() + rule("prohibition", "read", limit("language", "neq", '"en"')),
        {},
    ),
    "an exclusive choice of which one part is unknown": (
        reading(f"[ odrl:xone ( {limit('language', 'eq', '1')} {limit('dateTime', 'gt', LATER)} ) ]"),
        {},
    ),
    "alternatives that are all unknown": (
        reading(f"[ odrl:or ( {limit('language', 'eq', '1')} {limit('version', 'eq', '1')} ) ]"),
        {},
    ),
    "an order of which one moment tells nothing": (
        reading(
            f"[ odrl:andSequence ( {limit('dateTime', 'gt', LATER)} {limit('dateTime', 'gt', LATER)} ) ]"
        ),
        {},
    ),
    "no number, to differ from": (
        reading(limit("payAmount", "neq", '"NaN"^^xsd:double')),
        {"payAmount": Decimal(1)},
    ),
    "what is no number": (reading(limit("payAmount", "neq", "5")), {"payAmount": Decimal("NaN")}),
    "what is no number, in order": (reading(limit("payAmount", "lt", "5")), {"payAmount": Decimal("NaN")}),
    "what is endlessly little": (reading(limit("payAmount", "lt", "5")), {"payAmount": Decimal("-Infinity")}),
    "a word where a number belongs": (reading(limit("payAmount", "neq", '"much"')), {"payAmount": 1}),
    "a unit that nobody knows": (
        reading(limit("payAmount", "lt", "5", "; odrl:unit ex:shells")),
        {"payAmount": 1},
    ),
    "a text that spells an IRI": (
        reading(limit("purpose", "eq", '"urn:ex:a"')),
        {"purpose": Iri("urn:ex:a")},
    ),
    "an IRI that a text spells": (reading(limit("purpose", "eq", "ex:a")), {"purpose": "urn:ex:a"}),
    "an IRI in another form of Unicode": (
        reading(limit("purpose", "eq", "<urn:ex:\u00e9>")),
        {"purpose": Iri("urn:ex:e\u0301")},
    ),
    "a truth value for a number": (reading(limit("version", "eq", "1")), {"version": True}),
    "a number that is nearly the same": (
        reading(limit("payAmount", "eq", '"1.0000000000000000000000000000000000000000001"^^xsd:decimal')),
        {"payAmount": Decimal(1)},
    ),
    "one of two values that is too much": (reading(limit("payAmount", "lt", "5")), {"payAmount": (1, 9)}),
    "one value for two": (reading(limit("purpose", "eq", "ex:a, ex:b")), {"purpose": Iri("urn:ex:a")}),
    "a noon of another zone": (
        reading(limit("dateTime", "lt", '"2026-11-25T13:00:00+02:00"^^xsd:dateTime')),
        {},
    ),
    "a day that is not over": (reading(limit("dateTime", "gt", '"2026-11-25"^^xsd:date')), {}),
    "the day itself": (reading(limit("dateTime", "neq", '"2026-11-25"^^xsd:date')), {}),
    "a fifth use of four": (reading(limit("count", "lt", "5")), {"count": 4}),
    "a sixth use of five": (reading(limit("count", "lteq", "5")), {"count": 5}),
    "uses that nobody counted": (reading(limit("count", "lteq", "5")), {}),
    "uses that are said to be true": (reading(limit("count", "lteq", "5")), {"count": True}),
    "what has to be looked up and is not there": (
        reading(
            "[ odrl:leftOperand odrl:purpose ; odrl:operator odrl:neq ; odrl:rightOperandReference ex:r ]"
        ),
        {"purpose": Iri("urn:ex:a")},
    ),
}


@pytest.mark.parametrize("name", DENIED)
def test_nobody_is_permitted_by(name: str) -> None:
    rules, facts = DENIED[name]
    assert verdict(rules, **facts) is Verdict.DENY


def test_the_same_questions_are_permitted_where_everything_is_known_and_in_order() -> None:
    assert verdict(reading(limit("count", "lteq", "5")), count=4) is Verdict.PERMIT
    assert verdict(reading(limit("dateTime", "lteq", '"2026-11-25"^^xsd:date'))) is Verdict.PERMIT
    huge = "99999999999999999999999999999999999"
    assert verdict(reading(limit("payAmount", "lt", huge)), payAmount=10**34) is Verdict.PERMIT
    assert verdict(reading(limit("purpose", "eq", "ex:a")), purpose=Iri("urn:ex:a")) is Verdict.PERMIT


def test_a_wide_action_is_not_permitted_past_a_narrower_prohibition() -> None:
    rules = LAX + rule("permission", "use") + rule("prohibition", "print")
    assert verdict(rules, "use") is Verdict.DENY
    assert verdict(rules, "print") is Verdict.DENY
    assert verdict(rules, "read") is Verdict.PERMIT
    assert verdict(rules, "foo") is Verdict.DENY
    assert verdict(rules, "sell") is Verdict.DENY
    assert verdict(rules, None) is Verdict.DENY


@pytest.mark.parametrize(
    ("strategy", "outcome"),
    [
        ("", Verdict.VOID),
        ("odrl:conflict odrl:invalid ; ", Verdict.VOID),
        (LAX, Verdict.DENY),
        ("odrl:conflict odrl:perm ; ", Verdict.PERMIT),
        ("odrl:conflict odrl:perm , odrl:prohibit ; ", Verdict.VOID),
    ],
)
def test_a_prohibition_that_cannot_be_known_clashes_as_one_that_stands(
    strategy: str, outcome: Verdict
) -> None:
    unknown = rule("prohibition", "read", limit("language", "eq", '"en"'))
    assert verdict(strategy + reading() + unknown) is outcome


@pytest.mark.parametrize(
    "operator", ["eq", "neq", "lt", "lteq", "gt", "gteq", "isAnyOf", "isNoneOf", "isAllOf"]
)
def test_what_is_no_number_is_unknown_against_numbers(operator: str) -> None:
    for value in (Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")):
        assert compare(operator, (value,), (5,)) is None
        assert compare(operator, (5,), (value,)) is None
