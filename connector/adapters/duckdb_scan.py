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

from connector.adapters.consents import Consents
from connector.adapters.duckdb_judge import Judge, passing
from connector.adapters.readings import Batches, Part, Reading, reading
from connector.adapters.rebatch import rebatched
from connector.dataplane.classes import Census, Classes
from connector.dataplane.opinion import covered, subjects
from connector.dataplane.ports import ScanRequest
from connector.dataplane.sample import draws
from connector.dataplane.scanned import Scanned
from connector.offering.columns import only
from policies.kinds.masking import Masking
from policies.plan import Branch, DataPlan
from schemas.errors import EnginesDisagree, PolicyMismatch, WorldMoved

_COUNT_BYTES = 4 << 20
_GATHERED_ROWS, _COUNTED_ROWS = 262_144, 524_288
"""Rows about which DuckDB is asked at once: of all columns, and where only those that decide are read."""
_GATHERED_BYTES = 32 << 20
"""Bytes of such rows: wide ones are asked about sooner, since they wait in memory for the answer."""


@dataclass(frozen=True)
class Held:
    """What a scan works with: the plan, the open file, its judge, and who consents."""

    path: Path
    plan: DataPlan
    file: Reading
    judge: Judge
    consents: Consents | None


def gathered(batches: Iterable[tuple[int, pa.RecordBatch]], most: int) -> Iterator[tuple[int, pa.Table]]:
    """Gather batches that follow each other in the file, uncopied: a question to DuckDB costs a millisecond.

    The first comes at once; others when there are `most` rows, or as many bytes as may wait.
    """
    held: list[pa.RecordBatch] = []
    first, rows, size, least = 0, 0, 0, 1
    for place, batch in batches:
        if held and place != first + rows:
            yield first, pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
        if not held:
            first = place
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= least or size >= _GATHERED_BYTES:
            yield first, pa.Table.from_batches(held)
            held, rows, size, least = [], 0, 0, most
    if held:
        yield first, pa.Table.from_batches(held)


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
        self._samples = any(branch.sample is not None for branch in plan.branches)
        self._classes: list[Classes | None] = []
        with reading(held.path):
            self._all = held.file.parts(pruned)
            self._kept = self._counted()
            self._parts, self._skip = self._from(request.start)

    def _counted(self) -> tuple[pa.Array | None, ...]:
        """Count the classes of each branch that hides people among others, over all its rows, twice.

        Raises:
            EnginesDisagree: if two engines count otherwise.
        """
        kept: list[pa.Array | None] = []
        self._classes = []
        for index, branch in enumerate(self._held.plan.branches):
            if branch.anonymity is None:
                kept.append(None)
                self._classes.append(None)
                continue
            census, least = Census(), branch.anonymity.k
            counted = self._held.judge.counted(self._tallies(index, branch, census), least)
            classes = census.classes(least)
            if (len(counted.keys), counted.rows) != (classes.count, classes.rows):
                raise EnginesDisagree(
                    f"two engines disagree on who is hidden among {least}: one counts {counted.rows} rows in "
                    f"{len(counted.keys)} classes, one {classes.rows} in {classes.count}; report this"
                )
            kept.append(counted.keys)
            self._classes.append(classes)
        return tuple(kept)

    def _tallies(self, index: int, branch: Branch, census: Census) -> Iterator[pa.Table]:
        """Count the classes of a branch piece by piece: by DuckDB, and in the census by pyarrow."""
        plan, judge, consents = self._held.plan, self._held.judge, self._held.consents
        makes = branch.anonymity.quasi_identifiers if branch.anonymity else ()
        names = only(self._held.file.schema, {*judge.names, *plan.seen}).names
        for first, table in self._read(names, self._all, _COUNT_BYTES, _COUNTED_ROWS):
            who = self._consenting(table[branch.consent.column]) if branch.consent else None
            yield judge.tallied(index, table, first, who)
            told = consents.told if consents is not None else None
            rows = table.num_rows
            drawn = draws(self._request.salt, first, rows) if branch.sample is not None else pa.nulls(rows)
            cells = {name: table[name] for name in names}
            census.add([table[name] for name in makes], covered(branch, plan.excluded, cells, drawn, told))

    def _read(
        self, names: Sequence[str], parts: Sequence[Part], size: int, most: int
    ) -> Iterator[tuple[int, pa.Table]]:
        """Read columns of some parts; what is under way is told to `close`."""
        batches = self._held.file.read(names or self.schema.names[:1], parts, size)
        self._under_way = batches
        for first, table in gathered(batches, most):
            self._check()
            yield first, table

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
        for first, table in self._read(self._held.judge.names, self._all, _COUNT_BYTES, _COUNTED_ROWS):
            standing, done = self._standing(self._passes(table, first)), 0
            while done < table.num_rows:
                part = self._all[at]
                end = part.first + (part.rows or 0)
                if first + done >= end:  # all rows of the part were counted, and they are to be skipped
                    skip -= counted[part.index]
                    at = next(parts, last)
                    continue
                taken = min(table.num_rows - done, end - first - done)
                counted[part.index] += pc.sum(standing.slice(done, taken)).as_py() or 0
                done += taken
                if counted[part.index] > skip:
                    return self._all[at:], skip
        return [], skip

    def _passes(self, table: pa.Table, first: int) -> tuple[pa.Array, ...]:
        verdict = self._held.judge.of(table, first, coarse=False)
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
        judge, fixed, size = self._held.judge, self._fixed(self._kept), self._request.batch_bytes
        for first, table in self._read(self.schema.names, self._parts, size, _GATHERED_ROWS):
            verdict = judge.of(table, first, coarse=True)
            passes = passing(verdict, fixed)
            # What nobody asks for is of the type null, which takes no room.
            keys = [
                pa.nulls(table.num_rows) if key is None or enough is not None else key
                for key, enough in zip(verdict.classes, fixed, strict=True)
            ]
            told = [*passes, *keys, *verdict.coarse.values()]
            done = 0
            for batch in table.to_batches():
                if self._stopped:
                    return
                rows = batch.num_rows
                at = pa.arange(first + done, first + done + rows) if self._samples else pa.nulls(rows)
                columns = [*batch.columns, *(cells.slice(done, rows) for cells in told), at]
                wide = pa.RecordBatch.from_arrays(columns, [str(index) for index in range(len(columns))])
                standing = self._standing(wide.columns[batch.num_columns : batch.num_columns + len(passes)])
                yield wide if pc.all(standing).as_py() else wide.filter(standing)
                done += rows

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
        return Scanned(
            raw,
            passes,
            masked,
            wide.columns[-1] if self._samples else None,
            after,
            tuple(self._classes),
            self._held.consents.told if self._held.consents is not None else None,
        )

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

    def _consenting(self, cells: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Say of each cell whether its subject consents; nobody is named by null."""
        consents = self._held.consents
        if consents is None:
            raise PolicyMismatch("consent is asked for, and there is no consent table")
        texts = subjects(cells)
        whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        encoded = whole.dictionary_encode()
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
