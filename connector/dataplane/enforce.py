"""From scanned rows to what may leave: rows and masks checked again, cells joined, hidden columns dropped.

The scan has judged the rows and masked the cells already, with another engine. Here every batch is checked
once more, so that an error in either stops the stream instead of leaking a row or a cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from connector.dataplane.compare import rows_that_match, rows_that_pass
from connector.dataplane.masks import (
    COARSE,
    Pseudonyms,
    coarsened,
    redacted,
    watermark,
)
from connector.dataplane.opinion import who_consent
from connector.dataplane.sample import drawn_for, drawn_singly, sample_bound, sample_salt
from connector.dataplane.scanned import Scanned
from connector.offering.columns import is_text, plain_array, streamed_schema, streamed_type
from connector.offering.masked import released_field
from policies.kinds.masking import Masking, MaskKind
from policies.plan import Branch, DataPlan, revealing
from schemas.errors import EnginesDisagree, PolicyMismatch

_SPOT_CHECKS = 8


def exact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch in buffers that hold its rows and nothing else; no copy where they do already.

    Arrow pads what it sends to 64 bytes, and the padding of a slice is the beginning of the rows after it;
    the last byte of truth values is shared with them. Under a null, readers and kernels leave what stood
    there: a value that was masked, or one of another row.
    """
    columns = [_exact(column) for column in batch.columns]
    if all(made is column for made, column in zip(columns, batch.columns, strict=True)):
        return batch
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _without_marks(column: pa.Array) -> pa.Array:
    """Return a column that has no null without the bits that say so; no copy of its cells."""
    if pa.types.is_nested(column.type) or isinstance(column, pa.ExtensionArray):
        return column
    return pa.Array.from_buffers(
        column.type, len(column), [None, *column.buffers()[1:]], null_count=0, offset=column.offset
    )


def _exact(column: pa.Array) -> pa.Array:
    rows = len(column)
    if not column.null_count and column.buffers()[0] is not None:
        column = _without_marks(column)  # which would tell of rows after these whether they are null
    if column.null_count and pa.types.is_primitive(column.type) and not pa.types.is_boolean(column.type):
        return pc.if_else(pc.is_valid(column), column, pa.nulls(rows, column.type))  # which are zeros
    if column.null_count or pa.types.is_nested(column.type):
        # Taking leaves zeros under nulls, at every depth; and nothing of a struct that is null itself.
        places = pa.arange(0, rows)
        return column.take(pc.if_else(pc.is_valid(column), places, pa.nulls(rows, pa.int64())))
    whole = column.get_total_buffer_size() == column.nbytes
    if whole and not (pa.types.is_boolean(column.type) and rows % 8):
        return column
    if rows < 2 or pa.types.is_boolean(column.type):
        return column.take(pa.arange(0, rows))
    half = rows // 2
    return pa.concat_arrays([column.slice(0, half), column.slice(half)])  # joining always copies, and fast


@dataclass(frozen=True)
class Enforcement:
    """A plan made ready for the batches of one scan.

    Shapes: `schema` is what leaves: released columns in the order of the data, in the types that masks leave.
    """

    plan: DataPlan
    schema: pa.Schema
    pseudonyms: Pseudonyms
    salt: str
    mark: str

    @classmethod
    def of(cls, plan: DataPlan, scanned: pa.Schema, key: bytes) -> Enforcement:
        """Fit a plan to the schema of a scan.

        Raises:
            PolicyMismatch: if the plan names a column that the scan lacks, releases none, holds a set of
                columns that must stay apart, or asks for a mask that the type of its column cannot take.
        """
        lacking = sorted(plan.named - set(scanned.names))
        if lacking:
            raise PolicyMismatch(f"the plan names column {lacking[0]!r}, which the data lack")
        refuse_together(plan, scanned.names)
        plain = streamed_schema(scanned)
        names = plan.visible(scanned.names)
        fields = [_released(plain.field(name), plan) for name in names]
        if not fields:
            raise PolicyMismatch("the plan releases no column")
        return cls(plan, pa.schema(fields), Pseudonyms(key), sample_salt(key), watermark(key))

    def apply(self, scanned: Scanned) -> pa.RecordBatch:
        """Return what may leave of a scanned batch.

        Raises:
            EnginesDisagree: if the other engine let a row through that the plan withholds, or made something
                else of a masked cell; then nothing of the batch may leave.
        """
        batch = scanned.batch
        at = {name: index for index, name in enumerate(batch.schema.names)}
        cells = {name: _plain(batch.column(index)) for name, index in at.items()}
        self._check_rows(scanned, {name: cells[name] for name in self.plan.seen})
        columns = [self._cells(cells[field.name], field, scanned) for field in self.schema]
        out = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        # Where every row and value is released, so are those after a batch, and need no hiding.
        return out if self._hides_nothing else exact(out)

    @property
    def _hides_nothing(self) -> bool:
        (first, *more) = self.plan.branches
        return self.plan.is_open and not more and not any(mask.kind in COARSE for _, mask in first.masks)

    def _check_rows(self, scanned: Scanned, seen: Mapping[str, pa.Array]) -> None:
        rows = scanned.batch.num_rows
        if not rows:
            return
        if not scanned.passes and not (self.plan.is_open and len(self.plan.branches) == 1):
            raise EnginesDisagree("the scan judged no row; nothing was sent; report this")
        matched = rows_that_match(self.plan.excluded, seen)
        if matched is not None:
            _refuse_some(matched, rows, "a prohibition excludes")
        standing = None
        for index, (branch, passed) in enumerate(
            zip(self.plan.branches, scanned.passes, strict=bool(scanned.passes))
        ):
            checked = rows_that_pass(branch.predicate, seen)
            if checked is not None:
                _refuse_some(pc.and_(passed, pc.invert(checked)), rows, "the policy's row filter excludes")
            if branch.sample is not None:
                self._check_sample(branch, passed, scanned.rows)
            self._check_others(branch, index, scanned, seen)
            standing = passed if standing is None else pc.or_(standing, passed)
        if standing is not None:
            _refuse_some(pc.invert(standing), rows, "no permission covers")

    def _check_sample(self, branch: Branch, passed: pa.Array, places: pa.Array | None) -> None:
        """Draw for all rows again at once, and for some of them, spread over the batch, one by one."""
        if places is None:
            raise EnginesDisagree(
                "the scan does not tell which rows it sampled; nothing was sent; report this"
            )
        kept = places.filter(passed)
        if not len(kept) or branch.sample is None:
            return
        found = pc.less(drawn_for(self.salt, kept), pa.scalar(sample_bound(branch.sample), pa.uint64()))
        _refuse_some(pc.invert(found), len(kept), "is not in the sample")
        some = kept[:: max(1, len(kept) // _SPOT_CHECKS)].to_pylist()
        bound = sample_bound(branch.sample)
        outside = sum(drawn >= bound for drawn in drawn_singly(self.salt, some))
        if outside:
            raise EnginesDisagree(
                f"the scan let {outside} of {len(some)} rows through that is not in the sample; report this"
            )

    @staticmethod
    def _check_others(branch: Branch, index: int, scanned: Scanned, seen: Mapping[str, pa.Array]) -> None:
        """Check what hangs on other rows or another table: classes and consents, as pyarrow found them."""
        passed, rows = scanned.passes[index], scanned.batch.num_rows
        if branch.consent is not None:
            if scanned.consenting is None:
                raise EnginesDisagree("the scan does not tell who consents; nothing was sent; report this")
            found = who_consent(seen[branch.consent.column], scanned.consenting)
            _refuse_some(pc.and_(passed, pc.invert(found)), rows, "nobody has consented to")
        if branch.anonymity is not None:
            classes = scanned.classes[index] if index < len(scanned.classes) else None
            if classes is None:
                raise EnginesDisagree("the scan counted no classes; nothing was sent; report this")
            hidden = classes.hold([seen[name] for name in branch.anonymity.quasi_identifiers])
            why = f"is not hidden among {branch.anonymity.k}"
            _refuse_some(pc.and_(passed, pc.invert(hidden)), rows, why)

    def _cells(self, cells: pa.Array, field: pa.Field, scanned: Scanned) -> pa.Array:
        """Show each cell as the most revealing of the branches that its row passes shows it."""
        shown = [
            (branch.mask_of(field.name), index)
            for index, branch in enumerate(self.plan.branches)
            if branch.shows(field.name)
        ]
        masks = dict.fromkeys(mask for mask, _ in shown)
        made = {mask: self._masked(cells, field, mask, scanned) for mask in masks}
        if len(masks) == 1 and len(shown) == len(self.plan.branches):
            return made[next(iter(masks))]
        found = pa.nulls(len(cells), field.type)
        for mask in sorted(masks, key=revealing):
            for other, index in shown:
                if other == mask and scanned.passes:
                    found = pc.if_else(scanned.passes[index], made[mask], found)
                elif other == mask:
                    found = made[mask]
        return found

    def _masked(self, cells: pa.Array, field: pa.Field, mask: Masking | None, scanned: Scanned) -> pa.Array:
        if mask is None:
            return plain_array(cells, field.type)
        match mask.kind:
            case MaskKind.NULL:
                return pa.nulls(len(cells), field.type)
            case MaskKind.HASH:
                if not is_text(field.type):
                    return pa.nulls(len(cells), field.type)  # shown as a number elsewhere: no place for text
                return plain_array(self.pseudonyms.of(cells), field.type)
            case MaskKind.REDACT:
                return redacted(len(cells), field.type)
            case _:
                return self._coarse(cells, field, mask, scanned)

    def _coarse(self, cells: pa.Array, field: pa.Field, mask: Masking, scanned: Scanned) -> pa.Array:
        """Take the cells of the other engine, if they are what this one makes of the column too."""
        ours, theirs = coarsened(cells, mask), scanned.coarse.get((field.name, mask))
        if theirs is None or theirs.type != ours.type or not theirs.equals(ours):
            raise EnginesDisagree(
                f"two engines disagree on the mask {mask.text!r} of {field.name!r}; report this"
            )
        return plain_array(ours, field.type)


def refuse_together(plan: DataPlan, columns: list[str]) -> None:
    """Refuse columns that hold a set which must stay apart.

    Raises:
        PolicyMismatch: naming the set.
    """
    together = plan.whole_set(plan.shown_apart(plan.visible(columns)))
    if together is not None:
        raise PolicyMismatch(
            f"columns {', '.join(map(repr, together))} must not be read together; ask for some of them only"
        )


def _refuse_some(refused: pa.Array, rows: int, why: str) -> None:
    count = pc.sum(refused).as_py() or 0
    if count:
        raise EnginesDisagree(
            f"the scan let {count} of {rows} rows through that {why}; nothing of them was sent; report this"
        )


def _released(field: pa.Field, plan: DataPlan) -> pa.Field:
    showing = [branch for branch in plan.branches if branch.shows(field.name)]
    masks = [branch.mask_of(field.name) for branch in showing]
    for mask in masks:
        if mask is not None and mask.kind in COARSE:
            released_field(field, [mask], hidden=False)
    return released_field(field, masks, hidden=len(showing) < len(plan.branches))


def _plain(column: pa.Array) -> pa.Array:
    return plain_array(column, streamed_type(column.type))
