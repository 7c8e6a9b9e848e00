from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from policies.algebra.hierarchy import Poset
from policies.odrl.extents import KNOWN, ODRL
from policies.odrl.model import (
    ConflictStrategy,
    Constraint,
    Duty,
    DutyRole,
    Iri,
    Permission,
    PolicyKind,
    PolicyModel,
    Prohibition,
    Refined,
    Typed,
    Value,
)
from policies.odrl.relate import (
    Compatible,
    Conflict,
    NotPermitted,
    NotRefines,
    Permitted,
    Refines,
    Unknown,
    conflict,
    permits,
    refines,
)

USE, PLAY = Refined(f"{ODRL}use"), Refined(f"{ODRL}play")


def limited(operand: str, operator: str, *values: Value, **members: Any) -> Constraint:
    return Constraint(f"urn:{operand}", ODRL + operand, ODRL + operator, values, **members)


def allowing(
    *constraints: Constraint, name: str = "urn:one", action: Refined = USE, **parts: Any
) -> PolicyModel:
    permission = Permission(f"{name}#p", action, constraints=constraints, **parts)
    return PolicyModel(name, PolicyKind.SET, permissions=(permission,))


def forbidding(policy: PolicyModel, *constraints: Constraint, action: Refined = USE) -> PolicyModel:
    return replace(policy, prohibitions=(Prohibition("urn:n", action, constraints=constraints),))


def test_a_conflict_says_which_terms_leave_no_value() -> None:
    found = conflict(
        allowing(limited("count", "lteq", Decimal(5))), allowing(limited("count", "gt", Decimal(5)))
    )
    assert found == Conflict(
        ("no value of http://www.w3.org/ns/odrl/2/count meets: odrl:count lteq 5 and odrl:count gt 5",)
    )


def test_what_only_one_party_limits_is_noted_or_unknown_where_that_is_asked_for() -> None:
    one, other = allowing(limited("count", "lteq", Decimal(5))), allowing(name="urn:other")
    note = f"urn:one limits {ODRL}count, urn:other is silent"
    assert conflict(one, other) == Compatible((note,))
    assert conflict(one, other, replace(KNOWN, silent_is_unknown=True)) == Unknown((note,))


def test_values_below_the_least_that_an_operand_can_have_are_a_conflict() -> None:
    nothing = allowing(limited("percentage", "gt", Decimal(100)))
    assert isinstance(conflict(nothing, allowing()), Conflict)


def test_a_day_is_all_its_instants() -> None:
    until, since = (
        limited("dateTime", "lteq", date(2026, 12, 31)),
        limited("dateTime", "gteq", date(2026, 12, 31)),
    )
    assert isinstance(conflict(allowing(until), allowing(since)), Compatible)
    assert isinstance(
        refines(allowing(limited("dateTime", "lt", date(2027, 1, 1))), allowing(until)), Refines
    )
    after = limited("dateTime", "gt", date(2026, 12, 31))
    assert isinstance(conflict(allowing(until), allowing(after)), Conflict)


def test_different_units_and_values_that_nobody_can_order_are_unknown_not_guessed() -> None:
    metres = limited("absoluteSize", "lteq", Decimal(5), unit="urn:metre")
    feet = limited("absoluteSize", "gteq", Decimal(6), unit="urn:foot")
    found = conflict(allowing(metres), allowing(feet))
    assert isinstance(found, Unknown)
    assert "different units: urn:foot, urn:metre" in found.reasons[0]
    odd = limited("count", "lteq", Typed("many", "urn:type"))
    assert isinstance(conflict(allowing(odd), allowing(odd)), Unknown)
    assert isinstance(refines(allowing(odd), allowing(odd)), Unknown)


def test_terms_without_a_vocabulary_are_only_known_by_name() -> None:
    red, blue = limited("industry", "eq", Iri("urn:red")), limited("industry", "eq", Iri("urn:blue"))
    assert isinstance(conflict(allowing(red), allowing(blue)), Unknown)
    assert isinstance(conflict(allowing(red), allowing(red)), Compatible)
    assert isinstance(conflict(allowing(red), allowing(limited("industry", "neq", Iri("urn:red")))), Conflict)
    closed = replace(KNOWN, hierarchies={f"{ODRL}industry": Poset({}, closed=True)})
    assert isinstance(conflict(allowing(red), allowing(blue), closed), Conflict)


def test_a_regional_language_is_that_language_whether_written_as_text_or_as_a_name() -> None:
    for wide, narrow, other in (
        ("de", "de-AT", "fr"),
        (Iri("urn:x#de"), Iri("urn:x#de-AT"), Iri("urn:x#fr")),
    ):
        german = allowing(limited("language", "isA", wide))
        assert isinstance(conflict(german, allowing(limited("language", "eq", narrow))), Compatible)
        assert isinstance(conflict(german, allowing(limited("language", "eq", other))), Conflict)
        assert isinstance(refines(allowing(limited("language", "isA", narrow)), german), Refines)


def test_a_prohibition_of_the_other_party_takes_away_and_one_of_another_action_does_not() -> None:
    some = limited("count", "lteq", Decimal(5))
    actions = replace(KNOWN, actions=Poset({f"{ODRL}use": (f"{ODRL}play",)}, closed=True))
    forbidden = forbidding(allowing(name="urn:other"), limited("count", "lteq", Decimal(9)))
    assert isinstance(conflict(allowing(some), forbidden), Conflict)
    assert isinstance(conflict(allowing(limited("count", "lteq", Decimal(10))), forbidden), Compatible)
    plays = forbidding(allowing(name="urn:other"), action=PLAY)
    assert isinstance(conflict(allowing(some), plays, actions), Compatible)
    assert isinstance(conflict(allowing(some, action=PLAY), plays, actions), Conflict)


def test_policies_about_different_things_do_not_conflict() -> None:
    here = allowing(limited("count", "eq", Decimal(1)), target=Refined("urn:a"))
    there = allowing(limited("count", "eq", Decimal(2)), target=Refined("urn:b"))
    assert conflict(here, there) == Compatible(
        ("the policies speak of different actions, assets or parties",)
    )
    assert isinstance(refines(here, there), NotRefines)


def test_what_refines_says_less_and_what_does_not_is_told_how() -> None:
    narrow, wide = (
        allowing(limited("count", "lteq", Decimal(5))),
        allowing(limited("count", "lteq", Decimal(9))),
    )
    assert refines(narrow, wide) == Refines()
    found = refines(wide, narrow)
    assert isinstance(found, NotRefines)
    assert "odrl:count lteq 9; not (odrl:count lteq 5)" in found.reasons[0]
    assert isinstance(refines(allowing(), narrow), NotRefines)
    assert isinstance(refines(forbidding(wide, limited("count", "gt", Decimal(5))), narrow), Refines)


def test_a_request_is_permitted_only_if_everything_asked_is_stated_and_met() -> None:
    policy = allowing(limited("count", "lteq", Decimal(5)), limited("language", "isA", "de"))
    assert permits(policy, {f"{ODRL}count": Decimal(5), f"{ODRL}language": "de"}) == Permitted()
    assert isinstance(permits(policy, {f"{ODRL}count": Decimal(6), f"{ODRL}language": "de"}), NotPermitted)
    found = permits(policy, {f"{ODRL}count": Decimal(5)})
    assert isinstance(found, NotPermitted)
    assert f"no value for {ODRL}language" in found.reasons[0]
    assert isinstance(permits(forbidding(policy), {f"{ODRL}count": 5, f"{ODRL}language": "de"}), NotPermitted)


def test_a_prohibition_of_part_of_what_is_allowed_keeps_a_wider_policy_from_being_refined() -> None:
    everything = allowing()
    partly = forbidding(allowing(name="urn:other"), action=PLAY)
    assert isinstance(refines(everything, partly), NotRefines)
    assert refines(partly, everything) == Refines()
    assert refines(partly, replace(partly, id="urn:same")) == Refines()
    assert isinstance(conflict(everything, partly), Compatible)
    assert isinstance(conflict(allowing(action=Refined(f"{ODRL}display")), partly), Conflict)


def test_a_prohibition_about_another_asset_takes_nothing_away() -> None:
    here, there = Refined("urn:here"), Refined("urn:there")
    forbidden = Prohibition("urn:n", USE, target=there)
    partly = replace(allowing(name="urn:other"), prohibitions=(forbidden,))
    assert refines(allowing(target=here), partly) == Refines()
    assert isinstance(refines(allowing(target=there), partly), NotRefines)
    assert isinstance(conflict(allowing(target=there), partly), Conflict)


def test_where_permissions_win_a_prohibition_takes_nothing_away() -> None:
    forbidden = forbidding(allowing(), action=PLAY)
    winning = replace(forbidden, conflict=ConflictStrategy.PERMIT)
    assert isinstance(conflict(winning, allowing(name="urn:other")), Compatible)
    assert isinstance(refines(winning, forbidden), NotRefines)
    assert refines(allowing(), winning) == Refines()
    alone = replace(winning, permissions=())
    assert isinstance(refines(allowing(action=PLAY), alone), NotRefines)


def test_what_is_allowed_for_a_duty_is_not_allowed_without_it() -> None:
    pay = Duty("urn:d", DutyRole.DUTY, Refined(f"{ODRL}compensate"))
    paid, free = allowing(duties=(pay,)), allowing(name="urn:other")
    assert refines(paid, free) == Refines()
    assert refines(free, paid) == NotRefines(
        ("the first allows what the second does not: it asks for no duty, or for others",)
    )
    assert refines(paid, allowing(duties=(replace(pay, id="urn:other"),))) == Refines()
    assert isinstance(conflict(paid, free), Compatible)


def test_policies_of_more_kinds_of_requests_than_anybody_waits_for_are_not_compared() -> None:
    rules = tuple(
        Permission(f"urn:{at}", USE, target=Refined(f"urn:t{at}"), assignee=Refined(f"urn:a{at}"))
        for at in range(100)
    )
    many = replace(allowing(), permissions=rules)
    for answer in (conflict(many, allowing()), refines(many, allowing())):
        assert isinstance(answer, Unknown)
        assert "more than 4,000 kinds of requests" in answer.reasons[0]


def test_policies_of_more_permissions_than_anybody_waits_for_are_not_compared() -> None:
    rules = tuple(Permission(f"urn:{at}", USE) for at in range(200))
    many = replace(allowing(), permissions=rules)
    for answer in (conflict(many, many), refines(many, many)):
        assert isinstance(answer, Unknown)
        assert "more than 10,000 pairs of permissions" in answer.reasons[0]
