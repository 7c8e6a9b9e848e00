"""What the conformance kit leaves out, over real HTTP: who may see a process, errors, repeats, slashes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.dsp_schemas import judged, official, problems
from tests.served import (
    CONTEXT,
    DATASET,
    FORMAT,
    PREFIX,
    Place,
    RawPeer,
    agreed,
    error,
    fetch,
    request,
    say,
    served,
)

pytestmark = pytest.mark.interop

OFFER = {"@id": "open", "permission": [{"action": "use"}]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A connector with two datasets, a counterparty, and a stranger."""
    with served(tmp_path_factory.mktemp("served"), "consumer", "stranger") as made:
        made.publish(DATASET, "urn:ds:other", offer=OFFER)
        yield made


@pytest.fixture
def consumer(place: Place) -> RawPeer:
    return place.peers[0]


@pytest.fixture
def stranger(place: Place) -> RawPeer:
    return place.peers[1]


NEGOTIATION = "ContractNegotiationError"
TRANSFER = "TransferError"


# --- the surface -------------------------------------------------------------------------------------


def test_the_version_document_needs_no_token_and_is_valid(place: Place) -> None:
    for end in ("", "/"):
        reply = place.http.get(f"{place.url}/.well-known/dspace-version{end}")
        assert reply.status_code == 200
        (entry,) = reply.json()["protocolVersions"]
        assert (entry["version"], entry["path"], entry["binding"]) == ("2025-1", PREFIX, "HTTPS")
    official()
    assert problems(reply.json(), "common/protocol-version-schema.json") == []


PATHS = [
    ("POST", "/negotiations/{}/request", NEGOTIATION),
    ("POST", "/negotiations/{}/offers", NEGOTIATION),
    ("POST", "/negotiations/{}/agreement", NEGOTIATION),
    ("POST", "/negotiations/{}/agreement/verification", NEGOTIATION),
    ("POST", "/negotiations/{}/events", NEGOTIATION),
    ("POST", "/negotiations/{}/termination", NEGOTIATION),
    ("GET", "/negotiations/{}", NEGOTIATION),
    ("POST", "/transfers/{}/start", TRANSFER),
    ("POST", "/transfers/{}/suspension", TRANSFER),
    ("POST", "/transfers/{}/completion", TRANSFER),
    ("POST", "/transfers/{}/termination", TRANSFER),
    ("GET", "/transfers/{}", TRANSFER),
]


def fitting(path: str, pids: dict[str, str]) -> dict[str, Any]:
    """Write the message that a path takes."""
    offer = {"@type": "Offer", "@id": "o", "target": DATASET, "permission": [{"action": "use"}]}
    parties = {"assigner": "did:web:a", "assignee": "did:web:b"}
    agreement = {**offer, **parties, "@type": "Agreement", "@id": "a"}
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "request": ("ContractRequestMessage", {"offer": offer}),
        "offers": ("ContractOfferMessage", {"offer": offer}),
        "agreement": ("ContractAgreementMessage", {"agreement": agreement}),
        "verification": ("ContractAgreementVerificationMessage", {}),
        "events": ("ContractNegotiationEventMessage", {"eventType": "ACCEPTED"}),
        "start": ("TransferStartMessage", {}),
        "suspension": ("TransferSuspensionMessage", {}),
        "completion": ("TransferCompletionMessage", {}),
        "termination": (
            "TransferTerminationMessage" if "/transfers" in path else "ContractNegotiationTerminationMessage",
            {},
        ),
    }
    kind, members = kinds[path.rpartition("/")[2]]
    return say(kind, **pids, **members)


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(("method", "path", "kind"), PATHS)
def test_every_path_takes_a_trailing_slash_and_knows_no_process_of_nobody(
    stranger: RawPeer, method: str, path: str, kind: str, end: str
) -> None:
    pids = {"providerPid": "urn:uuid:nobody", "consumerPid": "urn:uuid:me"}
    document = fitting(path, pids) if method == "POST" else None
    reply = stranger.send(method, path.format("urn:uuid:nobody") + end, document)
    assert "urn:uuid:nobody" in error(reply, 404, kind, "not-found")
    told = {name: reply.json()[name] for name in pids}
    assert told == (pids if method == "POST" else dict.fromkeys(pids, "urn:uuid:nobody"))


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/catalog/request", "CatalogError"),
        ("/negotiations/request", NEGOTIATION),
        ("/negotiations/offers", NEGOTIATION),
        ("/transfers/request", TRANSFER),
    ],
)
def test_paths_that_open_something_take_a_slash_and_refuse_what_is_malformed(
    consumer: RawPeer, path: str, kind: str, end: str
) -> None:
    assert "expected '@type'" in error(consumer.post(path + end, say("Nonsense")), 400, kind, "malformed")
    lacking = {"@context": CONTEXT, "@type": "x" * 5000}
    error(consumer.post(path + end, lacking), 400, kind, "malformed")
    assert consumer.get(path + end).status_code in (404, 405)
    error(consumer.post(path + end, say("x"), Authorization="Bearer x"), 401, kind, "unauthenticated")
    foreign = {**say("x"), "@context": [*CONTEXT, "https://evil.example/c.jsonld"]}
    assert "never fetched" in error(consumer.post(path + end, foreign), 400, kind, "unknown-context")


def test_a_method_that_a_path_does_not_take_is_a_typed_error(consumer: RawPeer) -> None:
    error(consumer.send("DELETE", "/negotiations/urn:uuid:1"), 405, NEGOTIATION, "method-not-allowed")
    error(consumer.send("PUT", "/transfers/urn:uuid:1/start", {}), 405, TRANSFER, "method-not-allowed")


# --- whose process it is -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(place: Place) -> dict[str, str]:
    """A negotiation and a transfer of one consumer that run: by chapter, our process id."""
    consumer = place.peers[0]
    pid, agreement = agreed(consumer, "c-running")
    reply = consumer.post("/transfers/request", fetch(consumer, "t-running", agreement["@id"]))
    assert reply.status_code == 201, reply.text
    consumer.expect("TransferStartMessage", consumerPid="t-running")
    return {"/negotiations": pid, "/transfers": reply.json()["providerPid"]}


@pytest.mark.parametrize(("method", "path", "kind"), PATHS)
def test_a_foreign_process_looks_exactly_like_none(
    consumer: RawPeer, stranger: RawPeer, running: dict[str, str], method: str, path: str, kind: str
) -> None:
    chapter = path.partition("/{}")[0]
    pid = running[chapter]
    before = consumer.get(f"{chapter}/{pid}").json()
    answers = []
    for named in (pid, "urn:uuid:00000000-0000-4000-8000-000000000000"):
        pids = {"providerPid": named, "consumerPid": before["consumerPid"]}
        document = fitting(path, pids) if method == "POST" else None
        reply = stranger.send(method, path.format(named), document)
        answers.append((reply.status_code, reply.text.replace(named, "PID")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert kind in answers[0][1]
    assert consumer.get(f"{chapter}/{pid}").json() == before


def test_a_foreign_agreement_looks_exactly_like_none(
    consumer: RawPeer, stranger: RawPeer, running: dict[str, str]
) -> None:
    agreement = consumer.expect("ContractAgreementMessage", consumerPid="c-running")["agreement"]["@id"]
    reasons = []
    for named in (agreement, "urn:uuid:none"):
        reply = stranger.post("/transfers/request", fetch(stranger, "t-stolen", named))
        reasons.append(error(reply, 404, TRANSFER, "not-found").replace(named, "ID"))
    assert reasons[0] == reasons[1]


def test_without_a_token_meant_for_us_and_used_once_nothing_is_told(
    consumer: RawPeer, stranger: RawPeer, running: dict[str, str]
) -> None:
    path = f"/negotiations/{running['/negotiations']}"
    for header in ("", "Bearer x", "Basic YTpi", consumer.token(audience=stranger.did)):
        reply = consumer.get(path, Authorization=header)
        error(reply, 401, NEGOTIATION, "unauthenticated")
        assert reply.headers["www-authenticate"] == "Bearer"
    token = consumer.token()
    assert consumer.get(path, Authorization=token).status_code == 200
    assert "used before" in error(
        consumer.get(path, Authorization=token), 401, NEGOTIATION, "unauthenticated"
    )


def test_both_chapters_tell_the_state_to_the_counterparty(consumer: RawPeer, running: dict[str, str]) -> None:
    for chapter, kind, state in (
        ("/negotiations", "ContractNegotiation", "FINALIZED"),
        ("/transfers", "TransferProcess", "STARTED"),
    ):
        for end in ("", "/"):
            told = consumer.get(f"{chapter}/{running[chapter]}{end}").json()
            assert (told["@type"], told["state"], told["providerPid"]) == (kind, state, running[chapter])


# --- what is refused, and that nothing changes --------------------------------------------------------


def held(place: Place) -> int:
    return len(place.manage("GET", "/negotiations", limit=1000)["negotiations"])


def test_an_unknown_offer_or_dataset_is_a_404_and_opens_nothing(place: Place, consumer: RawPeer) -> None:
    before = held(place)
    good = request(consumer, "c-unknown")
    for change in ({"@id": "urn:offer:nobody"}, {"target": "urn:ds:nowhere"}):
        reply = consumer.post("/negotiations/request", {**good, "offer": {**good["offer"], **change}})
        assert "read the catalogue again" in error(reply, 404, NEGOTIATION, "not-found")
        assert reply.json()["consumerPid"] == "c-unknown"
    assert held(place) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"callbackAddress": None}, "exactly one of callbackAddress"),
        ({"providerPid": "p"}, "exactly one of callbackAddress"),
        ({"callbackAddress": "file:///etc/passwd"}, "not an http(s) base URL"),
        ({"consumerPid": None}, "consumerPid"),
        ({"consumerPid": {"a": 1}}, "consumerPid"),
        ({"consumerPid": "x" * 600}, "consumerPid"),
        ({"offer": None}, "offer"),
        ({"offer": {"@id": "o", "target": "t", "permission": [{}]}}, "action"),
    ],
)
def test_a_request_that_does_not_fit_is_a_400_by_place_and_opens_nothing(
    place: Place, consumer: RawPeer, change: dict[str, Any], says: str
) -> None:
    before = held(place)
    document = {k: v for k, v in {**request(consumer, "c-bad"), **change}.items() if v is not None}
    assert says in error(consumer.post("/negotiations/request", document), 400, NEGOTIATION, "malformed")
    assert held(place) == before


def test_an_illegal_move_is_a_400_with_both_pids_and_keeps_the_state(
    consumer: RawPeer, running: dict[str, str]
) -> None:
    pid = running["/negotiations"]
    pids = {"providerPid": pid, "consumerPid": "c-running"}
    for document, end in (
        (say("ContractNegotiationEventMessage", **pids, eventType="ACCEPTED"), "events"),
        (say("ContractNegotiationEventMessage", **pids, eventType="FINALIZED"), "events"),
        (say("ContractNegotiationTerminationMessage", **pids), "termination"),
        (say("ContractAgreementVerificationMessage", **pids), "agreement/verification"),
    ):
        reply = consumer.post(f"/negotiations/{pid}/{end}", document)
        assert "in state FINALIZED" in error(reply, 400, NEGOTIATION, "illegal-move")
        assert {name: reply.json()[name] for name in pids} == pids
    assert consumer.state(f"/negotiations/{pid}") == "FINALIZED"


def test_pids_in_body_and_path_must_agree(consumer: RawPeer, running: dict[str, str]) -> None:
    pid = running["/transfers"]
    for pids in (
        {"providerPid": "other", "consumerPid": "t-running"},
        {"providerPid": pid, "consumerPid": "x"},
    ):
        reply = consumer.post(f"/transfers/{pid}/completion", say("TransferCompletionMessage", **pids))
        error(reply, 400, TRANSFER, "malformed")
    assert consumer.state(f"/transfers/{pid}") == "STARTED"


def test_a_transfer_in_a_format_that_is_not_served_is_a_400_that_names_those_that_are(
    consumer: RawPeer, running: dict[str, str]
) -> None:
    agreement = consumer.expect("ContractAgreementMessage", consumerPid="c-running")["agreement"]["@id"]
    reply = consumer.post(
        "/transfers/request", fetch(consumer, "t-format", agreement, format="HttpData-PUSH")
    )
    assert FORMAT in error(reply, 400, TRANSFER, "malformed")


# --- repeats -----------------------------------------------------------------------------------------


def test_a_repeated_request_is_the_same_negotiation_also_after_it_moved_on(
    place: Place, consumer: RawPeer
) -> None:
    first = request(consumer, "c-again")
    reply = consumer.post("/negotiations/request", first)
    pid = reply.json()["providerPid"]
    before = held(place)
    fresh = {**first, "@id": "urn:uuid:another"}
    for document in (first, fresh):
        again = consumer.post("/negotiations/request/", document)
        assert (again.status_code, again.json()["providerPid"]) == (201, pid)
    consumer.expect("ContractAgreementMessage", consumerPid="c-again")
    pids = {"providerPid": pid, "consumerPid": "c-again"}
    verification = say("ContractAgreementVerificationMessage", **pids)
    for _ in range(2):
        assert consumer.post(f"/negotiations/{pid}/agreement/verification", verification).status_code == 200
    consumer.expect("ContractNegotiationEventMessage", consumerPid="c-again")
    assert (
        consumer.post(f"/negotiations/{pid}/agreement/verification", verification).json()["state"]
        == "FINALIZED"
    )
    renewed = consumer.post(f"/negotiations/{pid}/agreement/verification", {**verification, "@id": "new"})
    error(renewed, 400, NEGOTIATION, "illegal-move")
    last = consumer.post("/negotiations/request", {**first, "@id": "urn:uuid:third"}).json()
    assert (last["providerPid"], last["state"]) == (pid, "FINALIZED")
    assert held(place) == before
    assert consumer.count("ContractAgreementMessage", consumerPid="c-again") == 1
    assert consumer.count("ContractNegotiationEventMessage", consumerPid="c-again") == 1


def test_a_process_id_that_is_used_for_something_else_is_refused(
    consumer: RawPeer, stranger: RawPeer
) -> None:
    pid = consumer.post("/negotiations/request", request(consumer, "c-shared")).json()["providerPid"]
    other = consumer.post("/negotiations/request", request(consumer, "c-shared", "urn:ds:other"))
    assert "use a fresh one" in error(other, 409, NEGOTIATION, "already-exists")
    theirs = stranger.post("/negotiations/request", request(stranger, "c-shared"))
    assert theirs.status_code == 201
    assert theirs.json()["providerPid"] != pid, "another participant's id is another id"


def test_a_repeated_transfer_request_is_the_same_transfer_and_starts_once(consumer: RawPeer) -> None:
    _, agreement = agreed(consumer, "c-for-transfer")
    first = fetch(consumer, "t-again", agreement["@id"])
    pid = consumer.post("/transfers/request", first).json()["providerPid"]
    start = consumer.expect("TransferStartMessage", consumerPid="t-again")
    assert start["dataAddress"]["endpoint"]
    for document in (first, {**first, "@id": "urn:uuid:fresh"}):
        again = consumer.post("/transfers/request", document).json()
        assert (again["providerPid"], again["state"]) == (pid, "STARTED")
    ending = say("TransferCompletionMessage", providerPid=pid, consumerPid="t-again")
    for _ in range(2):
        assert consumer.post(f"/transfers/{pid}/completion", ending).status_code == 200
    assert consumer.post("/transfers/request", first).json()["state"] == "COMPLETED"
    error(
        consumer.post(f"/transfers/{pid}/completion", {**ending, "@id": "new"}), 400, TRANSFER, "illegal-move"
    )
    assert consumer.count("TransferStartMessage", consumerPid="t-again") == 1


def test_a_peer_that_took_a_message_and_refuses_its_repeat_does_not_end_the_negotiation(
    place: Place, consumer: RawPeer
) -> None:
    tries: list[str] = []

    def forgetful(method: str, path: str, document: Any) -> tuple[int, Any] | None:
        mine = isinstance(document, dict) and document.get("consumerPid") == "c-forgetful"
        if method == "POST" and path.endswith("/agreement") and mine:
            tries.append(document["@id"])
            return (503, None) if len(tries) == 1 else (409, {"reason": ["AGREED already"]})
        if method == "GET" and path == f"{PREFIX}/negotiations/c-forgetful":
            pids = {"providerPid": "", "consumerPid": "c-forgetful"}
            return 200, {"@context": CONTEXT, "@type": "ContractNegotiation", **pids, "state": "AGREED"}
        return None

    consumer.answering.append(forgetful)
    pid, _ = agreed(consumer, "c-forgetful")
    place.own(pid, wait="FINALIZED")
    consumer.answering.remove(forgetful)
    assert len(set(tries)) == 1, "one message, repeated under the same id"


def test_every_body_is_valid_by_the_official_schemas(place: Place, consumer: RawPeer) -> None:
    official()
    agreed(consumer, "c-judged")
    wrong = {str(document)[:120]: judged(document) for document in place.said if judged(document)}
    assert wrong == {}
