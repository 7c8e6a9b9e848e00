"""The one place where the parts of a connector meet: adapters are made, given to services, given to doors."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from joserfc.jwk import OKPKey

from connector.adapters.catalogues import HttpCatalogues
from connector.adapters.control_planes import CourierByKind, HttpControlPlanes, KnownPlanes, plane_access
from connector.adapters.courier import TRANSIENT, HttpCourier
from connector.adapters.files import files_below, make_folder, write_once
from connector.adapters.keys import load_or_create_key, load_or_create_secret
from connector.adapters.ledgers import HttpLedgers
from connector.adapters.progress import FileProgress
from connector.adapters.push import HttpPushLines
from connector.adapters.readings import SUFFIXES
from connector.adapters.received import ReceivedFiles, Room
from connector.adapters.sources import ParquetSources
from connector.adapters.sql import SqlStores
from connector.adapters.tiles import FileTiles
from connector.api.doors import StreamDoors
from connector.api.signaling import signaling_router
from connector.api.sink import Pace, sink_router
from connector.dataplane.preview import Previews
from connector.dataplane.pushes import Pushes
from connector.dataplane.service import Streams
from connector.dataplane.sink import Sinks
from connector.dataplane.watch import Watcher
from connector.front import Behind, Front, open_doors
from connector.negotiation import judge as negotiation_judge
from connector.negotiation.judge import CounterOffers
from connector.negotiation.service import Negotiations
from connector.offering.describe import Holder
from connector.offering.push import CatalogPush
from connector.offering.service import Offerings
from connector.outbox.aside import Aside
from connector.outbox.process import RECOVERY
from connector.outbox.rules import Do, Rule
from connector.outbox.service import Outbox
from connector.promises import Promises, Rooms, Us
from connector.settings import API_KEY_FILE, KEY_FILE, RuleSettings, Settings
from connector.signaling.decisions import Decisions
from connector.signaling.ports import DataFlow
from connector.signaling.service import DataFlows
from connector.transfer import judge as transfer_judge
from connector.transfer.ports import Transfer
from connector.transfer.pushing import PushedTransfers
from connector.transfer.starts import Starts
from connector.trust.members import MembersTrust, fetch_members
from connector.trust.mock import MockTrust
from connector.trust.ports import TrustProfile
from connector.usage.service import UsageLog
from schemas.arrow import columns_of
from schemas.base import Role
from schemas.binding.client import Egress, Http
from schemas.binding.did import DidResolver
from schemas.binding.lean import Surplus
from schemas.binding.paths import DSP_PREFIX
from schemas.binding.versions import Versions
from schemas.dcat import Column
from schemas.errors import Misconfigured
from schemas.identity import MemberList
from schemas.vocab import FORMAT_ARROW_FLIGHT, FORMAT_ARROW_HTTP, FORMAT_HTTP_PUSH

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


def columns_of_file(file: Path) -> Sequence[Column]:
    """Return the columns of a data file, as a policy's terms are checked against them.

    Raises:
        UnreadableData: if it is corrupt or of no known kind.
        NotFound: if there is no such file.
    """
    return columns_of(ParquetSources((file.absolute().parent,), utc_now).facts(file.name).schema)


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


class Connector:
    """A connector, put together and not yet started.

    Each part is made when it is first asked for. Where two parts need each other, one asks later: what is
    given to it is a function.
    """

    def __init__(self, settings: Settings, world: World) -> None:
        """Make the parts of one participant.

        Raises:
            Misconfigured: naming the setting that cannot work.
            StorageUnavailable: if the database cannot be reached.
        """
        self.settings, self.clock, self._world = settings, world.clock, world
        self._state = settings.data_dir
        initialise(self._state)
        self._key = load_or_create_key(self._state / KEY_FILE)
        self._did, self._dsp_url = settings.did, settings.public_url + DSP_PREFIX
        self._patience = timedelta(seconds=settings.negotiation.deadline_seconds)
        self._planes = tuple(plane_access(each) for each in settings.signaling.control_planes)
        self.app = FastAPI(title=f"Hansa connector: {settings.name}")
        self._open_doors()
        self._open_signaling()
        self.app.router.lifespan_context = self._lifespan
        _ = self.outbox  # the part that knows every room: what cannot be made fails here, and not in use

    def start(self) -> None:
        """Start everything that works in the background, and repair what a crash left."""
        self._received.tidy()
        self.usage.start()
        self.doors.start()
        self.watcher.start()
        self.stores.take_back()
        self.outbox.start()

    def stop(self) -> None:
        """Stop in the opposite order; what waits stays saved."""
        self.doors.stop()
        self.pushes.stop()
        self.transfer_pushes.stop()
        self.watcher.stop()
        self.outbox.stop()
        self.usage.stop()
        self.stores.close()

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        self.start()
        try:
            yield
        finally:
            self.stop()

    # --- parts, in the order of the story --------------------------------------------------------

    @cached_property
    def stores(self) -> SqlStores:
        """The database."""
        return SqlStores(self.settings.database, alive=self._state / "alive")

    @cached_property
    def trust(self) -> TrustProfile:
        """How participants of this data space prove themselves."""
        if self.settings.trust == "edc-mock":
            return MockTrust(self._did)
        return MembersTrust(
            did=self._did,
            key=self._key,
            resolver=DidResolver(self._world.http, self.clock),
            replay=self.stores.replay,
            members=_members(self.settings, self._world),
            clock=self.clock,
            new_id=self._world.new_id,
        )

    @cached_property
    def outbox(self) -> Outbox:
        """Carries what the rooms say, and tells them what became of it."""
        retried = frozenset(self.settings.negotiation.retried_statuses)
        http = self._world.http
        dsp = HttpCourier(
            http, self.trust, transient=TRANSIENT | retried, versions=Versions(http, self.clock)
        )
        return Outbox(
            store=self.stores.outbox,
            courier=CourierByKind(dsp, {"dataflow": HttpCourier(http, self._control_planes)}),
            senders={
                "negotiation": self.negotiations,
                "transfer": self.transfers,
                "publication": self._push,
                "dataflow": self.flows,
                "receipt": self.promises.fulfilments,
            },
            clock=self.clock,
            chores=(
                self.negotiations.tick,
                self.transfers.tick,
                self.promises.revocations.tick,
                Aside("obligations", self.promises.ledger.tick),
                Aside("data flows", self.flows.tick),
                self.pushes.tick,
                *((self.transfer_pushes.tick,) if self.settings.transfer.most_pushes else ()),
                self.streams.tick,
                self.stores.database.stay,
                Surplus(lambda: self.streams.count > 0).tick,
                self.stores.take_back,
            ),
        )

    @cached_property
    def usage(self) -> UsageLog:
        """The tamper-evident log."""
        return UsageLog(
            store=self.stores.usage,
            key=self._key,
            origin=f"{urlsplit(self.settings.public_url).netloc}/usage",
            did=self._did,
            clock=self.clock,
            new_id=self._world.new_id,
            tiles=FileTiles(self._state / "log"),
            progress=FileProgress(self._state / "progress"),
        )

    @cached_property
    def offerings(self) -> Offerings:
        """What we offer."""
        return Offerings(
            store=self.stores.offerings,
            sources=self._sources,
            usage_record=self.usage.record,
            announce=self._push,
            clock=self.clock,
            holder=self._holder,
            wake=lambda process: self.outbox.wake(process),
        )

    @cached_property
    def negotiations(self) -> Negotiations:
        """Contract negotiations, both roles."""
        given = self.settings.negotiation
        rules = negotiation_judge.rules_of(*map(_rule, given.rules))
        return Negotiations(
            store=self.stores.negotiations,
            offerings=self.stores.offerings,
            fit=self.offerings.fit,
            judge=negotiation_judge.RuledJudge(
                rules, negotiation_judge.Judge(given.automatic, CounterOffers(given.counter_offers))
            ),
            claims=self.trust.claims,
            **self._process,
        )

    @cached_property
    def transfers(self) -> PushedTransfers:
        """Transfer processes, both roles."""
        given = self.settings.transfer
        rules = transfer_judge.rules_of(*map(_rule, given.rules))
        return PushedTransfers(
            pushes=given.most_pushes > 0,
            worker=self.stores.worker,
            store=self.stores.transfers,
            agreements=self.stores.negotiations,
            offerings=self.stores.offerings,
            starts=Starts(
                agreements=self.stores.negotiations,
                usage=self.usage,
                addresses=lambda transfer, ticket: self.doors.address(transfer.pid, transfer.format, ticket),
                ticket_key=self._key,
                clock=self.clock,
                hindrance=lambda agreement: self.promises.ledger.hindrance(agreement),
                claims=self.trust.claims,
            ),
            judge=transfer_judge.RuledJudge(rules, transfer_judge.Judge(given.automatic)),
            moved=self._moved,
            sinks=self.sinks.address,
            **self._process,
        )

    def _moved(self, transfer: Transfer) -> None:
        """Have the streams of a transfer look again, and begin the push that it starts."""
        self.streams.look_again(transfer.pid)
        if self.transfers.is_pushed(transfer):
            self.transfer_pushes.begin(transfer.pid)

    @cached_property
    def streams(self) -> Streams:
        """Opens streams for tickets."""
        return Streams(
            agreements=self.stores.negotiations,
            transfers=self.stores.started,
            offerings=self.stores.offerings,
            usage=self.usage,
            scans=self._sources,
            ticket_key=self._key,
            mask_secret=load_or_create_secret(self._state / MASK_FILE),
            clock=self.clock,
            new_id=self._world.new_id,
            standing=lambda did: self.trust.standing(did, wait=True),
            hindrance=lambda agreement: self.promises.ledger.hindrance(agreement),
            settled=lambda agreement: self.promises.ledger.delivered(agreement),
            claims=self.trust.claims,
        )

    @cached_property
    def previews(self) -> Previews:
        """Shows the holder what a policy would release, and whom it would touch."""
        return Previews(
            offerings=self.stores.offerings,
            sources=self._sources,
            scans=self._sources,
            agreements=self.stores.negotiations,
            streams=self.streams.open_by_agreement,
            totals=self.usage.totals,
            claims=self.trust.claims,
            mask_secret=load_or_create_secret(self._state / MASK_FILE),
            clock=self.clock,
        )

    @cached_property
    def promises(self) -> Promises:
        """How agreements end, and what is owed under them."""
        return Promises(
            us=self._us,
            agreements=self.stores.negotiations,
            entries=self.stores.obligations,
            receipts=self.stores.receipts,
            usage=self.usage,
            trust=self.trust,
            peers=HttpLedgers(self._world.http, self.trust),
            rooms=Rooms(
                transfers=lambda: self.transfers,
                flows=lambda: self.flows,
                remind=lambda due: self.outbox.remind(due),
                wake=lambda process: self.outbox.wake(process),
            ),
        )

    @cached_property
    def watcher(self) -> Watcher:
        """Ends streams whose ground has gone."""
        return Watcher(
            changes=self.stores.changes,
            opened=lambda: self.streams.opened,
            standing=self.trust.standing,
            claims=lambda participant: self.trust.claims(participant, wait=False),
        )

    @cached_property
    def sinks(self) -> Sinks:
        """Takes what is pushed to us."""
        return Sinks(
            secret=load_or_create_secret(self._state / SINK_FILE),
            inlets=lambda: (self.transfers, self.flows),
            landing=self._received,
            url=self.settings.public_url,
            most_bytes=self.settings.receive.most_bytes,
            clock=self.clock,
        )

    @cached_property
    def flows(self) -> DataFlows:
        """Data flows of foreign control planes."""
        return DataFlows(
            planes=tuple(access.plane for access in self._planes),
            profiles=self.settings.signaling.profiles,
            store=self.stores.flows,
            decisions=Decisions(
                peers=self._control_planes,
                agreements=self.stores.negotiations,
                offers=self.offerings,
                usage=self.usage,
                source=self.doors.address,
                sink=self.sinks.address,
                ticket_key=self._key,
                clock=self.clock,
                claims=self.trust.claims,
            ),
            wake=lambda process: self.outbox.wake(process),
            record=self.usage.record,
            clock=self.clock,
            new_id=self._world.new_id,
            patience=self._patience,
            moved=lambda flow: self.streams.look_again(flow.pid),
            worker=self.stores.worker,
        )

    @cached_property
    def pushes(self) -> Pushes[DataFlow]:
        """Pushes the data of flows to where it is wanted."""
        return Pushes(
            room=self.flows,
            streams=self.streams,
            lines=HttpPushLines(self._world.http.egress),
            clock=self.clock,
            most=self.settings.signaling.most_pushes,
            patience=self._patience,
        )

    @cached_property
    def transfer_pushes(self) -> Pushes[Transfer]:
        """Pushes the data of transfers to where their consumers take it."""
        return Pushes(
            room=self.transfers,
            streams=self.streams,
            lines=HttpPushLines(self._world.http.egress),
            clock=self.clock,
            most=self.settings.transfer.most_pushes,
            patience=self._patience,
            every=RECOVERY,
        )

    @cached_property
    def doors(self) -> StreamDoors:
        """The doors through which data leaves."""
        return StreamDoors(self.streams, self.settings.stream)

    # --- small parts -----------------------------------------------------------------------------

    @cached_property
    def _us(self) -> Us:
        return Us(self._did, self._key, self.clock, self._world.new_id)

    @cached_property
    def _process(self) -> dict[str, Any]:
        """What negotiations and transfers are given alike."""
        return {
            "wake": lambda process: self.outbox.wake(process),
            "remind": lambda due: self.outbox.remind(due),
            "record": self.usage.record,
            "clock": self.clock,
            "new_id": self._world.new_id,
            "did": self._did,
            "callback": self._dsp_url,
            "patience": self._patience,
        }

    @cached_property
    def _holder(self) -> Holder:
        flight = (FORMAT_ARROW_FLIGHT,) if self.settings.stream.flight_port is not None else ()
        push = (FORMAT_HTTP_PUSH,) if self.settings.transfer.most_pushes else ()
        formats = (FORMAT_ARROW_HTTP, *flight, *push)
        return Holder(self._did, self.settings.name, self._dsp_url, formats=formats)

    @cached_property
    def _push(self) -> CatalogPush:
        catalogs = [(each.id, each.url) for each in self.settings.catalogs if each.push]
        return CatalogPush(
            catalogs=catalogs, holder=self._holder, clock=self.clock, new_id=self._world.new_id
        )

    @cached_property
    def _sources(self) -> ParquetSources:
        return ParquetSources(self.settings.data.roots, self.clock)

    @cached_property
    def _received(self) -> ReceivedFiles:
        receive = self.settings.receive
        return ReceivedFiles(self._state / RECEIVED, Room(receive.most_files, receive.most_bytes_kept))

    @cached_property
    def _control_planes(self) -> HttpControlPlanes:
        return HttpControlPlanes(self._world.http, self._planes)

    # --- doors -----------------------------------------------------------------------------------

    def _open_doors(self) -> None:
        """Give the doors the services that they call."""
        behind = Behind(
            us=self._us,
            trust=self.trust,
            negotiations=self.negotiations,
            transfers=self.transfers,
            offerings=self.offerings,
            outbox=self.outbox,
            usage=self.usage,
            streams=self.streams,
            flows=self.flows,
            previews=self.previews,
            promises=self.promises,
            agreement=lambda name: self.stores.negotiations.agreement(name).as_evidence(),
            files=lambda: files_below(self.settings.data.roots, SUFFIXES),
            catalogues=HttpCatalogues(
                self._world.http, self.trust, [(each.id, each.url) for each in self.settings.catalogs]
            ).search,
        )
        api_key = (self._state / API_KEY_FILE).read_bytes().strip()
        open_doors(self.app, behind, Front(self.settings.name, self.settings.public_url, api_key))

    def _open_signaling(self) -> None:
        """Open the doors for foreign control planes, and for what is pushed to us."""

        def followed(pid: str) -> None:
            self.flows.follow_up(pid)
            self.pushes.begin(pid)

        known = KnownPlanes(self._planes)
        self.app.include_router(
            signaling_router(
                flows=self.flows,
                known=known,
                any_known=bool(known),
                new_id=self._world.new_id,
                followed=followed,
            )
        )
        receive = self.settings.receive
        pace = Pace(receive.stall_seconds, receive.least_bytes, receive.most_seconds)
        self.app.include_router(sink_router(self.sinks, pace))


def build(settings: Settings, world: World | None = None) -> Connector:
    """Put a connector together from its settings.

    Raises:
        Misconfigured: naming the setting that cannot work.
        StorageUnavailable: if the database cannot be reached.
    """
    return Connector(settings, world or World(Http(Egress.allowing(settings.egress.allow))))


def _rule(given: RuleSettings) -> Rule:
    """Return a rule as the rooms read it.

    Raises:
        Misconfigured: naming what no rule can do.
    """
    if given.do not in list(Do):
        raise Misconfigured(f"a rule cannot {given.do!r}; it can {', '.join(Do)}")
    said = given.model_dump() | {"do": Do(given.do), "role": Role(given.role) if given.role else None}
    return Rule(**said)


def _members(settings: Settings, world: World) -> Callable[[], MemberList]:
    """Return where the member list comes from; without one, nobody is a member."""
    if settings.members is None:
        return lambda: MemberList(space="none", serial=0)
    authority = OKPKey.import_key(dict(settings.members.authority))
    return fetch_members(world.http, settings.members.url, authority, world.clock)


def serve_until_stopped(connector: Connector) -> None:
    """Serve a connector until the process is told to stop."""
    uvicorn.run(
        connector.app,
        host=connector.settings.host,
        port=connector.settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
