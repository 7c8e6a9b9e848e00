"""Contract negotiation messages of the Dataspace Protocol 2025-1, chapters 6 and 7."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.base import CodeMessage, Message
from schemas.odrl import DECLARED_USE, Agreement, DeclaredUse, Offer


class NegotiationState(StrEnum):
    """The states of a contract negotiation."""

    REQUESTED = "REQUESTED"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    AGREED = "AGREED"
    VERIFIED = "VERIFIED"
    FINALIZED = "FINALIZED"
    TERMINATED = "TERMINATED"


class ContractRequestMessage(Message):
    """A consumer asks for a contract (with `callback_address`) or counters an offer (with `provider_pid`)."""

    TYPE: ClassVar[str] = "ContractRequestMessage"

    consumer_pid: str = Field(max_length=512)
    provider_pid: str | None = Field(default=None, max_length=512)
    callback_address: str | None = Field(default=None, max_length=2048)
    offer: Offer
    use: DeclaredUse | None = Field(default=None, alias=DECLARED_USE)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.callback_address is None) == (self.provider_pid is None):
            raise ValueError("exactly one of callbackAddress (first request) and providerPid (counter-offer)")
        return self


class ContractOfferMessage(Message):
    """A provider offers a contract (with `callback_address`) or counters a request (with `consumer_pid`)."""

    TYPE: ClassVar[str] = "ContractOfferMessage"

    provider_pid: str = Field(max_length=512)
    consumer_pid: str | None = Field(default=None, max_length=512)
    callback_address: str | None = Field(default=None, max_length=2048)
    offer: Offer

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.callback_address is None) == (self.consumer_pid is None):
            raise ValueError("exactly one of callbackAddress (first offer) and consumerPid (counter-offer)")
        if self.offer.target is None:
            raise ValueError("offer.target is required in a ContractOfferMessage")
        return self


class ContractAgreementMessage(Message):
    """A provider states the agreement."""

    TYPE: ClassVar[str] = "ContractAgreementMessage"

    provider_pid: str
    consumer_pid: str
    agreement: Agreement


class ContractAgreementVerificationMessage(Message):
    """A consumer verifies the agreement."""

    TYPE: ClassVar[str] = "ContractAgreementVerificationMessage"

    provider_pid: str
    consumer_pid: str


class ContractNegotiationEventMessage(Message):
    """A consumer says ACCEPTED, or a provider FINALIZED."""

    TYPE: ClassVar[str] = "ContractNegotiationEventMessage"

    provider_pid: str
    consumer_pid: str
    event_type: Literal["ACCEPTED", "FINALIZED"]


class ContractNegotiationTerminationMessage(CodeMessage):
    """Either side ends the negotiation."""

    TYPE: ClassVar[str] = "ContractNegotiationTerminationMessage"


class ContractNegotiation(Message):
    """The state of a negotiation, as an answer."""

    TYPE: ClassVar[str] = "ContractNegotiation"

    provider_pid: str
    consumer_pid: str
    state: NegotiationState


class ContractNegotiationError(CodeMessage):
    """Says why a message was refused; the state did not change."""

    TYPE: ClassVar[str] = "ContractNegotiationError"
