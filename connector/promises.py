"""What stands on promises, put together: how agreements end, the ledger of what is owed, and our receipts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from fastapi import APIRouter
from joserfc.jwk import OKPKey

from connector.api.obligations import ledger_router, obligations_router
from connector.negotiation.ports import NegotiationStore
from connector.negotiation.revocation import Revocations
from connector.obligations.entry import OVERDUE_PREFIX
from connector.obligations.fulfilment import Fulfilments
from connector.obligations.ports import LedgerStore, Peers, ReceiptStore
from connector.obligations.service import Ledger
from connector.signaling.service import DataFlows
from connector.transfer.hold import Held, terminate_under
from connector.transfer.service import Transfers
from connector.trust.ports import TrustProfile
from connector.usage.service import UsageLog
from schemas.receipts import HeldReceipt


@dataclass(frozen=True)
class Rooms:
    """The rooms that are told; each is asked for when it is needed, since they know each other."""

    transfers: Callable[[], Transfers]
    flows: Callable[[], DataFlows]
    remind: Callable[[datetime], None]
    wake: Callable[[str], None]


@dataclass(frozen=True)
class Us:
    """Who we are: id, key, clock, and the maker of ids."""

    did: str
    key: OKPKey
    clock: Callable[[], datetime]
    new_id: Callable[[], str]


class Promises:
    """The parts; each is made when it is first asked for."""

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        us: Us,
        agreements: NegotiationStore,
        entries: LedgerStore,
        receipts: ReceiptStore,
        usage: UsageLog,
        trust: TrustProfile,
        peers: Peers,
        rooms: Rooms,
    ) -> None:
        self._us, self._agreements, self._entries = us, agreements, entries
        self._receipts = receipts
        self._usage, self._trust, self._peers, self._rooms = usage, trust, peers, rooms

    @cached_property
    def revocations(self) -> Revocations:
        """Ends agreements that we gave."""
        return Revocations(
            store=self._agreements,
            record=self._usage.record,
            clock=self._us.clock,
            remind=self._rooms.remind,
            ended=self._end_under,
        )

    @cached_property
    def ledger(self) -> Ledger:
        """What others owe us."""
        return Ledger(
            store=self._entries,
            agreements=self._agreements,
            usage=self._usage,
            signatures=self._trust,
            consequences=Held(self._rooms.transfers(), self.revocations.at_once, OVERDUE_PREFIX),
            did=self._us.did,
            clock=self._us.clock,
            remind=self._rooms.remind,
        )

    @cached_property
    def fulfilments(self) -> Fulfilments:
        """What we owe others."""
        return Fulfilments(
            agreements=self._agreements,
            store=self._receipts,
            wake=self._rooms.wake,
            usage=self._usage,
            peers=self._peers,
            key=self._us.key,
            did=self._us.did,
            clock=self._us.clock,
            new_id=self._us.new_id,
        )

    def _end_under(self, agreement: str, why: str) -> int:
        ended = terminate_under(self._rooms.transfers(), agreement, why)
        return ended + self._rooms.flows().terminate_under(agreement, why)

    def shown(self, agreement: str) -> tuple[HeldReceipt, ...]:
        """Return the receipts that were taken under an agreement, by us or from us."""
        return (*self.ledger.shown(agreement), *self.fulfilments.shown(agreement))

    def ledger_door(self) -> APIRouter:
        """Return the door for counterparties."""
        return ledger_router(self._trust.admit, self.ledger)

    def management_door(self, authorize: Callable[[str], bool]) -> APIRouter:
        """Return the door for our own people."""
        return obligations_router(
            authorize=authorize,
            ledger=self.ledger,
            fulfilments=self.fulfilments,
            revocations=self.revocations,
        )
