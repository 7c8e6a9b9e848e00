"""What is asked of the catalogue, what it answers, and "may I use this?" by the one decision function.

Pure: the store finds, this file says what finding means.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from catalog.records import UNSTATED, CatalogRecord
from policies.compiled import CompiledPolicy, compile_policy
from policies.decision import Deny, Permit, decide
from policies.reasons import Reason
from policies.use import Use, UseTotals
from policies.words.carried import in_words, spoken
from policies.words.language import Language, Message, Several, message
from schemas.errors import DataspaceError, Malformed
from schemas.odrl import Offer
from schemas.vocab import ACCESS_RIGHTS, DATA_THEMES, compact_iri

MOST_TEXT = 200
"""Characters of a search text."""
MOST_WORDS = 8
"""Words of a search text that count; more would only narrow to nothing."""
MOST_SIZE = 100
"""Hits on a page."""
MOST_REACH = 10_000
"""How far into the hits a page may lie: who wants all takes the export."""

_WORD = re.compile(r"[^\W_]+", re.UNICODE)


@dataclass(frozen=True)
class Query:
    """What is looked for: a text, and facets that must hold."""

    text: str = ""
    theme: str | None = None
    publisher: str | None = None
    access: str | None = None
    page: int = 1
    size: int = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            Malformed: naming the value and its bounds.
        """
        if len(self.text) > MOST_TEXT:
            raise Malformed(f"search text of {len(self.text)} characters; at most {MOST_TEXT}")
        if not 1 <= self.size <= MOST_SIZE:
            raise Malformed(f"page size {self.size}; between 1 and {MOST_SIZE}")
        if self.page < 1 or self.page * self.size > MOST_REACH:
            raise Malformed(
                f"page {self.page} of {self.size} lies beyond the first {MOST_REACH} hits; narrow the search"
            )

    @property
    def words(self) -> tuple[str, ...]:
        """The words that count, lower-cased and without punctuation."""
        return tuple(word.lower() for word in _WORD.findall(self.text))[:MOST_WORDS]

    @property
    def folded(self) -> str:
        """The text as it is compared with ids and titles."""
        return self.text.strip().lower()

    @property
    def narrowed(self) -> bool:
        """Whether anything is asked at all."""
        return bool(self.folded or self.theme or self.publisher or self.access)


@dataclass(frozen=True)
class FacetCount:
    """How many hits share a value; `label` is the value in plain words."""

    value: str
    label: str
    count: int


@dataclass(frozen=True)
class Facets:
    """The counts over all hits, most frequent first."""

    theme: tuple[FacetCount, ...] = ()
    publisher: tuple[FacetCount, ...] = ()
    access: tuple[FacetCount, ...] = ()


@dataclass(frozen=True)
class Found:
    """What a store found: one page of records, and the counts over all hits.

    `ambiguous` names ids on this page that several participants use.
    """

    records: tuple[CatalogRecord, ...]
    total: int
    facets: Facets
    ambiguous: frozenset[str] = frozenset()


def facet_label(kind: str, value: str) -> str:
    """Say a facet's value in plain words."""
    if kind == "theme":
        return DATA_THEMES.get(value, compact_iri(value))
    if kind == "access":
        return "not stated" if value == UNSTATED else ACCESS_RIGHTS.get(value, compact_iri(value))
    return value


class Answer(StrEnum):
    """The three answers of "may I use this?"."""

    YOURS = "yours now"
    STEP = "after a step"
    NO = "no"


@dataclass(frozen=True)
class Eligibility:
    """The answer, why, and what to do next; `offer` is the id of the offer that it speaks of.

    `statistics` says that the offer releases figures over groups, and no rows.
    """

    answer: Answer
    reasons: tuple[str, ...] = ()
    next: str | None = None
    offer: str | None = None
    statistics: bool = False

    def in_language(self, lang: Language) -> Eligibility:
        """Return the same answer as its reader is told it; what carries no data stays in English."""
        reasons = tuple(in_words(reason, lang) for reason in self.reasons)
        return replace(self, reasons=reasons, next=in_words(self.next, lang) if self.next else None)

    def __str__(self) -> str:
        """Say it in one line."""
        tail = self.next if self.answer is Answer.STEP else "; ".join(self.reasons)
        return f"{self.answer}: {tail}" if tail and self.answer is not Answer.YOURS else str(self.answer)


@lru_cache(maxsize=512)
def compiled_offers(offers: str) -> tuple[tuple[Offer | None, CompiledPolicy | DataspaceError], ...]:
    """Compile a record's offers (JSON text); one that nobody can enforce stands as the error saying so."""
    compiled: list[tuple[Offer | None, CompiledPolicy | DataspaceError]] = []
    for document in json.loads(offers):
        offer: Offer | None = None
        try:
            offer = Offer.read(document)
            compiled.append((offer, compile_policy(offer)))
        except DataspaceError as error:
            compiled.append((offer, error))
    return tuple(compiled)


_LISTED = ("hansa:participantGroup", "odrl:spatial", "hansa:environment")
"""Terms that hang on what the authority of the data space states of a participant."""


_YOURSELF = message("fix.yourself")


def _is_listed(reason: Reason) -> bool:
    """Whether a reason hangs on what the member list states; of a prohibition, that it may stand."""
    named = reason.term in _LISTED or reason.term.startswith("hansa:credential/")
    return named or "open.caller" in _ids(reason.why)


def _is_unknown(reason: Reason, use: Use) -> bool:
    """Whether a reason hangs on what the member list states, and nobody knows what that is."""
    claims = use.claims
    if not _is_listed(reason):
        return False
    if not claims.listed or "open.caller" in _ids(reason.why):
        return True
    # Who is on the list is in no other group; a place or an environment may be true and not stated.
    silent = {"odrl:spatial": claims.region is None, "hansa:environment": claims.environment is None}
    return silent.get(reason.term, False)


def _mends_by_saying_more(reason: Reason, use: Use) -> bool:
    """Whether a reason only asks to say what was left unsaid, to come back later, or to be listed."""
    if _is_listed(reason):
        return _is_unknown(reason, use)
    fixes = _ids(reason.mend) if reason.mend else frozenset()
    if use.purpose is None and any(id.startswith("fix.purpose") for id in fixes):
        return True
    if not use.participant and reason.term.endswith("participant"):
        return True
    return reason.mend is not None and reason.mend.id == "fix.again"


def _ids(told: Message) -> frozenset[str]:
    """Return the ids of a message, and of those that it is made of."""
    inner = [
        one
        for _, value in told.arguments
        for one in (value.items if isinstance(value, Several) else (value,))
    ]
    return frozenset((told.id,)).union(*(_ids(one) for one in inner if isinstance(one, Message)))


def _denied(deny: Deny, use: Use, offer: Offer) -> Eligibility:
    fixes = tuple(dict.fromkeys(reason.mend for reason in deny.reasons if reason.mend))
    if not use.claims.listed and any(map(_is_listed, deny.reasons)):
        fixes = (_YOURSELF, *fixes)
    step = bool(deny.reasons) and all(_mends_by_saying_more(reason, use) for reason in deny.reasons)
    return Eligibility(
        answer=Answer.STEP if step else Answer.NO,
        reasons=tuple(spoken(reason.why) for reason in deny.reasons),
        next=spoken(message("fix.several", fixes=Several(fixes, "join.xone"))) if fixes else None,
        offer=offer.id,
    )


def _figures_only(least: int, offer: Offer) -> Eligibility:
    return Eligibility(
        answer=Answer.STEP,
        reasons=(spoken(message("why.figures", n=least)),),
        next=spoken(message("fix.groups")),
        offer=offer.id,
        statistics=True,
    )


_ORDER = {Answer.YOURS: 0, Answer.STEP: 1, Answer.NO: 2}


def judge(offers: str, use: Use, at: datetime) -> Eligibility:
    """Answer "may I use this?" for a record's offers (JSON text): the best answer that any of them gives."""
    answers: list[Eligibility] = []
    for offer, policy in compiled_offers(offers):
        if isinstance(policy, DataspaceError) or offer is None:
            why = spoken(message("why.unjudged", problem=str(policy)))
            answers.append(Eligibility(Answer.NO, (why,), None, offer.id if offer else None))
            continue
        match decide(policy, use, UseTotals(), at):
            case Permit(plan=plan) if plan.aggregate is not None:
                answers.append(_figures_only(plan.aggregate.min_group, offer))
            case Permit():
                return Eligibility(Answer.YOURS, offer=offer.id)
            case Deny() as deny:
                answers.append(_denied(deny, use, offer))
    nothing = Eligibility(Answer.NO, (spoken(message("why.no offer")),))
    return min(answers, key=lambda item: _ORDER[item.answer], default=nothing)
