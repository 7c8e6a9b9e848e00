"""One reading of a file under a plan that decides row by row: pyarrow reads, DuckDB judges, in one order.

Cells that are shown as they are never pass through DuckDB, so their types and bytes stay as they were; it is
shown the columns that decide, and those under buckets, roundings and truncations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from connector.adapters.consents import Consents, subjects
from connector.adapters.duckdb_judge import Judge, passing
from connector.adapters.readings import Batches, Part, Reading, reading
from connector.adapters.rebatch import rebatched
from connector.dataplane.ports import ScanRequest
from connector.dataplane.scanned import Scanned
from connector.offering.columns import only
from policies.kinds.masking import Masking
from policies.plan import DataPlan
from schemas.errors import PolicyMismatch, WorldMoved

_COUNT_BYTES = 4 << 20
_GATHERED_ROWS = 16_384


@dataclass(frozen=True)
class Held:
    """What a scan works with: the plan, the open file, its judge, and who consents."""

    path: Path
    plan: DataPlan
    file: Reading
    judge: Judge
    consents: Consents | None


def gathered(batches: Iterable[tuple[int, pa.RecordBatch]]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Join small batches that follow each other in the file: each question to DuckDB costs a millisecond.

    The first comes at once.
    """
    held: list[pa.RecordBatch] = []
    first, rows, least = 0, 0, 1
    for place, batch in batches:
        if held and place != first + rows:
            yield first, pa.concat_batches(held)
            held, rows = [], 0
        if not held:
            first = place
        held.append(batch)
        rows += batch.num_rows
        if rows >= least:
            yield first, held[0] if len(held) == 1 else pa.concat_batches(held)
            held, rows, least = [], 0, _GATHERED_ROWS
    if held:
        yield first, pa.concat_batches(held)


class JudgedScan:
    """A `Scan` under a plan that leaves rows out, or masks cells by their values."""

    def __init__(self, held: Held, request: ScanRequest, pruned: pc.Expression | None) -> None:
        self._held, self._request = held, request
        plan, names = held.plan, held.file.schema.names
        self.schema = only(held.file.schema, {*plan.visible(names), *plan.seen})
        for branch in plan.branches:
            if branch.consent is not None:
                subjects(pa.array([], self.schema.field(branch.consent.column).type))
        self._stopped = False
        self._interrupted = False
        self._under_way: Batches | None = None
        with reading(held.path):
            self._all = held.file.parts(pruned)
            self._kept = self._counted()
            self._parts, self._skip = self._from(request.start)

    def _counted(self) -> tuple[pa.Array | None, ...]:
        """Count the classes of each branch that hides people among others, over all its rows."""
        return tuple(
            self._held.judge.counted(self._keys(index), branch.anonymity.k) if branch.anonymity else None
            for index, branch in enumerate(self._held.plan.branches)
        )

    def _keys(self, index: int) -> Iterator[pa.Array]:
        branch, judge = self._held.plan.branches[index], self._held.judge
        names = [*judge.names, *([branch.consent.column] if branch.consent else [])]
        for first, batch in self._read(tuple(dict.fromkeys(names)), self._all, _COUNT_BYTES):
            verdict = judge.of(batch, first, coarse=False)
            passed = verdict.passes[index]
            if branch.consent is not None:
                passed = pc.and_(passed, self._consenting(batch.column(branch.consent.column)))
            keys = verdict.classes[index]
            if keys is not None:
                yield keys.filter(passed)

    def _read(
        self, names: Sequence[str], parts: Sequence[Part], size: int
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Read columns of some parts; what is under way is told to `close`."""
        batches = self._held.file.read(names or self.schema.names[:1], parts, size)
        self._under_way = batches
        for first, batch in gathered(batches):
            self._check()
            yield first, batch

    def _check(self) -> None:
        if self._interrupted:
            raise WorldMoved("reading was interrupted; open the stream again")

    def _from(self, start: int) -> tuple[Sequence[Part], int]:
        """Find the parts that hold positions from `start` on, and how many to skip in the first of them."""
        counted = dict.fromkeys((part.index for part in self._all), 0)
        skip, last = start, len(self._all)
        if skip == 0 or any(part.rows is None for part in self._all):
            return self._all, skip
        parts = iter(range(len(self._all)))
        at = next(parts, last)
        for first, batch in self._read(self._held.judge.names, self._all, _COUNT_BYTES):
            standing, done = self._standing(self._passes(batch, first)), 0
            while done < batch.num_rows:
                part = self._all[at]
                end = part.first + (part.rows or 0)
                if first + done >= end:  # all rows of the part were counted, and they are to be skipped
                    skip -= counted[part.index]
                    at = next(parts, last)
                    continue
                taken = min(batch.num_rows - done, end - first - done)
                counted[part.index] += pc.sum(standing.slice(done, taken)).as_py() or 0
                done += taken
                if counted[part.index] > skip:
                    return self._all[at:], skip
        return [], skip

    def _passes(self, batch: pa.RecordBatch, first: int) -> tuple[pa.Array, ...]:
        verdict = self._held.judge.of(batch, first, coarse=False)
        return passing(verdict, self._fixed(self._kept))

    def _fixed(self, kept: Sequence[pa.Array | None]) -> tuple[pa.Array | None, ...]:
        """Leave out what may change while a stream runs: classes among people who consent."""
        return tuple(
            None if branch.consent is not None else enough
            for branch, enough in zip(self._held.plan.branches, kept, strict=True)
        )

    @staticmethod
    def _standing(passes: Iterable[pa.Array]) -> pa.Array:
        return reduce(pc.or_, passes)

    def batches(self) -> Iterator[Scanned]:
        """Yield batches in order."""
        with reading(self._held.path):
            width = self._held.file.width(self.schema.names)
            wide = rebatched(self._judged(), self._request.batch_bytes, width, self._skip)
            position = self._request.start
            for batch in wide:
                self._check()
                if self._stopped:
                    return
                scanned = self._scanned(batch, position)
                position += batch.num_rows
                if scanned.batch.num_rows:
                    yield scanned
            self._check()

    def _judged(self) -> Iterator[pa.RecordBatch]:
        """Yield rows that pass, followed in the same batch by what was decided of them."""
        judge, fixed = self._held.judge, self._fixed(self._kept)
        for first, batch in self._read(self.schema.names, self._parts, self._request.batch_bytes):
            if self._stopped:
                return
            verdict = judge.of(batch, first, coarse=True)
            passes = passing(verdict, fixed)
            rows = pa.arange(first, first + batch.num_rows)
            keys = [
                key if key is not None else pa.nulls(batch.num_rows, pa.string()) for key in verdict.classes
            ]
            columns = [*batch.columns, *passes, *keys, *verdict.coarse.values(), rows]
            wide = pa.RecordBatch.from_arrays(columns, [str(index) for index in range(len(columns))])
            standing = self._standing(passes)
            yield wide if (pc.sum(standing).as_py() or 0) == wide.num_rows else wide.filter(standing)

    def _scanned(self, wide: pa.RecordBatch, position: int) -> Scanned:
        """Part a wide batch again, and leave out whose consent does not stand now."""
        plan, after = self._held.plan, None
        if self._held.consents is not None:
            after = pa.arange(position + 1, position + 1 + wide.num_rows)
            passes = self._agreed(wide)
            standing = self._standing(passes)
            wide, after = wide.filter(standing), after.filter(standing)
            passes = tuple(passed.filter(standing) for passed in passes)
        else:
            passes = tuple(self._part(wide, 0))
        raw = pa.RecordBatch.from_arrays(wide.columns[: len(self.schema)], schema=self.schema)
        masked: dict[tuple[str, Masking], pa.Array] = dict(
            zip(
                self._held.judge.masked,
                wide.columns[len(self.schema) + 2 * len(plan.branches) : -1],
                strict=True,
            )
        )
        return Scanned(raw, passes, masked, wide.columns[-1], after)

    def _part(self, wide: pa.RecordBatch, index: int) -> Sequence[pa.Array]:
        count = len(self._held.plan.branches)
        columns: Sequence[pa.Array] = wide.columns
        return columns[len(self.schema) + index * count : len(self.schema) + (index + 1) * count]

    def _agreed(self, wide: pa.RecordBatch) -> tuple[pa.Array, ...]:
        """Say which rows pass each branch as consents stand at this moment."""
        consents = self._held.consents
        if consents is not None and consents.refresh():
            under_way = self._under_way
            self._kept = self._counted()  # classes are smaller without those who withdrew
            self._under_way = under_way
        found = []
        rows = zip(
            self._held.plan.branches, self._part(wide, 0), self._part(wide, 1), self._kept, strict=True
        )
        for branch, fixed, keys, enough in rows:
            passed = fixed
            if branch.consent is not None:
                cells = wide.column(self.schema.names.index(branch.consent.column))
                passed = pc.and_(passed, self._consenting(cells))
                if enough is not None:
                    passed = pc.and_(passed, pc.is_in(keys, enough))
            found.append(passed)
        return tuple(found)

    def _consenting(self, cells: pa.Array) -> pa.Array:
        """Say of each cell whether its subject consents; nobody is named by null."""
        consents = self._held.consents
        if consents is None:
            raise PolicyMismatch("consent is asked for, and there is no consent table")
        encoded = subjects(cells).dictionary_encode()
        known = pa.array(
            [subject in consents.standing for subject in encoded.dictionary.to_pylist()], pa.bool_()
        )
        return pc.fill_null(known.take(encoded.indices), False)

    def interrupt(self) -> None:
        """Stop what is under way at once; from any thread."""
        self._interrupted = True
        self._held.judge.interrupt()
        self.close()

    def close(self) -> None:
        """Stop reading; from any thread."""
        self._stopped = True
        under_way = self._under_way
        if under_way is not None:
            under_way.close()
