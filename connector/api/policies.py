"""The door for what a holder asks about policies: what is said, what would be seen, who would be touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from connector.api.management import guarded
from connector.api.offers import read_offer
from connector.dataplane.cells import rows_as_text
from connector.dataplane.preview import Previews, Sight, Target, Touched
from connector.negotiation.service import Negotiations
from connector.offering.service import Offerings
from policies.compiled import compile_policy
from policies.decision import Deny, Permit
from policies.explain import explain_as_data, explain_decision
from policies.profile import action_iri, purpose_iri
from policies.remedies import Question, against_sentences, remedies
from policies.use import Claims, Use, UseTotals
from policies.words.carried import in_words
from policies.words.language import Language, language, message, say, sentence
from schemas.base import Document
from schemas.binding.server import bounded_body, parse_json
from schemas.errors import Malformed, NotFound
from schemas.vocab import ODRL

MOST_BODY = 4 << 20


class Asker(Document):
    """Whose use is tried: who, which action, which purpose, and what the member list would state of them."""

    participant: str = "did:web:consumer.example"
    action: str = ODRL + "use"
    purpose: str | None = None
    groups: tuple[str, ...] = ()
    credentials: dict[str, str] = Field(default_factory=dict)
    region: str | None = None
    environment: str | None = None
    at: datetime | None = None

    def use(self) -> Use:
        """Return the use, its words expanded.

        Raises:
            UnknownTerm: naming an action or purpose that we do not know.
        """
        claims = Claims(
            frozenset(self.groups),
            tuple(sorted(self.credentials.items())),
            self.region or None,
            self.environment or None,
        )
        purpose = purpose_iri(self.purpose) if self.purpose else None
        return Use(self.participant, action_iri(self.action), purpose, claims)


class Tried(Document):
    """A policy to try, on which data, for whom."""

    offer: dict[str, Any]
    dataset: str | None = None
    source: str | None = None
    consent: str | None = None
    use: Asker = Field(default_factory=Asker)
    rows: int = 10
    lang: str = "en"


def decision_view(question: Question, decision: Permit | Deny, lang: Language) -> dict[str, Any]:
    """Show a decision, with what stands against the use and the smallest changes that would make it pass."""
    view: dict[str, Any] = {"permitted": isinstance(decision, Permit)}
    if isinstance(decision, Permit):
        return view | {"sentences": list(explain_decision(decision, lang)), "remedies": []}
    view["sentences"] = list(against_sentences(question, lang))
    view["reasons"] = [say(reason.told, lang) for reason in decision.reasons]
    view["remedies"] = [list(one.sentences(lang)) for one in remedies(question)]
    return view


def sight_view(sight: Sight, lang: Language) -> dict[str, Any]:
    """Show the first rows as they would leave."""
    if sight.rows is None:
        return {"columns": [], "rows": [], "more": False, "notes": []}
    columns = [{"name": field.name, "type": str(field.type)} for field in sight.rows.schema]
    notes = [sentence(message(f"note.{note}"), lang) for note in sight.notes]
    return {
        "columns": columns,
        "rows": rows_as_text(sight.rows),
        "more": sight.more,
        "notes": notes,
    }


def touched_view(touched: Touched, lang: Language) -> dict[str, Any]:
    """Show one agreement that stands, and whether its consumer would get a new one."""
    return {
        "agreement": touched.agreement.agreement.id,
        "counterparty": touched.agreement.counterparty,
        "readsNow": isinstance(touched.now, Permit),
        "wouldGetNew": isinstance(touched.then, Permit),
        "loses": touched.loses,
        "openStreams": touched.streams,
        "why": list(against_sentences(touched.asked, lang)),
    }


async def _json(request: Request) -> Any:
    return parse_json(await bounded_body(request, MOST_BODY) or b"{}")


Said = Annotated[Any, Depends(_json)]


def policy_router(
    *,
    authorize: Callable[[str], bool],
    previews: Previews,
    offerings: Offerings,
    negotiations: Negotiations,
    clock: Callable[[], datetime],
) -> APIRouter:
    """Return the doors below `/management/policies`."""
    router = guarded(authorize)

    @router.get("/policies")
    def policies(
        id: Annotated[str, Query(max_length=2000)], lang: Annotated[str, Query(max_length=20)] = "en"
    ) -> Any:
        wanted = language(lang)
        return {
            "policies": [
                {"policy": policy.wire(), "sentences": explain_as_data(compile_policy(policy), wanted)}
                for policy in _found(id, offerings, negotiations)
            ]
        }

    @router.post("/policies/preview")
    def preview(said: Said) -> Any:
        tried = Tried.read(said)
        lang, target = language(tried.lang), Target(tried.dataset, tried.source, tried.consent)
        policy = compile_policy(read_offer(tried.offer))
        use, at = tried.use.use(), tried.use.at or clock()
        sight = previews.see(target, policy, use, tried.rows, at)
        question = Question(policy, use, UseTotals(agreed=at), at)
        return {
            "sentences": explain_as_data(policy, lang),
            "warnings": [in_words(warning, lang) for warning in policy.warnings],
            "decision": decision_view(question, sight.decision, lang),
            **sight_view(sight, lang),
        }

    @router.post("/policies/impact")
    def impact(said: Said) -> Any:
        tried = Tried.read(said)
        if tried.dataset is None:
            raise Malformed("name the dataset whose policy would change")
        lang = language(tried.lang)
        policy = compile_policy(read_offer(tried.offer))
        offerings.get(tried.dataset)
        return {"agreements": [touched_view(one, lang) for one in previews.touched(tried.dataset, policy)]}

    return router


def _found(id: str, offerings: Offerings, negotiations: Negotiations) -> list[Any]:
    """Return the offers of a dataset, or the agreement of that id."""
    try:
        return list(offerings.get(id).dataset.has_policy)
    except NotFound:
        pass  # then it is an agreement, or nothing that we have
    for held in negotiations.agreements():
        if held.agreement.id == id:
            return [held.agreement]
    raise NotFound(f"{id[:200]!r} is neither a dataset nor an agreement here; see `hansa connector offers`")
