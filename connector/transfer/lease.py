"""Pure: how long a push counts as under way, of a transfer or of a foreign control plane's flow."""

from __future__ import annotations

from datetime import datetime, timedelta

PUSH_LEASE = timedelta(seconds=60)
"""How long a push counts as under way after its last sign of life, unless its process has surely died."""


def is_free(until: datetime | None, at: datetime) -> bool:
    """Return whether nobody is at work on a push that counts as under way until then."""
    return until is None or until <= at


def renewed(until: datetime | None, at: datetime) -> datetime | None:
    """Return until when a push that lives counts as under way from now on; None if it need not be saved."""
    return None if until is None or until - at > PUSH_LEASE / 2 else at + PUSH_LEASE
