"""A server for hand-written peers that leaves no thread behind when it is closed."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import Any


class EndingServer(ThreadingHTTPServer):
    """Breaks its connections when it is closed; threads that wait on them would live to the end of the run.

    What they hold then is never freed, and DuckDB says so at the exit of the process.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self._ways: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._ways = {thread: way for thread, way in self._ways.items() if thread.is_alive()}
            self._ways[threading.current_thread()] = request
        super().process_request_thread(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        with self._lock:
            ways = list(self._ways.items())
        for _, way in ways:
            with suppress(OSError):
                way.shutdown(socket.SHUT_RDWR)
        for thread, _ in ways:
            thread.join(5)
