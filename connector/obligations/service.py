"""The ledger of a provider: what is owed under our agreements, reminders, receipts, and consequences.

What a crash leaves behind: an agreement that was not looked through (the next look finds it), a stage whose
consequence was not drawn, or a receipt whose transfers still rest (the next look draws and lifts them again).
Whether something may stream is asked of dates and receipts, never of what was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from connector.negotiation.ports import SignedAgreement
from connector.obligations.entry import DELETE, SOON, Entry, Stage, Terms, complaint, entered, named
from connector.obligations.ports import Agreed, Consequences, LedgerStore, Log, Signatures
from connector.outbox.letter import shorten
from policies.compiled import compile_policy
from policies.obligations import Obligation, obligations_of
from policies.rules import Consequence
from schemas.base import Role
from schemas.errors import DataspaceError, IllegalMove, Malformed, NotFound, StaleState
from schemas.receipts import HeldReceipt, Receipt, read_receipt
from schemas.usage import UsageKind, UsageRecord

LOOK = timedelta(seconds=10)
"""How often new agreements are looked for; those with deliveries are looked at when a stream has ended."""
LOOK_AGAIN = timedelta(seconds=60)
"""How often all agreements with duties that come again are looked at, and consequences are drawn again."""
MOST_FREE = 100_000
"""Agreements without a duty that are remembered, so that nobody looks for one after each stream."""
MOST = 500
"""Entries and agreements that one look takes."""
LEEWAY = timedelta(minutes=5)
"""How far the clock of a counterparty may be ahead of ours."""

_TOLD = {Stage.SOON: UsageKind.OBLIGATION_DUE, Stage.OVERDUE: UsageKind.OBLIGATION_OVERDUE}
_log = structlog.get_logger("connector.obligations")


class Ledger:
    """The duties that others have towards us.

    Args:
        store: keeps the entries.
        agreements: knows what was agreed.
        usage: the usage log.
        signatures: checks receipts.
        consequences: are drawn when a duty is overdue, and lifted again.
        did: who we are.
        clock: UTC, aware.
        remind: has `tick` called at a time.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        store: LedgerStore,
        agreements: Agreed,
        usage: Log,
        signatures: Signatures,
        consequences: Consequences,
        did: str,
        clock: Callable[[], datetime],
        remind: Callable[[datetime], None] = lambda _: None,
    ) -> None:
        self._store, self._agreements, self._usage = store, agreements, usage
        self._signatures, self._consequences = signatures, consequences
        self._did, self._clock, self._remind = did, clock, remind
        self._looked: datetime | None = None
        self._looked_again: datetime | None = None
        self._undrawn: dict[str, Entry] = {}
        self._free: set[str] = set()  # agreements without a duty: their terms never change

    # --- what may go on --------------------------------------------------------------------------

    def hindrance(self, agreement: str) -> str | None:
        """Say why nothing may be transferred under an agreement: the duty that is overdue, if one is."""
        at = self._clock()
        overdue = [entry for entry in self._store.of(agreement) if entry.is_overdue(at)]
        return complaint(overdue[0]) if overdue else None

    def owed(self, counterparty: str | None = None, most: int = MOST) -> Sequence[Entry]:
        """Return what is owed to us, by one counterparty or all of them, the most urgent first."""
        return self._store.owed(None, most, counterparty)

    def owed_under(self, agreement: str, counterparty: str) -> Sequence[Entry]:
        """Return what a counterparty owes us under an agreement of its own."""
        entries = self._store.of(agreement)
        return [
            one for one in entries if one.counterparty == counterparty and one.stage is not Stage.FULFILLED
        ]

    def pressing(self, most: int = 100) -> Sequence[Entry]:
        """Return what is due soon or overdue, the most urgent first."""
        now = self._clock()
        return [
            one
            for one in self._store.owed(now + SOON, most)
            if one.stage is not Stage.OPEN or one.is_overdue(now)
        ]

    # --- entering --------------------------------------------------------------------------------

    def delivered(self, agreement: str) -> None:
        """Take note that data left under an agreement; a failure is repaired by a later look."""
        try:
            self.enter(agreement)
        except DataspaceError as error:
            _log.warning("obligations not entered", agreement=agreement, problem=str(error))

    def enter(self, agreement_id: str) -> None:
        """Enter what is owed under an agreement now; entering it again changes nothing."""
        if agreement_id in self._free:
            return
        held = self._agreements.agreement(agreement_id)
        if held.role is not Role.PROVIDER or not held.final:
            return
        # What a foreign control plane agreed on is its own to follow up: its consumers sign nothing to us.
        own = held.control_plane is None
        duties = obligations_of(compile_policy(held.agreement)) if own else ()
        # What was delivered under a revoked one has to be deleted all the same; nothing else is owed anew.
        owed = duties if held.revoked is None else [one for one in duties if one.action == DELETE]
        entries = self._fresh(held, owed)
        if entries:
            try:
                self._store.put(entries)
            except StaleState:
                return  # another process entered them
        for entry in entries:
            if entry.due is not None:
                self._remind(entry.due)
        self._store.book(agreement_id, again=any(_comes_again(duty) for duty in duties))
        if not duties and len(self._free) < MOST_FREE:
            self._free.add(agreement_id)

    def _fresh(self, held: SignedAgreement, duties: Sequence[Obligation]) -> tuple[Entry, ...]:
        if not duties:
            return ()
        last = {entry.place: entry for entry in self._store.of(held.agreement.id)}  # by place and period
        agreed, totals = held.agreement, self._usage.totals(held.agreement.id)
        terms = Terms(agreed.id, held.counterparty, agreed.target, held.digest, held.signed, totals)
        return tuple(
            entry for duty in duties for entry in entered(duty, terms, last.get(duty.place), self._clock())
        )

    # --- looking ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """Enter what is new, remind of what is due, and draw consequences; called once a second."""
        now = self._clock()
        if self._looked is None or now - self._looked >= LOOK:
            self._looked = now
            for agreement in self._store.unbooked(MOST):
                self.delivered(agreement)
        if self._looked_again is None or now - self._looked_again >= LOOK_AGAIN:
            self._looked_again = now
            for agreement in self._store.booked():
                self.delivered(agreement)
            for agreement in self._consequences.resting():
                if self.hindrance(agreement) is None:
                    self._consequences.resume(agreement)
            self._draw_again()
        for entry in self._store.moving(now + SOON, MOST):
            try:
                self._move(entry, now)
            except StaleState:
                continue  # another process did
            except DataspaceError as error:
                _log.warning("obligation not followed up", entry=entry.id, problem=str(error))
        for entry in list(self._undrawn.values()):
            try:
                self._draw(entry)
                del self._undrawn[entry.id]
            except DataspaceError as error:
                _log.warning("consequence not drawn", entry=entry.id, problem=str(error))

    def _move(self, entry: Entry, now: datetime) -> None:
        moved = entry.reminded(now)
        if moved is not None:
            self._store.put([moved], [self._told(moved, _TOLD[moved.stage])])
            if moved.stage is Stage.OVERDUE:
                self._undrawn[entry.id] = entry
                self.delivered(entry.agreement)  # the next period begins
        elif entry.due is not None and now < entry.due:
            self._remind(entry.due)

    def _draw_again(self) -> None:
        """Have every consequence drawn once more: a crash may have come before it was."""
        after = ""
        while entries := self._store.overdue(after, MOST):
            self._undrawn |= {entry.id: entry for entry in entries}
            after = entries[-1].id

    def _draw(self, entry: Entry) -> None:
        if entry.consequence is Consequence.TERMINATE:
            self._consequences.terminate(entry.agreement, complaint(entry))
        else:
            self._consequences.suspend(entry.agreement, complaint(entry))

    # --- receipts --------------------------------------------------------------------------------

    def receive(self, caller: str, token: str) -> Entry:
        """Take a signed receipt from a counterparty; the same one again changes nothing.

        Raises:
            Unauthenticated: if the signature does not hold.
            Malformed: if it does not fit the agreement or the time.
            NotFound: if there is no such agreement, or it is not the caller's: the same answer.
            IllegalMove: if nothing of the kind is owed.
        """
        signed = self._signatures.verified(caller, token)
        receipt = read_receipt(signed.claims, caller, self._did)
        held = self._given(caller, receipt)
        self.enter(held.agreement.id)
        entries = self._store.of(held.agreement.id)
        if (taken := _taken(entries, receipt)) is not None:
            return taken
        waiting = [
            one for one in entries if one.action == receipt.action and one.stage is not Stage.FULFILLED
        ]
        if not waiting:
            known = sorted({named(one.action) for one in entries}) or ["nothing"]
            raise IllegalMove(
                f"receipt: no {named(receipt.action)[:60]!r} is owed under {held.agreement.id} now; "
                f"duties entered so far: {', '.join(known)}"
            )
        return self._fulfil(replace(waiting[0], receipt=token, receipt_key=signed.key), receipt)

    def _given(self, caller: str, receipt: Receipt) -> SignedAgreement:
        missing = NotFound(f"no agreement {receipt.agreement[:120]!r} of yours here")
        try:
            held = self._agreements.agreement(receipt.agreement)
        except NotFound:
            raise missing from None
        if held.role is not Role.PROVIDER or held.counterparty != caller:
            raise missing
        if receipt.policy != held.digest:
            raise Malformed(
                f"receipt: it is about terms {receipt.policy[:80]}, but {held.agreement.id} is {held.digest}"
            )
        return held

    def shown(self, agreement: str) -> tuple[HeldReceipt, ...]:
        """Return the receipts that were taken under an agreement, as an auditor is shown them."""
        return tuple(
            HeldReceipt(
                id=one.receipt_id,
                agreement=agreement,
                token=one.receipt,
                duty=one.place,
                period=one.period,
                key=one.receipt_key,
            )
            for one in self._store.of(agreement)
            if one.receipt_id is not None and one.receipt is not None
        )

    def _fulfil(self, entry: Entry, receipt: Receipt) -> Entry:
        now = self._clock()
        if receipt.done > now + LEEWAY:
            raise Malformed(
                f"receipt: done at {receipt.done.isoformat()}, which is after now, {now.isoformat()}"
            )
        # A period may be reported on before it ends; what was delivered cannot be deleted before it was.
        if entry.action == DELETE and receipt.done < entry.since:
            raise Malformed(
                f"receipt: deleted at {receipt.done.isoformat()}, before the last delivery at "
                f"{entry.since.isoformat()}; delete that too"
            )
        # Never ahead of our clock: else what is delivered until then would be owed by nobody.
        done = min(receipt.done, now)
        fulfilled = replace(entry, stage=Stage.FULFILLED, fulfilled=done, receipt_id=receipt.id)
        self._store.put([fulfilled], [self._told(fulfilled, UsageKind.OBLIGATION_FULFILLED, receipt)])
        self._undrawn.pop(entry.id, None)
        if self.hindrance(entry.agreement) is None:
            self._consequences.resume(entry.agreement)
        return replace(fulfilled, version=entry.version + 1)

    def _told(self, entry: Entry, kind: UsageKind, receipt: Receipt | None = None) -> UsageRecord:
        return self._usage.record(kind, **told(entry, receipt))


def told(entry: Entry, receipt: Receipt | None = None) -> dict[str, Any]:
    """Return what the usage log says of an entry."""
    detail: dict[str, str | int] = {"duty": entry.place, "period": entry.period}
    if entry.due is not None:
        detail["due"] = entry.due.isoformat()
    if receipt is not None:
        detail |= {"receipt": receipt.id, "done": receipt.done.isoformat()}
        detail |= {"statement": shorten(receipt.statement, 300)} if receipt.statement else {}
        detail |= {"url": shorten(receipt.url, 300)} if receipt.url else {}
        detail |= {"rowsReported": receipt.rows} if receipt.rows is not None else {}
    return {
        "counterparty": entry.counterparty,
        "dataset": entry.dataset,
        "agreement": entry.agreement,
        "policy": entry.policy,
        "action": entry.action,
        "detail": detail,
    }


def _taken(entries: Sequence[Entry], receipt: Receipt) -> Entry | None:
    """Return the entry that a receipt fulfilled before, if it did.

    Raises:
        Malformed: if its id is that of a receipt for another duty: an auditor could not tell them apart.
    """
    found = next((one for one in entries if one.receipt_id == receipt.id), None)
    if found is not None and found.action != receipt.action:
        raise Malformed(
            f"receipt: {receipt.id} was taken for {named(found.action)[:60]!r}, and this is about "
            f"{named(receipt.action)[:60]!r}; give this one an id of its own"
        )
    return found


def _comes_again(duty: Obligation) -> bool:
    return duty.every is not None or duty.action == DELETE
