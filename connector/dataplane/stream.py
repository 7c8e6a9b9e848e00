"""A stream under way: read, enforce, meter, and let go only what the log covers.

What a crash leaves behind: a stream that was never settled, its reserved rows counted as used. The usage log
settles it at the next start by what it noted as it went, which is what left or a piece more; where that note
is not to be trusted, by all that was reserved. Rows may be counted that never left, none leaves uncounted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

import pyarrow as pa
import structlog

from connector.dataplane.enforce import Enforcement, exact
from connector.dataplane.groups import AnswerCheck
from connector.dataplane.meter import Meter, rows_within
from connector.dataplane.ports import Ledger, Scan
from connector.dataplane.scanned import Scanned
from connector.dataplane.standing import EndKind, Granted
from connector.transfer.ticket import Ticket
from connector.usage.ports import Reservation, Sent
from policies.counting import Amount, Bound
from policies.decision import Limits
from policies.kinds.durations import Duration
from policies.use import Claims
from policies.words.carried import spoken
from policies.words.language import Span, message
from schemas.errors import DataspaceError, EnginesDisagree, Forbidden, Unavailable, WorldMoved
from schemas.usage import UsageKind
from schemas.worded import Worded

LOOK_EVERY = timedelta(milliseconds=500)
"""How long a stream goes on without looking whether it may."""

UNLIMITED_BLOCKS = 8
"""How many blocks are reserved at once where no limit counts rows."""

MOST_WAIT = timedelta(seconds=20)
"""How long a stream waits for its rate before it ends, and tells its reader when to come again."""

_MOST_REASON = 300
_log = structlog.get_logger("connector.dataplane")


def shorten(reason: str) -> str:
    """Cut a reason to a length that the log and the wire take."""
    short = reason[:_MOST_REASON]
    return Worded(short, reason.told) if isinstance(reason, Worded) else short


@dataclass(frozen=True)
class End:
    """How a stream ended; `passing` if a reader that comes again may go on. Units: rows that left."""

    kind: EndKind
    reason: str
    rows: int
    passing: bool = False


@dataclass(frozen=True)
class Admission:
    """What was decided when a stream was opened.

    `most` is what the agreement may reach in all, `expected` how many rows this stream has, as far as its
    description tells, `fields` what every record of the stream says, `of_member` whether the consumer has to
    be a member of our data space (a foreign control plane answers for its own), `granted` the decision, to be
    asked again. Units: rows.
    """

    stream: str
    ticket: Ticket
    limits: Limits
    most: Bound
    start: int
    expected: int
    fields: Mapping[str, Any]
    granted: Granted
    of_member: bool = True


class Room(Protocol):
    """What a stream asks of the room that opened it."""

    block_rows: int

    def now(self) -> datetime:
        """Return the time, UTC."""
        ...

    def wait(self, look: threading.Event, most: timedelta) -> None:
        """Wait so long, or until the event is set."""
        ...

    def why_halt(self, ticket: Ticket) -> tuple[EndKind, str] | None:
        """Say why the stream of a ticket may not go on, if it may not."""
        ...

    def closed(self, stream: OpenStream) -> None:
        """Take note that a stream closed, and settle it."""
        ...


def _place(scanned: Scanned, begun: int, before: int, rows: int) -> int:
    return scanned.position(begun, before + rows)


class OpenStream:
    """One permitted reading of a dataset, for one thread; close it, whatever happened.

    Shapes: `schema` is what the reader gets; `batches` yields each batch with the position after it,
    counted in rows from the start of what the agreement shows.
    """

    def __init__(
        self,
        admission: Admission,
        scan: Scan,
        enforcement: Enforcement | AnswerCheck,
        ledger: Ledger,
        room: Room,
    ) -> None:
        self.id = admission.stream
        self.ticket = admission.ticket
        self.start = self.position = admission.start
        self.end: End | None = None
        self.schema = enforcement.schema.with_metadata(
            {
                "transfer": self.ticket.transfer,
                "agreement": self.ticket.agreement,
                "stream": self.id,
                "watermark": enforcement.mark,
            }
        )
        self._admission, self._scan, self._enforcement = admission, scan, enforcement
        self._ledger, self._room = ledger, room
        # What a crash leaves reserved counts as used: the reader's loss under a limit, so it stays small.
        most = admission.most
        blocks = 1 if most.rows is not None or most.bytes is not None else UNLIMITED_BLOCKS
        # Under a rate nothing is reserved ahead: what was could leave later, all at once.
        block = 1 if most.rate is not None else blocks * room.block_rows
        self._meter = Meter(block, admission.expected)
        self._tell = ledger.progress(self.id)
        self._is_ours = False
        self._sent_at: datetime | None = None
        self._looked = room.now()
        self._look = threading.Event()
        self._turn = threading.Lock()  # counting a piece, or ending: never both

    def look_again(self) -> None:
        """Have the stream look whether it may go on, before it sends more; from any thread."""
        self._look.set()

    def over_time(self) -> tuple[EndKind, str] | None:
        """Say that the permission has ended by now, if it has; reads no store."""
        return self._over_time(self._room.now())

    @property
    def is_of_member(self) -> bool:
        """Whether its consumer has to be a member of the data space."""
        return self._admission.of_member

    def why_halt(self) -> tuple[EndKind, str] | None:
        """Say why the stream may not go on, if it may not; reads the stores."""
        return self._room.why_halt(self.ticket)

    def outgrown(self, claims: Callable[[str], Claims]) -> str | None:
        """Say why it may not go on with what is known of its consumer now; asks where it hangs on that."""
        granted = self._admission.granted
        if not granted.asks_claims:
            return None
        return granted.outgrown(claims(self.ticket.consumer), self._room.now())

    def halt(self, kind: EndKind, reason: str, *, passing: bool = False) -> None:
        """End the stream from outside, in whatever its own thread is stuck; from any thread, harmless again.

        No batch leaves any more, and the scan is interrupted. Who halts it closes it, too: so a reader that
        takes nothing cannot put the record off.
        """
        with self._turn:
            if self.end is not None:
                return
            self._finish(kind, reason, passing=passing)
        self._scan.interrupt()
        self._look.set()  # it may be waiting for its rate

    def batches(self) -> Iterator[tuple[pa.RecordBatch, int]]:
        """Yield what may leave, until `end` is set.

        Raises:
            DataspaceError: if it fails before anything was yielded; later failures are told by `end`.
        """
        try:
            for scanned in self._scan.batches():
                batch = self._enforcement.apply(scanned)
                begun, rows = self.position, batch.num_rows
                while batch.num_rows:
                    place = partial(_place, scanned, begun, rows - batch.num_rows)
                    piece = self._next_piece(batch, place)
                    if piece is None:
                        return
                    yield piece, self.position
                    batch = batch.slice(piece.num_rows)
            with self._turn:
                self._finish("complete", "all rows were sent")
        except GeneratorExit:
            self._finish("failed", "the reader went away")
            raise
        except DataspaceError as error:
            if self.end is not None:
                return  # halted meanwhile: what an interrupted scan or a settled log says is no news
            # The log refuses rows under a revoked agreement before a look tells: then that is the reason.
            why = self._room.why_halt(self.ticket) if isinstance(error, Forbidden | WorldMoved) else None
            self._is_ours = why is None
            if isinstance(error, EnginesDisagree):
                _log.error("two engines disagree", stream=self.id, problem=str(error))
            self._finish(*(why or ("failed", str(error))), passing=isinstance(error, Unavailable))
            if self._meter.sent == 0:
                raise
        except Exception as error:
            if self.end is not None:
                return
            _log.exception("stream failed", stream=self.id)
            self._is_ours = True
            self._finish("failed", "something failed at the provider; it was logged there")
            if self._meter.sent == 0:
                raise DataspaceError("reading failed; it was logged here") from error
        finally:
            self.close()

    def may_go_on(self) -> bool:
        """Say whether more of the batch that was yielded last may leave; if not, `end` tells why.

        Cheap: it looks into the stores as rarely as between batches. For the thread of the stream.
        """
        if self.end is None:
            try:
                why = self._why_halt()
            except Unavailable as error:
                self._finish("failed", str(error), passing=True)
            else:
                if why is not None:
                    self._finish(*why)
        return self.end is None

    def _next_piece(self, batch: pa.RecordBatch, place: Callable[[int], int]) -> pa.RecordBatch | None:
        """Return as much of a batch as may leave now; None, with `end` set, if nothing may.

        `place` tells the position after so many rows of it.
        """
        until = self._room.now() + MOST_WAIT
        while True:
            why = self._why_halt()
            if why is not None:
                self._finish(*why)
                return None
            reservation = self._reserve(batch)
            piece = self._cut(batch)
            if piece.num_rows:
                break
            if not reservation.wait:
                self._finish(*self._used_up(reservation))
                return None
            self._pace(reservation.wait, until)
            if self.end is not None:
                return None
        with self._turn:
            if self.end is not None:
                return None  # halted since we looked
            # Counted before it is handed over: what a broken connection swallowed may have arrived.
            self._meter = self._meter.passed(piece.num_rows, piece.nbytes)
            self._tell(Amount(self._meter.sent, self._meter.sent_bytes))
            self._sent_at = self._room.now()
            self.position = place(piece.num_rows)
        return piece

    def _cut(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of a batch that are reserved, with nothing in their buffers that may not leave."""
        rows = min(batch.num_rows, self._meter.left)
        size = self._meter.left_bytes
        piece = batch.slice(0, rows_within(batch.slice(0, rows), size))
        most = self._admission.most
        if piece.num_rows < batch.num_rows or most.rows is not None or most.bytes is not None:
            piece = exact(piece)  # a slice, or a null in it, would carry something of rows beyond the limit
            while piece.nbytes > size:  # laid out anew it may take a little more
                piece = exact(piece.slice(0, rows_within(piece, size)))
        return piece

    def _reserve(self, batch: pa.RecordBatch) -> Reservation:
        """Reserve what has to be before a batch, or a part of it, may leave."""
        wanted, admission = self._meter.wanted(batch.num_rows, batch.nbytes), self._admission
        if not wanted.rows and not wanted.bytes:
            return Reservation(0, 0)
        record = self._ledger.record(UsageKind.STREAM_RESERVED, **admission.fields)
        reservation = self._ledger.reserve(self.ticket.agreement, self.id, wanted, admission.most, record)
        self._meter = self._meter.granted(reservation.rows, reservation.bytes)
        return reservation

    def _used_up(self, found: Reservation) -> tuple[EndKind, str]:
        """Say which limit lets nothing more leave."""
        most = self._admission.most
        if most.rows is not None and self._meter.left == 0 and found.total + found.rows >= most.rows:
            return "row-limit", spoken(message("end.rows", most=most.rows))
        left = self._meter.left_bytes
        return "byte-limit", spoken(message("end.bytes", most=most.bytes or 0, left=left))

    def _pace(self, wait: timedelta, until: datetime) -> None:
        """Wait for the rate, still looking whether to halt; end the stream where it would take too long."""
        now = self._room.now()
        rate = self._admission.most.rate
        if rate is not None and now + wait > until:
            at = (now + wait).isoformat(timespec="seconds")
            span = Span(Duration(0, rate.period).text)
            # Not passing: who comes again at once would only wait again, so the reader is told when.
            self._finish("rate-limit", spoken(message("end.rate", n=rate.rows, span=span, when=at)))
            return
        self._room.wait(self._look, min(wait, LOOK_EVERY))

    def _why_halt(self) -> tuple[EndKind, str] | None:
        now = self._room.now()
        if (over := self._over_time(now)) is not None:
            return over
        if self._look.is_set() or now - self._looked >= LOOK_EVERY:
            self._look.clear()
            self._looked = now
            return self._room.why_halt(self.ticket)
        return None

    def _over_time(self, now: datetime) -> tuple[EndKind, str] | None:
        until = self._admission.limits.until
        if until is None or now < until:
            return None
        return "expired", spoken(message("end.expired", when=until.isoformat(timespec="seconds")))

    def _finish(self, kind: EndKind, reason: str, *, passing: bool = False) -> None:
        if self.end is None:
            self.end = End(kind, shorten(reason), self._meter.sent, passing)

    def close(self, reason: str = "the reader went away") -> None:
        """Stop reading and settle what was sent; `reason` tells why, if the stream had not ended."""
        self._finish("failed", reason)
        self._scan.close()
        self._room.closed(self)

    def settle(self) -> None:
        """Replace the reservations by what left; called once, by the room.

        Raises:
            StorageUnavailable: if it was not saved; until it is, the reservations count as used.
        """
        end = self.end or End("failed", "unknown", self._meter.sent)
        detail: dict[str, str | int] = {"end": end.kind, "reason": end.reason, "position": self.position}
        if self._sent_at is not None:
            detail["last"] = self._sent_at.isoformat()
        record = self._ledger.record(UsageKind.STREAM_SETTLED, **self._admission.fields, detail=detail)
        nothing = self._is_ours and self._meter.sent == 0
        requests = 0 if nothing else 1
        sent = Sent(self._meter.sent, self._meter.sent_bytes, requests, self._sent_at)
        self._ledger.settle(self.ticket.agreement, self.id, sent, record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        match error:
            case DataspaceError():
                self.close(str(error))
            case TimeoutError():
                self.close("the reader took nothing, or too little, for too long")
            case _:
                self.close()
