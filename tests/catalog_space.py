"""A small data space for the catalogue's tests: the real catalogue, and fake providers, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from joserfc.jwk import OKPKey

from catalog.app import AUTHORITY_FILE, OPERATOR_FILE, Parts, make_app, make_keys, new_id, now
from catalog.settings import EgressSettings, MemberSettings, Settings
from schemas.identity import Member, did_for, document_for, generate_key, self_issued
from schemas.vocab import (
    ACCESS_RIGHT,
    CSVW,
    DATA_THEME,
    DPV,
    DSP_CONTEXT,
    FOAF,
    FORMAT_ARROW_HTTP,
    HANSA,
    MEDIA_PARQUET,
)

LOOPBACK = ("127.0.0.0/8", "::1/128")
DSP = "/dsp/2025-1"
RESEARCH_ONLY = {
    "leftOperand": "odrl:purpose",
    "operator": "isA",
    "rightOperand": {"@id": DPV + "ResearchAndDevelopment"},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def offer(
    *constraints: dict[str, Any], id: str = "urn:offer:open", action: str = HANSA + "train"
) -> dict[str, Any]:
    permission: dict[str, Any] = {"action": action}
    if constraints:
        permission["constraint"] = list(constraints)
    return {"@id": id, "@type": "Offer", "permission": [permission]}


def column(name: str, datatype: str = "int64", **statistics: Any) -> dict[str, Any]:
    described: dict[str, Any] = {CSVW + "name": name, CSVW + "datatype": datatype, HANSA + "nullable": True}
    if statistics:
        described[HANSA + "statistics"] = {HANSA + key: value for key, value in statistics.items()}
    return described


def dataset(id: str, title: str = "", /, **members: Any) -> dict[str, Any]:
    document = {
        "@id": id,
        "@type": "Dataset",
        "dct:title": [{"@value": title or id, "@language": "en"}],
        "hasPolicy": [offer()],
        "distribution": [
            {"@type": "Distribution", "format": FORMAT_ARROW_HTTP, "accessService": "urn:connector"}
        ],
    }
    return {**document, **members}


def flights(id: str = "urn:hansa:mobility:nycflights13-flights", /, **members: Any) -> dict[str, Any]:
    described = {
        "dct:description": {"@value": "All flights that left New York in 2013", "@language": "en"},
        "dct:publisher": {"@id": "did:web:mobility.example", FOAF + "name": "Mobility Operator"},
        "dcat:keyword": [{"@value": "aviation", "@language": "en"}, {"@value": "delay", "@language": "en"}],
        "dcat:theme": [{"@id": DATA_THEME + "TRAN"}],
        "dct:accessRights": {"@id": ACCESS_RIGHT + "RESTRICTED"},
        "dct:issued": "2026-11-01",
        HANSA + "rows": 336_776,
        HANSA + "schemaFingerprint": "sha256:" + "ab" * 32,
        CSVW + "column": [
            column("year", minimum="2013", maximum="2013", nulls=0, distinct=1, histogram=[336_776]),
            column(
                "dep_delay",
                "double",
                minimum="-43.0",
                maximum="1301.0",
                nulls=8255,
                histogram=[900, 340, 60, 8, 1],
            ),
            column(
                "carrier",
                "string",
                nulls=0,
                distinct=16,
                top=["UA", "B6", "EV"],
                histogram=[58665, 54635, 54173],
            ),
            column("tail_number", "string"),
        ],
        "hasPolicy": [offer(RESEARCH_ONLY, id="urn:offer:research")],
        "distribution": [
            {
                "@type": "Distribution",
                "format": FORMAT_ARROW_HTTP,
                "accessService": "urn:connector",
                "dcat:mediaType": MEDIA_PARQUET,
                "dcat:byteSize": 5_242_880,
            }
        ],
    }
    return dataset(id, "Flights data", **{**described, **members})


def catalogue(
    participant: str, datasets: Sequence[Any], endpoint: str = "http://localhost:9/dsp"
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "@context": [DSP_CONTEXT],
        "@id": "urn:catalogue",
        "@type": "Catalog",
        "participantId": participant,
        "service": [{"@id": "urn:connector", "@type": "DataService", "endpointURL": endpoint}],
    }
    return {**document, "dataset": list(datasets)} if datasets else document


@contextmanager
def serving(app: FastAPI, port: int) -> Iterator[None]:
    """Serve an app on loopback until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise AssertionError("the server did not start")
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@dataclass
class Provider:
    """A fake provider: a DID document, and a catalogue that may page, change, fail or lie."""

    port: int = field(default_factory=free_port)
    key: OKPKey = field(default_factory=generate_key)
    datasets: list[Any] = field(default_factory=list)
    page_size: int = 1000
    failing: int | None = None
    failing_from_page: int = 0
    participant: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    link: str | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def dsp(self) -> str:
        return self.url + DSP

    @property
    def did(self) -> str:
        return did_for(self.url)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/did.json")
        def did() -> JSONResponse:
            return JSONResponse(document_for(self.did, self.key).wire())

        @app.post(DSP + "/catalog/request")
        async def request(request: Request, page: int = 0) -> Response:
            self.asked.append({"page": page, "authorization": request.headers.get("authorization", ""),
                               "body": json.loads(await request.body())})  # fmt: skip
            if self.failing is not None and page >= self.failing_from_page:
                return JSONResponse({"@type": "CatalogError", "reason": ["on purpose"]}, self.failing)
            start = page * self.page_size
            part = self.datasets[start : start + self.page_size]
            headers = {}
            if start + self.page_size < len(self.datasets):
                target = self.link or f"{self.dsp}/catalog/request?page={page + 1}"
                headers["Link"] = f'<{target}>; rel="next"'
            return JSONResponse(catalogue(self.participant or self.did, part, self.dsp), headers=headers)

        return app

    def member(self, *roles: str, **changed: Any) -> Member:
        held = {
            "id": self.did,
            "thumbprint": self.key.thumbprint(),
            "roles": list(roles or ("provider",)),
            "validTo": (now() + timedelta(days=1)).isoformat(),
            "name": "A provider",
        }
        return Member.read({**held, **changed})


@dataclass
class Space:
    """A running catalogue, and what a test does to it."""

    url: str
    did: str
    parts: Parts
    operator_key: str
    http: httpx2.Client

    def token(
        self, who: Provider, audience: str | None = None, jti: str | None = None, at: datetime | None = None
    ) -> str:
        return self_issued(who.key, who.did, audience or self.did, jti=jti or new_id(), at=at or now())

    def as_(self, who: Provider, **changed: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(who, **changed)}"}

    def push(self, who: Provider, datasets: Sequence[Any], **changed: Any) -> httpx2.Response:
        document = catalogue(who.did, datasets, who.dsp)
        return self.http.post(f"{self.url}/publish", json=document, headers=self.as_(who, **changed))

    def withdraw(self, who: Provider, id: str) -> httpx2.Response:
        return self.http.delete(f"{self.url}/publish/datasets/{quote(id, safe='')}", headers=self.as_(who))

    def search(self, text: str = "", **asked: Any) -> dict[str, Any]:
        reply = self.http.get(f"{self.url}/search", params={"q": text, **asked})
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def ids(self, text: str = "", **asked: Any) -> list[str]:
        return [hit["id"] for hit in self.search(text, **asked)["hits"]]

    def as_operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.operator_key}"}

    def crawl(self, who: Provider) -> dict[str, Any]:
        """Let an origin be crawled now, and wait for the end of that crawl."""
        before = self._finished(who)
        self.http.post(
            f"{self.url}/origins", json={"id": who.did, "url": who.dsp}, headers=self.as_operator()
        )
        if before is not None:
            self.http.post(f"{self.url}/origins/{quote(who.did, safe='')}/crawl", headers=self.as_operator())
        for _ in range(1000):
            state = self.origin(who)
            if state is not None and state["finished"] not in (None, before):
                return state
            time.sleep(0.02)
        raise AssertionError(f"the crawl did not end: {self.origin(who)}")

    def origin(self, who: Provider) -> dict[str, Any] | None:
        found = self.http.get(f"{self.url}/origins", headers=self.as_operator()).json()
        return next((state for state in found if state["id"] == who.did), None)

    def _finished(self, who: Provider) -> Any:
        state = self.origin(who)
        return state and state["finished"]


def settings_in(folder: Path, port: int, **changed: Any) -> Settings:
    """Settings of a catalogue that is its own authority."""
    make_keys(folder, authority=True)
    return Settings(
        port=port,
        data_dir=folder,
        egress=EgressSettings(allow=LOOPBACK),
        members=MemberSettings(authority_key_file=folder / AUTHORITY_FILE, space="test"),
        log_level="error",
        **changed,
    )


@contextmanager
def running_catalogue(folder: Path, *members: Member, **changed: Any) -> Iterator[Space]:
    """Serve a catalogue whose members are given."""
    settings = settings_in(folder, free_port(), **changed)
    app = make_app(settings)
    parts: Parts = app.state.parts
    for member in members:
        parts.members.add(member)
    with serving(app, settings.port), httpx2.Client(timeout=30) as http:
        operator_key = (folder / OPERATOR_FILE).read_text()
        yield Space(f"http://localhost:{settings.port}", settings.did, parts, operator_key, http)
