"""What a connector takes from outside; the clock and ids are made here, and given to the rooms."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.binding.client import Http


def utc_now() -> datetime:
    """Return the time, UTC and aware."""
    return datetime.now(UTC)


def new_urn() -> str:
    """Return a fresh id."""
    return f"urn:uuid:{uuid.uuid4()}"


@dataclass(frozen=True)
class World:
    """What a connector takes from outside: the clock, ids, and the way to its peers."""

    http: Http
    clock: Callable[[], datetime] = utc_now
    new_id: Callable[[], str] = new_urn
