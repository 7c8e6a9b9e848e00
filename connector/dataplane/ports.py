"""What the data plane needs from the world."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol

import pyarrow as pa

from connector.transfer.ports import Received, Transfer
from connector.usage.ports import Judge, Reservation, Sent
from policies.counting import Amount, Bound
from policies.plan import DataPlan
from schemas.usage import UsageKind, UsageRecord


class Started(Protocol):
    """Knows the transfers under which streams are opened."""

    def get(self, pid: str) -> Transfer:
        """Return a transfer by our own pid.

        Raises:
            NotFound: naming it.
        """
        ...


class Scans(Protocol):
    """Opens data files for reading under a plan."""

    def scan(self, source: str, plan: DataPlan, *, batch_bytes: int, start: int = 0) -> Scan:
        """Open a source with a plan pushed down: rows that the predicate drops are never read out.

        Columns that the plan hides are read out only where its predicate needs them, so that the rows can be
        checked once more. The order of rows is the same on every scan of the same file under the same plan;
        `start` leaves out that many of them from the front.

        Units: `batch_bytes` is the size that batches are to have, `start` counts rows that pass the filter.

        Raises:
            UnreadableData: if the file cannot be read.
            PolicyMismatch: if the plan names a column that the file lacks.
        """
        ...


class Scan(Protocol):
    """One reading of a source. Shapes: `schema` before masking."""

    @property
    def schema(self) -> pa.Schema:
        """The columns that the plan lets through or filters by, before masking, in the order of the file."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches in order, none of them empty; may be called once.

        Raises:
            UnreadableData: where the file turns out to be corrupt, or some rows before: it is read ahead.
        """
        ...

    def interrupt(self) -> None:
        """Have `batches` end soon, from any thread, also while it looks for rows and finds none.

        It may end with an error then, which nobody is told.
        """
        ...

    def close(self) -> None:
        """Stop reading; for the thread that reads."""
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
