"""A process of its own that changes what another process' streams stand on.

`python -m tests.revoker` takes lines of JSON, a database and then `["revoke" | "bump", agreement, why]`,
`["suspend", transfer, why]` or `["close"]`, and answers each with the monotonic time, in seconds, at which it
was committed: that clock is one for all processes of a machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from connector.adapters.sql import SqlStores
from schemas.dsp.transfer import TransferState

Elsewhere = Callable[..., float]
"""Has something changed in one database, by the other process, and returns when it was."""


class Revoker:
    """The other process; many tests may use it, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @contextmanager
    def on(self, database: str) -> Iterator[Elsewhere]:
        """Work on a database; it is let go of at the end."""
        try:
            yield partial(self._ask, database)
        finally:
            self._ask(database, "close")

    def _ask(self, database: str, *command: str) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([database, *command]) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))


@contextmanager
def revoker() -> Iterator[Revoker]:
    """Start the other process, and end it."""
    command = [sys.executable, "-m", "tests.revoker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Revoker(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def _change(stores: SqlStores, what: str, name: str, why: str) -> None:
    if what == "revoke":
        stores.negotiations.revoke(name, why)
    elif what == "bump":
        stores.negotiations.bump(name, why)
    else:
        held = stores.transfers.get(name)
        stores.transfers.save(replace(held, state=TransferState.SUSPENDED, reasons=(why,)), seen=held.version)


def _serve() -> None:
    opened: dict[str, SqlStores] = {}
    for line in sys.stdin:
        database, *command = json.loads(line)
        if command == ["close"]:
            if database in opened:
                opened.pop(database).close()
        else:
            if database not in opened:
                opened[database] = SqlStores(database)
            _change(opened[database], *command)
        sys.stdout.write(f"{time.monotonic()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
