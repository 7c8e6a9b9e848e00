"""Answers instead of rows: the groups of a permitted scan, and what of them may be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connector.dataplane.enforce import Enforcement, exact
from connector.dataplane.ports import Counting, Grouped, Scan
from connector.dataplane.question import Function, Measure, Question, groups_to_tell
from connector.dataplane.scanned import Scanned
from policies.plan import Aggregation
from policies.refusals.refusal import refusal
from schemas.errors import DataspaceError, PolicyMismatch

MOST_TOLD = 100_000
"""Groups among which an answer is chosen."""


class GroupedScan:
    """A `Scan` of which the rows are groups: it reads all that the plan covers, and yields the answer.

    Args:
        scan: reads the rows.
        enforcement: checks and masks them; the groups are of what it leaves.
        question: what is asked.
        aggregation: how large a group has to be.
        tally: makes what counts, for the types of keys, subject and values.

    Raises:
        PolicyMismatch: if a measure is asked of a column that holds no numbers.
    """

    def __init__(
        self,
        scan: Scan,
        enforcement: Enforcement,
        question: Question,
        aggregation: Aggregation,
        tally: Callable[[Sequence[pa.DataType], pa.DataType | None, Sequence[pa.DataType]], Counting],
    ) -> None:
        self._scan, self._enforcement = scan, enforcement
        self._question, self._aggregation = question, aggregation
        shown = enforcement.schema
        subject = aggregation.subject
        self._values = [shown.field(name).type for name in question.measured]
        for measure in question.measures:
            _check_measure(measure, shown, aggregation)
        self.schema = pa.schema(
            [
                *(pa.field(name, shown.field(name).type) for name in question.group),
                *(pa.field(measure.name, self._type(measure)) for measure in question.measures),
                pa.field("size", pa.int64()),
            ]
        )
        subject_type = scan.schema.field(subject).type if subject is not None else None
        numbers = [
            datatype if _is_number(datatype) else pa.string() for datatype in self._values
        ]  # of others only their being there is counted
        self._tally = tally([shown.field(name).type for name in question.group], subject_type, numbers)

    def _type(self, measure: Measure) -> pa.DataType:
        if measure.function in (Function.COUNT, Function.SUBJECTS):
            return pa.int64()
        if measure.function is Function.MEAN:
            return pa.float64()
        datatype = self._enforcement.schema.field(measure.column).type
        if measure.function is not Function.SUM:
            return datatype
        if pa.types.is_floating(datatype):
            return pa.float64()
        return pa.decimal128(38, datatype.scale if pa.types.is_decimal(datatype) else 0)

    def batches(self) -> Iterator[Scanned]:
        """Read everything, then yield the groups that may be told of, in the order of their keys."""
        subject = self._aggregation.subject
        for scanned in self._scan.batches():
            shown = self._enforcement.apply(scanned)
            values = [shown.column(name) for name in self._question.measured]
            self._tally.add(
                [shown.column(name) for name in self._question.group],
                scanned.batch.column(subject) if subject is not None else None,
                [cells if _is_number(cells.type) else _presence(cells) for cells in values],
                shown.num_rows,
            )
        grouped = self._tally.result()
        if grouped.table.num_rows:
            answer = self._answer(grouped)
            if answer.num_rows:
                yield Scanned(answer)

    def _answer(self, grouped: Grouped) -> pa.RecordBatch:
        table = grouped.table.combine_chunks()
        keys = keys_of(table, grouped.keys)
        if len(keys) > MOST_TOLD:  # choosing among them would take long, and nothing could break it off
            raise DataspaceError(f"more than {MOST_TOLD} groups; group by columns of fewer values")
        sizes = dict(zip(keys, table["size"].to_pylist(), strict=True))
        least = self._aggregation.min_group
        told = groups_to_tell(sizes, least, are_subjects=self._aggregation.subject is not None)
        order = sorted(
            (index for index, key in enumerate(keys) if key in told), key=lambda at: _rank(keys[at])
        )
        kept = table.take(pa.array(order, pa.int64())).combine_chunks()
        arrays = [_one(kept.column(index)) for index in range(grouped.keys)]
        arrays += [self._measured(measure, kept) for measure in self._question.measures]
        return pa.RecordBatch.from_arrays([*arrays, _one(kept["size"])], schema=self.schema)

    def _measured(self, measure: Measure, kept: pa.Table) -> pa.Array:
        if measure.column is None:
            return _one(kept["size" if measure.function is Function.SUBJECTS else "n"])
        index = self._question.measured.index(measure.column)
        match measure.function:
            case Function.COUNT:
                cells = kept[f"c{index}"]
            case Function.SUM:
                cells = kept[f"t{index}"]
            case Function.MIN:
                cells = kept[f"lo{index}"]
            case Function.MAX:
                cells = kept[f"hi{index}"]
            case _:
                cells = pc.divide(kept[f"t{index}"].cast(pa.float64()), kept[f"c{index}"].cast(pa.float64()))
        # A group of a hundred in which one gave a value would tell the value of that one.
        least = pa.scalar(self._aggregation.min_group, pa.int64())
        enough = pc.greater_equal(kept[f"d{index}"], least)
        if measure.function in (Function.COUNT, Function.MEAN):
            # And how many gave none is a group too: it would follow from a count, or from a sum and a mean.
            lacking = pc.subtract(kept["size"], kept[f"d{index}"])
            none_or_many = pc.or_(
                pc.equal(lacking, pa.scalar(0, pa.int64())), pc.greater_equal(lacking, least)
            )
            enough = pc.and_(enough, none_or_many)
        wanted = self._type(measure)
        return _one(pc.if_else(enough, cells.cast(wanted), pa.scalar(None, wanted)))

    def interrupt(self) -> None:
        """Stop what is under way at once; from any thread."""
        self._scan.interrupt()
        self._tally.interrupt()

    def close(self) -> None:
        """Stop reading; from any thread."""
        self._scan.close()


@dataclass(frozen=True)
class AnswerCheck:
    """What may leave of an answer: groups that are large enough, without their sizes."""

    schema: pa.Schema
    least: int
    mark: str

    @classmethod
    def of(cls, scan: GroupedScan, enforcement: Enforcement, least: int) -> AnswerCheck:
        """Make the check of the answers of a scan."""
        return cls(pa.schema(list(scan.schema)[:-1]), least, enforcement.mark)

    def apply(self, scanned: Scanned) -> pa.RecordBatch:
        """Return what may leave of an answer.

        Raises:
            DataspaceError: if a group is too small; then nothing of it may leave.
        """
        sizes = scanned.batch.column(scanned.batch.num_columns - 1)
        if scanned.batch.num_rows and pc.min(sizes).as_py() < self.least:
            raise DataspaceError(
                "a group is smaller than the agreement allows; nothing was sent; report this"
            )
        return exact(pa.RecordBatch.from_arrays(scanned.batch.columns[:-1], schema=self.schema))


def _check_measure(measure: Measure, shown: pa.Schema, aggregation: Aggregation) -> None:
    if measure.function is Function.SUBJECTS and aggregation.subject is None:
        raise PolicyMismatch(refusal("no subjects"))
    if measure.column is None or measure.function is Function.COUNT:
        return
    datatype = shown.field(measure.column).type
    if not _is_number(datatype):
        raise PolicyMismatch(refusal("no numbers", measure=repr(measure.name[:120]), item=datatype))


def _is_number(datatype: pa.DataType) -> bool:
    if pa.types.is_decimal(datatype):
        return bool(datatype.precision <= 38)
    return bool(pa.types.is_integer(datatype) or datatype in (pa.float32(), pa.float64()))


def _presence(cells: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_valid(cells), pa.scalar("x"), pa.scalar(None, pa.string()))


def _one(cells: pa.ChunkedArray) -> pa.Array:
    return cells.combine_chunks() if cells.num_chunks != 1 else cells.chunk(0)


def keys_of(table: pa.Table, count: int) -> list[tuple[Any, ...]]:
    """Return the key of each group, from the first `count` columns; times as numbers, with all digits."""
    columns = [_countable(table.column(index)).to_pylist() for index in range(count)]
    return list(zip(*columns, strict=True)) if columns else [()] * table.num_rows


def _countable(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    is_time = pa.types.is_timestamp(cells.type) or pa.types.is_duration(cells.type)
    return cells.cast(pa.int64()) if is_time or pa.types.is_time64(cells.type) else cells


def _rank(key: tuple[Any, ...]) -> tuple[tuple[bool, str, Any], ...]:
    """Order keys whatever they are: null last, values of one column among themselves."""
    return tuple((cell is None, type(cell).__name__, "" if cell is None else cell) for cell in key)
