"""Pure: what we say when it is our turn in a negotiation.

A judge is any function from a case to a verdict, so that other rules can come in by the same door.
This one agrees by itself where a request means the same as a published offer and the declared use is
permitted, or holds everything for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.negotiation.machine import Said
from policies.compiled import compile_policy
from policies.decision import Deny, decide
from policies.subsumption import Misfit, covers
from policies.use import Use, UseTotals
from schemas.base import Role
from schemas.dsp.negotiation import NegotiationState as State
from schemas.errors import Refused
from schemas.odrl import Agreement, DeclaredUse, Offer
from schemas.vocab import ODRL

MOST_ROUNDS = 16
"""Offers and counter-offers of one negotiation before we end it."""


@dataclass(frozen=True)
class Case:
    """What a judge is told.

    `offer` is the last one that either side made; `published` is what we offer for the dataset now (as its
    provider); `wanted` what we last asked for (as a consumer). `approved` is true when a person said yes.
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
    since: datetime
    at: datetime
    approved: bool = False


@dataclass(frozen=True)
class Say:
    """Say this now; `offer` goes with offers, `code` and `reasons` with a termination."""

    what: Said
    offer: Offer | None = None
    code: str | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hold:
    """Say nothing yet: until a person decides, or until a time at which to ask again."""

    why: str
    until: datetime | None = None


_NO_TERMS = frozenset({"@context", "@id", "@type", "target", "assigner", "assignee", "timestamp"})

Verdict = Say | Hold
Judging = Callable[[Case], Verdict]


def end(code: str, *reasons: str) -> Say:
    """Return the verdict that ends a negotiation with its reasons."""
    return Say(Said.TERMINATION, code=code, reasons=reasons)


@dataclass(frozen=True)
class Judge:
    """The rules that we start with: `automatic` agrees where it fits; otherwise a person is asked."""

    automatic: bool = True

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
            return end(
                "no-agreement", f"no agreement after {MOST_ROUNDS} messages; start again from the offer"
            )
        if not case.published:
            return end("offer-withdrawn", f"dataset {case.dataset} is not offered any more")
        if all(_misfit(case.offer, offer) for offer in case.published):
            same_id = [offer for offer in case.published if offer.id == case.offer.id]
            return Say(Said.OFFER, offer=(same_id or list(case.published))[0])
        # Written in our own words and order: of several permissions the first that holds decides.
        return self._agree(case, next(offer for offer in case.published if not _misfit(case.offer, offer)))

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


def denials(case: Case) -> tuple[str, ...]:
    """Return why the declared use is not permitted under the offer, or nothing if it is."""
    use = Use(
        participant=case.counterparty,
        action=case.use.action if case.use else ODRL + "use",
        purpose=case.use.purpose if case.use else None,
    )
    try:
        decision = decide(compile_policy(case.offer), use, UseTotals(), case.at)
    except Refused as error:
        return (str(error),)
    return tuple(str(reason) for reason in decision.reasons) if isinstance(decision, Deny) else ()


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


def _misfit(asked: Offer | Agreement, offered: Offer) -> str | None:
    """Say how two policies differ in meaning, or return nothing if they mean the same.

    Word for word the same is the same, also where a foreign profile's words mean nothing to us.
    """
    if _words(asked) == _words(offered):
        return None
    try:
        fit = covers(asked, offered)
    except Refused as error:
        return str(error)
    return "; ".join(str(reason) for reason in fit.reasons) if isinstance(fit, Misfit) else None


def _words(policy: Offer | Agreement) -> dict[str, Any]:
    return {key: value for key, value in policy.wire().items() if key not in _NO_TERMS}
