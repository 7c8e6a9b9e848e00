"""The door for a participant's own people and programs: publish, negotiate, transfer, see what waits.

Every call carries `Authorization: Bearer <API key>`. The key is compared by the predicate that `app` gives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from connector.api import views
from connector.api.offers import read_offer
from connector.negotiation.revocation import Revocations
from connector.negotiation.service import Negotiations
from connector.obligations.service import Ledger
from connector.offering.describe import Publication
from connector.offering.service import Offerings
from connector.offering.sought import Sought
from connector.outbox.service import Outbox
from connector.signaling.service import DataFlows
from connector.transfer.service import Transfers
from connector.usage.service import UsageLog
from policies.profile import action_iri, purpose_iri
from schemas.base import Document, Role
from schemas.binding.server import bounded_body, parse_json
from schemas.errors import Malformed, Refused, Unauthenticated
from schemas.odrl import DeclaredUse, Offer
from schemas.worded import told_json, wording

MOST_BODY = 32 << 20
MOST_ITEMS = 10_000
LONGEST_WAIT = 60.0
WAITERS = 64
"""Calls that wait at a time; they have threads of their own, so that they cannot starve the protocol."""


class Item(Document):
    """One data file to publish, with its offer: a template and its parameters, or ODRL."""

    source: str
    title: str
    offer: dict[str, Any]
    id: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    license: str | None = None
    landing_page: str | None = None
    consent: str | None = None
    access_rights: str | None = None
    version: str | None = None


class Items(Document):
    """A batch of data files to publish."""

    items: tuple[dict[str, Any], ...] = Field(max_length=MOST_ITEMS)


class Ask(Document):
    """A negotiation to open as consumer."""

    provider: str
    endpoint: str
    dataset: str
    offer: Offer
    use: DeclaredUse | None = None


class Fetch(Document):
    """A transfer to open as consumer."""

    agreement: str
    format: str
    use: DeclaredUse | None = None


class Why(Document):
    """Why something is ended or paused."""

    reason: str = Field(min_length=1, max_length=2000)


class Revocation(Why):
    """Why an agreement is revoked, and why its notice cannot be kept, if so."""

    emergency: str | None = Field(default=None, min_length=1, max_length=500)


class Term(Document):
    """For how many days a mandate holds."""

    days: int = Field(default=30, ge=1, le=366)


async def _json(request: Request) -> Any:
    return parse_json(await bounded_body(request, MOST_BODY) or b"{}")


Said = Annotated[Any, Depends(_json)]


def guarded(authorize: Callable[[str], bool]) -> APIRouter:
    """Return a router below `/management` that lets in who shows the API key."""

    async def keep_out(request: Request) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not authorize(token.strip()):
            raise Unauthenticated("expected 'Authorization: Bearer <API key>' with the key of this connector")

    return APIRouter(prefix="/management", dependencies=[Depends(keep_out)])


def management_router(  # noqa: PLR0913 - the rooms that the door opens to
    *,
    authorize: Callable[[str], bool],
    participant: str,
    negotiations: Negotiations,
    revocations: Revocations,
    transfers: Transfers,
    offerings: Offerings,
    outbox: Outbox,
    usage: UsageLog,
    mandate: Callable[[int], str],
    flows: DataFlows | None = None,
    ledger: Ledger | None = None,
) -> APIRouter:
    """Return the doors below `/management`; `mandate` makes an auditor's URL for so many days.

    `flows` are the data flows of foreign control planes, where there may be any; `ledger` tells what is owed.
    """
    router = guarded(authorize)
    _offer_doors(router, offerings)
    _negotiation_doors(router, negotiations, revocations, outbox)
    _transfer_doors(router, transfers, outbox)
    if flows is not None:
        _flow_doors(router, flows)

    @router.get("/status")
    def status() -> Any:
        health = usage.health()
        return {
            "participant": participant,
            "negotiations": [
                views.negotiation(one, negotiations, outbox) for one in negotiations.unfinished()
            ],
            "transfers": [views.transfer(one, transfers, outbox) for one in transfers.unfinished()],
            "obligations": [views.obligation(one) for one in (ledger.pressing() if ledger else ())],
            "outbox": [views.mail(one) for one in outbox.pending()],
            "log": {"size": health.size, "backlog": health.backlog, "problem": health.problem},
        }

    @router.post("/mandates", status_code=201)
    def mandates(said: Said) -> Any:
        return {"url": mandate(Term.read(said).days)}

    return router


def _offer_doors(router: APIRouter, offerings: Offerings) -> None:
    @router.post("/publications")
    def publish(said: Said) -> Any:
        items, refused = [], []
        for item in Items.read(said).items:
            try:
                items.append(_publication(item))
            except Refused as error:
                refused.append((str(item.get("source", "?"))[:400], wording(error)))
        report = offerings.publish(items)
        return {
            "published": list(report.published),
            "unchanged": list(report.unchanged),
            "refused": [
                {"source": source, "reason": why} | ({"told": told_json([why])} if told_json([why]) else {})
                for source, why in (*refused, *report.refused)
            ],
        }

    @router.get("/offers")
    def offers(
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        q: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Any:
        found = offerings.page(offset, limit, Sought(q))
        return {"datasets": [one.dataset.wire() for one in found], "total": offerings.count(Sought(q))}

    @router.delete("/offers/{id:path}")
    def withdraw(id: str) -> Any:
        return {"withdrawn": offerings.withdraw(id).dataset.id}


def _publication(item: dict[str, Any]) -> Publication:
    """Read one item.

    Raises:
        Refused: saying what does not fit, and where.
    """
    read = Item.read(item)
    described = read.model_dump(exclude={"offer"})
    offer = read_offer(read.offer, "")
    return Publication(**described, offers=(offer,))


def _negotiation_doors(
    router: APIRouter,
    negotiations: Negotiations,
    revocations: Revocations,
    outbox: Outbox,
) -> None:
    show = partial(views.negotiation, room=negotiations, outbox=outbox)

    @router.post("/negotiations", status_code=201)
    def ask(said: Said) -> Any:
        wanted = Ask.read(said)
        opened = negotiations.request(
            provider=wanted.provider,
            endpoint=wanted.endpoint,
            dataset=wanted.dataset,
            offer=wanted.offer,
            use=_use(wanted.use),
        )
        return show(opened)

    @router.get("/negotiations")
    def recent(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Any:
        return {"negotiations": [show(one) for one in negotiations.recent(limit)]}

    router.get("/negotiations/{pid}", response_model=None)(_waiting_door(negotiations, show))

    @router.post("/negotiations/{pid}/approval")
    def approve(pid: str) -> Any:
        return show(negotiations.approve(pid))

    @router.post("/negotiations/{pid}/termination")
    def terminate(pid: str, said: Said) -> Any:
        return show(negotiations.terminate(pid, Why.read(said).reason))

    @router.get("/agreements")
    def agreements(dataset: str | None = None, role: Role | None = None) -> Any:
        return {"agreements": [views.agreement(held) for held in negotiations.agreements(dataset, role)]}

    @router.post("/agreements/{id:path}/revocation")
    def revoke(id: str, said: Said) -> Any:
        wanted = Revocation.read(said)
        revoked, ended = revocations.revoke(id, wanted.reason, wanted.emergency)
        return views.agreement(revoked) | {"transfersEnded": ended}


def _transfer_doors(router: APIRouter, transfers: Transfers, outbox: Outbox) -> None:
    show = partial(views.transfer, room=transfers, outbox=outbox)

    @router.post("/transfers", status_code=201)
    def fetch(said: Said) -> Any:
        wanted = Fetch.read(said)
        return show(transfers.request(wanted.agreement, _use(wanted.use), wanted.format))

    @router.get("/transfers")
    def recent(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Any:
        return {"transfers": [show(one) for one in transfers.recent(limit)]}

    router.get("/transfers/{pid}", response_model=None)(_waiting_door(transfers, show))

    @router.post("/transfers/{pid}/completion")
    def complete(pid: str) -> Any:
        return show(transfers.complete(pid))

    @router.post("/transfers/{pid}/suspension")
    def suspend(pid: str, said: Said) -> Any:
        return show(transfers.suspend(pid, Why.read(said).reason))

    @router.post("/transfers/{pid}/start")
    def start(pid: str) -> Any:
        return show(transfers.start(pid))

    @router.post("/transfers/{pid}/termination")
    def terminate(pid: str, said: Said) -> Any:
        return show(transfers.terminate(pid, Why.read(said).reason))


def _flow_doors(router: APIRouter, flows: DataFlows) -> None:
    @router.get("/dataflows")
    def recent(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Any:
        return {"dataflows": [views.flow(one) for one in flows.recent(limit)]}

    @router.get("/dataflows/{pid}")
    def one(pid: str) -> Any:
        return views.flow(flows.own(pid))

    @router.post("/dataflows/{pid}/completion")
    def complete(pid: str) -> Any:
        return views.flow(flows.complete(pid))

    @router.post("/dataflows/{pid}/termination")
    def terminate(pid: str, said: Said) -> Any:
        return views.flow(flows.give_up(pid, Why.read(said).reason))


def _waiting_door(
    room: Negotiations | Transfers, show: Callable[[Any], dict[str, Any]]
) -> Callable[..., Awaitable[JSONResponse]]:
    """Return the door that shows a process, after waiting until it is in a named state (or has ended)."""
    waiters = CapacityLimiter(WAITERS)

    async def one(pid: str, wait: str = "", timeout: float = 0.0) -> JSONResponse:
        if not 0 <= timeout <= LONGEST_WAIT:
            raise Malformed(f"timeout is {timeout}; expected 0 to {LONGEST_WAIT:.0f} seconds")
        states = frozenset(filter(None, (state.strip().upper() for state in wait.split(","))))
        wanted = partial(room.wait, pid, states, timeout if states else 0.0)
        return JSONResponse(await to_thread.run_sync(lambda: show(wanted()), limiter=waiters))

    return one


def _use(use: DeclaredUse | None) -> DeclaredUse | None:
    """Take a use in the words of people ("train", "ScientificResearch") as well as in IRIs."""
    if use is None:
        return None
    return DeclaredUse(
        action=action_iri(use.action), purpose=purpose_iri(use.purpose) if use.purpose else None
    )
