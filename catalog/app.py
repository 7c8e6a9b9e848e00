"""Where the parts of the catalogue meet: clock, ids, keys and adapters are made here and given out."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response
from joserfc.jwk import OKPKey
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.adapters.fetch import HttpPeers
from catalog.adapters.files import FolderMembers, load_key, make_key, make_secret, write_file, write_public
from catalog.adapters.sql import SqlRecords
from catalog.adapters.sqlsearch import SqlFinder
from catalog.adapters.sqlstate import SqlOrigins, SqlReplays
from catalog.adapters.tables import Database
from catalog.api.about import DSP_PREFIX, About, about_router
from catalog.api.dsp import dsp_router
from catalog.api.pages import Pages, install_pages
from catalog.api.publish import origins_router, publish_router
from catalog.api.search import Searching, search_router
from catalog.crawl import Crawler
from catalog.ingest import Ingest
from catalog.members import Authority, Callers, Members
from catalog.ports import Finder, Records
from catalog.settings import Settings
from schemas.binding.client import Egress, Http
from schemas.binding.did import DidResolver
from schemas.binding.server import install_errors
from schemas.errors import DataspaceError

KEY_FILE = "key.json"
OPERATOR_FILE = "operator.key"
AUTHORITY_FILE = "authority.json"
AUTHORITY_PUBLIC = "authority.pub.json"
PLAIN_MEMBERS = "members.json"
SIGNED_MEMBERS = "members.jwt"
DATABASE_FILE = "catalog.db"

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self';"
        b" frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return a fresh id."""
    return f"urn:uuid:{uuid.uuid4()}"


@dataclass(frozen=True)
class Parts:
    """The running parts, for the command line and for tests."""

    settings: Settings
    database: Database
    records: Records
    finder: Finder
    ingest: Ingest
    crawler: Crawler
    members: Members
    http: Http
    key: OKPKey

    def close(self) -> None:
        """Stop what runs and close what is open."""
        self.crawler.stop()
        self.http.close()
        self.database.close()


def make_keys(folder: Path, *, authority: bool) -> None:
    """Make the keys of a new catalogue, and of its data space's authority if asked; what is there stays."""
    make_key(folder / KEY_FILE)
    make_secret(folder / OPERATOR_FILE)
    if authority:
        write_public(folder / AUTHORITY_PUBLIC, make_key(folder / AUTHORITY_FILE))


def write_settings(path: Path, text: str) -> None:
    """Write a settings file, whole or not at all; one that is there stays."""
    if not path.exists():
        write_file(path, text.encode())


def open_http(settings: Settings) -> Http:
    """Return a client for the command line: the egress settings, and this catalogue on loopback."""
    return Http(Egress.allowing((*settings.egress.allow, "127.0.0.0/8", "::1/128")))


def operator_key(settings: Settings) -> str:
    """Return the operator's key."""
    return make_secret(settings.data_dir / OPERATOR_FILE)


def open_members(settings: Settings) -> Members:
    """Return the member list of the settings."""
    chosen = settings.members
    return Members(
        FolderMembers(
            settings.data_dir / PLAIN_MEMBERS, chosen.list_file or settings.data_dir / SIGNED_MEMBERS
        ),
        now,
        Authority(
            space=chosen.space,
            life=timedelta(days=chosen.life_days),
            signer=load_key(chosen.authority_key_file) if chosen.authority_key_file else None,
            public=load_key(chosen.authority_file, private=False) if chosen.authority_file else None,
        ),
    )


def open_parts(settings: Settings) -> Parts:
    """Make every part over its adapters."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    key = make_key(settings.data_dir / KEY_FILE)
    database = Database(settings.database_url or f"sqlite:///{settings.data_dir / DATABASE_FILE}")
    http = Http(Egress.allowing(settings.egress.allow))
    records = SqlRecords(database)
    ingest = Ingest(records, now)
    crawler = Crawler(
        SqlOrigins(database),
        HttpPeers(http, key, settings.did, now, new_id),
        ingest,
        clock=now,
        interval=timedelta(seconds=settings.crawl_interval),
    )
    return Parts(
        settings, database, records, SqlFinder(database), ingest, crawler, open_members(settings), http, key
    )


class _Holdings:
    """What the metrics say of the records, read when they are asked for."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        datasets = GaugeMetricFamily(
            "hansa_catalog_datasets", "Live datasets of a participant.", labels=["participant"]
        )
        for holding in self._parts.records.holdings():
            datasets.add_metric([holding.participant], holding.datasets)
        failures = GaugeMetricFamily(
            "hansa_catalog_crawl_failures", "Failed crawls in a row.", labels=["origin"]
        )
        for state in self._parts.crawler.origins():
            failures.add_metric([state.id], state.failures)
        yield datasets
        yield failures


class _Shell:
    """Counts answers, and puts the same headers on all of them."""

    def __init__(self, app: ASGIApp, answers: Counter) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
                self._answers.labels(scope["method"], str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, with_headers)


def make_app(settings: Settings) -> FastAPI:
    """Return the catalogue as an ASGI app; its parts stand in `app.state.parts`."""
    parts = open_parts(settings)
    about = About(settings.title, settings.did, settings.root, settings.public_search)
    key_of_operator = operator_key(settings)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        for origin in settings.origins:
            parts.crawler.add(origin.id, origin.url.rstrip("/"))
        parts.crawler.start()
        yield
        parts.close()

    registry = CollectorRegistry()
    seconds = Histogram(
        "hansa_catalog_search_seconds",
        "Time to find and judge.",
        registry=registry,
        buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
    )
    answers = Counter(
        "hansa_catalog_answers", "Answers by method and status.", ["method", "status"], registry=registry
    )
    registry.register(_Holdings(parts))

    app = FastAPI(title=settings.title, lifespan=life, openapi_url=None, redirect_slashes=False)
    app.state.parts = parts
    install_errors(app, DSP_PREFIX)
    callers = Callers(
        parts.members, DidResolver(parts.http, now), SqlReplays(parts.database), settings.did, now
    )
    searching = Searching(parts.finder, now, seconds)
    app.include_router(about_router(about, parts.key, parts.members))
    app.include_router(_health_router(parts, registry))
    app.include_router(dsp_router(about, parts.records, parts.finder, callers))
    app.include_router(publish_router(parts.ingest, callers))
    app.include_router(origins_router(parts.crawler, key_of_operator))
    app.include_router(search_router(about, searching, callers))
    install_pages(app, Pages(about, parts.records, searching, parts.members, parts.crawler), callers)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(_Shell, answers=answers)
    return app


def _health_router(parts: Parts, registry: CollectorRegistry) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    def alive() -> JSONResponse:
        return JSONResponse({"status": "alive"})

    @router.get("/readyz")
    def ready() -> JSONResponse:
        failing = {}
        for name, check in (("database", parts.records.ready), ("members", parts.members.listed)):
            try:
                check()
            except DataspaceError as error:
                failing[name] = str(error)
        # Without a member list the catalogue still answers searches; only publishing waits for one.
        status = 503 if "database" in failing else 200
        return JSONResponse(
            {"status": "ready" if status == 200 else "not ready", "problems": failing}, status
        )

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    return router
