"""What the ledger of obligations needs from the world."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from connector.negotiation.ports import SignedAgreement
from connector.obligations.entry import Entry
from connector.obligations.sent import SentReceipt
from connector.outbox.ports import Outgoing
from connector.trust.ports import Signed
from policies.use import UseTotals
from schemas.base import Role
from schemas.usage import UsageKind, UsageRecord


class LedgerStore(Protocol):
    """Keeps entries: what was promised, by when, and whether it was done."""

    def put(self, entries: Sequence[Entry], records: Sequence[UsageRecord] = ()) -> None:
        """Save entries with the records of what happened to them: all or nothing.

        An entry of version 0 is new; another one replaces what was read at its version.

        Raises:
            StaleState: if one was changed, or entered, meanwhile; nothing was saved.
            StorageUnavailable: if nothing was saved.
        """
        ...

    def book(self, agreement: str, *, again: bool) -> None:
        """Note that an agreement was looked through, and whether it has to be looked at again and again."""
        ...

    def unbooked(self, most: int) -> Sequence[str]:
        """Return final agreements that we gave, and that nobody looked through yet."""
        ...

    def booked(self) -> Sequence[str]:
        """Return agreements that stand and have to be looked at again and again."""
        ...

    def of(self, agreement: str) -> Sequence[Entry]:
        """Return the entries of an agreement, by place and period."""
        ...

    def moving(self, due: datetime, most: int) -> Sequence[Entry]:
        """Return what is due by then, and neither fulfilled nor told to be overdue; the most urgent first."""
        ...

    def overdue(self, after: str, most: int) -> Sequence[Entry]:
        """Return what was told to be overdue and is not fulfilled, by id, those after an id."""
        ...

    def owed(self, due: datetime | None, most: int, counterparty: str | None = None) -> Sequence[Entry]:
        """Return what is not fulfilled, the most urgent first: due by `due`, or (None) all of it."""
        ...


class ReceiptStore(Protocol):
    """Keeps our receipts, and what became of them."""

    def add(self, receipt: SentReceipt, outgoing: Outgoing) -> None:
        """Save a new receipt with the message that hands it over: both or neither.

        Raises:
            AlreadyExists: if there is one of that id; nothing was saved.
            StorageUnavailable: if nothing was saved.
        """
        ...

    def get(self, receipt_id: str) -> SentReceipt:
        """Return a receipt.

        Raises:
            NotFound: naming the id.
        """
        ...

    def save(self, receipt: SentReceipt, records: Sequence[UsageRecord] = ()) -> None:
        """Replace a receipt that was read at its version, with the records of what became of it.

        Raises:
            StaleState: if it was changed meanwhile; nothing was saved.
            StorageUnavailable: if nothing was saved.
        """
        ...

    def of(self, agreement: str) -> Sequence[SentReceipt]:
        """Return the receipts under an agreement, oldest first."""
        ...

    def recent(self, most: int) -> Sequence[SentReceipt]:
        """Return the latest receipts, newest first."""
        ...


class Agreed(Protocol):
    """Knows agreements."""

    def agreement(self, agreement_id: str) -> SignedAgreement:
        """Return an agreement.

        Raises:
            NotFound: naming the id.
        """
        ...

    def agreements(self, dataset: str | None = None, role: Role | None = None) -> Sequence[SignedAgreement]:
        """Return agreements, newest first."""
        ...


class Log(Protocol):
    """The usage log, as far as the ledger reads and writes it."""

    def record(self, kind: UsageKind, **fields: Any) -> UsageRecord:
        """Make a record with id, time and log filled in; nothing is saved."""
        ...

    def append(self, *records: UsageRecord) -> None:
        """Save records durably."""
        ...

    def totals(self, agreement: str) -> UseTotals:
        """Return what an agreement has used, and when."""
        ...


class Signatures(Protocol):
    """Knows the keys of participants."""

    def verified(self, issuer: str, token: str) -> Signed:
        """Return the claims of a token that a participant signed, and the key that did.

        Raises:
            Unauthenticated: saying which check failed.
            Forbidden: if the issuer is no member of this data space.
        """
        ...


class Consequences(Protocol):
    """What can be done about a duty that was not kept; each is harmless again."""

    def suspend(self, agreement: str, why: str) -> None:
        """Suspend every running transfer under an agreement."""
        ...

    def terminate(self, agreement: str, why: str) -> None:
        """Revoke an agreement, and end what runs under it."""
        ...

    def resume(self, agreement: str) -> None:
        """Start those transfers again that were suspended for a duty that was overdue."""
        ...

    def resting(self) -> Collection[str]:
        """Return the agreements under which transfers are suspended for a duty that was overdue."""
        ...


class Peers(Protocol):
    """The way to the ledgers of providers."""

    def owed(self, agreement: SignedAgreement) -> Sequence[dict[str, Any]]:
        """Return what the provider of an agreement says that we owe under it.

        Raises:
            PeerUnavailable: if it cannot say so now, or keeps no ledger.
        """
        ...
