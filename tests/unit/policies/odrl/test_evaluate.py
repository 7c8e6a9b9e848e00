"""The evaluation: what each rule comes to, and the verdict; by default it fails closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies.odrl.compare import Quantity
from policies.odrl.evaluate import Evaluation, decide, evaluate, prepare
from policies.odrl.logic import Verdict, all_of, any_of, exactly_one_of
from policies.odrl.model import ConflictStrategy, Iri, PolicyModel
from policies.odrl.read import read_one
from policies.odrl.read_constraints import LENIENT
from policies.odrl.world import FAIL_CLOSED, Behaviour, Deontic, Event, Request, World
from schemas.vocab import ODRL

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
ME, YOU, DATA = "urn:ex:me", "urn:ex:you", "urn:ex:data"
USE, READ, SELL, PAY = ODRL + "use", ODRL + "read", ODRL + "sell", ODRL + "compensate"
LANGUAGE, COUNT = ODRL + "language", ODRL + "count"
ASKED = Request(READ, DATA, ME)
NOW = World(now=NOON)


def policy(rules: str, extra: str = "") -> PolicyModel:
    text = (
        f"@prefix odrl: <{ODRL}> . @prefix ex: <urn:ex:> . "
        "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . "
        "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . "
        f"ex:p a odrl:Set ; {extra} {rules} ."
    )
    return read_one(text, demands=LENIENT)


def judged(
    model: PolicyModel, request: Request = ASKED, world: World = NOW, behaviour: Behaviour = FAIL_CLOSED
) -> Evaluation:
    """Evaluate, and make sure that the fast way says the same."""
    found = evaluate(model, request, world, behaviour)
    assert decide(prepare(model, behaviour), request, world) is found.verdict
    return found


def verdict(rules: str, request: Request = ASKED, world: World = NOW, **behaviour: Any) -> Verdict:
    return judged(policy(rules), request, world, replace(FAIL_CLOSED, **behaviour)).verdict


def is_so(operand: str, operator: str, right: str) -> str:
    return f"[ odrl:leftOperand odrl:{operand} ; odrl:operator odrl:{operator} ; odrl:rightOperand {right} ]"


def allow(constraint: str = "", action: str = "odrl:read", more: str = "") -> str:
    limit = f"odrl:constraint {constraint} ; " if constraint else ""
    return f"odrl:permission [ odrl:action {action} ; {limit} {more} ]"


def forbid(constraint: str = "", action: str = "odrl:read") -> str:
    return allow(constraint, action).replace("odrl:permission", "odrl:prohibition")


GERMAN = is_so("language", "eq", '"de"')
ENGLISH = is_so("language", "eq", '"en"')
IN_GERMAN = replace(ASKED, values={LANGUAGE: ("de",)})
IN_FRENCH = replace(ASKED, values={LANGUAGE: ("fr",)})

# --- matching ----------------------------------------------------------------------------------------


def test_an_empty_permission_lets_anybody_do_anything() -> None:
    assert verdict("odrl:permission [ ]") is Verdict.PERMIT
    assert verdict("odrl:permission [ ]", Request()) is Verdict.PERMIT


def test_what_nothing_speaks_of_is_denied_unless_the_world_is_open() -> None:
    assert verdict(allow(action="odrl:sell")) is Verdict.DENY
    assert verdict(allow(action="odrl:sell"), closed=False) is Verdict.PERMIT


def test_one_of_several_permissions_is_enough() -> None:
    both = f"{allow(ENGLISH)} ; {allow(GERMAN)}"
    assert verdict(both, IN_GERMAN) is Verdict.PERMIT
    assert verdict(both, IN_FRENCH) is Verdict.DENY


def test_a_wide_permission_covers_what_is_included_in_its_action_and_nothing_else() -> None:
    assert verdict(allow(action="odrl:use")) is Verdict.PERMIT
    assert verdict(allow(action="odrl:use"), replace(ASKED, action=SELL)) is Verdict.DENY
    assert verdict(allow(action="odrl:use"), replace(ASKED, action="urn:ex:train")) is Verdict.DENY
    wider = replace(NOW, actions={"urn:ex:train": (USE,)})
    assert verdict(allow(action="odrl:use"), replace(ASKED, action="urn:ex:train"), wider) is Verdict.PERMIT
    assert verdict(allow(action="odrl:write"), replace(ASKED, action=ODRL + "modify")) is Verdict.PERMIT


def test_the_prohibition_of_a_narrow_action_meets_a_request_for_a_wide_one() -> None:
    rules = f"{allow(action='odrl:use')} ; {forbid(action='odrl:print')}"
    model = replace(policy(rules), conflict=ConflictStrategy.PROHIBIT)
    assert judged(model, replace(ASKED, action=USE)).verdict is Verdict.DENY
    assert judged(model, ASKED).verdict is Verdict.PERMIT


def test_an_action_that_nobody_knows_is_not_shown_to_be_outside_a_prohibition() -> None:
    model = replace(
        policy(f"odrl:permission [ ] ; {forbid(action='odrl:use')}"), conflict=ConflictStrategy.PROHIBIT
    )
    assert judged(model, replace(ASKED, action="urn:ex:new")).verdict is Verdict.DENY
    assert judged(model, replace(ASKED, action=SELL)).verdict is Verdict.PERMIT


def test_members_of_a_collection_are_meant_too_and_circles_of_membership_end() -> None:
    rules = allow(more="odrl:assignee ex:staff ; odrl:target ex:all ; ")
    world = replace(
        NOW, members={ME: ("urn:ex:lab",), "urn:ex:lab": ("urn:ex:staff", ME), DATA: ("urn:ex:all",)}
    )
    assert verdict(rules, ASKED, world) is Verdict.PERMIT
    assert verdict(rules, replace(ASKED, assignee=YOU), world) is Verdict.DENY
    assert verdict(rules) is Verdict.DENY


def test_who_and_what_a_request_leaves_out_is_unknown_and_never_granted() -> None:
    rules = allow(more="odrl:assignee ex:me ; odrl:target ex:data ; ")
    assert verdict(rules) is Verdict.PERMIT
    for asked in (replace(ASKED, assignee=None), replace(ASKED, target=None), replace(ASKED, action=None)):
        assert verdict(rules, asked) is Verdict.DENY


def test_refinements_ask_for_facts_of_what_they_stand_on_first() -> None:
    rules = "odrl:permission [ odrl:action [ rdf:value odrl:read ; odrl:refinement " + GERMAN + " ] ]"
    own = replace(IN_FRENCH, action_values={LANGUAGE: ("de",)})
    assert verdict(rules, own) is Verdict.PERMIT
    assert verdict(rules, IN_GERMAN) is Verdict.PERMIT
    assert verdict(rules, replace(IN_GERMAN, action_values={LANGUAGE: ("fr",)})) is Verdict.DENY
    known = replace(NOW, properties={READ: {LANGUAGE: ("de",)}})
    assert verdict(rules, ASKED, known) is Verdict.PERMIT
    assert verdict(rules) is Verdict.DENY


# --- three values ------------------------------------------------------------------------------------


def test_what_is_not_known_neither_grants_nor_lifts_a_prohibition() -> None:
    assert verdict(allow(GERMAN)) is Verdict.DENY
    model = replace(policy(f"{allow()} ; {forbid(GERMAN)}"), conflict=ConflictStrategy.PROHIBIT)
    assert judged(model).verdict is Verdict.DENY
    assert judged(model, IN_FRENCH).verdict is Verdict.PERMIT
    (_, report) = judged(model).rules
    assert (report.active, report.unknown) == (True, True)
    assert judged(model, behaviour=Behaviour(unknown_prohibits=False)).verdict is Verdict.PERMIT


def test_nested_combinations_hold_part_by_part() -> None:
    short, paper = is_so("version", "eq", '"1"'), is_so("media", "eq", '"paper"')
    rules = allow(f"[ odrl:and ( {GERMAN} [ odrl:or ( {short} [ odrl:xone ( {paper} {ENGLISH} ) ] ) ] ) ]")
    version, media = ODRL + "version", ODRL + "media"
    assert verdict(rules, replace(ASKED, values={LANGUAGE: ("de",), version: ("1",)})) is Verdict.PERMIT
    assert verdict(rules, replace(ASKED, values={LANGUAGE: ("de",), media: ("wood",)})) is Verdict.DENY
    full = {LANGUAGE: ("de",), version: ("2",), media: ("paper",)}
    assert verdict(rules, replace(ASKED, values=full)) is Verdict.PERMIT


def test_two_true_parts_break_exactly_one_whatever_else_is_unknown() -> None:
    rules = allow(f"[ odrl:xone ( {GERMAN} {is_so('language', 'neq', chr(34) + 'en' + chr(34))} ) ]")
    assert verdict(rules, IN_GERMAN) is Verdict.DENY
    assert verdict(rules, IN_FRENCH) is Verdict.PERMIT
    assert exactly_one_of([True, None, True]) is False
    assert exactly_one_of([True, None]) is None


def test_the_combinations_follow_kleene() -> None:
    assert (all_of([True, None, False]), all_of([True, None]), all_of([])) == (False, None, True)
    assert (any_of([False, None, True]), any_of([False, None]), any_of([])) == (True, None, False)


def test_the_same_instant_is_not_before_itself() -> None:
    at = '"2026-11-25T13:00:00+01:00"^^xsd:dateTime'
    assert verdict(allow(is_so("dateTime", "lt", at))) is Verdict.DENY
    assert verdict(allow(is_so("dateTime", "lteq", at))) is Verdict.PERMIT


def test_an_order_needs_events_one_moment_tells_none() -> None:
    order = allow(f"[ odrl:andSequence ( {ENGLISH} {GERMAN} ) ]")
    english = Event(NOON - timedelta(hours=2), replace(ASKED, values={LANGUAGE: ("en",)}))
    later = replace(english, at=NOON + timedelta(hours=2))
    assert judged(policy(order), IN_GERMAN).rules[0].premises[-1].state is None
    assert verdict(order, IN_GERMAN, replace(NOW, events=(english,))) is Verdict.PERMIT
    assert verdict(order, IN_GERMAN, replace(NOW, events=(later,))) is Verdict.DENY
    assert verdict(order, IN_FRENCH, replace(NOW, events=(english,))) is Verdict.DENY


def test_a_count_includes_the_use_that_is_asked_for() -> None:
    five, under = allow(is_so("count", "lteq", "5")), allow(is_so("count", "lt", "5"))
    for rules, most in ((five, 5), (under, 4)):
        for used in range(7):
            asked = replace(ASKED, values={COUNT: (used,)})
            events = tuple(Event(NOON - timedelta(hours=at + 1), ASKED) for at in range(used))
            expected = Verdict.PERMIT if used + 1 <= most else Verdict.DENY
            assert verdict(rules, asked) is expected
            if used:
                assert verdict(rules, ASKED, replace(NOW, events=events)) is expected
    assert verdict(five) is Verdict.DENY


def test_a_right_operand_that_is_a_reference_is_looked_up_or_unknown() -> None:
    rules = allow(
        "[ odrl:leftOperand odrl:language ; odrl:operator odrl:eq ; odrl:rightOperandReference ex:spoken ]"
    )
    assert verdict(rules, IN_GERMAN) is Verdict.DENY
    assert verdict(rules, IN_GERMAN, replace(NOW, references={"urn:ex:spoken": ("de",)})) is Verdict.PERMIT


# --- conflicts, and what stops an evaluation ---------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("", Verdict.VOID),
        ("odrl:conflict odrl:invalid ;", Verdict.VOID),
        ("odrl:conflict odrl:perm ;", Verdict.PERMIT),
        ("odrl:conflict odrl:prohibit ;", Verdict.DENY),
    ],
)
def test_where_a_permission_and_a_narrower_prohibition_meet_the_strategy_decides(
    term: str, expected: Verdict
) -> None:
    model = policy(f"{allow(action='odrl:use')} ; {forbid(action='odrl:read')}", term)
    assert judged(model).verdict is expected
    assert judged(model, replace(ASKED, action=ODRL + "print")).verdict is Verdict.PERMIT


def test_what_grants_nothing_or_is_not_understood_is_not_evaluated() -> None:
    model = policy(allow())
    for changed, words in (
        ({"kind": "Offer"}, "an Offer grants nothing"),
        ({"profiles": ("urn:ex:profile",)}, "profile 'urn:ex:profile' is unknown"),
        ({"inherits": ("urn:ex:parent",)}, "not merged in"),
    ):
        found = judged(replace(model, **changed))
        assert (found.verdict, found.rules) == (Verdict.DENY, ())
        assert words in (found.stopped or "")
    assert judged(replace(model, void="it is torn")).verdict is Verdict.VOID
    known = Behaviour(profiles=frozenset({"urn:ex:profile"}), offers=True)
    assert judged(replace(model, profiles=("urn:ex:profile",)), behaviour=known).verdict is Verdict.PERMIT


def test_where_a_mismatch_leaves_a_rule_active_its_control_state_denies() -> None:
    model, other = policy(allow(more="odrl:target ex:data ; ")), replace(ASKED, target="urn:ex:other")
    (closed,) = judged(model, other).rules
    (draft,) = judged(model, other, behaviour=Behaviour(mismatch_deactivates=False)).rules
    assert (closed.active, closed.control) == (False, "Deny")
    assert (draft.active, draft.control) == (True, "Deny")


# --- duties ------------------------------------------------------------------------------------------

FEE = (
    "odrl:duty [ odrl:action [ rdf:value odrl:compensate ; odrl:refinement [ "
    "odrl:leftOperand odrl:payAmount ; odrl:operator odrl:gteq ; odrl:rightOperand 5 ; "
    "odrl:unit <http://dbpedia.org/resource/Euro> ] ] ; %s ] ; "
)


def paid(by: str = ME, amount: int = 5, hours: int = -1) -> World:
    money = Quantity(amount, "http://dbpedia.org/resource/Euro")
    what = Request(PAY, assignee=by, action_values={ODRL + "payAmount": (money,)})
    return replace(NOW, events=(Event(NOON + timedelta(hours=hours), what),))


def test_a_permission_waits_until_its_duty_is_performed_by_its_assignee_in_full() -> None:
    rules = allow(more=FEE % "")
    assert verdict(rules) is Verdict.DENY
    assert verdict(rules, ASKED, paid()) is Verdict.PERMIT
    assert verdict(rules, ASKED, paid(by=YOU)) is Verdict.DENY
    assert verdict(rules, ASKED, paid(by=YOU), anyone_performs=True) is Verdict.PERMIT
    assert verdict(rules, ASKED, paid(amount=4)) is Verdict.DENY
    assert verdict(rules, ASKED, paid(hours=1)) is Verdict.DENY
    assert verdict(rules, duties_fulfilled=False) is Verdict.PERMIT


def test_a_duty_whose_own_constraint_is_false_is_not_owed() -> None:
    rules = allow(more=FEE % f"odrl:constraint {GERMAN}")
    assert verdict(rules, IN_FRENCH) is Verdict.PERMIT
    assert verdict(rules, IN_GERMAN) is Verdict.DENY
    assert verdict(rules) is Verdict.DENY


def test_a_deadline_that_is_past_makes_a_duty_violated_not_void() -> None:
    rules = allow(
        more=FEE % f"""odrl:constraint {is_so("dateTime", "lt", '"2026-11-25T10:00:00Z"^^xsd:dateTime')}"""
    )
    assert verdict(rules) is Verdict.DENY
    assert verdict(rules, duties_fulfilled=False) is Verdict.DENY
    assert judged(policy(rules)).rules[0].duties[0].deontic is Deontic.VIOLATED
    assert verdict(rules, ASKED, paid(hours=-1)) is Verdict.DENY
    assert verdict(rules, ASKED, paid(hours=-3)) is Verdict.PERMIT
    assert verdict(rules, ASKED, paid(by=YOU, hours=-3)) is Verdict.DENY


def test_an_earlier_report_on_a_duty_is_believed() -> None:
    text = allow(more="odrl:duty [ odrl:uid ex:fee ; odrl:action odrl:compensate ] ; ")
    done = replace(NOW, duties={"urn:ex:fee": Deontic.FULFILLED})
    missed = replace(NOW, duties={"urn:ex:fee": Deontic.VIOLATED})
    assert verdict(text, ASKED, done) is Verdict.PERMIT
    assert verdict(text, ASKED, missed) is Verdict.DENY
    assert verdict(text, ASKED, missed, duties_fulfilled=False) is Verdict.DENY


def test_rules_without_names_are_reported_by_their_place() -> None:
    found = judged(policy(f"{allow(GERMAN)} ; {forbid(ENGLISH)}"))
    assert [report.rule.id for report in found.rules] == ["_:permission[0]", "_:prohibition[0]"]
    assert found.rules[0].premises[-1].id == "_:permission[0].constraint[0]"


def test_a_purpose_is_a_name_and_no_text() -> None:
    rules = allow(is_so("purpose", "isAnyOf", "ex:science"))
    assert (
        verdict(rules, replace(ASKED, values={ODRL + "purpose": (Iri("urn:ex:science"),)})) is Verdict.PERMIT
    )
    assert verdict(rules, replace(ASKED, values={ODRL + "purpose": ("urn:ex:science",)})) is Verdict.DENY
