from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from connector.adapters.courier import HttpCourier
from connector.outbox.ports import Outgoing
from schemas.binding.client import Egress, Http
from schemas.errors import PeerRefused, PeerUnavailable

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
    assert carrier.carry(LETTER).document in (None, [])


@pytest.mark.parametrize("status", [500, 502, 503, 408, 425, 429])
def test_a_passing_trouble_is_worth_another_try(status: int) -> None:
    carrier, _, _ = courier(httpx2.Response(status, json={"reason": ["busy"]}))
    with pytest.raises(PeerUnavailable, match=f"answered {status}.*busy") as trouble:
        carrier.carry(LETTER)
    assert not isinstance(trouble.value, PeerRefused)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413])
def test_any_other_refusal_is_final_and_carries_the_peers_reasons(status: int) -> None:
    carrier, _, _ = courier(
        httpx2.Response(status, json={"code": "illegal-move", "reason": ["one", {"two": 2}]})
    )
    with pytest.raises(PeerRefused) as refused:
        carrier.carry(LETTER)
    assert refused.value.peer_status == status
    assert refused.value.reasons == ("one", "{'two': 2}")
    assert "illegal-move" in str(refused.value)


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
