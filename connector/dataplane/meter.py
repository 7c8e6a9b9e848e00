"""The counting of rows and bytes: reserved in blocks before they leave, so that none goes past a limit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from policies.counting import Amount

_MARGIN = 8
"""One in so many bytes is reserved on top, since rows differ in length and each reservation is a log line."""


@dataclass(frozen=True, slots=True)
class Meter:
    """How far a stream is.

    Units: rows; with `_bytes` bytes. `block` is what is reserved at once; less where no more than `expected`
    will come in all. What was sent never passes what was reserved.
    """

    block: int
    expected: int
    reserved: int = 0
    sent: int = 0
    reserved_bytes: int = 0
    sent_bytes: int = 0

    @property
    def left(self) -> int:
        """Rows that may leave before more have to be reserved."""
        return self.reserved - self.sent

    @property
    def left_bytes(self) -> int:
        """Bytes that may leave before more have to be reserved."""
        return self.reserved_bytes - self.sent_bytes

    def wanted(self, rows: int, size: int = 0) -> Amount:
        """Return what to reserve before so many more rows, of `size` bytes, may leave; often nothing."""
        if rows <= self.left and size <= self.left_bytes:
            return Amount()
        more = 0
        if rows > self.left:
            rest = self.expected - self.reserved
            more = max(rows - self.left, min(self.block, rest) if rest > 0 else self.block)
        covered = max(rows, self.left + more)
        bytes_covered = size * covered // max(1, rows)
        margin = bytes_covered // _MARGIN if covered > rows else 0
        return Amount(more, max(0, max(size, bytes_covered + margin) - self.left_bytes))

    def granted(self, rows: int, size: int = 0) -> Meter:
        """Return the meter after a reservation."""
        return replace(self, reserved=self.reserved + rows, reserved_bytes=self.reserved_bytes + size)

    def passed(self, rows: int, size: int = 0) -> Meter:
        """Return the meter after rows have left.

        Raises:
            ValueError: if they were not reserved.
        """
        if rows > self.left:
            raise ValueError(f"{rows} rows left, but only {self.left} were reserved")
        if size > self.left_bytes:
            raise ValueError(f"{size} bytes left, but only {self.left_bytes} were reserved")
        return replace(self, sent=self.sent + rows, sent_bytes=self.sent_bytes + size)


def rows_within(batch: pa.RecordBatch, most: int) -> int:
    """Return how many of a batch's first rows take no more than so many bytes; see `policies.counting`."""
    if batch.nbytes <= most:
        return int(batch.num_rows)
    low, high = 0, batch.num_rows  # `low` rows fit, `high` rows do not
    while high - low > 1:
        middle = (low + high) // 2
        if batch.slice(0, middle).nbytes <= most:
            low = middle
        else:
            high = middle
    return low
