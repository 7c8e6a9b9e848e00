"""What every verb about data flows rests on: load, take a step, save it with the mail and records it causes.

What a crash leaves behind is said in `service`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from connector.outbox.letter import PATIENCE, shorten
from connector.outbox.ports import Delivery, Outgoing
from connector.outbox.refusal import Verdict
from connector.signaling.decisions import Begun, Decisions
from connector.signaling.dialects import SPEECH
from connector.signaling.machine import By, Said, move
from connector.signaling.ports import ControlPlane, DataFlow, FlowStore
from connector.signaling.steps import records_of
from schemas.binding.paths import join
from schemas.dps import FlowState as State
from schemas.dsp.transfer import DataAddress
from schemas.errors import NotFound, StaleState
from schemas.usage import UsageRecord

MOST_TRIES = 8
"""How often a step is taken again because somebody else moved first."""

_log = structlog.get_logger("connector.signaling")

Stepped = tuple[DataFlow, Said | None, DataAddress | None] | None
"""A flow after a step, what is told to its control plane, and the address that goes with it."""


class Flows:
    """The data flows of foreign control planes (also a Sender: it is told what became of its mail).

    Args:
        planes: the control planes that the operator configured.
        store: keeps flows.
        decisions: decides whether data may flow.
        wake: is told which outbox process has new mail.
        record: makes a record for the usage log.
        clock: UTC, aware.
        new_id: makes ids.
        patience: how long a message, or work that cannot be done now, is tried.
        moved: is told of every change of state, so that running streams can end.
        worker: the name under which this process shows that it lives, if it does.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        planes: Sequence[ControlPlane],
        store: FlowStore,
        decisions: Decisions,
        wake: Callable[[str], None],
        record: Callable[..., UsageRecord],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        patience: timedelta = PATIENCE,
        moved: Callable[[DataFlow], None] = lambda flow: None,
        worker: str | None = None,
    ) -> None:
        self._planes = {plane.id: plane for plane in planes}
        self._store, self._decisions = store, decisions
        self._wake, self._record = wake, record
        self._clock, self._new_id = clock, new_id
        self._patience, self._told, self._worker = patience, moved, worker

    # --- reading ----------------------------------------------------------------------------------

    def plane(self, plane_id: str) -> ControlPlane:
        """Return a control plane that the operator configured.

        Raises:
            NotFound: if there is none of that id (any more).
        """
        try:
            return self._planes[plane_id]
        except KeyError:
            raise NotFound(
                f"no control plane {plane_id[:80]!r} is configured here; add it to signaling.control_planes"
            ) from None

    def serves(self, flow: DataFlow) -> bool:
        """Return whether the control plane of a flow is configured (still)."""
        return flow.control_plane in self._planes

    def of(self, plane: ControlPlane, name: str) -> DataFlow:
        """Return a flow of a control plane, by the name that its dialect gives it.

        Raises:
            NotFound: if it has none of that name; somebody else's is the same answer.
        """
        missing = NotFound(f"no data flow {name[:120]!r} of yours here")
        if SPEECH[plane.dialect].by_process:
            found = self._store.find(plane.id, name)
        else:
            try:
                found = self._store.get(name)
            except NotFound:
                raise missing from None
        if found is None or found.control_plane != plane.id:
            raise missing
        return found

    def own(self, pid: str) -> DataFlow:
        """Return a flow.

        Raises:
            NotFound: if there is none.
        """
        return self._store.get(pid)

    def recent(self, most: int = 100) -> Sequence[DataFlow]:
        """Return flows, last changed first."""
        return self._store.recent(most)

    # --- ending -----------------------------------------------------------------------------------

    def terminate_under(self, agreement_id: str, why: str) -> int:
        """End every flow under an agreement, as when it was revoked; return how many."""
        running = [one for one in self._store.unfinished() if one.agreement == agreement_id]
        for flow in running:
            self.give_up(flow.pid, why)
        return len(running)

    def give_up(self, pid: str, why: str) -> DataFlow:
        """End a flow of our own accord, and tell its control plane; one that has ended stays as it is."""

        def step(flow: DataFlow) -> Stepped:
            if flow.state in (State.COMPLETED, State.TERMINATED):
                return None
            state = move(flow.state, By.DATA, Said.GIVES_UP)
            return replace(flow, state=state, problem=shorten(why)), Said.GIVES_UP, None

        _log.warning("data flow ended", flow=pid, problem=why)
        return self._move(pid, step)

    # --- being told -------------------------------------------------------------------------------

    def delivered(self, outgoing: Outgoing, delivery: Delivery) -> None:
        """Nothing to learn: a control plane answers with a status alone."""

    def refused(self, outgoing: Outgoing, standing: str | None) -> Verdict:
        """Take a control plane at its word: it shows no state that could tell a repeat from a refusal."""
        return Verdict.FINAL

    def undeliverable(self, outgoing: Outgoing, problem: str, reasons: Sequence[str]) -> None:
        """Note on the flow that its control plane could not be told; it can ask for the status."""
        note = f"control plane not told: {shorten(problem)}"
        _log.warning("message given up", process=outgoing.process, problem=note)
        self._move(outgoing.process, lambda flow: (replace(flow, problem=note), None, None))

    # --- inside -----------------------------------------------------------------------------------

    def _move(self, pid: str, step: Callable[[DataFlow], Stepped]) -> DataFlow:
        """Load, take a step, save; take it again if somebody else moved first.

        Raises:
            StaleState: if that happens too often.
        """
        for _ in range(MOST_TRIES):
            before = self._store.get(pid)
            stepped = step(before)
            if stepped is None:
                return before
            moved, what, address = stepped
            held = self._decisions.held(moved)
            try:
                return self._save(
                    before,
                    moved,
                    mail=() if what is None else self._mail(moved, what, address),
                    begun=None if held is None else Begun(held, False, None),
                )
            except StaleState:
                continue
        raise self._busy(pid)

    def _save(
        self,
        before: DataFlow | None,
        moved: DataFlow,
        *,
        mail: Sequence[Outgoing] = (),
        begun: Begun | None = None,
    ) -> DataFlow:
        """Save a flow, a new one if nothing was `before`, with its mail, agreement and usage records."""
        changed = before is None or moved.state is not before.state
        moved = replace(moved, updated=self._clock()) if changed else moved
        told = () if begun is None else records_of(before, moved, begun.held, is_new=begun.is_new)
        records = [self._record(kind, **fields) for kind, fields in told]
        agreement = begun.held if begun is not None and begun.is_new else None
        if before is None:
            self._store.add(moved, outgoing=mail, records=records, agreement=agreement)
            saved = moved
        else:
            saved = self._store.save(
                moved, seen=before.version, outgoing=mail, records=records, agreement=agreement
            )
        if mail:
            self._wake(saved.pid)
        if changed:
            self._told(saved)
        return saved

    def _mail(self, flow: DataFlow, what: Said, address: DataAddress | None) -> tuple[Outgoing, ...]:
        """Address what a control plane is told to where the operator says that it is."""
        if not self.serves(flow):
            _log.warning("control plane not told: it is not configured", flow=flow.pid, said=what.value)
            return ()
        plane, message_id, at = self.plane(flow.control_plane), self._new_id(), self._clock()
        error = flow.problem if what is Said.GIVES_UP else None
        call = SPEECH[plane.dialect].call(flow, what, address, error, message_id)
        if call is None:
            return ()
        return (
            Outgoing(
                id=message_id,
                kind="dataflow",
                process=flow.pid,
                recipient=plane.id,
                method="POST",
                url=join(plane.url, call.path),
                document=call.document,
                created=at,
                deadline=at + self._patience,
                due=at,
            ),
        )

    def _busy(self, pid: str) -> StaleState:
        return StaleState(f"data flow {pid} changed {MOST_TRIES} times while we decided; try again")
