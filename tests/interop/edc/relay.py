"""A relay between two participants: passes messages on, remembers them, may answer itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx2

from tests.http_server import EndingServer

NOT_PASSED = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})


@dataclass(frozen=True)
class Exchange:
    """One request as it came, and what was answered; `passed` is false where the relay itself answered."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer: bytes
    passed: bool

    @property
    def message(self) -> dict[str, Any]:
        """The document that was sent."""
        return dict(json.loads(self.body)) if self.body else {}


Answer = tuple[int, dict[str, Any]]
Rule = Callable[[str, str, bytes], Answer | bytes | None]
"""Given method, path and body: status and document to answer with, another body, or nothing: pass it on."""


@dataclass
class Relay:
    """Stands before the server at `target` (scheme, host and port)."""

    target: str
    port: int
    rule: Rule | None = None
    identify: Callable[[], str] | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    _losing: list[str] = field(default_factory=list)
    # One for all: a relay that is slow to hand an answer back lets the peers' next messages overtake it.
    _client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=60))

    @property
    def url(self) -> str:
        """Where the relay is reached."""
        return f"http://localhost:{self.port}"

    def lose(self, path_end: str) -> None:
        """Pass the next message to such a path on, and lose the answer: the sender is told 503."""
        self._losing.append(path_end)

    def seen(self, path_end: str) -> list[Exchange]:
        """Return the exchanges whose path ends so, oldest first."""
        return [one for one in list(self.exchanges) if one.path.partition("?")[0].endswith(path_end)]

    def replay(self, exchange: Exchange, **changed: Any) -> httpx2.Response:
        """Send a message once more, as its sender would; `changed` replaces members of the document."""
        return httpx2.request(
            exchange.method,
            self.target + exchange.path,
            headers={name: value for name, value in exchange.headers.items() if name not in NOT_PASSED},
            content=json.dumps(exchange.message | changed).encode(),
            timeout=30,
        )

    def carry(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx2.Response:
        """Pass one request on, or answer it."""
        said = self.rule(method, path, body) if self.rule else None
        if isinstance(said, tuple):
            answer = httpx2.Response(said[0], json=said[1])
        else:
            body = body if said is None else said
            kept = {name: value for name, value in headers.items() if name not in NOT_PASSED}
            if self.identify is not None:
                kept["authorization"] = self.identify()
            answer = self._client.request(method, self.target + path, headers=kept, content=body)
            if any(path.endswith(end) for end in self._losing):
                self._losing.clear()
                self.lost[:] = [json.loads(body)["@id"]]
                answer = httpx2.Response(503, text="the answer was lost")
        self.exchanges.append(
            Exchange(
                method, path, headers, body, answer.status_code, answer.content, not isinstance(said, tuple)
            )
        )
        return answer


@contextmanager
def relaying(relay: Relay) -> Iterator[Relay]:
    """Serve a relay on loopback until the block ends."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer = relay.carry(self.command, self.path, headers, body)
            except httpx2.HTTPError as error:
                answer = httpx2.Response(502, text=str(error))
            self.send_response(answer.status_code)
            for name in ("content-type", "link"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_DELETE = _take

        def log_message(self, *_said: Any) -> None:
            """Say nothing: the exchanges are kept."""

    server = EndingServer(("127.0.0.1", relay.port), Door)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
