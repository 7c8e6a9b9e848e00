"""What a reader asks of a stream: rows from some row on, of some columns, or groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from connector.dataplane.question import Question
from policies.plan import DataPlan
from policies.refusals.refusal import refusal
from schemas.canonical import digest
from schemas.errors import Malformed, PolicyMismatch, UseDenied


@dataclass(frozen=True)
class Asked:
    """What a reader asks for: from which row on, which columns (None: all), or which groups."""

    start: int
    columns: tuple[str, ...] | None
    question: Question | None

    def wanted(self, released: Sequence[str]) -> tuple[str, ...] | None:
        """Return the columns to read; where only rows are counted, one has to stand for them."""
        if self.question is None:
            return self.columns
        return self.question.columns or tuple(released[:1])

    @property
    def detail(self) -> dict[str, str | int]:
        """What the log says of it."""
        if self.question is None:
            return {"start": self.start}
        return {"start": self.start, "aggregate": digest(self.question.as_json())}


def check_kind(plan: DataPlan, asked: Asked) -> None:
    """Check that rows are asked for where rows may leave, and groups where only groups may.

    Raises:
        UseDenied: if rows are asked for, and the agreement lets groups leave only.
        PolicyMismatch: if groups are asked for, and the agreement lets rows leave.
        Malformed: if an answer is to begin in the middle.
    """
    if plan.aggregate is not None and asked.question is None:
        raise UseDenied([refusal("rows asked")])
    if plan.aggregate is None and asked.question is not None:
        raise PolicyMismatch(refusal("groups asked"))
    if asked.question is not None and asked.start:
        raise Malformed(f"start is {asked.start}; an answer is read from its beginning")


def narrowed(plan: DataPlan, described: Sequence[str], columns: Sequence[str] | None) -> DataPlan:
    """Return the plan for the columns that a reader wants, never more than were described at publication.

    A column that came into the file later is in no offer that anybody read.
    """
    released = plan.visible(described)
    if columns is not None:
        for name in columns:
            if name not in released:
                may = ", ".join(released[:50])
                raise PolicyMismatch(refusal("not yours", column=repr(name[:80]), columns=may))
        released = [name for name in released if name in columns]
    if not released:
        raise PolicyMismatch(refusal("no column left"))
    branches = []
    for branch in plan.branches:
        shown = tuple(name for name in released if branch.shows(name))
        masks = tuple((name, mask) for name, mask in branch.masks if name in shown)
        branches.append(replace(branch, columns=shown, masks=masks))
    return replace(plan, branches=tuple(branches))
