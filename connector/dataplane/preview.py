"""What would this consumer see, and whom would this change touch? Asked by the holder, before publishing.

The answer comes from the same `decide`, the same scan and the same enforcement that a stream goes through;
only nothing is reserved, nothing is logged, and nothing leaves but for the holder's own eyes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from connector.dataplane.asked import narrowed
from connector.dataplane.enforce import Enforcement
from connector.dataplane.groups import AnswerCheck, GroupedScan
from connector.dataplane.masks import mask_key
from connector.dataplane.ports import Scan, ScanRequest, Scans
from connector.dataplane.question import Function, Measure, Question
from connector.dataplane.sample import sample_salt
from connector.negotiation.ports import NegotiationStore, SignedAgreement
from connector.offering.ports import OfferingStore, Sources
from policies.compiled import CompiledPolicy, compile_policy
from policies.decision import Deny, Permit, decide
from policies.fitting import fit_to_columns
from policies.kinds.masking import MaskKind
from policies.plan import DataPlan
from policies.remedies import Question as Asked
from policies.use import Claims, Use, UseTotals
from schemas.arrow import columns_of
from schemas.base import Role
from schemas.dcat import Column
from schemas.errors import Malformed, NotFound

MOST_ROWS = 100
"""The most rows that a preview shows."""
MOST_AGREEMENTS = 1_000
"""The most agreements that are decided again for one preview."""

_AGREEMENT = "urn:hansa:preview"
"""Pseudonyms hang on the agreement: those of a preview are like no real one's."""
_BATCH_BYTES = 1 << 20
_WHOLE = Question((), (Measure(Function.COUNT),))
"""What is asked of data of which only groups may leave: how many rows there are in all."""


@dataclass(frozen=True)
class Target:
    """The data that a policy is for: a dataset that is offered, or a file that may be, with its consents."""

    dataset: str | None = None
    source: str | None = None
    consent: str | None = None


@dataclass(frozen=True)
class Sight:
    """What a consumer would see: the decision, and the first rows as they would leave; None if nothing does.

    `more` says that rows follow. Shapes: `rows` in the columns of the stream, at most `MOST_ROWS`.
    """

    decision: Permit | Deny
    rows: pa.Table | None
    more: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """How a stream differs: it `varies` in hashes and sample, or columns stay `apart`."""
        if self.rows is None or isinstance(self.decision, Deny):
            return ()
        plan = self.decision.plan
        hashed = any(mask.kind is MaskKind.HASH for branch in plan.branches for _, mask in branch.masks)
        varies = plan.aggregate is None and (hashed or any(branch.sample for branch in plan.branches))
        return (*(("varies",) if varies else ()), *(("apart",) if plan.apart else ()))


@dataclass(frozen=True)
class Touched:
    """One agreement that stands, and what a new policy would mean for its consumer.

    The agreement keeps its terms until it is revoked. `now` is what is decided under it, `then` what would be
    decided if the same use were asked for under the new policy, in a new agreement: `asked` is that question.
    `streams` are open now.
    """

    agreement: SignedAgreement
    now: Permit | Deny
    then: Permit | Deny
    asked: Asked
    streams: int

    @property
    def loses(self) -> bool:
        """Whether its consumer can read now, and would get no new agreement for it."""
        return isinstance(self.now, Permit) and isinstance(self.then, Deny)


class Previews:
    """Answers the holder's questions about a policy that is not published yet.

    Args:
        offerings: knows the file behind a dataset.
        sources: looks at files.
        scans: reads files under a plan.
        agreements: knows which agreements stand.
        streams: counts the open streams of each agreement.
        totals: what an agreement has used.
        claims: what the authority states of a participant.
        mask_secret: pseudonyms hang on it.
        clock: UTC, aware.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        offerings: OfferingStore,
        sources: Sources,
        scans: Scans,
        agreements: NegotiationStore,
        streams: Callable[[], Mapping[str, int]],
        totals: Callable[[str], UseTotals],
        claims: Callable[[str], Claims],
        mask_secret: bytes,
        clock: Callable[[], datetime],
    ) -> None:
        self._offerings, self._sources, self._scans = offerings, sources, scans
        self._agreements, self._streams, self._totals = agreements, streams, totals
        self._claims = claims
        self._mask_secret, self._clock = mask_secret, clock

    def columns(self, target: Target) -> tuple[Column, ...]:
        """Return the columns of the data.

        Raises:
            NotFound: if there is no such dataset or file.
            UnreadableData: if the file cannot be read.
        """
        return tuple(columns_of(self._sources.facts(self._file(target)[0]).schema))

    def check(self, target: Target, policy: CompiledPolicy) -> None:
        """Check a policy against the data that it is for, as publishing would.

        Raises:
            PolicyMismatch: naming a column or a value that does not fit.
        """
        fit_to_columns(policy, self.columns(target))

    def see(
        self, target: Target, policy: CompiledPolicy, use: Use, rows: int = 10, at: datetime | None = None
    ) -> Sight:
        """Return what a consumer would see who had just agreed to a policy.

        Args:
            target: the data.
            policy: not published yet, or published.
            use: whose use, of which action, for which purpose.
            rows: how many to show.
            at: when the use is asked for; now, if left out.

        Raises:
            PolicyMismatch: if the policy cannot be kept on the data.
            Malformed: if no rows, or too many, are asked for.
        """
        if not 1 <= rows <= MOST_ROWS:
            raise Malformed(f"rows is {rows}; a preview shows 1 to {MOST_ROWS}")
        self.check(target, policy)
        now = at or self._clock()
        decision = decide(policy, use, UseTotals(agreed=now), now)
        if isinstance(decision, Deny):
            return Sight(decision, None, False)
        most = min(rows, decision.limits.rows or rows)
        return Sight(decision, *self._rows(target, decision, most))

    def _rows(self, target: Target, permit: Permit, most: int) -> tuple[pa.Table, bool]:
        file, consent, described = self._file(target)
        key = mask_key(self._mask_secret, _AGREEMENT)
        plan = _shown(permit.plan, described or [column.name for column in self.columns(target)])
        request = ScanRequest(_BATCH_BYTES, salt=sample_salt(key), consent=consent)
        scan: Scan = self._scans.scan(file, plan, request)
        try:
            check: Enforcement | AnswerCheck = Enforcement.of(plan, scan.schema, key)
            if plan.aggregate is not None and isinstance(check, Enforcement):
                grouped = GroupedScan(scan, check, _WHOLE, plan.aggregate, self._scans.tally)
                scan, check = grouped, AnswerCheck.of(grouped, check, plan.aggregate.min_group)
            kept: list[pa.RecordBatch] = []
            count = 0
            for batch in scan.batches():
                shown = check.apply(batch)
                kept.append(shown)
                count += shown.num_rows
                if count > most:
                    break
            table = pa.Table.from_batches(kept, check.schema)
            return table.slice(0, most), count > most
        finally:
            scan.close()

    def touched(self, dataset: str, policy: CompiledPolicy) -> tuple[Touched, ...]:
        """Return the agreements about a dataset that stand, each decided again under a new policy.

        Those whose consumers lose come first.
        """
        now, streams = self._clock(), self._streams()
        held = [
            one
            for one in self._agreements.agreements(dataset, Role.PROVIDER)
            if one.final and one.revoked is None
        ]
        found = [self._touched(one, policy, now, streams) for one in held[:MOST_AGREEMENTS]]
        return tuple(sorted(found, key=lambda one: not one.loses))

    def _touched(
        self, held: SignedAgreement, policy: CompiledPolicy, now: datetime, streams: Mapping[str, int]
    ) -> Touched:
        use = Use.declared(held.counterparty, held.use, self._claims(held.counterparty))
        totals = self._totals(held.agreement.id)
        before = decide(compile_policy(held.agreement), use, totals, now)
        offered = replace(policy, assignee=None, assigner=None)
        asked = Asked(offered, use, UseTotals(agreed=now), now)
        after = decide(asked.policy, asked.use, asked.totals, asked.at)
        return Touched(held, before, after, asked, streams.get(held.agreement.id, 0))

    def _file(self, target: Target) -> tuple[str, str | None, Sequence[str] | None]:
        """Return the file, its consent table, and the columns that were described, if it was published."""
        if target.source is not None:
            consent = str(self._sources.resolve(target.consent)) if target.consent is not None else None
            return str(self._sources.resolve(target.source)), consent, None
        if target.dataset is None:
            raise Malformed("name a dataset or a source; a policy without data shows no rows")
        held = self._offerings.get(target.dataset)
        if held.withdrawn is not None:
            raise NotFound(f"dataset {target.dataset[:200]!r} is not offered here")
        return held.source, held.consent, [column.name for column in held.dataset.columns]


def _shown(plan: DataPlan, described: Sequence[str]) -> DataPlan:
    """Return the plan of a reader who asks for all columns, but the last of each set that must stay apart."""
    if plan.aggregate is not None or not plan.apart:
        return narrowed(plan, described, None)
    asked = plan.visible(described)
    while (together := plan.whole_set(asked)) is not None:
        asked = [name for name in asked if name != together[-1]]
    return narrowed(plan, described, asked)
