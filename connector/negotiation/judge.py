"""Pure: what we say when it is our turn in a negotiation.

A judge turns a case into a verdict, so that other rules can come in by the same door. `Judge` agrees by
itself where a request means the same as a published offer and the declared use is permitted, or holds
everything for a person. `RuledJudge` asks the operator's rules first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from connector.negotiation.machine import MOVES, TURN, Said
from connector.outbox.rules import Do, Hold, Rule, Rules, Where, possible
from policies.compare.clashes import refuse_contradictions
from policies.compiled import compile_policy
from policies.decision import Deny, decide, spoken_reasons
from policies.subsumption import Misfit, covers, matches
from policies.use import NO_CLAIMS, Claims, Use, UseTotals
from schemas.base import Role
from schemas.dsp.negotiation import NegotiationState as State
from schemas.errors import Refused
from schemas.foreign import as_repeated
from schemas.odrl import Agreement, DeclaredUse, Offer, terms
from schemas.worded import reasons_of

MOST_ROUNDS = 16
"""Requests of one negotiation before we end it."""


@dataclass(frozen=True)
class Case:
    """What a judge is told.

    `offer` is the last one that either side made; `published` is what we offer for the dataset now (as its
    provider); `wanted` what we last asked for (as a consumer). `rounds` counts the requests; `visit` counts
    how often this state was entered, `since` is the last time. `approved` is true when a person said yes.
    `claims` are what is known of the counterparty.
    """

    role: Role
    state: State
    me: str
    counterparty: str
    dataset: str
    offer: Offer
    use: DeclaredUse | None
    agreement: Agreement | None
    wanted: Offer | None
    published: tuple[Offer, ...]
    rounds: int
    visit: int
    since: datetime
    at: datetime
    approved: bool = False
    claims: Claims = NO_CLAIMS


@dataclass(frozen=True)
class Say:
    """Say this now; `offer` goes with offers, `code` and `reasons` with a termination."""

    what: Said
    offer: Offer | None = None
    code: str | None = None
    reasons: tuple[str, ...] = ()


_NO_TERMS = frozenset({"@context", "@id", "@type", "target", "assigner", "assignee", "timestamp"})

Verdict = Say | Hold


class Judging(Protocol):
    """Decides what we say."""

    def speaks(self, where: Where) -> bool:
        """Return whether there is something to decide; `where.about` is the dataset."""
        ...

    def __call__(self, case: Case) -> Verdict:
        """Return what we say in a situation in which there is something to decide."""
        ...


def end(code: str, *reasons: str) -> Say:
    """Return the verdict that ends a negotiation with its reasons."""
    return Say(Said.TERMINATION, code=code, reasons=reasons)


class CounterOffers(StrEnum):
    """What becomes of a request whose terms differ from our offer.

    It is answered with the offer; or agreed if it asks for no more than the offer, and otherwise refused; or
    refused. A refusal says which terms are too wide.
    """

    ANSWER = "answer"
    AGREE = "agree"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Judge:
    """The rules that we start with: `automatic` agrees where it fits; otherwise a person is asked."""

    automatic: bool = True
    counter_offers: CounterOffers = CounterOffers.ANSWER

    def speaks(self, where: Where) -> bool:
        """Return whether it is our turn."""
        return TURN[State(where.state)] is where.role

    def __call__(self, case: Case) -> Verdict:
        """Return what we say in a state in which it is our turn."""
        match case.state:
            case State.REQUESTED:
                return self._answer_request(case)
            case State.OFFERED:
                return self._answer_offer(case)
            case State.ACCEPTED:
                return self._answer_acceptance(case)
            case State.AGREED:
                return _answer_agreement(case)
            case State.VERIFIED:
                return Say(Said.FINALIZED)
            case _:
                return Hold(f"nothing is left to say in state {case.state}")

    def _answer_request(self, case: Case) -> Verdict:
        if case.rounds > MOST_ROUNDS:
            return _no_agreement()
        if not case.published:
            return end("offer-withdrawn", f"dataset {case.dataset} is not offered any more")
        fit = next((offer for offer in case.published if _asks_for(case.offer, offer)), None)
        if fit is None:
            return self._answer_other_terms(case)
        # Written in our own words and order: of several permissions the first that holds decides.
        return self._agree(replace(case, offer=fit), fit)

    def _answer_other_terms(self, case: Case) -> Verdict:
        if self.counter_offers is CounterOffers.ANSWER:
            return Say(Said.OFFER, offer=_ours(case))
        narrower = self.counter_offers is CounterOffers.AGREE
        too_wide = _too_wide(case) if narrower else _differences(case)
        # What is agreed are the terms that were asked for: they say less than ours, and are enforced so.
        return end("offer-misfit", *too_wide) if too_wide else self._agree(case)

    def _answer_acceptance(self, case: Case) -> Verdict:
        # What was accepted is our own offer, so only whether it still stands is left to ask.
        if not case.published:
            return end("offer-withdrawn", f"dataset {case.dataset} is not offered any more")
        return self._agree(case)

    def _agree(self, case: Case, offer: Offer | None = None) -> Verdict:
        denied = denials(case)
        if denied:
            return end("use-denied", *denied)
        if not (self.automatic or case.approved):
            return Hold(f"a person decides whether to agree with {case.counterparty}; it fits the offer")
        return Say(Said.AGREEMENT, offer=offer)

    def _answer_offer(self, case: Case) -> Verdict:
        if case.approved:
            return Say(Said.ACCEPTED)
        if case.wanted is None:
            return Hold(f"{case.counterparty} offers this contract unasked; a person accepts or ends it")
        misfit = _misfit(case.offer, case.wanted)
        if misfit:
            return Hold(
                f"{case.counterparty} offers other terms than we asked for ({misfit}); "
                "a person accepts or ends it"
            )
        if not self.automatic:
            return Hold(f"a person decides whether to accept the offer of {case.counterparty}")
        return Say(Said.ACCEPTED)


_SAID = {
    Do.END: Said.TERMINATION,
    Do.OFFER: Said.OFFER,
    Do.COUNTER: Said.REQUEST,
}


_MAY = possible(MOVES, TURN, _SAID)


def rules_of(*rules: Rule) -> Rules:
    """Return rules for negotiations.

    Raises:
        Misconfigured: naming a rule that could never act, and what is possible in its state.
    """
    return Rules("negotiation.rules", tuple(State), _MAY, rules)


@dataclass(frozen=True)
class RuledJudge:
    """Asks the operator's rules first, and otherwise another judge."""

    rules: Rules
    otherwise: Judge = Judge()

    def speaks(self, where: Where) -> bool:
        """Return whether it is our turn, or a rule acts unasked."""
        return self.otherwise.speaks(where) or self.rules.fitting(where) is not None

    def __call__(self, case: Case) -> Verdict:
        """Return what the first rule that fits says, once its time has come; a person's yes goes before."""
        where = Where(case.role, case.state, case.dataset, case.counterparty, case.visit)
        rule = None if case.approved else self.rules.fitting(where)
        if rule is None:
            return self.otherwise(case)
        if (held := rule.holding(case.since, case.at)) is not None:
            return held
        match rule.do:
            case Do.OFFER | Do.COUNTER if case.rounds > MOST_ROUNDS:
                return _no_agreement()
            case Do.OFFER:
                return self._offer(case)
            case Do.COUNTER if case.wanted is None:
                # To ask for what came unasked would be to take it; that is for a person.
                return self.otherwise(case)
            case Do.COUNTER:
                return Say(Said.REQUEST, offer=case.wanted)
            case Do.END:
                return end("ended-by-rule", rule.reason)
            case _:
                return replace(self.otherwise, automatic=True)(case)

    def _offer(self, case: Case) -> Verdict:
        if not case.published:
            return end("offer-withdrawn", f"dataset {case.dataset} is not offered any more")
        return Say(Said.OFFER, offer=_ours(case))


def denials(case: Case) -> tuple[str, ...]:
    """Return why the declared use is not permitted under the offer, or nothing if it is."""
    use = Use.declared(case.counterparty, case.use, case.claims)
    try:
        decision = decide(compile_policy(case.offer), use, UseTotals(), case.at)
    except Refused as error:
        return tuple(reasons_of(error))
    return spoken_reasons(decision) if isinstance(decision, Deny) else ()


def _no_agreement() -> Say:
    return end("no-agreement", f"no agreement after {MOST_ROUNDS} requests; start again from the offer")


def _ours(case: Case) -> Offer:
    """Return the published offer to answer with: the one that was asked for, or else the first."""
    return next((offer for offer in case.published if offer.id == case.offer.id), case.published[0])


def _too_wide(case: Case) -> tuple[str, ...]:
    """Return why a request asks for more than we offer, or for what could not be kept; nothing if it fits.

    The reasons are those of the offer that it names.
    """
    try:
        refuse_contradictions(compile_policy(case.offer))
    except Refused as error:
        return tuple(reasons_of(error))
    found = []
    for offer in (_ours(case), *case.published):
        fit = covers(case.offer, offer)
        if not isinstance(fit, Misfit):
            return ()
        found.append(fit.reasons)
    return found[0]


def _differences(case: Case) -> tuple[str, ...]:
    misfit = _misfit(case.offer, _ours(case))
    return ("this participant agrees only to its own terms", *((misfit,) if misfit else ()))


def _answer_agreement(case: Case) -> Verdict:
    agreement = case.agreement
    if agreement is None:
        return end("agreement-mismatch", "there is no agreement to verify")
    wrong = [
        f"agreement.{member} is {said!r}, expected {expected!r}"
        for member, said, expected in (
            ("assigner", agreement.assigner, case.counterparty),
            ("assignee", agreement.assignee, case.me),
            ("target", agreement.target, case.dataset),
        )
        if said != expected
    ]
    misfit = _misfit(agreement, case.offer)
    if misfit:
        wrong.append(f"the agreement's terms are not the offer's: {misfit}")
    return end("agreement-mismatch", *wrong) if wrong else Say(Said.VERIFICATION)


def _asks_for(asked: Offer, published: Offer) -> bool:
    """Say whether a request asks for an offer of ours: meaning the same, or as a peer's stack repeats it."""
    repeats = asked.id == published.id and as_repeated(terms(asked)) == as_repeated(terms(published))
    return repeats or _misfit(asked, published) is None


def _misfit(asked: Offer | Agreement, offered: Offer) -> str | None:
    """Say how two policies differ in meaning, or return nothing if they mean the same.

    Word for word the same is the same, also where a foreign profile's words mean nothing to us.
    """
    if _words(asked) == _words(offered):
        return None
    try:
        fit = matches(asked, offered)
    except Refused as error:
        return str(error)
    return "; ".join(str(reason) for reason in fit.reasons) if isinstance(fit, Misfit) else None


def _words(policy: Offer | Agreement) -> dict[str, Any]:
    return {key: value for key, value in policy.wire().items() if key not in _NO_TERMS}
