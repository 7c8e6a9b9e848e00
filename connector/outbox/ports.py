"""What the outbox needs from the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from connector.outbox.path import Path
from connector.outbox.refusal import Verdict
from schemas.base import Role

Kind = Literal["negotiation", "transfer", "publication", "dataflow", "receipt"]
DSP_KINDS: frozenset[Kind] = frozenset({"negotiation", "transfer"})
"""What is said in the Dataspace Protocol, whose paths, process ids and states we know."""


class Process(Protocol):
    """A record of a protocol between us and one counterparty."""

    @property
    def pid(self) -> str:
        """Our own process id."""
        ...

    @property
    def role(self) -> Role:
        """Our role."""
        ...

    @property
    def counterparty(self) -> str:
        """The DID of the counterparty."""
        ...

    @property
    def counter_pid(self) -> str | None:
        """The counterparty's process id."""
        ...

    @property
    def callback(self) -> str:
        """The counterparty's base URL."""
        ...

    @property
    def state(self) -> StrEnum:
        """The state, as last saved."""
        ...

    @property
    def held(self) -> str | None:
        """Why it waits for a person."""
        ...

    @property
    def path(self) -> Path:
        """The states it went through."""
        ...

    @property
    def updated(self) -> datetime:
        """When it last moved."""
        ...

    @property
    def version(self) -> int:
        """How often it was saved."""
        ...


@dataclass(frozen=True)
class Outgoing:
    """A message to be sent.

    `id` stays the same over retries and is the message's `@id`, so that a peer can drop repeats. Messages
    of one `process` (our own pid, or "publication") leave in the order in which they were saved. A GET asks
    for the state of the process; what is delivered then is a document with it.
    """

    id: str
    kind: Kind
    process: str
    recipient: str
    method: Literal["POST", "DELETE", "GET"]
    url: str
    document: dict[str, Any] = field(repr=False)
    created: datetime
    deadline: datetime
    due: datetime
    attempts: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class Delivery:
    """What a peer answered to a message it took (2xx); `document` is None where it sent no JSON.

    `rubbish` if it sent something else instead: then perhaps it was not the peer who answered.
    """

    status: int
    document: Any
    rubbish: bool = False


class OutboxStore(Protocol):
    """Where outgoing messages wait. They are put there by the `save` of the state that causes them."""

    def claim(self, process: str, at: datetime, until: datetime) -> Outgoing | None:
        """Lease the oldest message of a process until `until`, if it is due at `at` and not leased.

        Never returns a message while an older one of the same process waits, and never the same message to
        two claimants while its lease runs: it ends before `until` only where its holder has surely died. A
        question (GET) counts as younger than any message: a peer that does not answer it holds up nothing
        that has to be said.
        """
        ...

    def due(self, at: datetime, most: int = 100) -> Sequence[str]:
        """Return processes whose oldest message is due and not leased, longest waiting first."""
        ...

    def sent(self, outgoing_id: str) -> None:
        """Remove a message that was delivered, or given up."""
        ...

    def postpone(self, outgoing_id: str, due: datetime, problem: str) -> None:
        """Count a failed attempt, end the lease, and set the next try; nothing if somebody took it over."""
        ...

    def hasten(self, outgoing_id: str, due: datetime) -> None:
        """Bring the next try of a message forward to `due`; nothing if it is leased, gone, or due before."""
        ...

    def release(self, outgoing_id: str) -> None:
        """End a lease without counting an attempt: it was not tried; nothing if somebody took it over."""
        ...

    def pending(self, process: str | None = None) -> Sequence[Outgoing]:
        """Return what waits, oldest first."""
        ...

    def add(self, outgoing: Outgoing) -> None:
        """Save a message that no change of state causes; nothing if its id waits already."""
        ...


class Courier(Protocol):
    """Carries one message to a peer."""

    def carry(self, outgoing: Outgoing) -> Delivery:
        """Send a message with a fresh proof of who we are.

        Raises:
            PeerUnavailable: if the peer cannot be reached or answers 5xx, 408 or 429: worth another try.
            PeerRefused: if it answers any other 4xx: the peer will not take it.
        """
        ...

    def standing(self, outgoing: Outgoing) -> str | None:
        """Ask the peer for the state of the process that a message is about; None where it has none to tell.

        Raises:
            PeerUnavailable: as `carry`.
            PeerRefused: if it answers with something else than a state.
        """
        ...


class Sender(Protocol):
    """A room that has messages sent, and is told what became of them."""

    def refused(self, outgoing: Outgoing, standing: str | None) -> Verdict:
        """Judge a refusal, or a deadline that passed, by where the peer stands: not every 4xx is a no."""
        ...

    def delivered(self, outgoing: Outgoing, delivery: Delivery) -> None:
        """Take note that a peer took the message. Called again if a crash hid the first call."""
        ...

    def undeliverable(self, outgoing: Outgoing, problem: str, reasons: Sequence[str]) -> None:
        """Take note that a message was given up: the peer refused it, or its deadline passed."""
        ...
