"""Pure in what they do: from a negotiation and what is said to the negotiation that follows.

Ids and times are given; nothing is saved or sent here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from connector.negotiation.judge import Say
from connector.negotiation.machine import MOVES, TURN, Said, move, said
from connector.negotiation.ports import Negotiation, SignedAgreement
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
from schemas.base import Message, Role
from schemas.canonical import digest
from schemas.dsp import negotiation as words
from schemas.dsp.negotiation import NegotiationState as State
from schemas.errors import Malformed
from schemas.odrl import Agreement, DeclaredUse, Offer
from schemas.usage import UsageKind

_TOLD = {
    State.AGREED: UsageKind.NEGOTIATION_AGREED,
    State.FINALIZED: UsageKind.NEGOTIATION_FINALIZED,
    State.TERMINATED: UsageKind.NEGOTIATION_TERMINATED,
}
DENIED = "use-denied"


Opening = words.ContractRequestMessage | words.ContractOfferMessage


@dataclass(frozen=True)
class Party:
    """A counterparty: who it is, where it takes messages, and its process id if it has one already."""

    id: str
    callback: str | None
    pid: str | None = None


@dataclass(frozen=True)
class Pen:
    """What is given to write a message with: our name, fresh ids, and the time."""

    me: str
    message_id: str
    agreement_id: str
    at: datetime


def opened(role: Role, pid: str, party: Party, message: Opening, at: datetime) -> Negotiation:
    """Return the negotiation that a first message opens, whichever side sent it.

    Raises:
        Malformed: if it names no dataset, no base URL, or things too long to keep.
    """
    offer = message.offer
    if offer.target is None:
        raise Malformed("offer.target is missing; it names the dataset")
    requested = isinstance(message, words.ContractRequestMessage)
    state = move(None, Role.CONSUMER if requested else Role.PROVIDER, said(message))
    return Negotiation(
        pid=pid,
        role=role,
        counterparty=party.id,
        counter_pid=None if party.pid is None else bounded("your process id", party.pid),
        callback=checked_callback(party.callback),
        state=state,
        dataset=bounded("offer.target", offer.target),
        offer=offer,
        use=checked_use(message.use) if isinstance(message, words.ContractRequestMessage) else None,
        created=at,
        updated=at,
        wanted=offer if requested and role is Role.CONSUMER else None,
        seen=() if party.pid is None else remember((), message.id),
        path=arrive((), state, at),
    )


def heard(negotiation: Negotiation, message: Message, at: datetime) -> Negotiation:
    """Return the negotiation after the counterparty's message.

    Raises:
        IllegalMove: if the counterparty may not say that here.
        Malformed: if the message speaks of another process, dataset, or things too long to keep.
    """
    state = move(negotiation.state, negotiation.role.other, said(message))
    moved = replace(
        _with_pids(negotiation, message),
        state=state,
        updated=at,
        path=arrive(negotiation.path, state, at),
        held=None,
        seen=remember(negotiation.seen, message.id),
    )
    match message:
        case words.ContractRequestMessage():
            offer = _same_dataset(negotiation, message.offer)
            return replace(moved, offer=offer, use=checked_use(message.use) or negotiation.use)
        case words.ContractOfferMessage():
            return replace(moved, offer=_same_dataset(negotiation, message.offer))
        case words.ContractAgreementMessage():
            return replace(moved, agreement=_checked_agreement(message.agreement))
        case words.ContractNegotiationTerminationMessage():
            code = shorten(message.code, 120) if message.code else "terminated"
            return replace(
                moved, problem=f"{code}, says {negotiation.counterparty}", reasons=heard_reasons(message)
            )
        case _:
            return moved


def spoken(negotiation: Negotiation, say: Say, pen: Pen) -> tuple[Negotiation, Message | None]:
    """Return the negotiation after we said something, and the message that says it.

    There is no message while the counterparty's process id is unknown: its path could not be named.

    Raises:
        IllegalMove: if we may not say that here.
    """
    state = move(negotiation.state, negotiation.role, say.what)
    path = arrive(negotiation.path, state, pen.at)
    moved = replace(negotiation, state=state, updated=pen.at, path=path, held=None)
    pids: dict[str, Any] = {
        "provider_pid": negotiation.provider_pid,
        "consumer_pid": negotiation.consumer_pid,
        "id": pen.message_id,
    }
    message: Message
    match say.what:
        case Said.OFFER:
            offer = _addressed(say.offer or negotiation.offer, negotiation.dataset, pen.me)
            moved = replace(moved, offer=offer)
            message = words.ContractOfferMessage(**pids, offer=offer)
        case Said.REQUEST:
            offer = (say.offer or negotiation.offer).model_copy(update={"target": negotiation.dataset})
            moved = replace(moved, offer=offer, wanted=offer)
            message = words.ContractRequestMessage(**pids, offer=offer, use=negotiation.use)
        case Said.AGREEMENT:
            agreement = agreement_of(negotiation, say.offer or negotiation.offer, pen)
            moved = replace(moved, agreement=agreement)
            message = words.ContractAgreementMessage(**pids, agreement=agreement)
        case Said.VERIFICATION:
            message = words.ContractAgreementVerificationMessage(**pids)
        case Said.ACCEPTED | Said.FINALIZED:
            event = say.what.value.rpartition(":")[2]
            message = words.ContractNegotiationEventMessage.read(
                {
                    "@type": words.ContractNegotiationEventMessage.TYPE,
                    "@id": pen.message_id,
                    "providerPid": negotiation.provider_pid,
                    "consumerPid": negotiation.consumer_pid,
                    "eventType": event,
                }
            )
        case Said.TERMINATION:
            moved = replace(moved, problem=say.code or "terminated", reasons=say.reasons)
            message = words.ContractNegotiationTerminationMessage(
                **pids, code=say.code, **said_reasons(say.reasons)
            )
    return moved, message if negotiation.counter_pid else None


def agreement_of(negotiation: Negotiation, offer: Offer, pen: Pen) -> Agreement:
    """Write the agreement: the words of an offer, under the names of both parties."""
    offered = offer.wire()
    parties = {
        "@id": pen.agreement_id,
        "@type": "Agreement",
        "target": negotiation.dataset,
        "assigner": pen.me,
        "assignee": negotiation.counterparty,
        "timestamp": pen.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    return Agreement.read({**offered, **parties})


def signed(negotiation: Negotiation) -> SignedAgreement | None:
    """Return the agreement to save with a negotiation: from when it is stated, final at the end."""
    agreement = negotiation.agreement
    if agreement is None or negotiation.state not in (State.AGREED, State.FINALIZED):
        return None
    return SignedAgreement(
        agreement=agreement,
        role=negotiation.role,
        counterparty=negotiation.counterparty,
        callback=negotiation.callback,
        negotiation=negotiation.pid,
        digest=digest(agreement.wire()),
        use=negotiation.use,
        signed=negotiation.updated,
        final=negotiation.state is State.FINALIZED,
    )


def told(before: State | None, negotiation: Negotiation) -> tuple[UsageKind, dict[str, Any]] | None:
    """Return the usage record that a move calls for: its kind and its fields."""
    kind = _TOLD.get(negotiation.state)
    if kind is None or negotiation.state is before:
        return None
    agreement = negotiation.agreement
    fields: dict[str, Any] = {
        "counterparty": negotiation.counterparty,
        "negotiation": negotiation.pid,
        "dataset": negotiation.dataset,
        "agreement": agreement.id if agreement else None,
        "policy": digest(agreement.wire()) if agreement else None,
        "action": negotiation.use.action if negotiation.use else None,
        "purpose": negotiation.use.purpose if negotiation.use else None,
    }
    if negotiation.state is State.TERMINATED:
        problem = negotiation.problem or "terminated"
        fields["decision"] = "deny" if problem.startswith(DENIED) else None
        fields["reasons"] = loggable((problem, *negotiation.reasons))
    return kind, fields


def expected(negotiation: Negotiation) -> str:
    """Say in words what has to be said next, and by whom."""
    speaker = TURN[negotiation.state]
    if speaker is None:
        return "nothing is left to say"
    may = [
        what.value
        for role, what in MOVES[negotiation.state]
        if role is speaker and what is not Said.TERMINATION
    ]
    who = "we say" if speaker is negotiation.role else f"{negotiation.counterparty} says"
    return f"{who} {' or '.join(may)}"


def checked_use(use: DeclaredUse | None) -> DeclaredUse | None:
    """Return a declared use whose terms are short enough to be kept.

    Raises:
        Malformed: naming the member and its size.
    """
    if use is not None:
        bounded("action of the declared use", use.action)
        if use.purpose is not None:
            bounded("purpose of the declared use", use.purpose)
    return use


def _with_pids(negotiation: Negotiation, message: Message) -> Negotiation:
    """Check the process ids that a message names, and learn the counterparty's where it was unknown."""
    consumer, provider = getattr(message, "consumer_pid", None), getattr(message, "provider_pid", None)
    ours, theirs = (consumer, provider) if negotiation.role is Role.CONSUMER else (provider, consumer)
    if ours != negotiation.pid:
        raise Malformed(f"message names our process {str(ours)[:80]!r}, but was sent to {negotiation.pid!r}")
    if negotiation.counter_pid is None:
        return replace(negotiation, counter_pid=bounded("your process id", str(theirs or "")))
    if theirs != negotiation.counter_pid:
        raise Malformed(
            f"message names your process {str(theirs)[:80]!r}, expected {negotiation.counter_pid!r}"
        )
    return negotiation


def _same_dataset(negotiation: Negotiation, offer: Offer) -> Offer:
    if offer.target not in (None, negotiation.dataset):
        raise Malformed(
            f"offer.target is {str(offer.target)[:80]!r}, but this is about {negotiation.dataset!r}"
        )
    bounded("offer.@id", offer.id)
    return offer


def _checked_agreement(agreement: Agreement) -> Agreement:
    bounded("agreement.@id", agreement.id)
    digest(agreement.wire())  # what has no exact form could not be logged
    return agreement


def _addressed(offer: Offer, dataset: str, me: str) -> Offer:
    return offer.model_copy(update={"target": dataset, "assigner": me})
