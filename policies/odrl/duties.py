"""What has become of duties: fulfilled, violated or neither; consequences and remedies count only afterwards.

Source: ODRL Information Model 2.2, sections 2.6.3 to 2.6.7; ODRL formal semantics, section on duties.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from policies.odrl.conditions import (
    DATE_TIME,
    EVENT,
    POLICY_USAGE,
    PremiseReport,
    Ready,
    Scene,
    is_member,
    is_within,
    ready,
)
from policies.odrl.logic import all_of
from policies.odrl.model import Constraint, Duty, Permission, Prohibition, Refined, Stretch
from policies.odrl.times import FARTHEST, span
from policies.odrl.world import Deontic, Event, Request
from schemas.vocab import ODRL

Rule = Permission | Prohibition | Duty
_BEFORE = (ODRL + "lt", ODRL + "lteq")
Performance = Literal["Performed", "Unperformed", "Unknown"]


_PERFORMANCE: dict[Deontic, Performance] = {
    Deontic.FULFILLED: "Performed",
    Deontic.VIOLATED: "Unperformed",
    Deontic.NOT_SET: "Unknown",
}


@dataclass(frozen=True, slots=True)
class DutyReport:
    """One duty: whether it is owed now, whether it was performed, and what that comes to.

    `active` None means that it cannot be known, and then it is owed.
    """

    duty: Duty
    active: bool | None
    performance: Performance
    deontic: Deontic
    premises: tuple[PremiseReport, ...] = ()
    consequences: tuple[DutyReport, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadyRule:
    """The premises of a rule, prepared."""

    rule: Rule
    action: tuple[Ready, ...]
    party: tuple[Ready, ...]
    target: tuple[Ready, ...]
    constraints: tuple[Ready, ...]
    nested: tuple[ReadyRule, ...] = ()
    deadlines: tuple[Constraint, ...] = ()


def ready_rule(rule: Rule) -> ReadyRule:
    """Prepare a rule and the duties in it; the deadlines of a duty are kept apart from its conditions."""
    nested: tuple[Duty, ...] = (
        rule.duties
        if isinstance(rule, Permission)
        else rule.remedies
        if isinstance(rule, Prohibition)
        else rule.consequences
    )
    deadlines = tuple(
        one
        for one in rule.constraints
        if isinstance(rule, Duty) and isinstance(one, Constraint) and _is_deadline(one)
    )
    return ReadyRule(
        rule=rule,
        action=tuple(ready(one, "action") for one in rule.action.refinements),
        party=tuple(ready(one, "party") for one in rule.assignee.refinements),
        target=tuple(ready(one, "target") for one in rule.target.refinements),
        constraints=tuple(ready(one) for one in rule.constraints if one not in deadlines),
        nested=tuple(ready_rule(duty) for duty in nested),
        deadlines=deadlines,
    )


def _is_deadline(constraint: Constraint) -> bool:
    """Say whether a constraint of a duty says until when: after that it is overdue, and owed still."""
    if constraint.operator not in _BEFORE or len(constraint.values) != 1:
        return False
    if constraint.operand == EVENT:
        return constraint.values[0] == POLICY_USAGE
    return constraint.operand == DATE_TIME and isinstance(constraint.values[0], date | Stretch)


def deadline(duty: Duty) -> datetime | None:
    """Return the first instant at which a duty is overdue, or None if it says none."""
    ends = []
    for one in duty.constraints:
        if isinstance(one, Constraint) and _is_deadline(one) and isinstance(one.values[0], date | Stretch):
            ends.append(_end(one.values[0], within=one.operator == ODRL + "lteq"))
    return min(ends, default=None)


def _end(value: date | Stretch, *, within: bool) -> datetime:
    first, last = span(value)
    try:
        end = last + timedelta(microseconds=1) if within else first
        # What is done in time has to be so in every zone that may be meant.
        return end if end.tzinfo is not None else end.replace(tzinfo=UTC) - FARTHEST
    except OverflowError:  # the calendar ends here
        return (last if within else first).replace(tzinfo=UTC)


# --- does a rule speak of a request? -----------------------------------------------------------------


def target_state(one: ReadyRule, scene: Scene) -> bool | None:
    """Say whether a rule is about the target of a request."""
    return _participant(one.rule.target, scene.request.target, one.target, scene)


def party_state(one: ReadyRule, scene: Scene) -> bool | None:
    """Say whether a rule is about the parties of a request."""
    if not scene.behaviour.parties_matter:
        return True
    state = _participant(one.rule.assignee, scene.request.assignee, one.party, scene)
    if scene.request.assigner is None or one.rule.assigner.iri is None:
        return state
    return all_of((state, _participant(one.rule.assigner, scene.request.assigner, (), scene)))


def _participant(
    wanted: Refined, given: str | None, refinements: tuple[Ready, ...], scene: Scene
) -> bool | None:
    state: bool | None = True
    if wanted.iri is not None and given is None:
        state = None
    elif wanted.iri is not None and given is not None:
        members = scene.world.members
        if not is_member(given, wanted.iri, members) and not (
            wanted.source is not None and is_member(given, wanted.source, members)
        ):
            return False
    return all_of((state, *(one.check(scene) for one in refinements))) if refinements else state


def action_state(one: ReadyRule, scene: Scene) -> bool | None:
    """Say whether a rule is about the action of a request.

    A wide permission covers a narrow request. A prohibition also meets a request for a wider action, since
    that would allow what it forbids.
    """
    wanted, given = one.rule.action.iri, scene.request.action
    forbids = isinstance(one.rule, Prohibition)
    state: bool | None = True
    if wanted is not None and given is None:
        state = None
    elif wanted is not None and given is not None:
        state = is_within(given, wanted, scene.world.actions)
        if forbids and state is not True and scene.behaviour.wider_request_hits:
            state = is_within(wanted, given, scene.world.actions) or state
        if state is None and not forbids:
            state = False  # an action that nobody knows is covered by nothing but its own name
    if state is False or not one.action:
        return state
    return all_of((state, *(ready_one.check(scene) for ready_one in one.action)))


def premises(one: ReadyRule, scene: Scene) -> tuple[PremiseReport, ...]:
    """Report on the target, party, action and each constraint of a rule."""
    rule = one.rule
    sides = (
        PremiseReport("target", target_state(one, scene), rule.target.iri, parts=_parts(one.target, scene)),
        PremiseReport("party", party_state(one, scene), rule.assignee.iri, parts=_parts(one.party, scene)),
        PremiseReport("action", action_state(one, scene), rule.action.iri, parts=_parts(one.action, scene)),
    )
    return sides + _parts(one.constraints, scene)


def _parts(conditions: tuple[Ready, ...], scene: Scene) -> tuple[PremiseReport, ...]:
    return tuple(one.report(scene) for one in conditions)


# --- duties ------------------------------------------------------------------------------------------


def performed(
    one: ReadyRule, scene: Scene, by: str | None, after: datetime | None = None, late: bool = False
) -> Event | None:
    """Find the first event that performs a duty.

    Args:
        one: the duty.
        scene: its events up to now are looked at.
        by: who has to perform it where the duty names nobody; None for anybody.
        after: only what happened later than this counts.
        late: take what happened after the deadline too.
    """
    log, duty = scene.log, one.rule
    done = log.kept(("deeds", id(one), _who(one, by)), lambda: _deeds(one, scene, by))
    # The first one that lies late enough; if that is too late, so are all that follow.
    earliest = 0 if after is None else bisect_right(log.times, after)
    at = next(iter(done[bisect_left(done, earliest) :][:1]), None)
    if at is None or at >= scene.past():
        return None
    ends = deadline(duty) if isinstance(duty, Duty) else None
    return log.events[at] if late or ends is None or log.times[at] < ends else None


def _who(one: ReadyRule, by: str | None) -> str | None:
    return by if one.rule.assignee.iri is None else None


def _deeds(one: ReadyRule, scene: Scene, by: str | None) -> list[int]:
    """Return which events of the log perform a duty, whenever that was."""
    log, duty = scene.log, one.rule

    def find() -> list[int]:
        found = []
        for at, event in enumerate(log.events):
            if event.duty is not None and event.duty != duty.id:
                continue
            then = scene.at_event(at)
            # Of what was done for this very duty it is known that it was due; else it has to be of its kind.
            asked = one.action if event.duty == duty.id else (*one.action, *one.constraints)
            if event.duty != duty.id and not _is_about(one, then):
                continue
            if all_of(check.check(then) for check in asked) is True:
                found.append(at)
        return found

    everybody = log.kept(("deeds of anybody", id(one)), find)
    if _who(one, by) is None or by is None:
        return everybody
    return [
        at
        for at in everybody
        if log.events[at].duty == duty.id or _is_by(log.events[at].what, by, scene.at_event(at))
    ]


def _is_about(one: ReadyRule, then: Scene) -> bool:
    rule = one.rule
    return (
        action_state(one, then) is True
        and (rule.target.iri is None or target_state(one, then) is True)
        and (rule.assignee.iri is None or party_state(one, then) is True)
    )


def _is_by(what: Request, by: str, scene: Scene) -> bool:
    return what.assignee is not None and is_member(what.assignee, by, scene.world.members)


def duty_report(one: ReadyRule, scene: Scene, by: str | None, after: datetime | None = None) -> DutyReport:
    """Say what has become of a duty.

    Args:
        one: the duty, prepared.
        scene: the state of the world; earlier reports on the duty count before events do.
        by: who owes it where it names nobody; None for anybody.
        after: for a consequence or remedy, when what it makes good happened.
    """
    duty = one.rule
    if not isinstance(duty, Duty):
        raise TypeError(f"{type(duty).__name__} is not a duty")
    active = all_of(check.check(scene) for check in one.constraints)
    found = premises(one, scene)
    said = scene.world.duties.get(duty.id)
    if said is not None:
        return DutyReport(duty, active, _PERFORMANCE[said], said, found)
    if performed(one, scene, by, after) is not None:
        return DutyReport(duty, active, "Performed", Deontic.FULFILLED, found)
    ends, now = deadline(duty), scene.world.now
    if active is False or ends is None or now is None or now < ends:
        return DutyReport(duty, active, "Unknown", Deontic.NOT_SET, found)
    return _overdue(one, scene, by, ends, found)


def _overdue(
    one: ReadyRule, scene: Scene, by: str | None, ends: datetime, found: tuple[PremiseReport, ...]
) -> DutyReport:
    """Report on a missed duty: it is still owed, and so are its consequences, from its deadline on."""
    duty = one.rule
    assert isinstance(duty, Duty)  # noqa: S101  # `duty_report` made sure
    consequences = tuple(duty_report(inner, scene, by, ends) for inner in one.nested)
    made_good = (
        bool(consequences)
        and performed(one, scene, by, late=True) is not None
        and all_fulfilled(consequences)
    )
    state = Deontic.FULFILLED if made_good else Deontic.VIOLATED
    return DutyReport(duty, True, "Performed" if made_good else "Unperformed", state, found, consequences)


def all_fulfilled(reports: Iterable[DutyReport]) -> bool:
    """Say whether every duty is fulfilled."""
    return all(report.deontic is Deontic.FULFILLED for report in reports)
