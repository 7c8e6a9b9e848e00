"""Counted limits: what each counts, and the bucket that a rate is kept with.

```
request   a stream that was permitted to open; the one that asks is counted too
row       a row that left, or was reserved and may have left
byte      bytes of a row's cells as Arrow lays them out, rounded up (`connector.dataplane.meter`)
epoch     one reading of everything that the agreement shows; begun counts
```
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from schemas.errors import Malformed


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many rows a period, in a bucket that holds one period's rows and fills evenly.

    Units: rows; `period` above 0.

    Raises:
        Malformed: if nothing could ever leave, or everything at once.
    """

    rows: int
    period: timedelta

    def __post_init__(self) -> None:
        if self.rows < 1 or self.period <= timedelta(0):
            raise Malformed(f"rate: {self.rows} rows per {self.period}; write at least 1 row and some time")
