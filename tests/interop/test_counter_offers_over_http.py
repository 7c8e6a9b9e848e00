"""Counter-offers over real HTTP: a request whose terms differ from the offer, and what becomes of it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from tests.served import CONTEXT, PREFIX, Place, RawPeer, fetch, offered, say, served

pytestmark = pytest.mark.interop

NUMBERS = itertools.count(1)
HANSA = "https://w3id.org/hansa/policy/1#"
DPV = "https://w3id.org/dpv#"
OURS = "urn:ds:ours"
PURPOSE = {"leftOperand": "purpose", "operator": "isA", "rightOperand": f"{DPV}ResearchAndDevelopment"}
COLUMNS = {"leftOperand": f"{HANSA}columns", "operator": "isAnyOf", "rightOperand": ["id", "name"]}
ROWS = {"leftOperand": f"{HANSA}rowCount", "operator": "lteq", "rightOperand": "8"}
TERMS = {
    "permission": [{"action": "use", "constraint": [PURPOSE, COLUMNS, ROWS]}],
    "prohibition": [{"action": "distribute"}],
}
USE = {f"{HANSA}use": {"action": f"{HANSA}train", "purpose": f"{DPV}AcademicResearch"}}
NARROWER: dict[str, Any] = {
    "permission": [
        {
            "action": f"{HANSA}train",
            "constraint": [
                {**ROWS, "rightOperand": "7"},
                {
                    "leftOperand": f"{HANSA}column/id",
                    "operator": "lt",
                    "rightOperand": {"@value": "3", "@type": "http://www.w3.org/2001/XMLSchema#integer"},
                },
                {**COLUMNS, "rightOperand": ["id"]},
                {**PURPOSE, "rightOperand": f"{DPV}AcademicResearch"},
            ],
        }
    ],
    "prohibition": [{"action": "sell"}, {"action": "distribute"}],
}
WIDER = {
    "permission": [{"action": "use", "constraint": [PURPOSE, COLUMNS, {**ROWS, "rightOperand": "9"}]}],
    "prohibition": [{"action": "distribute"}],
}


@pytest.fixture(scope="module")
def agreeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A connector that agrees by itself to what asks for no more than its offer."""
    folder = tmp_path_factory.mktemp("agreeing")
    with served(folder, "peer", negotiation={"counter_offers": "agree"}) as made:
        made.publish(OURS, offer={"@id": "limited", **TERMS})
        yield made


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A connector that agrees to nothing but its own terms, and says so."""
    folder = tmp_path_factory.mktemp("refusing")
    with served(folder, "peer", negotiation={"counter_offers": "refuse"}) as made:
        made.publish(OURS, offer={"@id": "limited", **TERMS})
        yield made


def ask(peer: RawPeer, terms: dict[str, Any]) -> str:
    """Ask for the published offer under other terms; return our process id."""
    pid = f"c-counter-{next(NUMBERS)}"
    asked = {**offered(peer, OURS), **terms}
    document = say("ContractRequestMessage", consumerPid=pid, callbackAddress=peer.dsp, offer=asked, **USE)
    assert peer.post("/negotiations/request", document).status_code == 201
    return pid


def ended(peer: RawPeer, pid: str) -> str:
    """Return why a negotiation was ended, once it was, and that nothing was agreed."""
    message = peer.expect("ContractNegotiationTerminationMessage", consumerPid=pid)
    assert message["code"] == "offer-misfit"
    assert peer.count("ContractAgreementMessage", consumerPid=pid) == 0
    return " ".join(str(reason) for reason in message["reason"])


def finish(peer: RawPeer, pid: str) -> dict[str, Any]:
    """Verify the agreement that was stated, and return it once it is final."""
    stated = peer.expect("ContractAgreementMessage", consumerPid=pid)
    pids = {"consumerPid": pid, "providerPid": stated["providerPid"]}
    path = f"/negotiations/{pids['providerPid']}/agreement/verification"
    assert peer.post(path, say("ContractAgreementVerificationMessage", **pids)).status_code == 200
    peer.expect("ContractNegotiationEventMessage", consumerPid=pid, eventType="FINALIZED")
    agreement: dict[str, Any] = stated["agreement"]
    return agreement


def read(peer: RawPeer, agreement: str) -> pa.Table:
    """Fetch the data under an agreement, as any HTTP client could."""
    pid = f"c-read-{next(NUMBERS)}"
    assert peer.post("/transfers/request", fetch(peer, pid, agreement)).status_code == 201
    started = peer.expect("TransferStartMessage", consumerPid=pid)["dataAddress"]
    said = {one["name"]: one["value"] for one in started["endpointProperties"]}
    answer = peer.place.http.get(
        started["endpoint"], headers={"Authorization": f"Bearer {said['authorization']}"}
    )
    assert answer.status_code == 200, answer.text
    return pa.ipc.open_stream(answer.content).read_all()


def test_a_narrower_request_is_agreed_where_the_holder_allows_and_its_own_terms_are_enforced(
    agreeing: Place,
) -> None:
    (peer,) = agreeing.peers
    agreement = finish(peer, ask(peer, NARROWER))
    assert agreement["permission"] == NARROWER["permission"]
    assert agreement["prohibition"] == NARROWER["prohibition"]
    table = read(peer, agreement["@id"])
    assert table.to_pydict() == {"id": [0, 1, 2]}


def test_a_wider_request_is_refused_with_the_term_and_both_values(agreeing: Place) -> None:
    (peer,) = agreeing.peers
    said = ended(peer, ask(peer, WIDER))
    assert "at most 9 rows" in said
    assert "at most 8 rows" in said
    assert "permission[0].constraint[2]" in said


def test_a_request_that_drops_a_promise_or_could_never_be_kept_is_refused_by_name(agreeing: Place) -> None:
    (peer,) = agreeing.peers
    assert "prohibition[0] of the offer is not kept" in ended(
        peer, ask(peer, {**NARROWER, "prohibition": []})
    )
    unknown = copy.deepcopy(NARROWER)
    unknown["permission"][0]["constraint"].append(
        {"leftOperand": f"{HANSA}column/age", "operator": "gt", "rightOperand": "5"}
    )
    assert "cannot be kept on these data" in ended(peer, ask(peer, unknown))
    never = copy.deepcopy(NARROWER)
    for operator, day in (("lt", "2026-01-01"), ("gteq", "2027-01-01")):
        never["permission"][0]["constraint"].append(
            {"leftOperand": "dateTime", "operator": operator, "rightOperand": day}
        )
    assert "never opens" in ended(peer, ask(peer, never))


def test_a_narrower_request_is_refused_with_the_difference_where_only_own_terms_are_agreed(
    refusing: Place,
) -> None:
    (peer,) = refusing.peers
    said = ended(peer, ask(peer, NARROWER))
    assert "agrees only to its own terms" in said
    assert "at most 7 rows" in said
    assert "at most 8 rows" in said
    finish(peer, ask(peer, {}))


def test_a_reordered_agreement_is_verified_by_its_meaning(agreeing: Place) -> None:
    (peer,) = agreeing.peers
    wanted = {
        "provider": peer.did,
        "endpoint": peer.dsp,
        "dataset": "urn:ds:theirs",
        "offer": {"@id": "urn:offer:theirs", **TERMS},
    }

    def named(_method: str, path: str, document: Any) -> tuple[int, Any] | None:
        if path != f"{PREFIX}/negotiations/request":
            return None
        pids = {"consumerPid": document["consumerPid"], "providerPid": "urn:their:negotiation"}
        return 200, {"@context": CONTEXT, "@type": "ContractNegotiation", **pids, "state": "REQUESTED"}

    peer.answering.append(named)
    opened = agreeing.manage("POST", "/negotiations", wanted)
    peer.expect("ContractRequestMessage", consumerPid=opened["pid"])
    pids = {"consumerPid": opened["pid"], "providerPid": "urn:their:negotiation"}
    agreement = {
        "@id": f"urn:agreement:{next(NUMBERS)}",
        "@type": "Agreement",
        "target": "urn:ds:theirs",
        "assigner": peer.did,
        "assignee": agreeing.did,
        "timestamp": "2026-11-23T12:00:00Z",
        "prohibition": [{"action": "http://www.w3.org/ns/odrl/2/distribute"}],
        "permission": [
            {
                "action": "odrl:use",
                "constraint": [ROWS, {**COLUMNS, "rightOperand": ["name", "id"]}, PURPOSE],
            }
        ],
    }
    stated = say("ContractAgreementMessage", **pids, agreement=agreement)
    assert peer.post(f"/negotiations/{pids['consumerPid']}/agreement", stated).status_code == 200
    peer.expect("ContractAgreementVerificationMessage", **pids)
