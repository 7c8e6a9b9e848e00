"""Rules of an operator: which one acts, and which are refused because they never could."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connector.negotiation.judge import rules_of as negotiation_rules
from connector.outbox.path import MOST_STATIONS, Path, arrive, visits
from connector.outbox.rules import Do, Rule, Where
from connector.transfer.judge import rules_of as transfer_rules
from schemas.base import Role
from schemas.errors import Misconfigured

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HERE = Where(Role.PROVIDER, "REQUESTED", "urn:ds:1", "did:web:them", 1)


def test_the_first_rule_that_fits_decides() -> None:
    rules = negotiation_rules(
        Rule("REQUESTED", Do.HOLD, about="urn:ds:2"), Rule("REQUESTED", Do.END), Rule("REQUESTED", Do.HOLD)
    )
    found = rules.fitting(HERE)
    assert found is not None
    assert found.do is Do.END


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({}, True),
        ({"about": "urn:ds:*"}, True),
        ({"about": "urn:DS:*"}, False),
        ({"about": "urn:ds:2"}, False),
        ({"counterparty": "did:web:them"}, True),
        ({"counterparty": "did:web:others"}, False),
        ({"role": Role.PROVIDER}, True),
        ({"role": Role.CONSUMER}, False),
        ({"visit": 1}, True),
        ({"visit": 2}, False),
        ({"when": "OFFERED"}, False),
    ],
)
def test_a_rule_fits_only_what_it_speaks_of(given: dict[str, object], fits: bool) -> None:
    rule = replace(Rule("REQUESTED", Do.END), **given)  # type: ignore[arg-type]
    assert rule.fits(HERE) is fits


def test_a_rule_that_our_role_cannot_follow_does_not_hide_the_next_one() -> None:
    rules = negotiation_rules(Rule("REQUESTED", Do.OFFER), Rule("REQUESTED", Do.END))
    found = rules.fitting(replace(HERE, role=Role.CONSUMER))
    assert found is not None
    assert found.do is Do.END, "a consumer makes no offers"


@pytest.mark.parametrize(
    ("room", "rule", "why"),
    [
        (negotiation_rules, Rule("ASKED", Do.END), "no state 'ASKED'; known: REQUESTED, OFFERED"),
        (
            negotiation_rules,
            Rule("OFFERED", Do.OFFER),
            "cannot offer in OFFERED as any role; possible",
        ),
        (
            negotiation_rules,
            Rule("REQUESTED", Do.OFFER, role=Role.CONSUMER),
            "as consumer; possible there: end",
        ),
        (negotiation_rules, Rule("STARTED", Do.END), "no state 'STARTED'"),
        (negotiation_rules, Rule("REQUESTED", Do.SUSPEND), "cannot suspend in REQUESTED"),
        (negotiation_rules, Rule("FINALIZED", Do.END), "possible there: nothing"),
        (transfer_rules, Rule("REQUESTED", Do.RESUME), "cannot resume in REQUESTED as any role"),
        (transfer_rules, Rule("STARTED", Do.PROCEED), "possible there: end, complete, suspend"),
        (transfer_rules, Rule("REQUESTED", Do.COUNTER), "transfer.rules: rule 1: cannot counter"),
    ],
)
def test_a_rule_that_could_never_act_is_refused_by_name(room: object, rule: Rule, why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        room(rule)  # type: ignore[operator]


def test_a_rule_is_due_so_long_after_the_state_was_entered() -> None:
    rule, due = Rule("REQUESTED", Do.END, after=1.5), NOW + timedelta(seconds=1.5)
    waits = rule.holding(NOW, due - timedelta(microseconds=1))
    assert waits is not None
    assert waits.until == due
    assert rule.holding(NOW, due) is None


def test_a_path_counts_visits_and_forgets_the_oldest_stations() -> None:
    path: Path = ()
    for number in range(MOST_STATIONS):
        path = arrive(path, "STARTED" if number % 2 else "SUSPENDED", NOW + timedelta(seconds=number))
    assert visits(path, "STARTED") == MOST_STATIONS // 2
    longer = arrive(path, "TERMINATED", NOW)
    assert len(longer) == MOST_STATIONS
    assert longer[0] == path[1]
