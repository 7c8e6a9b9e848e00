"""A process of its own that leases mail and pushes, so that a test can kill it while it holds the lease.

`python -m tests.lease_holder <database> <folder of who lives> <name>...` leases the oldest message of each
process of these names, or the push of the flow or transfer, for a minute from `NOW`; says the ids of what it
has in a line of JSON, and waits until its input ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from connector.adapters.sql import SqlStores
from tests.store_builders import MINUTE, NOW


class Holder:
    """The other process, and the ids of what it leased."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self.pid = process.pid
        self.leased: list[str] = json.loads(process.stdout.readline())

    def kill(self) -> None:
        """End it with SIGKILL: nothing is flushed, nothing said."""
        self._process.kill()
        self._process.wait(30)


@contextmanager
def lease_holder(database: str, alive: Path, *names: str) -> Iterator[Holder]:
    """Start the other process, and end it."""
    command = [sys.executable, "-m", "tests.lease_holder", database, str(alive), *names]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Holder(process)
        finally:
            process.kill()


def _hold(database: str, alive: str, *names: str) -> None:
    stores = SqlStores(database, alive=Path(alive))
    leased = []
    flows = {flow.pid: flow for flow in stores.flows.unfinished()}
    transfers = {transfer.pid: transfer for transfer in stores.transfers.unfinished()}
    for name in names:
        if name in flows:
            flow = replace(flows[name], pushing=NOW + MINUTE, pusher=stores.worker)
            leased.append(stores.flows.save(flow, seen=flow.version).pid)
        elif name in transfers:
            transfer = replace(transfers[name], pushing=NOW + MINUTE, pusher=stores.worker)
            leased.append(stores.transfers.save(transfer, seen=transfer.version).pid)
        elif (message := stores.outbox.claim(name, NOW, NOW + MINUTE)) is not None:
            leased.append(message.id)
    sys.stdout.write(json.dumps(leased) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _hold(*sys.argv[1:])
