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
from urllib.parse import parse_qsl

import jinja2
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from connector.api import console_draft as drafts
from connector.api.console_session import Sessions, check_origin
from connector.api.console_words import words
from connector.api.policies import decision_view, sight_view, touched_view
from connector.dataplane.preview import Previews, Target
from connector.offering.describe import Publication
from connector.offering.service import Offerings
from policies.compare.clashes import clashes_in
from policies.compiled import CompiledPolicy, compile_policy
from policies.explain import explain_as_data, label_text
from policies.profile import PURPOSES, Action, Label, action_iri, purpose_iri
from policies.remedies import Question
from policies.templates import fill, template, template_names
from policies.use import Claims, Use, UseTotals
from policies.words.language import Language, language, message, say
from schemas.binding.server import bounded_body
from schemas.errors import DataspaceError, Malformed, Refused
from schemas.odrl import Offer
from schemas.vocab import compact_iri

HERE = Path(__file__).resolve().parent
MOST_BODY = 1 << 20
MOST_FIELDS = 8_000
SHOWN_ROWS = 10
READERS = 4
"""Pages that read data at a time; they have threads of their own, so that they cannot starve the protocol."""
SOMEBODY = "did:web:consumer.example"

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


@dataclass
class Reading:
    """What a draft says, and what came of trying it; `problem` is why it cannot be published."""

    problem: str | None = None
    sentences: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    decision: dict[str, Any] | None = None
    sight: dict[str, Any] | None = None
    touched: list[dict[str, Any]] | None = None
    columns: dict[str, str] = field(default_factory=dict)
    odrl: str = ""
    data_problem: str | None = None
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
        values = {"session": None, "token": "", **values}
        text = self._templates.get_template(page).render(t=words(lang), lang=lang.value, **values)
        return HTMLResponse(text, status_code=status, headers=_HEADERS)

    def policy(self, request: Request, session: str, form: Mapping[str, str]) -> Response:
        """Show the policy page with what was filled in; `do` names the button that was pressed."""
        lang = _language(request, form)
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
            reading.problem = str(error)
        values = self._page(draft, form, reading, lang) | {
            "session": session,
            "token": self.parts.sessions.token(session),
        }
        return self.render("policy.html", lang, **values)

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
        target = _target(form)
        if target is not None:
            try:
                found = self.parts.previews.columns(target)
                reading.columns = {column.name: column.datatype for column in found}
            except DataspaceError as error:
                reading.data_problem, target = str(error), None
        if not draft.rules:
            return reading
        try:
            offer = draft.offer(reading.columns)
            policy = compile_policy(offer)
            reading.odrl = json.dumps(_bare(offer), indent=2, ensure_ascii=False)
            reading.sentences = explain_as_data(policy, lang)
            reading.warnings = policy.warnings
            reading.conflicts = tuple(str(clash) for clash in clashes_in(policy))
            self._try(reading, target, policy, form, lang)
        except Refused as error:
            reading.problem = str(error)
        return reading

    def _try(
        self,
        reading: Reading,
        target: Target | None,
        policy: CompiledPolicy,
        form: Mapping[str, str],
        lang: Language,
    ) -> None:
        use, now = _use(form), self.parts.clock()
        question = Question(policy, use, UseTotals(agreed=now), now)
        if target is None:
            return
        sight = self.parts.previews.see(target, policy, use, SHOWN_ROWS, now)
        reading.decision = decision_view(question, sight.decision, lang)
        reading.sight = sight_view(sight)
        if target.dataset is not None:
            touched = self.parts.previews.touched(target.dataset, policy)
            reading.touched = [touched_view(one, lang) for one in touched]

    def _publish(self, offer: Offer, form: Mapping[str, str], lang: Language) -> str:
        """Publish the file with an offer, as the management door would.

        Raises:
            Malformed: if the file or the title is not named.
            Refused: with the reason for which the offer is refused.
        """
        target = _target(form)
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


def _language(request: Request, form: Mapping[str, str]) -> Language:
    """Choose the language: what was asked for, then what the browser prefers, then English."""
    said = form.get("lang") or request.query_params.get("lang")
    accepted = [said] if said else request.headers.get("accept-language", "")[:200].split(",")
    for one in accepted:
        try:
            return language(one.partition(";")[0])
        except Malformed:
            continue
    return Language.EN


def _target(form: Mapping[str, str]) -> Target | None:
    """Read which data are meant: an id has a scheme, a file has none."""
    said, consent = form.get("target", "").strip(), form.get("consent", "").strip()
    if not said:
        return None
    return Target(dataset=said) if ":" in said else Target(source=said, consent=consent or None)


def _use(form: Mapping[str, str]) -> Use:
    """Read whose use is tried.

    Raises:
        UnknownTerm: naming an action or purpose that we do not know.
    """
    groups = frozenset(part.strip() for part in form.get("groups", "").split(",") if part.strip())
    claims = Claims(groups, (), form.get("region", "").strip() or None, form.get("environment", "") or None)
    purpose = form.get("purpose", "").strip()
    return Use(
        form.get("participant", "").strip() or SOMEBODY,
        action_iri(form.get("action", "") or "odrl:use"),
        purpose_iri(purpose) if purpose else None,
        claims,
    )


async def _form(request: Request) -> dict[str, str]:
    """Read a form; of fields of one name the last counts.

    Raises:
        Malformed: if it is none, or has too many fields.
    """
    body = await bounded_body(request, MOST_BODY)
    try:
        return dict(
            parse_qsl(
                body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MOST_FIELDS
            )
        )
    except ValueError:
        raise Malformed(f"this is no form of at most {MOST_FIELDS} fields; load the page again") from None


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
        return console.render("login.html", _language(request, {}), wrong=False)

    @router.post("/login")
    async def enter(request: Request) -> Response:
        form = await _form(request)
        lang = _language(request, form)
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
        form = await _form(request)
        sessions.check(request, session, form.get("csrf", ""))
        return await to_thread.run_sync(console.policy, request, session, form, limiter=readers)

    app.include_router(router)
    app.mount("/console/static", StaticFiles(directory=HERE / "static"), name="console-static")
