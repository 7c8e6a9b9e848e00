"""What a usage log says of obligations: which were kept, which are overdue, and what left all the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from policies.findings import Check, Finding
from schemas.usage import UsageKind, UsageRecord

GRACE = timedelta(seconds=60)
"""How long after a duty was logged as overdue a decision may still have been under way."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATES = {
    UsageKind.OBLIGATION_DUE: "due soon",
    UsageKind.OBLIGATION_OVERDUE: "overdue",
    UsageKind.OBLIGATION_FULFILLED: "fulfilled",
}


@dataclass(frozen=True)
class DutySummary:
    """One thing that was owed, as the log tells it last.

    `state` is "due soon", "overdue" or "fulfilled", `at` when that was logged; `was_overdue` stays true.
    """

    agreement: str
    counterparty: str
    duty: str
    period: int
    action: str
    state: str
    at: datetime
    due: str | None
    was_overdue: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "agreement": self.agreement,
            "counterparty": self.counterparty,
            "duty": self.duty,
            "period": self.period,
            "action": self.action,
            "state": self.state,
            "at": self.at.isoformat(),
            "due": self.due,
            "wasOverdue": self.was_overdue,
        }


class Duties:
    """One pass over the records of a log, in order."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._duties: dict[tuple[str, str, int], DutySummary] = {}

    @property
    def summaries(self) -> tuple[DutySummary, ...]:
        """What was owed, in the order in which it was first told of."""
        return tuple(self._duties.values())

    def take(self, entry: int, record: UsageRecord) -> None:
        """Take the next record."""
        state = _STATES.get(record.kind)
        if state is not None:
            self._told(record, state)
        elif record.kind is UsageKind.ACCESS_DECISION and record.decision == "permit":
            self._permitted(entry, record)

    def _told(self, record: UsageRecord, state: str) -> None:
        # A consumer logs its receipts without the provider's count; each is one of its own.
        duty = str(record.detail.get("duty") or record.detail.get("receipt") or record.id)
        period = record.detail.get("period")
        key = (record.agreement or "", duty, period if isinstance(period, int) else 0)
        due = record.detail.get("due")
        before = self._duties.get(key)
        told = DutySummary(
            agreement=key[0],
            counterparty=record.counterparty or "",
            duty=duty,
            period=key[2],
            action=record.action or "",
            state=state,
            at=_time(record),
            due=due if isinstance(due, str) else None,
        )
        overdue = state == "overdue" or (before is not None and before.was_overdue)
        self._duties[key] = replace(told, was_overdue=overdue)

    def _permitted(self, entry: int, record: UsageRecord) -> None:
        for duty in self._duties.values():
            if (
                duty.agreement == record.agreement
                and duty.state == "overdue"
                and _time(record) >= duty.at + GRACE
            ):
                text = (
                    f"permitted, although {duty.duty} ({duty.action}) was logged as overdue and not as kept"
                )
                self.findings.append(Finding(Check.DECISION, text, entry, record.agreement))


def _time(record: UsageRecord) -> datetime:
    return _EPOCH + timedelta(microseconds=record.at)
