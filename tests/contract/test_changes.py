"""What every listener for changes promises: news from any process, also after a broken connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from connector.adapters.sql import SqlStores
from connector.adapters.sql_changes import SqlChanges
from schemas.dsp.transfer import TransferState
from tests.store_builders import AGREEMENT, NOW, negotiation, signed, transfer

PATIENCE = 10.0
"""Seconds until news that never came fail their test."""


@pytest.fixture
def changes(stores: SqlStores) -> Iterator[SqlChanges]:
    """A listener that has heard that it missed nothing any more."""
    made = stores.changes()
    while made.wait(0.2):
        pass
    yield made
    made.close()


def agree(stores: SqlStores) -> None:
    asked = negotiation()
    stores.negotiations.add(asked)
    stores.negotiations.save(asked, seen=0, agreement=signed(asked.pid, final=True))


def heard(changes: SqlChanges, act: Callable[[], object]) -> bool:
    """Whether a listener that waits already hears of what is done."""
    news: list[bool] = []
    listener = threading.Thread(target=lambda: news.append(changes.wait(PATIENCE)))
    listener.start()
    act()
    listener.join()
    return news == [True]


def test_a_listener_that_begins_counts_everything_as_news(stores: SqlStores) -> None:
    listener = stores.changes()
    assert listener.wait(0)
    listener.close()


def test_without_changes_a_wait_ends_after_its_time(changes: SqlChanges) -> None:
    assert not changes.wait(0.05)


@pytest.mark.parametrize("what", ["revoked", "changed", "planned", "suspended", "ended"])
def test_what_ends_streams_is_heard_from_another_process(
    stores: SqlStores, open_stores: Callable[[], SqlStores], what: str
) -> None:
    agree(stores)
    running = transfer(state=TransferState.STARTED)
    stores.transfers.add(running)
    listener, other = stores.changes(), open_stores()
    while listener.wait(0.2):
        pass
    act = {
        "revoked": lambda: other.negotiations.revoke(AGREEMENT, "breach"),
        "changed": lambda: other.negotiations.bump(AGREEMENT, "consent withdrawn"),
        "planned": lambda: other.negotiations.plan_end(AGREEMENT, NOW, "the study ends"),
        "suspended": lambda: other.transfers.save(replace(running, state=TransferState.SUSPENDED), seen=0),
        "ended": lambda: other.transfers.save(replace(running, state=TransferState.TERMINATED), seen=0),
    }[what]
    before = listener.marks([AGREEMENT, running.pid])
    assert heard(listener, act)
    after = listener.marks([AGREEMENT, running.pid])
    changed = AGREEMENT if what in ("revoked", "changed", "planned") else running.pid
    assert before.keys() == after.keys() == {AGREEMENT, running.pid}
    assert {name for name in after if after[name] != before[name]} == {changed}
    listener.close()


@pytest.mark.postgres
def test_a_listener_whose_connection_broke_hears_again(postgres_url: Callable[[], str]) -> None:
    url = postgres_url()
    stores = SqlStores(url)
    agree(stores)
    listener = stores.changes()
    while listener.wait(0.2):
        pass
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
    assert listener.wait(PATIENCE)  # whatever changed meanwhile may be lost: look
    deadline = time.monotonic() + PATIENCE
    while listener.wait(0.2):
        assert time.monotonic() < deadline
    assert heard(listener, lambda: stores.negotiations.revoke(AGREEMENT, "breach"))
    listener.close()
    stores.close()


def test_an_epoch_grows_with_each_change_and_a_revoked_agreement_changes_no_more(stores: SqlStores) -> None:
    agree(stores)
    once = stores.negotiations.bump(AGREEMENT, "consent withdrawn")
    twice = stores.negotiations.bump(AGREEMENT, "and again")
    assert [(one.epoch, one.changed, one.revoked) for one in (once, twice)] == [
        (1, "consent withdrawn", None),
        (2, "and again", None),
    ]
    revoked = stores.negotiations.revoke(AGREEMENT, "breach")
    assert revoked.epoch == 3
    assert stores.negotiations.bump(AGREEMENT, "once more") == revoked


def test_the_earliest_planned_end_stands_and_is_found_when_it_has_come(stores: SqlStores) -> None:
    agree(stores)
    soon, later = NOW + timedelta(days=14), NOW + timedelta(days=30)
    assert stores.negotiations.plan_end(AGREEMENT, later, "the study ends").ends == later
    assert stores.negotiations.plan_end(AGREEMENT, soon, "it ends sooner").ends == soon
    assert stores.negotiations.plan_end(AGREEMENT, later, "no").ends_why == "it ends sooner"
    assert stores.negotiations.ending(soon - timedelta(microseconds=1)) == []
    (found,) = stores.negotiations.ending(soon)
    assert (found.ends, found.revoked, found.epoch) == (soon, None, 0)
    stores.negotiations.revoke(AGREEMENT, found.end_reason)
    assert stores.negotiations.ending(later) == []
