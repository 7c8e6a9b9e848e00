"""How an agreement that we gave changes or ends: at once, after its notice, or since consent was withdrawn.

What a crash leaves behind: a planned end whose time has come; streams are refused from then on all the same,
and the next tick revokes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from connector.negotiation.ports import NegotiationStore, SignedAgreement
from connector.outbox.letter import shorten
from policies.compiled import CompiledPolicy, compile_policy
from policies.kinds.durations import Duration
from policies.rules import Consent
from policies.words.carried import spoken
from policies.words.language import message
from schemas.base import Role
from schemas.errors import DataspaceError, Forbidden
from schemas.usage import UsageKind, UsageRecord

_log = structlog.get_logger("connector.negotiation")


def notice_of(policy: CompiledPolicy, signed: datetime) -> Duration | None:
    """Return the longest notice that any permission of a policy promises, counted from `signed`; pure."""
    notices = [
        permission.revocable.notice
        for permission in policy.permissions
        if permission.revocable is not None and permission.revocable.notice is not None
    ]
    last = datetime.max.replace(tzinfo=signed.tzinfo)
    return max(notices, key=lambda notice: notice.after(signed) or last, default=None)


def asks_consent(policy: CompiledPolicy) -> bool:
    """Return whether rows leave under a policy only with their subjects' consent; pure."""
    return any(isinstance(limit, Consent) for permission in policy.permissions for limit in permission.limits)


class Revocations:
    """Ends agreements, and changes what stands under them.

    Args:
        store: keeps agreements.
        record: makes usage records.
        clock: UTC, aware.
        remind: has `tick` called at a time.
        ended: is told of an agreement that ended, and why: what runs under it ends too.
    """

    def __init__(
        self,
        *,
        store: NegotiationStore,
        record: Callable[..., UsageRecord],
        clock: Callable[[], datetime],
        remind: Callable[[datetime], None],
        ended: Callable[[str, str], int],
    ) -> None:
        self._store, self._record, self._clock = store, record, clock
        self._remind, self._ended = remind, ended

    def revoke(
        self, agreement_id: str, why: str, emergency: str | None = None
    ) -> tuple[SignedAgreement, int]:
        """Withdraw an agreement that we gave: after the notice that it promises, or at once; idempotent.

        Args:
            agreement_id: which.
            why: the consumer is told, and the log keeps it.
            emergency: why the notice cannot be kept, if so.

        Returns:
            The agreement, and how many transfers ended.

        Raises:
            NotFound: if there is no such agreement.
            Forbidden: if the counterparty gave it.
        """
        held = self._given(agreement_id)
        notice = notice_of(compile_policy(held.agreement), held.signed)
        if notice is None or emergency is not None:
            said = why if emergency is None else f"{why} (emergency: {emergency})"
            return self._now(held, said)
        ends = notice.after(self._clock())
        if ends is None:
            raise Forbidden(f"the notice of {notice.text} ends after the year 9999; state an emergency")
        record = self._told(UsageKind.AGREEMENT_CHANGED, held, "revocation planned", why)
        record = record.model_copy(update={"detail": {"ends": ends.isoformat(), "notice": notice.text}})
        planned = self._store.plan_end(agreement_id, ends, shorten(why), (record,))
        if planned.ends is not None:
            self._remind(planned.ends)
        return planned, 0

    def at_once(self, agreement_id: str, why: str) -> None:
        """Withdraw an agreement without notice, as a consequence of what the counterparty did."""
        self._now(self._given(agreement_id), why)

    def consent_withdrawn(self, dataset: str, why: str) -> Sequence[str]:
        """Have every stream under a dataset's agreements end that ask for consent; return the agreements.

        What is asked for afterwards is decided, and joined with the table of consent, anew.
        """
        changed = []
        for held in self._store.agreements(dataset, Role.PROVIDER):
            if held.revoked is None and held.final and asks_consent(compile_policy(held.agreement)):
                record = self._told(UsageKind.AGREEMENT_CHANGED, held, "consent withdrawn", why)
                self._store.bump(held.agreement.id, shorten(why), (record,))
                changed.append(held.agreement.id)
        return changed

    def tick(self) -> None:
        """Revoke what was planned to end by now; called once a second."""
        for held in self._store.ending(self._clock()):
            try:
                self._now(held, held.end_reason)
            except DataspaceError as error:
                _log.warning("planned revocation failed", agreement=held.agreement.id, problem=str(error))

    def _now(self, held: SignedAgreement, why: str) -> tuple[SignedAgreement, int]:
        record = self._told(UsageKind.AGREEMENT_REVOKED, held, "revoked", why)
        revoked = self._store.revoke(held.agreement.id, shorten(why), (record,))
        # A crash here leaves transfers that look alive; their tickets are worth nothing already.
        why = spoken(message("end.agreement", reason=str(revoked.revoked)))
        return revoked, self._ended(held.agreement.id, why)

    def _given(self, agreement_id: str) -> SignedAgreement:
        held = self._store.agreement(agreement_id)
        if held.role is not Role.PROVIDER:
            raise Forbidden(
                f"agreement {agreement_id} was given by {held.counterparty}; only it can revoke it"
            )
        return held

    def _told(self, kind: UsageKind, held: SignedAgreement, what: str, why: str) -> UsageRecord:
        return self._record(
            kind,
            counterparty=held.counterparty,
            negotiation=held.negotiation,
            dataset=held.agreement.target,
            agreement=held.agreement.id,
            policy=held.digest,
            reasons=(what, shorten(why, 120)),
        )
