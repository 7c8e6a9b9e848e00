"""Everything that a connector keeps, on SQLite or PostgreSQL."""

from __future__ import annotations

import secrets
from pathlib import Path

from connector.adapters.alive import SignOfLife
from connector.adapters.sql_changes import SqlChanges
from connector.adapters.sql_database import Database
from connector.adapters.sql_obligations import SqlObligations
from connector.adapters.sql_offerings import SqlOfferings
from connector.adapters.sql_outbox import SqlOutbox, SqlReplay
from connector.adapters.sql_processes import SqlFlows, SqlNegotiations, SqlTransfers
from connector.adapters.sql_receipts import SqlReceipts
from connector.adapters.sql_usage import Salts, SqlUsage
from connector.transfer.ports import Transfer
from policies.evidence.commitment import SALT_BYTES
from schemas.errors import NotFound


def _random_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


class Started:
    """Every transfer under which streams are opened: our own, and foreign control planes' data flows."""

    def __init__(self, transfers: SqlTransfers, flows: SqlFlows) -> None:
        """Look into both."""
        self._transfers, self._flows = transfers, flows

    def get(self, pid: str) -> Transfer:
        """Return a transfer by our own pid."""
        try:
            return self._transfers.get(pid)
        except NotFound:
            return self._flows.get(pid).as_transfer()


_MOST_DEAD = 1000
"""Processes that one statement names; a database takes only so many values."""


class SqlStores:
    """The stores of one connector over one database, so that what belongs together is saved together.

    `replay`, `outbox`, `offerings`, `negotiations`, `transfers`, `flows`, `usage`, `obligations` and
    `receipts` keep the promises of the ports of the same name; `started` is what streams look into; `worker`
    is the name under which this process shows that it lives. All may be used by any number of threads, and
    by several processes.

    Args:
        url: `sqlite:////absolute/file.db`, or `postgresql://user:password@host/name`.
        salts: Draws the salt of a usage record: 32 fresh random bytes.
        alive: The folder in which processes of this connector show that they live; without it nobody can tell
            that this one died, and what it held is waited for.

    Raises:
        Misconfigured: if the URL is of another kind, or the database was made by another version.
        StorageUnavailable: if the database cannot be reached or written.
    """

    def __init__(self, url: str, *, salts: Salts = _random_salt, alive: Path | None = None) -> None:
        self._sign = None if alive is None else SignOfLife(alive)
        self.database = Database(url)
        self.worker = None if self._sign is None else self._sign.name
        self.replay = SqlReplay(self.database)
        self.outbox = SqlOutbox(self.database, self.worker)
        self.offerings = SqlOfferings(self.database, salts)
        self.negotiations = SqlNegotiations(self.database, salts)
        self.transfers = SqlTransfers(self.database, salts)
        self.flows = SqlFlows(self.database, salts, self.negotiations)
        self.started = Started(self.transfers, self.flows)
        self.usage = SqlUsage(self.database, salts)
        self.obligations = SqlObligations(self.database, salts)
        self.receipts = SqlReceipts(self.database, salts)

    def changes(self) -> SqlChanges:
        """Return a listener for one thread."""
        return SqlChanges(self.database)

    def take_back(self) -> None:
        """Let go of what processes held that have surely died; called at start and once a second.

        Raises:
            StorageUnavailable: if the database cannot be written, or the folder not read.
            StaleState: if somebody else was quicker; the next call takes the rest.
        """
        dead = [] if self._sign is None else sorted(self._sign.dead())
        if self._sign is not None and dead:
            for first in range(0, len(dead), _MOST_DEAD):
                self.outbox.take_back(dead[first : first + _MOST_DEAD])
            self.transfers.take_back(frozenset(dead))
            self.flows.take_back(frozenset(dead))
            self._sign.forget(dead)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()
