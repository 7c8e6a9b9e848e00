"""A chore that waits for others, in a thread of its own: leases, reminders and retries go on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from schemas.errors import DataspaceError

_log = structlog.get_logger("connector.outbox")


class Aside:
    """A chore for the outbox that returns at once; while it is under way it is not begun again.

    A stop does not wait for it: what it has not saved by then is left as by a crash.
    """

    def __init__(self, name: str, chore: Callable[[], object]) -> None:
        """Make the chore; `name` is the thread's."""
        self._name, self._chore = name, chore
        self._free = threading.Lock()

    def __call__(self) -> None:
        """Begin, unless it is under way."""
        if not self._free.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except BaseException:
            self._free.release()
            raise

    def _run(self) -> None:
        try:
            self._chore()
        except DataspaceError as error:
            _log.warning("chore failed", chore=self._name, problem=str(error), code=error.code)
        except Exception:
            _log.exception("chore failed", chore=self._name)
        finally:
            self._free.release()
