"""The counting of rows: reserved in blocks before they leave, and cut exactly at the last one allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Meter:
    """How far a stream is.

    Units: rows. `block` is the least that is reserved at once, `sent` never passes `reserved`.
    """

    block: int
    reserved: int = 0
    sent: int = 0

    @property
    def left(self) -> int:
        """Rows that may leave before more have to be reserved."""
        return self.reserved - self.sent

    def wanted(self, rows: int) -> int:
        """Return how many rows to reserve before `rows` more may leave; 0 if enough are."""
        return max(self.block, rows - self.left) if rows > self.left else 0

    def granted(self, rows: int) -> Meter:
        """Return the meter after a reservation."""
        return replace(self, reserved=self.reserved + rows)

    def passed(self, rows: int) -> Meter:
        """Return the meter after rows have left.

        Raises:
            ValueError: if they were not reserved.
        """
        if rows > self.left:
            raise ValueError(f"{rows} rows left, but only {self.left} were reserved")
        return replace(self, sent=self.sent + rows)


def cut(batch: pa.RecordBatch, rows: int) -> pa.RecordBatch:
    """Return the first rows of a batch, in buffers of their own.

    A slice would share its last byte of bits (booleans, nulls) with the rows that were cut off.
    """
    if rows >= batch.num_rows:
        return batch
    return batch.take(pa.array(range(rows), pa.int64()))
