"""The consumer's side: what we owe, and the receipts that we sign and hand over.

A receipt and the message that hands it over are one save; what became of it and the record that says so are
another. What a crash leaves behind: a message that waits, which the outbox finds; or one that the provider
took and whose answer we did not save. It goes again, and the provider knows the receipt by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from joserfc.jwk import OKPKey

from connector.negotiation.ports import SignedAgreement
from connector.obligations.ports import Agreed, Log, Peers, ReceiptStore
from connector.obligations.sent import Fate, SentReceipt
from connector.outbox.letter import shorten
from connector.outbox.ports import Delivery, Outgoing
from connector.outbox.refusal import Verdict
from connector.outbox.watch import Watch
from policies.compiled import compile_policy
from policies.rules import CompiledDuty
from schemas.base import Role
from schemas.binding.paths import RECEIPTS_PATH, join
from schemas.errors import DataspaceError, Forbidden, IllegalMove, PeerRefused, StaleState
from schemas.receipts import LIFE, HeldReceipt, Receipt, sign_receipt
from schemas.usage import UsageKind
from schemas.vocab import compact_iri
from schemas.worded import told_json, told_of, worded

PATIENCE = LIFE - timedelta(minutes=5)
"""How long a receipt is tried: a little less than its signature may be on its way."""
LONGEST_WAIT = 10.0
"""Seconds that a call waits for the provider's answer; the receipt goes on without it."""
MOST_SHOWN = 100
"""Receipts that are listed."""
_ANSWERED = ("action", "duty", "period", "due", "stage", "consequence", "fulfilled")


class Fulfilments:
    """The duties that we have towards others (a `Sender` of receipts).

    Args:
        agreements: knows what was agreed.
        store: keeps our receipts.
        usage: the usage log.
        peers: the ledgers of providers.
        key: signs receipts.
        did: who we are.
        clock: UTC, aware.
        new_id: makes the ids of receipts.
        wake: has what waits delivered soon.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        agreements: Agreed,
        store: ReceiptStore,
        usage: Log,
        peers: Peers,
        key: OKPKey,
        did: str,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        wake: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._agreements, self._store, self._usage, self._peers = agreements, store, usage, peers
        self._key, self._did, self._clock, self._new_id = key, did, clock, new_id
        self._wake = wake
        self._watch = Watch()

    def owed(self) -> Sequence[dict[str, Any]]:
        """Return what we owe: as its provider counts, or, where that cannot be asked, as the terms say."""
        found: list[dict[str, Any]] = []
        for held in self._agreements.agreements(role=Role.CONSUMER):
            duties = compile_policy(held.agreement).duties if held.final else ()
            if duties:
                found += self._owed_under(held, duties)
        return found

    def _owed_under(self, held: SignedAgreement, duties: Sequence[CompiledDuty]) -> list[dict[str, Any]]:
        whose = {"agreement": held.agreement.id, "to": held.counterparty}
        try:
            return [{**one, **whose, "says": "provider"} for one in self._peers.owed(held)]
        except DataspaceError as error:
            return [
                {
                    **whose,
                    "action": duty.action,
                    "duty": duty.place,
                    "due": None,
                    "stage": "unknown",
                    "says": f"the agreement; the provider could not be asked: {shorten(str(error), 200)}",
                }
                for duty in duties
            ]

    def fulfil(
        self, agreement_id: str, action: str, *, wait: float = LONGEST_WAIT, **said: Any
    ) -> dict[str, Any]:
        """Sign that a duty was kept, save the receipt with its message, and wait for the answer.

        Args:
            agreement_id: under which agreement.
            action: the duty's (absolute IRI).
            wait: seconds to wait for the provider; the receipt is handed over in any case.
            said: further members of the receipt; `done` is now where it is missing.

        Returns:
            The receipt's id and fate: taken, with what it fulfilled, or still waiting.

        Raises:
            NotFound: if there is no such agreement.
            Forbidden: if it obliges the other side.
            IllegalMove: if it has no such duty.
            PeerRefused: with the provider's reasons; then nothing is logged.
        """
        held = self._owing(agreement_id, action)
        at = self._clock()
        members = {
            "id": self._new_id(),
            "agreement": agreement_id,
            "policy": held.digest,
            "action": action,
            "done": at.isoformat(),
        }
        receipt = Receipt.read(members | {name: value for name, value in said.items() if value is not None})
        sent = SentReceipt(
            receipt.id,
            agreement_id,
            held.counterparty,
            held.agreement.target,
            held.digest,
            action,
            receipt.done,
            sign_receipt(receipt, self._key, self._did, held.counterparty, at),
            at,
        )
        self._store.add(sent, _letter(sent, held, at))
        self._wake(_process(sent))
        return self._answered(sent.id, wait)

    def _owing(self, agreement_id: str, action: str) -> SignedAgreement:
        held = self._agreements.agreement(agreement_id)
        if held.role is not Role.CONSUMER:
            raise Forbidden(f"agreement {agreement_id} obliges {held.counterparty}, not us")
        duties = compile_policy(held.agreement).duties
        if action not in {duty.action for duty in duties}:
            known = ", ".join(compact_iri(duty.action) for duty in duties) or "none"
            raise IllegalMove(
                f"agreement {agreement_id} has no duty {compact_iri(action[:200])}; its duties: {known}"
            )
        return held

    def _answered(self, receipt_id: str, wait: float) -> dict[str, Any]:
        found = self._watch.wait(
            receipt_id, lambda: self._store.get(receipt_id), lambda one: one.fate is not Fate.WAITING, wait
        )
        if found.fate is Fate.REFUSED:
            raise PeerRefused(found.problem or "refused", reasons=found.reasons)
        told = {"agreement": found.agreement, "to": found.counterparty, "receipt": found.id}
        return {**(found.answer or {}), **told, "action": found.action, "fate": found.fate.value}

    def sent(self, most: int = MOST_SHOWN) -> Sequence[dict[str, Any]]:
        """Return our latest receipts, newest first, and what became of each."""
        return [
            {
                "receipt": one.id,
                "agreement": one.agreement,
                "to": one.counterparty,
                "action": one.action,
                "done": one.done.isoformat(),
                "fate": one.fate.value,
                "problem": one.problem,
                "reasons": list(one.reasons),
                "told": told_json(one.reasons),
            }
            for one in self._store.recent(most)
        ]

    def shown(self, agreement: str) -> tuple[HeldReceipt, ...]:
        """Return the receipts of ours that were taken under an agreement, as an auditor is shown them."""
        return tuple(
            HeldReceipt(id=one.id, agreement=agreement, token=one.token)
            for one in self._store.of(agreement)
            if one.fate is Fate.TAKEN
        )

    # --- what became of it (a Sender) ------------------------------------------------------------

    def refused(self, outgoing: Outgoing, standing: str | None) -> Verdict:
        """Judge a refusal: a receipt that is not taken never will be."""
        return Verdict.FINAL

    def delivered(self, outgoing: Outgoing, delivery: Delivery) -> None:
        """Log that a duty was kept: the provider took the receipt. Told again, it changes nothing."""
        answer = delivery.document if isinstance(delivery.document, dict) else {}
        kept = {name: _plain(answer[name]) for name in _ANSWERED if name in answer}
        self._settle(outgoing.id, Fate.TAKEN, answer=kept)

    def undeliverable(self, outgoing: Outgoing, problem: str, reasons: Sequence[str]) -> None:
        """Take note that the provider did not take a receipt; nothing is logged."""
        self._settle(
            outgoing.id,
            Fate.REFUSED,
            problem=shorten(problem),
            reasons=worded([shorten(one) for one in reasons], told_of(reasons)),
        )

    def _settle(self, receipt_id: str, fate: Fate, **changes: Any) -> None:
        found = self._store.get(receipt_id)
        if found.fate is not Fate.WAITING:
            return  # a crash hid that it was told before
        records = []
        if fate is Fate.TAKEN:
            records.append(
                self._usage.record(
                    UsageKind.OBLIGATION_FULFILLED,
                    counterparty=found.counterparty,
                    dataset=found.dataset,
                    agreement=found.agreement,
                    policy=found.policy,
                    action=found.action,
                    detail={"receipt": found.id, "done": found.done.isoformat()},
                )
            )
        try:
            self._store.save(replace(found, fate=fate, **changes), records)
        except StaleState:
            return  # another process of ours was told first
        self._watch.ring(receipt_id)


def _process(sent: SentReceipt) -> str:
    """Return in whose order a receipt is handed over: after those before it under the same agreement."""
    return f"{sent.agreement}#receipts"


def _letter(sent: SentReceipt, held: SignedAgreement, at: datetime) -> Outgoing:
    return Outgoing(
        id=sent.id,
        kind="receipt",
        process=_process(sent),
        recipient=held.counterparty,
        method="POST",
        url=join(held.callback, RECEIPTS_PATH),
        document={"receipt": sent.token},
        created=at,
        deadline=at + PATIENCE,
        due=at,
    )


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else shorten(str(value), 200)
