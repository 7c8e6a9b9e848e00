"""The console: pages for the participant's own people, to write policies, read them back, try and publish.

Plain HTML and forms; htmx only makes it livelier. Every answer is given by the services that the management
door calls, and nothing on a page can be had without the API key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from connector.api import console_draft as drafts
from connector.api.console_agreements import Book
from connector.api.console_forms import SOMEBODY, form_of, language_of, number_of, target_of, use_of
from connector.api.console_session import Sessions, check_origin
from connector.api.console_words import Line, line, words
from connector.api.policies import decision_view, sight_view, touched_view
from connector.dataplane.preview import Previews, Target
from connector.offering.describe import Publication
from connector.offering.service import Offerings
from policies.compare.clashes import clashes_in
from policies.compiled import CompiledPolicy, compile_policy
from policies.explain import explain_as_data, label_text
from policies.profile import PURPOSES, Action, Label
from policies.remedies import Question
from policies.templates import fill, template, template_names
from policies.use import UseTotals
from policies.words.language import Language, message, say
from schemas.errors import DataspaceError, Malformed, Refused
from schemas.odrl import Offer
from schemas.vocab import compact_iri
from schemas.worded import wording

HERE = Path(__file__).resolve().parent
SHOWN_ROWS = 10
READERS = 4
"""Pages that read data at a time; they have threads of their own, so that they cannot starve the protocol."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "object-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True)
class Parts:
    """What the pages show, and who may see it."""

    name: str
    did: str
    sessions: Sessions
    previews: Previews
    offerings: Offerings
    files: Callable[[], Sequence[str]]
    clock: Callable[[], datetime]
    book: Book


@dataclass
class Reading:
    """What a draft says, and what came of trying it; `problem` is why it cannot be published."""

    problem: Line | None = None
    sentences: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[Line, ...] = ()
    conflicts: tuple[Line, ...] = ()
    decision: dict[str, Any] | None = None
    sight: dict[str, Any] | None = None
    touched: list[dict[str, Any]] | None = None
    columns: dict[str, str] = field(default_factory=dict)
    odrl: str = ""
    data_problem: Line | None = None
    published: str | None = None


class Console:
    """Renders the pages."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        vendor = HERE / "static" / "vendor"
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._templates.globals.update(
            name=parts.name,
            did=parts.did,
            has_pico=(vendor / "pico.min.css").exists(),
            has_htmx=(vendor / "htmx.min.js").exists(),
            labels=[label.value for label in Label],
        )

    def render(self, page: str, lang: Language, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a page in a language."""
        values = {"session": None, "token": "", "page": page.removesuffix(".html"), **values}
        text = self._templates.get_template(page).render(t=words(lang), lang=lang.value, **values)
        return HTMLResponse(text, status_code=status, headers=_HEADERS)

    def policy(self, request: Request, session: str, form: Mapping[str, str]) -> Response:
        """Show the policy page with what was filled in; `do` names the button that was pressed."""
        lang = language_of(request, form)
        do = form.get("do", "")
        reading = Reading()
        draft = drafts.Draft()
        try:
            draft = drafts.read_draft(form)
            draft = drafts.changed(draft, do, form.get("add-kind", "permission"))
            if do.startswith("add-rule-"):
                draft = drafts.changed(draft, "add-rule", do.removeprefix("add-rule-"))
            if do == "fill" and draft.template:
                offer = fill(draft.template, "urn:hansa:draft", **draft.given())
                draft = drafts.from_offer(offer, draft)
            reading = self._read(draft, form, lang)
            if do == "publish":
                reading.published = self._publish(draft.offer(reading.columns), form, lang)
        except DataspaceError as error:
            reading.problem = line(wording(error), lang)
        values = self._page(draft, form, reading, lang) | {
            "session": session,
            "token": self.parts.sessions.token(session),
        }
        return self.render("policy.html", lang, **values)

    def agreements(self, request: Request, session: str, form: Mapping[str, str] | None = None) -> Response:
        """Show who may read what, and what is owed; `form` asks for a revocation."""
        lang, problem = language_of(request, form or {}), None
        start = number_of((form or request.query_params).get("start", ""))
        if form is not None:
            try:
                revoked = self.parts.book.revoke(form)
                where = (
                    f"/console/agreements?lang={lang.value}&start={start}&revoked={quote(revoked, safe='')}"
                )
                return RedirectResponse(f"{where}#{quote(revoked, safe=':')}", 303, headers=_HEADERS)
            except DataspaceError as error:
                problem = line(wording(error), lang)
        shown = self.parts.book.page(start, lang)
        told = request.query_params.get("revoked")
        states = [one["state"] for one in shown["agreements"] if told and one["id"] == told]
        values = shown | {
            "session": session,
            "token": self.parts.sessions.token(session),
            "other": next(one.value for one in Language if one is not lang),
            "problem": problem,
            "tried": {"agreement": "", "reason": "", "emergency": ""} | dict(form or {}),
            "told": words(lang)[f"told.{states[0]}"] if states and states[0] in ("revoked", "ends") else None,
        }
        return self.render("agreements.html", lang, 400 if problem else 200, **values)

    def _page(
        self, draft: drafts.Draft, form: Mapping[str, str], reading: Reading, lang: Language
    ) -> dict[str, Any]:
        at = list(Language).index(lang)
        kept = {
            name: form.get(name, default)
            for name, default in (
                ("target", ""),
                ("consent", ""),
                ("participant", SOMEBODY),
                ("action", "odrl:use"),
                ("purpose", ""),
                ("groups", ""),
                ("region", ""),
                ("environment", ""),
                ("title", ""),
            )
        }
        chosen = template(draft.template) if draft.template in template_names() else None
        return {
            "draft": draft,
            "reading": reading,
            "kept": kept,
            "chosen": chosen,
            "language": lang,
            "label_texts": {label.value: label_text(label, lang) for label in Label},
            "templates": [template(name) for name in template_names()],
            "kinds": drafts.KINDS,
            "actions": {kind: drafts.actions_for(kind) for kind in drafts.KINDS},
            "operands": {kind: drafts.operands_for(kind) for kind in drafts.KINDS},
            "meaning": lambda operand: operand.meaning[at],
            "does": partial(_does, lang),
            "purposes": [compact_iri(iri) for iri in PURPOSES],
            "files": self.parts.files(),
            "datasets": [one.dataset.id for one in self.parts.offerings.page(0, 200)],
        }

    def _read(self, draft: drafts.Draft, form: Mapping[str, str], lang: Language) -> Reading:
        """Say what a draft says, and try it on the data, where data are named."""
        reading = Reading()
        target = target_of(form)
        if target is not None:
            try:
                found = self.parts.previews.columns(target)
                reading.columns = {column.name: column.datatype for column in found}
            except DataspaceError as error:
                reading.data_problem, target = line(wording(error), lang), None
        if not draft.rules:
            return reading
        try:
            offer = draft.offer(reading.columns)
            policy = compile_policy(offer)
            reading.odrl = json.dumps(_bare(offer), indent=2, ensure_ascii=False)
            reading.sentences = explain_as_data(policy, lang)
            reading.warnings = tuple(line(warning, lang) for warning in policy.warnings)
            reading.conflicts = tuple(line(clash.why, lang) for clash in clashes_in(policy))
            self._try(reading, target, policy, form, lang)
        except Refused as error:
            reading.problem = line(wording(error), lang)
        return reading

    def _try(
        self,
        reading: Reading,
        target: Target | None,
        policy: CompiledPolicy,
        form: Mapping[str, str],
        lang: Language,
    ) -> None:
        use, now = use_of(form), self.parts.clock()
        question = Question(policy, use, UseTotals(agreed=now), now)
        if target is None:
            return
        sight = self.parts.previews.see(target, policy, use, SHOWN_ROWS, now)
        reading.decision = decision_view(question, sight.decision, lang)
        reading.sight = sight_view(sight, lang)
        if target.dataset is not None:
            touched = self.parts.previews.touched(target.dataset, policy)
            reading.touched = [touched_view(one, lang) for one in touched]

    def _publish(self, offer: Offer, form: Mapping[str, str], lang: Language) -> str:
        """Publish the file with an offer, as the management door would.

        Raises:
            Malformed: if the file or the title is not named.
            Refused: with the reason for which the offer is refused.
        """
        target = target_of(form)
        if target is None or target.source is None:
            raise Malformed("name a data file below the data folders; a dataset's id names no file")
        title = form.get("title", "").strip()
        if not title:
            raise Malformed("give the dataset a title")
        nameless = offer.model_copy(update={"id": ""})
        report = self.parts.offerings.publish(
            [Publication(target.source, title, (nameless,), consent=target.consent)]
        )
        for _, reason in report.refused:
            raise Refused(reason)
        said = words(lang)
        return said["published"] + " " + report.published[0] if report.published else said["unchanged"]


def _does(lang: Language, kind: str, action: Action) -> str:
    """Name an action as a form offers it: in words, and as it is spelled."""
    form = "to" if kind == "obligation" else "may"
    return f"{say(message(f'{form}.{action.name}'), lang)} ({action.name})"


def _bare(offer: Offer) -> dict[str, Any]:
    wired = offer.wire()
    wired.pop("@id", None)
    return wired


def install_console(app: FastAPI, parts: Parts) -> None:
    """Put the console into a connector's app, below `/console`."""
    console, sessions = Console(parts), parts.sessions
    router = APIRouter(prefix="/console", include_in_schema=False)
    readers = CapacityLimiter(READERS)

    def elsewhere(request: Request, where: str) -> Response:
        """Send a browser to another page; htmx is told in its own way, since it follows redirects itself."""
        if request.headers.get("hx-request") == "true":
            return Response(status_code=200, headers={"HX-Redirect": where, **_HEADERS})
        return RedirectResponse(where, 303, headers=_HEADERS)

    @router.get("")
    def start(request: Request) -> Response:
        return elsewhere(request, "/console/policy")

    @router.get("/login")
    def login(request: Request) -> Response:
        return console.render("login.html", language_of(request, {}), wrong=False)

    @router.post("/login")
    async def enter(request: Request) -> Response:
        form = await form_of(request)
        lang = language_of(request, form)
        check_origin(request)
        answered = elsewhere(request, f"/console/policy?lang={lang.value}")
        if not sessions.open(answered, form.get("key", "")):
            return console.render("login.html", lang, 401, wrong=True)
        return answered

    @router.post("/logout")
    async def leave(request: Request) -> Response:
        check_origin(request)
        answered = elsewhere(request, "/console/login")
        sessions.close(answered)
        return answered

    @router.get("/policy")
    def blank(request: Request) -> Response:
        session = sessions.of(request)
        if session is None:
            return elsewhere(request, "/console/login")
        return console.policy(request, session, {})

    @router.post("/policy")
    async def policy(request: Request) -> Response:
        session = sessions.of(request)
        if session is None:
            return elsewhere(request, "/console/login")
        form = await form_of(request)
        sessions.check(request, session, form.get("csrf", ""))
        return await to_thread.run_sync(console.policy, request, session, form, limiter=readers)

    @router.get("/agreements")
    def agreements(request: Request) -> Response:
        session = sessions.of(request)
        if session is None:
            return elsewhere(request, "/console/login")
        return console.agreements(request, session)

    @router.post("/agreements")
    async def revoke(request: Request) -> Response:
        session = sessions.of(request)
        if session is None:
            return elsewhere(request, "/console/login")
        form = await form_of(request)
        sessions.check(request, session, form.get("csrf", ""))
        return await to_thread.run_sync(console.agreements, request, session, form, limiter=readers)

    app.include_router(router)
    app.mount("/console/static", StaticFiles(directory=HERE / "static"), name="console-static")
