"""Whole logs: what is owed, made good and cleared counts only afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policies.odrl.history import MOST_EVENTS, judge_history
from policies.odrl.read import read_one
from policies.odrl.read_constraints import LENIENT
from policies.odrl.world import Behaviour, Event, Request, World
from schemas.errors import TooLarge
from schemas.vocab import ODRL
from tests.effort import calls_of

START = datetime(2026, 11, 25, tzinfo=UTC)
ALL = "odrl:permission [ ]"
BY_WHOM = Behaviour(anyone_performs=True)


def log(*deeds: str) -> list[Event]:
    """Deeds of one party, an hour apart; `read@you` is another's."""
    events = []
    for at, deed in enumerate(deeds):
        action, _, who = deed.partition("@")
        what = Request(ODRL + action, "urn:ex:data", f"urn:ex:{who or 'me'}")
        events.append(Event(START + timedelta(hours=at), what))
    return events


def valid(rules: str, *deeds: str, behaviour: Behaviour = BY_WHOM, world: World | None = None) -> bool:
    text = (
        f"@prefix odrl: <{ODRL}> . @prefix ex: <urn:ex:> . "
        "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . "
        f"ex:p a odrl:Set ; {rules} ."
    )
    model = read_one(text, demands=LENIENT)
    return judge_history(model, log(*deeds), world or World(), behaviour).valid


DUTY = (
    "odrl:permission [ odrl:action odrl:print ; odrl:duty [ odrl:action odrl:compensate %s ] ] , "
    "[ odrl:action odrl:compensate ] , [ odrl:action odrl:watermark ]"
)
MARK = "; odrl:consequence [ odrl:action odrl:watermark ]"


@pytest.mark.parametrize(
    ("deeds", "plain", "with_consequence"),
    [
        (["compensate", "print"], True, True),
        (["print"], False, False),
        (["print", "compensate"], False, False),
        (["print", "compensate", "watermark"], False, True),
        (["print", "watermark", "compensate"], False, True),
        (["watermark", "print", "compensate"], False, False),
        (["print", "watermark"], False, False),
    ],
)
def test_a_missed_duty_is_made_good_late_and_with_its_consequence_after_the_miss(
    deeds: list[str], plain: bool, with_consequence: bool
) -> None:
    assert valid(DUTY % "", *deeds) is plain
    assert valid(DUTY % MARK, *deeds) is with_consequence


def test_by_default_a_duty_is_performed_by_who_uses_the_permission() -> None:
    deeds = ("compensate@you", "print")
    assert valid(DUTY % "", *deeds)
    assert not valid(DUTY % "", *deeds, behaviour=Behaviour())
    assert valid(DUTY % "", "compensate", "print", behaviour=Behaviour())


def test_an_infringement_is_cleared_by_its_remedy_and_only_after_it() -> None:
    rules = f"{ALL} ; odrl:prohibition [ odrl:action odrl:uninstall ; %s ]"
    remedied = rules % "odrl:remedy [ odrl:action odrl:compensate ]"
    assert valid(remedied, "uninstall", "compensate")
    assert not valid(remedied, "compensate", "uninstall")
    assert not valid(remedied, "uninstall", "compensate", "uninstall")
    assert not valid(rules % "", "uninstall", "compensate")
    assert valid(f"odrl:conflict odrl:perm ; {rules % ''}", "uninstall")


def test_an_obligation_is_owed_until_the_log_is_closed_and_in_time() -> None:
    limit = (
        "odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; "
        'odrl:rightOperand "2026-11-25T01:30:00Z"^^xsd:dateTime ]'
    )
    rules = f"{ALL} ; odrl:obligation [ odrl:action odrl:delete ; %s ]"
    assert valid(rules % "", "read", "read", "delete")
    assert not valid(rules % "", "read", "read")
    assert valid(rules % limit, "read", "delete")
    assert not valid(rules % limit, "read", "read", "delete")
    late = f"{limit} ; odrl:consequence [ odrl:action odrl:inform ]"
    assert valid(rules % late, "read", "read", "delete", "inform")
    assert not valid(rules % late, "read", "inform", "delete")


def test_each_breach_names_the_event_and_says_why() -> None:
    model = read_one(f"@prefix o: <{ODRL}> . <urn:p> a o:Set ; o:permission [ o:action o:read ] .")
    report = judge_history(model, log("read", "sell"))
    (breach,) = report.breaches
    assert breach.event == log("read", "sell")[1]
    assert breach.text == "no permission covers it"


def test_a_policy_that_cannot_be_evaluated_bears_no_log() -> None:
    model = read_one(
        f"@prefix o: <{ODRL}> . <urn:p> a o:Offer ; o:permission [ o:action o:read ] .", demands=LENIENT
    )
    (breach,) = judge_history(model, log("read")).breaches
    assert "an Offer grants nothing" in breach.text


COUNTED = (
    "odrl:permission [ odrl:action odrl:read ; odrl:constraint [ odrl:leftOperand odrl:count ; "
    "odrl:operator odrl:lteq ; odrl:rightOperand 9999 ] ; odrl:duty [ odrl:action odrl:compensate ] ] , "
    "[ odrl:action odrl:compensate ] ; "
    "odrl:prohibition [ odrl:action odrl:print ; odrl:remedy [ odrl:action odrl:compensate ] ]"
)
IN_ORDER = (
    "odrl:permission [ odrl:constraint [ odrl:andSequence ( [ odrl:leftOperand odrl:count ; "
    "odrl:operator odrl:lt ; odrl:rightOperand 1 ] ) ] ]"
)


def test_a_long_log_takes_as_much_longer_as_it_is() -> None:
    def judged(count: int) -> None:
        assert valid(COUNTED, "compensate", *["read"] * count)

    assert calls_of(lambda: judged(800)) < 5 * calls_of(lambda: judged(200))


def test_a_log_that_is_too_long_is_refused_and_not_judged_in_part() -> None:
    endless = (event for _ in range(10**9) for event in log("read"))
    model = read_one(f"@prefix odrl: <{ODRL}> . <urn:p> a odrl:Set ; {ALL} .", demands=LENIENT)
    with pytest.raises(TooLarge, match="log has more than 10,000 events"):
        judge_history(model, endless)
    with pytest.raises(
        TooLarge, match=r"10,000 events is too long for a policy of 3 .* 1 of them in an order"
    ):
        valid(IN_ORDER, *["read"] * MOST_EVENTS)


def test_orders_look_at_each_moment_up_to_their_own() -> None:
    def step(operator: str) -> str:
        moment = '"2026-11-25T01:30:00Z"^^xsd:dateTime'
        return (
            f"[ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:{operator} ; odrl:rightOperand {moment} ]"
        )

    order = f"[ odrl:andSequence ( {step('lt')} {step('gt')} ) ]"
    rules = (
        f"odrl:permission [ odrl:action odrl:read ; odrl:constraint {order} ] , [ odrl:action odrl:print ]"
    )
    assert valid(rules, "print", "print", "read")
    assert not valid(rules, "print", "read")
    assert not valid(rules, "read", "print", "print")
