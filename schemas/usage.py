"""One entry of the usage log, and its canonical bytes."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from schemas.base import Document
from schemas.canonical import canonical
from schemas.odrl import Agreement, DeclaredUse

MOST_BYTES = 4096
"""A record is at most this long; larger things are referred to by digest."""


class UsageKind(StrEnum):
    """The closed list of things that the log tells; unknown kinds are refused on writing."""

    LOG_OPENED = "log.opened"
    ASSET_PUBLISHED = "asset.published"
    ASSET_WITHDRAWN = "asset.withdrawn"
    NEGOTIATION_AGREED = "negotiation.agreed"
    NEGOTIATION_FINALIZED = "negotiation.finalized"
    NEGOTIATION_TERMINATED = "negotiation.terminated"
    AGREEMENT_REVOKED = "agreement.revoked"
    AGREEMENT_CHANGED = "agreement.changed"
    OBLIGATION_DUE = "obligation.due"
    OBLIGATION_OVERDUE = "obligation.overdue"
    OBLIGATION_FULFILLED = "obligation.fulfilled"
    ACCESS_DECISION = "access.decision"
    TRANSFER_STARTED = "transfer.started"
    TRANSFER_SUSPENDED = "transfer.suspended"
    TRANSFER_COMPLETED = "transfer.completed"
    TRANSFER_TERMINATED = "transfer.terminated"
    STREAM_RESERVED = "stream.reserved"
    STREAM_SETTLED = "stream.settled"


class UsageRecord(Document):
    """What happened, under which terms, and how much.

    Units: `at` microseconds since 1970-01-01 UTC; `rows`, `byte_count`, `requests` and `epochs` are counts
    of this event; those with `_before` are what the agreement had used before it (the totals that the
    decision saw). A stream that goes on with an epoch does not count that one among those before.
    """

    id: str
    at: int
    kind: UsageKind
    log: str = Field(description="participant whose log this is (DID)")
    counterparty: str | None = None
    dataset: str | None = None
    agreement: str | None = None
    policy: str | None = Field(default=None, description="sha256 digest of the canonical agreement")
    action: str | None = None
    purpose: str | None = None
    negotiation: str | None = None
    transfer: str | None = None
    stream: str | None = None
    decision: str | None = Field(default=None, description="permit or deny")
    reasons: tuple[str, ...] = ()
    rows: int | None = None
    byte_count: int | None = None
    requests: int | None = None
    epochs: int | None = None
    rows_before: int | None = None
    bytes_before: int | None = None
    requests_before: int | None = None
    epochs_before: int | None = None
    detail: dict[str, str | int] = Field(default_factory=dict)

    def canonical(self) -> bytes:
        """Return the bytes that the log commits to.

        Raises:
            Malformed: if the record is longer than 4 KiB, or holds a number that JSON cannot carry exactly.
        """
        return canonical(self.wire(), most=MOST_BYTES)


class LogDescription(Document):
    """What a log says about itself; nothing of it is believed until its checkpoint is verified.

    `vkey` names the key that signs, `size` entries are signed, `entries` says where records can be read.
    """

    origin: str = Field(max_length=512)
    vkey: str = Field(max_length=1024)
    did: str = Field(max_length=512)
    size: int = Field(ge=0)
    entries: str = "entries"


class OpenedEntry(Document):
    """What opens one commitment of the log: the record's canonical text, and its salt (base64)."""

    index: int = Field(ge=0)
    record: str
    salt: str = Field(max_length=64)


class OpenedEntries(Document):
    """A page of records, in order."""

    entries: tuple[OpenedEntry, ...] = ()


class AgreedTerms(Document):
    """An agreement as evidence: its terms, and what both sides made of it."""

    agreement: Agreement
    digest: str
    role: str
    counterparty: str
    negotiation: str
    use: DeclaredUse | None = None
    final: bool = False
    epoch: int = 0
    revoked: str | None = None
