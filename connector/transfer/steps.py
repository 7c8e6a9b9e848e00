"""Pure in what they do: from a transfer and what is said to the transfer that follows.

Ids, times and tickets are given; nothing is saved or sent here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from connector.negotiation.ports import SignedAgreement
from connector.negotiation.steps import checked_use
from connector.outbox.letter import (
    bounded,
    checked_callback,
    heard_reasons,
    loggable,
    remember,
    said_reasons,
    shorten,
)
from connector.outbox.path import arrive
from connector.transfer.direction import direction_of
from connector.transfer.judge import Say
from connector.transfer.machine import MOVES, TURN, Said, move, said
from connector.transfer.ports import Transfer
from schemas.base import Message, Role
from schemas.dsp import transfer as words
from schemas.dsp.transfer import TransferState as State
from schemas.errors import IllegalMove, Malformed
from schemas.foreign import asks_to_resume
from schemas.usage import UsageKind

DENIED = "use-denied"

_TOLD = {
    State.STARTED: UsageKind.TRANSFER_STARTED,
    State.SUSPENDED: UsageKind.TRANSFER_SUSPENDED,
    State.COMPLETED: UsageKind.TRANSFER_COMPLETED,
    State.TERMINATED: UsageKind.TRANSFER_TERMINATED,
}


def opened(
    held: SignedAgreement,
    pid: str,
    counter_pid: str | None,
    message: words.TransferRequestMessage,
    at: datetime,
) -> Transfer:
    """Return the transfer that a request opens, on the side that holds the agreement.

    Raises:
        Malformed: if the request names no base URL, things too long to keep, or a push without an address.
    """
    provides = held.role is Role.PROVIDER
    pushes = provides and direction_of(message.format) == "push"
    if pushes and message.data_address is None:
        raise Malformed(f"{message.format[:80]!r} needs the dataAddress that the data is pushed to")
    state = move(None, Role.CONSUMER, said(message))
    return Transfer(
        pid=pid,
        role=held.role,
        counterparty=held.counterparty,
        counter_pid=None if counter_pid is None else bounded("your process id", counter_pid),
        callback=checked_callback(message.callback_address) if provides else held.callback,
        state=state,
        agreement=held.agreement.id,
        dataset=held.agreement.target,
        format=message.format,
        use=checked_use(message.use) or held.use,
        created=at,
        updated=at,
        address=message.data_address if pushes else None,
        seen=remember((), message.id) if provides else (),
        path=arrive((), state, at),
    )


def heard(transfer: Transfer, message: Message, at: datetime) -> Transfer:
    """Return the transfer after the counterparty's message.

    Raises:
        IllegalMove: if the counterparty may not say that here, or resumes what we suspended.
        Malformed: if the message speaks of another process.
    """
    what = said(message)
    state = move(transfer.state, transfer.role.other, what)
    if what is Said.START and transfer.held is not None:
        raise IllegalMove(
            f"the {transfer.role} suspended this transfer and has to resume it: {transfer.held}"
        )
    if what is Said.START and transfer.role is Role.PROVIDER and asks_to_resume(message.context):
        state = State.REQUESTED  # so that we decide once more, and start with a fresh pass
    moved = replace(
        _with_pids(transfer, message),
        state=state,
        updated=at,
        path=arrive(transfer.path, state, at),
        seen=remember(transfer.seen, message.id),
    )
    match message:
        case words.TransferStartMessage():
            takes = transfer.role is Role.CONSUMER and message.data_address is not None
            return replace(moved, address=message.data_address if takes else transfer.address, reasons=())
        case words.TransferSuspensionMessage():
            return replace(moved, reasons=heard_reasons(message))
        case words.TransferTerminationMessage():
            code = shorten(message.code, 120) if message.code else "terminated"
            problem = f"{code}, says {transfer.counterparty}"
            return replace(moved, problem=problem, reasons=heard_reasons(message), held=None)
        case _:
            return moved


def learnt(transfer: Transfer, standing: str, at: datetime) -> Transfer | None:
    """Return the transfer after the counterparty said, when asked, where it stands; None if nothing follows.

    Only that it is over counts as said: a start has to come as a message, for it brings the address.
    """
    if standing != State.TERMINATED or not MOVES[transfer.state]:
        return None
    message = words.TransferTerminationMessage(
        provider_pid=transfer.provider_pid,
        consumer_pid=transfer.consumer_pid,
        reason=("it said so when it was asked; its message did not arrive",),
    )
    return heard(transfer, message, at)


def spoken(transfer: Transfer, say: Say, *, message_id: str, at: datetime) -> tuple[Transfer, Message | None]:
    """Return the transfer after we said something, and the message that says it.

    There is no message while the counterparty's process id is unknown: its path could not be named.

    Raises:
        IllegalMove: if we may not say that here.
    """
    state = move(transfer.state, transfer.role, say.what)
    moved = replace(transfer, state=state, updated=at, path=arrive(transfer.path, state, at), held=None)
    pids: dict[str, Any] = {
        "provider_pid": transfer.provider_pid,
        "consumer_pid": transfer.consumer_pid,
        "id": message_id,
    }
    message: Message
    match say.what:
        case Said.START:
            moved = replace(moved, reasons=())
            message = words.TransferStartMessage(**pids, data_address=say.address)
        case Said.COMPLETION:
            message = words.TransferCompletionMessage(**pids)
        case Said.SUSPENSION:
            moved = replace(moved, held=say.reasons[0] if say.reasons else "suspended", reasons=say.reasons)
            message = words.TransferSuspensionMessage(**pids, code=say.code, **said_reasons(say.reasons))
        case Said.TERMINATION:
            moved = replace(moved, problem=say.code or "terminated", reasons=say.reasons)
            message = words.TransferTerminationMessage(**pids, code=say.code, **said_reasons(say.reasons))
        case Said.REQUEST:
            raise IllegalMove("a transfer is requested once, when it is opened")
    return moved, message if transfer.counter_pid else None


def rested(transfer: Transfer, problem: str, at: datetime) -> Transfer:
    """Return the transfer after the provider refused to let us go on: suspended, as it was."""
    state = State.SUSPENDED
    return replace(transfer, state=state, problem=problem, updated=at, path=arrive(transfer.path, state, at))


def told(
    before: State | None, transfer: Transfer, policy: str | None
) -> tuple[UsageKind, dict[str, Any]] | None:
    """Return the usage record that a move calls for: its kind and its fields.

    Args:
        before: the state before the move.
        transfer: after the move.
        policy: the digest of its agreement.
    """
    kind = _TOLD.get(transfer.state)
    if kind is None or transfer.state is before:
        return None
    fields: dict[str, Any] = {
        "counterparty": transfer.counterparty,
        "transfer": transfer.pid,
        "dataset": transfer.dataset,
        "agreement": transfer.agreement,
        "policy": policy,
        "action": transfer.use.action if transfer.use else None,
        "purpose": transfer.use.purpose if transfer.use else None,
    }
    if transfer.state is State.TERMINATED:
        problem = transfer.problem or "terminated"
        fields["decision"] = "deny" if problem.startswith(DENIED) else None
        fields["reasons"] = loggable((problem, *transfer.reasons))
    elif transfer.state is State.SUSPENDED:
        fields["reasons"] = loggable(transfer.reasons)
    return kind, fields


def expected(transfer: Transfer) -> str:
    """Say in words what has to be said next, and by whom."""
    speaker = TURN[transfer.state]
    if speaker is None:
        return "nothing is left to say" if not MOVES[transfer.state] else f"the transfer is {transfer.state}"
    who = "we say" if speaker is transfer.role else f"{transfer.counterparty} says"
    may = [
        what.value for role, what in MOVES[transfer.state] if role is speaker and what is not Said.TERMINATION
    ]
    return f"{who} {' or '.join(may)}"


def _with_pids(transfer: Transfer, message: Message) -> Transfer:
    """Check the process ids that a message names, and learn the counterparty's where it was unknown."""
    consumer, provider = getattr(message, "consumer_pid", None), getattr(message, "provider_pid", None)
    ours, theirs = (consumer, provider) if transfer.role is Role.CONSUMER else (provider, consumer)
    if ours != transfer.pid:
        raise Malformed(f"message names our process {str(ours)[:80]!r}, but was sent to {transfer.pid!r}")
    if transfer.counter_pid is None:
        return replace(transfer, counter_pid=bounded("your process id", str(theirs or "")))
    if theirs != transfer.counter_pid:
        raise Malformed(f"message names your process {str(theirs)[:80]!r}, expected {transfer.counter_pid!r}")
    return transfer
