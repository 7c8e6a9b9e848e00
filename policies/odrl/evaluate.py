"""One evaluation of a policy: the state of every rule and premise, and the verdict.

Pure, and the same for every policy; `prepare` does once what does not depend on the request.

Source: ODRL formal semantics (Community Group draft of 2026-06-23); ODRL Information Model 2.2.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from policies.odrl.conditions import COUNT, PremiseReport, Scene
from policies.odrl.duties import (
    DutyReport,
    ReadyRule,
    Rule,
    action_state,
    duty_report,
    party_state,
    premises,
    ready_rule,
    target_state,
)
from policies.odrl.logic import Verdict, all_of, forbids, verdict
from policies.odrl.model import (
    Condition,
    Constraint,
    Duty,
    Permission,
    PolicyKind,
    PolicyModel,
    Prohibition,
)
from policies.odrl.vocabulary import CORE_PROFILE
from policies.odrl.world import FAIL_CLOSED, NOWHERE, Behaviour, Deontic, Request, World

_GRANT_NOTHING = (PolicyKind.OFFER, PolicyKind.REQUEST, PolicyKind.ASSERTION)


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One permission or prohibition.

    Attributes:
        rule: the rule.
        attempted: the request asks for its action, target and party; None if that cannot be known.
        active: it is in effect.
        control: of a permission, whether it permits the request.
        premises: its target, party, action and constraints.
        duties: the duties of a permission, or the remedies of a prohibition.
        unknown: something in it cannot be known, which is why it is as it is.
    """

    rule: Permission | Prohibition
    attempted: bool | None
    active: bool
    control: Literal["Permit", "Deny"]
    premises: tuple[PremiseReport, ...]
    duties: tuple[DutyReport, ...]
    unknown: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a policy says of a request.

    `stopped` says why a policy was not evaluated at all; its verdict is then deny, or void.
    """

    policy: PolicyModel
    request: Request
    world: World
    verdict: Verdict
    stopped: str | None = None
    rules: tuple[RuleReport, ...] = ()
    obligations: tuple[DutyReport, ...] = ()


@dataclass(frozen=True, slots=True)
class PreparedRule:
    """A permission or prohibition, ready to be evaluated."""

    ready: ReadyRule
    counts: bool


@dataclass(frozen=True, slots=True)
class PreparedPolicy:
    """A policy, ready to be evaluated many times."""

    policy: PolicyModel
    behaviour: Behaviour
    permissions: tuple[PreparedRule, ...]
    prohibitions: tuple[PreparedRule, ...]
    obligations: tuple[ReadyRule, ...]
    stopped: str | None
    void: bool


def prepare(policy: PolicyModel, behaviour: Behaviour = FAIL_CLOSED) -> PreparedPolicy:
    """Do once what does not depend on a request."""
    stopped = _why_stopped(policy, behaviour)
    return PreparedPolicy(
        policy=policy,
        behaviour=behaviour,
        permissions=tuple(_prepared(rule) for rule in policy.permissions),
        prohibitions=tuple(_prepared(rule) for rule in policy.prohibitions),
        obligations=tuple(ready_rule(duty) for duty in policy.obligations),
        stopped=stopped,
        void=policy.void is not None,
    )


def _why_stopped(policy: PolicyModel, behaviour: Behaviour) -> str | None:
    """A policy that cannot be understood as a whole is not evaluated in part."""
    if policy.void is not None:
        return f"the policy is void: {policy.void}"
    if policy.inherits:
        return f"it inherits from {policy.inherits[0][:120]!r}, which is not merged in"
    if policy.kind in _GRANT_NOTHING and not behaviour.offers:
        return f"an {policy.kind} grants nothing; it has to become an Agreement"
    if behaviour.profiles is not None:
        for profile in policy.profiles:
            if profile != CORE_PROFILE and profile not in behaviour.profiles:
                return f"profile {profile[:120]!r} is unknown here"
    return None


def _prepared(rule: Permission | Prohibition) -> PreparedRule:
    refined = (*rule.action.refinements, *rule.target.refinements, *rule.assignee.refinements)
    return PreparedRule(ready_rule(rule), any(_counts(one) for one in (*rule.constraints, *refined)))


def _counts(condition: Condition) -> bool:
    if isinstance(condition, Constraint):
        return condition.operand == COUNT
    return any(_counts(part) for part in condition.parts)


def decide(prepared: PreparedPolicy, request: Request, world: World = NOWHERE) -> Verdict:
    """Say only what `evaluate` comes to, as fast as it can be known."""
    if prepared.stopped is not None:
        return Verdict.VOID if prepared.void else Verdict.DENY
    scene = Scene(request, world, prepared.behaviour)
    permitted = any(_permits(one, scene) for one in prepared.permissions)
    prohibited = any(_prohibits(one, scene) for one in prepared.prohibitions)
    return verdict(permitted, prohibited, prepared.policy.conflict, prepared.behaviour.closed)


def evaluate(
    policy: PolicyModel | PreparedPolicy,
    request: Request,
    world: World = NOWHERE,
    behaviour: Behaviour = FAIL_CLOSED,
) -> Evaluation:
    """Evaluate a policy and report on all of it.

    Args:
        policy: the policy, its parents merged in; prepared, it keeps the behaviour that it was prepared for.
        request: who means to do what.
        world: what is so.
        behaviour: where the published sources differ; the default fails closed.
    """
    prepared = policy if isinstance(policy, PreparedPolicy) else prepare(policy, behaviour)
    said = prepared.policy
    if prepared.stopped is not None:
        outcome = Verdict.VOID if prepared.void else Verdict.DENY
        return Evaluation(said, request, world, outcome, prepared.stopped)
    scene = Scene(request, world, prepared.behaviour)
    permissions = tuple(_report(one, scene) for one in prepared.permissions)
    prohibitions = tuple(_report(one, scene) for one in prepared.prohibitions)
    scene.counted = None
    obligations = tuple(duty_report(one, scene, owes(one.rule, scene)) for one in prepared.obligations)
    outcome = verdict(
        any(report.control == "Permit" for report in permissions),
        any(report.control == "Deny" for report in prohibitions),
        said.conflict,
        prepared.behaviour.closed,
    )
    return Evaluation(said, request, world, outcome, None, permissions + prohibitions, obligations)


# --- the state of one rule ---------------------------------------------------------------------------


def is_attempted(one: ReadyRule, scene: Scene) -> bool | None:
    """Say whether a request is for the action, target and parties of a rule."""
    return all_of((action_state(one, scene), target_state(one, scene), party_state(one, scene)))


def count(one: PreparedRule, scene: Scene) -> None:
    """Count how often a rule was exercised, the exercise that is asked for included; duties count apart."""
    scene.counted = None
    if not one.counts:
        return
    rule = one.ready.rule
    prior = scene.world.counts.get(rule.id)
    if prior is None and scene.world.events:
        # What is asked for may be in the log already: only what lies before it is prior.
        prior = bisect_left(_attempts(one.ready, scene), scene.before())
    if prior is None and len(known := scene.values.get(COUNT, ())) == 1 and type(known[0]) is int:
        prior = known[0]
    scene.counted = None if prior is None else prior + 1


def _attempts(one: ReadyRule, scene: Scene) -> list[int]:
    """Return which events of the log a rule speaks of, in order."""
    log = scene.log

    def find() -> list[int]:
        return [at for at in range(len(log.events)) if is_attempted(one, scene.at_event(at)) is True]

    return log.kept(("attempts", id(one)), find)


def constraints_state(one: ReadyRule, scene: Scene) -> bool | None:
    """Say whether the constraints of a rule hold."""
    unknown = False
    for ready in one.constraints:
        state = ready.check(scene)
        if state is False:
            return False
        unknown = unknown or state is None
    return None if unknown else True


def _permits(one: PreparedRule, scene: Scene) -> bool:
    count(one, scene)
    holds = is_attempted(one.ready, scene) is True and constraints_state(one.ready, scene) is True
    return holds and all(_allows(report, scene) for report in _duties(one.ready, scene))


def _prohibits(one: PreparedRule, scene: Scene) -> bool:
    count(one, scene)
    return is_active(all_of((is_attempted(one.ready, scene), constraints_state(one.ready, scene))), scene)


def is_active(state: bool | None, scene: Scene) -> bool:
    """Say whether a prohibition applies; one that cannot be shown not to does."""
    return forbids(state, scene.behaviour.unknown_prohibits)


def owes(rule: Rule, scene: Scene) -> str | None:
    """Return who owes the duties of a rule: its assignee, else who asks; None where anybody will do."""
    if scene.behaviour.anyone_performs:
        return None
    return rule.assignee.iri if isinstance(rule, Duty) else scene.request.assignee or rule.assignee.iri


def _duties(one: ReadyRule, scene: Scene) -> Iterable[DutyReport]:
    by = owes(one.rule, scene)
    scene.counted = None  # that was the count of the rule
    return (duty_report(duty, scene, by) for duty in one.nested)


def _allows(report: DutyReport, scene: Scene) -> bool:
    """Say whether a permission may be used for all that this duty has become."""
    if not scene.behaviour.duties_fulfilled:
        return report.deontic is not Deontic.VIOLATED
    return report.active is False or report.deontic is Deontic.FULFILLED


def _report(one: PreparedRule, scene: Scene) -> RuleReport:
    count(one, scene)
    rule = one.ready.rule
    assert isinstance(rule, Permission | Prohibition)  # noqa: S101  # `prepare` made it of one
    attempted, constraints = is_attempted(one.ready, scene), constraints_state(one.ready, scene)
    found = premises(one.ready, scene)
    duties = tuple(_duties(one.ready, scene))
    whole = all_of((attempted, constraints))
    # Where a mismatch leaves a rule active, only its constraints and duties decide on that.
    state = whole if scene.behaviour.mismatch_deactivates else constraints
    if isinstance(rule, Permission):
        allowed = all(_allows(duty, scene) for duty in duties)
        active = state is True and allowed
        control: Literal["Permit", "Deny"] = "Permit" if whole is True and allowed else "Deny"
    else:
        active = is_active(state, scene)
        control = "Deny" if is_active(whole, scene) else "Permit"
    return RuleReport(rule, attempted, active, control, found, duties, whole is None)
