"""Pure: the entries of the ledger: when a duty falls due, again and again, and what is said of it.

A duty is owed once (a date, or none), after the last delivery (delete-after), or once a period (reports).
Nobody owes the deletion of what was never delivered; after a delivery it is owed, and after a delivery that
comes after a deletion it is owed again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from policies.obligations import Obligation, due_dates
from policies.rules import Consequence
from policies.use import UseTotals
from policies.words.carried import spoken
from policies.words.language import message
from schemas.vocab import ODRL

DELETE = ODRL + "delete"
SOON = timedelta(days=3)
"""How long before its due date an entry is due soon, at most; a tenth of its time where that is less."""
OVERDUE_PREFIX = "obligation overdue: "
"""How the reason begins, in English, with which transfers are suspended."""
MOST_AHEAD = 100
"""Periods that are entered at once where many were missed; the next look goes on."""


class Stage(StrEnum):
    """What was said of an entry last; each is logged once."""

    OPEN = "open"
    SOON = "soon"
    OVERDUE = "overdue"
    FULFILLED = "fulfilled"


@dataclass(frozen=True)
class Entry:
    """One thing that a counterparty owes under an agreement.

    `place` is the duty in the agreement, `period` counts how often it was owed. `since` is from when its
    time runs: the last delivery, or the end of the period before. `due` is None where there is no date.
    `receipt_id` and `receipt` are the receipt that fulfilled it, and its signed text; `receipt_key` is the
    public key (JWK) by which it was checked. `version` counts saves.
    """

    agreement: str
    place: str
    period: int
    counterparty: str
    dataset: str
    policy: str
    action: str
    consequence: Consequence
    since: datetime
    due: datetime | None
    stage: Stage = Stage.OPEN
    fulfilled: datetime | None = None
    receipt_id: str | None = None
    receipt: str | None = None
    receipt_key: dict[str, str] | None = None
    version: int = 0

    @property
    def id(self) -> str:
        """Its name: agreement, duty and period."""
        return f"{self.agreement}#{self.place}.{self.period}"

    def is_overdue(self, at: datetime) -> bool:
        """Whether it should have been fulfilled by now, and was not."""
        return self.stage is not Stage.FULFILLED and self.due is not None and at >= self.due

    def reminded(self, at: datetime) -> Entry | None:
        """Return the entry at its next stage, if its time has come."""
        if self.due is None or self.stage in (Stage.FULFILLED, Stage.OVERDUE):
            return None
        if at >= self.due:
            return replace(self, stage=Stage.OVERDUE)
        soon = self.due - min(SOON, (self.due - self.since) / 10)
        return replace(self, stage=Stage.SOON) if self.stage is Stage.OPEN and at >= soon else None


def named(action: str) -> str:
    """Return the short name of an action."""
    return action.rpartition("/")[2].rpartition("#")[2]


def verb(action: str, agreement: str) -> str:
    """Return the command that fulfils a duty."""
    does = {"delete": "deleted", "inform": "report"}.get(named(action), "attributed")
    return f"hansa data {does} {agreement}"


def complaint(entry: Entry) -> str:
    """Say that an entry is overdue, and what to do."""
    since = entry.due.isoformat(timespec="seconds") if entry.due else "now"
    return spoken(
        message(
            "end.overdue",
            action=named(entry.action),
            place=entry.place,
            agreement=entry.agreement,
            when=since,
            command=verb(entry.action, entry.agreement),
        )
    )


@dataclass(frozen=True)
class Terms:
    """What the entries of an agreement say alike, and when it was made and delivered under.

    `totals` are those of the usage log: `first_delivery` and `last_delivery` are read.
    """

    agreement: str
    counterparty: str
    dataset: str
    policy: str
    agreed: datetime
    totals: UseTotals


def entered(duty: Obligation, terms: Terms, held: Entry | None, at: datetime) -> tuple[Entry, ...]:
    """Return the entries to be saved for a duty: new ones, or the last one with a later date.

    Args:
        duty: as agreed.
        terms: of which agreement.
        held: its entry with the highest period.
        at: now.
    """
    first, last = terms.totals.first_delivery, terms.totals.last_delivery
    dates = due_dates(duty, terms.agreed, first, last, at)
    if duty.every is not None:
        return _periods(duty, terms, held, dates)
    due = dates[0] if dates else None
    if duty.action == DELETE:
        return _after_delivery(duty, terms, held, due)
    if held is None and (due is not None or duty.delay is None):
        return (_new(duty, terms, 1, terms.agreed, due),)
    if held is not None and held.stage is not Stage.FULFILLED and due != held.due:
        return (replace(held, due=due, since=last or held.since, stage=Stage.OPEN),)
    return ()


def _periods(
    duty: Obligation, terms: Terms, held: Entry | None, dates: tuple[datetime, ...]
) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    since = terms.agreed if held is None or held.due is None else held.due
    period = 0 if held is None else held.period
    for due in dates:
        if held is not None and held.due is not None and due <= held.due:
            continue
        period += 1
        entries.append(_new(duty, terms, period, since, due))
        since = due
    return tuple(entries[:MOST_AHEAD])


def _after_delivery(
    duty: Obligation, terms: Terms, held: Entry | None, due: datetime | None
) -> tuple[Entry, ...]:
    delivered = terms.totals.last_delivery
    if delivered is None:
        return ()
    if held is None:
        return (_new(duty, terms, 1, delivered, due),)
    if held.stage is Stage.FULFILLED:
        again = held.fulfilled is None or delivered > held.fulfilled
        return (_new(duty, terms, held.period + 1, delivered, due),) if again else ()
    if delivered > held.since:
        # A reminder that was for the earlier date is worth saying again for the later one.
        stage = held.stage if due == held.due else Stage.OPEN
        return (replace(held, since=delivered, due=due, stage=stage),)
    return ()


def _new(duty: Obligation, terms: Terms, period: int, since: datetime, due: datetime | None) -> Entry:
    return Entry(
        agreement=terms.agreement,
        place=duty.place,
        period=period,
        counterparty=terms.counterparty,
        dataset=terms.dataset,
        policy=terms.policy,
        action=duty.action,
        consequence=duty.consequence,
        since=since,
        due=due,
    )
