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
        self._waiting: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def ring(self, process: str) -> None:
        """Say that a process changed."""
        with self._changed:
            if process in self._waiting:
                self._counts[process] = self._counts.get(process, 0) + 1
                self._changed.notify_all()

    def wait(self, process: str, read: Callable[[], T], done: Callable[[T], bool], timeout: float) -> T:
        """Return what `read` returns as soon as it is `done`, or after `timeout` seconds as it then is."""
        end = monotonic() + timeout
        with self._changed:
            self._waiting[process] = self._waiting.get(process, 0) + 1
        try:
            while True:
                with self._changed:
                    count = self._counts.get(process)
                found = read()
                left = end - monotonic()
                if done(found) or left <= 0:
                    return found
                elsewhere = monotonic() + min(left, ELSEWHERE)
                with self._changed:
                    while count == self._counts.get(process) and (pause := elsewhere - monotonic()) > 0:
                        self._changed.wait(pause)
        finally:
            self._leave(process)

    def _leave(self, process: str) -> None:
        with self._changed:
            self._waiting[process] -= 1
            if not self._waiting[process]:
                del self._waiting[process]
                self._counts.pop(process, None)
