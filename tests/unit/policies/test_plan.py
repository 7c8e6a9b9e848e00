from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from policies.masking import Masking, MaskKind
from policies.plan import Branch, Comparison, DataPlan, plan_for
from policies.profile import Operator
from schemas.errors import PolicyMismatch
from tests.policy_builders import allowing, limit


def plan(*constraints: dict[str, Any]) -> DataPlan:
    return plan_for(allowing(*constraints).permissions)


def test_without_limits_a_plan_releases_everything() -> None:
    assert plan() == DataPlan((Branch(None, (), ()),))
    assert plan().visible(["b", "a"]) == ["b", "a"]


def test_columns_are_released_in_the_order_of_the_data() -> None:
    listed = plan(limit("columns", "isAnyOf", ["sex", "age", "absent"]))
    assert listed.visible(["age", "weight", "sex"]) == ["age", "sex"]
    assert listed.visible(["AGE", "Sex"]) == []


def test_two_column_lists_release_only_what_both_hold() -> None:
    both = plan(limit("columns", "isAnyOf", ["a", "b"]), limit("columns", "isAnyOf", ["b", "c"]))
    assert both.visible("abc") == ["b"]


@pytest.mark.parametrize("other", ["bucket:10", "round:1", "truncate:month"])
def test_a_hash_and_a_coarse_value_leave_nothing_that_keeps_both(other: str) -> None:
    for masks in (("hash", other), (other, "hash")):
        (branch,) = plan(*(limit("mask/id", "eq", mask) for mask in masks)).branches
        assert branch.mask_of("id") == Masking(MaskKind.NULL)


def test_null_outdoes_hash_whichever_comes_first() -> None:
    masks = [limit("mask/id", "eq", "hash"), limit("mask/id", "eq", "null")]
    for order in (masks, masks[::-1]):
        assert plan(*order).branches[0].mask_of("id") == Masking(MaskKind.NULL)
    assert plan(masks[0]).branches[0].mask_of("id") == Masking(MaskKind.HASH)
    assert plan(masks[0]).branches[0].mask_of("other") is None
    assert plan(masks[0]).visible(["id"]) == ["id"]


def test_of_two_classes_or_samples_the_stricter_holds_whichever_comes_first() -> None:
    def twice(*pair: Any) -> list[DataPlan]:
        return [plan(*order) for order in ([*pair[0], *pair[1]], [*pair[1], *pair[0]])]

    def hidden(k: int, *names: str) -> Any:
        limits = limit("kAnonymity", "gteq", k), limit("quasiIdentifiers", "isAllOf", list(names))
        return ({"and": list(limits)},)

    for found in twice(hidden(3, "age"), hidden(7, "sex")):
        anonymity = found.branches[0].anonymity
        assert anonymity is not None
        assert (anonymity.k, set(anonymity.quasi_identifiers)) == (7, {"age", "sex"})
    for found in twice([limit("odrl:percentage", "lteq", "10")], [limit("odrl:percentage", "lteq", "20")]):
        assert found.branches[0].sample == Decimal(10)


def test_every_comparison_is_kept_with_its_operator_and_values() -> None:
    found = plan(limit("column/age", "gteq", 18), limit("column/sex", "isAnyOf", ["F", "M"]))
    assert found.branches[0].predicate == (
        Comparison("age", Operator.GTEQ, (18,)),
        Comparison("sex", Operator.IS_ANY_OF, ("F", "M")),
    )
    assert found.branches[0].predicate[0].value == 18


def test_a_comparison_gives_values_of_the_type_of_its_column() -> None:
    comparison = Comparison("age", Operator.IS_ANY_OF, ("18", Decimal(21)))
    assert comparison.typed("int32") == (18, 21)
    assert comparison.typed("double") == (18.0, 21.0)
    with pytest.raises(PolicyMismatch, match="filter on 'age'"):
        comparison.typed("bool")


def test_the_digest_is_equal_for_plans_that_do_the_same_and_for_no_others() -> None:
    same = [
        plan(limit("columns", "isAnyOf", ["a", "b"]), limit("column/a", "isAnyOf", ["x", "y"])),
        plan(
            limit("hansa:column/a", "odrl:isAnyOf", ["y", "x"]), limit("columns", "isAnyOf", ["b", "a", "a"])
        ),
    ]
    other = [
        plan(),
        plan(limit("columns", "isAnyOf", ["a"])),
        plan(limit("mask/a", "eq", "hash")),
        plan(limit("mask/a", "eq", "null")),
        plan(limit("column/a", "eq", "1")),
        plan(limit("column/a", "eq", 1)),
        plan(limit("column/a", "neq", 1)),
    ]
    assert same[0].digest == same[1].digest
    assert len({each.digest for each in [same[0], *other]}) == len(other) + 1
    assert same[0].digest.startswith("sha256:")


def test_a_plan_is_derived_once_for_each_permission() -> None:
    policy = allowing(limit("columns", "isAnyOf", ["a"]))
    assert plan_for(policy.permissions) is plan_for(policy.permissions)


def test_a_time_compared_with_a_column_stays_exact() -> None:
    written = {"@value": "2026-12-01T01:00:00+01:00", "@type": "xsd:dateTime"}
    assert plan(limit("column/seen", "lt", written)).branches[0].predicate[0].value == datetime(
        2026, 12, 1, tzinfo=UTC
    )
