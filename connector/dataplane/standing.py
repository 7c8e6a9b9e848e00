"""Pure: why a stream may not go on, as transfer, agreement and the time say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from connector.negotiation.ports import SignedAgreement
from connector.transfer.ports import Transfer
from connector.transfer.ticket import Ticket
from policies.claims import asked
from policies.compiled import CompiledPolicy
from policies.counting import Bound
from policies.decision import Deny, Permit, decide
from policies.use import NO_CLAIMS, Claims, Use, UseTotals
from policies.words.carried import spoken, understood
from policies.words.language import Message, Several, message
from schemas.dsp.transfer import TransferState

EndKind = Literal[
    "complete",
    "row-limit",
    "byte-limit",
    "rate-limit",
    "expired",
    "revoked",
    "suspended",
    "terminated",
    "failed",
]


@dataclass(frozen=True)
class Granted:
    """What was decided when a stream was opened, to be asked again when other things are known.

    `most` is what the agreement may reach in all.
    """

    policy: CompiledPolicy
    use: Use
    first_delivery: datetime
    permit: Permit
    most: Bound

    @property
    def asks_claims(self) -> bool:
        """Whether the decision hangs on anything that the data space states of its members."""
        return asked(self.policy, Claims(listed=True)) != NO_CLAIMS

    def outgrown(self, claims: Claims, at: datetime) -> str | None:
        """Say why the stream may not go on as it was permitted, now that this is known of its consumer.

        Counts are left aside: what the stream itself has taken stands against no stream that took it.
        """
        if asked(self.policy, claims) == asked(self.policy, self.use.claims):
            return None
        totals = UseTotals(first_delivery=self.first_delivery)
        match decide(self.policy, replace(self.use, claims=claims), totals, at):
            case Deny(reasons=reasons):
                told = Several(tuple(reason.told for reason in reasons[:4]), "join.xone")
                return spoken(message("end.changed", who=self.use.participant[:120], reasons=told))
            case Permit() as found:
                before, now = self.permit, found
                if (now.plan, now.rules) == (before.plan, before.rules) and not _earlier(now, before):
                    return None
                return spoken(message("end.outgrown", who=self.use.participant[:120]))


def _earlier(one: Permit, other: Permit) -> bool:
    until, before = one.limits.until, other.limits.until
    return until is not None and (before is None or until < before)


def _why(transfer: Transfer) -> Message | str:
    said = (*((transfer.problem,) if transfer.problem else ()), *transfer.reasons)
    return understood(said[0]) if len(said) == 1 else "; ".join(said) or "no reason was given"


def stop(
    transfer: Transfer, agreement: SignedAgreement, ticket: Ticket, at: datetime
) -> tuple[EndKind, str] | None:
    """Say why a stream may not go on, if it may not."""
    if agreement.has_ended(at):
        why = str(agreement.end_reason)
        return "revoked", spoken(message("end.revoked", agreement=ticket.agreement, reason=why))
    if not agreement.final or agreement.epoch != ticket.epoch:
        changed = f" ({agreement.changed})" if agreement.changed else ""
        return "revoked", (
            f"agreement {ticket.agreement} stands at epoch {agreement.epoch}{changed}"
            f"{'' if agreement.final else ' and is not final'}, the ticket is for {ticket.epoch}; "
            "ask for a new transfer"
        )
    because = _why(transfer)
    match transfer.state:
        case TransferState.STARTED:
            return None
        case TransferState.SUSPENDED:
            return "suspended", spoken(message("end.suspended", transfer=transfer.pid, reason=because))
        case TransferState.TERMINATED:
            return "terminated", spoken(message("end.terminated", transfer=transfer.pid, reason=because))
        case TransferState.COMPLETED:
            return "terminated", spoken(message("end.completed", transfer=transfer.pid))
        case TransferState.REQUESTED:
            return "terminated", spoken(message("end.not started", transfer=transfer.pid))
