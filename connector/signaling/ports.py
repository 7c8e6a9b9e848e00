"""What data flows of foreign control planes are, and what they need from the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from connector.negotiation.ports import SignedAgreement
from connector.outbox.ports import Outgoing
from connector.transfer.direction import Direction
from connector.transfer.ports import Received, Transfer
from policies.compiled import CompiledPolicy
from schemas.base import Role
from schemas.dps import FlowState
from schemas.dsp.transfer import DataAddress, TransferState
from schemas.odrl import Agreement, DeclaredUse
from schemas.reasons import Reasons
from schemas.usage import UsageRecord

Dialect = Literal["dps", "edc-0.15"]
"""How a control plane speaks; see `dialects`."""

_SHOWN = {
    FlowState.STARTED: TransferState.STARTED,
    FlowState.SUSPENDED: TransferState.SUSPENDED,
    FlowState.COMPLETED: TransferState.COMPLETED,
    FlowState.TERMINATED: TransferState.TERMINATED,
}


@dataclass(frozen=True)
class ControlPlane:
    """A control plane that the operator lets use our data plane; nothing of it comes from a message.

    `participant` is for whom it speaks, `url` where it takes what we tell. `asynchronous` has us answer
    before the work is done, and tell how it went.
    """

    id: str
    url: str
    participant: str
    dialect: Dialect = "dps"
    asynchronous: bool = False


@dataclass(frozen=True)
class DataFlow:
    """Our record of a data flow.

    `pid` is our own id, `process` the control plane's, `agreement` and `dataset` what it is about. `provider`
    and `consumer` are the participants; we act for one of them. `address` is where a provider pushes to, or
    where a consumer pulls from. `use` is what the control plane says that its consumer means to do. `pushing`
    is until when somebody is at work on a push, and `pusher` the name under which its process shows that it
    lives; `problem` is why the last attempt at something failed.
    `received` is what arrived at our sink.
    """

    pid: str
    control_plane: str
    process: str
    role: Role
    provider: str
    consumer: str
    agreement: str
    dataset: str
    profile: str
    direction: Direction
    state: FlowState
    created: datetime
    updated: datetime
    address: DataAddress | None = None
    use: DeclaredUse | None = None
    pushing: datetime | None = None
    pusher: str | None = None
    problem: str | None = None
    reasons: Reasons = ()
    received: Received | None = None
    version: int = 0

    @property
    def counterparty(self) -> str:
        """Who opened it: the control plane, by the id that the operator gave it."""
        return self.control_plane

    @property
    def counter_pid(self) -> str:
        """The id by which who opened it knows it."""
        return self.process

    def as_transfer(self) -> Transfer:
        """Return the flow as streams know it: a transfer from us to a consumer."""
        return Transfer(
            pid=self.pid,
            role=self.role,
            counterparty=self.consumer,
            counter_pid=self.process,
            callback="",
            state=_SHOWN.get(self.state, TransferState.REQUESTED),
            agreement=self.agreement,
            dataset=self.dataset,
            format=self.profile,
            use=self.use,
            created=self.created,
            updated=self.updated,
            # Not `problem`: it may name places in our network, and a consumer is told why its stream ends.
            reasons=self.reasons,
            version=self.version,
        )


class FlowStore(Protocol):
    """Keeps data flows; and which control planes took their leave."""

    def add(
        self,
        flow: DataFlow,
        *,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
        agreement: SignedAgreement | None = None,
    ) -> None:
        """Save a new flow with the mail, records and (new) agreement that it causes: all or nothing.

        Raises:
            AlreadyExists: if the control plane has a flow for the same process, or the agreement's id belongs
                to an agreement of somebody else.
            StaleState: if the agreement was saved meanwhile; nothing was saved.
            StorageUnavailable: if nothing was saved.
        """
        ...

    def get(self, pid: str) -> DataFlow:
        """Return a flow by our own id.

        Raises:
            NotFound: naming it.
        """
        ...

    def find(self, counterparty: str, counter_pid: str) -> DataFlow | None:
        """Return the flow of a control plane's process."""
        ...

    def save(
        self,
        flow: DataFlow,
        *,
        seen: int,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
        agreement: SignedAgreement | None = None,
    ) -> DataFlow:
        """Save a moved flow with its mail, records and (new) agreement: all or nothing.

        Raises:
            StaleState: if the stored version is not `seen`, naming both, or the agreement was saved
                meanwhile; nothing was saved.
            AlreadyExists: if the agreement's id belongs to an agreement of somebody else; nothing was saved.
            StorageUnavailable: if nothing was saved.
        """
        ...

    def unfinished(self) -> Sequence[DataFlow]:
        """Return flows that are neither completed nor terminated, oldest first."""
        ...

    def recent(self, most: int = 100) -> Sequence[DataFlow]:
        """Return flows, last changed first."""
        ...

    def leave(self, control_plane: str, gone: bool) -> None:
        """Remember that a control plane took its leave, or came back."""
        ...

    def has_left(self, control_plane: str) -> bool:
        """Return whether a control plane took its leave."""
        ...


class Offers(Protocol):
    """Knows what we offer."""

    def fit(self, dataset: str, policy: CompiledPolicy) -> None:
        """Check that a policy can be kept on the file behind a dataset of ours.

        Raises:
            NotFound: if we offer no such dataset.
            PolicyMismatch: naming what cannot be kept.
        """
        ...


class ControlPlanes(Protocol):
    """Asks control planes, at the URLs that the operator configured and nowhere else."""

    def agreement(self, plane: ControlPlane, flow: DataFlow) -> Agreement:
        """Fetch the agreement of a flow.

        Raises:
            PeerUnavailable: if it cannot be had now; worth another try.
            PeerRefused: if the control plane does not give it.
            Malformed: if what it gives is no agreement.
        """
        ...
