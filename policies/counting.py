"""Counted limits: what each counts, the bucket that a rate is kept with, and when an epoch begins.

```
request   an opening of a stream that was permitted; the one that is asked for is counted too
row       a row that left, or was reserved and may have left
byte      a byte of such rows as Arrow lays out their cells, offsets and nulls: without messages around
          them, padding or compression (`pyarrow.RecordBatch.nbytes`)
epoch     one reading of what the agreement shows, from its first row on; begun is counted, and given back
          with a request that is given back, if nothing was sent in it
```

A bucket holds one period's rows and fills evenly. It is kept as the time at which it will be full again, in
whole microseconds rounded up, so that every process, and an auditor, reckons the same to the row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from schemas.errors import Malformed

AGAIN = 8
"""One in so many rows of a reading may be sent again after breaks, without counting as another epoch."""

_MICROSECOND = timedelta(microseconds=1)
_STEP = timedelta(seconds=2)
"""How long a bucket fills before somebody who waits gets rows: each time is a line of the log."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much leaves, or is to leave. Units: rows, bytes."""

    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many rows a period, in a bucket that holds one period's rows and fills evenly.

    Units: rows; `period` above 0. The times of its methods are microseconds since 1970-01-01 UTC; `full` is
    when the bucket will be full again, 0 if nothing was ever taken.

    Raises:
        Malformed: if nothing could ever leave, or everything at once.
    """

    rows: int
    period: timedelta

    def __post_init__(self) -> None:
        if self.rows < 1 or self.period < _MICROSECOND:
            raise Malformed(f"rate: {self.rows} rows per {self.period}; write at least 1 row and some time")

    @property
    def micros(self) -> int:
        """The period in microseconds."""
        return self.period // _MICROSECOND

    def available(self, full: int, at: int) -> int:
        """Return how many rows may be taken now; never negative."""
        return max(0, (self.micros - max(0, full - at)) * self.rows // self.micros)

    def taken(self, full: int, rows: int, at: int) -> int:
        """Return when the bucket will be full again after rows were taken."""
        return max(full, at) - (-rows * self.micros // self.rows)

    def grant(self, full: int, wanted: int, at: int) -> tuple[int, timedelta]:
        """Return how many of the rows that somebody wants may be taken now, or 0 and how long to wait.

        Who waits does so until a step of two seconds has come together, or a single row where that takes
        longer: rows are not handed out one by one.
        """
        least = min(wanted, max(1, self.rows * (_STEP // _MICROSECOND) // self.micros), self.rows)
        there = self.available(full, at)
        if there >= least:
            return min(wanted, there), timedelta(0)
        return 0, (self.taken(full, least, at) - at - self.micros) * _MICROSECOND


@dataclass(frozen=True, slots=True)
class Bound:
    """The totals that an agreement may reach, and how fast; None = no limit. Units: rows, bytes."""

    rows: int | None = None
    bytes: int | None = None
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the data of a transfer: it goes on over several streams when a connection breaks.

    An opening goes on with a reading if the stream before it has ended, and if no more than one in `AGAIN`
    of the rows that were reached is sent again in all. Every other opening begins a new one, and counts as
    an epoch. So of any row at most one in `AGAIN` more copies leave than epochs were counted, summed over
    the data; a reader that has two streams at once, or another transfer, pays for each.

    Units: positions count rows from the start of what the agreement shows. It reached from `begin` to `end`;
    `again` rows were sent twice. `stream` is the one that reads now, from `start`; None while none does.
    """

    begin: int
    end: int
    again: int
    stream: str | None
    start: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing was sent in it: then it is given back with the request that came to nothing."""
        return self.end == self.begin

    def settled(self, stream: str, rows: int) -> Reading:
        """Return the reading after a stream has ended that sent so many rows."""
        if stream != self.stream:
            return self
        repeated = max(0, self.end - self.start)
        again = self.again - repeated + min(rows, repeated)
        return replace(self, end=max(self.end, self.start + rows), again=again, stream=None)


def opened(reading: Reading | None, stream: str, start: int) -> tuple[Reading, bool]:
    """Return the reading that a stream belongs to which opens at a row, and whether it begins with it."""
    if reading is not None and reading.stream is None and start >= reading.begin:
        again = reading.again + max(0, reading.end - start)
        if again * AGAIN <= reading.end - reading.begin:
            return replace(reading, again=again, stream=stream, start=start), False
    return Reading(start, start, 0, stream, start), True
