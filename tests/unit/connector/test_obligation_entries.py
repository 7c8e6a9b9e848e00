"""When duties fall due, again and again, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connector.obligations.entry import Entry, Stage, Terms, complaint, entered
from policies.kinds.durations import Duration
from policies.obligations import Obligation
from policies.rules import Consequence
from policies.use import UseTotals
from policies.words.carried import in_words
from policies.words.language import Language
from schemas.vocab import ODRL

AGREED = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH, TEN_DAYS = Duration(1, timedelta()), Duration(0, 10 * DAY)
DELETE, REPORT, ATTRIBUTE = ODRL + "delete", ODRL + "inform", ODRL + "attribute"


def terms(first: datetime | None = None, last: datetime | None = None) -> Terms:
    totals = UseTotals(agreed=AGREED, first_delivery=first, last_delivery=last or first)
    return Terms("urn:a:1", "did:web:lab.example", "urn:ds:1", "sha256:00", AGREED, totals)


def duty(action: str, **given: object) -> Obligation:
    return Obligation(action, "obligation[0]", **given)  # type: ignore[arg-type]


def test_nobody_owes_the_deletion_of_what_was_never_delivered() -> None:
    assert entered(duty(DELETE, delay=TEN_DAYS), terms(), None, AGREED + 99 * DAY) == ()
    assert entered(duty(DELETE, before=AGREED + DAY), terms(), None, AGREED + 99 * DAY) == ()


def test_the_date_of_a_deletion_moves_with_each_delivery() -> None:
    first = AGREED + DAY
    (made,) = entered(duty(DELETE, delay=TEN_DAYS), terms(first), None, first)
    assert (made.due, made.period, made.stage) == (first + 10 * DAY, 1, Stage.OPEN)
    later = first + 5 * DAY
    reminded = replace(made, stage=Stage.SOON, version=2)
    (moved,) = entered(duty(DELETE, delay=TEN_DAYS), terms(first, later), reminded, later)
    assert (moved.due, moved.period, moved.version, moved.stage) == (later + 10 * DAY, 1, 2, Stage.OPEN)
    assert entered(duty(DELETE, delay=TEN_DAYS), terms(first, later), moved, later + DAY) == ()


def test_a_delivery_after_a_deletion_is_to_be_deleted_again() -> None:
    first = AGREED + DAY
    (made,) = entered(duty(DELETE, delay=TEN_DAYS), terms(first), None, first)
    done = replace(made, stage=Stage.FULFILLED, fulfilled=first + 2 * DAY)
    assert entered(duty(DELETE, delay=TEN_DAYS), terms(first), done, first + 3 * DAY) == ()
    (again,) = entered(duty(DELETE, delay=TEN_DAYS), terms(first, first + 4 * DAY), done, first + 4 * DAY)
    assert (again.period, again.due, again.version) == (2, first + 14 * DAY, 0)


def test_a_fixed_date_stands_where_it_is_earlier_than_the_delay() -> None:
    dated = duty(DELETE, delay=TEN_DAYS, before=AGREED + 3 * DAY)
    (made,) = entered(dated, terms(AGREED + DAY), None, AGREED + DAY)
    assert made.due == AGREED + 3 * DAY


def test_reports_are_owed_at_the_end_of_each_period_whatever_was_missed() -> None:
    monthly = duty(REPORT, every=MONTH)
    made = entered(monthly, terms(AGREED), None, AGREED + 70 * DAY)
    assert [(one.period, one.due.date().isoformat()) for one in made if one.due] == [
        (1, "2026-02-28"),
        (2, "2026-03-31"),
        (3, "2026-04-30"),
    ]
    assert entered(monthly, terms(AGREED), made[-1], AGREED + 70 * DAY) == ()
    (following,) = entered(monthly, terms(AGREED), made[-1], AGREED + 95 * DAY)
    assert (following.period, following.since) == (4, made[-1].due)


def test_what_is_due_without_a_date_is_owed_once_and_never_overdue() -> None:
    (made,) = entered(duty(ATTRIBUTE), terms(), None, AGREED)
    assert made.due is None
    assert not made.is_overdue(AGREED + 9999 * DAY)
    assert made.reminded(AGREED + 9999 * DAY) is None
    assert entered(duty(ATTRIBUTE), terms(AGREED), made, AGREED + DAY) == ()


def _stage(entry: Entry, at: datetime) -> Stage | None:
    moved = entry.reminded(at)
    return moved.stage if moved else None


def test_each_stage_is_told_once_and_at_its_time() -> None:
    (made,) = entered(duty(DELETE, delay=Duration(0, 60 * DAY)), terms(AGREED), None, AGREED)
    assert _stage(made, AGREED + 57 * DAY - timedelta(seconds=1)) is None
    assert _stage(made, AGREED + 57 * DAY) is Stage.SOON
    soon = replace(made, stage=Stage.SOON)
    assert _stage(soon, AGREED + 60 * DAY - timedelta(microseconds=1)) is None
    assert _stage(soon, AGREED + 60 * DAY) is _stage(made, AGREED + 60 * DAY) is Stage.OVERDUE
    assert _stage(replace(made, stage=Stage.OVERDUE), AGREED + 99 * DAY) is None
    assert _stage(replace(made, stage=Stage.FULFILLED), AGREED + 99 * DAY) is None


@pytest.mark.parametrize(
    ("action", "command"), [(DELETE, "deleted"), (REPORT, "report"), (ATTRIBUTE, "attributed")]
)
def test_a_complaint_names_the_duty_its_date_and_the_command_that_helps(action: str, command: str) -> None:
    (made,) = entered(duty(action, before=AGREED + DAY), terms(AGREED), None, AGREED)
    said = complaint(made)
    assert said.startswith("obligation overdue: ")
    assert "obligation[0]" in said
    assert "2026-02-01T12:00:00+00:00" in said
    assert said.endswith(f"hansa data {command} urn:a:1")
    assert in_words(said, Language.DE).startswith("überfällige Verpflichtung: ")


def test_the_consequence_is_the_agreements() -> None:
    (made,) = entered(
        duty(REPORT, every=MONTH, consequence=Consequence.TERMINATE), terms(AGREED), None, AGREED
    )
    assert made.consequence is Consequence.TERMINATE
