"""The one place where the parts of a connector meet: adapters are made, given to services, given to doors."""

from __future__ import annotations

import hmac
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from joserfc.jwk import OKPKey

from connector.adapters.control_planes import CourierByKind, HttpControlPlanes, KnownPlanes, plane_access
from connector.adapters.courier import TRANSIENT, HttpCourier
from connector.adapters.files import make_folder, write_once
from connector.adapters.keys import load_or_create_key, load_or_create_secret
from connector.adapters.push import HttpPushLines
from connector.adapters.received import ReceivedFiles
from connector.adapters.sources import ParquetSources
from connector.adapters.sql import SqlStores
from connector.adapters.tiles import FileTiles
from connector.api.doors import StreamDoors
from connector.api.dsp import dsp_router, version_router
from connector.api.evidence import evidence_router
from connector.api.health import health_router
from connector.api.identity import identity_router
from connector.api.management import management_router
from connector.api.signaling import signaling_router
from connector.api.sink import sink_router
from connector.dataplane.service import Streams
from connector.dataplane.sink import Sinks
from connector.negotiation import judge as negotiation_judge
from connector.negotiation.service import Negotiations
from connector.offering.describe import Holder
from connector.offering.push import CatalogPush
from connector.offering.service import Offerings
from connector.outbox.rules import Do, Rule
from connector.outbox.service import Outbox
from connector.settings import API_KEY_FILE, KEY_FILE, RuleSettings, Settings
from connector.signaling.decisions import Decisions
from connector.signaling.pushes import Pushes
from connector.signaling.service import DataFlows
from connector.transfer import judge as transfer_judge
from connector.transfer.service import Transfers
from connector.trust.members import MembersTrust, fetch_members
from connector.trust.mock import MockTrust
from connector.trust.ports import TrustProfile
from connector.usage.mandate import AuditGate, mandate
from connector.usage.service import UsageLog
from schemas.base import Role
from schemas.binding.client import Egress, Http
from schemas.binding.did import DidResolver
from schemas.binding.logs import log_as_json
from schemas.binding.paths import DSP_PREFIX
from schemas.binding.server import install_errors
from schemas.binding.versions import Versions
from schemas.errors import Misconfigured
from schemas.identity import DidService, MemberList, document_for
from schemas.vocab import FORMAT_ARROW_FLIGHT, FORMAT_ARROW_HTTP

MASK_FILE = "mask-secret"
SINK_FILE = "sink-secret"
RECEIVED = "received"
"""The folder in `data_dir` for what is pushed to us."""


def utc_now() -> datetime:
    """Return the time, UTC and aware."""
    return datetime.now(UTC)


def new_urn() -> str:
    """Return a fresh id."""
    return f"urn:uuid:{uuid.uuid4()}"


def initialise(state: Path) -> str:
    """Make the keys of a participant, where they are not there yet, and return its key's thumbprint."""
    make_folder(state)
    key = load_or_create_key(state / KEY_FILE)
    load_or_create_secret(state / MASK_FILE)
    load_or_create_secret(state / SINK_FILE)
    write_once(state / API_KEY_FILE, secrets.token_urlsafe(32).encode() + b"\n", 0o600)
    return str(key.thumbprint())


@dataclass(frozen=True)
class World:
    """What a connector takes from outside: the clock, ids, and the way to its peers."""

    http: Http
    clock: Callable[[], datetime] = utc_now
    new_id: Callable[[], str] = new_urn


@dataclass(frozen=True)
class Connector:
    """A connector, put together and not yet started."""

    settings: Settings
    stores: SqlStores
    usage: UsageLog
    outbox: Outbox
    offerings: Offerings
    negotiations: Negotiations
    transfers: Transfers
    flows: DataFlows
    pushes: Pushes
    sinks: Sinks
    doors: StreamDoors
    clock: Callable[[], datetime]
    app: FastAPI

    def start(self) -> None:
        """Start everything that works in the background, and repair what a crash left."""
        self.usage.start()
        self.doors.start()
        self.outbox.start()

    def stop(self) -> None:
        """Stop in the opposite order; what waits stays saved."""
        self.doors.stop()
        self.pushes.stop()
        self.outbox.stop()
        self.usage.stop()
        self.stores.close()


def build(settings: Settings, world: World | None = None) -> Connector:
    """Put a connector together from its settings.

    Raises:
        Misconfigured: naming the setting that cannot work.
        StorageUnavailable: if the database cannot be reached.
    """
    world = world or World(Http(Egress.allowing(settings.egress.allow)))
    state = settings.data_dir
    initialise(state)
    key = load_or_create_key(state / KEY_FILE)
    did, dsp_url = settings.did, settings.public_url + DSP_PREFIX
    stores = SqlStores(settings.database)
    usage = UsageLog(
        store=stores.usage,
        key=key,
        origin=f"{urlsplit(settings.public_url).netloc}/usage",
        did=did,
        clock=world.clock,
        new_id=world.new_id,
        tiles=FileTiles(state / "log"),
    )
    trust = _trust(settings, world, stores, key)
    flight = (FORMAT_ARROW_FLIGHT,) if settings.stream.flight_port is not None else ()
    holder = Holder(did, settings.name, dsp_url, formats=(FORMAT_ARROW_HTTP, *flight))
    push = CatalogPush(
        catalogs=[(each.id, each.url) for each in settings.catalogs],
        holder=holder,
        clock=world.clock,
        new_id=world.new_id,
    )

    def wake(process: str) -> None:
        """Join the rooms to the outbox, which carries what they say and tells them what became of it."""
        outbox.wake(process)

    def remind(due: datetime) -> None:
        outbox.remind(due)

    sources = ParquetSources(settings.data.roots)
    offerings = Offerings(
        store=stores.offerings,
        sources=sources,
        usage_record=usage.record,
        announce=push,
        clock=world.clock,
        holder=holder,
        wake=wake,
    )
    patience = timedelta(seconds=settings.negotiation.deadline_seconds)
    negotiations = Negotiations(
        store=stores.negotiations,
        offerings=stores.offerings,
        judge=negotiation_judge.RuledJudge(
            negotiation_judge.rules_of(*_rules(settings.negotiation.rules)),
            negotiation_judge.Judge(settings.negotiation.automatic),
        ),
        wake=wake,
        remind=remind,
        record=usage.record,
        clock=world.clock,
        new_id=world.new_id,
        did=did,
        callback=dsp_url,
        patience=patience,
    )
    streams = Streams(
        agreements=stores.negotiations,
        transfers=stores.started,
        offerings=stores.offerings,
        usage=usage,
        scans=sources,
        ticket_key=key,
        mask_secret=load_or_create_secret(state / MASK_FILE),
        clock=world.clock,
        new_id=world.new_id,
    )
    doors = StreamDoors(streams, settings.stream)
    sinks = Sinks(
        secret=load_or_create_secret(state / SINK_FILE),
        inlets=lambda: (transfers, flows),
        landing=ReceivedFiles(state / RECEIVED),
        url=settings.public_url,
        most_bytes=settings.receive.most_bytes,
        clock=world.clock,
    )
    transfers = Transfers(
        store=stores.transfers,
        agreements=stores.negotiations,
        offerings=stores.offerings,
        usage=usage,
        addresses=lambda transfer, ticket: doors.address(transfer.pid, transfer.format, ticket),
        ticket_key=key,
        judge=transfer_judge.RuledJudge(
            transfer_judge.rules_of(*_rules(settings.transfer.rules)),
            transfer_judge.Judge(settings.transfer.automatic),
        ),
        wake=wake,
        remind=remind,
        record=usage.record,
        clock=world.clock,
        new_id=world.new_id,
        did=did,
        callback=dsp_url,
        patience=patience,
        moved=lambda transfer: streams.look_again(transfer.pid),
        sinks=sinks.address,
    )
    accesses = tuple(plane_access(each) for each in settings.signaling.control_planes)
    planes = HttpControlPlanes(world.http, accesses)
    flows = DataFlows(
        planes=tuple(access.plane for access in accesses),
        profiles=settings.signaling.profiles,
        store=stores.flows,
        decisions=Decisions(
            peers=planes,
            agreements=stores.negotiations,
            offers=offerings,
            usage=usage,
            source=doors.address,
            sink=sinks.address,
            ticket_key=key,
            clock=world.clock,
        ),
        wake=wake,
        record=usage.record,
        clock=world.clock,
        new_id=world.new_id,
        patience=patience,
        moved=lambda flow: streams.look_again(flow.pid),
    )
    pushes = Pushes(
        flows=flows,
        streams=streams,
        lines=HttpPushLines(world.http.egress),
        clock=world.clock,
        most=settings.signaling.most_pushes,
        patience=patience,
    )
    outbox = Outbox(
        store=stores.outbox,
        courier=CourierByKind(
            HttpCourier(
                world.http,
                trust,
                transient=TRANSIENT | frozenset(settings.negotiation.retried_statuses),
                versions=Versions(world.http, world.clock),
            ),
            {"dataflow": HttpCourier(world.http, planes)},
        ),
        senders={"negotiation": negotiations, "transfer": transfers, "publication": push, "dataflow": flows},
        clock=world.clock,
        chores=(
            negotiations.tick,
            transfers.tick,
            flows.tick,
            pushes.tick,
            streams.tick,
            stores.database.stay,
        ),
    )
    connector = Connector(
        settings=settings,
        stores=stores,
        usage=usage,
        outbox=outbox,
        offerings=offerings,
        negotiations=negotiations,
        transfers=transfers,
        flows=flows,
        pushes=pushes,
        sinks=sinks,
        doors=doors,
        clock=world.clock,
        app=FastAPI(),
    )
    gate = AuditGate(key=key, did=did, clock=world.clock, admit=trust.admit)
    _open_doors(connector, key, trust, gate, streams)
    _open_signaling(connector, KnownPlanes(accesses), world.new_id)
    return connector


def _trust(settings: Settings, world: World, stores: SqlStores, key: OKPKey) -> TrustProfile:
    """Return how participants of this data space prove themselves."""
    if settings.trust == "edc-mock":
        return MockTrust(settings.did)
    return MembersTrust(
        did=settings.did,
        key=key,
        resolver=DidResolver(world.http, world.clock),
        replay=stores.replay,
        members=_members(settings, world),
        clock=world.clock,
        new_id=world.new_id,
    )


def _rules(given: Sequence[RuleSettings]) -> Iterator[Rule]:
    """Return rules as the rooms read them.

    Raises:
        Misconfigured: naming what no rule can do.
    """
    for rule in given:
        if rule.do not in list(Do):
            raise Misconfigured(f"a rule cannot {rule.do!r}; it can {', '.join(Do)}")
        said = rule.model_dump() | {"do": Do(rule.do), "role": Role(rule.role) if rule.role else None}
        yield Rule(**said)


def _members(settings: Settings, world: World) -> Callable[[], MemberList]:
    """Return where the member list comes from; without one, nobody is a member."""
    if settings.members is None:
        return lambda: MemberList(space="none", serial=0)
    authority = OKPKey.import_key(dict(settings.members.authority))
    return fetch_members(world.http, settings.members.url, authority, world.clock)


def _open_doors(
    connector: Connector, key: OKPKey, trust: TrustProfile, gate: AuditGate, streams: Streams
) -> None:
    """Give each door the services that it calls."""
    settings, app = connector.settings, connector.app
    did, dsp_url = settings.did, settings.public_url + DSP_PREFIX
    api_key = (settings.data_dir / API_KEY_FILE).read_bytes().strip()
    app.title = f"Hansa connector: {settings.name}"
    install_errors(app, DSP_PREFIX)
    services = (DidService(id=f"{did}#dsp", type="DataService", service_endpoint=dsp_url),)
    app.include_router(identity_router(document_for(did, key, services)))
    app.include_router(version_router(DSP_PREFIX, auth=trust.described()))
    app.include_router(
        dsp_router(
            admit=trust.admit,
            negotiations=connector.negotiations,
            transfers=connector.transfers,
            offerings=connector.offerings,
            base_url=dsp_url,
        ),
        prefix=DSP_PREFIX,
    )
    app.include_router(
        management_router(
            authorize=lambda token: hmac.compare_digest(token.encode(), api_key),
            participant=did,
            negotiations=connector.negotiations,
            transfers=connector.transfers,
            offerings=connector.offerings,
            outbox=connector.outbox,
            usage=connector.usage,
            mandate=lambda days: (
                f"{settings.public_url}/evidence#mandate={mandate(key, did, connector.clock(), days)}"
            ),
            flows=connector.flows,
        )
    )
    app.include_router(
        evidence_router(
            log=connector.usage,
            agreement=lambda name: connector.stores.negotiations.agreement(name).as_evidence(),
            gate=gate,
        )
    )
    app.include_router(health_router(connector.usage, connector.outbox, lambda: streams.count))
    app.router.lifespan_context = _lifespan(connector)


def _open_signaling(connector: Connector, known: KnownPlanes, new_id: Callable[[], str]) -> None:
    """Open the doors for foreign control planes, and for what is pushed to us."""

    def followed(pid: str) -> None:
        connector.flows.follow_up(pid)
        connector.pushes.begin(pid)

    connector.app.include_router(
        signaling_router(
            flows=connector.flows, known=known, any_known=bool(known), new_id=new_id, followed=followed
        )
    )
    connector.app.include_router(
        sink_router(connector.sinks, stall_seconds=connector.settings.receive.stall_seconds)
    )


def _lifespan(connector: Connector) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        connector.start()
        try:
            yield
        finally:
            connector.stop()

    return lifespan


def serve(settings: Settings) -> None:
    """Serve a connector until the process is told to stop."""
    log_as_json(settings.log_level)
    connector = build(settings)
    uvicorn.run(
        connector.app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
