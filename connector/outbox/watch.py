"""Waiting for a process to reach a state, without polling while that happens in this very program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

ELSEWHERE = 0.25
"""Seconds after which the store is read again, for changes that another operating-system process made."""


class Watch:
    """Wakes whoever waits for a process when it changed."""

    def __init__(self) -> None:
        """Make a watch that nobody waits on."""
        self._changed = threading.Condition()
        self._count = 0

    def ring(self) -> None:
        """Say that something changed."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, read: Callable[[], T], done: Callable[[T], bool], timeout: float) -> T:
        """Return what `read` returns as soon as it is `done`, or after `timeout` seconds as it then is."""
        end = monotonic() + timeout
        while True:
            with self._changed:
                count = self._count
            found = read()
            left = end - monotonic()
            if done(found) or left <= 0:
                return found
            with self._changed:
                if count == self._count:
                    self._changed.wait(min(left, ELSEWHERE))
