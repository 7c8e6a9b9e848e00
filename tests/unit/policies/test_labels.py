"""A label says what happens: what is called enforced changes what is decided, planned, counted or owed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies import operands
from policies.compiled import CompiledPolicy
from policies.decision import Permit, decide
from policies.explain import explain
from policies.obligations import due_dates, obligations_of
from policies.operands import OPERANDS
from policies.profile import ACTIONS, Label, Operand, Point
from policies.use import Use, UseTotals
from schemas.vocab import HANSA, ODRL
from tests.policy_builders import LAB, NOON, compiled, limit, rule

LATER = NOON + timedelta(days=400)
DELIVERED = UseTotals(
    rows=10,
    bytes=10,
    requests=10,
    epochs=10,
    agreed=datetime(2025, 1, 1, tzinfo=UTC),
    first_delivery=datetime(2025, 1, 1, tzinfo=UTC),
    last_delivery=datetime(2025, 1, 2, tzinfo=UTC),
)

COUNTED = limit("odrl:count", "lteq", "10")
AGGREGATE = limit("aggregateOnly", "eq", "true")
ANONYMOUS = limit("kAnonymity", "gteq", "5")
REVOCABLE = limit("revocable", "eq", "true")
BY_AGE = limit("quasiIdentifiers", "isAllOf", ["age"])
WINDOW = limit("timeOfDay", "eq", "08:00-13:00")

WITH_AND_WITHOUT: dict[Operand, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    operands.DATE_TIME: ([limit("odrl:dateTime", "lt", "2026-01-01")], []),
    operands.ELAPSED: ([limit("odrl:elapsedTime", "lteq", "P1D")], []),
    operands.ELAPSED_SINCE_DELIVERY: ([limit("elapsedSinceDelivery", "lteq", "P1D")], []),
    operands.DAY_OF_WEEK: ([limit("dayOfWeek", "eq", "Sunday")], []),
    operands.TIME_OF_DAY: ([limit("timeOfDay", "eq", "08:00-09:00")], []),
    operands.TIME_ZONE: ([WINDOW, limit("timeZone", "eq", "Asia/Tokyo")], [WINDOW]),
    operands.PURPOSE: ([limit("odrl:purpose", "isA", "https://w3id.org/dpv#Marketing")], []),
    operands.PARTICIPANT: ([limit("participant", "eq", "did:web:other.example")], []),
    operands.PARTICIPANT_GROUP: ([limit("participantGroup", "isPartOf", "labs")], []),
    operands.CREDENTIAL: ([limit("credential/sme", "eq", "true")], []),
    operands.SPATIAL: ([limit("odrl:spatial", "isPartOf", "EU")], []),
    operands.ENVIRONMENT: ([limit("environment", "eq", "federated-only")], []),
    operands.REVOCABLE: ([REVOCABLE], []),
    operands.NOTICE: ([REVOCABLE, limit("notice", "eq", "P14D")], [REVOCABLE]),
    operands.COUNT: ([COUNTED], []),
    operands.UNIT_OF_COUNT: (
        [limit("odrl:count", "lteq", "11"), limit("odrl:unitOfCount", "eq", "hansa:epoch")],
        [limit("odrl:count", "lteq", "11")],
    ),
    operands.ROW_COUNT: ([limit("rowCount", "lteq", "10")], []),
    operands.BYTE_COUNT: ([limit("byteCount", "lteq", "10")], []),
    operands.RATE: ([limit("rate", "lteq", "5/PT1M")], []),
    operands.COLUMN: ([limit("column/age", "gteq", "18")], []),
    operands.ROW_SPATIAL: ([limit("rowSpatial/country", "isPartOf", "EU")], []),
    operands.COLUMNS: ([limit("columns", "isAnyOf", ["age"])], []),
    operands.MASK: ([limit("mask/age", "eq", "bucket:10")], []),
    operands.NOT_TOGETHER: ([limit("notTogether", "isAllOf", ["age", "name"])], []),
    operands.PERCENTAGE: ([limit("odrl:percentage", "lteq", "10")], []),
    operands.K_ANONYMITY: ([ANONYMOUS, BY_AGE], []),
    operands.QUASI_IDENTIFIERS: (
        [ANONYMOUS, limit("quasiIdentifiers", "isAllOf", ["age", "name"])],
        [ANONYMOUS, BY_AGE],
    ),
    operands.AGGREGATE_ONLY: ([AGGREGATE], []),
    operands.MIN_GROUP_SIZE: ([AGGREGATE, limit("minGroupSize", "gteq", "30")], [AGGREGATE]),
    operands.SUBJECT: ([AGGREGATE, limit("subject", "eq", "patient")], [AGGREGATE]),
    operands.CONSENT: ([limit("consent/patient", "eq", "given")], []),
    operands.DELAY_PERIOD: ([limit("odrl:delayPeriod", "lteq", "P30D")], []),
    operands.TIME_INTERVAL: ([limit("odrl:timeInterval", "eq", "P30D")], []),
    operands.CONSEQUENCE: ([limit("consequence", "eq", "terminate")], []),
}
"""For each operand: a rule that it limits, and the same rule without it."""


def measured(point: Point, policy: CompiledPolicy) -> Any:
    """Return what happens at a point under a policy."""
    decision = decide(policy, Use(LAB, ODRL + "use"), DELIVERED, NOON)
    fresh = decide(policy, Use(LAB, ODRL + "use"), UseTotals(), NOON)
    match point:
        case Point.DECIDE:
            return (type(decision), getattr(decision, "limits", None), getattr(fresh, "limits", None))
        case Point.PLAN:
            return decision.plan.digest if isinstance(decision, Permit) else None
        case Point.COUNT:
            return fresh.limits if isinstance(fresh, Permit) else None
        case Point.REVOKE:
            said = policy.permissions[0].revocable
            return (said is not None, said.notice if said is not None else None)
        case Point.LEDGER:
            times = (DELIVERED.agreed, DELIVERED.first_delivery, DELIVERED.last_delivery)
            owed = obligations_of(policy)
            return [(due_dates(item, *times, NOON), item.consequence) for item in owed]


def policies(operand: Operand) -> tuple[CompiledPolicy, CompiledPolicy]:
    """Return a policy with the operand, and the same without."""
    made = []
    for constraints in WITH_AND_WITHOUT[operand]:
        if Point.LEDGER in operand.points:
            made.append(compiled(rule("use"), obligation=[rule("delete", *constraints)]))
        else:
            made.append(compiled(rule("use", *constraints)))
    return made[0], made[1]


@pytest.mark.parametrize("operand", OPERANDS, ids=lambda operand: operand.name)
def test_every_operand_makes_a_difference_at_the_points_that_its_row_names(operand: Operand) -> None:
    limited, free = policies(operand)
    assert operand.points, f"{operand.name} is kept nowhere; say so, or keep it"
    if operand.points == (Point.DECIDE, Point.COUNT):
        assert measured(Point.COUNT, limited) != measured(Point.COUNT, free)
        assert measured(Point.DECIDE, limited) != measured(Point.DECIDE, free)
        return
    for point in operand.points:
        assert measured(point, limited) != measured(point, free), f"{operand.name} does nothing at: {point}"


@pytest.mark.parametrize("operand", OPERANDS, ids=lambda operand: operand.name)
def test_the_label_that_people_read_is_the_one_of_the_row(operand: Operand) -> None:
    limited, free = policies(operand)
    sentences = set(explain(limited)) - set(explain(free))
    if operand.points in ((Point.REVOKE,), (Point.LEDGER,)):
        return  # the sentence of the rule tells of it
    assert {sentence.label for sentence in sentences} == {operand.label}, sentences


def test_only_what_is_nobodys_word_is_called_enforced() -> None:
    spoken = {operands.PURPOSE, operands.SPATIAL, operands.ENVIRONMENT}
    owed = {operands.DELAY_PERIOD, operands.TIME_INTERVAL}
    for operand in OPERANDS:
        expected = Label.ENFORCED
        if operand in spoken:
            expected = Label.SIGNING
        elif operand in owed:
            expected = Label.PROMISED
        assert operand.label is expected, operand.name


@pytest.mark.parametrize("action", [row for row in ACTIONS if row.permitted], ids=lambda row: row.name)
def test_every_action_that_can_be_permitted_is_granted_by_name_and_denied_without(action: Any) -> None:
    policy = compiled(rule(action.iri))
    assert isinstance(decide(policy, Use(LAB, action.iri), UseTotals(), NOON), Permit)
    other = compiled(rule(HANSA + "analyse" if action.name != "hansa:analyse" else HANSA + "train"))
    assert not isinstance(decide(other, Use(LAB, action.iri), UseTotals(), NOON), Permit)
