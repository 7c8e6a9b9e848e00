"""Everything that a connector keeps, on SQLite or PostgreSQL."""

from __future__ import annotations

import secrets

from connector.adapters.sql_database import Database
from connector.adapters.sql_offerings import SqlOfferings
from connector.adapters.sql_outbox import SqlOutbox, SqlReplay
from connector.adapters.sql_processes import SqlNegotiations, SqlTransfers
from connector.adapters.sql_usage import Salts, SqlUsage
from policies.evidence.commitment import SALT_BYTES


def _random_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


class SqlStores:
    """The stores of one connector over one database, so that what belongs together is saved together.

    `replay`, `outbox`, `offerings`, `negotiations`, `transfers` and `usage` keep the promises of the ports of
    the same name. All may be used by any number of threads, and by several processes.

    Args:
        url: `sqlite:////absolute/file.db`, or `postgresql://user:password@host/name`.
        salts: Draws the salt of a usage record: 32 fresh random bytes.

    Raises:
        Misconfigured: if the URL is of another kind, or the database was made by another version.
        StorageUnavailable: if the database cannot be reached or written.
    """

    def __init__(self, url: str, *, salts: Salts = _random_salt) -> None:
        self.database = Database(url)
        self.replay = SqlReplay(self.database)
        self.outbox = SqlOutbox(self.database)
        self.offerings = SqlOfferings(self.database, salts)
        self.negotiations = SqlNegotiations(self.database, salts)
        self.transfers = SqlTransfers(self.database, salts)
        self.usage = SqlUsage(self.database, salts)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()
