"""A solver as a second opinion: on random small policies it must come to the same verdict as the regions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.algebra.hierarchy import Poset
from policies.odrl.extents import ODRL, Knowledge
from policies.odrl.model import (
    Condition,
    Constraint,
    Iri,
    Logical,
    Permission,
    PolicyKind,
    PolicyModel,
    Prohibition,
    Refined,
    Value,
)
from policies.odrl.relate import Compatible, Conflict, NotRefines, Refines, conflict, refines

z3 = pytest.importorskip("z3", reason="z3-solver is not installed; it is the second opinion of these tests")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NARROWER = {"urn:any": ("urn:a", "urn:b"), "urn:a": ("urn:a1", "urn:ab"), "urn:b": ("urn:ab",)}
TERMS = ("urn:any", "urn:a", "urn:b", "urn:a1", "urn:ab", "urn:elsewhere")
NUMBERS = ("count", "dateTime", "elapsedTime", "meteredTime", "absoluteSize")
DURATIONS = ("elapsedTime", "meteredTime")
KNOWN = Knowledge(hierarchies={f"{ODRL}purpose": Poset(NARROWER, closed=True)})
BOUNDED = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def value_of(operand: str, number: int) -> Value:
    if operand == "dateTime":
        return EPOCH + timedelta(days=number)
    return timedelta(days=number) if operand in DURATIONS else Decimal(number) / 2


def number_in(value: Any) -> Any:
    """Return an ordered value as a rational number of half days, or of halves."""
    if isinstance(value, datetime):
        return z3.RealVal((value - EPOCH).days)
    return z3.RealVal(value.days) if isinstance(value, timedelta) else z3.RealVal(str(value))


def constraint(operand: str, operator: str, *values: Value) -> Constraint:
    return Constraint(f"urn:c:{operand}", ODRL + operand, ODRL + operator, values)


ORDERED = st.builds(
    lambda operand, operator, number: constraint(operand, operator, value_of(operand, number)),
    st.sampled_from(NUMBERS),
    st.sampled_from(("eq", "neq", "lt", "lteq", "gt", "gteq")),
    st.integers(-1, 4),
)
NAMED = st.builds(
    lambda operator, term: constraint("purpose", operator, Iri(term)),
    st.sampled_from(("eq", "neq", "isA", "isPartOf", "hasPart")),
    st.sampled_from(TERMS),
)
LISTED = st.builds(
    lambda operator, terms: constraint("purpose", operator, *map(Iri, terms)),
    st.sampled_from(("isAnyOf", "isNoneOf")),
    st.lists(st.sampled_from(TERMS), min_size=1, max_size=3),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.one_of(ORDERED, NAMED, LISTED),
    lambda parts: st.builds(
        lambda form, inner: Logical("urn:l", form, tuple(inner)),
        st.sampled_from(("and", "or", "xone")),
        st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=4,
)
USE = Refined(f"{ODRL}use")
PERMISSIONS = st.builds(
    lambda conditions: Permission("urn:p", USE, constraints=tuple(conditions)),
    st.lists(CONDITIONS, min_size=1, max_size=3),
)
PROHIBITIONS = st.builds(
    lambda conditions: Prohibition("urn:n", USE, constraints=tuple(conditions)),
    st.lists(CONDITIONS, min_size=1, max_size=2),
)
POLICIES = st.builds(
    lambda permissions, prohibitions: PolicyModel(
        "urn:policy", PolicyKind.SET, permissions=tuple(permissions), prohibitions=tuple(prohibitions)
    ),
    st.lists(PERMISSIONS, min_size=1, max_size=2),
    st.lists(PROHIBITIONS, max_size=1),
)

WORLD = {name: z3.Real(name) for name in NUMBERS}
PURPOSE = z3.Int("purpose")
MORE = len(TERMS)
"""A term that nobody names."""


def below(wide: str) -> set[str]:
    return {wide} | {term for under in NARROWER.get(wide, ()) for term in below(under)}


def meaning(condition: Condition) -> Any:
    """Say in the solver's words what a condition asks, as the information model has it."""
    if isinstance(condition, Logical):
        parts = [meaning(part) for part in condition.parts]
        match condition.form:
            case "and":
                return z3.And(*parts)
            case "or":
                return z3.Or(*parts)
            case _:
                return z3.PbEq([(part, 1) for part in parts], 1)
    operand, operator = condition.operand.removeprefix(ODRL), condition.operator.removeprefix(ODRL)
    if operand == "purpose":
        return named(operator, [value.value for value in condition.values if isinstance(value, Iri)])
    here, there = WORLD[operand], number_in(condition.values[0])
    return {
        "eq": here == there,
        "neq": here != there,
        "lt": here < there,
        "lteq": here <= there,
        "gt": here > there,
        "gteq": here >= there,
    }[operator]


def named(operator: str, terms: list[str]) -> Any:
    match operator:
        case "isA" | "isPartOf":
            held = below(terms[0])
        case "hasPart":
            held = {term for term in TERMS if terms[0] in below(term)}
        case _:
            held = set(terms)
    inside = z3.Or(*(TERMS.index(term) == PURPOSE for term in held))
    return z3.Not(inside) if operator in ("neq", "isNoneOf") else inside


def allowed(policy: PolicyModel) -> Any:
    permitted = z3.Or(*(z3.And(*map(meaning, rule.constraints)) for rule in policy.permissions))
    forbidden = [z3.And(*map(meaning, rule.constraints)) for rule in policy.prohibitions]
    return z3.And(permitted, z3.Not(z3.Or(*forbidden)))


def is_possible(*formulas: Any) -> bool:
    solver = z3.Solver()
    solver.set("timeout", 5_000)
    solver.add(PURPOSE >= 0, PURPOSE <= MORE)
    solver.add(*(WORLD[name] >= 0 for name in NUMBERS if name != "dateTime"))
    solver.add(WORLD["meteredTime"] <= WORLD["elapsedTime"])
    solver.add(*formulas)
    answer = solver.check()
    assert answer != z3.unknown
    return bool(answer == z3.sat)


@given(POLICIES, POLICIES)
@BOUNDED
def test_regions_and_solver_agree_on_conflicts(one: PolicyModel, other: PolicyModel) -> None:
    expected = Compatible if is_possible(allowed(one), allowed(other)) else Conflict
    assert isinstance(conflict(one, other, KNOWN), expected)


@given(POLICIES, POLICIES)
@BOUNDED
def test_regions_and_solver_agree_on_refinement(one: PolicyModel, other: PolicyModel) -> None:
    expected = NotRefines if is_possible(allowed(one), z3.Not(allowed(other))) else Refines
    assert isinstance(refines(one, other, KNOWN), expected)


@given(POLICIES)
@BOUNDED
def test_a_policy_refines_itself_and_what_it_refines_it_is_compatible_with(policy: PolicyModel) -> None:
    assert isinstance(refines(policy, policy, KNOWN), Refines)
    assert isinstance(conflict(policy, policy, KNOWN), Compatible) == is_possible(allowed(policy))
