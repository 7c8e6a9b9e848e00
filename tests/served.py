"""A connector served on a socket, and counterparties that speak hand-written JSON to it, on sockets too."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn

from connector.app.connector import Connector, build
from connector.app.ground import initialise
from connector.app.world import new_urn, utc_now
from connector.settings import API_KEY_FILE, DataSettings, EgressSettings, MemberSettings, Settings
from schemas.identity import (
    Member,
    MemberList,
    did_for,
    document_for,
    generate_key,
    public_jwk,
    self_issued,
    sign_members,
)
from tests.http_server import EndingServer

CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
PREFIX = "/dsp/2025-1"
DATASET = "urn:ds:flights"
FORMAT = "ArrowStream-PULL"
PATIENCE = 20.0
"""Seconds after which something that never came fails its test."""

Answer = tuple[int, Any]
Answering = Callable[[str, str, Any], Answer | None]
"""Looks at method, path and document, and gives an answer, or leaves it to the peer."""


def say(kind: str, **members: Any) -> dict[str, Any]:
    """Write a message by hand."""
    return {"@context": CONTEXT, "@type": kind, "@id": new_urn(), **members}


@dataclass(frozen=True)
class Heard:
    """What arrived at a peer."""

    method: str
    path: str
    document: Any


class RawPeer:
    """A participant without any code of ours behind its protocol: it hears, notes, and answers as told."""

    def __init__(self, place: Place, name: str) -> None:
        self.place, self.name = place, name
        self.server = EndingServer(("127.0.0.1", 0), _door(self))
        self.url = f"http://localhost:{self.server.server_port}"
        self.dsp = self.url + PREFIX
        self.did, self.key = did_for(self.url), generate_key()
        self.heard: list[Heard] = []
        self.answering: list[Answering] = []
        self.versions: Any = {"protocolVersions": [{"version": "2025-1", "path": PREFIX, "binding": "HTTPS"}]}
        self._news = threading.Condition()
        self._numbers = itertools.count(1)
        threading.Thread(target=self.server.serve_forever, name=name, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    # --- speaking

    def token(self, audience: str | None = None) -> str:
        at = utc_now()
        meant = audience or self.place.did
        return "Bearer " + self_issued(self.key, self.did, meant, jti=new_urn(), at=at)

    def send(self, method: str, path: str, document: Any = None, **headers: str) -> httpx2.Response:
        """Speak to the connector with a fresh token; a path may be a whole URL."""
        given = {"Authorization": self.token(), **{key.replace("_", "-"): v for key, v in headers.items()}}
        url = path if path.startswith("http") else self.place.dsp + path
        reply = self.place.http.request(method, url, json=document, headers=given)
        self.place.note(reply)
        return reply

    def post(self, path: str, document: Any, **headers: str) -> httpx2.Response:
        return self.send("POST", path, document, **headers)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.send("GET", path, **headers)

    def state(self, path: str) -> str:
        reply = self.get(path)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["state"])

    # --- hearing

    def take(self, method: str, path: str, document: Any) -> Answer:
        answer = next(filter(None, (one(method, path, document) for one in self.answering)), None)
        if answer is None and method == "POST":
            answer = self._acknowledge(path, document)
        with self._news:
            self.heard.append(Heard(method, path, document))
            self._news.notify_all()
        if document is not None and "/publish" not in path:
            self.place.said.append(document)
        return answer or (404, None)

    def _acknowledge(self, path: str, document: Any) -> Answer:
        """Acknowledge with our process id where a process opens, and with nothing elsewhere."""
        pid = f"{self.name}-{next(self._numbers)}"
        for end, kind, state, ours in (
            ("/negotiations/request", "ContractNegotiation", "REQUESTED", "providerPid"),
            ("/negotiations/offers", "ContractNegotiation", "OFFERED", "consumerPid"),
            ("/transfers/request", "TransferProcess", "REQUESTED", "providerPid"),
        ):
            if path == PREFIX + end:
                theirs = "consumerPid" if ours == "providerPid" else "providerPid"
                pids = {ours: pid, theirs: document[theirs]}
                return 201, {"@context": CONTEXT, "@type": kind, **pids, "state": state}
        return 200, None

    def expect(self, kind: str, **members: Any) -> dict[str, Any]:
        """Wait for a message of a type and with these members, and return it."""

        def found() -> Any:
            return next(filter(fits, (one.document for one in self.heard)), None)

        def fits(document: Any) -> bool:
            return _fits(document, kind, members)

        with self._news:
            self._news.wait_for(found, PATIENCE)
            document = found()
        told = [(one.path, (one.document or {}).get("@type")) for one in self.heard[-10:]]
        assert document is not None, f"no {kind} with {members} within {PATIENCE} s; last heard: {told}"
        return dict(document)

    def count(self, kind: str, **members: Any) -> int:
        """Say how often a message was heard."""
        return sum(_fits(one.document, kind, members) for one in self.heard)


def _fits(document: Any, kind: str, members: dict[str, Any]) -> bool:
    return (
        isinstance(document, dict)
        and document.get("@type") == kind
        and all(document.get(name) == value for name, value in members.items())
    )


def _door(peer: RawPeer) -> type[BaseHTTPRequestHandler]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/.well-known/did.json":
                return self._reply(200, document_for(peer.did, peer.key).wire())
            if self.path == "/members.jwt":
                return self._reply(200, peer.place.members())
            if self.path == "/.well-known/dspace-version":
                return self._reply(200 if peer.versions else 404, peer.versions)
            return self._reply(*peer.take("GET", self.path, None))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            self._reply(*peer.take("POST", self.path, json.loads(body)))

        def _reply(self, status: int, document: Any) -> None:
            body = b"" if document is None else document.encode() if isinstance(document, str) else b""
            body = body or (b"" if document is None else json.dumps(document).encode())
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing: what arrived is noted by the peer."""

    return Door


@dataclass
class Place:
    """A served connector with its counterparties; `said` is every DSP document that it wrote."""

    folder: Path
    url: str
    http: httpx2.Client
    said: list[dict[str, Any]] = field(default_factory=list)
    peers: list[RawPeer] = field(default_factory=list)
    listed: list[Member] = field(default_factory=list)
    authority: Any = field(default_factory=generate_key)
    connector: Connector | None = None

    @property
    def did(self) -> str:
        return did_for(self.url)

    @property
    def dsp(self) -> str:
        return self.url + PREFIX

    def note(self, reply: httpx2.Response) -> None:
        """Keep what the connector said, to be judged by the schemas."""
        if reply.content and "/dsp/" in str(reply.url):
            self.said.append(reply.json())

    def members(self) -> str:
        listed = MemberList(space="served", serial=1, members=tuple(self.listed))
        return sign_members(listed, self.authority, at=utc_now(), life=timedelta(hours=1))

    def list_member(self, did: str, thumbprint: str, *roles: str) -> None:
        until = (utc_now() + timedelta(days=1)).isoformat()
        member = {"id": did, "thumbprint": thumbprint, "roles": roles, "validTo": until, "name": did}
        self.listed.append(Member.read(member))

    def manage(self, method: str, path: str, document: Any = None, **query: Any) -> Any:
        """Speak to the management door, as its people do."""
        key = (self.folder / "state" / API_KEY_FILE).read_text(encoding="ascii").strip()
        reply = self.http.request(
            method,
            f"{self.url}/management{path}",
            json=document,
            params=query,
            headers={"Authorization": f"Bearer {key}"},
        )
        assert reply.is_success, reply.text
        return reply.json()

    def publish(self, *datasets: str, offer: dict[str, Any], title: str = "A table") -> None:
        """Offer one small file under some ids."""
        items = [
            {"source": "table.parquet", "id": dataset, "title": title, "offer": offer} for dataset in datasets
        ]
        answered = self.manage("POST", "/publications", {"items": items})
        assert len(answered["published"]) == len(datasets), answered

    def own(self, pid: str, wait: str = "") -> dict[str, Any]:
        """Show our negotiation, once it is in a state."""
        query = {"wait": wait, "timeout": PATIENCE} if wait else {}
        shown: dict[str, Any] = self.manage("GET", f"/negotiations/{pid}", **query)
        assert not wait or shown["state"] in wait, shown
        return shown

    def held(self, pid: str) -> dict[str, Any]:
        """Show our negotiation, once it waits for a person."""
        end = time.monotonic() + PATIENCE
        while "a person" not in (shown := self.own(pid))["why"]:
            assert time.monotonic() < end, f"negotiation {pid} does not wait for a person: {shown}"
            time.sleep(0.02)
        return shown


@contextmanager
def served(folder: Path, *names: str, **given: Any) -> Iterator[Place]:
    """Serve a connector that knows some counterparties, each provider and consumer; `given` are settings."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        url = f"http://localhost:{listening.getsockname()[1]}"
        http = stack.enter_context(httpx2.Client(timeout=PATIENCE + 10, trust_env=False))
        place = Place(folder, url, http)
        for name in names:
            peer = RawPeer(place, name)
            stack.callback(peer.close)
            place.peers.append(peer)
            place.list_member(peer.did, str(peer.key.kid), "provider", "consumer")
        place.list_member(place.did, initialise(folder / "state"), "provider", "consumer")
        data = folder / "data"
        data.mkdir()
        pq.write_table(pa.table({"id": pa.array(range(10)), "name": ["x"] * 10}), data / "table.parquet")
        settings = Settings(
            name="Served",
            public_url=url,
            data_dir=folder / "state",
            members=MemberSettings(
                url=place.peers[0].url + "/members.jwt", authority=public_jwk(place.authority)
            ),
            data=DataSettings(roots=(data,)),
            egress=EgressSettings(allow=("127.0.0.0/8", "::1/128")),
            **given,
        )
        place.connector = build(settings)
        config = uvicorn.Config(place.connector.app, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="served")
        thread.start()
        try:
            # The socket listens when uvicorn has started; the first question waits for it.
            listening.listen()
            assert http.get(f"{url}/readyz").is_success
            yield place
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


# --- what a consumer says by hand ---------------------------------------------------------------------


def offered(peer: RawPeer, dataset: str = DATASET) -> dict[str, Any]:
    """Return the offer of a dataset as the catalogue tells it, as a request states it."""
    told = peer.get(f"/catalog/datasets/{dataset}").json()["hasPolicy"][0]
    return {**told, "@type": "Offer", "target": dataset}


def request(peer: RawPeer, pid: str, dataset: str = DATASET, **members: Any) -> dict[str, Any]:
    """Write a first request for the offer of a dataset."""
    return say(
        "ContractRequestMessage",
        consumerPid=pid,
        callbackAddress=peer.dsp,
        offer=offered(peer, dataset),
        **members,
    )


def agreed(peer: RawPeer, pid: str) -> tuple[str, dict[str, Any]]:
    """Negotiate up to FINALIZED, as consumer; return the provider's process id and the agreement."""
    reply = peer.post("/negotiations/request", request(peer, pid))
    assert reply.status_code == 201, reply.text
    provider_pid = reply.json()["providerPid"]
    agreement = peer.expect("ContractAgreementMessage", consumerPid=pid)["agreement"]
    verification = say("ContractAgreementVerificationMessage", providerPid=provider_pid, consumerPid=pid)
    assert peer.post(f"/negotiations/{provider_pid}/agreement/verification", verification).status_code == 200
    peer.expect("ContractNegotiationEventMessage", consumerPid=pid, eventType="FINALIZED")
    return provider_pid, agreement


def error(reply: httpx2.Response, status: int, kind: str, code: str) -> str:
    """Check an error body down to its members, and return its reason."""
    document = reply.json()
    assert (reply.status_code, document["@type"], document["code"]) == (status, kind, code), reply.text
    assert document["@context"] == CONTEXT
    assert reply.headers["content-type"] == "application/json"
    (reason,) = document["reason"]
    return str(reason)


def fetch(peer: RawPeer, pid: str, agreement: str, **members: Any) -> dict[str, Any]:
    """Write a first request for a transfer under an agreement."""
    asked = {"agreementId": agreement, "format": FORMAT, "callbackAddress": peer.dsp, "consumerPid": pid}
    return say("TransferRequestMessage", **{**asked, **members})
