"""The counting of rows: reserved in blocks before they leave, so that the last one allowed is the last."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
