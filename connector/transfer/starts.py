"""How a provider starts a transfer: with a ticket where the policy permits the use, else with why not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from joserfc.jwk import OKPKey

from connector.negotiation.ports import NegotiationStore
from connector.transfer.direction import direction_of
from connector.transfer.judge import Say
from connector.transfer.machine import Said
from connector.transfer.ports import Transfer
from connector.transfer.steps import DENIED
from connector.transfer.ticket import granted, issue, lasting
from policies.compiled import compile_policy
from policies.decision import Deny, decide, spoken_reasons
from policies.use import NO_CLAIMS, Claims, Use, UseTotals
from policies.words.carried import spoken
from policies.words.language import message
from schemas.dsp.transfer import DataAddress
from schemas.errors import Refused
from schemas.worded import reasons_of


class Totals(Protocol):
    """Knows what was used under an agreement."""

    def totals(self, agreement: str, transfer: str | None = None) -> UseTotals:
        """Return what an agreement has used; an epoch that a transfer has begun is counted out."""
        ...


class Starts:
    """Decides whether a transfer may start.

    Args:
        agreements: knows whether an agreement stands.
        usage: knows what it has used.
        addresses: turns a transfer and its ticket into where the data is.
        ticket_key: signs tickets.
        clock: UTC, aware.
        hindrance: says which duty under an agreement is overdue, if one is.
        claims: says what is known of a participant.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        agreements: NegotiationStore,
        usage: Totals,
        addresses: Callable[[Transfer, str], DataAddress],
        ticket_key: OKPKey,
        clock: Callable[[], datetime],
        hindrance: Callable[[str], str | None] = lambda _: None,
        claims: Callable[[str], Claims] = lambda _: NO_CLAIMS,
    ) -> None:
        self._hindrance = hindrance
        self._claims = claims
        self._agreements, self._usage, self._addresses = agreements, usage, addresses
        self._ticket_key, self._clock = ticket_key, clock

    def say(self, transfer: Transfer) -> Say:
        """Return the start, of a pull with its data address, or the termination that says why not."""
        held, at = self._agreements.agreement(transfer.agreement), self._clock()
        if held.has_ended(at):
            why = spoken(message("end.agreement", reason=str(held.end_reason)))
            return Say(Said.TERMINATION, code="revoked", reasons=(why,))
        if (overdue := self._hindrance(transfer.agreement)) is not None:
            return Say(Said.TERMINATION, code="obligation-overdue", reasons=(overdue,))
        use = Use.declared(transfer.counterparty, transfer.use, self._claims(transfer.counterparty))
        try:
            totals = self._usage.totals(transfer.agreement, transfer.pid)
            decision = decide(compile_policy(held.agreement), use, totals, at)
            if isinstance(decision, Deny):
                return Say(Said.TERMINATION, code=DENIED, reasons=spoken_reasons(decision))
            if direction_of(transfer.format) == "push":
                return Say(Said.START)
            ticket = granted(
                transfer.pid, held.agreement, use, held.epoch, lasting(at, decision.limits.until)
            )
            address = self._addresses(transfer, issue(ticket, self._ticket_key))
        except Refused as error:
            return Say(Said.TERMINATION, code=error.code, reasons=tuple(reasons_of(error)))
        return Say(Said.START, address=address)

    def ticket(self, transfer: Transfer) -> str:
        """Issue the ticket of a push; whether it opens a stream is decided when one is opened."""
        held = self._agreements.agreement(transfer.agreement)
        use = Use.declared(transfer.counterparty, transfer.use)
        ticket = granted(transfer.pid, held.agreement, use, held.epoch, lasting(self._clock(), None))
        return issue(ticket, self._ticket_key)
