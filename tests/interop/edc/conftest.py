"""One of our connectors and one EDC of each version, for all tests of this folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pyarrow as pa
import pytest

from tests.http_server import EndingServer
from tests.interop.edc import ours as our_side
from tests.interop.edc import runtime
from tests.interop.edc.management import EdcManagement
from tests.interop.edc.ours import FILTERED, Ours
from tests.interop.edc.relay import Relay, relaying
from tests.interop.edc.runtime import VERSIONS, Edc, free_ports

OPEN_DATASET, FILTERED_DATASET, HELD_DATASET = "urn:t:open", "urn:t:filtered", "urn:t:held"
HOLD = f'[{{ when = "REQUESTED", do = "hold", about = "{HELD_DATASET}", why = "a person looks" }}]'


@dataclass
class Trade:
    """Both sides, and a relay before each: `to_us` carries what EDC says where a test asks it to go there."""

    edc: Edc
    ours: Ours
    to_us: Relay
    to_edc: Relay
    table: pa.Table

    @property
    def asked(self) -> EdcManagement:
        """EDC, as its operator asks it."""
        return self.edc.management

    @property
    def through(self) -> str:
        """Our DSP base URL, by way of the relay."""
        return self.ours.dsp.replace(self.ours.url, self.to_us.url)

    def negotiate(self, dataset: str, address: str | None = None) -> str:
        """Let EDC ask for a contract on the offer that its own catalogue answer shows."""
        found = self.asked.dataset(self.ours.did, address or self.ours.dsp, dataset)
        assert found["@id"] == dataset
        (offer,) = found["hasPolicy"]
        return self.asked.negotiate(self.ours.did, address or self.ours.dsp, dataset, offer)

    def agree(self, dataset: str, address: str | None = None) -> str:
        """Let EDC negotiate to the end; return its agreement."""
        agreed = self.asked.await_negotiation(self.negotiate(dataset, address), "FINALIZED")
        return str(agreed["contractAgreementId"])

    def start(self, dataset: str = OPEN_DATASET, address: str | None = None) -> str:
        """Let EDC agree and begin a transfer; return its transfer, started on both sides."""
        agreement = self.agree(dataset, address)
        transfer = self.asked.transfer(self.ours.did, address or self.ours.dsp, agreement, "ArrowStream-PULL")
        self.asked.await_transfer(transfer, "STARTED")
        return transfer

    def our_transfer(self, transfer: str) -> str:
        """Our id of a transfer of EDC's."""
        return str(self.ours.mirror("transfers", transfer)["pid"])


@pytest.fixture(scope="session")
def our_connector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ours, pa.Table]]:
    """Our connector, with the datasets that EDC buys."""
    ours = Ours(tmp_path_factory.mktemp("ours"), settings={"negotiation": f"{{ rules = {HOLD} }}"})
    with our_side.running(ours):
        table = our_side.flights(ours.data)
        ours.publish(OPEN_DATASET)
        ours.publish(FILTERED_DATASET, FILTERED)
        ours.publish(HELD_DATASET)
        yield ours, table


@pytest.fixture(scope="session", params=VERSIONS)
def trade(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    our_connector: tuple[Ours, pa.Table],
) -> Iterator[Trade]:
    """Our connector and an EDC of each version."""
    ours, table = our_connector
    here, there = free_ports(2)
    edc = Edc(request.param, tmp_path_factory.mktemp("edc"), reached_through=f"http://localhost:{there}")
    with ExitStack() as open_:
        to_us = open_.enter_context(relaying(Relay(ours.url, here)))
        to_edc = open_.enter_context(relaying(Relay(edc.root, there)))
        open_.enter_context(runtime.running(edc))
        yield Trade(edc, ours, to_us, to_edc, table)


@pytest.fixture(autouse=True)
def nothing_left_of_the_last_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Rules of relays end with the test that set them."""
    yield
    if "trade" in request.fixturenames:
        trade: Trade = request.getfixturevalue("trade")
        trade.to_us.rule = trade.to_edc.rule = None


@dataclass
class Store:
    """A plain HTTP server: what EDC provides lies here, and what it pushes arrives here."""

    url: str
    content: bytes = json.dumps([{"station": n, "level": n * 7 % 13} for n in range(500)]).encode()
    arrived: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """The source and sink of EDC's data plane."""
    kept = Store("")

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(kept.content)

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.arrived.append((self.path, headers, self._body()))
            self._answer(b"")

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("transfer-encoding", ""):
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_said: Any) -> None:
            """Say nothing."""

    server = EndingServer(("127.0.0.1", 0), Door)
    kept.url = f"http://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()
