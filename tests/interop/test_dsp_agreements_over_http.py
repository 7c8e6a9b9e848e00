"""Agreements over real HTTP: they equal the offer on both sides; offers made unasked; versions."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.dsp_schemas import judged, official
from tests.served import CONTEXT, PREFIX, Place, RawPeer, say, served

pytestmark = pytest.mark.interop

NUMBERS = itertools.count(1)
RESEARCH = {
    "leftOperand": "purpose",
    "operator": "isA",
    "rightOperand": "https://w3id.org/dpv#ResearchAndDevelopment",
}
TERMS = {
    "permission": [{"action": "use", "constraint": [RESEARCH]}],
    "prohibition": [{"action": "distribute"}],
}
USE = {
    "https://w3id.org/hansa/policy/1#use": {
        "action": "http://www.w3.org/ns/odrl/2/use",
        "purpose": "https://w3id.org/dpv#ScientificResearch",
    }
}
DATASET = "urn:ds:theirs"
RULELESS = "Y2Qx:YTI=:NTZkZjY3MjktZDlhOS00ZjQzLTllOTMtZDg4NTM0YmYwZmYz"
Alter = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A connector with a dataset under terms, and one counterparty that plays both roles."""
    with served(tmp_path_factory.mktemp("agreements"), "peer", "elder") as made:
        made.publish("urn:ds:ours", offer={"@id": "research", **TERMS})
        yield made


@pytest.fixture
def peer(place: Place) -> RawPeer:
    return place.peers[0]


# --- we are the provider -----------------------------------------------------------------------------


def test_the_agreement_is_the_offer_word_for_word_between_the_two_of_us(place: Place, peer: RawPeer) -> None:
    offer = peer.get("/catalog/datasets/urn:ds:ours").json()["hasPolicy"][0]
    assert "target" not in offer
    asked = {**offer, "@type": "Offer", "target": "urn:ds:ours"}
    document = say(
        "ContractRequestMessage", consumerPid="c-equal", callbackAddress=peer.dsp, offer=asked, **USE
    )
    assert peer.post("/negotiations/request", document).status_code == 201
    agreement = peer.expect("ContractAgreementMessage", consumerPid="c-equal")["agreement"]
    for member in ("permission", "prohibition", "obligation", "profile"):
        assert agreement.get(member) == offer.get(member), member
    assert agreement["permission"] == TERMS["permission"]
    parties = {"target": "urn:ds:ours", "assigner": place.did, "assignee": peer.did}
    assert {name: agreement[name] for name in parties} == parties
    assert agreement["@type"] == "Agreement"
    assert agreement["@id"] != offer["@id"]
    assert agreement["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "change",
    [
        {"permission": [{"action": "use"}]},
        {"permission": [{"action": "distribute", "constraint": [RESEARCH]}]},
        {"prohibition": []},
    ],
)
def test_a_request_for_more_than_the_offer_is_countered_with_the_offer(
    peer: RawPeer, change: dict[str, Any]
) -> None:
    offer = peer.get("/catalog/datasets/urn:ds:ours").json()["hasPolicy"][0]
    pid = f"c-more-{next(NUMBERS)}"
    asked = {**offer, "@type": "Offer", "target": "urn:ds:ours", **change}
    document = say("ContractRequestMessage", consumerPid=pid, callbackAddress=peer.dsp, offer=asked, **USE)
    assert peer.post("/negotiations/request", document).status_code == 201
    countered = peer.expect("ContractOfferMessage", consumerPid=pid)["offer"]
    assert {name: countered[name] for name in TERMS} == TERMS
    assert (countered["target"], countered["assigner"]) == ("urn:ds:ours", peer.place.did)
    assert peer.count("ContractAgreementMessage", consumerPid=pid) == 0


# --- we are the consumer -----------------------------------------------------------------------------


def asked_for(
    place: Place, peer: RawPeer, name: str = "urn:offer:theirs", terms: dict[str, Any] = TERMS
) -> dict[str, str]:
    """Have the connector ask the peer for its offer; return the process ids once the peer was asked."""
    wanted = {
        "provider": peer.did,
        "endpoint": peer.dsp,
        "dataset": DATASET,
        "offer": {"@id": name, **terms},
    }
    opened = place.manage("POST", "/negotiations", wanted)
    heard = peer.expect("ContractRequestMessage", consumerPid=opened["pid"])
    assert heard["offer"].get("permission") == terms.get("permission")
    return {"consumerPid": opened["pid"], "providerPid": f"their-{opened['pid'][-12:]}"}


def agreement_for(place: Place, peer: RawPeer) -> dict[str, Any]:
    return {
        "@id": f"urn:agreement:{next(NUMBERS)}",
        "@type": "Agreement",
        "target": DATASET,
        "assigner": peer.did,
        "assignee": place.did,
        "timestamp": "2026-11-23T12:00:00Z",
        **copy.deepcopy(TERMS),
    }


@pytest.fixture
def naming(peer: RawPeer) -> Iterator[None]:
    """The peer names its process after ours, and answers a first message with 200, as EDC does."""

    def name(method: str, path: str, document: Any) -> tuple[int, Any] | None:
        if path != f"{PREFIX}/negotiations/request":
            return None
        pids = {
            "consumerPid": document["consumerPid"],
            "providerPid": f"their-{document['consumerPid'][-12:]}",
        }
        return 200, {"@context": CONTEXT, "@type": "ContractNegotiation", **pids, "state": "REQUESTED"}

    peer.answering.append(name)
    yield
    peer.answering.remove(name)


def permit_more(agreement: dict[str, Any]) -> None:
    agreement["permission"].append({"action": "distribute"})


def change_action(agreement: dict[str, Any]) -> None:
    agreement["permission"][0]["action"] = "distribute"


def drop_constraint(agreement: dict[str, Any]) -> None:
    del agreement["permission"][0]["constraint"]


def change_constraint(agreement: dict[str, Any]) -> None:
    agreement["permission"][0]["constraint"][0]["rightOperand"] = "https://w3id.org/dpv#Marketing"


def drop_prohibition(agreement: dict[str, Any]) -> None:
    del agreement["prohibition"]


def add_duty(agreement: dict[str, Any]) -> None:
    agreement["obligation"] = [{"action": "delete"}]


ALTERED: list[tuple[Alter, str]] = [
    (permit_more, "terms"),
    (change_action, "terms"),
    (drop_constraint, "terms"),
    (change_constraint, "terms"),
    (drop_prohibition, "terms"),
    (add_duty, "terms"),
    (lambda agreement: agreement.update(target="urn:ds:another"), "agreement.target is 'urn:ds:another'"),
    (lambda agreement: agreement.update(assigner="did:web:x"), "agreement.assigner is 'did:web:x'"),
    (lambda agreement: agreement.update(assignee="did:web:y"), "agreement.assignee is 'did:web:y'"),
]


@pytest.mark.usefixtures("naming")
@pytest.mark.parametrize(("alter", "says"), ALTERED)
def test_an_altered_agreement_is_ended_with_what_was_altered(
    place: Place, peer: RawPeer, alter: Alter, says: str
) -> None:
    pids = asked_for(place, peer)
    agreement = agreement_for(place, peer)
    alter(agreement)
    path = f"/negotiations/{pids['consumerPid']}"
    stated = say("ContractAgreementMessage", **pids, agreement=agreement)
    assert peer.post(f"{path}/agreement", stated).status_code == 200
    ended = peer.expect("ContractNegotiationTerminationMessage", **pids)
    assert ended["code"] == "agreement-mismatch"
    assert says in " ".join(ended["reason"])
    assert peer.state(path) == "TERMINATED"
    assert peer.count("ContractAgreementVerificationMessage", **pids) == 0
    held = place.manage("GET", "/agreements")["agreements"]
    assert not any(one["id"] == agreement["@id"] and one["state"] == "final" for one in held)


@pytest.mark.usefixtures("naming")
def test_an_agreement_as_offered_is_verified_and_final_and_its_consumer_tells_its_state(
    place: Place, peer: RawPeer
) -> None:
    pids = asked_for(place, peer)
    path = f"/negotiations/{pids['consumerPid']}"
    assert peer.state(path) == "REQUESTED"
    agreement = agreement_for(place, peer)
    stated = say("ContractAgreementMessage", **pids, agreement=agreement)
    for _ in range(2):
        assert peer.post(f"{path}/agreement/", stated).status_code == 200
    peer.expect("ContractAgreementVerificationMessage", **pids)
    assert peer.state(path) == "VERIFIED"
    final = say("ContractNegotiationEventMessage", **pids, eventType="FINALIZED")
    assert peer.post(f"{path}/events", final).status_code == 200
    told = peer.get(path + "/").json()
    assert {name: told[name] for name in (*pids, "state")} == {**pids, "state": "FINALIZED"}
    assert peer.count("ContractAgreementVerificationMessage", **pids) == 1
    late = say("ContractAgreementMessage", **pids, agreement=agreement)
    assert peer.post(f"{path}/agreement", late).status_code == 400
    (held,) = [
        one for one in place.manage("GET", "/agreements")["agreements"] if one["id"] == agreement["@id"]
    ]
    assert held["state"] == "final"


@pytest.mark.usefixtures("naming")
def test_an_offer_of_edc_without_any_rule_is_asked_for_and_agreed_as_it_is(
    place: Place, peer: RawPeer
) -> None:
    pids = asked_for(place, peer, RULELESS, {})
    agreement = {**agreement_for(place, peer), "permission": [], "prohibition": [], "obligation": []}
    stated = say("ContractAgreementMessage", **pids, agreement=agreement)
    assert peer.post(f"/negotiations/{pids['consumerPid']}/agreement", stated).status_code == 200
    peer.expect("ContractAgreementVerificationMessage", **pids)
    altered = asked_for(place, peer, RULELESS, {})
    stated = say("ContractAgreementMessage", **altered, agreement=agreement_for(place, peer))
    assert peer.post(f"/negotiations/{altered['consumerPid']}/agreement", stated).status_code == 200
    peer.expect("ContractNegotiationTerminationMessage", **altered, code="agreement-mismatch")


@pytest.mark.usefixtures("naming")
def test_only_the_provider_can_speak_to_our_negotiation(place: Place, peer: RawPeer) -> None:
    pids = asked_for(place, peer)
    path = f"/negotiations/{pids['consumerPid']}"
    stated = say("ContractAgreementMessage", **pids, agreement=agreement_for(place, peer))
    stranger = place.peers[1]
    assert stranger.get(path).status_code == 404
    assert stranger.post(f"{path}/agreement", stated).status_code == 404
    assert peer.state(path) == "REQUESTED"


# --- offers that a provider makes unasked ------------------------------------------------------------


def unasked(peer: RawPeer, pid: str) -> dict[str, Any]:
    offer = {"@id": "urn:offer:unasked", "@type": "Offer", "target": DATASET, "assigner": peer.did, **TERMS}
    return say("ContractOfferMessage", providerPid=pid, callbackAddress=peer.dsp, offer=offer)


def test_an_unasked_offer_waits_for_a_person_and_goes_on_to_the_end_once_approved(
    place: Place, peer: RawPeer
) -> None:
    first = unasked(peer, "p-unasked")
    reply = peer.post("/negotiations/offers", first)
    told = reply.json()
    assert (reply.status_code, told["@type"], told["state"]) == (201, "ContractNegotiation", "OFFERED")
    ours = told["consumerPid"]
    pids = {"providerPid": "p-unasked", "consumerPid": ours}
    again = peer.post("/negotiations/offers/", {**first, "@id": "urn:uuid:again"})
    assert (again.status_code, again.json()["consumerPid"]) == (201, ours)
    shown = place.held(ours)
    assert shown["turn"] == "us"
    assert "a person accepts or ends it" in shown["why"]
    assert not any(one["process"] == ours for one in place.manage("GET", "/status")["outbox"])
    assert place.manage("POST", f"/negotiations/{ours}/approval")["state"] == "ACCEPTED"
    peer.expect("ContractNegotiationEventMessage", **pids, eventType="ACCEPTED")
    stated = say("ContractAgreementMessage", **pids, agreement=agreement_for(place, peer))
    assert peer.post(f"/negotiations/{ours}/agreement", stated).status_code == 200
    peer.expect("ContractAgreementVerificationMessage", **pids)
    final = say("ContractNegotiationEventMessage", **pids, eventType="FINALIZED")
    assert peer.post(f"/negotiations/{ours}/events", final).json()["state"] == "FINALIZED"
    assert place.own(ours)["agreement"] == stated["agreement"]["@id"]
    repeated = peer.post("/negotiations/offers", first).json()
    assert (repeated["consumerPid"], repeated["state"]) == (ours, "FINALIZED")


def test_an_unasked_offer_that_a_person_declines_ends_with_the_reason(place: Place, peer: RawPeer) -> None:
    ours = peer.post("/negotiations/offers", unasked(peer, "p-declined")).json()["consumerPid"]
    place.manage("POST", f"/negotiations/{ours}/termination", {"reason": "we need no more flights"})
    pids = {"providerPid": "p-declined", "consumerPid": ours}
    ended = peer.expect("ContractNegotiationTerminationMessage", **pids)
    assert ended["reason"] == ["we need no more flights"]
    assert peer.state(f"/negotiations/{ours}") == "TERMINATED"


def test_an_offer_without_a_target_or_with_both_ways_back_is_refused(peer: RawPeer) -> None:
    document = unasked(peer, "p-bad")
    for change in (
        {"offer": {**document["offer"], "target": None}},
        {"consumerPid": "c"},
        {"callbackAddress": None},
    ):
        changed = {key: value for key, value in {**document, **change}.items() if value is not None}
        reply = peer.post("/negotiations/offers", changed)
        assert (reply.status_code, reply.json()["@type"]) == (400, "ContractNegotiationError")


# --- versions ----------------------------------------------------------------------------------------


def test_a_provider_without_a_common_version_is_not_spoken_to(place: Place) -> None:
    elder = place.peers[1]
    elder.versions = {
        "protocolVersions": [
            {"version": "2024/1", "path": "/dsp/2024/1", "binding": "HTTPS"},
            {"version": "v0.8", "path": "/", "binding": "HTTPS"},
        ]
    }
    wanted = {
        "provider": elder.did,
        "endpoint": elder.dsp,
        "dataset": DATASET,
        "offer": {"@id": "urn:offer:theirs", **TERMS},
    }
    pid = place.manage("POST", "/negotiations", wanted)["pid"]
    ended = place.own(pid, wait="TERMINATED")
    assert "speaks 2024/1, v0.8" in ended["problem"]
    assert "we speak 2025-1; nothing was sent" in ended["problem"]
    assert not any(one.method == "POST" for one in elder.heard)


def test_every_body_is_valid_by_the_official_schemas(place: Place, peer: RawPeer) -> None:
    official()
    peer.post("/negotiations/offers", unasked(peer, "p-judged"))
    # Who asks for a peer's offer without rules has to say it without rules, though the schema wants one.
    said = [one for one in place.said if one.get("offer", {}).get("@id") != RULELESS]
    wrong = {str(document)[:120]: judged(document) for document in said if judged(document)}
    assert wrong == {}
