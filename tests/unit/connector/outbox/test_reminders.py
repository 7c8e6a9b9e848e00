"""Chores that are due at a time are done then, and not only at the next sweep."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

from connector.app.world import utc_now
from connector.outbox.service import Outbox


class Empty:
    """A store without mail."""

    def due(self, at: datetime, most: int = 100) -> list[str]:
        return []

    def claim(self, process: str, at: datetime, until: datetime) -> None:
        return None


def test_a_reminder_has_the_chores_done_at_its_time_and_not_before() -> None:
    done: list[datetime] = []
    again = threading.Event()

    def chore() -> None:
        done.append(utc_now())
        if len(done) > 1:
            again.set()

    nobody: Any = None
    empty: Any = Empty()
    outbox = Outbox(store=empty, courier=nobody, senders={}, clock=utc_now, workers=1, chores=[chore])
    outbox.start()
    try:
        due = utc_now() + timedelta(milliseconds=200)
        outbox.remind(due)
        assert again.wait(10)
    finally:
        outbox.stop()
    assert done[1] >= due
