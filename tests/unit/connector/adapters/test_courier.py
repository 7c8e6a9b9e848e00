from __future__ import annotations

import http.server
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from connector.adapters.courier import MOST_SECONDS, HttpCourier
from connector.outbox.ports import Outgoing
from connector.outbox.service import LEASE
from schemas.binding.client import Egress, Http
from schemas.binding.versions import Versions, roots_of
from schemas.errors import PeerRefused, PeerUnavailable
from tests.http_server import EndingServer

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LETTER = Outgoing(
    id="m1",
    kind="negotiation",
    process="p",
    recipient="did:web:them",
    method="POST",
    url="http://localhost:1/dsp/negotiations/request",
    document={"@type": "X", "@id": "m1"},
    created=NOW,
    deadline=NOW + timedelta(minutes=1),
    due=NOW,
)


class Proof:
    def __init__(self) -> None:
        self.audiences: list[str] = []

    def prove(self, audience: str) -> str:
        self.audiences.append(audience)
        return f"Bearer {len(self.audiences)}"

    def admit(self, authorization: str | None) -> Any:
        raise NotImplementedError


def courier(answer: Any, **given: Any) -> tuple[HttpCourier, Proof, list[httpx2.Request]]:
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, httpx2.Response)
        return answer

    proof = Proof()
    http = Http(Egress(), transport=httpx2.MockTransport(handle))
    return HttpCourier(http, proof, **given), proof, seen


def test_each_try_carries_a_fresh_proof_for_its_recipient_and_the_same_message() -> None:
    carrier, proof, seen = courier(httpx2.Response(201, json={"providerPid": "x"}))
    assert carrier.carry(LETTER).document == {"providerPid": "x"}
    carrier.carry(LETTER)
    assert proof.audiences == ["did:web:them"] * 2
    assert [request.headers["authorization"] for request in seen] == ["Bearer 1", "Bearer 2"]
    assert len({request.content for request in seen}) == 1


@pytest.mark.parametrize("body", [b"", b"thanks!", b"[]"])
def test_a_peer_may_answer_anything_or_nothing(body: bytes) -> None:
    carrier, _, _ = courier(httpx2.Response(200, content=body))
    delivery = carrier.carry(LETTER)
    assert delivery.document in (None, [])
    assert delivery.rubbish is (body == b"thanks!")


@pytest.mark.parametrize("status", [500, 502, 503, 408, 425, 429])
def test_a_passing_trouble_is_worth_another_try(status: int) -> None:
    carrier, _, _ = courier(httpx2.Response(status, json={"reason": ["busy"]}))
    with pytest.raises(PeerUnavailable, match=f"answered {status}.*busy") as trouble:
        carrier.carry(LETTER)
    assert not isinstance(trouble.value, PeerRefused)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
def test_who_redirects_has_not_refused_and_is_not_followed(status: int) -> None:
    elsewhere = {"location": "http://169.254.169.254/latest/meta-data"}
    letter = replace(LETTER, url="http://localhost:1/dsp/negotiations/p/termination")
    for ask in (HttpCourier.carry, HttpCourier.standing):
        carrier, _, seen = courier(httpx2.Response(status, headers=elsewhere))
        with pytest.raises(PeerUnavailable, match=f"answered {status}") as trouble:
            ask(carrier, letter)
        assert not isinstance(trouble.value, PeerRefused)
        assert {request.url.host for request in seen} == {"localhost"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413])
def test_any_other_refusal_is_final_and_carries_the_peers_reasons(status: int) -> None:
    carrier, _, _ = courier(
        httpx2.Response(status, json={"code": "illegal-move", "reason": ["one", {"two": 2}]})
    )
    with pytest.raises(PeerRefused) as refused:
        carrier.carry(LETTER)
    assert refused.value.peer_status == status
    assert refused.value.reasons == ("one", "{'two': 2}")
    assert "illegal-move" in str(refused.value)


def test_a_refusal_without_a_reason_gives_none() -> None:
    carrier, _, _ = courier(httpx2.Response(400, json={"message": "Bad Request", "status": "400"}))
    with pytest.raises(PeerRefused, match=r"answered 400$") as refused:
        carrier.carry(LETTER)
    assert refused.value.reasons == ()


def test_what_counts_as_passing_can_be_widened_for_a_peer_that_opens_its_doors_late() -> None:
    carrier, _, _ = courier(httpx2.Response(404), transient=frozenset({404}))
    with pytest.raises(PeerUnavailable) as trouble:
        carrier.carry(LETTER)
    assert not isinstance(trouble.value, PeerRefused)


def test_a_broken_connection_is_worth_another_try() -> None:
    carrier, _, _ = courier(httpx2.ConnectError("refused"))
    with pytest.raises(PeerUnavailable, match="ConnectError"):
        carrier.carry(LETTER)


def test_an_address_that_we_do_not_connect_to_is_refused_for_good() -> None:
    carrier = HttpCourier(Http(Egress(resolve=lambda host, port: ["169.254.169.254"])), Proof())
    with pytest.raises(PeerRefused, match="not a public address"):
        carrier.carry(replace(LETTER, url="https://metadata.example/x"))


def test_an_endless_answer_is_cut_off() -> None:
    carrier, _, _ = courier(httpx2.Response(200, content=b"x" * (2 << 20)))
    with pytest.raises(PeerUnavailable, match="more than"):
        carrier.carry(LETTER)


def test_a_deletion_goes_out_as_one() -> None:
    carrier, _, seen = courier(httpx2.Response(204))
    carrier.carry(replace(LETTER, method="DELETE"))
    assert seen[0].method == "DELETE"


# --- versions ----------------------------------------------------------------------------------------


def speaking(documents: dict[str, Any]) -> tuple[HttpCourier, list[str]]:
    """A peer that serves version documents at some paths, and takes every message."""
    seen: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(f"{request.method} {request.url.path}")
        if request.method == "POST":
            return httpx2.Response(201, json={})
        found = documents.get(request.url.path)
        if isinstance(found, Exception):
            raise found
        return httpx2.Response(404) if found is None else httpx2.Response(200, json=found)

    http = Http(Egress(), transport=httpx2.MockTransport(handle))
    return HttpCourier(http, Proof(), versions=Versions(http, lambda: NOW)), seen


def spoken(*versions: tuple[str, str]) -> dict[str, Any]:
    entries = [{"version": name, "path": path, "binding": "HTTPS"} for name, path in versions]
    return {"protocolVersions": entries}


FIRST = replace(LETTER, url="http://localhost:1/protocol/2025-1/negotiations/request")
WELL_KNOWN = "/.well-known/dspace-version"


def test_a_peer_that_speaks_our_version_among_others_is_asked_once() -> None:
    carrier, seen = speaking(
        {"/protocol" + WELL_KNOWN: spoken(("2025-1", "/2025-1"), ("2024/1", "/2024/1"), ("v0.8", "/"))}
    )
    carrier.carry(FIRST)
    carrier.carry(FIRST)
    assert seen == [
        f"GET /protocol{WELL_KNOWN}",
        "POST /protocol/2025-1/negotiations/request",
        "POST /protocol/2025-1/negotiations/request",
    ]


@pytest.mark.parametrize(
    ("documents", "says"),
    [
        ({"/protocol" + WELL_KNOWN: spoken(("2024/1", "/2024/1"), ("v0.8", "/"))}, "2024/1, v0.8"),
        ({WELL_KNOWN: spoken(("2026-2", "/protocol/2026-2"))}, "2026-2"),
        ({"/protocol" + WELL_KNOWN: spoken(("2025-1", "/new"), ("2024-1", "/2025-1"))}, "2024-1"),
        ({"/protocol" + WELL_KNOWN: {"protocolVersions": []}}, "no version of the protocol"),
    ],
)
def test_a_peer_without_a_common_version_gets_no_message(documents: dict[str, Any], says: str) -> None:
    carrier, seen = speaking(documents)
    for _ in range(2):
        with pytest.raises(PeerRefused, match="we speak 2025-1; nothing was sent") as refused:
            carrier.carry(FIRST)
        assert says in str(refused.value)
    assert not any(line.startswith("POST") for line in seen)


@pytest.mark.parametrize(
    "documents",
    [
        {},
        {"/protocol" + WELL_KNOWN: ["nonsense"]},
        {"/protocol" + WELL_KNOWN: {"protocolVersions": [{"version": 5}]}},
        {"/protocol" + WELL_KNOWN: httpx2.ConnectError("down")},
    ],
)
def test_a_peer_that_does_not_say_what_it_speaks_is_spoken_to(documents: dict[str, Any]) -> None:
    carrier, seen = speaking(documents)
    carrier.carry(FIRST)
    assert seen[-1] == "POST /protocol/2025-1/negotiations/request"


def test_a_message_within_a_process_needs_no_look() -> None:
    carrier, seen = speaking({WELL_KNOWN: spoken(("2024-1", "/"))})
    carrier.carry(LATER)
    assert seen == ["POST /dsp/negotiations/urn:uuid:1/agreement/verification"]


def test_where_the_document_may_hang() -> None:
    assert roots_of("https://h.example/a/b/2025-1/") == (
        "https://h.example/a/b",
        "https://h.example",
        "https://h.example/a/b/2025-1",
    )
    assert roots_of("https://h.example") == ("https://h.example",)


# --- where a peer stands ------------------------------------------------------------------------------

LATER = replace(LETTER, url="http://localhost:1/dsp/negotiations/urn:uuid:1/agreement/verification")


def test_a_peer_is_asked_for_the_state_of_the_process_that_a_message_is_about() -> None:
    carrier, proof, seen = courier(httpx2.Response(200, json={"state": "AGREED"}))
    assert carrier.standing(LATER) == "AGREED"
    assert (seen[0].method, str(seen[0].url)) == ("GET", "http://localhost:1/dsp/negotiations/urn:uuid:1")
    assert seen[0].headers["authorization"] == "Bearer 1"
    assert proof.audiences == ["did:web:them"]


def test_a_message_that_opens_a_process_has_no_state_to_ask_for() -> None:
    carrier, _, seen = courier(httpx2.Response(200, json={"state": "AGREED"}))
    assert carrier.standing(LETTER) is None
    assert seen == []


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_peer_that_lets_nobody_read_states_tells_nothing(status: int) -> None:
    assert courier(httpx2.Response(status, json={"state": "AGREED"}))[0].standing(LATER) is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(409, json={"state": "AGREED"}),
        httpx2.Response(200, content=b"It works!"),
        httpx2.Response(200, json=["AGREED"]),
        httpx2.Response(200, json={"state": 1}),
    ],
)
def test_an_answer_without_a_state_is_none(answer: httpx2.Response) -> None:
    with pytest.raises(PeerRefused, match="without a state"):
        courier(answer)[0].standing(LATER)


@pytest.mark.parametrize("answer", [httpx2.Response(503), httpx2.ConnectError("refused")])
def test_a_peer_that_cannot_tell_its_state_now_is_asked_again(answer: Any) -> None:
    with pytest.raises(PeerUnavailable) as trouble:
        courier(answer)[0].standing(LATER)
    assert not isinstance(trouble.value, PeerRefused)


def test_a_question_is_answered_with_the_state_or_with_the_word_that_there_is_none() -> None:
    question = replace(LETTER, method="GET", url="http://localhost:1/dsp/negotiations/urn:uuid:1")
    carrier, _, seen = courier(httpx2.Response(200, json={"state": "AGREED"}))
    assert carrier.carry(question).document == {"state": "AGREED"}
    assert (seen[0].method, str(seen[0].url)) == ("GET", question.url)
    with pytest.raises(PeerRefused, match="shows no process"):
        courier(httpx2.Response(404))[0].carry(question)


@pytest.mark.parametrize("state", ["S" * 65, "AGREED\n", "\x00", 5, None])
def test_a_state_that_is_none_is_not_kept(state: object) -> None:
    carrier, _, _ = courier(httpx2.Response(200, json={"state": state}))
    with pytest.raises(PeerRefused, match="without a state"):
        carrier.standing(replace(LETTER, url="http://localhost:1/dsp/negotiations/p1/agreement"))


def test_a_message_takes_no_longer_than_its_lease_however_slowly_versions_are_told() -> None:
    assert timedelta(seconds=2 * MOST_SECONDS) <= LEASE
    waited = threading.Event()

    class Late(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            waited.wait(0.5)
            self.send_error(404)

        def do_POST(self) -> None:
            posted.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    posted: list[str] = []
    door = EndingServer(("127.0.0.1", 0), Late)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    guarded = Http(Egress.allowing(["127.0.0.0/8"]), timeout=10)
    carrier = HttpCourier(guarded, Proof(), versions=Versions(guarded, lambda: NOW), seconds=0.8)
    url = f"http://127.0.0.1:{door.server_address[1]}/dsp/2025-1/negotiations/request"
    try:
        with pytest.raises(PeerUnavailable, match="failed") as trouble:
            carrier.carry(replace(LETTER, url=url))
    finally:
        waited.set()
        door.shutdown()
        door.server_close()
        guarded.close()
    assert not isinstance(trouble.value, PeerRefused)
    assert posted == [], "the time was over before the message could be sent"
