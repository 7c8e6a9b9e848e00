"""What a log says of one agreement, added up record by record: every count anew, and what does not add up.

The store keeps these totals in one row, under a lock; here they are made from the log alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from policies.compiled import CompiledPolicy
from policies.counting import Bound, Reading, opened
from policies.decision import Limits
from policies.findings import Check
from policies.plan import DataPlan
from policies.use import APART, UseTotals, released_in
from schemas.errors import Malformed
from schemas.usage import AgreedTerms, UsageRecord

RACE = 256
"""How many totals back a decision may have looked that opens no stream, and so was not logged at once."""
GRACE = timedelta(seconds=2)
"""Between looking at the clock and writing the record that says so."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Wrong = Iterator[tuple[Check, str]]
"""What does not hold, and by which check."""

_VAIN = frozenset({"failed", "crashed"})
"""How a stream ended whose request may be given back, if it sent nothing."""


@dataclass
class UseSummary:
    """Who used what, under which agreement and for which purpose, and how much.

    Units: rows, bytes. `open_rows` are reserved by streams that are not settled: at most so many more were
    sent.
    """

    counterparty: str
    dataset: str
    agreement: str
    action: str
    purpose: str | None
    streams: int = 0
    denied: int = 0
    rows: int = 0
    bytes: int = 0
    open_rows: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass
class Stream:
    """One stream of the log. Units: rows, bytes; `limits` is None if it was denied."""

    summary: UseSummary
    agreement: str
    limits: Limits | None
    most: Bound
    told: tuple[str | None, ...]
    transfer: str
    reserved: int = 0
    reserved_bytes: int = 0
    settled: bool = False


@dataclass
class Account:
    """What the log says of one agreement."""

    terms: AgreedTerms | None
    digest: str | None
    policy: CompiledPolicy | None = None
    final: bool = False
    strange: bool = False  # it is between others, which was said
    behalf: str | None = None  # for whom the log says that it was kept, where that is somebody else
    revoked: UsageRecord | None = None
    total: int = 0
    bytes: int = 0
    requests: int = 0
    epochs: int = 0
    full: int = 0
    first: datetime | None = None
    delivered: datetime | None = None
    released: frozenset[str] = frozenset()
    readings: dict[str, Reading] = field(default_factory=dict)
    totals: deque[int] = field(default_factory=lambda: deque([0], maxlen=RACE))

    def now_at(self, total: int, size: int) -> None:
        """Set the totals of rows and bytes."""
        self.total, self.bytes = total, size
        self.totals.append(total)

    def delivers(self, at: datetime) -> None:
        """Take note that rows were let go."""
        self.first = self.first or at
        self.delivered = at if self.delivered is None else max(self.delivered, at)

    def seen(self, record: UsageRecord) -> UseTotals:
        """Return the totals that a decision says it saw, with the times that the log makes."""
        counts = (record.rows_before, record.bytes_before, record.requests_before, record.epochs_before)
        rows, size, requests, epochs = (max(count or 0, 0) for count in counts)
        return UseTotals(rows, size, requests, epochs, None, self.first, self.delivered)

    def long_revoked(self, record: UsageRecord) -> bool:
        """Say whether the agreement was revoked before a record, clocks aside."""
        return self.revoked is not None and time_of(record) >= time_of(self.revoked) + GRACE

    def opens(self, record: UsageRecord, permitted: bool) -> Wrong:
        """Count the opening of a stream, and compare with the counts that it names."""
        transfer, start = record.transfer or "", record.detail.get("start")
        if not isinstance(start, int) or start < 0:
            yield Check.DECISION, f"the decision says no first row, but {start!r}"
            start = 0
        reading, begins = opened(self.readings.get(transfer), record.stream or "", start)
        made = (self.total, self.bytes, self.requests, self.epochs - (not begins))
        said = (record.rows_before, record.bytes_before, record.requests_before, record.epochs_before)
        for unit, stands, named in zip(("rows", "bytes", "requests", "epochs"), made, said, strict=True):
            if stands != (named or 0):
                text = f"decided on {named or 0} {unit} used, but the agreement stood at {stands}"
                yield Check.DECISION, text
        if not permitted:
            return
        if (record.requests, record.epochs) != (1, int(begins)):
            text = (
                f"the opening counts as {record.requests} requests and {record.epochs} epochs; "
                f"it is 1 and {int(begins)}"
            )
            yield Check.LIMIT, text
        self.requests += 1
        self.epochs += begins
        self.readings[transfer] = reading

    def lets_go(self, record: UsageRecord, plan: DataPlan) -> Wrong:
        """Take note of the columns that an opening lets go of sets which must stay apart."""
        if not plan.apart:
            return
        if APART not in record.detail:
            yield (
                Check.DECISION,
                "the decision does not say which columns it lets go of those kept apart",
            )
        try:
            self.released |= released_in(record.detail)
        except Malformed as error:
            yield Check.RECORD, str(error)
        if (whole := plan.whole_set(self.released)) is not None:
            names = ", ".join(map(repr, whole))
            yield Check.DECISION, f"columns {names} were all let go under the agreement that keeps them apart"

    def reserved(self, record: UsageRecord, stream: Stream | None) -> Wrong:
        """Count a reservation, and compare it with what was permitted."""
        rows, size = record.rows or 0, record.byte_count or 0
        if rows < 0 or size < 0 or rows + size == 0:
            yield Check.LIMIT, f"reserved {rows} rows and {size} bytes"
            return
        for unit, before, stands in (
            ("rows", record.rows_before, self.total),
            ("bytes", record.bytes_before or 0, self.bytes),
        ):
            if before != stands:
                text = f"reserved at {before} {unit}, but the agreement stood at {stands}"
                yield Check.LIMIT, text
        if self.revoked is not None:
            text = f"{rows} rows reserved after the agreement was revoked by {self.revoked.id}"
            yield Check.LIMIT, text
        if stream is not None:
            yield from self._within(record, stream)
            stream.reserved += rows
            stream.reserved_bytes += size
            stream.summary.open_rows += 0 if stream.settled else rows
        self.now_at(self.total + rows, self.bytes + size)
        self.delivers(time_of(record))

    def _within(self, record: UsageRecord, stream: Stream) -> Wrong:
        if stream.settled:
            yield Check.STREAM, f"stream {record.stream} reserved rows after it was settled"
        if stream.limits is None:
            yield Check.STREAM, f"stream {record.stream} was denied, and reserved rows"
            return
        most = stream.most
        rows, size = self.total + (record.rows or 0), self.bytes + (record.byte_count or 0)
        if most.rows is not None and rows > most.rows:
            text = f"the agreement reached {rows} rows; at most {most.rows} were permitted"
            yield Check.LIMIT, text
        if most.bytes is not None and size > most.bytes:
            text = f"the agreement reached {size} bytes; at most {most.bytes} were permitted"
            yield Check.LIMIT, text
        yield from self._paced(record, most)
        until = stream.limits.until
        if until is not None and time_of(record) >= until + GRACE:
            text = (
                f"rows reserved at {time_of(record).isoformat()}; the permission ended at {until.isoformat()}"
            )
            yield Check.LIMIT, text

    def _paced(self, record: UsageRecord, most: Bound) -> Wrong:
        """Check a reservation against the rate, whose bucket is kept from one to the next."""
        rate, rows = most.rate, record.rows or 0
        if rate is None or not rows:
            return
        there = rate.available(self.full, record.at)
        if rows > there:
            text = f"{rows} rows reserved at once; {rate.rows} per {rate.period} let {there} go then"
            yield Check.LIMIT, text
        self.full = rate.taken(self.full, rows, record.at)

    def settled(self, record: UsageRecord, stream: Stream) -> Wrong:
        """Count the end of a stream."""
        rows, size = record.rows or 0, record.byte_count or 0
        if stream.settled:
            yield Check.STREAM, f"stream {record.stream} was settled twice"
            return
        others = (self.total - stream.reserved, self.bytes - stream.reserved_bytes)
        for unit, sent, reserved, before, without in (
            ("rows", rows, stream.reserved, record.rows_before, others[0]),
            ("bytes", size, stream.reserved_bytes, record.bytes_before, others[1]),
        ):
            if not 0 <= sent <= reserved:
                text = f"stream {record.stream} sent {sent} {unit}, but had reserved {reserved}"
                yield Check.LIMIT, text
            if before is not None and before != without:
                text = f"settled at {before} {unit} besides its own; the log makes {without}"
                yield Check.LIMIT, text
        yield from self._gave_back(record, stream)
        stream.settled = True
        stream.summary.rows += rows
        stream.summary.bytes += size
        stream.summary.open_rows -= stream.reserved
        stream.summary.last = time_of(record)
        self.now_at(others[0] + rows, others[1] + size)
        yield from self._read_on(record, stream)

    def _read_on(self, record: UsageRecord, stream: Stream) -> Wrong:
        """Have the reading of a stream end, or take it back with its epoch, where nothing was sent in it."""
        reading = self.readings.get(stream.transfer)
        is_vain = False
        if reading is not None:
            ended = reading.settled(record.stream or "", record.rows or 0)
            is_vain = record.requests == 0 and reading.stream == record.stream and ended.is_empty
            self.readings[stream.transfer] = ended
        if is_vain != (record.epochs == 0):
            text = f"stream {record.stream} {'gives back no' if is_vain else 'gives back an'} epoch"
            yield Check.LIMIT, f"{text}; it is to give back {int(is_vain)}"
        if is_vain:
            self.epochs -= 1
            del self.readings[stream.transfer]

    def _gave_back(self, record: UsageRecord, stream: Stream) -> Wrong:
        """Take a request back that came to nothing at the provider; no other may be."""
        if record.requests is None or stream.limits is None:
            return
        if record.requests != 0 or record.rows or record.byte_count or record.detail.get("end") not in _VAIN:
            text = (
                f"stream {record.stream} counts as {record.requests} requests, with {record.rows} rows sent "
                f"and the end {record.detail.get('end')!r}"
            )
            yield Check.LIMIT, text
            return
        self.requests -= 1


def time_of(record: UsageRecord) -> datetime:
    """Return the time of a record."""
    return EPOCH + timedelta(microseconds=record.at)
