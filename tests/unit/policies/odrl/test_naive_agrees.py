"""The evaluator beside a naive one, on random policies and worlds: each verdict, each rule, each duty."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given
from hypothesis import settings as how

from policies.odrl.evaluate import decide, evaluate, prepare
from policies.odrl.history import judge_history
from policies.odrl.model import Permission
from policies.odrl.read import read_one
from policies.odrl.read_constraints import LENIENT
from tests import naive_log, naive_odrl, odrl_drawn
from tests.naive_odrl import Plain, Setting


@how(
    max_examples=2_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(odrl_drawn.policies(), odrl_drawn.settings())
def test_a_random_policy_is_decided_as_a_naive_reading_of_odrl_decides_it(
    policy: Plain, place: Setting
) -> None:
    model = read_one(odrl_drawn.turtle(policy), demands=LENIENT)
    request, world = odrl_drawn.asked(place)
    behaviour = odrl_drawn.behaviour(place)
    found = evaluate(model, request, world, behaviour)
    assert found.verdict.value == naive_odrl.verdict(policy, place)
    assert decide(prepare(model, behaviour), request, world) is found.verdict
    for report in found.rules:
        kind = "permission" if isinstance(report.rule, Permission) else "prohibition"
        number = int(report.rule.id.partition("[")[2].partition("]")[0])
        said = policy[kind][number]
        if kind == "permission":
            assert (report.control == "Permit") == naive_odrl.grants(said, place)
            by = naive_odrl.debtor(said, kind, place)
            states = [naive_odrl.became_of(duty, place, by) for duty in said.get("duty", ())]
            assert [duty.deontic.value for duty in report.duties] == states
        else:
            assert report.active == naive_odrl.forbids(said, place)
    owed = [
        naive_odrl.became_of(one, place, naive_odrl.debtor(one, "obligation", place))
        for one in policy["obligation"]
    ]
    assert [one.deontic.value for one in found.obligations] == owed


@how(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(odrl_drawn.policies(), odrl_drawn.settings())
def test_a_random_log_keeps_to_a_policy_where_a_naive_reading_says_so(policy: Plain, place: Setting) -> None:
    model = read_one(odrl_drawn.turtle(policy), demands=LENIENT)
    # A log is judged when it is closed: nothing is asked for then, and nothing happened later.
    end = replace(place, action=None, by=None, target=None, facts={}, own={})
    end.now = max([place.now, *(deed.at for deed in place.deeds)])
    _, world = odrl_drawn.asked(end)
    report = judge_history(model, world.events, replace(world, events=()), odrl_drawn.behaviour(end))
    assert report.valid == naive_log.keeps_to(policy, end), report
