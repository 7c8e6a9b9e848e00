"""What negotiations are, and what they need from the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connector.outbox.path import Path
from connector.outbox.ports import Outgoing
from schemas.base import Role
from schemas.dsp.negotiation import ContractNegotiation, NegotiationState
from schemas.odrl import Agreement, DeclaredUse, Offer
from schemas.reasons import Reasons
from schemas.usage import AgreedTerms, UsageRecord


@dataclass(frozen=True)
class Negotiation:
    """Our record of a contract negotiation.

    `pid` is our own process id, `counter_pid` the counterparty's (unknown until it answered), `callback` the
    base URL at which the counterparty takes messages. `held` is why we wait for a person, `problem` why it
    was terminated. `seen` are the last message ids, to drop repeats. `path` are its states with their times,
    the present one last. `version` counts saves. `offer` is the last one that either side made, `wanted` the
    last one that we asked for as a consumer.
    """

    pid: str
    role: Role
    counterparty: str
    counter_pid: str | None
    callback: str
    state: NegotiationState
    dataset: str
    offer: Offer
    use: DeclaredUse | None
    created: datetime
    updated: datetime
    agreement: Agreement | None = None
    wanted: Offer | None = None
    held: str | None = None
    problem: str | None = None
    reasons: Reasons = ()
    seen: tuple[str, ...] = ()
    path: Path = ()
    version: int = 0

    @property
    def consumer_pid(self) -> str:
        """The consumer's process id, empty while it is unknown."""
        return self.pid if self.role is Role.CONSUMER else (self.counter_pid or "")

    @property
    def provider_pid(self) -> str:
        """The provider's process id, empty while it is unknown."""
        return self.pid if self.role is Role.PROVIDER else (self.counter_pid or "")

    def as_answer(self) -> ContractNegotiation:
        """Return the state in the protocol's words."""
        return ContractNegotiation(
            consumer_pid=self.consumer_pid, provider_pid=self.provider_pid, state=self.state
        )


@dataclass(frozen=True)
class SignedAgreement:
    """An agreement that both sides hold.

    `epoch` grows when its terms of use change (revocation, withdrawn consent); `revoked` says since when and
    why, `changed` why the epoch grew last without that. `ends` is when it will be revoked, `ends_why` why.
    `control_plane` is the foreign control plane that made it, if not we: only that one opens transfers.
    """

    agreement: Agreement
    role: Role
    counterparty: str
    callback: str
    negotiation: str
    digest: str
    use: DeclaredUse | None
    signed: datetime
    final: bool = False
    epoch: int = 0
    revoked: str | None = None
    control_plane: str | None = None
    changed: str | None = None
    ends: datetime | None = None
    ends_why: str | None = None

    def has_ended(self, at: datetime) -> bool:
        """Whether it does not stand any more: revoked, or its planned end has come."""
        return self.revoked is not None or (self.ends is not None and at >= self.ends)

    @property
    def end_reason(self) -> str:
        """Why it was, or will be, revoked."""
        return self.revoked or self.ends_why or "no reason was given"

    def as_evidence(self) -> AgreedTerms:
        """Return what an auditor is shown."""
        return AgreedTerms(
            agreement=self.agreement,
            digest=self.digest,
            role=self.role.value,
            counterparty=self.counterparty,
            negotiation=self.negotiation,
            use=self.use,
            final=self.final,
            epoch=self.epoch,
            revoked=self.revoked,
        )


class NegotiationStore(Protocol):
    """Keeps negotiations and agreements."""

    def add(
        self,
        negotiation: Negotiation,
        *,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
    ) -> None:
        """Save a new negotiation with the mail and records it causes: all or nothing.

        Raises:
            AlreadyExists: if the counterparty opened one with the same pid before.
            StorageUnavailable: if nothing was saved.
        """
        ...

    def get(self, pid: str) -> Negotiation:
        """Return a negotiation by our own pid.

        Raises:
            NotFound: naming the pid.
        """
        ...

    def find(self, counterparty: str, counter_pid: str) -> Negotiation | None:
        """Return the negotiation that a counterparty opened under its pid."""
        ...

    def save(
        self,
        negotiation: Negotiation,
        *,
        seen: int,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
        agreement: SignedAgreement | None = None,
    ) -> Negotiation:
        """Save a moved negotiation with its mail, records and agreement (insert or replace): all or nothing.

        Returns:
            The negotiation at its new version.

        Raises:
            StaleState: if the stored version is not `seen`, naming both; nothing was saved.
            StorageUnavailable: if nothing was saved.
        """
        ...

    def unfinished(self) -> Sequence[Negotiation]:
        """Return negotiations that are neither finalized nor terminated, oldest first."""
        ...

    def recent(self, most: int = 100) -> Sequence[Negotiation]:
        """Return negotiations, last changed first."""
        ...

    def agreement(self, agreement_id: str) -> SignedAgreement:
        """Return an agreement.

        Raises:
            NotFound: naming the id.
        """
        ...

    def agreements(self, dataset: str | None = None, role: Role | None = None) -> Sequence[SignedAgreement]:
        """Return agreements, newest first."""
        ...

    def revoke(self, agreement_id: str, why: str, records: Sequence[UsageRecord] = ()) -> SignedAgreement:
        """Mark an agreement revoked and raise its epoch; idempotent."""
        ...

    def bump(self, agreement_id: str, why: str, records: Sequence[UsageRecord] = ()) -> SignedAgreement:
        """Raise an agreement's epoch, so that its tickets are worth nothing and its streams end.

        A new transfer decides again. On a revoked one it changes nothing.
        """
        ...

    def plan_end(
        self, agreement_id: str, ends: datetime, why: str, records: Sequence[UsageRecord] = ()
    ) -> SignedAgreement:
        """Note when an agreement will be revoked; the earliest date stands, and a revoked one stays so."""
        ...

    def ending(self, at: datetime) -> Sequence[SignedAgreement]:
        """Return agreements whose planned end has come by `at`, and that are not revoked yet."""
        ...
