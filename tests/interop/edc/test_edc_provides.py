"""We buy from EDC: our connector agrees with it, pulls through it, and is pushed to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from schemas.dsp.transfer import DataAddress
from schemas.vocab import EDC
from tests.catalog_space import running_catalogue
from tests.interop.edc.conftest import Store, Trade
from tests.interop.edc.ours import await_true
from tests.interop.edc.relay import Relay, relaying
from tests.interop.edc.runtime import free_ports

pytestmark = [pytest.mark.interop, pytest.mark.e2e]


def offered(trade: Trade, store: Store, asset: str) -> dict[str, Any]:
    """Let EDC offer an asset, and return the dataset as our side reads it in EDC's catalogue."""
    trade.asked.provide(asset, f"{store.url}/{asset}")
    listed = trade.ours.catalog(trade.edc.protocol)["dataset"]
    datasets = {one["@id"]: one for one in (listed if isinstance(listed, list) else [listed])}
    return dict(datasets[asset])


def agree(trade: Trade, dataset: dict[str, Any]) -> str:
    """Let our connector negotiate to the end; return the agreement."""
    (offer,) = dataset["hasPolicy"]
    pid = trade.ours.negotiate(trade.edc.participant, trade.edc.protocol, dataset["@id"], offer)
    agreed = trade.ours.await_negotiation(pid, "FINALIZED")
    assert agreed["problem"] is None
    assert trade.asked.await_negotiation(agreed["counterPid"], "FINALIZED")["type"] == "PROVIDER"
    return str(agreed["agreement"])


def test_we_agree_with_edc_and_pull_what_it_provides(trade: Trade, store: Store) -> None:
    dataset = offered(trade, store, "pulled")
    assert {one["format"] for one in dataset["distribution"]} >= {"HttpData-PULL", "HttpData-PUSH"}
    pid = trade.ours.transfer(agree(trade, dataset), "HttpData-PULL")
    address = DataAddress.read(trade.ours.await_transfer(pid, "STARTED")["dataAddress"])
    endpoint, authorization = address.property("endpoint"), address.property("authorization")
    assert endpoint is not None
    assert authorization is not None
    answer = httpx2.get(endpoint, headers={"Authorization": authorization}, timeout=30)
    assert (answer.status_code, answer.content) == (200, store.content)
    assert httpx2.get(endpoint, headers={"Authorization": "nonsense"}, timeout=30).status_code == 403


def test_edc_pushes_to_the_address_of_our_request_and_says_that_it_is_complete(
    trade: Trade, store: Store
) -> None:
    agreement = agree(trade, offered(trade, store, "pushed"))
    sink = f"/sink/{trade.edc.version}"
    destination = {
        "type": "HttpData",
        "baseUrl": store.url + sink,
        "authKey": "Authorization",
        "authCode": "Bearer of-this-sink",
    }

    def with_destination(_method: str, path: str, body: bytes) -> bytes | None:
        if not path.endswith("/transfers/request"):
            return None
        properties = [
            {"@type": "EndpointProperty", "name": EDC + name, "value": value}
            for name, value in destination.items()
        ]
        address = {"@type": "DataAddress", "endpointType": "HttpData", "endpointProperties": properties}
        return json.dumps(json.loads(body) | {"dataAddress": address}).encode()

    trade.to_edc.rule = with_destination
    pid = trade.ours.transfer(agreement, "HttpData-PUSH")
    done = trade.ours.await_transfer(pid, "COMPLETED")
    # EDC's last state after a completion is its own.
    trade.asked.await_transfer(done["counterPid"], "COMPLETED", "DEPROVISIONED")
    ((_, headers, body),) = [one for one in store.arrived if one[0] == sink]
    assert body == store.content
    assert headers["authorization"] == "Bearer of-this-sink"


def test_edc_pushes_into_our_own_sink_and_the_file_is_there(trade: Trade, store: Store) -> None:
    agreement = agree(trade, offered(trade, store, f"sunk-{trade.edc.version}"))
    pid = trade.ours.transfer(agreement, "HttpData-PUSH")
    done = trade.ours.await_transfer(pid, "COMPLETED")
    assert (done["problem"], done["received"]["bytes"]) == (None, len(store.content))
    assert (trade.ours.folder / "state" / "received" / done["received"]["file"]).read_bytes() == store.content


def test_edc_refuses_an_offer_that_it_never_made_and_we_say_why(trade: Trade, store: Store) -> None:
    (offer,) = offered(trade, store, "refused")["hasPolicy"]
    pid = trade.ours.negotiate(
        trade.edc.participant, trade.edc.protocol, "refused", offer | {"@id": "urn:offer:none"}
    )
    ended = trade.ours.await_negotiation(pid, "TERMINATED")
    assert ended["problem"].startswith("ContractRequestMessage not taken")
    assert "answered 404" in ended["problem"]


def test_a_format_that_edc_does_not_serve_ends_the_transfer_with_its_reason(
    trade: Trade, store: Store
) -> None:
    agreement = agree(trade, offered(trade, store, "formats"))
    ended = trade.ours.await_transfer(trade.ours.transfer(agreement, "Carrier-PULL"), "TERMINATED")
    assert ended["problem"].startswith(("terminated", "TransferRequestMessage not taken"))
    await_true(
        lambda: all(one["state"] != "REQUESTED" for one in trade.asked.transfers()), "the end of EDC's side"
    )


def test_our_shared_catalogue_crawls_edc_and_finds_its_assets(
    trade: Trade, store: Store, tmp_path: Path
) -> None:
    assets = [f"found-{number}" for number in range(3)]
    for asset in assets:
        trade.asked.provide(asset, f"{store.url}/{asset}")
    identity = json.dumps({"region": "eu", "audience": "edc", "clientId": "did:web:catalogue.example"})
    (port,) = free_ports(1)
    relay = Relay(trade.edc.root, port, identify=lambda: identity)
    with relaying(relay), running_catalogue(tmp_path) as shared:
        origin = {"id": trade.edc.participant, "url": trade.edc.protocol.replace(trade.to_edc.url, relay.url)}
        told = shared.http.post(f"{shared.url}/origins", json=origin, headers=shared.as_operator())
        assert told.is_success, told.text

        def state() -> dict[str, Any]:
            (only,) = shared.http.get(f"{shared.url}/origins", headers=shared.as_operator()).json()
            return dict(only)

        await_true(lambda: state()["finished"], "the end of the crawl")
        assert (state()["result"], state()["refused"]) == ("ok", 0)
        hits = {hit["id"]: hit for hit in shared.search("found", size=50)["hits"]}
        assert set(assets) <= set(hits)
        assert hits[assets[0]]["provider"] == trade.edc.participant
        assert hits[assets[0]]["endpoint"] == trade.edc.protocol
