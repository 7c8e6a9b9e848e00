"""Pure: why a stream may not go on, as transfer, agreement and the time say."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from connector.negotiation.ports import SignedAgreement
from connector.transfer.ports import Transfer
from connector.transfer.ticket import Ticket
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


def stop(
    transfer: Transfer, agreement: SignedAgreement, ticket: Ticket, at: datetime
) -> tuple[EndKind, str] | None:
    """Say why a stream may not go on, if it may not."""
    if agreement.has_ended(at):
        return "revoked", f"agreement {ticket.agreement} was revoked: {agreement.end_reason}"
    if not agreement.final or agreement.epoch != ticket.epoch:
        changed = f" ({agreement.changed})" if agreement.changed else ""
        return "revoked", (
            f"agreement {ticket.agreement} stands at epoch {agreement.epoch}{changed}"
            f"{'' if agreement.final else ' and is not final'}, the ticket is for {ticket.epoch}; "
            "ask for a new transfer"
        )
    why = (
        "; ".join((*((transfer.problem,) if transfer.problem else ()), *transfer.reasons))
        or "no reason was given"
    )
    match transfer.state:
        case TransferState.STARTED:
            return None
        case TransferState.SUSPENDED:
            return "suspended", f"transfer {transfer.pid} is suspended: {why}"
        case TransferState.TERMINATED:
            return "terminated", f"transfer {transfer.pid} was terminated: {why}"
        case TransferState.COMPLETED:
            return "terminated", f"transfer {transfer.pid} was completed; ask for a new one"
        case TransferState.REQUESTED:
            return "terminated", f"transfer {transfer.pid} is not started yet"
