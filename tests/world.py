"""A small data space in one process: connectors joined by ASGI, on real stores, under the world's clock.

Nothing is delivered until `settle` says so, and time stands still until `pass_time`. The wire can lose a
message, or the answer to it. Stores can fail before or after they saved.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from starlette.responses import JSONResponse, PlainTextResponse

from connector.adapters.courier import HttpCourier
from connector.adapters.received import ReceivedFiles
from connector.adapters.sql import SqlStores
from connector.api.dsp import dsp_router, version_router
from connector.api.sink import Pace, sink_router
from connector.dataplane.sink import Sinks
from connector.negotiation.judge import Case, Judge, Judging, Verdict
from connector.negotiation.ports import Negotiation
from connector.negotiation.revocation import Revocations
from connector.negotiation.service import Negotiations
from connector.offering.ports import Offering
from connector.offering.sought import Sought
from connector.outbox.rules import Where
from connector.outbox.service import Outbox
from connector.transfer.hold import terminate_under
from connector.transfer.judge import Judge as StartAllowed
from connector.transfer.judge import Judging as TransferJudging
from connector.transfer.ports import Transfer
from connector.transfer.service import Transfers
from connector.transfer.starts import Starts
from connector.trust.members import MembersTrust, fetch_members
from policies.fitting import fit_to_columns
from schemas.base import LangString, Message
from schemas.binding.client import Egress, Http, Reply
from schemas.binding.did import DidResolver
from schemas.binding.server import install_errors
from schemas.dcat import Catalog, Column, DataService, Dataset, Distribution
from schemas.dsp.transfer import DataAddress, EndpointProperty
from schemas.errors import NotFound, StorageUnavailable
from schemas.identity import Member, MemberList, did_for, document_for, generate_key, sign_members
from schemas.odrl import DeclaredUse, Offer
from schemas.usage import UsageRecord
from schemas.vocab import DPV, ENDPOINT_HTTP, FORMAT_ARROW_HTTP, HANSA

PREFIX = "/dsp/2025-1"
AUTHORITY = "http://localhost:8000/members.jwt"
RESEARCH = DPV + "ResearchAndDevelopment"
SCIENCE = DPV + "ScientificResearch"
MARKETING = DPV + "Marketing"
TRAIN = HANSA + "train"

Fault = Callable[[httpx2.Request], str | None]
"""Looks at a request, and says nothing, or "lose": it never arrives. Else it does arrive, and the answer is
lost ("lose answer"), or another one stands in its place: "conflict", "rubbish".
"""


class Wire(httpx2.BaseTransport):
    """Joins the connectors of a world: each host name leads to its ASGI application."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal = portal
        self.apps: dict[str, Any] = {}
        self.log: list[tuple[str, str, int]] = []
        self.faults: list[Fault] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        app = self.apps.get(request.url.netloc.decode())
        wrong = next(filter(None, (fault(request) for fault in self.faults)), None)
        if app is None or wrong == "lose":
            raise httpx2.ConnectError(f"nobody answers at {request.url}")
        response: httpx2.Response = self._portal.call(self._call, app, request)
        self.log.append((request.method, request.url.path, response.status_code))
        if wrong == "lose answer":
            raise httpx2.ReadError("the answer was lost")
        if wrong == "conflict":
            return httpx2.Response(409, json={"detail": "somebody says no"})
        if wrong == "rubbish":
            return httpx2.Response(200, content=b"<html>It works!</html>")
        return response

    async def _call(self, app: Any, request: httpx2.Request) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        response = await transport.handle_async_request(request)
        body = b"".join([part async for part in response.aiter_raw()])
        return httpx2.Response(response.status_code, headers=response.headers, stream=httpx2.ByteStream(body))


class Failing:
    """A store of which one call will fail, before or after it did its work."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._plan: tuple[str, str] | None = None
        self._spared = 0

    def fail(self, method: str, when: str, *, spare: int = 0) -> None:
        """Have a call of a method fail `when` ("before" or "after" saving), after so many that succeed."""
        self._plan, self._spared = (method, when), spare

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if self._plan is None or self._plan[0] != name:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._plan is None or self._spared:
                self._spared -= 1
                return real(*args, **kwargs)
            (_, when), self._plan = self._plan, None
            if when == "after":
                real(*args, **kwargs)
            raise StorageUnavailable(f"the disk is full ({name}, {when} saving)")

        return call


@dataclass
class Party:
    """One participant: everything of a connector that these tests need."""

    world: World
    did: str
    url: str
    stores: SqlStores
    trust: MembersTrust
    http: Http
    outbox: Outbox
    negotiations: Negotiations
    revocations: Revocations
    transfers: Transfers
    negotiation_store: Failing
    transfer_store: Failing
    woken: list[str] = field(default_factory=list)

    @property
    def dsp(self) -> str:
        return self.url + PREFIX

    def publish(self, dataset: str, *offers: Offer, title: str = "A dataset") -> None:
        """Offer a dataset without a file behind it."""
        described = Dataset(
            id=dataset,
            title=(LangString(value=title),),
            has_policy=offers,
            distribution=(Distribution(format=FORMAT_ARROW_HTTP, access_service=self.dsp),),
            columns=(Column(name="id", datatype="int64"), Column(name="name", datatype="string")),
        )
        self.stores.offerings.put([Offering(described, f"{dataset}.parquet", self.world.now)])

    def ask(self, provider: Party, dataset: str, offer: Offer, use: DeclaredUse | None = None) -> Negotiation:
        """Open a negotiation as consumer."""
        return self.negotiations.request(
            provider=provider.did, endpoint=provider.dsp, dataset=dataset, offer=offer, use=use
        )

    def agree(
        self, provider: Party, dataset: str, offer: Offer, use: DeclaredUse | None = None
    ) -> Negotiation:
        """Negotiate until nobody has mail any more, and return our side of it."""
        opened = self.ask(provider, dataset, offer, use)
        self.world.settle()
        return self.negotiations.own(opened.pid)

    def mirror(self, process: Negotiation | Transfer) -> Any:
        """Return our own record of a counterparty's process."""
        room: Any = self.negotiations if isinstance(process, Negotiation) else self.transfers
        return room.own(process.counter_pid)

    def post(self, to: Party, path: str, document: Any, *, token: str | None = None) -> Reply:
        """Post a document to another connector's DSP door, by hand."""
        authorization = self.trust.prove(to.did) if token is None else token
        wired = document.wire() if isinstance(document, Message) else document
        return self.http.post(to.dsp + path, wired, {"Authorization": authorization})

    def fetch(self, of: Party, path: str) -> Reply:
        """Get a path of another connector's DSP door."""
        return self.http.get(of.dsp + path, {"Authorization": self.trust.prove(of.did)})

    def records(self) -> list[UsageRecord]:
        """Return what the usage log of this participant will hold, in order."""
        self.stores.usage.sequence()
        return [UsageRecord.model_validate_json(entry.record) for entry in self.stores.usage.entries(0, 1000)]

    def told(self) -> list[str]:
        """Return the kinds of the usage records, in order."""
        return [record.kind.value for record in self.records()]


class World:
    """A data space with an authority, any number of connectors, one clock and one wire."""

    def __init__(
        self, folder: Path, portal: BlockingPortal, database: Callable[[str], str] | None = None
    ) -> None:
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self.wire = Wire(portal)
        self.parties: list[Party] = []
        self.members: list[Member] = []
        self.serial = 1
        self._authority = generate_key()
        self._numbers = itertools.count(1)
        self._ports = itertools.count(8101)
        self._folder = folder
        self._database = database or (lambda name: f"sqlite:///{folder / name}.sqlite")
        authority = FastAPI()
        authority.add_api_route("/members.jwt", self._member_list, response_model=None)
        self.wire.apps["localhost:8000"] = authority

    def clock(self) -> datetime:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def new_id(self) -> str:
        return f"urn:uuid:00000000-0000-4000-8000-{next(self._numbers):012d}"

    def _member_list(self) -> PlainTextResponse:
        members = MemberList(space="test-space", serial=self.serial, members=tuple(self.members))
        return PlainTextResponse(
            sign_members(members, self._authority, at=self.now, life=timedelta(hours=1)),
            media_type="application/jwt",
        )

    def join(
        self,
        name: str,
        *,
        roles: tuple[str, ...] = ("provider", "consumer"),
        judge: Judging | None = None,
        transfer_judge: TransferJudging | None = None,
        listed: bool = True,
    ) -> Party:
        """Add a connector, and its participant to the member list."""
        port = next(self._ports)
        url = f"http://localhost:{port}"
        did, key = did_for(url), generate_key()
        if listed:
            until = self.now + timedelta(days=365)
            self.members.append(
                Member.model_validate(
                    {"id": did, "thumbprint": key.kid, "roles": roles, "valid_to": until, "name": name}
                )
            )
            self.serial += 1
        stores = SqlStores(self._database(name))
        http = Http(Egress(), transport=self.wire)
        trust = MembersTrust(
            did=did,
            key=key,
            resolver=DidResolver(http, self.clock),
            replay=stores.replay,
            members=fetch_members(http, AUTHORITY, self._authority, self.clock),
            clock=self.clock,
            new_id=self.new_id,
        )
        judges = (judge or Judge(), transfer_judge or StartAllowed())
        party = self._wire_up(did, url, key, stores, trust, http, judges, self._folder / f"{name}-got")
        self.parties.append(party)
        return party

    def _wire_up(
        self,
        did: str,
        url: str,
        key: Any,
        stores: SqlStores,
        trust: MembersTrust,
        http: Http,
        judges: tuple[Judging, TransferJudging],
        landing: Path,
    ) -> Party:
        senders: dict[Any, Any] = {}
        woken: list[str] = []
        outbox = Outbox(
            store=stores.outbox, courier=HttpCourier(http, trust), senders=senders, clock=self.clock
        )

        def record(kind: Any, **fields: Any) -> UsageRecord:
            at = int(self.now.timestamp() * 1_000_000)
            return UsageRecord(id=self.new_id(), at=at, kind=kind, log=did, **fields)

        common: dict[str, Any] = {
            "wake": woken.append,
            "remind": lambda due: None,
            "record": record,
            "clock": self.clock,
            "new_id": self.new_id,
            "did": did,
            "callback": url + PREFIX,
        }
        negotiation_store, transfer_store = Failing(stores.negotiations), Failing(stores.transfers)
        negotiations = Negotiations(
            store=negotiation_store,
            offerings=stores.offerings,
            fit=lambda dataset, policy: fit_to_columns(policy, stores.offerings.get(dataset).dataset.columns),
            judge=judges[0],
            claims=trust.claims,
            **common,
        )
        sinks = Sinks(
            secret=b"s" * 32,
            inlets=lambda: (transfers,),
            landing=ReceivedFiles(landing),
            url=url,
            most_bytes=1 << 20,
            clock=self.clock,
        )
        transfers = Transfers(
            store=transfer_store,
            agreements=stores.negotiations,
            offerings=stores.offerings,
            starts=Starts(
                agreements=stores.negotiations,
                usage=stores.usage,
                addresses=_address,
                ticket_key=key,
                clock=self.clock,
                claims=trust.claims,
            ),
            judge=judges[1],
            sinks=sinks.address,
            **common,
        )
        senders |= {"negotiation": negotiations, "transfer": transfers}
        shown: Any = Shown(self, did, url + PREFIX, stores)
        app = FastAPI()
        app.add_api_route(
            "/.well-known/did.json", lambda: JSONResponse(document_for(did, key).wire()), response_model=None
        )
        app.include_router(version_router(PREFIX, auth=trust.described()))
        app.include_router(
            dsp_router(
                admit=trust.admit,
                negotiations=negotiations,
                transfers=transfers,
                offerings=shown,
                base_url=url + PREFIX,
            ),
            prefix=PREFIX,
        )
        app.include_router(sink_router(sinks, Pace(stall_seconds=5)))
        install_errors(app, PREFIX)
        self.wire.apps[urlsplit(url).netloc] = app
        return Party(
            self,
            did,
            url,
            stores,
            trust,
            http,
            outbox,
            negotiations,
            Revocations(
                store=negotiation_store,
                record=record,
                clock=self.clock,
                remind=lambda due: None,
                ended=partial(terminate_under, transfers),
            ),
            transfers,
            negotiation_store,
            transfer_store,
            woken,
        )

    def settle(self, most: int = 200) -> int:
        """Deliver what is due until nobody has mail that is due; return how many rounds that took."""
        for turn in range(most):
            moved = [
                party.outbox.deliver(process)
                for party in self.parties
                for process in party.stores.outbox.due(self.now)
            ]
            if not any(moved):
                return turn
        raise AssertionError(f"the world did not settle in {most} rounds: {self.wire.log[-20:]}")

    def close(self) -> None:
        for party in self.parties:
            party.http.close()
            party.stores.close()


class Shown:
    """What the catalogue door asks of offerings, straight from the store."""

    def __init__(self, world: World, did: str, url: str, stores: SqlStores) -> None:
        self._world, self._did, self._url, self._stores = world, did, url, stores

    def catalog(self) -> Catalog:
        return Catalog(
            id=f"{self._did}#catalog",
            participant_id=self._did,
            service=(DataService(id=f"{self._did}#dsp", endpoint_url=self._url),),
        )

    def told(self, offset: int, limit: int, sought: Sought) -> Sequence[bytes]:
        return self._stores.offerings.told(offset, limit, sought)

    def dataset(self, dataset_id: str) -> Dataset:
        offering = self._stores.offerings.get(dataset_id)
        if offering.withdrawn is not None:
            raise NotFound(f"no dataset {dataset_id!r} here")
        return offering.dataset


class Decides:
    """A judge that asks a function where it is our turn."""

    def __init__(self, decision: Callable[[Case], Verdict]) -> None:
        self._decision = decision

    def speaks(self, where: Where) -> bool:
        return Judge().speaks(where)

    def __call__(self, case: Case) -> Verdict:
        return self._decision(case)


def _address(transfer: Transfer, ticket: str) -> DataAddress:
    return DataAddress(
        endpoint_type=ENDPOINT_HTTP,
        endpoint=f"http://localhost:9/streams/{transfer.pid}",
        endpoint_properties=(EndpointProperty(name="authorization", value=ticket),),
    )


def open_offer(offer_id: str = "offer-open", **members: Any) -> Offer:
    """An offer that permits any use."""
    return Offer.read({"@id": offer_id, "permission": [{"action": "use"}], **members})


def research_offer(offer_id: str = "offer-research") -> Offer:
    """An offer that permits training for research only."""
    constraint = {"leftOperand": "purpose", "operator": "isA", "rightOperand": RESEARCH}
    return Offer.read({"@id": offer_id, "permission": [{"action": TRAIN, "constraint": [constraint]}]})


def use_for(purpose: str | None, action: str = TRAIN) -> DeclaredUse:
    """A declared use."""
    return DeclaredUse(action=action, purpose=purpose)


@contextmanager
def small_world(folder: Path, database: Callable[[str], str] | None = None) -> Iterator[World]:
    """Make a world and close it."""
    with start_blocking_portal() as portal:
        world = World(folder, portal, database)
        try:
            yield world
        finally:
            world.close()
