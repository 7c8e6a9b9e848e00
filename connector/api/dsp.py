"""The door that speaks the Dataspace Protocol, provider and consumer alike.

The paths of messages are those of the one table in `schemas.binding.paths`. Every path is served with
and without a trailing slash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask
from starlette.responses import Response

from connector.api.catalog_page import Admit, Body, CatalogDoor, document_of
from connector.negotiation.service import Negotiations
from connector.offering.service import Offerings
from connector.transfer.service import Transfers
from schemas.base import Message
from schemas.binding.paths import (
    DATASET_PATH,
    NEGOTIATION_PATH,
    ROUTES,
    TRANSFER_PATH,
    VERSION_PATH,
    Route,
)
from schemas.binding.server import answer
from schemas.dsp.catalog import CatalogRequestMessage
from schemas.dsp.version import Auth, Version, VersionDocument
from schemas.foreign import time_to_save
from schemas.vocab import DSP_VERSION


def version_router(prefix: str, *, auth: Auth) -> APIRouter:
    """Return the version document's door, at the root: it needs no token."""
    router = APIRouter()
    document = VersionDocument(
        protocol_versions=(
            Version(
                version=DSP_VERSION,
                path=prefix,
                identifier_type="did:web",
                auth=auth,
            ),
        )
    )

    def versions() -> JSONResponse:
        return answer(document)

    _serve(router, VERSION_PATH, versions, "GET")
    return router


def dsp_router(
    *,
    admit: Admit,
    negotiations: Negotiations,
    transfers: Transfers,
    offerings: Offerings,
    base_url: str,
) -> APIRouter:
    """Return the doors below the DSP base path; `base_url` is how peers reach them, for page links."""
    router = APIRouter()
    for route in ROUTES:
        if route.message is CatalogRequestMessage:
            continue
        room = negotiations if route.path.startswith("/negotiations") else transfers
        _serve(router, route.path, _message_door(route, admit, room), "POST")
    for path, room in ((NEGOTIATION_PATH, negotiations), (TRANSFER_PATH, transfers)):
        _serve(router, path, _state_door(admit, room), "GET")
    catalog = CatalogDoor(admit, offerings, base_url)
    _serve(router, "/catalog/request", catalog.request, "POST")
    _serve(router, DATASET_PATH.replace("{id}", "{id:path}"), catalog.dataset, "GET")
    return router


def _serve(router: APIRouter, path: str, endpoint: Callable[..., Response], method: str) -> None:
    router.add_api_route(path, endpoint, methods=[method], response_model=None)
    router.add_api_route(path + "/", endpoint, methods=[method], response_model=None, include_in_schema=False)


def _message_door(route: Route, admit: Admit, room: Negotiations | Transfers) -> Callable[..., Response]:
    kind: type[Message] = route.message

    def take(request: Request, body: Body) -> Response:
        caller = admit(request.headers.get("authorization"))
        message = kind.read(document_of(request, body))
        process: Any = room.receive(caller, message, request.path_params.get("pid"))
        # Our own next step waits until the answer has left: the peer learns our process id from it.
        return JSONResponse(
            process.as_answer().wire(),
            status_code=route.status,
            background=BackgroundTask(
                room.follow_up, process.pid, process, after=time_to_save(message.context)
            ),
        )

    return take


def _state_door(admit: Admit, room: Negotiations | Transfers) -> Callable[..., Response]:
    def state(request: Request, pid: str) -> Response:
        caller = admit(request.headers.get("authorization"))
        return answer(room.get(caller, pid).as_answer())

    return state
