"""Conditions made ready: each constraint becomes a function of the scene, looked up and compared once built.

Source: ODRL Information Model 2.2, section 2.5.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from policies.odrl.compare import Comparison, Elapsed, Measured, Quantity, Values, comparison
from policies.odrl.logic import COMBINED
from policies.odrl.model import Condition, Constraint, Iri, Logical, Value
from policies.odrl.vocabulary import INCLUDED_IN, SAME_ACTION
from policies.odrl.world import Behaviour, Event, Request, World
from schemas.vocab import ODRL

DATE_TIME = ODRL + "dateTime"
COUNT = ODRL + "count"
EVENT = ODRL + "event"
POLICY_USAGE = Iri(ODRL + "policyUsage")

Source = Literal["use", "action", "party", "target"]
"""Whose facts a constraint asks for: those of the use, or those of what a refinement stands on."""


class Log:
    """The events of a world, the earliest first, and what was found out of each: once, for all who ask."""

    __slots__ = ("events", "found", "scenes", "times")

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = sorted(events, key=_when)
        self.times = [event.at for event in self.events]
        self.scenes: dict[int, Scene] = {}
        self.found: dict[object, list[int]] = {}

    def kept(self, key: object, find: Callable[[], list[int]]) -> list[int]:
        """Return what was found under a key, or find it now."""
        if key not in self.found:
            self.found[key] = find()
        return self.found[key]


class Line(Sequence["Scene"]):
    """The first scenes of a list that many share, and perhaps one more."""

    def __init__(self, scenes: list[Scene], count: int, last: Scene | None = None) -> None:
        self._scenes, self._count, self._last = scenes, count, last

    def __len__(self) -> int:
        return self._count + (self._last is not None)

    def __getitem__(self, at: Any) -> Any:
        if at < self._count:
            return self._scenes[at]
        if at == self._count and self._last is not None:
            return self._last
        raise IndexError(at)


class Scene:
    """A request in a state of the world, with the facts of both laid together."""

    __slots__ = (
        "_line",
        "_log",
        "behaviour",
        "counted",
        "knowledge",
        "orders",
        "request",
        "values",
        "world",
    )

    def __init__(self, request: Request, world: World, behaviour: Behaviour, log: Log | None = None) -> None:
        self.request, self.world, self.behaviour = request, world, behaviour
        self.knowledge = world.knowledge
        self.values: dict[str, Values] = {**world.values, **request.values}
        if world.now is not None:
            self.values[DATE_TIME] = (world.now,)
        self.counted: int | None = None
        self.orders: dict[object, bool | None] = {}
        self._line: Sequence[Scene] | None = None
        self._log = log

    @property
    def log(self) -> Log:
        """Return the log of the world, shared with the scenes of its events."""
        if self._log is None:
            self._log = Log(self.world.events)
        return self._log

    def facts(self, operand: str, source: Source) -> Values:
        """Return the values of an operand; none if it is not known."""
        if operand == COUNT and self.counted is not None:
            return (self.counted,)
        if source != "use":
            request = self.request
            own, name = (
                (request.action_values, request.action)
                if source == "action"
                else (request.party_values, request.assignee)
                if source == "party"
                else (request.target_values, request.target)
            )
            if operand in own:
                return own[operand]
            if name is not None and operand in self.world.properties.get(name, ()):
                return self.world.properties[name][operand]
        return self.values.get(operand, ())

    def facts_for(self, constraint: Constraint, source: Source) -> Values:
        """Return the values to compare with a constraint: the facts, or else its status, if that counts."""
        found = self.facts(constraint.operand, source)
        if found or constraint.status is None or not self.behaviour.believe_status:
            return found
        status, unit = constraint.status, constraint.unit
        if constraint.operand == COUNT and type(status) is int:
            status += 1  # the use that is asked for counts too
        return (status if unit is None else Quantity(status, unit),)

    def past(self) -> int:
        """Return how many events of the log lie up to now."""
        now = self.world.now
        return len(self.log.times) if now is None else bisect_right(self.log.times, now)

    def before(self) -> int:
        """Return how many events of the log lie before now."""
        now = self.world.now
        return len(self.log.times) if now is None else bisect_left(self.log.times, now)

    def own_scene(self, event: Event) -> Scene:
        """Return a scene as it was when an event happened, to be counted in."""
        return Scene(event.what, replace(self.world, now=event.at), self.behaviour, self.log)

    def at_event(self, at: int) -> Scene:
        """Return the scene as it was when an event of the log happened, shared by all who look at it."""
        scenes = self.log.scenes
        if at not in scenes:
            scenes[at] = self.own_scene(self.log.events[at])
        return scenes[at]

    def moments(self) -> Sequence[Scene]:
        """Return the scenes of all events up to now, and the present one last.

        They are made once and shared: orders within orders would multiply them.
        """
        if self._line is None:
            made = [self.at_event(at) for at in range(self.past())]
            for scene in made:
                if scene._line is None:
                    scene._line = Line(made, scene.past())
            self._line = Line(made, len(made), self)
        return self._line


def _when(event: Event) -> datetime:
    return event.at


def is_within(action: str, wider: str, more: Mapping[str, tuple[str, ...]]) -> bool | None:
    """Say whether an action is another or is included in it; None if nobody here knows the action."""
    if action == wider:
        return True
    action, wider = SAME_ACTION.get(action, action), SAME_ACTION.get(wider, wider)
    if action == wider:
        return True
    seen, open_ends = {action}, [action]
    while open_ends:
        current = open_ends.pop()
        above = INCLUDED_IN.get(current)
        for name in (*((above,) if above else ()), *more.get(current, ())):
            if name == wider:
                return True
            if name not in seen:
                seen.add(name)
                open_ends.append(name)
    return False if action in INCLUDED_IN or action in more else None


def is_member(name: str, collection: str, members: Mapping[str, tuple[str, ...]]) -> bool:
    """Say whether something is a collection's, directly or through others."""
    if name == collection:
        return True
    seen, open_ends = {name}, [name]
    while open_ends:
        for above in members.get(open_ends.pop(), ()):
            if above == collection:
                return True
            if above not in seen:
                seen.add(above)
                open_ends.append(above)
    return False


Check = Callable[[Scene], "bool | None"]


@dataclass(frozen=True, slots=True)
class PremiseReport:
    """Whether one premise of a rule is so: its target, party, action or a constraint.

    `state` None means that it cannot be known. `left` is what the operand was found to be; `parts` are the
    constraints of a combination, or the refinements of a target, party or action; `text` says it in words.
    """

    kind: Literal["target", "party", "action", "constraint"]
    state: bool | None
    id: str | None = None
    condition: Condition | None = None
    left: Values = ()
    parts: tuple[PremiseReport, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A condition with its check."""

    condition: Condition
    check: Check
    source: Source
    parts: tuple[Ready, ...] = ()

    def report(self, scene: Scene) -> PremiseReport:
        """Evaluate, and say how each part came out."""
        condition = self.condition
        left = () if isinstance(condition, Logical) else scene.facts_for(condition, self.source)
        parts = tuple(part.report(scene) for part in self.parts)
        return PremiseReport("constraint", self.check(scene), condition.id, condition, left, parts)


def ready(condition: Condition, source: Source = "use") -> Ready:
    """Prepare a condition."""
    if isinstance(condition, Constraint):
        return Ready(condition, _atomic(condition, source), source)
    parts = tuple(ready(part, source) for part in condition.parts)
    checks = tuple(part.check for part in parts)
    if condition.form == "andSequence":
        return Ready(condition, _in_order(checks), source, parts)
    combine = COMBINED[condition.form]

    def combined(scene: Scene) -> bool | None:
        return combine(check(scene) for check in checks)

    return Ready(condition, combined, source, parts)


def _atomic(constraint: Constraint, source: Source) -> Check:
    operand = constraint.operand
    if constraint.reference is not None and not constraint.values:
        return _by_reference(constraint, source)
    test = comparison(constraint.operator, constraint.values, constraint.unit)
    if source == "use" and operand != COUNT and constraint.status is None:
        # The common case by the shortest way: this is what a decision spends its time on.
        def compared(scene: Scene) -> bool | None:
            return test(scene.values.get(operand, ()), scene.knowledge)

        return compared

    def found_and_compared(scene: Scene) -> bool | None:
        return test(scene.facts_for(constraint, source), scene.knowledge)

    return found_and_compared


def _by_reference(constraint: Constraint, source: Source) -> Check:
    reference = constraint.reference or ""
    seen: dict[Values, Comparison] = {}

    def compared(scene: Scene) -> bool | None:
        named = scene.world.references.get(reference, ())
        if named not in seen:
            seen.clear()
            rights, unit = _bare(named, constraint.unit)
            seen[named] = comparison(constraint.operator, rights, unit)
        return seen[named](scene.facts_for(constraint, source), scene.knowledge)

    return compared


def _bare(values: Sequence[Measured], unit: str | None) -> tuple[list[Value], str | None]:
    """Take the values of a reference apart; of different units, none is comparable."""
    units = {value.unit for value in values if isinstance(value, Quantity)}
    if len(units) > 1:
        return [], None
    bare = [
        value.value if isinstance(value, Quantity) else value
        for value in values
        if not isinstance(value, Elapsed)
    ]
    if len(bare) < len(values):
        return [], None
    return bare, (units.pop() if units else unit)


def _in_order(checks: tuple[Check, ...]) -> Check:
    """Hold once each part was satisfied at an event, each later than the one before; now counts as the last.

    One moment tells no order: without an event up to now it cannot be known.
    """

    def in_order(scene: Scene) -> bool | None:
        if in_order not in scene.orders:
            scene.orders[in_order] = walked(scene)
        return scene.orders[in_order]

    def walked(scene: Scene) -> bool | None:
        moments = scene.moments()
        if not scene.past() and len(checks) > 1:
            return None
        if _walked(checks, moments, (True,)):
            return True
        return None if _walked(checks, moments, (True, None)) else False

    return in_order


def _walked(checks: tuple[Check, ...], moments: Sequence[Scene], good: tuple[bool | None, ...]) -> bool:
    """Say whether each check comes out well at a later time than the one before; the earliest will do."""
    left, last = iter(moments), None
    for check in checks:
        for moment in left:
            now = moment.world.now
            if (last is None or now is None or now > last) and check(moment) in good:
                last = now
                break
        else:
            return False
    return True
