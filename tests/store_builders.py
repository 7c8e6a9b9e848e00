"""Values that stores keep, made by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.negotiation.ports import Negotiation, SignedAgreement
from connector.offering.ports import Offering
from connector.outbox.ports import Outgoing
from connector.signaling.ports import DataFlow
from connector.transfer.ports import Transfer
from schemas.base import LangString, Role
from schemas.dcat import Column, Dataset
from schemas.dps import FlowState
from schemas.dsp.negotiation import NegotiationState
from schemas.dsp.transfer import DataAddress, EndpointProperty, TransferState
from schemas.odrl import Agreement, DeclaredUse, Offer
from schemas.usage import UsageKind, UsageRecord
from schemas.vocab import ENDPOINT_HTTP, FORMAT_ARROW_HTTP, HANSA

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PEER = "did:web:lab.example"
AGREEMENT = "urn:uuid:agreement-1"
_NUMBERS = itertools.count()

OFFER = Offer.read(
    {
        "@id": "urn:offer:1",
        "permission": [
            {
                "action": "use",
                "dx:unknown": {"kept": None, "also": []},
                "constraint": [{"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["a", "b"]}],
            }
        ],
    }
)


def record(kind: UsageKind = UsageKind.STREAM_RESERVED, **fields: Any) -> UsageRecord:
    """A usage record with an id of its own."""
    return UsageRecord(id=f"urn:record:{next(_NUMBERS)}", at=1, kind=kind, log="did:web:us.example", **fields)


def outgoing(process: str = "urn:process:1", **changes: Any) -> Outgoing:
    """A message that is due now."""
    made = Outgoing(
        id=f"urn:message:{next(_NUMBERS)}",
        kind="negotiation",
        process=process,
        recipient=PEER,
        method="POST",
        url="https://lab.example/dsp/negotiations/request",
        document={"@type": "Test", "nested": {"list": [1, None, "ü\x00"]}},
        created=NOW,
        deadline=NOW + 15 * MINUTE,
        due=NOW,
    )
    return replace(made, **changes)


def negotiation(**changes: Any) -> Negotiation:
    """A negotiation that a consumer opened with us."""
    made = Negotiation(
        pid=f"urn:uuid:negotiation-{next(_NUMBERS)}",
        role=Role.PROVIDER,
        counterparty=PEER,
        counter_pid=f"urn:uuid:theirs-{next(_NUMBERS)}",
        callback="https://lab.example/dsp",
        state=NegotiationState.REQUESTED,
        dataset="urn:dataset:1",
        offer=OFFER,
        use=DeclaredUse(action=HANSA + "train"),
        created=NOW,
        updated=NOW,
        seen=("urn:message:a", "urn:message:b"),
    )
    return replace(made, **changes)


def signed(pid: str, **changes: Any) -> SignedAgreement:
    """The agreement of a negotiation."""
    identity = changes.pop("identity", AGREEMENT)
    agreement = Agreement(
        id=identity,
        target=changes.pop("target", "urn:dataset:1"),
        assigner="did:web:us.example",
        assignee=PEER,
        permission=OFFER.permission,
    )
    made = SignedAgreement(
        agreement=agreement,
        role=Role.PROVIDER,
        counterparty=PEER,
        callback="https://lab.example/dsp",
        negotiation=pid,
        digest="sha256:00",
        use=DeclaredUse(action=HANSA + "train"),
        signed=NOW,
    )
    return replace(made, **changes)


def transfer(**changes: Any) -> Transfer:
    """A transfer that a consumer asked us for."""
    made = Transfer(
        pid=f"urn:uuid:transfer-{next(_NUMBERS)}",
        role=Role.PROVIDER,
        counterparty=PEER,
        counter_pid=f"urn:uuid:theirs-{next(_NUMBERS)}",
        callback="https://lab.example/dsp",
        state=TransferState.REQUESTED,
        agreement=AGREEMENT,
        dataset="urn:dataset:1",
        format=FORMAT_ARROW_HTTP,
        use=None,
        created=NOW,
        updated=NOW,
        address=DataAddress(
            endpoint_type=ENDPOINT_HTTP,
            endpoint="https://us.example/streams/1",
            endpoint_properties=(EndpointProperty(name="authorization", value="secret"),),
        ),
    )
    return replace(made, **changes)


def data_flow(**changes: Any) -> DataFlow:
    """A data flow that a control plane started."""
    changes = {
        **({"process": changes.pop("counter_pid")} if "counter_pid" in changes else {}),
        **({"control_plane": changes.pop("counterparty")} if "counterparty" in changes else {}),
        **changes,
    }
    made = DataFlow(
        pid=f"urn:uuid:flow-{next(_NUMBERS)}",
        control_plane=PEER,
        process=f"urn:uuid:theirs-{next(_NUMBERS)}",
        role=Role.PROVIDER,
        provider="provider",
        consumer="consumer",
        agreement=AGREEMENT,
        dataset="urn:dataset:1",
        profile="HttpData-PUSH",
        direction="push",
        state=FlowState.STARTING,
        created=NOW,
        updated=NOW,
        address=DataAddress(
            endpoint_type="HttpData",
            endpoint="https://sink.example/1",
            endpoint_properties=(EndpointProperty(name="authCode", value="secret"),),
        ),
        use=DeclaredUse(action=HANSA + "train"),
    )
    return replace(made, **changes)


def offering(identity: str = "urn:dataset:1", **changes: Any) -> Offering:
    """A published dataset."""
    dataset = Dataset(
        id=identity,
        title=(LangString(value=changes.pop("title", "Lung cancer trial"), language="en"),),
        description=(LangString(value="228 patients, Überleben in Tagen"),),
        keyword=(LangString(value="survival"),),
        has_policy=(OFFER,),
        columns=tuple(Column(name=f"c{at}", datatype="int64") for at in range(12)),
        rows=228,
    )
    return replace(Offering(dataset, "lung.parquet", NOW), **changes)
