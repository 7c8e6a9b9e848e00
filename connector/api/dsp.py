"""The door that speaks the Dataspace Protocol, provider and consumer alike.

The paths of messages are those of the one table in `schemas.binding.paths`. Every path is served with
and without a trailing slash.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask
from starlette.responses import Response

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
    join,
)
from schemas.binding.server import answer, bounded_body, parse_json
from schemas.dcat import Catalog, RootDataset
from schemas.dsp.catalog import CatalogRequestMessage
from schemas.dsp.version import Auth, Version, VersionDocument
from schemas.errors import Malformed, NotFound
from schemas.jsonld import compact_form
from schemas.vocab import DSP_VERSION, EDC

MOST_PAGE = 250
"""Datasets of one page of the catalogue."""
MOST_OFFSET = 10_000_000
MOST_TEXT = 200
WORTH_ZIPPING = 1024

Admit = Callable[[str | None], Any]
"""Turns an `Authorization` header into the caller, or raises."""


async def _body(request: Request) -> bytes:
    return await bounded_body(request)


Body = Annotated[bytes, Depends(_body)]


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
    catalog = _CatalogDoor(admit, offerings, base_url)
    _serve(router, "/catalog/request", catalog.request, "POST")
    _serve(router, DATASET_PATH.replace("{id}", "{id:path}"), catalog.dataset, "GET")
    return router


def _serve(router: APIRouter, path: str, endpoint: Callable[..., Response], method: str) -> None:
    router.add_api_route(path, endpoint, methods=[method], response_model=None)
    router.add_api_route(path + "/", endpoint, methods=[method], response_model=None, include_in_schema=False)


def _document(request: Request, body: bytes) -> dict[str, Any]:
    """Parse a body; what it says is kept for the error body, which names the processes."""
    parsed = parse_json(body)
    request.state.document = parsed
    return compact_form(parsed)


def _message_door(route: Route, admit: Admit, room: Negotiations | Transfers) -> Callable[..., Response]:
    kind: type[Message] = route.message

    def take(request: Request, body: Body) -> Response:
        caller = admit(request.headers.get("authorization"))
        message = kind.read(_document(request, body))
        process: Any = room.receive(caller, message, request.path_params.get("pid"))
        # Our own next step waits until the answer has left: the peer learns our process id from it.
        return JSONResponse(
            process.as_answer().wire(),
            status_code=route.status,
            background=BackgroundTask(room.follow_up, process.pid, process),
        )

    return take


def _state_door(admit: Admit, room: Negotiations | Transfers) -> Callable[..., Response]:
    def state(request: Request, pid: str) -> Response:
        caller = admit(request.headers.get("authorization"))
        return answer(room.get(caller, pid).as_answer())

    return state


@dataclass(frozen=True)
class Page:
    """Which part of a catalogue is asked for."""

    offset: int = 0
    limit: int = MOST_PAGE
    text: str | None = None

    def token(self) -> str:
        """Return the page as a continuation token."""
        said = json.dumps([self.offset, self.limit, self.text]).encode()
        return base64.urlsafe_b64encode(said).decode().rstrip("=")

    @classmethod
    def from_token(cls, token: str) -> Page:
        """Read a continuation token.

        Raises:
            Malformed: if it is none of ours.
        """
        try:
            offset, limit, text = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except (ValueError, TypeError, RecursionError):
            raise Malformed("continuation is no token of this catalogue; start again without it") from None
        return cls(_whole("offset", offset, MOST_OFFSET), min(_limit(limit), MOST_PAGE), _text(text))

    @classmethod
    def from_filter(cls, filters: tuple[Any, ...]) -> Page:
        """Read a catalogue filter: EDC's QuerySpec, or our `{"text": …}`.

        Raises:
            Malformed: naming what is not supported.
        """
        page = cls()
        for item in filters:
            if not isinstance(item, Mapping):
                raise Malformed(f"filter {str(item)[:80]!r} is not supported; {_SUPPORTED}")
            if set(item) <= {"text", "@type", "@context"} and "text" in item:
                page = cls(page.offset, page.limit, _text(item["text"]))
            elif str(item.get("@type")) in ("QuerySpec", EDC + "QuerySpec"):
                page = _from_query(item, page.text)
            else:
                raise Malformed(f"filter with {sorted(map(str, item))[:8]} is not supported; {_SUPPORTED}")
        return page


_SUPPORTED = 'supported: {"text": "words"} and QuerySpec with offset and limit'


def _from_query(query: Mapping[str, Any], text: str | None) -> Page:
    said = {str(key).removeprefix(EDC): value for key, value in query.items()}
    for name in ("filterExpression", "sortField"):
        if said.get(name):
            raise Malformed(f"filter: QuerySpec.{name} is not supported; {_SUPPORTED}")
    offset = _whole("offset", said.get("offset", 0), MOST_OFFSET)
    return Page(offset, min(_limit(said.get("limit", MOST_PAGE)), MOST_PAGE), text)


def _limit(value: Any) -> int:
    limit = _whole("limit", value, 2**31)
    if limit < 1:
        raise Malformed("filter: limit is 0; expected at least 1")
    return limit


def _whole(name: str, value: Any, most: int) -> int:
    plain = value.get("@value") if isinstance(value, Mapping) else value
    if isinstance(plain, bool) or not isinstance(plain, int) or not 0 <= plain <= most:
        raise Malformed(f"filter: {name} is {str(plain)[:40]!r}; expected a whole number up to {most}")
    return plain


def _text(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > MOST_TEXT):
        raise Malformed(f"filter: text is not a text of at most {MOST_TEXT} characters")
    return value or None


class _CatalogDoor:
    def __init__(self, admit: Admit, offerings: Offerings, base_url: str) -> None:
        self._admit = admit
        self._offerings = offerings
        self._url = join(base_url, "/catalog/request")

    def request(self, request: Request, body: Body, continuation: str | None = None) -> Response:
        """Answer a catalogue request, one page at a time."""
        self._admit(request.headers.get("authorization"))
        message = CatalogRequestMessage.read(_document(request, body))
        page = Page.from_token(continuation) if continuation else Page.from_filter(message.filter)
        # One more than asked for tells whether there is a next page.
        found = self._offerings.catalog(page.offset, page.limit + 1, page.text)
        headers = {}
        if links := self._links(page, len(found.dataset) > page.limit):
            headers["Link"] = links
        return _zipped(request, found.model_copy(update={"dataset": found.dataset[: page.limit]}), headers)

    def _links(self, page: Page, more: bool) -> str:
        pages = []
        if more:
            pages.append(("next", Page(page.offset + page.limit, page.limit, page.text)))
        if page.offset:
            pages.append(("previous", Page(max(0, page.offset - page.limit), page.limit, page.text)))
        return ", ".join(f'<{self._url}?continuation={other.token()}>; rel="{rel}"' for rel, other in pages)

    def dataset(self, request: Request, id: str) -> Response:
        """Answer a dataset request."""
        self._admit(request.headers.get("authorization"))
        try:
            dataset = self._offerings.dataset(id)
        except NotFound:
            # The path is taken without a trailing slash, but an IRI may end in one.
            if not id.endswith("/"):
                raise
            dataset = self._offerings.dataset(id.removesuffix("/"))
        return _zipped(request, RootDataset.model_validate(dataset.model_dump(by_alias=True)), {})


def _zipped(request: Request, document: Catalog | RootDataset, headers: dict[str, str]) -> Response:
    content = json.dumps(document.wire(), ensure_ascii=False, separators=(",", ":")).encode()
    headers["Vary"] = "Accept-Encoding"
    if len(content) >= WORTH_ZIPPING and _takes_gzip(request.headers.get("accept-encoding", "")):
        content = gzip.compress(content, compresslevel=4, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type="application/json")


def _takes_gzip(accepted: str) -> bool:
    for item in accepted.lower().split(","):
        coding, _, weight = item.strip().partition(";")
        if coding.strip() in ("gzip", "*") and weight.replace(" ", "") not in (
            "q=0",
            "q=0.0",
            "q=0.00",
            "q=0.000",
        ):
            return True
    return False
