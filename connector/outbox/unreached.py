"""Who could not be reached, and what waits for it: whoever takes a message again is sent the others."""

from __future__ import annotations

import threading


class Unreached:
    """Remembers messages that wait only since their recipient did not answer, the longest waiting first.

    One answer lets one of them go: a recipient that is back takes all of them, one after the other, and one
    at which a single address fails is asked no more than once more for each message that it takes.
    """

    def __init__(self) -> None:
        """Begin with nobody."""
        self._lock = threading.Lock()
        self._waiting: dict[str, dict[str, str]] = {}

    def add(self, recipient: str, process: str, outgoing_id: str) -> None:
        """Note that the oldest message of a process did not reach its recipient."""
        with self._lock:
            self._waiting.setdefault(recipient, {})[process] = outgoing_id

    def drop(self, recipient: str, process: str) -> None:
        """Forget what waits of a process: it is tried now."""
        with self._lock:
            self._take(recipient, process)

    def following(self, recipient: str) -> tuple[str, str] | None:
        """Return process and id of the message that waits longest for a recipient, and forget it."""
        with self._lock:
            found = next(iter(self._waiting.get(recipient, {}).items()), None)
            if found is not None:
                self._take(recipient, found[0])
            return found

    def _take(self, recipient: str, process: str) -> None:
        waiting = self._waiting.get(recipient, {})
        waiting.pop(process, None)
        if not waiting:
            self._waiting.pop(recipient, None)
