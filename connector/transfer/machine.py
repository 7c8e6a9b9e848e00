"""The transfer process protocol as a table. Both roles run the same one.

Rule 1: what makes a message legal or illegal stands here and nowhere else.
Rule 2: this file does not know which role we play.

Source: Dataspace Protocol 2025-1, chapter 8.2.
"""

from __future__ import annotations

from enum import StrEnum

from schemas.base import Message, Role
from schemas.dsp.transfer import TransferState as State
from schemas.errors import IllegalMove

C, P = Role.CONSUMER, Role.PROVIDER


class Said(StrEnum):
    """What can be said in a transfer, named as the message that says it."""

    REQUEST = "TransferRequestMessage"
    START = "TransferStartMessage"
    COMPLETION = "TransferCompletionMessage"
    SUSPENSION = "TransferSuspensionMessage"
    TERMINATION = "TransferTerminationMessage"


_END = {(C, Said.TERMINATION): State.TERMINATED, (P, Said.TERMINATION): State.TERMINATED}

MOVES: dict[State | None, dict[tuple[Role, Said], State]] = {
    None: {(C, Said.REQUEST): State.REQUESTED},
    State.REQUESTED: {(P, Said.START): State.STARTED, **_END},
    State.STARTED: {
        (C, Said.COMPLETION): State.COMPLETED,
        (P, Said.COMPLETION): State.COMPLETED,
        (C, Said.SUSPENSION): State.SUSPENDED,
        (P, Said.SUSPENSION): State.SUSPENDED,
        **_END,
    },
    State.SUSPENDED: {(C, Said.START): State.STARTED, (P, Said.START): State.STARTED, **_END},
    State.COMPLETED: {},
    State.TERMINATED: {},
}

TURN: dict[State, Role | None] = {
    State.REQUESTED: P,
    State.STARTED: None,
    State.SUSPENDED: None,
    State.COMPLETED: None,
    State.TERMINATED: None,
}
"""Whose turn it is; a started or suspended transfer waits for nobody in particular."""


def said(message: Message) -> Said:
    """Return what a message says.

    Raises:
        IllegalMove: for a message of another protocol.
    """
    try:
        return Said(message.TYPE)
    except ValueError:
        raise IllegalMove(f"{message.TYPE} is not part of a transfer") from None


def move(state: State | None, sender: Role, what: Said) -> State:
    """Return the state that follows.

    Raises:
        IllegalMove: naming what was said, the state, and what the sender may say there.
    """
    following = MOVES[state].get((sender, what))
    if following is None:
        may = ", ".join(move.value for role, move in MOVES[state] if role is sender) or "nothing"
        shown = state.value if state else "no transfer"
        raise IllegalMove(f"{sender} said {what.value} in state {shown}; here {sender} may say {may}")
    return following
