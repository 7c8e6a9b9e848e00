"""What the user's own connector answers becomes an agreement, a stream's address, or an error that helps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from connector.client.desk import Desk
from connector.client.find import Hit
from connector.client.frames import to_torch
from connector.client.management import Management
from connector.client.stream import Access, DataStream
from schemas.binding.client import Egress, Http
from schemas.errors import Misconfigured, NotFound, PeerRefused, PeerUnavailable, UseDenied
from schemas.vocab import DPV, HANSA
from tests.streaming import LOOPBACK

USE = {"action": HANSA + "train", "purpose": DPV + "ScientificResearch"}
HIT = Hit(
    "urn:d", "D", "did:web:p", "http://p/dsp", ({"@id": "urn:o:1"}, {"@id": "urn:o:2"}), offer="urn:o:2"
)
Answer = Callable[[httpx2.Request], Any]


def desk(answer: Answer, timeout: float = 5.0) -> Desk:
    """A desk whose connector is played by a function on the wire."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        found = answer(request)
        return found if isinstance(found, httpx2.Response) else httpx2.Response(200, json=found)

    http = Http(Egress(), transport=httpx2.MockTransport(handle))
    return Desk(Management("http://localhost:8101", "key", http), USE, timeout)


def always(answer: Any) -> Answer:
    """Answer every request alike."""
    return lambda _: answer


def agreement(**changes: Any) -> dict[str, Any]:
    return {"id": "urn:a", "state": "final", "counterparty": "did:web:p", "use": USE, **changes}


def test_an_agreement_that_stands_is_used_again_for_the_same_use_only() -> None:
    assert desk(lambda _: {"agreements": [agreement()]}).standing(HIT) == "urn:a"
    for change in (
        {"state": "revoked"},
        {"state": "not final"},
        {"counterparty": "did:web:other"},
        {"use": {**USE, "purpose": None}},
        {"use": None},
    ):
        assert desk(always({"agreements": [agreement(**change)]})).standing(HIT) is None


def test_the_offer_that_the_catalogue_found_to_fit_is_asked_for() -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: httpx2.Request) -> Any:
        asked.append(json.loads(request.content))
        return httpx2.Response(201, json={"pid": "urn:n"})

    assert desk(answer).negotiate(HIT) == "urn:n"
    assert asked[0]["offer"] == {"@id": "urn:o:2"}
    assert asked[0]["use"] == USE
    assert asked[0]["endpoint"] == "http://p/dsp"
    with pytest.raises(NotFound, match="no offer"):
        desk(answer).negotiate(Hit("urn:d", "D", "did:web:p", "http://p/dsp", ()))


def test_waiting_goes_on_until_the_state_is_there() -> None:
    states = iter(["REQUESTED", "AGREED", "FINALIZED"])
    assert desk(lambda _: {"state": next(states), "agreement": "urn:a"}).agreed("urn:n") == "urn:a"


def test_a_denied_use_carries_the_reasons_of_the_provider() -> None:
    view = {
        "state": "TERMINATED",
        "problem": "use-denied, says did:web:p",
        "reasons": ["purpose does not fit; use another"],
    }
    with pytest.raises(UseDenied) as caught:
        desk(lambda _: view).agreed("urn:n")
    assert caught.value.reasons == ("purpose does not fit; use another",)
    ended = {"state": "TERMINATED", "problem": "offer-withdrawn", "reasons": [], "counterparty": "did:web:p"}
    with pytest.raises(PeerRefused, match="did:web:p ended it: offer-withdrawn"):
        desk(lambda _: ended).agreed("urn:n")


def test_a_process_that_waits_too_long_says_whose_turn_it_is_and_why() -> None:
    view = {"state": "REQUESTED", "turn": "did:web:p", "why": "a person has to approve"}
    with pytest.raises(PeerUnavailable, match=r"REQUESTED.*turn: did:web:p, because a person has to approve"):
        desk(lambda _: view, timeout=0.0).agreed("urn:n")


def test_a_wrong_key_or_an_absent_connector_says_what_to_set() -> None:
    refused = httpx2.Response(401, json={"title": "unauthenticated", "detail": "no"})
    with pytest.raises(Misconfigured, match="HANSA_API_KEY_FILE"):
        desk(lambda _: refused).standing(HIT)

    def absent(_: httpx2.Request) -> Any:
        raise httpx2.ConnectError("refused")

    with pytest.raises(
        PeerUnavailable, match=r"your connector at http://localhost:8101 does not answer.*HANSA_CONNECTOR"
    ):
        desk(absent).standing(HIT)


def test_a_transfer_gives_the_address_of_the_data() -> None:
    address = {"endpointType": "x", "endpoint": "http://p/streams/1", "endpointProperties": []}

    def answer(request: httpx2.Request) -> Any:
        if request.method == "POST":
            return httpx2.Response(201, json={"pid": "urn:t"})
        return {"state": "STARTED", "dataAddress": address}

    pid, found = desk(answer).transfer("urn:a")
    assert (pid, found.endpoint) == ("urn:t", "http://p/streams/1")


def test_completing_what_ended_already_is_no_error() -> None:
    desk(lambda _: httpx2.Response(400, json={"title": "illegal-move", "detail": "it ended"})).complete(
        "urn:t"
    )


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = DataStream(Access("http://127.0.0.1:9/", "t", "urn:d", "urn:a", LOOPBACK))
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.data", None)
    with pytest.raises(Misconfigured, match="pip install torch"):
        to_torch(stream)
