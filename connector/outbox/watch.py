"""Waiting for a process to reach a state, without polling while that happens in this very program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

ELSEWHERE = 0.25
"""Seconds after which the store is read again, for changes that another operating-system process made."""


@dataclass
class _Bell:
    """What wakes those who wait for one process, and nobody else."""

    changed: threading.Condition
    waiting: int = 0
    rung: int = 0


class Watch:
    """Wakes whoever waits for a process when it changed."""

    def __init__(self) -> None:
        """Make a watch that nobody waits on."""
        self._lock = threading.Lock()
        self._bells: dict[str, _Bell] = {}

    def ring(self, process: str) -> None:
        """Say that a process changed."""
        with self._lock:
            bell = self._bells.get(process)
            if bell is not None:
                bell.rung += 1
                bell.changed.notify_all()

    def wait(self, process: str, read: Callable[[], T], done: Callable[[T], bool], timeout: float) -> T:
        """Return what `read` returns as soon as it is `done`, or after `timeout` seconds as it then is."""
        end = monotonic() + timeout
        with self._lock:
            bell = self._bells.setdefault(process, _Bell(threading.Condition(self._lock)))
            bell.waiting += 1
        try:
            while True:
                with self._lock:
                    rung = bell.rung
                found = read()
                left = end - monotonic()
                if done(found) or left <= 0:
                    return found
                elsewhere = monotonic() + min(left, ELSEWHERE)
                with self._lock:
                    while rung == bell.rung and (pause := elsewhere - monotonic()) > 0:
                        bell.changed.wait(pause)
        finally:
            with self._lock:
                bell.waiting -= 1
                if not bell.waiting:
                    del self._bells[process]
