"""The pages for people: search, a dataset, the participants. Plain HTML; htmx only makes it livelier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from catalog.api import figures
from catalog.api.about import About
from catalog.api.dsp import only_record
from catalog.api.rendering import HERE, environment, wanted_format
from catalog.api.search import (
    DEFAULT_ACTION,
    Answered,
    Question,
    Searching,
    asker_of,
    dataset_url,
    hit_view,
    personal,
    read_query,
    read_question,
    reader_door,
)
from catalog.crawl import Crawler
from catalog.graph import MEDIA_JSONLD, MEDIA_TURTLE, catalog_jsonld, dataset_jsonld, dataset_node, turtle
from catalog.members import Callers, Members
from catalog.ports import Records
from catalog.quality import assess
from catalog.records import CatalogRecord
from catalog.search import Eligibility, Facets, Found, Query, compiled_offers
from catalog.shapes import findings
from policies.compiled import CompiledPolicy
from policies.explain import explain
from policies.words.language import Language, language
from schemas.dcat import Dataset
from schemas.errors import (
    DataspaceError,
    Malformed,
    NotFound,
    Refused,
    Unauthenticated,
    UnknownTerm,
)
from schemas.identity import Member
from schemas.vocab import compact_iri

_EXPORT_PAGE = 100


class Pages:
    """Renders pages; what they show is given by the same services as the JSON."""

    def __init__(
        self,
        about: About,
        records: Records,
        searching: Searching,
        members: Members,
        crawler: Crawler,
    ) -> None:
        """Make it over what the pages show."""
        self.about = about
        self.records = records
        self.searching = searching
        self.members = members
        self.crawler = crawler
        self._templates = environment(about)

    def render(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a template."""
        return HTMLResponse(self._templates.get_template(name).render(**values), status_code=status)

    def search(self, request: Request) -> Response:
        """Show the search page, or its results alone where htmx asks for them."""
        params = request.query_params
        answered = self._answer(params, asker_of(request))
        partial = request.headers.get("hx-request") == "true" and not request.headers.get(
            "hx-history-restore-request"
        )
        found = answered.found
        hits = [
            {
                "record": record,
                "answer": answer,
                "url": dataset_url(
                    record,
                    ambiguous=record.entry.dataset in found.ambiguous,
                    action=answered.question.action if answered.question.action != DEFAULT_ACTION else None,
                    purpose=answered.question.purpose,
                    participant=answered.question.participant,
                ),
            }
            for record, answer in zip(found.records, answered.answers, strict=True)
        ]
        asked = _asked(answered)
        response = self.render(
            "_results.html" if partial else "search.html",
            answered=answered,
            hits=hits,
            asked=asked,
            url=lambda **changed: _url(asked, changed),
            pages=-(-min(found.total, 10_000) // answered.query.size),
        )
        response.headers.update(personal(asker_of(request), "HX-Request"))
        return response

    def _answer(self, params: Mapping[str, str], asker: Member | None) -> Answered:
        """Answer even what cannot be asked: with a sentence above the form instead of an error page."""
        question = read_question(params, asker)
        try:
            return self.searching.answer(read_query(params), question)
        except UnknownTerm as error:
            answered = self.searching.answer(
                read_query(params), replace(question, action=DEFAULT_ACTION, purpose="")
            )
            return replace(answered, problem=str(error))
        except Malformed as error:
            return Answered(Query(), question, Found((), 0, Facets()), (), 0.0, str(error))

    def dataset(self, request: Request, dataset: str) -> Response:
        """Show one dataset in the form that is asked for."""
        form = wanted_format(request, ("html", "json", "jsonld", "turtle"))
        found = self.records.find(dataset, request.query_params.get("provider"))
        live = [record for record in found if record.withdrawn is None]
        if form == "html" and len(live) > 1:
            return self.render("choose.html", 300, dataset=dataset, records=live, url=dataset_url)
        record = only_record(found, dataset)
        parsed = Dataset.read(record.document())
        response: Response
        if form in ("jsonld", "turtle"):
            document = dataset_jsonld(parsed, home=self.about.root, endpoint=record.entry.endpoint)
            response = (
                JSONResponse(document, media_type=MEDIA_JSONLD)
                if form == "jsonld"
                else Response(turtle(document), media_type=MEDIA_TURTLE)
            )
        else:
            question = read_question(request.query_params, asker_of(request))
            response = (
                self._dataset_json(record, question)
                if form == "json"
                else self._dataset_html(record, parsed, question, language_of(request))
            )
        response.headers.update(personal(asker_of(request), "Accept", "Accept-Language"))
        return response

    def _dataset_json(self, record: CatalogRecord, question: Question) -> Response:
        url = self.about.root + dataset_url(record)
        history = [
            {
                "kind": change.kind.value,
                "version": change.version,
                "at": change.at.isoformat(),
                "members": change.members,
            }
            for change in self.records.changes(record.origin.participant, record.entry.dataset)
        ]
        answer = self.searching.judge(record, question)
        return JSONResponse(
            {
                **hit_view(record, answer, url),
                "decidedFor": question.decided_for(),
                "document": record.document(),
                "history": history,
            }
        )

    def _dataset_html(
        self, record: CatalogRecord, parsed: Dataset, question: Question, lang: Language
    ) -> Response:
        problem, answer = None, None
        try:
            answer = self.searching.judge(record, question).in_language(lang)
        except UnknownTerm as error:
            problem = str(error)
        return self.render(
            "dataset.html",
            record=record,
            entry=record.entry,
            parsed=parsed,
            question=question,
            answer=answer,
            problem=problem,
            path=dataset_url(record),
            line=open_line(self.about.root, record, question, answer),
            offers=_terms(record.entry.offers, lang),
            lang=lang.value,
            charts=[(column, figures.bars(column)) for column in parsed.columns],
            quality=assess(parsed),
            findings=findings(parsed),
            changes=self.records.changes(record.origin.participant, record.entry.dataset),
            ambiguous=sum(r.withdrawn is None for r in self.records.find(record.entry.dataset)) > 1,
        )

    def participants(self) -> Response:
        """Show who belongs to the data space, what each has here, and how the crawls stand."""
        holdings = {holding.participant: holding for holding in self.records.holdings()}
        listed, problem = {}, None
        try:
            listed = {member.id: member for member in self.members.listed().members}
        except (NotFound, Refused) as error:
            problem = str(error)
        origins = {state.id: state for state in self.crawler.origins()}
        names = sorted(
            {*holdings, *listed, *origins},
            key=lambda name: (-holdings[name].datasets if name in holdings else 0, name),
        )
        rows = [(name, listed.get(name), holdings.get(name), origins.get(name)) for name in names]
        return self.render("participants.html", rows=rows, problem=problem)

    def export(self, request: Request) -> Response:
        """Give out the catalogue page by page, as JSON-LD or Turtle."""
        form = wanted_format(request, ("jsonld", "turtle"))
        after = (request.query_params.get("participant", ""), request.query_params.get("after", ""))
        found = self.searching.page(after if after != ("", "") else None, _EXPORT_PAGE + 1)
        page = found[:_EXPORT_PAGE]
        nodes = [
            dataset_node(
                Dataset.read(record.document()), home=self.about.root, endpoint=record.entry.endpoint
            )
            for record in page
        ]
        document = catalog_jsonld(
            nodes,
            home=self.about.root,
            title=self.about.title,
            publisher=self.about.title,
            did=self.about.did,
        )
        headers = {"Vary": "Accept"}
        if len(found) > _EXPORT_PAGE:
            last = page[-1]
            following = urlencode(
                {"participant": last.origin.participant, "after": last.entry.dataset, "format": form}
            )
            headers["Link"] = f'<{self.about.root}/catalog?{following}>; rel="next"'
        if form == "turtle":
            return Response(turtle(document), media_type=MEDIA_TURTLE, headers=headers)
        return JSONResponse(document, media_type=MEDIA_JSONLD, headers=headers)


def open_line(root: str, record: CatalogRecord, question: Question, answer: Eligibility | None) -> str:
    """Return the one line that opens a dataset."""
    said = f', action="{question.action}"' if question.action != DEFAULT_ACTION else ""
    purpose = compact_iri(question.purpose).removeprefix("dpv:") if question.purpose else "ScientificResearch"
    if answer is not None and answer.statistics:
        said += ', aggregate={"group": [], "measures": [{"function": "count"}]}'
    return f'connector.open("{root}", "{record.entry.dataset}", purpose="{purpose}"{said})'


def _asked(answered: Answered) -> dict[str, str]:
    query, question = answered.query, answered.question
    asked = {
        "q": query.text,
        "theme": query.theme,
        "publisher": query.publisher,
        "access": query.access,
        "action": question.action if question.action != DEFAULT_ACTION else "",
        "purpose": question.purpose,
        "participant": question.participant,
    }
    return {name: value for name, value in asked.items() if value}


def _url(asked: Mapping[str, str], changed: Mapping[str, Any]) -> str:
    query = {name: value for name, value in {**asked, **changed}.items() if value}
    return "/?" + urlencode(query) if query else "/"


def language_of(request: Request) -> Language:
    """Return in which language terms and reasons are told: by `?lang=`, else by what the reader prefers."""
    wanted = request.headers.get("accept-language", "").split(",")[:10]
    for name in (request.query_params.get("lang", ""), *(one.partition(";")[0] for one in wanted)):
        try:
            return language(name)
        except Malformed:
            continue
    return Language.EN


def _terms(offers: str, lang: Language) -> list[dict[str, Any]]:
    """Return each offer with its sentences, or with why it cannot be read."""
    return [
        {
            "id": offer.id if offer else None,
            "sentences": explain(rules, lang) if isinstance(rules, CompiledPolicy) else (),
            "problem": None if isinstance(rules, CompiledPolicy) else str(rules),
        }
        for offer, rules in compiled_offers(offers)
    ]


def pages_router(pages: Pages, callers: Callers) -> APIRouter:
    """Return the doors for people; `/datasets/{id}` and `/catalog` also speak RDF."""
    router = APIRouter(dependencies=[Depends(reader_door(pages.about, callers))])

    @router.get("/", response_class=HTMLResponse)
    def search(request: Request) -> Response:
        return pages.search(request)

    @router.get("/datasets/{dataset:path}")
    def dataset(request: Request, dataset: str) -> Response:
        return pages.dataset(request, dataset)

    @router.get("/participants", response_class=HTMLResponse)
    def participants() -> Response:
        return pages.participants()

    @router.get("/catalog")
    def export(request: Request) -> Response:
        return pages.export(request)

    return router


def install_pages(app: FastAPI, pages: Pages, callers: Callers) -> None:
    """Put pages, static files and error pages into an app whose other errors are already rendered."""
    app.include_router(pages_router(pages, callers))
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for kind in (DataspaceError, HTTPException):
        app.add_exception_handler(kind, _for_people(pages, app.exception_handlers[kind]))


def _for_people(pages: Pages, otherwise: Callable[..., Any]) -> Callable[[Request, Exception], Any]:
    """Render an error as a page for who asked for a page, and as before for all others."""

    def handle(request: Request, error: Exception) -> Any:
        if "text/html" not in request.headers.get("accept", ""):
            return otherwise(request, error)
        status = error.status if isinstance(error, DataspaceError) else getattr(error, "status_code", 500)
        text = (
            str(error)
            if isinstance(error, DataspaceError)
            else f"There is no page {request.url.path[:200]} here."
        )
        closed = isinstance(error, Unauthenticated) and not pages.about.public_search
        return pages.render("error.html", status, code=status, text=text, closed=closed)

    return handle
