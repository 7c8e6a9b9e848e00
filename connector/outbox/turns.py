"""How many messages are on their way to one recipient: a slow peer holds up its own mail only."""

from __future__ import annotations

import threading
from collections import Counter


class Turns:
    """Counts who is under way to whom, and lets processes wait in line."""

    def __init__(self, most: int) -> None:
        """Let `most` messages be on their way to one recipient at a time."""
        self._most = most
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self._lines: dict[str, dict[str, None]] = {}
        self._waiting: dict[str, str] = {}

    def enter(self, recipient: str, process: str) -> bool:
        """Take a turn; without one, the process waits in line."""
        with self._lock:
            if self._under_way[recipient] < self._most:
                self._under_way[recipient] += 1
                self._step_out(process)
                return True
            self._lines.setdefault(recipient, {})[process] = None
            self._waiting[process] = recipient
            return False

    def waits(self, process: str) -> bool:
        """Return whether a process stands in line, and for good reason.

        Who was let in may have had nothing to send after all; then nobody calls the next in line, and whoever
        comes by finds a free turn.
        """
        with self._lock:
            recipient = self._waiting.get(process)
            return recipient is not None and self._under_way.get(recipient, 0) >= self._most

    def leave(self, recipient: str) -> str | None:
        """Give a turn back, and return the process that stood in line longest, if one did."""
        with self._lock:
            self._under_way[recipient] -= 1
            if not self._under_way[recipient]:
                del self._under_way[recipient]
            line = self._lines.get(recipient)
            if not line:
                return None
            process = next(iter(line))
            self._step_out(process)
            return process

    def _step_out(self, process: str) -> None:
        recipient = self._waiting.pop(process, None)
        if recipient is not None:
            line = self._lines[recipient]
            del line[process]
            if not line:
                del self._lines[recipient]
