"""Data flows: what control planes ask for, decided by their agreements, saved with what it causes.

What a crash leaves behind: a flow whose work was promised (PREPARING, STARTING) or whose push was under way,
which `tick` finds; and saved mail, which the outbox finds. A push that broke off is sent again from its first
row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from connector.outbox.letter import shorten
from connector.signaling.dialects import Note, Wanted
from connector.signaling.flows import MOST_TRIES, Flows, Stepped
from connector.signaling.machine import By, Said, is_repeat, move
from connector.signaling.ports import ControlPlane, DataFlow
from connector.signaling.steps import (
    check_address,
    heard,
    is_other_run,
    opened,
    reopened,
    same_terms,
    waits_for_push,
)
from connector.transfer.direction import direction_of
from connector.transfer.lease import PUSH_LEASE, renewed
from connector.transfer.ports import Received
from schemas.base import Role
from schemas.dps import ControlPlaneRegistrationMessage
from schemas.dps import FlowState as State
from schemas.dsp.transfer import DataAddress
from schemas.errors import (
    AlreadyExists,
    DataspaceError,
    Forbidden,
    IllegalMove,
    Misconfigured,
    NotFound,
    StaleState,
    Unavailable,
)

RECOVERY = timedelta(seconds=5)
"""How often `tick` looks through the store for work that another process left behind."""

_WORKING = (State.PREPARING, State.STARTING)
_log = structlog.get_logger("connector.signaling")


@dataclass(frozen=True)
class Standing:
    """A flow as it stands, and the data address that its control plane is to pass on."""

    flow: DataFlow
    address: DataAddress | None = None


class DataFlows(Flows):
    """What control planes ask for, and what our own side does about it.

    Args:
        profiles: transfer profiles that are served.
        given: as for `Flows`.

    Raises:
        Misconfigured: if a profile could never be served.
    """

    def __init__(self, *, profiles: Sequence[str], **given: Any) -> None:
        super().__init__(**given)
        for profile in profiles:
            if direction_of(profile) is None:
                raise Misconfigured(
                    f"signaling.profiles: {profile[:80]!r} names no direction; write …-pull or …-push"
                )
        self._profiles = frozenset(profiles)
        self._recovered: datetime | None = None

    # --- what control planes ask ------------------------------------------------------------------

    def prepare(self, plane: ControlPlane, wanted: Wanted) -> Standing:
        """Prepare a flow as a consumer's data plane; for a push, make a sink.

        Raises:
            Refused: saying what cannot be taken.
            AlreadyExists: if the process has a flow about something else.
            IllegalMove: if the flow of the process is past its preparation.
        """
        self._check(plane, wanted)
        check_address(wanted, prepares=True)
        held = self._store.find(plane.id, wanted.process)
        if held is not None:
            same_terms(held, wanted)
            if is_repeat(held.state, Said.PREPARE):
                return self._shown(held)
            move(held.state, By.CONTROL, Said.PREPARE)  # raises: a process is prepared once
        flow = opened(plane, wanted, Said.PREPARE, self._new_id(), self._clock())
        if not plane.asynchronous:
            flow = replace(flow, state=move(flow.state, By.DATA, Said.IS_PREPARED))
        return self._shown(self._save_new(plane, flow))

    def start(self, plane: ControlPlane, wanted: Wanted) -> Standing:
        """Start a flow as a provider's data plane, if its agreement permits it.

        Raises:
            Refused: saying what cannot be taken, a policy that cannot be enforced or denies included; the
                flow is not started.
            PeerUnavailable: if the control plane does not give the agreement; nothing was changed.
            IllegalMove: if the flow of the process has ended.
        """
        self._check(plane, wanted)
        check_address(wanted, prepares=False)
        held = self._store.find(plane.id, wanted.process)
        if held is not None:
            same_terms(held, wanted)
            if is_repeat(held.state, Said.START):
                return self._shown(held)
            return self._begin(plane, held.pid, lambda flow: reopened(flow, wanted, Said.START))
        flow = opened(plane, wanted, Said.START, self._new_id(), self._clock())
        if plane.asynchronous:
            return self._shown(self._save_new(plane, flow))
        return self._begin_new(plane, flow)

    def tell(self, plane: ControlPlane, name: str, said: str, note: Note) -> Standing:
        """Take what a control plane says of one of its flows; a repeat changes nothing.

        `said` is one of started, suspend, resume, terminate, completed.

        Raises:
            NotFound: if it has no such flow.
            IllegalMove: if it may not say that here.
            Refused: if a flow is resumed that its agreement does not permit (any more).
        """
        what, flow = Said(said), self.of(plane, name)
        if is_repeat(flow.state, what):
            return self._shown(flow)
        if what is Said.RESUME and flow.role is Role.PROVIDER:

            def resumed(held: DataFlow) -> DataFlow:
                state = move(held.state, By.CONTROL, Said.RESUME)
                return replace(held, state=state, address=note.address or held.address)

            return self._begin(plane, flow.pid, resumed)

        def step(held: DataFlow) -> Stepped:
            return None if is_repeat(held.state, what) else (heard(held, what, note), None, None)

        return self._shown(self._move(flow.pid, step))

    def register(self, plane: ControlPlane, said: ControlPlaneRegistrationMessage) -> None:
        """Take note that a control plane is there. Its registration is the operator's settings.

        Raises:
            Forbidden: if it names another id or URL than the operator configured.
        """
        for name, value, expected in (
            ("controlplaneId", said.controlplane_id, plane.id),
            ("endpoint", said.endpoint.rstrip("/"), plane.url.rstrip("/")),
        ):
            if value != expected:
                raise Forbidden(
                    f"{name} is {value[:200]!r}, but the operator configured {expected!r}; change "
                    "signaling.control_planes if the new value is right"
                )
        self._store.leave(plane.id, False)

    def leave(self, plane: ControlPlane, control_plane: str) -> None:
        """Take note that a control plane takes its leave: it opens no flows until it registers again.

        Raises:
            NotFound: if it speaks of another one.
        """
        if control_plane != plane.id:
            raise NotFound(f"no control plane {control_plane[:80]!r} of yours here")
        self._store.leave(plane.id, True)

    # --- what our own side does -------------------------------------------------------------------

    def complete(self, pid: str) -> DataFlow:
        """Say that a consumer has all that it wanted; its control plane is told.

        Raises:
            IllegalMove: if the flow does not run, or is a provider's: that ends when its data has left.
        """

        def step(flow: DataFlow) -> Stepped:
            if flow.role is Role.PROVIDER:
                raise IllegalMove("a provider's data flow is completed by its control plane, or by its push")
            state = move(flow.state, By.DATA, Said.IS_COMPLETED)
            return replace(flow, state=state), Said.IS_COMPLETED, None

        return self._move(pid, step)

    def may_receive(self, pid: str) -> str | None:
        """Say why nothing may be pushed to us for a flow; None if it may.

        Raises:
            NotFound: if there is no such flow, or none that receives.
        """
        flow = self._store.get(pid)
        if flow.role is not Role.CONSUMER or flow.direction != "push":
            raise NotFound(f"no data flow {pid[:120]!r} that receives")
        return None if flow.state in (State.PREPARED, State.STARTED) else f"it is {flow.state}"

    def landed(self, pid: str, received: Received) -> None:
        """Take note of what arrived."""
        self._move(pid, lambda flow: (replace(flow, received=received), None, None))

    def follow_up(self, pid: str) -> bool:
        """Do what was promised of a flow, once an answer has left; if it says False, `tick` tries again."""
        flow = self._store.get(pid)
        try:
            if flow.state is State.PREPARING:
                self._move(pid, self._prepared)
            elif flow.state is State.STARTING:
                self._begin(self.plane(flow.control_plane), pid, None)
        except Unavailable as error:
            if self._clock() - flow.updated < self._patience:
                _log.warning("data flow not started yet", flow=pid, problem=str(error), code=error.code)
                return False
            self.give_up(pid, str(error))
        except DataspaceError as error:
            self.give_up(pid, str(error))
        return True

    def tick(self) -> None:
        """Do what was promised and not done; called once a second, looks through the store every five.

        It waits for control planes: give it a thread of its own. One that does not answer is asked once.
        """
        now = self._clock()
        if self._recovered is not None and now - self._recovered < RECOVERY:
            return
        self._recovered = now
        silent = set()
        for flow in self._store.unfinished():
            if not self.serves(flow):
                # Not at once: while settings change, another process may know a control plane before we do.
                if now - flow.updated >= self._patience:
                    self.give_up(flow.pid, f"control plane {flow.control_plane!r} is not configured any more")
            elif flow.state in _WORKING and flow.control_plane not in silent and not self.follow_up(flow.pid):
                silent.add(flow.control_plane)

    # --- pushing ----------------------------------------------------------------------------------

    def to_push(self) -> Sequence[DataFlow]:
        """Return the flows whose data is to be pushed and at which nobody is at work."""
        now = self._clock()
        return [flow for flow in self._store.unfinished() if self.serves(flow) and waits_for_push(flow, now)]

    def claim(self, pid: str) -> tuple[DataFlow, str] | None:
        """Take the push of a flow for a while, and return it with its ticket, if there is one to do."""
        flow, now = self._store.get(pid), self._clock()
        if not (self.serves(flow) and waits_for_push(flow, now)):
            return None
        try:
            taken = replace(flow, pushing=now + PUSH_LEASE, pusher=self._worker)
            held = self._store.save(taken, seen=flow.version)
        except StaleState:
            return None  # somebody else was quicker
        return held, self._decisions.ticket(held)

    def hold(self, pid: str, until: datetime | None) -> None:
        """Say until when a push is under way, or is not to be tried again; None lets it go."""

        def step(flow: DataFlow) -> Stepped:
            return (replace(flow, pushing=until), None, None) if self._is_at(flow) else None

        self._move(pid, step)

    def is_alive(self, pid: str) -> None:
        """Say that a push is under way still."""

        def step(flow: DataFlow) -> Stepped:
            until = renewed(flow.pushing, self._clock()) if self._is_at(flow) else None
            return None if until is None else (replace(flow, pushing=until), None, None)

        self._move(pid, step)

    def pushed(self, claimed: DataFlow) -> None:
        """Take note that all data of a claimed push was taken; the control plane is told."""

        def step(flow: DataFlow) -> Stepped:
            if is_other_run(flow, claimed):
                return (replace(flow, pushing=None), None, None) if self._is_at(flow) else None
            state = move(flow.state, By.DATA, Said.IS_COMPLETED)
            return replace(flow, state=state, pushing=None, problem=None), Said.IS_COMPLETED, None

        self._move(claimed.pid, step)

    def not_pushed(self, claimed: DataFlow, why: DataspaceError) -> None:
        """Take note that a claimed push failed; the control plane is told, and decides what to do.

        The flow stays as it is: it may be suspended and resumed to try again, or terminated.
        """

        def step(flow: DataFlow) -> Stepped:
            if is_other_run(flow, claimed):
                return (replace(flow, pushing=None), None, None) if self._is_at(flow) else None
            return replace(flow, pushing=None, problem=shorten(str(why))), Said.GIVES_UP, None

        _log.warning("push failed", flow=claimed.pid, problem=str(why))
        self._move(claimed.pid, step)

    def _is_at(self, flow: DataFlow) -> bool:
        """Whether this process is at work on a push; its lease may have run out, and others have taken it."""
        return flow.pushing is not None and flow.pusher == self._worker

    # --- inside -----------------------------------------------------------------------------------

    def _check(self, plane: ControlPlane, wanted: Wanted) -> None:
        if self._store.has_left(plane.id):
            raise Forbidden(f"control plane {plane.id!r} took its leave; register it again first")
        if wanted.participant != plane.participant:
            raise Forbidden(
                f"control plane {plane.id!r} speaks for {plane.participant!r}, "
                f"the message is from {wanted.participant[:120]!r}"
            )
        if wanted.profile not in self._profiles:
            served = ", ".join(sorted(self._profiles))
            raise NotFound(f"profile {wanted.profile[:80]!r} is not served here; served: {served}")

    def _save_new(self, plane: ControlPlane, flow: DataFlow, begun: Any = None) -> DataFlow:
        """Save a new flow, or return the one that the same message made on another connection meanwhile."""
        try:
            return self._save(None, flow, begun=begun)
        except AlreadyExists:
            found = self._store.find(plane.id, flow.process)
            if found is None or (found.state, found.role) != (flow.state, flow.role):
                raise
            return found

    def _begin_new(self, plane: ControlPlane, flow: DataFlow) -> Standing:
        """Start a new flow: decide, save; decide again if another flow brought its agreement meanwhile."""
        started = replace(flow, state=move(flow.state, By.DATA, Said.IS_STARTED))
        for _ in range(MOST_TRIES):
            begun = self._decisions.begin(plane, flow)
            try:
                saved = self._save_new(plane, started, begun)
            except StaleState:
                continue
            return Standing(saved, self._decisions.address(saved, begun if saved.pid == flow.pid else None))
        raise self._busy(flow.pid)

    def _begin(
        self, plane: ControlPlane, pid: str, change: Callable[[DataFlow], DataFlow] | None
    ) -> Standing:
        """Start a flow that exists: decide, then save.

        Args:
            plane: whose flow it is.
            pid: our id of it.
            change: moves it to STARTING; None if that was promised before, and its control plane is to be
                told.
        """
        for _ in range(MOST_TRIES):
            before = self._store.get(pid)
            if change is None and before.state is not State.STARTING:
                return self._shown(before)
            flow = replace(change(before) if change else before, problem=None, reasons=())
            try:
                if change is not None and plane.asynchronous:
                    return Standing(self._save(before, flow))
                begun = self._decisions.begin(plane, flow)
                started = replace(flow, state=move(flow.state, By.DATA, Said.IS_STARTED))
                address = self._decisions.address(started, begun)
                mail = self._mail(started, Said.IS_STARTED, address) if change is None else ()
                return Standing(self._save(before, started, mail=mail, begun=begun), address)
            except StaleState:
                continue
        raise self._busy(pid)

    def _prepared(self, flow: DataFlow) -> Stepped:
        if flow.state is not State.PREPARING:
            return None
        prepared = replace(flow, state=move(flow.state, By.DATA, Said.IS_PREPARED))
        return prepared, Said.IS_PREPARED, self._decisions.address(prepared)

    def _shown(self, flow: DataFlow) -> Standing:
        return Standing(flow, self._decisions.address(flow))
