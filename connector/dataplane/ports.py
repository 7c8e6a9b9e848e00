"""What the data plane needs from the world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from policies.plan import DataPlan

if TYPE_CHECKING:  # a participant that only consumes never loads it
    import pyarrow as pa


class Scans(Protocol):
    """Opens data files for reading under a plan."""

    def scan(self, source: str, plan: DataPlan, batch_rows: int) -> Scan:
        """Open a source with a plan pushed down: rows that the predicate drops and columns that the plan hides are never read out.

        The order of rows is the same on every scan of the same file under the same plan.

        Raises:
            UnreadableData: if the file cannot be read.
            PolicyMismatch: if the plan names a column that the file lacks.
        """
        ...


class Scan(Protocol):
    """One reading of a source. Shapes: `schema` before masking; batches of at most `batch_rows` rows."""

    @property
    def schema(self) -> pa.Schema:
        """The columns that the plan lets through, before masking."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches in order; may be called once."""
        ...

    def close(self) -> None:
        """Stop reading."""
        ...
