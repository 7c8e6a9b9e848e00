"""A whole log of events against a policy: was each of them allowed, and was what is owed done?

Each event is judged as the world was when it happened. A missed duty can still be made good: the duty is
performed late, and so are its consequences, all after the miss. An infringed prohibition is cleared by its
remedies, performed after it. What was done before does not count.

Source: ODRL Information Model 2.2, sections 2.6.4 (obligation), 2.6.5 (duty), 2.6.6 (consequence) and 2.6.7
(remedy).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from policies.odrl.conditions import Scene
from policies.odrl.duties import ReadyRule, deadline, performed
from policies.odrl.evaluate import (
    PreparedPolicy,
    PreparedRule,
    constraints_state,
    count,
    is_active,
    is_attempted,
    owes,
    prepare,
)
from policies.odrl.logic import Verdict, all_of, verdict
from policies.odrl.model import (
    Condition,
    ConflictStrategy,
    Duty,
    Logical,
    Permission,
    PolicyModel,
    Prohibition,
)
from policies.odrl.world import FAIL_CLOSED, NOWHERE, Behaviour, Event, Request, World
from schemas.errors import TooLarge

MOST_EVENTS = 10_000
"""Events of one log."""
MOST_LOOKS = 20_000_000
"""How often an event may be looked at, over all rules and constraints."""


@dataclass(frozen=True, slots=True)
class Breach:
    """Something in a log that a policy does not bear: the event, if it is one, the rule, and why."""

    text: str
    event: Event | None = None
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """Whether a log keeps to a policy, and each breach of it."""

    breaches: tuple[Breach, ...]

    @property
    def valid(self) -> bool:
        """Say whether there is no breach."""
        return not self.breaches


def judge_history(
    policy: PolicyModel,
    events: Iterable[Event],
    world: World = NOWHERE,
    behaviour: Behaviour = FAIL_CLOSED,
) -> HistoryReport:
    """Judge a whole log.

    Args:
        policy: the policy, its parents merged in.
        events: what was done, in any order.
        world: what was so all the time; its `now` is when the log was closed, its last event if None.
        behaviour: as in `evaluate`.

    Raises:
        TooLarge: if the log, or the log by the rules, is more than is judged at once.
    """
    log = tuple(sorted(islice(events, MOST_EVENTS + 1), key=lambda event: event.at))
    _bound(policy, len(log))
    prepared = prepare(policy, behaviour)
    if prepared.stopped is not None:
        return HistoryReport((Breach(f"the policy cannot be evaluated: {prepared.stopped}"),))
    ends = world.now or (log[-1].at if log else None)
    judge = _Judge(prepared, replace(world, events=log, now=ends))
    return HistoryReport(tuple(judge.breaches(log)))


def _bound(policy: PolicyModel, events: int) -> None:
    """Each event is looked at for each rule and constraint; for an order, each pair of events.

    Raises:
        TooLarge: if that is more than anybody waits for.
    """
    rules: tuple[Permission | Prohibition | Duty, ...] = (
        *policy.permissions,
        *policy.prohibitions,
        *policy.obligations,
    )
    weight, orders = map(sum, zip((0, 0), *map(_weight, rules), strict=True))
    if events > MOST_EVENTS:
        raise TooLarge(f"log has more than {MOST_EVENTS:,} events; judge it month by month, say")
    if events * weight > MOST_LOOKS or events * events * orders > MOST_LOOKS:
        raise TooLarge(
            f"log of {events:,} events is too long for a policy of {weight:,} rules and constraints, "
            f"{orders:,} of them in an order; judge it in parts"
        )


def _weight(rule: Permission | Prohibition | Duty) -> tuple[int, int]:
    """Count the rules and constraints of a rule, and of them the orders."""
    nested: tuple[Duty, ...] = (
        rule.duties
        if isinstance(rule, Permission)
        else rule.remedies
        if isinstance(rule, Prohibition)
        else rule.consequences
    )
    refined = (*rule.action.refinements, *rule.target.refinements, *rule.assignee.refinements)
    waiting: list[Condition] = [*rule.constraints, *refined]
    weight, orders = map(sum, zip((1, 0), *map(_weight, nested), strict=True))
    while waiting:
        one = waiting.pop()
        weight += 1
        if isinstance(one, Logical):
            waiting += one.parts
            orders += one.form == "andSequence"
    return weight, orders


class _Judge:
    def __init__(self, prepared: PreparedPolicy, world: World) -> None:
        self._prepared = prepared
        self._world = world
        self._end = Scene(Request(), world, prepared.behaviour)

    def breaches(self, log: tuple[Event, ...]) -> Iterator[Breach]:
        for event in log:
            found = self._event(event)
            if found is not None:
                yield found
        for obligation in self._prepared.obligations:
            found = self._obligation(obligation)
            if found is not None:
                yield found

    def _event(self, event: Event) -> Breach | None:
        """Judge one event: it is permitted, and no prohibition meets it that stays infringed."""
        scene = self._end.own_scene(event)
        infringed = [one for one in self._prepared.prohibitions if self._hits(one, scene)]
        permitted, why = self._permitted(scene, event)
        open_ends = [one for one in infringed if not self._remedied(one, scene, event)]
        conflict = self._prepared.policy.conflict
        if not infringed or not open_ends:
            # A remedied infringement is past: whether the use was permitted is still asked.
            outcome = verdict(permitted, False, closed=self._prepared.behaviour.closed)
        elif conflict is ConflictStrategy.PERMIT and permitted:
            outcome = Verdict.PERMIT
        else:
            return Breach("a prohibition was infringed and not remedied", event, open_ends[0].ready.rule.id)
        return None if outcome is Verdict.PERMIT else Breach(why, event)

    def _hits(self, one: PreparedRule, scene: Scene) -> bool:
        count(one, scene)
        return is_active(all_of((is_attempted(one.ready, scene), constraints_state(one.ready, scene))), scene)

    def _permitted(self, scene: Scene, event: Event) -> tuple[bool, str]:
        why = "no permission covers it"
        for one in self._prepared.permissions:
            count(one, scene)
            if is_attempted(one.ready, scene) is not True:
                continue
            if constraints_state(one.ready, scene) is not True:
                why = "a constraint of its permission did not hold"
                continue
            scene.counted = None  # that was the count of the permission
            if all(self._duty_done(duty, one.ready, scene, event) for duty in one.ready.nested):
                return True, ""
            why = "a duty of its permission was not performed before it, nor made good after it"
        return False, why

    def _duty_done(self, duty: ReadyRule, of: ReadyRule, scene: Scene, event: Event) -> bool:
        if all_of(check.check(scene) for check in duty.constraints) is False:
            return True  # not owed at the time
        by = owes(of.rule, scene)
        done = performed(duty, scene, by)
        if done is not None and done.at < event.at:
            return True
        if not self._prepared.behaviour.duties_fulfilled and not _missed(duty, event.at):
            return True
        return self._made_good(duty, by, event.at)

    def _made_good(self, duty: ReadyRule, by: str | None, missed: datetime) -> bool:
        """Say whether a missed duty was performed late, with consequences that all followed the miss."""
        return (
            bool(duty.nested)
            and performed(duty, self._end, by, missed, late=True) is not None
            and all(performed(one, self._end, by, missed) is not None for one in duty.nested)
        )

    def _remedied(self, one: PreparedRule, scene: Scene, event: Event) -> bool:
        remedies = one.ready.nested
        by = owes(one.ready.rule, scene)
        return bool(remedies) and all(
            performed(remedy, self._end, by, event.at) is not None for remedy in remedies
        )

    def _obligation(self, one: ReadyRule) -> Breach | None:
        """Judge an obligation when the log is closed: it was performed in time, or made good."""
        by = owes(one.rule, self._end)
        if performed(one, self._end, by) is not None:
            return None
        if not _applies_ever(one, self._end):
            return None
        assert isinstance(one.rule, Duty)  # noqa: S101  # obligations are duties
        ends = deadline(one.rule)
        if ends is not None and self._made_good(one, by, ends):
            return None
        return Breach("an obligation was not performed", None, one.rule.id)


def _missed(duty: ReadyRule, at: datetime) -> bool:
    ends = deadline(duty.rule) if isinstance(duty.rule, Duty) else None
    return ends is not None and at >= ends


def _applies_ever(one: ReadyRule, end: Scene) -> bool:
    """Say whether an obligation was owed at any moment of the log; what cannot be known was."""
    return any(
        all_of(check.check(moment) for check in one.constraints) is not False for moment in end.moments()
    )
