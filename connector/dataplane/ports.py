"""What the data plane needs from the world."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from connector.dataplane.scanned import Scanned
from connector.transfer.ports import Received, Transfer
from connector.usage.ports import Judge, Reservation, Sent
from policies.counting import Amount, Bound
from policies.plan import DataPlan
from schemas.dsp.transfer import DataAddress
from schemas.errors import DataspaceError
from schemas.usage import UsageKind, UsageRecord


class Started(Protocol):
    """Knows the transfers under which streams are opened."""

    def get(self, pid: str) -> Transfer:
        """Return a transfer by our own pid.

        Raises:
            NotFound: naming it.
        """
        ...


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """How a source is to be read.

    `salt` is what the sample hangs on (64 hexadecimal characters), `consent` the consent table beside the
    source. Units: `batch_bytes` is the size that batches are to have; `start` leaves out that many positions
    from the front.
    """

    batch_bytes: int
    start: int = 0
    salt: str = ""
    consent: str | None = None


@dataclass(frozen=True)
class Grouped:
    """Groups as they were counted.

    Shapes: `table` has the `keys` columns of the key, then `size` (rows, or different subjects), `n` (rows),
    and of each measured column how many gave a value (`d0`, …), how many values (`c0`), their sum (`t0`),
    the least and the greatest (`lo0`, `hi0`).
    """

    table: pa.Table
    keys: int


class Counting(Protocol):
    """Adds up groups over batches."""

    def add(
        self, keys: Sequence[pa.Array], subject: pa.Array | None, values: Sequence[pa.Array], rows: int
    ) -> None:
        """Add the rows of a batch."""
        ...

    def result(self) -> Grouped:
        """Return the groups."""
        ...

    def interrupt(self) -> None:
        """Stop what is under way; from any thread, at any time."""
        ...


class Scans(Protocol):
    """Opens data files for reading under a plan."""

    def scan(self, source: str, plan: DataPlan, request: ScanRequest) -> Scan:
        """Open a source with a plan pushed down: rows that it does not release are never handed out.

        Columns that the plan hides are read only where it decides by them, so that the rows can be checked
        once more. The order of rows is the same on every scan of the same file under the same plan. Each row
        has a position: it counts rows that pass predicate, sample and prohibitions, and stays the same while
        consents come and go.

        Raises:
            UnreadableData: if the file, or the consent table, cannot be read.
            PolicyMismatch: if the plan names a column that the file lacks, or consent is asked for and there
                is no consent table.
        """
        ...

    def tally(
        self, keys: Sequence[pa.DataType], subject: pa.DataType | None, values: Sequence[pa.DataType]
    ) -> Counting:
        """Return what counts groups: by these columns, of these subjects (None: of rows), over these values.

        Raises:
            PolicyMismatch: if a column is of a type that cannot be grouped by, or counted.
        """
        ...


class Scan(Protocol):
    """One reading of a source. Shapes: `schema` before masking."""

    @property
    def schema(self) -> pa.Schema:
        """The columns that the plan shows or decides by, before masking, in the order of the file."""
        ...

    def batches(self) -> Iterator[Scanned]:
        """Yield batches in order, none of them empty; may be called once.

        A row whose subject withdrew consent before its batch is yielded is not in it.

        Raises:
            UnreadableData: where the file turns out to be corrupt, or some rows before: it is read ahead.
            WorldMoved: after `interrupt`.
        """
        ...

    def interrupt(self) -> None:
        """Stop what is under way at once; from any thread, at any time, more than once.

        `batches` then raises WorldMoved instead of yielding more, wherever it stands.
        """
        ...

    def close(self) -> None:
        """Stop reading; from any thread, at any time, more than once."""
        ...


class Changes(Protocol):
    """Tells when what streams stand on has changed, whichever process changed it. One thread at a time."""

    def wait(self, seconds: float) -> bool:
        """Wait until something may have changed, at most so long; whether it may have.

        A database that is away is no error here: whoever looks then will meet it.
        """
        ...

    def marks(self, names: Collection[str]) -> Mapping[str, str]:
        """Return a mark for each agreement, transfer and flow of these ids: another one after each change.

        Raises:
            StorageUnavailable: if they cannot be read.
        """
        ...

    def close(self) -> None:
        """Let go of what it listens with."""
        ...


class Incoming(Protocol):
    """A file that is arriving. One thread at a time."""

    @property
    def byte_count(self) -> int:
        """Bytes written so far."""
        ...

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            StorageUnavailable: if they could not be written.
        """
        ...

    def finish(self, is_arrow: bool | None) -> tuple[str, int | None]:
        """Keep the file under its name: nothing, or all of it; one that was there is replaced.

        `is_arrow` says whether it has to be an Arrow stream; None keeps whatever it is, as Arrow if it is
        one.

        Returns:
            Its name, and how many rows it has, if it is an Arrow stream.

        Raises:
            UnreadableData: if it has to be an Arrow stream, and is none or breaks off; then nothing is kept.
            StorageUnavailable: if it could not be kept.
        """
        ...

    def discard(self) -> None:
        """Keep nothing; after `finish` this does nothing."""
        ...


class Landing(Protocol):
    """Where files arrive."""

    def begin(self, name: str) -> Incoming:
        """Begin a file; nobody sees it before it is finished."""
        ...


class Inlets(Protocol):
    """A room whose processes have data pushed to us."""

    def may_receive(self, pid: str) -> str | None:
        """Say why nothing may be pushed for a process; None if it may.

        Raises:
            NotFound: if there is no such process, or none that receives.
        """
        ...

    def landed(self, pid: str, received: Received) -> None:
        """Take note of what arrived."""
        ...


class Ledger(Protocol):
    """The usage log, as far as a stream writes in it."""

    def record(self, kind: UsageKind, **fields: Any) -> UsageRecord:
        """Make a record with id, time and log filled in; nothing is saved."""
        ...

    def admit(self, record: UsageRecord, judge: Judge) -> UsageRecord:
        """Decide on the opening of a stream, count it, and save the decision, all at once.

        Raises:
            StorageUnavailable: if it was not saved; then nothing may leave.
        """
        ...

    def progress(self, stream: str) -> Callable[[Amount], None]:
        """Return what is to be told, before anything of a stream leaves, how much will then have left."""
        ...

    def reserve(
        self, agreement: str, stream: str, wanted: Amount, most: Bound, record: UsageRecord
    ) -> Reservation:
        """Take rows and bytes for a stream, so that the agreement's totals never pass `most`; save a record.

        Grants nothing, and saves nothing, when nothing is left, or while a rate allows nothing.
        """
        ...

    def settle(self, agreement: str, stream: str, sent: Sent, record: UsageRecord) -> None:
        """Replace a stream's reservations by what it sent, and save the record; once per stream."""
        ...


class Pushed(Protocol):
    """A process whose data is pushed, as it stood when its push was claimed."""

    @property
    def pid(self) -> str:
        """Its id."""
        ...

    @property
    def address(self) -> DataAddress | None:
        """Where the data is pushed to."""
        ...

    @property
    def updated(self) -> datetime:
        """When it was started."""
        ...


S = TypeVar("S", bound=Pushed)


class PushRoom(Protocol[S]):
    """A room whose processes have their data pushed by us."""

    def to_push(self) -> Sequence[S]:
        """Return the processes whose data is to be pushed and at which nobody is at work."""
        ...

    def claim(self, pid: str) -> tuple[S, str] | None:
        """Take the push of a process for a while, and return it with its ticket, if there is one to do."""
        ...

    def hold(self, pid: str, until: datetime | None) -> None:
        """Say until when a push is under way, or is not to be tried again; None lets it go."""
        ...

    def is_alive(self, pid: str) -> None:
        """Say that a push is under way still."""
        ...

    def pushed(self, claimed: S) -> None:
        """Take note that all data of a claimed push was taken."""
        ...

    def not_pushed(self, claimed: S, why: DataspaceError) -> None:
        """Take note that a claimed push failed, and is not tried again by itself."""
        ...


class Ended(Protocol):
    """How a stream ended."""

    @property
    def kind(self) -> str:
        """In a word, as in the usage log."""
        ...

    @property
    def reason(self) -> str:
        """In a sentence, as its reader is told."""
        ...

    @property
    def rows(self) -> int:
        """How many rows had left."""
        ...


class Readable(Protocol):
    """An open stream, as far as it is carried somewhere."""

    schema: pa.Schema

    @property
    def end(self) -> Ended | None:
        """How it ended; None while it has not."""
        ...

    def batches(self) -> Iterator[tuple[pa.RecordBatch, int]]:
        """Yield what may leave, until `end` is set."""
        ...

    def may_go_on(self) -> bool:
        """Say whether more of the batch that was yielded last may leave."""
        ...


class PushLine(Protocol):
    """A connection to where data is pushed, on which nothing was sent yet."""

    def send(self, stream: Readable) -> None:
        """Send a stream, and wait until it was taken.

        A body is ended as HTTP wants it only when the stream was complete: nobody takes a part for the whole.

        Raises:
            PeerRefused: if it is answered with anything but 2xx.
            PeerUnavailable: if the connection breaks, or nothing is taken or answered for too long.
            StreamEnded: if the stream may not go on.
        """
        ...

    def close(self) -> None:
        """Break the connection; also from another thread, while `send` is under way."""
        ...


class PushLines(Protocol):
    """Connects to where data is pushed."""

    def connect(self, address: DataAddress) -> PushLine:
        """Connect to a data address.

        Raises:
            Malformed: if the address names no endpoint, or a header that may not be set.
            EgressForbidden: if we may not connect there.
            PeerUnavailable: if nobody answers there.
        """
        ...
