"""The catalogue as the Dataspace Protocol's door shows it: filters, pages and their links, one dataset.

Source: Dataspace Protocol 2025-1, chapter 5; the filters of peers are read by `schemas.foreign`.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request
from pydantic_core import to_json
from starlette.responses import Response

from connector.offering.service import Offerings
from connector.offering.sought import ALL, Sought
from policies.compiled import compile_policy
from policies.reservation import Reservation, reservation
from schemas.binding.paths import join
from schemas.binding.server import bounded_body, parse_json
from schemas.dcat import Catalog, Dataset, RootDataset
from schemas.dsp.catalog import CatalogRequestMessage
from schemas.errors import Malformed, NotFound, Refused
from schemas.foreign import (
    MOST_OFFSET,
    SUPPORTED,
    bounded_ids,
    is_query_spec,
    once_only,
    positive,
    read_query_spec,
    short,
    whole,
)
from schemas.jsonld import compact_form

MOST_PAGE = 250
"""Datasets of one page of the catalogue."""
WORTH_ZIPPING = 1024

Admit = Callable[[str | None], Any]
"""Turns an `Authorization` header into the caller, or raises."""


async def _body(request: Request) -> bytes:
    return await bounded_body(request)


Body = Annotated[bytes, Depends(_body)]


def document_of(request: Request, body: bytes) -> dict[str, Any]:
    """Parse a body; what it says is kept for the error body, which names the processes."""
    parsed = parse_json(body)
    request.state.document = parsed
    return compact_form(parsed)


@dataclass(frozen=True)
class Page:
    """Which part of a catalogue is asked for: where it begins, how long it is, and what is sought."""

    offset: int = 0
    limit: int = MOST_PAGE
    sought: Sought = ALL

    def token(self) -> str:
        """Return the page as a continuation token."""
        said = json.dumps([self.offset, self.limit, *astuple(self.sought)]).encode()
        return base64.urlsafe_b64encode(said).decode().rstrip("=")

    @classmethod
    def from_token(cls, token: str) -> Page:
        """Read a continuation token.

        Raises:
            Malformed: if it is none of ours.
        """
        try:
            said = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            offset, limit, text, ids, like = json.loads(said)
        except (ValueError, TypeError, RecursionError):
            raise Malformed("continuation is no token of this catalogue; start again without it") from None
        return cls(
            whole("offset", offset, MOST_OFFSET),
            min(positive("limit", limit), MOST_PAGE),
            Sought(_text("text", text), _ids(ids), _text("id like", like)),
        )

    @classmethod
    def from_filter(cls, filters: tuple[Any, ...]) -> Page:
        """Read a catalogue filter: EDC's QuerySpec, or our `{"text": …}`.

        Raises:
            Malformed: naming what is not supported.
        """
        page = cls()
        once_only(filters)
        for item in filters:
            if not isinstance(item, Mapping):
                raise Malformed(f"filter {str(item)[:80]!r} is not supported; {_SUPPORTED}")
            if set(item) <= {"text", "@type", "@context"} and "text" in item:
                page = replace(page, sought=replace(page.sought, text=_text("text", item["text"])))
            elif is_query_spec(item):
                query = read_query_spec(item)
                text = page.sought.text if query.text is None else query.text
                page = cls(
                    query.offset,
                    min(query.limit or MOST_PAGE, MOST_PAGE),
                    Sought(text, query.ids, query.like),
                )
            else:
                raise Malformed(f"filter with {sorted(map(str, item))[:8]} is not supported; {_SUPPORTED}")
        return page


_SUPPORTED = f'{{"text": "words"}}, or {SUPPORTED}'


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise Malformed(f"filter: {name} is a {type(value).__name__}; expected a text")
    return short(name, value) if value else None


def _ids(value: Any) -> tuple[str, ...] | None:
    if value is not None and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise Malformed("continuation is no token of this catalogue; start again without it")
    return None if value is None else bounded_ids(value)


class CatalogDoor:
    """The catalogue endpoints of one participant; `base_url` is how peers reach them, for page links."""

    def __init__(self, admit: Admit, offerings: Offerings, base_url: str) -> None:
        self._admit = admit
        self._offerings = offerings
        self._base, self._url = base_url, join(base_url, "/catalog/request")

    def request(self, request: Request, body: Body, continuation: str | None = None) -> Response:
        """Answer a catalogue request, one page at a time."""
        self._admit(request.headers.get("authorization"))
        message = CatalogRequestMessage.read(document_of(request, body))
        page = Page.from_token(continuation) if continuation else Page.from_filter(message.filter)
        # One more than asked for tells whether there is a next page.
        found = self._offerings.told(page.offset, page.limit + 1, page.sought)
        headers = {}
        if links := self._links(page, len(found) > page.limit):
            headers["Link"] = links
        return _zipped(request, _with_datasets(self._offerings.catalog(), found[: page.limit]), headers)

    def _links(self, page: Page, more: bool) -> str:
        pages = []
        if more:
            pages.append(("next", replace(page, offset=page.offset + page.limit)))
        if page.offset:
            pages.append(("previous", replace(page, offset=max(0, page.offset - page.limit))))
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
        found = RootDataset.model_validate(dataset.model_dump(by_alias=True))
        where = join(self._base, "/catalog/datasets/" + quote(id, safe=""))
        return _zipped(request, to_json(found.wire()), _reserved(dataset, where).headers())


def _reserved(dataset: Dataset, where: str) -> Reservation:
    """Return what the offers reserve of mining a dataset; an offer that we cannot read lifts nothing."""
    policies = []
    for offer in dataset.has_policy:
        try:
            policies.append(compile_policy(offer))
        except Refused:
            continue
    return reservation(policies, where)


def _with_datasets(catalog: Catalog, datasets: Sequence[bytes]) -> bytes:
    """Write a catalogue with datasets that are JSON already; an empty one leaves the member out."""
    document = to_json(catalog.wire())
    if not datasets:
        return document
    return b'%b,"dataset":[%b]}' % (document.removesuffix(b"}"), b",".join(datasets))


def _zipped(request: Request, content: bytes, headers: dict[str, str]) -> Response:
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
