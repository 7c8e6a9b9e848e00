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
        self._waiting: set[str] = set()

    def enter(self, recipient: str, process: str) -> bool:
        """Take a turn; without one, the process waits in line."""
        with self._lock:
            if self._under_way[recipient] < self._most:
                self._under_way[recipient] += 1
                return True
            self._lines.setdefault(recipient, {})[process] = None
            self._waiting.add(process)
            return False

    def waits(self, process: str) -> bool:
        """Return whether a process stands in line already."""
        return process in self._waiting

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
            del line[process]
            if not line:
                del self._lines[recipient]
            self._waiting.discard(process)
            return process
