"""Messages of Data Plane Signaling: what a control plane and a data plane say to each other.

The specification is moving, so two spellings are read: `profile`, and `transferType` as it was called before.
A `callbackAddress`, which older control planes send, is not read at all: we call nobody back at a URL that
stands in a message.

Source: Data Plane Signaling, signaling-data-plane-openapi.yaml and its schemas; DataFlowBaseMessage before
and after `transferType` became `profile`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import AliasChoices, Field

from schemas.base import Document
from schemas.dsp.transfer import DataAddress

MOST_ID = 512
"""Characters of an identifier that a control plane chose."""


class FlowState(StrEnum):
    """The states of a data flow."""

    PREPARING = "PREPARING"
    PREPARED = "PREPARED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"


class DataFlowMessage(Document):
    """A control plane wants a data flow prepared, or started."""

    message_id: str = Field(max_length=MOST_ID)
    participant_id: str = Field(min_length=1, max_length=MOST_ID)
    counter_party_id: str = Field(min_length=1, max_length=MOST_ID)
    dataspace_context: str | None = Field(default=None, max_length=MOST_ID)
    process_id: str = Field(min_length=1, max_length=MOST_ID)
    agreement_id: str = Field(min_length=1, max_length=MOST_ID)
    dataset_id: str = Field(min_length=1, max_length=MOST_ID)
    profile: str = Field(
        min_length=1, max_length=MOST_ID, validation_alias=AliasChoices("profile", "transferType")
    )
    data_address: DataAddress | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class DataFlowNote(Document):
    """What is said of a flow that exists: started, suspend, resume, terminate, completed."""

    message_id: str | None = Field(default=None, max_length=MOST_ID)
    reason: str | None = Field(default=None, max_length=20_000)
    data_address: DataAddress | None = None


class DataFlowStatusMessage(Document):
    """How a flow stands, as an answer, and as what the data plane tells of its own accord."""

    message_id: str
    data_flow_id: str
    state: FlowState
    data_address: DataAddress | None = None
    error: str | None = None


class DataFlowStatusResponseMessage(Document):
    """How a flow stands, when asked."""

    data_flow_id: str
    state: FlowState


class ControlPlaneRegistrationMessage(Document):
    """A control plane says who it is and where it listens."""

    controlplane_id: str = Field(min_length=1, max_length=MOST_ID)
    endpoint: str = Field(min_length=1, max_length=2048)
    authorization: Any = None
