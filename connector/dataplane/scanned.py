"""One batch as it was scanned: the cells as they are, and what the engine decided of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from connector.dataplane.classes import Classes
from policies.kinds.masking import Masking


@dataclass(frozen=True)
class Scanned:
    """Rows that a plan releases, with the branches that each of them passes.

    Shapes: `batch` has the columns that the plan shows or decides by, unmasked, in the order of the file.
    `passes` has booleans without nulls for each branch; it is empty where every row passes every branch.
    `coarse` has the cells of a column under a bucket, a rounding or a truncation. `rows` are the positions
    of the rows in the file, where the sample hangs on them. `classes` are, for each branch that hides people
    among others, the classes that are large enough as pyarrow counted them, `consenting` who consents as
    pyarrow found it; each is asked of every row once more. `after` are the positions in the stream after
    each row, where they do not simply count up: rows whose subject withdrew consent keep their number.
    """

    batch: pa.RecordBatch
    passes: tuple[pa.Array, ...] = ()
    coarse: Mapping[tuple[str, Masking], pa.Array] = field(default_factory=dict)
    rows: pa.Array | None = None
    after: pa.Array | None = None
    classes: tuple[Classes | None, ...] = ()
    consenting: pa.Array | None = None

    def position(self, start: int, rows: int) -> int:
        """Return the position after the first `rows` rows of a batch that begins at `start`."""
        if self.after is None:
            return start + rows
        return int(self.after[rows - 1].as_py()) if rows else start
