"""What the console's page of agreements shows: who may read what, how much of it is used, and what is owed.

Every answer is given by the services that the management door calls; the page keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.api.policies import sentences_view
from connector.negotiation.revocation import Revocations, notice_of
from connector.negotiation.service import Negotiations
from connector.obligations.entry import Entry, Stage
from connector.obligations.service import Ledger
from policies.compiled import CompiledPolicy, compile_policy
from policies.decision import Limits, Permit, decide
from policies.explain import explain_decision
from policies.language import Language, message, number, say, span
from policies.profile import Action, action_of
from policies.remedies import Question, against_sentences
from policies.use import Claims, Use, UseTotals
from schemas.base import Role
from schemas.errors import Malformed

PAGE = 25
"""Agreements on a page."""
MOST_OWED = 100
"""Obligations on the page: the most urgent."""
MOST_REASON = 200
"""Characters of a reason."""


@dataclass(frozen=True)
class Book:
    """What is known of agreements.

    Args:
        agreements: made by us or with us.
        revocations: ends those that we gave.
        ledger: what is owed to us.
        totals: what an agreement has used.
        streams: how many streams are open under each agreement.
        claims: what the authority states of a participant.
        clock: UTC, aware.
    """

    agreements: Negotiations
    revocations: Revocations
    ledger: Ledger
    totals: Callable[[str], UseTotals]
    streams: Callable[[], Mapping[str, int]]
    claims: Callable[[str], Claims]
    clock: Callable[[], datetime]

    def page(self, start: int, lang: Language) -> dict[str, Any]:
        """Return what a page shows: agreements, newest first, and what is owed, the most urgent first."""
        held, now, streams = self.agreements.agreements(), self.clock(), self.streams()
        owed = self.ledger.owed(most=MOST_OWED)
        return {
            "agreements": [self._shown(one, now, streams, lang) for one in held[start : start + PAGE]],
            "total": len(held),
            "start": start,
            "next": start + PAGE if start + PAGE < len(held) else None,
            "before": max(start - PAGE, 0) if start else None,
            "owed": [_owed(entry, now, lang) for entry in owed],
            "overdue": sum(entry.is_overdue(now) for entry in owed),
        }

    def revoke(self, form: Mapping[str, str]) -> str:
        """Revoke the agreement that a form names, and return its id.

        Raises:
            Malformed: if no reason is given, or it is too long.
            NotFound, Forbidden: as `Revocations.revoke`.
        """
        reason, emergency = form.get("reason", "").strip(), form.get("emergency", "").strip()
        for name, text in (("the reason", reason), ("the emergency", emergency)):
            if len(text) > MOST_REASON:
                raise Malformed(f"{name} has {len(text)} characters; write at most {MOST_REASON}")
        if not reason:
            raise Malformed("give a reason; the consumer is told, and the log keeps it")
        revoked, _ = self.revocations.revoke(form.get("agreement", ""), reason, emergency or None)
        return revoked.agreement.id

    def _shown(self, held: Any, now: datetime, streams: Mapping[str, int], lang: Language) -> dict[str, Any]:
        id, ours = held.agreement.id, held.role is Role.PROVIDER
        policy = compile_policy(held.agreement)
        notice = notice_of(policy, held.signed)
        hindrance = self.ledger.hindrance(id) if ours else None
        return {
            "id": id,
            "ours": ours,
            "counterparty": held.counterparty,
            "dataset": held.agreement.target,
            "signed": held.signed,
            "state": _state(held, now, hindrance),
            "hindrance": hindrance,
            "revoked": held.revoked,
            "changed": held.changed,
            "ends": held.ends,
            "ends_why": held.ends_why,
            "epoch": number(held.epoch, lang),
            "streams": number(streams.get(id, 0), lang),
            "sentences": sentences_view(policy, lang),
            "notice": span(notice.text, lang) if notice is not None else None,
            "revocable": ours and held.final and not held.has_ended(now),
            **(self._use(held, policy, now, lang) if ours else {"used": (), "decision": ()}),
            **({"decision": ()} if hindrance is not None else {}),  # what it would permit does not happen now
        }

    def _use(self, held: Any, policy: CompiledPolicy, now: datetime, lang: Language) -> dict[str, Any]:
        """Return what was used, and what the one decision says now of the use that was agreed on."""
        totals = self.totals(held.agreement.id)
        if held.has_ended(now) or not held.final:
            return {"used": _used(totals, None, lang), "decision": ()}
        use = Use.declared(held.counterparty, held.use, self.claims(held.counterparty))
        decision = decide(policy, use, totals, now)
        if isinstance(decision, Permit):
            return {
                "used": _used(totals, decision.limits, lang),
                "decision": explain_decision(decision, lang),
            }
        against = against_sentences(Question(policy, use, totals, now), lang)
        return {"used": _used(totals, None, lang), "decision": against}


def _state(held: Any, now: datetime, hindrance: str | None) -> str:
    """Name the state of an agreement: the words of the page have one entry for each."""
    if held.revoked is not None or held.has_ended(now):
        return "revoked"
    if not held.final:
        return "open"
    if hindrance is not None:
        return "rests"
    return "ends" if held.ends is not None else "stands"


def _used(
    totals: UseTotals, limits: Limits | None, lang: Language
) -> tuple[tuple[str, str, str | None], ...]:
    """Return name, used and, where that is limited, how much it may be in all."""
    shown = []
    for name in ("rows", "bytes", "requests", "epochs"):
        used = getattr(totals, name)
        left = getattr(limits, name) if limits is not None else None
        shown.append((name, number(used, lang), None if left is None else number(used + left, lang)))
    return tuple(shown)


def _owed(entry: Entry, now: datetime, lang: Language) -> dict[str, Any]:
    overdue = entry.is_overdue(now)
    action = action_of(entry.action)
    return {
        "action": _named(action, lang) if action is not None else entry.action,
        "by": entry.counterparty,
        "dataset": entry.dataset,
        "agreement": entry.agreement,
        "due": entry.due,
        "stage": "overdue" if overdue else "soon" if entry.stage is Stage.SOON else "open",
        "consequence": entry.consequence.value,
    }


def _named(action: Action, lang: Language) -> str:
    return say(message(f"to.{action.name}"), lang)
