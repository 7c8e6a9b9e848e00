"""Waiting for what others do, as long as it takes on a machine that is busy with something else."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 20.0
"""Seconds in which what has to come has come, on a machine however busy."""


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until another thread or process has done its part."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it did not come within {seconds:g} s"
        time.sleep(0.005)
