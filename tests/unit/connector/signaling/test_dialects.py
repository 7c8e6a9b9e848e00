from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connector.signaling.agreed import checked, signed, standing
from connector.signaling.dialects import SPEECH
from connector.signaling.machine import Said
from connector.signaling.ports import ControlPlane
from policies.compiled import compile_policy
from schemas.dps import FlowState
from schemas.dsp.transfer import DataAddress, EndpointProperty
from schemas.errors import AlreadyExists, DataspaceError, Forbidden, Malformed, PolicyMismatch
from schemas.odrl import DECLARED_USE, Agreement
from schemas.vocab import EDC, HANSA, ODRL
from tests.store_builders import NOW, data_flow

DPS = ControlPlane("plane", "https://plane.example/signaling", "provider")
OLD = replace(DPS, dialect="edc-0.15")
DSPACE = "https://w3id.org/dspace/v0.8/"

MESSAGE: dict[str, Any] = {
    "messageId": "m",
    "participantId": "provider",
    "counterPartyId": "consumer",
    "dataspaceContext": "space",
    "processId": "process-1",
    "agreementId": "agreement-1",
    "datasetId": "urn:dataset:1",
    "profile": "com.test.http-pull",
    "claims": {},
}
# As EDC 0.15.1 wrote it on the wire.
EDC_START: dict[str, Any] = {
    "@type": "DataFlowStartMessage",
    "transferTypeDestination": "HttpData",
    "flowType": "PUSH",
    "agreementId": "agreement-1",
    "processId": "process-1",
    "datasetId": "urn:dataset:1",
    "properties": {},
    "callbackAddress": "http://localhost:19192/control",
    "sourceDataAddress": {
        "@type": "dspace:DataAddress",
        "dspace:endpointType": "HansaDataset",
        "dspace:endpointProperties": [],
    },
    "participantId": "consumer",
    "destinationDataAddress": {
        "@type": "dspace:DataAddress",
        "dspace:endpointType": "HttpData",
        "dspace:endpointProperties": [
            {"@type": "dspace:EndpointProperty", "dspace:name": EDC + "authKey", "dspace:value": "X-Key"},
            {"@type": "dspace:EndpointProperty", "dspace:name": EDC + "authCode", "dspace:value": "secret"},
            {
                "@type": "dspace:EndpointProperty",
                "dspace:name": EDC + "baseUrl",
                "dspace:value": "http://s/x",
            },
        ],
    },
    "@context": {"odrl": ODRL, "dspace": DSPACE, "@vocab": EDC},
}
EDC_AGREEMENT: dict[str, Any] = {
    "@type": "ContractAgreement",
    "@id": "agreement-1",
    "assetId": "urn:dataset:1",
    "agreementId": "the-id-that-the-consumer-knows",
    "policy": {
        "@id": "9cea1efa",
        "@type": "odrl:Agreement",
        "odrl:permission": {
            "odrl:action": {"@id": "odrl:use"},
            "odrl:constraint": {
                "odrl:leftOperand": {"@id": HANSA + "rowCount"},
                "odrl:operator": {"@id": "odrl:lteq"},
                "odrl:rightOperand": "500",
            },
        },
        "odrl:prohibition": [],
        "odrl:obligation": [],
        "odrl:assignee": "consumer",
        "odrl:assigner": "provider",
        "odrl:target": {"@id": "urn:dataset:1"},
    },
    "contractSigningDate": 1795630432,
    "consumerId": "consumer",
    "providerId": "provider",
    "@context": {"@vocab": EDC, "edc": EDC, "odrl": ODRL},
}


@pytest.mark.parametrize("spelling", ["profile", "transferType"])
def test_both_spellings_of_the_profile_are_read(spelling: str) -> None:
    said = {key: value for key, value in MESSAGE.items() if key != "profile"}
    wanted = SPEECH["dps"].wanted({**said, spelling: "com.test.http-pull"}, DPS)
    assert (wanted.profile, wanted.direction) == ("com.test.http-pull", "pull")
    assert (wanted.process, wanted.agreement, wanted.dataset) == ("process-1", "agreement-1", "urn:dataset:1")
    assert (wanted.participant, wanted.counterparty) == ("provider", "consumer")


def test_what_the_consumer_means_to_do_is_read_from_the_metadata() -> None:
    use = {"action": HANSA + "train", "purpose": "https://w3id.org/dpv#ScientificResearch"}
    wanted = SPEECH["dps"].wanted({**MESSAGE, "metadata": {DECLARED_USE: use}}, DPS)
    assert wanted.use is not None
    assert wanted.use.wire() == use
    asked = SPEECH["edc-0.15"].wanted({**EDC_START, "properties": {DECLARED_USE: use}}, OLD)
    assert asked.use == wanted.use


def test_the_start_message_of_edc_is_read_as_it_is_on_the_wire() -> None:
    wanted = SPEECH["edc-0.15"].wanted(EDC_START, OLD)
    assert (wanted.process, wanted.profile, wanted.direction) == ("process-1", "HttpData-PUSH", "push")
    assert (wanted.participant, wanted.counterparty) == ("provider", "consumer")
    assert wanted.address is not None
    assert wanted.address.property("baseUrl") == "http://s/x"
    assert (wanted.address.property("authKey"), wanted.address.property("authCode")) == ("X-Key", "secret")


def test_the_start_message_of_edc_is_read_with_full_names_and_in_expanded_form() -> None:
    full = {(key if key.startswith("@") else EDC + key): value for key, value in EDC_START.items()}
    full["@type"] = EDC + "DataFlowStartMessage"
    full[EDC + "processId"] = [{"@value": "process-1"}]
    assert SPEECH["edc-0.15"].wanted([full], OLD) == SPEECH["edc-0.15"].wanted(EDC_START, OLD)


def test_a_pull_of_edc_has_no_address_whatever_its_consumer_said() -> None:
    assert SPEECH["edc-0.15"].wanted({**EDC_START, "flowType": "PULL"}, OLD).address is None


HOSTILE: list[Any] = [
    None,
    [],
    "text",
    7,
    {},
    {**MESSAGE, "processId": ""},
    {**MESSAGE, "processId": "x" * 513},
    {**MESSAGE, "processId": "a\nb"},
    {**MESSAGE, "processId": {"@id": "x"}},
    {**MESSAGE, "profile": "no-direction-here"},
    {**MESSAGE, "counterPartyId": None},
    {**MESSAGE, "dataAddress": "http://somewhere"},
    {**MESSAGE, "dataAddress": {"endpointType": 5}},
    {**MESSAGE, "metadata": {DECLARED_USE: "train"}},
    {**MESSAGE, "metadata": []},
]


@pytest.mark.parametrize("document", HOSTILE, ids=range(len(HOSTILE)))
def test_a_message_that_does_not_fit_is_refused_and_not_guessed_at(document: Any) -> None:
    with pytest.raises(Malformed):
        SPEECH["dps"].wanted(document, DPS)


EDC_HOSTILE: list[Any] = [
    None,
    [],
    [EDC_START, EDC_START],
    {**EDC_START, "@type": "DataFlowTerminateMessage"},
    {**EDC_START, "@type": 5},
    {**EDC_START, EDC + "processId": "another"},
    {**EDC_START, "processId": {"@id": ["x"]}},
    {**EDC_START, "flowType": "SIDEWAYS"},
    {
        **EDC_START,
        "destinationDataAddress": {"dspace:endpointType": "HttpData", "dspace:endpointProperties": [5]},
    },
    {**EDC_START, "destinationDataAddress": {"dspace:endpointProperties": []}},
    {**EDC_START, "destinationDataAddress": "http://somewhere"},
    {**EDC_START, **{f"x{at}": at for at in range(200)}},
    {**EDC_START, "properties": [1, 2]},
]


@pytest.mark.parametrize("document", EDC_HOSTILE, ids=range(len(EDC_HOSTILE)))
def test_a_message_of_edc_that_does_not_fit_is_refused_and_not_guessed_at(document: Any) -> None:
    with pytest.raises(Malformed):
        SPEECH["edc-0.15"].wanted(document, OLD)


def test_edc_is_answered_with_an_address_in_the_words_that_it_reads() -> None:
    address = DataAddress(
        endpoint_type="https://w3id.org/idsa/v4.1/HTTP",
        endpoint="http://us/streams/1",
        endpoint_properties=(EndpointProperty(name=EDC + "endpoint", value="http://us/streams/1"),),
    )
    said = SPEECH["edc-0.15"].answer(data_flow(state=FlowState.STARTED), address, "m")
    assert (said["@type"], said["provisioning"]) == ("DataFlowResponseMessage", False)
    assert said["@context"] == {"@vocab": EDC, "dspace": DSPACE}
    assert said["dataAddress"]["dspace:endpointType"] == "https://w3id.org/idsa/v4.1/HTTP"
    assert said["dataAddress"]["dspace:endpointProperties"] == [
        {
            "@type": "dspace:EndpointProperty",
            "dspace:name": EDC + "endpoint",
            "dspace:value": "http://us/streams/1",
        }
    ]


def test_each_dialect_is_told_in_its_own_words_and_ids_are_escaped() -> None:
    flow = data_flow(process="a/../b", state=FlowState.COMPLETED)
    told = SPEECH["dps"].call(flow, Said.IS_COMPLETED, None, None, "m")
    assert told is not None
    assert told.path == "/transfers/a%2F..%2Fb/dataflow/completed"
    assert told.document == {"messageId": "m", "dataFlowId": flow.pid, "state": "COMPLETED"}
    old = SPEECH["edc-0.15"]
    done = old.call(flow, Said.IS_COMPLETED, None, None, "m")
    failed = old.call(flow, Said.GIVES_UP, None, "the sink is full", "m")
    assert done is not None
    assert failed is not None
    assert (done.path, done.document) == ("/transferprocess/a%2F..%2Fb/complete", {})
    assert failed.path == "/transferprocess/a%2F..%2Fb/fail"
    assert failed.document == {"errorMessage": "the sink is full"}
    assert old.call(flow, Said.IS_STARTED, None, None, "m") is None


def test_the_agreement_of_edc_is_read_with_its_parties_and_its_rules() -> None:
    agreement = SPEECH["edc-0.15"].agreement(EDC_AGREEMENT)
    assert (agreement.id, agreement.target) == ("agreement-1", "urn:dataset:1")
    assert (agreement.assigner, agreement.assignee) == ("provider", "consumer")
    (permission,) = compile_policy(agreement).permissions
    assert len(permission.limits) == 1


@pytest.mark.parametrize("name", ["assignee", "assigner", "target"])
def test_an_agreement_of_edc_whose_policy_names_somebody_else_is_refused(name: str) -> None:
    policy = {**EDC_AGREEMENT["policy"], f"odrl:{name}": "somebody-else"}
    with pytest.raises(Malformed, match=f"{name} is 'somebody-else'"):
        SPEECH["edc-0.15"].agreement({**EDC_AGREEMENT, "policy": policy})


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {**EDC_AGREEMENT, "policy": []},
        {**EDC_AGREEMENT, "@context": "https://evil.example/context"},
        {**EDC_AGREEMENT, "assetId": None},
        {**EDC_AGREEMENT, "@context": {"odrl": ODRL}},
        {**EDC_AGREEMENT, "policy": {"odrl:permission": "everything"}},
        {
            **EDC_AGREEMENT,
            "policy": {"odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "moon": "full"}},
        },
        {**EDC_AGREEMENT, "policy": {**EDC_AGREEMENT["policy"], "moon": "full"}},
    ],
)
def test_an_agreement_that_does_not_fit_is_refused(document: Any) -> None:
    with pytest.raises(DataspaceError):
        compile_policy(SPEECH["edc-0.15"].agreement(document))


def agreement(**changes: Any) -> Agreement:
    said = {"@id": "agreement-1", "target": "urn:dataset:1", "assigner": "provider", "assignee": "consumer"}
    return Agreement.read({**said, "permission": [{"action": "use"}], **changes})


def test_an_agreement_is_taken_only_if_it_is_the_one_of_the_flow() -> None:
    flow = data_flow(agreement="agreement-1", provider="provider", consumer="consumer")
    assert checked(agreement(), flow, DPS) == agreement()
    for name in ("@id", "target", "assigner", "assignee"):
        with pytest.raises(PolicyMismatch, match=f"{name} is 'another'"):
            checked(agreement(**{name: "another"}), flow, DPS)


def test_an_agreement_that_is_here_already_stands_only_unchanged_and_not_revoked() -> None:
    flow = data_flow(agreement="agreement-1", provider="provider", consumer="consumer")
    held = signed(agreement(), flow, DPS, NOW)
    assert standing(held, held) == held
    changed = signed(agreement(permission=[{"action": HANSA + "train"}]), flow, DPS, NOW)
    with pytest.raises(AlreadyExists, match="terms do not change"):
        standing(held, changed)
    with pytest.raises(AlreadyExists, match="not from this control plane"):
        standing(replace(held, control_plane=None), held)
    with pytest.raises(Forbidden, match="was revoked: stolen"):
        standing(replace(held, revoked="stolen"), held)
