"""The consumer's side: what we owe, and the receipts that we sign and hand over.

What a crash leaves behind: a receipt that the provider took and that we did not log. Handed over again, it is
another receipt, and the provider says that nothing is owed any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from connector.negotiation.ports import SignedAgreement
from connector.obligations.ports import Agreed, Log, Peers
from connector.outbox.letter import shorten
from policies.compiled import compile_policy
from policies.rules import CompiledDuty
from schemas.base import Role
from schemas.errors import DataspaceError, Forbidden, IllegalMove
from schemas.receipts import Receipt, sign_receipt
from schemas.usage import UsageKind


class Fulfilments:
    """The duties that we have towards others.

    Args:
        agreements: knows what was agreed.
        usage: the usage log.
        peers: the ledgers of providers.
        key: signs receipts.
        did: who we are.
        clock: UTC, aware.
        new_id: makes the ids of receipts.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app.py
        self,
        *,
        agreements: Agreed,
        usage: Log,
        peers: Peers,
        key: OKPKey,
        did: str,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._agreements, self._usage, self._peers = agreements, usage, peers
        self._key, self._did, self._clock, self._new_id = key, did, clock, new_id

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

    def fulfil(self, agreement_id: str, action: str, **said: Any) -> dict[str, Any]:
        """Sign that a duty was kept, hand the receipt over, and log it.

        Args:
            agreement_id: under which agreement.
            action: the duty's (absolute IRI).
            said: further members of the receipt; `done` is now where it is missing.

        Raises:
            NotFound: if there is no such agreement.
            Forbidden: if it obliges the other side.
            IllegalMove: if it has no such duty.
            PeerRefused: with the provider's reasons; then nothing is logged.
            PeerUnavailable: if the provider cannot be reached.
        """
        held = self._agreements.agreement(agreement_id)
        if held.role is not Role.CONSUMER:
            raise Forbidden(f"agreement {agreement_id} obliges {held.counterparty}, not us")
        duties = compile_policy(held.agreement).duties
        if action not in {duty.action for duty in duties}:
            known = ", ".join(duty.action for duty in duties) or "none"
            raise IllegalMove(f"agreement {agreement_id} has no duty {action[:200]}; its duties: {known}")
        at = self._clock()
        receipt = Receipt.read(
            {
                "id": self._new_id(),
                "agreement": agreement_id,
                "policy": held.digest,
                "action": action,
                "done": at.isoformat(),
            }
            | {name: value for name, value in said.items() if value is not None}
        )
        taken = self._peers.hand_over(
            held, sign_receipt(receipt, self._key, self._did, held.counterparty, at)
        )
        self._usage.append(
            self._usage.record(
                UsageKind.OBLIGATION_FULFILLED,
                counterparty=held.counterparty,
                dataset=held.agreement.target,
                agreement=agreement_id,
                policy=held.digest,
                action=action,
                detail={"receipt": receipt.id, "done": receipt.done.isoformat()},
            )
        )
        return taken | {"agreement": agreement_id, "to": held.counterparty, "receipt": receipt.id}
