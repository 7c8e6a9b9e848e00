"""The counting of rows: reserved in blocks before they leave, and cut exactly at the last one allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Meter:
    """How far a stream is.

    Units: rows. `block` is what is reserved at once; less where no more than `expected` will come in all.
    `sent` never passes `reserved`.
    """

    block: int
    expected: int
    reserved: int = 0
    sent: int = 0

    @property
    def left(self) -> int:
        """Rows that may leave before more have to be reserved."""
        return self.reserved - self.sent

    def wanted(self, rows: int) -> int:
        """Return how many rows to reserve before `rows` more may leave; 0 if enough are."""
        if rows <= self.left:
            return 0
        rest = self.expected - self.reserved
        return max(rows - self.left, min(self.block, rest) if rest > 0 else self.block)

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
