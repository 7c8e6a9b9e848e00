"""A process of its own that changes what another process' streams stand on.

`python -m tests.revoker <database>` takes lines of JSON, `["revoke" | "bump", agreement, why]` or
`["suspend", transfer, why]`, and answers each with the monotonic time, in seconds, at which it was committed:
that clock is one for all processes of a machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from connector.adapters.sql import SqlStores
from schemas.dsp.transfer import TransferState


class Revoker:
    """The other process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, *command: str) -> float:
        """Have something changed, and return when it was."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))


@contextmanager
def revoker(database: str) -> Iterator[Revoker]:
    """Start the other process, and end it."""
    command = [sys.executable, "-m", "tests.revoker", database]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Revoker(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def _serve(database: str) -> None:
    stores = SqlStores(database)
    for line in sys.stdin:
        what, name, why = json.loads(line)
        if what == "revoke":
            stores.negotiations.revoke(name, why)
        elif what == "bump":
            stores.negotiations.bump(name, why)
        else:
            held = stores.transfers.get(name)
            stores.transfers.save(
                replace(held, state=TransferState.SUSPENDED, reasons=(why,)), seen=held.version
            )
        sys.stdout.write(f"{time.monotonic()}\n")
        sys.stdout.flush()
    stores.close()


if __name__ == "__main__":
    _serve(sys.argv[1])
