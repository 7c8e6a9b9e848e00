"""Pure: what follows for a negotiation from where its counterparty says, when asked, that it stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from connector.negotiation.machine import MOVES
from connector.negotiation.ports import Negotiation
from connector.negotiation.steps import heard
from schemas.base import Message, Role
from schemas.dsp import negotiation as words
from schemas.dsp.negotiation import NegotiationState as State


def learnt(negotiation: Negotiation, standing: str, at: datetime) -> Negotiation | None:
    """Return the negotiation after the counterparty said, when asked, where it stands; None: nothing follows.

    Only what says all by itself counts as said: that it is over, or that it is final. An agreement or an
    offer has to come as a message.
    """
    message: Message
    pids: dict[str, Any] = {
        "provider_pid": negotiation.provider_pid,
        "consumer_pid": negotiation.consumer_pid,
    }
    if standing == State.TERMINATED:
        why = ("it said so when it was asked; its message did not arrive",)
        message = words.ContractNegotiationTerminationMessage(**pids, reason=why)
    elif (
        standing == State.FINALIZED
        and negotiation.state is State.VERIFIED
        and negotiation.role is Role.CONSUMER
    ):
        message = words.ContractNegotiationEventMessage(**pids, event_type="FINALIZED")
    else:
        return None
    return None if not MOVES[negotiation.state] else heard(negotiation, message, at)
