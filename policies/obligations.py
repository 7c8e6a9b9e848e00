"""Duties with due dates: what the other side promised to do, and by when.

At this depth a duty is a promise that is shown, agreed and audited; nothing here checks that it was kept,
the audit does, from receipts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from policies.compiled import CompiledPolicy


@dataclass(frozen=True, slots=True)
class Obligation:
    """One promised action (absolute IRI), and the instant before which it must be done; None = no date."""

    action: str
    before: datetime | None
    place: str


def obligations_of(policy: CompiledPolicy) -> tuple[Obligation, ...]:
    """Return what a policy obliges to; of several dates the earliest counts."""
    return tuple(
        Obligation(
            duty.action,
            min((limit.until for limit in duty.conditions if limit.until is not None), default=None),
            duty.place,
        )
        for duty in policy.duties
    )


def due(obligations: Iterable[Obligation], at: datetime) -> tuple[Obligation, ...]:
    """Return the dated obligations whose time has not run out, the most urgent first."""
    dated = [(item.before, item) for item in obligations if item.before is not None and at < item.before]
    return tuple(item for _, item in sorted(dated, key=lambda pair: (pair[0], pair[1].place)))


def overdue(obligations: Iterable[Obligation], at: datetime) -> tuple[Obligation, ...]:
    """Return the dated obligations whose time has run out, the oldest first."""
    dated = [(item.before, item) for item in obligations if item.before is not None and at >= item.before]
    return tuple(item for _, item in sorted(dated, key=lambda pair: (pair[0], pair[1].place)))
