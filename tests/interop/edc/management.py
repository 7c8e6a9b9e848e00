"""EDC's management API (v3), as its operator would call it; a wait that fails says what EDC itself says."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from schemas.vocab import EDC

CONTEXT = {"@vocab": EDC}
ODRL_CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
PROTOCOL = "dataspace-protocol-http:2025-1"
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Address:
    """Where data can be pulled, and what to show there."""

    endpoint: str
    authorization: str


class EdcRefused(AssertionError):
    """EDC answered a management call with an error; the message has its own words."""


class EdcManagement:
    """Calls one runtime; `tail` gives the end of its log."""

    def __init__(self, url: str, catalog_url: str, tail: Callable[[], str]) -> None:
        self._url = url
        self._catalog_url = catalog_url
        self._tail = tail

    # --- what EDC provides -------------------------------------------------------------------------

    def provide(self, asset: str, source: str, permission: list[dict[str, Any]] | None = None) -> None:
        """Offer an HTTP resource under a policy of its own."""
        self.post(
            "/v3/assets",
            {
                "@id": asset,
                "properties": {"name": f"Asset {asset}", "contenttype": "application/json"},
                "dataAddress": {"type": "HttpData", "baseUrl": source},
            },
        )
        policy = {
            "@context": ODRL_CONTEXT,
            "@type": "Set",
            "permission": permission if permission is not None else [{"action": "use"}],
        }
        self.post("/v3/policydefinitions", {"@id": f"policy-{asset}", "policy": policy})
        selector = {"operandLeft": EDC + "id", "operator": "=", "operandRight": asset}
        self.post(
            "/v3/contractdefinitions",
            {
                "@id": f"offer-{asset}",
                "accessPolicyId": f"policy-{asset}",
                "contractPolicyId": f"policy-{asset}",
                "assetsSelector": [{"@type": "Criterion", **selector}],
            },
        )

    # --- what EDC consumes -------------------------------------------------------------------------

    def catalog(self, peer: str, address: str, **query: Any) -> dict[str, Any]:
        """Ask a peer for its catalogue."""
        return self._mapping(
            "/v3/catalog/request",
            {
                "@type": "CatalogRequest",
                "counterPartyId": peer,
                "counterPartyAddress": address,
                "protocol": PROTOCOL,
                "querySpec": {"offset": 0, "limit": 50} | query,
            },
        )

    def dataset(self, peer: str, address: str, dataset: str) -> dict[str, Any]:
        """Ask a peer for one dataset."""
        return self._mapping(
            "/v3/catalog/dataset/request",
            {
                "@type": "DatasetRequest",
                "@id": dataset,
                "counterPartyId": peer,
                "counterPartyAddress": address,
                "protocol": PROTOCOL,
            },
        )

    def negotiate(self, peer: str, address: str, dataset: str, offer: Mapping[str, Any]) -> str:
        """Ask for a contract, on the terms of an offer as EDC's own catalogue answer showed it."""
        policy = {
            **offer,
            "@context": ODRL_CONTEXT,
            "@type": "Offer",
            "assigner": peer,
            "target": dataset,
        }
        asked = {
            "@type": "ContractRequest",
            "counterPartyAddress": address,
            "protocol": PROTOCOL,
            "policy": policy,
        }
        return str(self._mapping("/v3/contractnegotiations", asked)["@id"])

    def transfer(
        self, peer: str, address: str, agreement: str, transfer_type: str, **destination: str
    ) -> str:
        """Ask for a transfer."""
        asked: dict[str, Any] = {
            "@type": "TransferRequest",
            "counterPartyAddress": address,
            "connectorId": peer,
            "contractId": agreement,
            "protocol": PROTOCOL,
            "transferType": transfer_type,
        }
        if destination:
            asked["dataDestination"] = destination
        return str(self._mapping("/v3/transferprocesses", asked)["@id"])

    def address_received(self, transfer: str) -> Address:
        """Return where the data are, as EDC was told; it keeps that a moment after the start."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                told = self.get(f"/v3/edrs/{transfer}/dataaddress")
            except EdcRefused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                held = {name.removeprefix(EDC): value for name, value in told.items()}
                return Address(held["endpoint"], held["authorization"])

    def crawled(self) -> list[dict[str, Any]]:
        """Return what the crawler holds: catalogues, nested ones flattened."""
        url = f"{self._catalog_url}/v1alpha/catalog/query"
        # Without a body: what would read a QuerySpec here is not registered in a runtime of these jars.
        answer = httpx2.post(
            url, params={"flatten": "true"}, headers={"content-type": "application/json"}, timeout=30
        )
        return list(self._read("POST", url, answer))

    # --- both --------------------------------------------------------------------------------------

    def await_negotiation(self, negotiation: str, *states: str) -> dict[str, Any]:
        """Wait until a negotiation is in one of the states."""
        return self._await("contractnegotiations", negotiation, states)

    def await_transfer(self, transfer: str, *states: str) -> dict[str, Any]:
        """Wait until a transfer is in one of the states."""
        return self._await("transferprocesses", transfer, states)

    def negotiations(self) -> list[dict[str, Any]]:
        """Return every negotiation."""
        return list(self.post("/v3/contractnegotiations/request", {"@type": "QuerySpec"}))

    def transfers(self) -> list[dict[str, Any]]:
        """Return every transfer."""
        return list(self.post("/v3/transferprocesses/request", {"@type": "QuerySpec"}))

    def end_negotiation(self, negotiation: str, reason: str) -> None:
        """Terminate a negotiation."""
        self.post(
            f"/v3/contractnegotiations/{negotiation}/terminate",
            {"@type": "TerminateNegotiation", "@id": negotiation, "reason": reason},
        )

    def end_transfer(self, transfer: str, reason: str) -> None:
        """Terminate a transfer."""
        self.post(
            f"/v3/transferprocesses/{transfer}/terminate", {"@type": "TerminateTransfer", "reason": reason}
        )

    def suspend_transfer(self, transfer: str, reason: str) -> None:
        """Suspend a transfer."""
        self.post(f"/v3/transferprocesses/{transfer}/suspend", {"@type": "SuspendTransfer", "reason": reason})

    def resume_transfer(self, transfer: str) -> None:
        """Resume a suspended transfer."""
        self.post(f"/v3/transferprocesses/{transfer}/resume", {})

    # --- the wire ----------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """Fetch a document."""
        url = self._url + path
        return self._read("GET", url, httpx2.get(url, timeout=30))

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Post a document and return the answer."""
        url = self._url + path
        return self._read("POST", url, httpx2.post(url, json={"@context": CONTEXT, **document}, timeout=30))

    def _mapping(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self.post(path, document))

    def _read(self, method: str, url: str, answer: httpx2.Response) -> Any:
        if not answer.is_success:
            raise EdcRefused(f"EDC answered {answer.status_code} to {method} {url}: {answer.text[:2000]}")
        return answer.json() if answer.content else None

    def _await(self, kind: str, process: str, states: Collection[str]) -> dict[str, Any]:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found = dict(self.get(f"/v3/{kind}/{process}"))
            if found["state"] in states:
                return found
            ended = found["state"] == "TERMINATED"
            if ended or time.monotonic() > deadline:
                what = "ended" if ended else f"stayed in {found['state']} for {WAIT_SECONDS:.0f} s"
                raise AssertionError(
                    f"{kind} {process} {what}, expected {' or '.join(states)}; "
                    f"EDC says: {found.get('errorDetail')}\n{found}\n{self._tail()}"
                )
            time.sleep(0.05)
