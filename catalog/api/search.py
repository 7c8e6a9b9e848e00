"""Search for machines: hits, facets, and "may I use this?" for each hit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from prometheus_client import Histogram

from catalog.api.about import About
from catalog.api.auth import Authorization
from catalog.members import Callers
from catalog.ports import Finder
from catalog.records import CatalogRecord
from catalog.search import Eligibility, Found, Query, judge
from policies.claims import stated
from policies.profile import action_iri, purpose_iri
from policies.use import NO_CLAIMS, Use
from schemas.errors import Malformed
from schemas.identity import Member
from schemas.worded import told_json

DEFAULT_ACTION = "train"
EVERYTHING = Query()
_FACETS = ("theme", "publisher", "access")


def reader_door(about: About, callers: Callers) -> Callable[..., None]:
    """Return a dependency: search and pages are open, or for members only, as the operator set it.

    Who shows a token is answered for itself; a token that proves nothing is refused, and never ignored.
    """

    def check(request: Request, authorization: Authorization = None) -> None:
        shown = (authorization or "").partition(" ")[0].lower() == "bearer"
        # Other schemes are those of a gateway in front of a public catalogue, and not meant for us.
        known = callers.identify(authorization) if shown or not about.public_search else None
        request.state.asker = known

    return check


def asker_of(request: Request) -> Member | None:
    """Return the member that asks, as `reader_door` found it; None for somebody who shows nothing."""
    asker: Member | None = getattr(request.state, "asker", None)
    return asker


def personal(asker: Member | None, *varies: str) -> dict[str, str]:
    """Return the headers of an answer that may hang on who asks: no cache gives it to somebody else.

    Nor does one give a member what was answered to anybody. `varies` are other headers that it hangs on.
    """
    cached = {"Cache-Control": "private, no-store"} if asker else {}
    return {"Vary": ", ".join((*varies, "Authorization")), **cached}


def dataset_url(record: CatalogRecord, *, ambiguous: bool = False, **more: str | None) -> str:
    """Return the path of a dataset's page; the provider is named where several use the id."""
    asked = {"provider": record.origin.participant if ambiguous else None, **more}
    query = urlencode({key: value for key, value in asked.items() if value})
    return f"/datasets/{quote(record.entry.dataset, safe='')}" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Question:
    """What a reader means to do, as asked and as absolute IRIs.

    `asker` is who proved that it asks for itself; only then the claims of the member list count. Anybody may
    ask about anyone, and then nothing is known of them.
    """

    action: str = DEFAULT_ACTION
    purpose: str = ""
    participant: str = ""
    asker: Member | None = None

    def use(self) -> Use:
        """Return the use that policies judge.

        Raises:
            UnknownTerm: naming the action or purpose, and those that are known.
        """
        return Use(
            participant=self.participant,
            action=action_iri(self.action),
            purpose=purpose_iri(self.purpose) if self.purpose else None,
            claims=stated(self.asker) if self.asker else NO_CLAIMS,
        )

    def view(self) -> dict[str, str]:
        """Return it in JSON, as it was asked."""
        return {"action": self.action, "purpose": self.purpose, "participant": self.participant}

    def decided_for(self) -> str | None:
        """Return the member by whose claims it is decided; None where nobody proved who asks."""
        return self.asker.id if self.asker else None


def read_question(params: Mapping[str, str], asker: Member | None = None) -> Question:
    """Read action, purpose and participant; an absent action means training.

    Args:
        params: as asked.
        asker: who proved itself; its claims count where it asks for itself, and not about somebody else.
    """
    told = {name: params.get(name, "").strip()[:512] for name in ("action", "purpose", "participant")}
    if asker is not None and told["participant"] in ("", asker.id):
        return Question(told["action"] or DEFAULT_ACTION, told["purpose"], asker.id, asker)
    return Question(told["action"] or DEFAULT_ACTION, told["purpose"], told["participant"])


def _number(params: Mapping[str, str], name: str, default: int) -> int:
    said = params.get(name, "").strip()
    if not said:
        return default
    if not said.isdecimal() or len(said) > 6:
        raise Malformed(f"{name}={said[:40]!r} is not a number such as {default}")
    return int(said)


def read_query(params: Mapping[str, str]) -> Query:
    """Read text, facets and page; empty values mean nothing asked.

    Raises:
        Malformed: naming a value past its bound.
    """
    facets = {name: params.get(name, "").strip() or None for name in _FACETS}
    return Query(
        text=params.get("q", "").replace("\x00", " "),
        page=_number(params, "page", 1),
        size=_number(params, "size", 20),
        **{name: value[:512].replace("\x00", " ") if value else None for name, value in facets.items()},
    )


@dataclass(frozen=True)
class Answered:
    """A page of hits with their answers.

    Units: `milliseconds` for finding and judging.
    """

    query: Query
    question: Question
    found: Found
    answers: tuple[Eligibility, ...]
    milliseconds: float
    problem: str | None = field(default=None)


class Searching:
    """Finds and judges; the page and the JSON door ask the same."""

    def __init__(self, finder: Finder, clock: Callable[[], datetime], seconds: Histogram) -> None:
        """Make it over a finder, a clock, and the metric that counts its seconds."""
        self._finder = finder
        self._clock = clock
        self._seconds = seconds

    def answer(self, query: Query, question: Question) -> Answered:
        """Search, and judge each hit.

        Raises:
            UnknownTerm: if the question uses a word that nobody knows.
        """
        begun = time.perf_counter()
        use = question.use()
        found = self._finder.search(query)
        at = self._clock()
        answers = tuple(judge(record.entry.offers, use, at) for record in found.records)
        spent = time.perf_counter() - begun
        self._seconds.observe(spent)
        return Answered(query, question, found, answers, round(spent * 1000, 2))

    def page(self, after: tuple[str, str] | None, limit: int) -> tuple[CatalogRecord, ...]:
        """Return all records, page by page, ordered by participant and id."""
        return self._finder.page(EVERYTHING, after=after, limit=limit)

    def judge(self, record: CatalogRecord, question: Question) -> Eligibility:
        """Judge one record.

        Raises:
            UnknownTerm: if the question uses a word that nobody knows.
        """
        return judge(record.entry.offers, question.use(), self._clock())


def eligibility_view(answer: Eligibility) -> dict[str, Any]:
    """Return an answer in JSON."""
    return {
        "answer": answer.answer.value,
        "reasons": list(answer.reasons),
        "told": told_json(answer.reasons),
        "next": answer.next,
        "nextTold": next(iter(told_json([answer.next or ""])), None),
        "offer": answer.offer,
    }


def hit_view(record: CatalogRecord, answer: Eligibility, url: str) -> dict[str, Any]:
    """Return a hit in JSON."""
    entry = record.entry
    return {
        "id": entry.dataset,
        "title": entry.title,
        "language": entry.language,
        "description": entry.description,
        "publisher": entry.publisher,
        "provider": record.origin.participant,
        "endpoint": entry.endpoint,
        "identifier": entry.identifier,
        "rows": entry.rows,
        "bytes": entry.byte_size,
        "access": entry.access,
        "themes": list(entry.themes),
        "keywords": list(entry.keywords),
        "offers": json.loads(entry.offers),
        "version": record.version,
        "changed": record.changed.isoformat(),
        "url": url,
        "eligibility": eligibility_view(answer),
    }


def answered_view(answered: Answered, root: str) -> dict[str, Any]:
    """Return a page of hits in JSON."""
    found = answered.found
    return {
        "hits": [
            hit_view(
                record, answer, root + dataset_url(record, ambiguous=record.entry.dataset in found.ambiguous)
            )
            for record, answer in zip(found.records, answered.answers, strict=True)
        ],
        "facets": {name: [asdict(count) for count in getattr(found.facets, name)] for name in _FACETS},
        "total": found.total,
        "page": answered.query.page,
        "size": answered.query.size,
        "question": answered.question.view(),
        "decidedFor": answered.question.decided_for(),
        "milliseconds": answered.milliseconds,
    }


def search_router(about: About, searching: Searching, callers: Callers) -> APIRouter:
    """Return the search door."""
    router = APIRouter(dependencies=[Depends(reader_door(about, callers))])

    @router.get("/search")
    def search(request: Request) -> JSONResponse:
        params, asker = request.query_params, asker_of(request)
        answered = searching.answer(read_query(params), read_question(params, asker))
        return JSONResponse(answered_view(answered, about.root), headers=personal(asker))

    return router
