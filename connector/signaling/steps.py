"""Pure: from what a control plane wants to the flow that follows, and to what the usage log is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from connector.negotiation.ports import SignedAgreement
from connector.outbox.letter import shorten
from connector.signaling.dialects import Note, Wanted
from connector.signaling.machine import By, Said, move
from connector.signaling.ports import ControlPlane, DataFlow
from connector.transfer.lease import is_free
from connector.transfer.steps import told
from policies.replay import ON_BEHALF
from schemas.base import Role
from schemas.dps import FlowState
from schemas.errors import AlreadyExists, IllegalMove, Malformed
from schemas.usage import UsageKind


def check_address(wanted: Wanted, *, prepares: bool) -> None:
    """Check that a data address is there exactly where one belongs: in the start of a push.

    Raises:
        Malformed: saying what is missing, or too much.
    """
    if prepares or wanted.direction == "pull":
        if wanted.address is not None:
            place = "a preparation" if prepares else "the start of a pull"
            raise Malformed(f"a dataAddress does not belong into {place}: the data plane makes the address")
    elif wanted.address is None:
        raise Malformed("the start of a push needs the dataAddress that the data is pushed to")


def opened(plane: ControlPlane, wanted: Wanted, what: Said, pid: str, at: datetime) -> DataFlow:
    """Return the flow that a control plane opens: a consumer's is prepared, a provider's started."""
    gives = what is Said.START
    return DataFlow(
        pid=pid,
        control_plane=plane.id,
        process=wanted.process,
        role=Role.PROVIDER if gives else Role.CONSUMER,
        provider=wanted.participant if gives else wanted.counterparty,
        consumer=wanted.counterparty if gives else wanted.participant,
        agreement=wanted.agreement,
        dataset=wanted.dataset,
        profile=wanted.profile,
        direction=wanted.direction,
        state=move(None, By.CONTROL, what),
        created=at,
        updated=at,
        address=wanted.address,
        use=wanted.use,
    )


def same_terms(flow: DataFlow, wanted: Wanted) -> None:
    """Check that a message about a process that has a flow speaks of the same thing.

    Raises:
        AlreadyExists: naming what differs.
    """
    for name, held, said in (
        ("agreementId", flow.agreement, wanted.agreement),
        ("datasetId", flow.dataset, wanted.dataset),
        ("profile", flow.profile, wanted.profile),
    ):
        if held != said:
            raise AlreadyExists(
                f"process {flow.process[:80]!r} has a data flow whose {name} is {held[:120]!r}, not "
                f"{said[:120]!r}; use a process id of its own"
            )


def reopened(flow: DataFlow, wanted: Wanted, what: Said) -> DataFlow:
    """Return a flow that a control plane starts, after it was prepared or suspended.

    Raises:
        IllegalMove: if it may not be started.
    """
    return replace(
        flow,
        state=move(flow.state, By.CONTROL, what),
        role=Role.PROVIDER,
        provider=wanted.participant,
        consumer=wanted.counterparty,
        address=wanted.address,
        use=wanted.use,
    )


def heard(flow: DataFlow, what: Said, note: Note) -> DataFlow:
    """Return a flow after its control plane said something that needs no decision.

    Raises:
        IllegalMove: if it may not say that here.
    """
    if what is Said.STARTED and flow.role is Role.PROVIDER:
        raise IllegalMove("'started' is told to a consumer's data plane; a provider's is asked to start")
    state = move(flow.state, By.CONTROL, what)
    if what is Said.RESUME:
        state = move(state, By.DATA, Said.IS_STARTED)
    brings = what in (Said.STARTED, Said.RESUME) and flow.direction == "pull"
    return replace(
        flow,
        state=state,
        address=note.address or flow.address if brings else flow.address,
        problem="terminated by its control plane" if what is Said.TERMINATE else flow.problem,
        reasons=(shorten(note.reason),) if note.reason else (),
    )


def is_other_run(flow: DataFlow, claimed: DataFlow) -> bool:
    """Return whether a flow was stopped since its push was claimed; it may be started anew, to elsewhere."""
    return flow.state is not FlowState.STARTED or flow.updated != claimed.updated


def waits_for_push(flow: DataFlow, now: datetime) -> bool:
    """Return whether the data of a flow is to be pushed, and nobody is at work on it."""
    return (
        flow.role is Role.PROVIDER
        and flow.direction == "push"
        and flow.state is FlowState.STARTED
        and flow.problem is None
        and is_free(flow.pushing, now)
    )


def records_of(
    before: DataFlow | None, flow: DataFlow, held: SignedAgreement, *, is_new: bool
) -> Sequence[tuple[UsageKind, dict[str, Any]]]:
    """Return what the usage log is told of a move: kinds and fields, in order.

    Of what a consumer's data plane does nothing is told: its control plane holds the agreement, not we.
    """
    if flow.role is not Role.PROVIDER:
        return ()
    records: list[tuple[UsageKind, dict[str, Any]]] = []
    if is_new:
        fields = {
            "counterparty": flow.consumer,
            "dataset": flow.dataset,
            "agreement": flow.agreement,
            "policy": held.digest,
            "negotiation": held.negotiation,
            "detail": {ON_BEHALF: flow.provider},
        }
        records.append((UsageKind.NEGOTIATION_FINALIZED, fields))
    after = replace(flow.as_transfer(), problem=flow.problem)  # the log may know what a consumer may not
    moved = told(before.as_transfer().state if before else None, after, held.digest)
    if moved is not None:
        records.append(moved)
    return records
