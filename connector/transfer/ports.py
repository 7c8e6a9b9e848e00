"""What transfers are, and what they need from the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connector.outbox.path import Path
from connector.outbox.ports import Outgoing
from schemas.base import Role
from schemas.dsp.transfer import DataAddress, TransferProcess, TransferState
from schemas.odrl import DeclaredUse
from schemas.reasons import Reasons
from schemas.usage import UsageRecord


@dataclass(frozen=True)
class Received:
    """A file that arrived at our sink.

    `file` is its name below the folder of received files; `rows` is known where it is an Arrow stream.
    """

    file: str
    media_type: str
    byte_count: int
    rows: int | None
    at: datetime


@dataclass(frozen=True)
class Transfer:
    """Our record of a transfer process; fields as in `Negotiation`.

    `address` is where the data can be fetched, with its ticket: given to the consumer, never logged; at the
    provider of a push, where the consumer takes it. `held` is why we suspended it: the counterparty cannot
    resume it then. `received` is what the provider pushed to us. `pushing` is until when a
    process is at work on a push, and `pusher` the name under which it shows that it lives.
    """

    pid: str
    role: Role
    counterparty: str
    counter_pid: str | None
    callback: str
    state: TransferState
    agreement: str
    dataset: str
    format: str
    use: DeclaredUse | None
    created: datetime
    updated: datetime
    address: DataAddress | None = None
    held: str | None = None
    problem: str | None = None
    reasons: Reasons = ()
    seen: tuple[str, ...] = ()
    path: Path = ()
    received: Received | None = None
    pushing: datetime | None = None
    pusher: str | None = None
    version: int = 0

    @property
    def consumer_pid(self) -> str:
        """The consumer's process id, empty while it is unknown."""
        return self.pid if self.role is Role.CONSUMER else (self.counter_pid or "")

    @property
    def provider_pid(self) -> str:
        """The provider's process id, empty while it is unknown."""
        return self.pid if self.role is Role.PROVIDER else (self.counter_pid or "")

    def as_answer(self) -> TransferProcess:
        """Return the state in the protocol's words."""
        return TransferProcess(
            consumer_pid=self.consumer_pid, provider_pid=self.provider_pid, state=self.state
        )


class TransferStore(Protocol):
    """Keeps transfers."""

    def add(
        self, transfer: Transfer, *, outgoing: Sequence[Outgoing] = (), records: Sequence[UsageRecord] = ()
    ) -> None:
        """Save a new transfer with the mail and records it causes: all or nothing.

        Raises:
            AlreadyExists: if the counterparty opened one with the same pid before.
            StorageUnavailable: if nothing was saved.
        """
        ...

    def get(self, pid: str) -> Transfer:
        """Return a transfer by our own pid.

        Raises:
            NotFound: naming the pid.
        """
        ...

    def find(self, counterparty: str, counter_pid: str) -> Transfer | None:
        """Return the transfer that a counterparty opened under its pid."""
        ...

    def save(
        self,
        transfer: Transfer,
        *,
        seen: int,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
    ) -> Transfer:
        """Save a moved transfer with its mail and records: all or nothing.

        Returns:
            The transfer at its new version.

        Raises:
            StaleState: if the stored version is not `seen`, naming both; nothing was saved.
            StorageUnavailable: if nothing was saved.
        """
        ...

    def unfinished(self) -> Sequence[Transfer]:
        """Return transfers that are neither completed nor terminated, oldest first."""
        ...

    def recent(self, most: int = 100) -> Sequence[Transfer]:
        """Return transfers, last changed first."""
        ...
