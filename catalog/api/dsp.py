"""The Dataspace Protocol's catalogue endpoints: the catalogue is a broker that serves what others offer.

Each participant's datasets stand in a nested catalogue with its id and its connector, so that a consumer
knows whom to ask; nothing is negotiated here.

Source: Dataspace Protocol 2025-1, chapter 5; EDC's QuerySpec as its connectors send it.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Query as QueryParameter
from fastapi.responses import JSONResponse

from catalog.api.about import DSP_PREFIX, About
from catalog.api.auth import member_door
from catalog.members import Callers
from catalog.ports import Finder, Records
from catalog.records import CatalogRecord
from catalog.search import Query
from schemas.binding.server import json_body
from schemas.dsp.catalog import CatalogRequestMessage
from schemas.errors import AlreadyExists, Malformed, NotFound
from schemas.foreign import is_query_spec, once_only, read_query_spec
from schemas.jsonld import compact_form
from schemas.vocab import DSP_CONTEXT

_DEFAULT_PAGE = 100
_MOST_PAGE = 500
_MOST_CURSOR = 4096
_MOST_LINKED = 500
"""Participants of later pages that the first page names."""
_OUR_FILTERS = ("text", "theme", "publisher", "access")


EVERYTHING = Query()


@dataclass(frozen=True)
class Asked:
    """What a catalogue request asks for; `cursor` pages on after a record."""

    query: Query = EVERYTHING
    datasets: tuple[str, ...] | None = None
    offset: int = 0
    limit: int = _DEFAULT_PAGE
    after: tuple[str, str] | None = None


def read_filter(filters: Sequence[Any]) -> Asked:
    """Read the filter objects of a request: EDC's QuerySpec, or our own by text, theme, publisher and access.

    Raises:
        Malformed: naming what is not supported.
    """
    asked = Asked()
    once_only(filters)
    for item in filters:
        if not isinstance(item, Mapping):
            raise Malformed(
                f"filter {str(item)[:80]!r} is not supported; known: QuerySpec, or {', '.join(_OUR_FILTERS)}"
            )
        asked = _query_spec(asked, item) if is_query_spec(item) else _ours(asked, item)
    return asked


def _ours(asked: Asked, item: Mapping[str, Any]) -> Asked:
    given = {key: value for key, value in item.items() if not key.startswith("@")}
    for key, value in given.items():
        if key not in _OUR_FILTERS or not isinstance(value, str):
            raise Malformed(
                f"filter member {key[:80]!r} is not supported; known: {', '.join(_OUR_FILTERS)}, each a text"
            )
    return replace(asked, query=replace(asked.query, **given))


def _query_spec(asked: Asked, item: Mapping[str, Any]) -> Asked:
    said = read_query_spec(item)
    if said.like is not None:
        raise Malformed("filter: criterion 'id' 'like' is not supported by this catalogue; use 'id' 'in'")
    return replace(
        asked,
        offset=said.offset,
        limit=min(said.limit or _DEFAULT_PAGE, _MOST_PAGE),
        datasets=said.ids,
        query=asked.query if said.text is None else replace(asked.query, text=said.text),
    )


def _write_cursor(asked: Asked, last: CatalogRecord) -> str:
    query = asked.query
    state = {
        "after": [last.origin.participant, last.entry.dataset],
        "limit": asked.limit,
        **{name: getattr(query, name) for name in _OUR_FILTERS if getattr(query, name)},
    }
    return base64.urlsafe_b64encode(json.dumps(state).encode()).decode()


def read_cursor(cursor: str) -> Asked:
    """Read a page token.

    Raises:
        Malformed: if it is none of ours.
    """
    try:
        state = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        participant, dataset = state["after"]
        told: dict[str, Any] = {name: str(state[name]) for name in _OUR_FILTERS if name in state}
        query = Query(**told)
        limit = min(max(int(state["limit"]), 1), _MOST_PAGE)
        return Asked(query=query, limit=limit, after=(str(participant), str(dataset)))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise Malformed("the page token is not one of ours; begin again without it") from None


def catalog_document(
    about: About, found: Sequence[CatalogRecord], linked: Sequence[CatalogRecord] = ()
) -> dict[str, Any]:
    """Return a DSP catalogue: one nested catalogue a participant, each with its connector.

    Of the participants of `linked` only the connectors are named.
    """
    nested = []
    everything = itertools.chain(found, linked)
    for participant, group in itertools.groupby(everything, key=lambda record: record.origin.participant):
        records = list(group)
        services = {
            record.entry.endpoint: {
                "@id": f"{participant}#connector-{number}" if number else f"{participant}#connector",
                "@type": "DataService",
                "endpointURL": record.entry.endpoint,
            }
            for number, record in enumerate({item.entry.endpoint: item for item in records}.values())
            if record.entry.endpoint
        }
        nested.append(
            {
                "@id": f"{participant}#catalog",
                "@type": "Catalog",
                "participantId": participant,
                "service": list(services.values()),
                **(
                    {"dataset": [record.document() for record in records]} if records[0] not in linked else {}
                ),
            }
        )
    document: dict[str, Any] = {
        "@context": [DSP_CONTEXT],
        "@id": f"{about.root}/catalog",
        "@type": "Catalog",
        "participantId": about.did,
        "dct:title": about.title,
    }
    return {**document, "catalog": nested} if nested else document


def only_record(found: Sequence[CatalogRecord], dataset: str) -> CatalogRecord:
    """Return the one live record of an id.

    Raises:
        NotFound: if there is none; a tombstone says when and why it went.
        AlreadyExists: if several participants use the id.
    """
    live = [record for record in found if record.withdrawn is None]
    if len(live) == 1:
        return live[0]
    if live:
        names = ", ".join(record.origin.participant for record in live)
        raise AlreadyExists(
            f"several participants use the id {dataset[:120]!r}: {names}; add ?provider=<DID>"
        )
    if found:
        gone = found[0]
        when = gone.withdrawn.date() if gone.withdrawn else "some day"
        raise NotFound(f"dataset {dataset[:120]!r} was withdrawn on {when}: {gone.reason}")
    raise NotFound(f"no dataset {dataset[:120]!r} here; search for it at /search?q=")


def _named(records: Records, asked: Asked) -> list[CatalogRecord]:
    """Return the live records of the ids that are asked for, in the order of every other page.

    Raises:
        Malformed: if more is asked of them than their ids.
    """
    if asked.query.narrowed:
        raise Malformed("filter: ids together with other criteria are not supported; ask for the ids alone")
    found = [
        record
        for dataset in asked.datasets or ()
        for record in records.find(dataset)
        if record.withdrawn is None
    ]
    return sorted(found, key=lambda record: (record.origin.participant, record.entry.dataset))


def _is_first(message: CatalogRequestMessage, asked: Asked) -> bool:
    """Say whether a crawler that knows offsets only begins to read everything."""
    queries = [item for item in message.filter if isinstance(item, Mapping) and is_query_spec(item)]
    return bool(queries) and asked.after is None and asked.offset == 0 and not asked.query.narrowed


def _participants_after(
    records: Records, finder: Finder, page: Sequence[CatalogRecord]
) -> tuple[CatalogRecord, ...]:
    """Return a record of each participant that does not stand on a page.

    EDC's crawler takes a nested catalogue for one entry, follows it to its connector, and asks for no second
    page after one of fewer entries than it asked for: who does not stand on the first page is never found.
    """
    shown = {record.origin.participant for record in page}
    others = [held.participant for held in records.holdings() if held.participant not in shown]
    return tuple(
        record
        for participant in sorted(others[:_MOST_LINKED])
        for record in finder.page(EVERYTHING, after=(participant, ""), limit=1)
    )


def dsp_router(about: About, records: Records, finder: Finder, callers: Callers) -> APIRouter:
    """Return the DSP catalogue endpoints; every member may read."""
    router = APIRouter(prefix=DSP_PREFIX, dependencies=[Depends(member_door(callers))])

    def request_catalog(
        document: Annotated[Any, Depends(json_body)],
        cursor: Annotated[str | None, QueryParameter(max_length=_MOST_CURSOR)] = None,
    ) -> JSONResponse:
        message = CatalogRequestMessage.read(compact_form(document))
        asked = read_cursor(cursor) if cursor else read_filter(message.filter)
        if asked.datasets is not None:
            live = _named(records, asked)
            return JSONResponse(catalog_document(about, live[asked.offset :][: asked.limit]))
        found = finder.page(asked.query, after=asked.after, offset=asked.offset, limit=asked.limit + 1)
        page, more = found[: asked.limit], len(found) > asked.limit
        headers = {}
        if more:
            target = f"{about.root}{DSP_PREFIX}/catalog/request?cursor={_write_cursor(asked, page[-1])}"
            headers["Link"] = f'<{target}>; rel="next"'
        first = more and _is_first(message, asked)
        linked = _participants_after(records, finder, page) if first else ()
        return JSONResponse(catalog_document(about, page, linked), headers=headers)

    def dataset(id: str, provider: str | None = None) -> JSONResponse:
        found = records.find(id, provider)
        if not found and id.endswith("/"):
            # The path is taken with a trailing slash, but an IRI may end in one.
            found = records.find(id.removesuffix("/"), provider)
        record = only_record(found, id)
        return JSONResponse({"@context": [DSP_CONTEXT], **record.document()})

    _both_ways(router.add_api_route, "/catalog/request", request_catalog, "POST")
    router.add_api_route("/catalog/datasets/{id:path}", dataset, methods=["GET"])
    return router


def _both_ways(add: Callable[..., None], path: str, endpoint: Callable[..., Any], method: str) -> None:
    """Peers may write a trailing slash."""
    add(path, endpoint, methods=[method])
    add(path + "/", endpoint, methods=[method])
