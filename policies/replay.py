"""Living a log through again: every decision made anew, every row counted anew.

The totals come from the log itself: rows, bytes, requests, epochs, and when rows were first and last let go.
The opening of a stream is decided and logged in one step with them, and so is every reservation: each names
the totals that it found, and they must be those that the log makes. Only a decision that opens no stream is
logged after it was made: it may have seen any of the last `RACE` totals of rows, but none that never was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.account import EPOCH, Account, Stream, UseSummary, Wrong, time_of
from policies.claims import claims_in
from policies.compiled import CompiledPolicy, compile_policy
from policies.counting import Bound
from policies.decision import Deny, Limits, Permit, decide
from policies.findings import Check, Finding
from policies.use import NO_CLAIMS, Use, UseTotals
from schemas.canonical import digest
from schemas.errors import DataspaceError, Malformed
from schemas.usage import AgreedTerms, UsageKind, UsageRecord

BACK = timedelta(seconds=60)
"""How much earlier than a record before it a record may say that it is."""

ON_BEHALF = "onBehalfOf"
"""In the detail of an agreement's record: who gave it, where that is not the participant whose log it is."""

_SIGNED = frozenset(
    {
        UsageKind.NEGOTIATION_AGREED,
        UsageKind.NEGOTIATION_FINALIZED,
        UsageKind.ACCESS_DECISION,
        UsageKind.STREAM_RESERVED,
    }
)
"""What names the digest of its agreement. A stream that a crash left open is settled without one."""
_GIVEN = frozenset(
    {
        UsageKind.ACCESS_DECISION,
        UsageKind.STREAM_RESERVED,
        UsageKind.STREAM_SETTLED,
        UsageKind.AGREEMENT_REVOKED,
    }
)
"""What only the giver of an agreement does."""
_NAMED = _SIGNED | _GIVEN | {UsageKind.TRANSFER_STARTED}
"""What names its agreement."""
_TALK = frozenset({UsageKind.NEGOTIATION_AGREED, UsageKind.NEGOTIATION_TERMINATED})
"""What a consumer also logs of an agreement that it was handed and refused, whatever that said."""


@dataclass(frozen=True)
class Refusal:
    """A use that was refused, at a negotiation, a transfer or a stream, with the reasons that were given."""

    entry: int
    at: datetime
    counterparty: str
    dataset: str
    action: str | None
    purpose: str | None
    reasons: tuple[str, ...]


class Replay:
    """One pass over the records of a log, in order; `findings` and `summaries` grow with it."""

    def __init__(self, did: str, agreements: Mapping[str, AgreedTerms]) -> None:
        self.findings: list[Finding] = []
        self.refusals: list[Refusal] = []
        self.decisions = 0
        self._did = did
        self._agreements = agreements
        self._accounts: dict[str, Account] = {}
        self._streams: dict[str, Stream] = {}
        self._summaries: dict[tuple[str | None, ...], UseSummary] = {}
        self._ids: set[str] = set()
        self._latest = EPOCH

    @property
    def summaries(self) -> tuple[UseSummary, ...]:
        """Return who used what, in the order of first use."""
        return tuple(self._summaries.values())

    @property
    def open_streams(self) -> int:
        """Return how many streams have reserved rows and are not settled: they run, or wait for a restart."""
        return sum(1 for stream in self._streams.values() if stream.reserved and not stream.settled)

    def take(self, entry: int, record: UsageRecord) -> None:
        """Take the next record."""
        self._dated(entry, record)
        if record.log != self._did:
            self._say(
                Check.RECORD, entry, record, f"the record is of the log of {record.log}, not of {self._did}"
            )
        if record.id in self._ids:
            self._say(Check.RECORD, entry, record, f"record id {record.id} occurs twice")
        self._ids.add(record.id)
        if record.decision == "deny":
            self.refusals.append(_refusal(entry, record))
        if record.agreement is None:
            if record.kind in _NAMED:
                self._say(Check.RECORD, entry, record, f"{record.kind} names no agreement")
            return
        account = self._account(entry, record, record.agreement)
        match record.kind:
            case UsageKind.NEGOTIATION_FINALIZED:
                account.final = True
            case UsageKind.AGREEMENT_REVOKED:
                account.revoked = account.revoked or record
            case UsageKind.ACCESS_DECISION:
                self._decision(entry, record, account)
            case UsageKind.STREAM_RESERVED:
                self._reserved(entry, record, account)
            case UsageKind.STREAM_SETTLED:
                self._settled(entry, record, account)

    def _dated(self, entry: int, record: UsageRecord) -> None:
        """Check that a record is not dated back; two clocks of one participant may differ a little."""
        at = time_of(record)
        if at < self._latest - BACK:
            text = f"the record says {at.isoformat()}, after one that says {self._latest.isoformat()}"
            self._say(Check.RECORD, entry, record, text)
        self._latest = max(self._latest, at)

    # --- agreements ----------------------------------------------------------------------------------

    def _account(self, entry: int, record: UsageRecord, agreement: str) -> Account:
        account = self._accounts.get(agreement)
        if account is None:
            account = self._accounts[agreement] = self._opened(entry, record, agreement)
        if record.policy is None and record.kind in _SIGNED:
            text = f"{record.kind} does not say by digest what {agreement} is"
            self._say(Check.AGREEMENT, entry, record, text)
        elif record.policy is not None and account.digest is not None and record.policy != account.digest:
            text = f"the record names agreement {record.policy}, but {agreement} is {account.digest}"
            self._say(Check.AGREEMENT, entry, record, text)
        if record.kind is UsageKind.NEGOTIATION_FINALIZED:
            account.behalf = account.behalf or _behalf(record)
        if account.terms is not None:
            self._fits(entry, record, account, account.terms)
        return account

    def _fits(self, entry: int, record: UsageRecord, account: Account, terms: AgreedTerms) -> None:
        """Check that an agreement is ours, and about the dataset that a record names."""
        agreed, takes = terms.agreement, terms.role == "consumer"
        if takes and record.kind in _TALK:
            return
        gives = not takes or record.kind in _GIVEN
        party, named = ("assigner", agreed.assigner) if gives else ("assignee", agreed.assignee)
        # A data plane may serve another participant's control plane; then the log says so, and for whom.
        if named not in (self._did, account.behalf if gives else None) and not account.strange:
            account.strange = True
            text = f"the {party} of {agreed.id} is {named}, not {self._did}"
            self._say(Check.AGREEMENT, entry, record, text)
        if record.dataset is not None and record.dataset != agreed.target:
            text = f"the record is about {record.dataset}, but {agreed.id} is about {agreed.target}"
            self._say(Check.AGREEMENT, entry, record, text)
        elif record.dataset is None and record.kind is UsageKind.ACCESS_DECISION:
            self._say(Check.AGREEMENT, entry, record, "the decision does not say about which dataset")

    def _opened(self, entry: int, record: UsageRecord, agreement: str) -> Account:
        terms = self._agreements.get(agreement)
        if terms is None:
            self._say(Check.AGREEMENT, entry, record, f"agreement {agreement} cannot be had")
            return Account(None, None)
        try:
            found = digest(terms.agreement.wire())
            if terms.agreement.id != agreement or found != terms.digest:
                text = f"agreement {agreement} was shown with digest {terms.digest}, its terms make {found}"
                self._say(Check.AGREEMENT, entry, record, text)
            return Account(terms, found)
        except DataspaceError as error:
            self._say(Check.AGREEMENT, entry, record, f"agreement {agreement} has no exact form: {error}")
            return Account(None, None)

    # --- streams -------------------------------------------------------------------------------------

    def _decision(self, entry: int, record: UsageRecord, account: Account) -> None:
        self.decisions += 1
        at, totals = time_of(record), account.seen(record)
        summary = self._summary(record)
        summary.first, summary.last = summary.first or at, at
        limits = self._replayed(entry, record, account, totals, at)
        permitted = record.decision == "permit"
        if permitted and (not account.final or account.long_revoked(record)):
            why = "was revoked" if account.final else "is not final"
            self._say(Check.DECISION, entry, record, f"permitted, although the agreement {why} at that point")
        summary.streams += permitted
        summary.denied += not permitted
        if record.stream is None:  # a decision about a transfer, of which no stream came
            if totals.rows not in account.totals:
                text = f"decided on {totals.rows} rows used, but the agreement stood at {account.total}"
                self._say(Check.DECISION, entry, record, text)
            return
        if record.stream in self._streams:
            self._say(Check.STREAM, entry, record, f"stream {record.stream} was decided on twice")
            return
        self._tell(entry, record, account.opens(record, permitted))
        self._streams[record.stream] = Stream(
            summary,
            str(record.agreement),
            limits if permitted else None,
            Bound() if limits is None else limits.bound(totals),
            _told(record),
            record.transfer or "",
        )

    def _replayed(
        self, entry: int, record: UsageRecord, account: Account, totals: UseTotals, at: datetime
    ) -> Limits | None:
        policy = self._policy(entry, record, account)
        if policy is None:
            return Limits()  # said already; without the agreement nothing more can be checked
        try:
            claims = claims_in(record.detail)
        except Malformed as error:
            self._say(Check.RECORD, entry, record, str(error))
            claims = NO_CLAIMS
        use = Use(record.counterparty or "", record.action or "", record.purpose, claims)
        decision = decide(policy, use, totals, at)
        match decision:
            case Permit(limits=limits, plan=plan):
                if record.decision != "permit":
                    text = f"logged as {record.decision}, but the agreement permits it"
                    self._say(Check.DECISION, entry, record, text)
                elif record.stream is not None:
                    self._tell(entry, record, account.lets_go(record, plan))
                return limits
            case Deny(reasons=reasons):
                if record.decision != "deny":
                    why = "; ".join(reason.text for reason in reasons)
                    text = f"logged as {record.decision}, but the agreement denies it: {why}"
                    self._say(Check.DECISION, entry, record, text)
                return None

    def _policy(self, entry: int, record: UsageRecord, account: Account) -> CompiledPolicy | None:
        if account.policy is None and account.terms is not None:
            try:
                account.policy = compile_policy(account.terms.agreement)
            except DataspaceError as error:
                text = f"agreement {record.agreement} cannot be understood: {error}"
                self._say(Check.AGREEMENT, entry, record, text)
                account.terms = None
        return account.policy

    def _stream_of(self, entry: int, record: UsageRecord) -> Stream | None:
        stream = self._streams.get(record.stream or "")
        if stream is None or stream.agreement != record.agreement:
            text = f"stream {record.stream} has no decision under agreement {record.agreement}"
            self._say(Check.STREAM, entry, record, text)
            return None
        for mine, theirs in zip(_told(record), stream.told, strict=True):
            if mine is not None and mine != theirs:
                text = f"stream {record.stream} says {mine!r}, its decision said {theirs!r}"
                self._say(Check.STREAM, entry, record, text)
        return stream

    def _reserved(self, entry: int, record: UsageRecord, account: Account) -> None:
        stream = self._stream_of(entry, record)
        self._tell(entry, record, account.reserved(record, stream))

    def _settled(self, entry: int, record: UsageRecord, account: Account) -> None:
        stream = self._stream_of(entry, record)
        if stream is not None:
            self._tell(entry, record, account.settled(record, stream))

    # --- telling -------------------------------------------------------------------------------------

    def _summary(self, record: UsageRecord) -> UseSummary:
        key = (record.counterparty, record.dataset, record.agreement, record.action, record.purpose)
        if key not in self._summaries:
            who, what, agreement, action, purpose = (part or "" for part in key)
            self._summaries[key] = UseSummary(who, what, agreement, action, purpose or None)
        return self._summaries[key]

    def _tell(self, entry: int, record: UsageRecord, wrong: Wrong) -> None:
        for check, what in wrong:
            self._say(check, entry, record, what)

    def _say(self, check: Check, entry: int, record: UsageRecord, what: str) -> None:
        self.findings.append(Finding(check, what, entry, record.agreement))


def _behalf(record: UsageRecord) -> str | None:
    said = record.detail.get(ON_BEHALF)
    return said if isinstance(said, str) and said else None


def _told(record: UsageRecord) -> tuple[str | None, ...]:
    return (record.counterparty, record.dataset, record.transfer, record.action, record.purpose)


def _refusal(entry: int, record: UsageRecord) -> Refusal:
    return Refusal(
        entry,
        time_of(record),
        record.counterparty or "",
        record.dataset or "",
        record.action,
        record.purpose,
        record.reasons,
    )
