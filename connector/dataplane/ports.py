"""What the data plane needs from the world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pyarrow as pa

from connector.usage.ports import Reservation
from policies.plan import DataPlan
from policies.use import UseTotals
from schemas.usage import UsageKind, UsageRecord


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
            UnreadableData: where the file turns out to be corrupt.
        """
        ...

    def close(self) -> None:
        """Stop reading."""
        ...


class Ledger(Protocol):
    """The usage log, as far as a stream writes in it."""

    def record(self, kind: UsageKind, **fields: Any) -> UsageRecord:
        """Make a record with id, time and log filled in; nothing is saved."""
        ...

    def append(self, *records: UsageRecord) -> None:
        """Save records durably.

        Raises:
            StorageUnavailable: if they were not saved; then nothing may leave.
        """
        ...

    def totals(self, agreement: str) -> UseTotals:
        """Return what an agreement has used, open reservations included."""
        ...

    def reserve(
        self, agreement: str, stream: str, rows: int, most: int | None, record: UsageRecord
    ) -> Reservation:
        """Take rows for a stream, so that the agreement's total never passes `most`; save the record too.

        Grants 0 rows, and saves nothing, when nothing is left.
        """
        ...

    def settle(self, agreement: str, stream: str, rows: int, record: UsageRecord) -> None:
        """Replace a stream's reservations by the rows that it sent, and save the record; once per stream."""
        ...
