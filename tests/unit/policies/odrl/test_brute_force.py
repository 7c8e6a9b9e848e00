"""Comparisons beside every use of a small world: what the evaluator permits, a comparison may not deny.

The evaluator is the judge, and so both hold each other to one reading of ODRL. Each value that a policy names
is tried, and values before, between and after them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.algebra.hierarchy import Poset
from policies.algebra.lengths import Months
from policies.odrl import compare
from policies.odrl.evaluate import decide, prepare
from policies.odrl.extents import KNOWN, Knowledge, conditions_of, constraints_in
from policies.odrl.logic import Verdict
from policies.odrl.model import (
    ANYTHING,
    Condition,
    ConflictStrategy,
    Constraint,
    Duty,
    DutyRole,
    Iri,
    Logical,
    Permission,
    PolicyKind,
    PolicyModel,
    Prohibition,
    Refined,
)
from policies.odrl.relate import Compatible, Conflict, Refines, conflict, refines
from policies.odrl.world import Behaviour, Request, World
from schemas.vocab import ODRL

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
KILO, MEGA = "http://qudt.org/vocab/unit/KiloBYTE", "http://qudt.org/vocab/unit/MegaBYTE"
NARROWER = {"urn:any": ("urn:a", "urn:b"), "urn:a": ("urn:ab",), "urn:b": ("urn:ab",)}
TERMS = ("urn:any", "urn:a", "urn:b", "urn:ab")
KNOWLEDGE: Knowledge = replace(KNOWN, hierarchies={ODRL + "purpose": Poset(NARROWER, closed=True)})
WORLD = World(
    actions={f"{ODRL}new-{one}": (ODRL + one,) for one in ("use", "play", "display", "print", "sell")},
    knowledge=compare.Knowledge(
        kinds=compare.Hierarchy(
            {
                Iri(term): [Iri(wide) for wide, under in NARROWER.items() if term in under]
                for term in (*TERMS, "urn:elsewhere")
            }
        )
    ),
)
VALUES: dict[str, tuple[Any, ...]] = {
    "payAmount": (1, Decimal("1.5"), 2),
    "absoluteSize": (1, 2, 1000),
    "dateTime": (NOON, NOON.date(), NOON + timedelta(days=1)),
    "elapsedTime": (timedelta(days=27), timedelta(days=30), timedelta(days=32), Months(1), Months(2)),
    "purpose": tuple(map(Iri, TERMS)),
}
TRIED: dict[str, tuple[Any, ...]] = {
    "payAmount": tuple(Decimal(at) / 4 for at in range(3, 10)),
    "absoluteSize": tuple(
        compare.Quantity(Decimal(at), KILO) for at in (0, 1, "1.5", 2, 3, 1000, 1500, 2000, 10**6, 10**7)
    ),
    "dateTime": tuple(NOON + timedelta(hours=at) for at in (-13, -12, -11, 0, 1, 11, 12, 13, 24, 25)),
    "elapsedTime": tuple(
        compare.Elapsed(NOON, NOON + timedelta(days=at))
        for at in (0, 26, 27, 28, 30, 30.5, 31, 31.5, 32, 40, 59, 60)
    ),
    "purpose": (*map(Iri, TERMS), Iri("urn:elsewhere")),
}
ORDERED = ("eq", "neq", "lt", "lteq", "gt", "gteq")
ACTIONS = ("use", "play", "display", "print", "sell")
ASSETS = ("urn:x", "urn:y")


@st.composite
def atomic(draw: st.DrawFn) -> Constraint:
    operand = draw(st.sampled_from(sorted(VALUES)))
    operators = ("eq", "neq", "isA", "isAnyOf", "isNoneOf") if operand == "purpose" else ORDERED
    operator = draw(st.sampled_from(operators))
    most = 2 if operator.startswith("is") else 1
    values = tuple(draw(st.lists(st.sampled_from(VALUES[operand]), min_size=1, max_size=most)))
    unit = draw(st.sampled_from([KILO, MEGA])) if operand == "absoluteSize" else None
    return Constraint("urn:c", ODRL + operand, ODRL + operator, values, unit)


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    atomic(),
    lambda parts: st.builds(
        lambda form, inner: Logical("urn:l", form, tuple(inner)),
        st.sampled_from(("and", "or", "xone")),
        st.lists(parts, min_size=1, max_size=2),
    ),
    max_leaves=3,
)


@st.composite
def rules(draw: st.DrawFn, kind: type) -> Any:
    target = draw(st.sampled_from([ANYTHING, ANYTHING, *map(Refined, ASSETS)]))
    conditions = tuple(draw(st.lists(CONDITIONS, max_size=2)))
    made = kind("urn:r", Refined(ODRL + draw(st.sampled_from(ACTIONS))), target, constraints=conditions)
    if kind is Permission and draw(st.integers(0, 5)) == 5:
        made = replace(made, duties=(Duty("urn:d", DutyRole.DUTY, Refined(ODRL + "inform")),))
    return made


POLICIES = st.builds(
    lambda permissions, prohibitions, strategy: PolicyModel(
        "urn:p",
        PolicyKind.SET,
        conflict=strategy,
        permissions=tuple(permissions),
        prohibitions=tuple(prohibitions),
    ),
    st.lists(rules(Permission), min_size=1, max_size=2),
    st.lists(rules(Prohibition), max_size=1),
    st.sampled_from(ConflictStrategy),
)


def asked(*policies: PolicyModel) -> list[str]:
    rules: list[Permission | Prohibition] = []
    for policy in policies:
        rules += [*policy.permissions, *policy.prohibitions]
    return sorted(
        {c.operand.removeprefix(ODRL) for rule in rules for c in constraints_in(conditions_of(rule))}
    )


def uses(*policies: PolicyModel) -> Iterable[tuple[Request, World]]:
    """Every use of the small world that could matter to these policies."""
    operands = asked(*policies)
    for action, asset in product((*ACTIONS, *(f"new-{one}" for one in ACTIONS)), (*ASSETS, "urn:z")):
        for values in product(*(TRIED[operand] for operand in operands)):
            facts = {ODRL + name: (value,) for name, value in zip(operands, values, strict=True)}
            now = facts.pop(ODRL + "dateTime", (NOON,))[0]
            yield Request(ODRL + action, asset, "urn:me", values=facts), replace(WORLD, now=now)


def few(*policies: PolicyModel) -> bool:
    return len(asked(*policies)) < 3


OFTEN = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


@OFTEN
@given(POLICIES, POLICIES)
def test_no_use_passes_two_policies_that_are_said_to_conflict(one: PolicyModel, other: PolicyModel) -> None:
    if not few(one, other):
        return
    answer = conflict(one, other, KNOWLEDGE)
    # What a duty asks for can be done: whether a use passes both is asked as if it were.
    doing = Behaviour(duties_fulfilled=False)
    mine, theirs = prepare(one, doing), prepare(other, doing)
    passing = next(
        (
            (request, world)
            for request, world in uses(one, other)
            if decide(mine, request, world) is Verdict.PERMIT
            and decide(theirs, request, world) is Verdict.PERMIT
        ),
        None,
    )
    if isinstance(answer, Conflict):
        assert passing is None, answer
    if isinstance(answer, Compatible) and "different" not in "".join(answer.notes):
        assert passing is not None, answer


@OFTEN
@given(POLICIES, POLICIES)
def test_no_use_passes_a_policy_that_is_said_to_refine_another_and_not_that_one(
    one: PolicyModel, other: PolicyModel
) -> None:
    if not few(one, other) or not isinstance(refines(one, other, KNOWLEDGE), Refines):
        return
    for fulfilled in (True, False):
        behaviour = Behaviour(duties_fulfilled=fulfilled)
        narrow, wide = prepare(one, behaviour), prepare(other, behaviour)
        for request, world in uses(one, other):
            if decide(narrow, request, world) is Verdict.PERMIT:
                assert decide(wide, request, world) is Verdict.PERMIT, (request, world.now)
