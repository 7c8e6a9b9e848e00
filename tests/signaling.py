"""A connector on loopback whose data plane serves a foreign control plane, and that control plane, recording.

The control plane is a small HTTP server of its own: it shows agreements, takes what it is told, and is a sink
for pushes. Everything else is the real thing: sockets, database, log, streams.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn

from connector.app.connector import Connector, build
from connector.app.world import World
from connector.offering.describe import Publication
from connector.settings import Settings
from schemas.binding.client import Egress, Http
from schemas.odrl import Offer
from schemas.vocab import DSP_CONTEXT, HANSA
from tests.catalog_space import free_port
from tests.http_server import EndingServer

TOKEN, OTHER_TOKEN = "the-token-of-the-control-plane", "the-token-of-the-slow-control-plane"
PROVIDER, CONSUMER = "tck-participant", "tck-counterparty"
DATASET = "urn:dataset:people"
ROWS = 1000
LONGEST = 20.0

PEOPLE = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int64()),
        "age": pa.array([at % 80 for at in range(ROWS)], pa.int64()),
        "name": [f"person {at}" for at in range(ROWS)],
    }
)


def limit(left: str, operator: str, right: Any) -> dict[str, Any]:
    """One constraint in a term of our profile."""
    return {"leftOperand": HANSA + left, "operator": operator, "rightOperand": right}


OPEN: list[dict[str, Any]] = [{"action": "use"}]


def until(question: Callable[[], Any], what: str, seconds: float = LONGEST) -> Any:
    """Ask until the answer is true; fail saying what never came."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.01)
    return answer


@dataclass
class Told:
    """One call that the control plane took."""

    path: str
    document: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Pushed:
    """What arrived at the control plane's sink; `whole` once the body ended as it should."""

    path: str
    headers: dict[str, str]
    body: bytes = b""
    whole: bool = False


class ControlPlaneServer:
    """A control plane that shows agreements, and writes down what it is told."""

    def __init__(self) -> None:
        self.permission: Any = OPEN
        self.messages: dict[str, dict[str, Any]] = {}
        self.told: list[Told] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.pushed: list[Pushed] = []
        self.refusing: list[int] = []
        self.unanswered = threading.Event()
        self.agreement_status = 200
        self.change: Callable[[dict[str, Any]], Any] = lambda agreement: agreement
        self.sink: Callable[[Any, Pushed], int] = take_all
        self.release = threading.Event()
        self._news = threading.Condition()
        plane = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                plane.asked.append((self.path, dict(self.headers)))
                status, document = plane.shown(self.path)
                self.reply(status, document)

            def do_POST(self) -> None:
                if self.path.startswith("/sink"):
                    self.close_connection = True
                    plane.arrives(self, Pushed(self.path, dict(self.headers)))
                    return
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.reply(plane.take(self.path, json.loads(body or b"{}"), dict(self.headers)), {})

            def reply(self, status: int, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = EndingServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def shown(self, path: str) -> tuple[int, Any]:
        """Show the agreement of a transfer, as it was named in the message that asked for its flow."""
        process = path.removeprefix("/transfers/").removesuffix("/agreement")
        message = self.messages.get(process)
        if message is None or self.agreement_status != 200:
            return (404 if message is None else self.agreement_status), {}
        return 200, self.change(
            {
                "@context": [DSP_CONTEXT],
                "@id": message["agreementId"],
                "@type": "Agreement",
                "target": message["datasetId"],
                "assigner": message["participantId"],
                "assignee": message["counterPartyId"],
                "permission": self.permission,
            }
        )

    def take(self, path: str, document: Any, headers: dict[str, str]) -> int:
        """Write down what was told; answer with the next of `refusing`, or 200. After a 0 it answers late."""
        with self._news:
            status = self.refusing.pop(0) if self.refusing else 200
        if status == 0:
            self.unanswered.set()
            self.release.wait(LONGEST)
            return 503
        if status != 200:
            return status
        with self._news:
            self.told.append(Told(path, document, headers))
            self._news.notify_all()
        return 200

    def heard(self, path: str, seconds: float = LONGEST) -> Told:
        """Wait until something was told at a path."""

        def found() -> Told | None:
            return next((told for told in self.told if told.path == path), None)

        with self._news:
            assert self._news.wait_for(lambda: found() is not None, seconds), f"nothing was told at {path}"
        answer = found()
        assert answer is not None
        return answer

    def arrives(self, request: Any, arrived: Pushed) -> None:
        """Take what is pushed, as the test's sink does."""
        with self._news:
            self.pushed.append(arrived)
            self._news.notify_all()
        try:
            status = self.sink(request, arrived)
            if status:
                request.reply(status, {})
        except OSError:
            return  # who pushes may break off; `whole` tells
        finally:
            with self._news:
                self._news.notify_all()

    def arrival(self, path: str = "/sink", number: int = 1) -> Pushed:
        """Wait until so many pushes to a path have begun, and return the last of them."""

        def found() -> list[Pushed]:
            return [one for one in self.pushed if one.path == path]

        with self._news:
            assert self._news.wait_for(lambda: len(found()) >= number, LONGEST), (
                f"nothing was pushed to {path}"
            )
        return found()[number - 1]

    def close(self) -> None:
        """Stop listening."""
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


def take_all(request: Any, arrived: Pushed) -> int:
    """A sink that takes everything."""
    for chunk in chunks(request.rfile):
        arrived.body += chunk
    arrived.whole = True
    return 200


def chunks(reader: Any) -> Iterator[bytes]:
    """Read a chunked body to its proper end; one that breaks off raises."""
    while True:
        line = reader.readline().strip()
        if not line:
            raise ConnectionError("the body broke off")
        size = int(line, 16)
        data = reader.read(size)
        if len(data) != size or reader.readline() != b"\r\n":
            raise ConnectionError("the body broke off")
        if size == 0:
            return
        yield data


@dataclass
class DataPlane:
    """A running connector, as its control planes see it."""

    connector: Connector
    url: str
    plane: ControlPlaneServer
    folder: Path
    settings: Settings
    token: str = TOKEN
    http: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=LONGEST, trust_env=False))

    def call(self, method: str, path: str, document: Any = None, *, token: str | None = None) -> Any:
        """Call the signaling door, and return status and document."""
        shown = self.token if token is None else token
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        content = document if isinstance(document, bytes) else json.dumps(document or {}).encode()
        reply = self.http.request(
            method,
            f"{self.url}/signaling{path}",
            content=None if method == "GET" else content,
            headers={**headers, "Content-Type": "application/json"},
        )
        return reply.status_code, json.loads(reply.content) if reply.content else None

    def message(self, profile: str = "http-pull", **changes: Any) -> dict[str, Any]:
        """Write the message that asks for a flow; the control plane remembers it."""
        process = secrets.token_hex(16)
        made = {
            "messageId": secrets.token_hex(16),
            "participantId": PROVIDER,
            "counterPartyId": CONSUMER,
            "dataspaceContext": "tck-dataspace",
            "processId": process,
            "agreementId": f"agreement-of-{process}",
            "datasetId": DATASET,
            "callbackAddress": "http://127.0.0.1:9/nobody-calls-this",
            "transferType": profile,
            "claims": {},
            **changes,
        }
        self.plane.messages[str(made["processId"])] = made
        return made

    def sink_address(self, **properties: str) -> dict[str, Any]:
        """The address of the control plane's own sink."""
        named = [{"name": name, "value": value} for name, value in properties.items()]
        return {
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpoint": f"{self.plane.url}/sink",
            "endpointProperties": named,
        }

    def start(self, profile: str = "http-pull", **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a flow that has to start, and return the message and the answer."""
        said = self.message(profile, **changes)
        status, answer = self.call("POST", "/dataflows/start", said)
        assert status in (200, 202), answer
        return said, answer

    def tell(self, flow: str, what: str, **said: Any) -> tuple[int, Any]:
        """Say something of a flow."""
        status, answer = self.call("POST", f"/dataflows/{flow}/{what}", {"messageId": "m-1", **said})
        return status, answer

    def state(self, flow: str) -> str:
        """Ask how a flow stands."""
        status, answer = self.call("GET", f"/dataflows/{flow}/status")
        assert status == 200, answer
        return str(answer["state"])

    def comes_to(self, flow: str, state: str) -> None:
        """Wait until a flow is in a state."""
        until(lambda: self.state(flow) == state, f"state {state}")

    def pull(self, address: dict[str, Any]) -> pa.Table:
        """Fetch what a data address opens, as its consumer."""
        properties = {item["name"]: item["value"] for item in address["endpointProperties"]}
        headers = {"Authorization": f"Bearer {properties['authorization']}"}
        reply = self.http.get(address["endpoint"], headers=headers)
        assert reply.status_code == 200, reply.text
        return read_stream(reply.content)

    def management(self, method: str, path: str, document: Any = None) -> tuple[int, Any]:
        """Call the management door."""
        key = (self.settings.data_dir / "api-key").read_text().strip()
        reply = self.http.request(
            method,
            f"{self.url}/management{path}",
            content=json.dumps(document or {}),
            headers={"Authorization": f"Bearer {key}"},
        )
        return reply.status_code, json.loads(reply.content)


def read_stream(body: bytes) -> pa.Table:
    """Read an Arrow stream to its end."""
    with pa.ipc.open_stream(body) as stream:
        return pa.Table.from_batches(list(stream), stream.schema).replace_schema_metadata(None)


def settings_for(folder: Path, plane: ControlPlaneServer, port: int, **changes: Any) -> Settings:
    """Settings of a connector that serves one control plane, under two ids: at once, and later."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    planes = []
    for name, token, later in (("tck", TOKEN, False), ("slow", OTHER_TOKEN, True)):
        file = folder / f"{name}-token"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(token)
        planes.append(
            {
                "id": name,
                "url": plane.url,
                "participant": PROVIDER,
                "token_file": file,
                "asynchronous": later,
            }
        )
    given: dict[str, Any] = {
        "name": "A data plane",
        "public_url": f"http://127.0.0.1:{port}",
        "port": port,
        "data_dir": folder / "state",
        "data": {"roots": (data,)},
        "egress": {"allow": ("127.0.0.0/8",)},
        "signaling": {"control_planes": tuple(planes)},
        **changes,
    }
    return Settings(**given)


def publish(connector: Connector, data: Path, table: pa.Table = PEOPLE, dataset: str = DATASET) -> None:
    """Write a table and offer it to everybody, so that only the agreement limits what leaves."""
    name = dataset.rsplit(":", 1)[-1] + ".parquet"
    pq.write_table(table, data / name, row_group_size=256)
    offer = Offer.read({"@id": "", "permission": OPEN})
    report = connector.offerings.publish([Publication(name, "People", (offer,), id=dataset)])
    assert report.refused == (), report.refused


@contextmanager
def running(settings: Settings, world: World | None = None) -> Iterator[Connector]:
    """Serve a connector from a thread of this process."""
    world = world or World(Http(Egress.allowing(settings.egress.allow)))
    connector = build(settings, world)
    server = uvicorn.Server(
        uvicorn.Config(connector.app, host="127.0.0.1", port=settings.port, log_config=None)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started, "the connector's start")
        yield connector
    finally:
        server.should_exit = True
        thread.join(LONGEST)


@contextmanager
def data_plane(
    folder: Path, tables: Sequence[tuple[str, pa.Table]] = ((DATASET, PEOPLE),), **changes: Any
) -> Iterator[DataPlane]:
    """Run a data plane with its control plane."""
    plane = ControlPlaneServer()
    try:
        settings = settings_for(folder, plane, free_port(), **changes)
        with running(settings) as connector:
            for dataset, table in tables:
                publish(connector, folder / "data", table, dataset)
            made = DataPlane(connector, settings.public_url, plane, folder, settings)
            try:
                yield made
            finally:
                plane.release.set()
                made.http.close()
    finally:
        plane.close()
