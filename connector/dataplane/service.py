"""From a ticket to an open stream: check, decide once, log the decision, and join scan, plan and meter."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from joserfc.jwk import OKPKey

from connector.dataplane.apart import Apart
from connector.dataplane.asked import Asked, check_kind, narrowed
from connector.dataplane.enforce import Enforcement
from connector.dataplane.groups import AnswerCheck, GroupedScan
from connector.dataplane.masks import mask_key
from connector.dataplane.ports import Ledger, Scan, ScanRequest, Scans, Started
from connector.dataplane.question import Question
from connector.dataplane.sample import sample_salt
from connector.dataplane.standing import EndKind, Granted, stop
from connector.dataplane.stream import Admission, OpenStream, shorten
from connector.negotiation.ports import NegotiationStore, SignedAgreement
from connector.offering.ports import OfferingStore
from connector.transfer.ticket import Ticket, verify
from connector.usage.ports import Sent
from policies.claims import claims_detail
from policies.compiled import CompiledPolicy, compile_policy
from policies.decision import Deny, Permit, decide, spoken_reasons
from policies.plan import DataPlan
from policies.use import NO_CLAIMS, Claims, Use, UseTotals
from schemas.base import Role
from schemas.errors import (
    DataspaceError,
    Forbidden,
    Malformed,
    NotFound,
    Unauthenticated,
    Unavailable,
    UseDenied,
    WorldMoved,
)
from schemas.usage import UsageKind

BLOCK_ROWS = 131_072
"""Rows that are reserved at once: one line of the log each."""
BATCH_BYTES = 4 << 20
"""The size of batches that travels best."""

_LOOKS, _PAUSE = 40, timedelta(milliseconds=50)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = structlog.get_logger("connector.dataplane")


class Streams:
    """Opens streams for tickets, and knows those that are open.

    Args:
        agreements: knows whether an agreement stands.
        transfers: knows whether a transfer is started.
        offerings: knows the file behind a dataset, and which columns were described.
        usage: the usage log.
        scans: reads files.
        ticket_key: checks tickets.
        mask_secret: at least 32 bytes; pseudonyms hang on it.
        clock: UTC, aware.
        new_id: makes stream ids.
        block_rows: rows that are reserved at once.
        standing: says why a participant may not stream, if it is out of the data space.
        hindrance: says why nothing may be streamed under an agreement, if so.
        settled: is told the agreement of a stream that left rows, once they are settled.
        claims: says what is known of a participant now.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        agreements: NegotiationStore,
        transfers: Started,
        offerings: OfferingStore,
        usage: Ledger,
        scans: Scans,
        ticket_key: OKPKey,
        mask_secret: bytes,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        block_rows: int = BLOCK_ROWS,
        batch_bytes: int = BATCH_BYTES,
        standing: Callable[[str], str | None] = lambda _: None,
        hindrance: Callable[[str], str | None] = lambda _: None,
        settled: Callable[[str], None] = lambda _: None,
        claims: Callable[[str], Claims] = lambda _: NO_CLAIMS,
    ) -> None:
        self._agreements, self._transfers, self._offerings = agreements, transfers, offerings
        self._usage, self._scans = usage, scans
        self._ticket_key, self._mask_secret = ticket_key, mask_secret
        self._clock, self._new_id = clock, new_id
        self._standing_of, self._hindrance, self._settled = standing, hindrance, settled
        self._claims = claims
        self.block_rows, self._batch_bytes = block_rows, batch_bytes
        self._lock = threading.Lock()
        self._open: dict[str, OpenStream] = {}
        self._ending: dict[str, OpenStream] = {}
        self._unsettled: dict[str, Callable[[], None]] = {}

    def open(
        self,
        ticket: str,
        start: int = 0,
        columns: Sequence[str] | None = None,
        transfer: str | None = None,
        question: Question | None = None,
    ) -> OpenStream:
        """Check a ticket, decide once, and open the stream that it stands for.

        Args:
            ticket: as the consumer showed it.
            start: rows to leave out from the front, for a reader that resumes.
            columns: a choice among the released columns; None means all.
            transfer: the transfer that the address named, where it named one.
            question: what is asked of data of which only groups may leave.

        Raises:
            Unauthenticated: if the ticket does not hold.
            NotFound: if it is for another transfer than the address.
            Forbidden: if the agreement does not stand any more.
            WorldMoved: if the transfer is not started.
            UseDenied: with the policy's reasons.
            PolicyMismatch: if a column is asked for that is not released.
            StorageUnavailable: if the decision could not be logged; then nothing leaves.
        """
        if not 0 <= start < 2**53:
            raise Malformed(f"start is {start}; write a row number from 0")
        pass_ = verify(ticket, self._ticket_key, self._clock())
        if transfer is not None and transfer != pass_.transfer:
            raise NotFound(
                f"no transfer {transfer[:200]!r} for this ticket; use the address that came with it"
            )
        agreement = self._standing(pass_)
        stream = self._new_id()
        fields = _fields(pass_, agreement, stream)
        policy = compile_policy(agreement.agreement)
        apart = Apart.of(policy, lambda: self._described(pass_.dataset))
        if start and any(permission.epochs is not None for permission in policy.permissions):
            self._await_end(pass_.transfer)
        asked = Asked(start, tuple(columns) if columns is not None else None, question)
        granted = self._decided(pass_, policy, fields, asked, apart)
        try:
            apart.check()
            foreign = agreement.control_plane is not None
            opened = self._opened(pass_, granted, fields, asked, of_member=not foreign)
        except DataspaceError as error:
            why = str(error)
            self._settle(stream, lambda: self._settle_unopened(fields, why))
            raise
        with self._lock:
            self._open[stream] = opened
        return opened

    def _described(self, dataset: str) -> list[str]:
        return [column.name for column in self._offerings.get(dataset).dataset.columns]

    def _enforced(
        self, scan: Scan, plan: DataPlan, key: bytes, question: Question | None
    ) -> tuple[Scan, Enforcement | AnswerCheck]:
        """Join a scan with what checks its batches; a question with what answers it."""
        enforcement = Enforcement.of(plan, scan.schema, key)
        if question is None or plan.aggregate is None:
            return scan, enforcement
        grouped = GroupedScan(scan, enforcement, question, plan.aggregate, self._scans.tally)
        return grouped, AnswerCheck.of(grouped, enforcement, plan.aggregate.min_group)

    def _standing(self, ticket: Ticket) -> SignedAgreement:
        """Return the agreement behind a ticket, if it and the transfer stand."""
        transfer = self._transfers.get(ticket.transfer)
        named = (transfer.agreement, transfer.counterparty, transfer.dataset, transfer.role)
        if named != (ticket.agreement, ticket.consumer, ticket.dataset, Role.PROVIDER):
            raise Unauthenticated(
                "ticket: it is not for this transfer, agreement and consumer; ask for a new transfer"
            )
        agreement = self._agreements.agreement(ticket.agreement)
        halt = stop(transfer, agreement, ticket, self._clock())
        if halt is not None:
            kind, reason = halt
            raise Forbidden(reason) if kind == "revoked" else WorldMoved(reason)
        foreign = agreement.control_plane is not None  # whose consumers need not be members here
        why = None if foreign else self._standing_of(ticket.consumer)
        if (why := why or self._hindrance(ticket.agreement)) is not None:
            raise Forbidden(why)
        return agreement

    def _await_end(self, transfer: str) -> None:
        """Give the stream that a reader comes back from a moment to notice that it broke, and to be settled.

        While it is open, to come back is another epoch. Who reads with two streams at once loses the moment.
        """
        for _ in range(_LOOKS):
            with self._lock:
                streams = [*self._open.values(), *self._ending.values()]
            if all(stream.ticket.transfer != transfer for stream in streams):
                return
            self.wait(threading.Event(), _PAUSE)

    def _opened(
        self,
        ticket: Ticket,
        granted: Granted,
        fields: Mapping[str, Any],
        asked: Asked,
        *,
        of_member: bool,
    ) -> OpenStream:
        offering, permit = self._offerings.get(ticket.dataset), granted.permit
        check_kind(permit.plan, asked)
        described = [column.name for column in offering.dataset.columns]
        plan = narrowed(permit.plan, described, asked.wanted(permit.plan.visible(described)))
        key = mask_key(self._mask_secret, ticket.agreement)
        request = ScanRequest(self._batch_bytes, asked.start, sample_salt(key), offering.consent)
        scan = self._scans.scan(offering.source, plan, request)
        try:
            scan, enforcement = self._enforced(scan, plan, key, asked.question)
            expected = max(0, (offering.dataset.rows or 0) - asked.start)
            admission = Admission(
                fields["stream"],
                ticket,
                permit.limits,
                granted.most,
                asked.start,
                expected,
                fields,
                granted,
                of_member,
            )
            return OpenStream(admission, scan, enforcement, self._usage, self)
        except DataspaceError:
            scan.close()
            raise

    def _decided(
        self,
        ticket: Ticket,
        policy: CompiledPolicy,
        fields: Mapping[str, Any],
        asked: Asked,
        apart: Apart,
    ) -> Granted:
        """Decide, log the decision, and return it."""
        claims = self._claims(ticket.consumer)
        told = {**asked.detail, **claims_detail(policy, claims)}
        record = self._usage.record(UsageKind.ACCESS_DECISION, **fields, detail=told)
        # The time of the record is the time of the decision, so that an auditor replays exactly this.
        at = _EPOCH + timedelta(microseconds=record.at)
        use = Use(ticket.consumer, ticket.action, ticket.purpose, claims)
        said: list[tuple[Permit | Deny, UseTotals]] = []

        def judge(totals: UseTotals) -> Mapping[str, Any]:
            decision = decide(policy, use, totals, at)
            said.append((decision, totals))
            if isinstance(decision, Permit):
                return {
                    "decision": "permit",
                    "detail": {**told, **apart.detail(decision.plan, asked, totals)},
                }
            return {"decision": "deny", "reasons": _texts(decision)}

        self._usage.admit(record, judge)
        ((decision, totals),) = said
        match decision:
            case Permit(limits=limits) as permit:
                first = totals.first_delivery or at
                return Granted(policy, use, first, permit, limits.bound(totals))
            case Deny():
                raise UseDenied(_texts(decision))

    def _settle_unopened(self, fields: Mapping[str, Any], reason: str) -> None:
        """Give back the request of a stream that was permitted, and could not be opened."""
        detail: dict[str, str | int] = {"end": "failed", "reason": shorten(reason)}
        record = self._usage.record(UsageKind.STREAM_SETTLED, **fields, detail=detail)
        self._usage.settle(fields["agreement"], fields["stream"], Sent(requests=0), record)

    def wait(self, look: threading.Event, most: timedelta) -> None:
        """Wait so long, or until the event is set."""
        look.wait(most.total_seconds())

    def now(self) -> datetime:
        """Return the time, UTC."""
        return self._clock()

    def why_halt(self, ticket: Ticket) -> tuple[EndKind, str] | None:
        """Say why the stream of a ticket may not go on, if it may not; reads the stores."""
        transfer = self._transfers.get(ticket.transfer)
        halt = stop(transfer, self._agreements.agreement(ticket.agreement), ticket, self._clock())
        if halt is None and (overdue := self._hindrance(ticket.agreement)) is not None:
            return "suspended", overdue
        return halt

    @property
    def opened(self) -> Sequence[OpenStream]:
        """The streams that are open."""
        with self._lock:
            return list(self._open.values())

    def look_again(self, process: str) -> None:
        """Have the streams of a transfer or agreement look whether they may go on before their next batch."""
        with self._lock:
            found = [s for s in self._open.values() if process in (s.ticket.transfer, s.ticket.agreement)]
        for stream in found:
            stream.look_again()

    @property
    def count(self) -> int:
        """How many streams are open."""
        with self._lock:
            return len(self._open)

    def open_by_agreement(self) -> Mapping[str, int]:
        """Return how many streams are open under each agreement that has any."""
        with self._lock:
            return Counter(stream.ticket.agreement for stream in self._open.values())

    def closed(self, stream: OpenStream) -> None:
        """Forget a stream and settle it, once; what the log does not take now is tried again by `tick`."""
        with self._lock:
            if self._open.pop(stream.id, None) is None:
                return  # settled before
            self._ending[stream.id] = stream

        def settle() -> None:
            stream.settle()
            if stream.end is not None and stream.end.rows:
                self._settled(stream.ticket.agreement)

        self._settle(stream.id, settle)
        with self._lock:
            del self._ending[stream.id]

    def tick(self) -> None:
        """Settle what could not be settled when it closed; called once a second."""
        with self._lock:
            waiting, self._unsettled = list(self._unsettled.items()), {}
        for stream, settle in waiting:
            self._settle(stream, settle)

    def _settle(self, stream: str, settle: Callable[[], None]) -> None:
        try:
            settle()
        except DataspaceError as error:
            # Until it is, its reservations count as used; if we die first, the next start settles it.
            tell = _log.error
            if isinstance(error, Unavailable):
                tell = _log.warning
                with self._lock:
                    self._unsettled[stream] = settle
            tell("stream not settled", stream=stream, problem=str(error))


def _fields(ticket: Ticket, agreement: SignedAgreement, stream: str) -> dict[str, Any]:
    """Return what every record of a stream says."""
    return {
        "counterparty": ticket.consumer,
        "dataset": ticket.dataset,
        "agreement": ticket.agreement,
        "policy": agreement.digest,
        "action": ticket.action,
        "purpose": ticket.purpose,
        "transfer": ticket.transfer,
        "stream": stream,
    }


def _texts(decision: Deny) -> tuple[str, ...]:
    return tuple(shorten(reason) for reason in spoken_reasons(decision)[:8])
