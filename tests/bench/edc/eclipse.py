"""Eclipse EDC as a participant under measurement."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from schemas.vocab import EDC, FORMAT_ARROW_HTTP
from tests.bench.edc.clients import Ended, http, read
from tests.bench.edc.peer import WAIT_SECONDS, Peer
from tests.interop.edc.runtime import CONTEXTS, class_path, free_ports
from tests.interop.maven import tool

VERSION = "0.15.1"
PROTOCOL = "dataspace-protocol-http:2025-1"
ODRL_CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
QUERY = {"@type": "QuerySpec"}
PULL, PUSH = "HttpData-PULL", "HttpData-PUSH"
HEAP = "-Xmx1g"
"""The one flag that its Java is given: enough for 10,000 assets, whatever the machine would allow."""
POLL = 0.01
"""Seconds between two questions to its management API, where one process is waited for."""

DEFAULTS: Mapping[str, str] = {}
TUNED: Mapping[str, str] = {
    f"edc.{machine}.state-machine.iteration-wait-millis": "50"
    for machine in ("negotiation.consumer", "negotiation.provider", "transfer", "dataplane")
}
"""Its performance guide: how long each state machine rests when it found nothing to do; default 1000.

The guide's `edc.negotiation.state-machine…` is deprecated in this version in favour of these two.
"""


class Edc(Peer):
    """Eclipse EDC, control plane and data plane in one process, in-memory stores, mock identity."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._settings = settings
        self._ports = dict(zip(CONTEXTS, free_ports(len(CONTEXTS)), strict=True))
        self.participant = f"did:web:localhost%3A{self._ports['protocol']}"
        self._protocol = f"http://localhost:{self._ports['protocol']}/protocol"
        self.dsp = f"{self._protocol}/2025-1"
        self.source = f"http://localhost:{self._ports['default']}/api/check/liveness"
        """What its assets point to, where nobody reads them."""

    def command(self) -> list[str]:
        """Write its settings, and the keys that sign its data tokens."""
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (self.folder / "private-key.pem").write_bytes(secret)
        (self.folder / "public-key.pem").write_bytes(public)
        (self.folder / "crawled.txt").write_text("", encoding="utf-8")
        values = {
            "edc.participant.id": self.participant,
            "edc.dsp.callback.address": self._protocol,
            "edc.transfer.proxy.token.signer.privatekey.alias": "private-key",
            "edc.transfer.proxy.token.verifier.publickey.alias": "public-key",
            "edc.catalog.cache.execution.enabled": "false",
            "interop.private-key": str(self.folder / "private-key.pem"),
            "interop.public-key": str(self.folder / "public-key.pem"),
            "interop.public.port": str(self._ports["public"]),
            "interop.crawled": str(self.folder / "crawled.txt"),
            **self._settings,
        }
        for context in CONTEXTS[:-1]:
            prefix = "web.http" if context == "default" else f"web.http.{context}"
            values[f"{prefix}.port"] = str(self._ports[context])
            values[f"{prefix}.path"] = "/api" if context == "default" else f"/{context}"
        file = self.folder / "edc.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
        main = "org.eclipse.edc.boot.system.runtime.BaseRuntime"
        return [tool("java"), HEAP, f"-Dedc.fs.config={file}", "-cp", class_path(VERSION), main]

    def try_doors(self) -> None:
        """It says that it is ready before its doors answer, so they are asked themselves."""
        read(http().get(f"{self._protocol}/.well-known/dspace-version"))
        self.post("/contractnegotiations/request", QUERY)

    def _posted(self, path: str, document: Mapping[str, Any]) -> httpx2.Response:
        said = {"@context": {"@vocab": EDC}, **document}
        return http().post(self._management(path), json=said)

    def _management(self, path: str) -> str:
        return f"http://localhost:{self._ports['management']}/management/v3{path}"

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Call the management API."""
        return read(self._posted(path, document))

    def get(self, path: str) -> Any:
        """Ask the management API."""
        return read(http().get(self._management(path)))

    def offer(self, names: Sequence[str]) -> None:
        """Make assets, all under one contract definition, which is EDC's shortest way."""
        for name in names:
            self.asset(name, self.source)
        if not self.post("/policydefinitions/request", QUERY):
            policy = {"@context": ODRL_CONTEXT, "@type": "Set", "permission": [{"action": "use"}]}
            self.post("/policydefinitions", {"@id": "open", "policy": policy})
            ruled = {"accessPolicyId": "open", "contractPolicyId": "open", "assetsSelector": []}
            self.post("/contractdefinitions", {"@id": "all", **ruled})

    def asset(self, name: str, source: str) -> None:
        """Make one asset."""
        properties = {"name": f"Asset {name}", "contenttype": "application/json"}
        address = {"type": "HttpData", "baseUrl": source}
        self.post("/assets", {"@id": name, "properties": properties, "dataAddress": address})

    def ask(self, provider: Peer, dataset: str) -> Callable[[], str]:
        """Have EDC read the offer, as its management API shows it."""
        where = {"counterPartyAddress": provider.dsp, "protocol": PROTOCOL}
        asked = {
            "@type": "DatasetRequest",
            "@id": dataset,
            "counterPartyId": provider.participant,
            **where,
        }
        offers = self.post("/catalog/dataset/request", asked)["hasPolicy"]
        offer = offers[0] if isinstance(offers, list) else offers
        terms = {"@type": "Offer", "assigner": provider.participant, "target": dataset}
        policy = {**offer, "@context": ODRL_CONTEXT, **terms}
        wanted = {"@type": "ContractRequest", **where, "policy": policy}
        return lambda: str(self.post("/contractnegotiations", wanted)["@id"])

    def await_agreement(self, negotiation: str, expected: float = 0.0) -> str:
        """Ask again and again."""
        time.sleep(expected / 2)
        pause = max(POLL, expected / 30)
        found = self.await_state("contractnegotiations", negotiation, "FINALIZED", pause)
        return str(found["contractAgreementId"])

    def await_state(self, kind: str, process: str, state: str, pause: float = POLL) -> Mapping[str, Any]:
        """Ask every `pause` seconds until a process is in a state."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found: Mapping[str, Any] = self.get(f"/{kind}/{process}")
            if found["state"] == state:
                return found
            if found["state"] == "TERMINATED" or time.monotonic() > deadline:
                why = found.get("errorDetail")
                raise Ended(f"{kind} {process} is {found['state']}: {why}\n{self.tail()}")
            time.sleep(pause)

    def fetch(self, provider: Peer, agreement: str) -> Mapping[str, Any]:
        """Ask for a pull, and for the address once it has started."""
        format = PULL if isinstance(provider, Edc) else FORMAT_ARROW_HTTP
        transfer = self.transfer(provider, agreement, format)
        self.await_state("transferprocesses", transfer, "STARTED")
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found = http().get(self._management(f"/edrs/{transfer}/dataaddress"))
            if found.is_success or time.monotonic() > deadline:
                return {"pid": transfer, **read(found)}
            time.sleep(POLL)

    def transfer(self, provider: Peer, agreement: str, format: str, **destination: str) -> str:
        """Open a transfer, and return its id."""
        asked: dict[str, Any] = {
            "@type": "TransferRequest",
            "counterPartyAddress": provider.dsp,
            "connectorId": provider.participant,
            "contractId": agreement,
            "protocol": PROTOCOL,
            "transferType": format,
        }
        if destination:
            asked["dataDestination"] = destination
        return str(self.post("/transferprocesses", asked)["@id"])
