"""Transfer process messages of the Dataspace Protocol 2025-1, chapters 8 and 9."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.base import CodeMessage, Document, Many, Message
from schemas.foreign import spellings
from schemas.odrl import DECLARED_USE, DeclaredUse


class TransferState(StrEnum):
    """The states of a transfer process."""

    REQUESTED = "REQUESTED"
    STARTED = "STARTED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"


class EndpointProperty(Document):
    """A name with a string value."""

    type: Literal["EndpointProperty"] = Field(default="EndpointProperty", alias="@type")
    name: str
    value: str


class DataAddress(Document):
    """Where data can be fetched, with the pass to show there."""

    type: Literal["DataAddress"] = Field(default="DataAddress", alias="@type")
    endpoint_type: str
    endpoint: str | None = None
    endpoint_properties: Annotated[tuple[EndpointProperty, ...], Many] = ()

    def property(self, name: str) -> str | None:
        """Return a property by its short name, however a peer spelled it."""
        known = spellings(name)
        return next((item.value for item in self.endpoint_properties if item.name in known), None)

    def where(self) -> str | None:
        """Return where the data is, also where a peer states it as a property only."""
        return self.endpoint or self.property("endpoint")


class TransferRequestMessage(Message):
    """A consumer asks for a transfer under an agreement."""

    TYPE: ClassVar[str] = "TransferRequestMessage"

    consumer_pid: str = Field(max_length=512)
    agreement_id: str
    format: str
    callback_address: str = Field(max_length=2048)
    data_address: DataAddress | None = None
    use: DeclaredUse | None = Field(default=None, alias=DECLARED_USE)


class TransferStartMessage(Message):
    """A provider starts a transfer, or either side resumes a suspended one."""

    TYPE: ClassVar[str] = "TransferStartMessage"

    provider_pid: str
    consumer_pid: str
    data_address: DataAddress | None = None


class TransferCompletionMessage(Message):
    """Either side says that the transfer is complete."""

    TYPE: ClassVar[str] = "TransferCompletionMessage"

    provider_pid: str
    consumer_pid: str


class TransferSuspensionMessage(CodeMessage):
    """Either side pauses the transfer."""

    TYPE: ClassVar[str] = "TransferSuspensionMessage"


class TransferTerminationMessage(CodeMessage):
    """Either side ends the transfer."""

    TYPE: ClassVar[str] = "TransferTerminationMessage"


class TransferProcess(Message):
    """The state of a transfer, as an answer."""

    TYPE: ClassVar[str] = "TransferProcess"

    provider_pid: str
    consumer_pid: str
    state: TransferState


class TransferError(CodeMessage):
    """Says why a message was refused; the state did not change."""

    TYPE: ClassVar[str] = "TransferError"
