"""The contract negotiation protocol as a table. Both roles run the same one.

Rule 1: what makes a message legal or illegal stands here and nowhere else.
Rule 2: this file does not know which role we play.

Source: Dataspace Protocol 2025-1, chapter 6.2.
"""

from __future__ import annotations

from enum import StrEnum

from schemas.base import Message, Role
from schemas.dsp import negotiation as words
from schemas.dsp.negotiation import NegotiationState as State
from schemas.errors import IllegalMove

C, P = Role.CONSUMER, Role.PROVIDER


class Said(StrEnum):
    """What can be said in a negotiation, named as the message that says it."""

    REQUEST = "ContractRequestMessage"
    OFFER = "ContractOfferMessage"
    ACCEPTED = "ContractNegotiationEventMessage:ACCEPTED"
    AGREEMENT = "ContractAgreementMessage"
    VERIFICATION = "ContractAgreementVerificationMessage"
    FINALIZED = "ContractNegotiationEventMessage:FINALIZED"
    TERMINATION = "ContractNegotiationTerminationMessage"


_END = {(C, Said.TERMINATION): State.TERMINATED, (P, Said.TERMINATION): State.TERMINATED}

MOVES: dict[State | None, dict[tuple[Role, Said], State]] = {
    None: {(C, Said.REQUEST): State.REQUESTED, (P, Said.OFFER): State.OFFERED},
    State.REQUESTED: {(P, Said.OFFER): State.OFFERED, (P, Said.AGREEMENT): State.AGREED, **_END},
    State.OFFERED: {(C, Said.REQUEST): State.REQUESTED, (C, Said.ACCEPTED): State.ACCEPTED, **_END},
    State.ACCEPTED: {(P, Said.AGREEMENT): State.AGREED, **_END},
    State.AGREED: {(C, Said.VERIFICATION): State.VERIFIED, **_END},
    State.VERIFIED: {(P, Said.FINALIZED): State.FINALIZED, **_END},
    State.FINALIZED: {},
    State.TERMINATED: {},
}

TURN: dict[State, Role | None] = {
    State.REQUESTED: P,
    State.OFFERED: C,
    State.ACCEPTED: P,
    State.AGREED: C,
    State.VERIFIED: P,
    State.FINALIZED: None,
    State.TERMINATED: None,
}
"""Whose turn it is; nobody's at the end."""


def said(message: Message) -> Said:
    """Return what a message says.

    Raises:
        IllegalMove: for a message of another protocol.
    """
    if isinstance(message, words.ContractNegotiationEventMessage):
        return Said(f"{message.TYPE}:{message.event_type}")
    try:
        return Said(message.TYPE)
    except ValueError:
        raise IllegalMove(f"{message.TYPE} is not part of a contract negotiation") from None


def move(state: State | None, sender: Role, what: Said) -> State:
    """Return the state that follows.

    Raises:
        IllegalMove: naming what was said, the state, and what the sender may say there.
    """
    following = MOVES[state].get((sender, what))
    if following is None:
        may = ", ".join(move.value for role, move in MOVES[state] if role is sender) or "nothing"
        shown = state.value if state else "no negotiation"
        raise IllegalMove(f"{sender} said {what.value} in state {shown}; here {sender} may say {may}")
    return following
