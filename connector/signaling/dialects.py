"""Pure: the ways in which control planes speak, each a named set of rules with its source.

| dialect | spoken by | rules |
|---|---|---|
| `dps` | EDC from 0.18 on, and others | plain JSON; `profile` or `transferType`; four callbacks |
| `edc-0.15` | EDC 0.14 to 0.17 | JSON-LD of EDC; the process's id is the path; `complete`, `fail` |

Source: Data Plane Signaling; EDC 0.15.1, data-plane-signaling-client (DataPlaneSignalingClient),
data-plane-signaling-transform, control-plane-api (TransferProcessControlApiController).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from connector.outbox.letter import bounded
from connector.signaling.machine import Said
from connector.signaling.ports import ControlPlane, DataFlow, Dialect
from connector.transfer.direction import Direction, direction_of
from schemas.dps import DataFlowMessage, DataFlowNote, DataFlowStatusMessage, FlowState
from schemas.dsp.transfer import DataAddress, EndpointProperty
from schemas.errors import Malformed
from schemas.jsonld import compact_form
from schemas.odrl import DECLARED_USE, Agreement, DeclaredUse
from schemas.vocab import EDC, ODRL

_DSPACE_08 = "https://w3id.org/dspace/v0.8/"
"""EDC keeps the addresses of data planes in the words of this older version of the protocol.

Source: EDC 0.15.1, DataPlaneSignalingClientTransformExtension (JsonObjectToDataAddressDspaceTransformer).
"""
_EDC_PREFIXES = (EDC, "edc:", _DSPACE_08, "dspace:")
_ODRL_PREFIXES = (ODRL, "odrl:")
MOST_PROPERTIES = 100
"""Members of a data address."""


@dataclass(frozen=True)
class Wanted:
    """What a control plane wants done, in our words; `counterparty` is the other participant."""

    process: str
    participant: str
    counterparty: str
    agreement: str
    dataset: str
    profile: str
    direction: Direction
    address: DataAddress | None
    use: DeclaredUse | None


@dataclass(frozen=True)
class Note:
    """What a control plane says of a flow that exists."""

    reason: str | None = None
    address: DataAddress | None = None


@dataclass(frozen=True)
class Call:
    """What is told to a control plane: a path below its URL, and a document."""

    path: str
    document: dict[str, Any]


class Speech(Protocol):
    """One dialect: foreign documents in, ours out."""

    by_process: bool
    """Whether a flow is named in paths by the control plane's id of its process, not by ours."""

    def wanted(self, document: Any, plane: ControlPlane) -> Wanted:
        """Read what is to be prepared or started.

        Raises:
            Malformed: naming what does not fit.
        """
        ...

    def note(self, document: Any) -> Note:
        """Read what is said of a flow."""
        ...

    def answer(self, flow: DataFlow, address: DataAddress | None, message_id: str) -> dict[str, Any]:
        """Write how a flow stands, as an answer."""
        ...

    def call(
        self, flow: DataFlow, what: Said, address: DataAddress | None, error: str | None, message_id: str
    ) -> Call | None:
        """Write what the data plane tells; None if this dialect has no word for it."""
        ...

    def agreement(self, document: Any) -> Agreement:
        """Read an agreement as the control plane shows it.

        Raises:
            Malformed: if it is none, or of a form that we do not know.
        """
        ...


def _direction(profile: str) -> Direction:
    found = direction_of(profile)
    if found is None:
        raise Malformed(f"profile {profile[:80]!r} names no direction; expected …-pull or …-push")
    return found


def _use_in(members: Mapping[str, Any]) -> DeclaredUse | None:
    said = members.get(DECLARED_USE)
    return None if said is None else DeclaredUse.read(said)


class Dps:
    """Data Plane Signaling as specified."""

    by_process = False

    def wanted(self, document: Any, plane: ControlPlane) -> Wanted:
        """Read a DataFlowPrepareMessage or DataFlowStartMessage."""
        said = DataFlowMessage.read(document)
        return Wanted(
            process=bounded("processId", said.process_id),
            participant=said.participant_id,
            counterparty=bounded("counterPartyId", said.counter_party_id),
            agreement=bounded("agreementId", said.agreement_id),
            dataset=bounded("datasetId", said.dataset_id),
            profile=bounded("profile", said.profile),
            direction=_direction(said.profile),
            address=said.data_address,
            use=_use_in(said.metadata),
        )

    def note(self, document: Any) -> Note:
        """Read a message about a flow; the messages differ only in what is optional."""
        said = DataFlowNote.read(document)
        return Note(said.reason, said.data_address)

    def answer(self, flow: DataFlow, address: DataAddress | None, message_id: str) -> dict[str, Any]:
        """Write a DataFlowStatusMessage."""
        return DataFlowStatusMessage(
            message_id=message_id,
            data_flow_id=flow.pid,
            state=flow.state,
            data_address=address,
            error=flow.problem,
        ).wire()

    def call(
        self, flow: DataFlow, what: Said, address: DataAddress | None, error: str | None, message_id: str
    ) -> Call | None:
        """Write a DataFlowStatusMessage for the control plane."""
        said = DataFlowStatusMessage(
            message_id=message_id,
            data_flow_id=flow.pid,
            state=flow.state,
            data_address=address,
            error=error,
        )
        return Call(f"/transfers/{quote(flow.process, safe=':')}/{what.value}", said.wire())

    def agreement(self, document: Any) -> Agreement:
        """Read an AgreementResponse: an agreement of the Dataspace Protocol with its context."""
        return Agreement.read(compact_form(document))


class Edc015:
    """What EDC's control planes speak before Data Plane Signaling was specified."""

    by_process = True

    def wanted(self, document: Any, plane: ControlPlane) -> Wanted:
        """Read a DataFlowStartMessage (provider) or DataFlowProvisionMessage (either side).

        EDC names only the consumer; the other participant is the one for which the control plane speaks.
        """
        said = _members(document, _EDC_PREFIXES)
        kind = _short(_plain(said.get("@type")), _EDC_PREFIXES)
        if kind not in ("DataFlowStartMessage", "DataFlowProvisionMessage"):
            raise Malformed(
                f"expected a DataFlowStartMessage or DataFlowProvisionMessage of EDC, got {kind[:80]!r}"
            )
        direction = _direction(_text(said, "flowType"))
        goal = said.get("destinationDataAddress") or said.get("destination")
        return Wanted(
            process=bounded("processId", _text(said, "processId")),
            participant=plane.participant,
            counterparty=bounded("participantId", _text(said, "participantId")),
            agreement=bounded("agreementId", _text(said, "agreementId")),
            dataset=bounded("datasetId", _text(said, "datasetId")),
            profile=bounded("profile", f"{_text(said, 'transferTypeDestination')}-{direction.upper()}"),
            direction=direction,
            address=_edc_address(goal) if direction == "push" and goal else None,
            use=_use_in(_members(said.get("properties") or {}, ())),
        )

    def note(self, document: Any) -> Note:
        """Read a DataFlowSuspendMessage or DataFlowTerminateMessage; their reason may be absent."""
        reason = _plain(_members(document, _EDC_PREFIXES).get("reason"))
        return Note(reason if isinstance(reason, str) else None)

    def answer(self, flow: DataFlow, address: DataAddress | None, message_id: str) -> dict[str, Any]:
        """Write a DataFlowResponseMessage."""
        said: dict[str, Any] = {
            "@context": {"@vocab": EDC, "dspace": _DSPACE_08},
            "@type": "DataFlowResponseMessage",
            "provisioning": flow.state in (FlowState.PREPARING, FlowState.STARTING),
        }
        if address is not None:
            said["dataAddress"] = {
                "@type": "dspace:DataAddress",
                "dspace:endpointType": address.endpoint_type,
                "dspace:endpointProperties": [
                    {"@type": "dspace:EndpointProperty", "dspace:name": item.name, "dspace:value": item.value}
                    for item in address.endpoint_properties
                ],
            }
        return said

    def call(
        self, flow: DataFlow, what: Said, address: DataAddress | None, error: str | None, message_id: str
    ) -> Call | None:
        """Write what EDC's control API takes: a transfer is complete, or failed."""
        process = f"/transferprocess/{quote(flow.process, safe=':')}"
        if what is Said.IS_COMPLETED:
            return Call(f"{process}/complete", {})
        if what is Said.GIVES_UP:
            return Call(f"{process}/fail", {"errorMessage": error or "failed at the data plane"})
        return None

    def agreement(self, document: Any) -> Agreement:
        """Read a ContractAgreement of the management API: parties and asset stand beside the policy.

        Source: EDC 0.15.1, management API, `GET /v3/contractagreements/{id}`.
        """
        said = _members(document, _EDC_PREFIXES)
        policy = said.get("policy")
        if not isinstance(policy, dict):
            raise Malformed(f"ContractAgreement without a policy: {str(policy)[:80]!r}")
        parties = {
            "target": _text(said, "assetId"),
            "assigner": _text(said, "providerId"),
            "assignee": _text(said, "consumerId"),
        }
        rules = {}
        for name, value in policy.items():
            short = _short(name, _ODRL_PREFIXES)
            if short not in parties:
                rules[name] = value
            elif _plain(value) != parties[short]:
                raise Malformed(
                    f"ContractAgreement says {parties[short]!r}, but its policy's {short} is "
                    f"{str(_plain(value))[:80]!r}"
                )
        context = said.get("@context")
        if not isinstance(context, dict) or not isinstance(context.get("@vocab"), str):
            # Without it JSON-LD drops what has no name there, a constraint included, in silence.
            raise Malformed("ContractAgreement without '@vocab' in its '@context'")
        whole = compact_form({**rules, "@context": context})
        return Agreement.read({**whole, **parties, "@id": _text(said, "@id"), "@type": "Agreement"})


SPEECH: dict[Dialect, Speech] = {"dps": Dps(), "edc-0.15": Edc015()}


def _plain(value: Any) -> Any:
    """Take the value out of the forms in which JSON-LD may write it."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping):
        return value.get("@value", value.get("@id", value))
    return value


def _short(name: Any, prefixes: tuple[str, ...]) -> str:
    key = str(name)
    for prefix in prefixes:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


def _members(document: Any, prefixes: tuple[str, ...]) -> dict[str, Any]:
    """Return members under their short names: EDC writes them with their IRI, a prefix, or neither."""
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, Mapping):
        raise Malformed(f"expected a JSON-LD object, got {type(document).__name__}")
    if len(document) > MOST_PROPERTIES:
        raise Malformed(f"{len(document)} members; at most {MOST_PROPERTIES}")
    short: dict[str, Any] = {}
    for name, value in document.items():
        key = _short(name, prefixes)
        if key in short:
            raise Malformed(f"member {key[:80]!r} occurs twice, under two names")
        short[key] = value
    return short


def _text(members: Mapping[str, Any], name: str) -> str:
    value = _plain(members.get(name))
    if not isinstance(value, str) or not value:
        raise Malformed(f"{name} is {str(value)[:80]!r}; expected a text")
    return value


def _edc_address(document: Any) -> DataAddress:
    """Read a data address: a type, and properties of which EDC's own are named with its IRI."""
    members = _members(document, _EDC_PREFIXES)
    listed = members.get("endpointProperties") or []
    listed = listed if isinstance(listed, list) else [listed]
    if len(listed) > MOST_PROPERTIES:
        raise Malformed(f"a data address with {len(listed)} properties; at most {MOST_PROPERTIES}")
    properties = []
    for item in listed:
        named = _members(item, _EDC_PREFIXES)
        properties.append(EndpointProperty(name=_text(named, "name"), value=_text(named, "value")))
    return DataAddress(endpoint_type=_text(members, "endpointType"), endpoint_properties=tuple(properties))
