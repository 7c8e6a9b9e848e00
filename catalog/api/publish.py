"""Pushing datasets in, taking them out, and telling the catalogue whom to crawl."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from catalog.api.auth import member_door, operator_door
from catalog.crawl import Crawler
from catalog.ingest import Ingest, Taken
from catalog.members import Callers
from catalog.ports import OriginState
from catalog.records import Origin, Way, as_list
from schemas.base import Document
from schemas.binding.server import bounded_body, json_body, parse_json
from schemas.errors import NotFound, TooLarge
from schemas.identity import Member, did_url

MOST_BODY = 64 << 20
"""Bytes of a push."""
MOST_DATASETS = 1000
"""Datasets of a push."""


class NewOrigin(Document):
    """A participant to crawl: its DID and the base URL of its DSP endpoints."""

    id: str = Field(max_length=512)
    url: str = Field(max_length=2048, pattern=r"^https?://[^\s?#]+$")


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "accepted": taken.accepted,
        "unchanged": taken.unchanged,
        "refused": [asdict(refused) for refused in taken.refused],
    }


def _spoken(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def origin_view(state: OriginState) -> dict[str, Any]:
    """Return how an origin stands, in JSON."""
    names = {"next_try": "nextTry"}
    hidden = ("next_page", "run")
    return {names.get(key, key): _spoken(value) for key, value in asdict(state).items() if key not in hidden}


def publish_router(ingest: Ingest, callers: Callers) -> APIRouter:
    """Return the doors through which providers publish."""
    router = APIRouter()
    provider_door = member_door(callers, "provider")

    async def body_after_door(request: Request, provider: Annotated[Member, Depends(provider_door)]) -> bytes:
        # A stranger's body is never read: the door comes first.
        return await bounded_body(request, MOST_BODY)

    @router.post("/publish")
    def push(
        provider: Annotated[Member, Depends(provider_door)], body: Annotated[bytes, Depends(body_after_door)]
    ) -> JSONResponse:
        document = parse_json(body)
        count = len(as_list(document.get("dataset"))) if isinstance(document, dict) else 0
        if count > MOST_DATASETS:
            raise TooLarge(f"{count} datasets in one push; at most {MOST_DATASETS}; push the rest separately")
        return JSONResponse(_taken(ingest.take(document, Origin(provider.id, Way.PUSHED))))

    @router.delete("/publish/datasets/{dataset:path}")
    def withdraw(dataset: str, provider: Annotated[Member, Depends(provider_door)]) -> JSONResponse:
        ingest.withdraw(provider.id, dataset, "withdrawn by its provider")
        return JSONResponse({"withdrawn": dataset})

    return router


def origins_router(crawler: Crawler, operator_key: str) -> APIRouter:
    """Return the operator's doors: whom to crawl."""
    router = APIRouter(prefix="/origins", dependencies=[Depends(operator_door(operator_key))])

    @router.get("")
    def origins() -> JSONResponse:
        return JSONResponse([origin_view(state) for state in crawler.origins()])

    @router.post("")
    def add(document: Annotated[Any, Depends(json_body)]) -> JSONResponse:
        new = NewOrigin.read(document)
        did_url(new.id)
        return JSONResponse(origin_view(crawler.add(new.id, new.url.rstrip("/"))), status_code=201)

    @router.delete("/{origin:path}")
    def remove(origin: str) -> JSONResponse:
        if not crawler.remove(origin):
            raise NotFound(f"{origin[:120]!r} is not an origin here")
        return JSONResponse({"removed": origin})

    @router.post("/{origin:path}/crawl")
    def crawl_now(origin: str) -> JSONResponse:
        if not crawler.hasten(origin):
            raise NotFound(f"{origin[:120]!r} is not an origin here")
        return JSONResponse({"due": origin}, status_code=202)

    return router
