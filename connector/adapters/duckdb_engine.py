"""The one DuckDB of a process, closed to the world before its first query.

It may open no file, load no extension and reach no network, and its settings are locked.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "temp_directory": "",
    "memory_limit": "1GB",
    "threads": 2,
    "preserve_insertion_order": True,
    "lock_configuration": True,
}


class Engine:
    """One DuckDB in memory for a process; each stream has a cursor of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._root: duckdb.DuckDBPyConnection | None = None

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a cursor; from any thread. The database is made when the first is asked for."""
        import duckdb  # costs 18 MB, which a connector without conditions on rows never needs

        with self._lock:
            if self._root is None:
                self._root = duckdb.connect(":memory:", config=_CONFIG)
            return self._root.cursor()
