"""The answering half of a connection: chunks leave slice by slice, and break off when they may not go on.

Source: RFC 9112.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pyarrow as pa

from schemas.binding.server import PROBLEM
from schemas.vocab import MEDIA_ARROW_STREAM

CHUNK_TIMES = 3
"""How many times as long a reader may take for a whole chunk, however steadily it takes a little."""
SLICE = 256 << 10
"""Bytes that are sent before the stream is asked again whether it may go on."""
STEP_SECONDS = 0.1
"""Seconds that a reader may take nothing before the stream is asked again whether it may go on."""
_MOST_PARTS = 512


class Parts:
    """Takes what Arrow writes, buffer by buffer, without copying."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[pa.Buffer | bytes] = []

    def write(self, data: pa.Buffer | bytes) -> int:
        """Keep a buffer, and return its bytes."""
        self._parts.append(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """What was written stays to be taken."""

    def take(self) -> list[pa.Buffer | bytes]:
        """Return what was written since the last time."""
        taken, self._parts = self._parts, []
        return taken


class Wire:
    """The answering half of a connection; a reader may take nothing for `send_seconds`."""

    def __init__(self, connection: socket.socket, send_seconds: float) -> None:
        self.socket = connection
        self.begun = False
        self._seconds = send_seconds

    def begin(self) -> None:
        """Send the head of a stream; from here on errors have no status."""
        self.begun = True
        self._send(
            [
                (
                    "HTTP/1.1 200 OK\r\n"
                    f"Content-Type: {MEDIA_ARROW_STREAM}\r\n"
                    "Transfer-Encoding: chunked\r\n"
                    "Cache-Control: no-store\r\n"
                    "Connection: close\r\n\r\n"
                ).encode()
            ]
        )

    def chunk(self, parts: list[pa.Buffer | bytes], may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """Send one HTTP chunk; return whether it went out whole, or broke off since it may not go on."""
        size = sum(len(part) for part in parts)
        return not size or self._send([f"{size:x}\r\n".encode(), *parts, b"\r\n"], may_go_on)

    def finish(self, parts: Sequence[pa.Buffer | bytes] = (), *, complete: bool) -> None:
        """End the answer with a chunk of these parts; an incomplete one lacks the empty chunk after it.

        All in one write: a reader that has heard how the stream ended may be gone before another.
        """
        body = b"".join(parts)
        last = f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b""
        if complete:
            last += b"0\r\n\r\n"
        self._send([last])
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def refuse(self, status: int, document: object, headers: dict[str, str]) -> None:
        """Answer with a problem document, and read what the caller still sends, or a reset would eat it."""
        body = json.dumps(document).encode()
        lines = [
            f"HTTP/1.1 {status} {_PHRASES.get(status, 'Error')}",
            f"Content-Type: {PROBLEM}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self._seconds = min(self._seconds, 2.0)
        deadline = time.monotonic() + self._seconds
        self._send(["\r\n".join(lines).encode() + b"\r\n\r\n" + body])
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.socket.recv(65_536):
                    break

    def _send(self, parts: list[pa.Buffer | bytes], may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """Send parts slice by slice; return False if they broke off since it may not go on.

        The last slice goes out without a question: then the stream's end can be told on the same connection.

        Raises:
            TimeoutError: if the reader takes nothing for too long, or takes too long for all of it.
        """
        views = [memoryview(part).cast("B") for part in parts if len(part)]
        first, size = 0, sum(len(view) for view in views)
        left, now = size, time.monotonic()
        moved, deadline = now, now + self._seconds * CHUNK_TIMES
        while left:
            if SLICE < left < size and not may_go_on():
                return False
            sent = self._send_within(views[first : first + _MOST_PARTS], min(moved + self._seconds, deadline))
            if not sent and not may_go_on():
                return False  # also in the last slice: a reader that takes nothing hears of no end either
            left, took = left - sent, sent
            while first < len(views) and sent >= len(views[first]):
                sent -= len(views[first])
                first += 1
            now = time.monotonic()
            if first < len(views) and sent:
                views[first] = views[first][sent:]
            moved = now if took else moved
        return True

    def _send_within(self, views: list[memoryview], deadline: float) -> int:
        """Send at most a slice within a step; return how many bytes left.

        Raises:
            TimeoutError: if the deadline has passed.
        """
        rest = deadline - time.monotonic()
        if rest <= 0:
            raise TimeoutError("the reader took nothing, or too little, for too long")
        self.socket.settimeout(min(STEP_SECONDS, rest))
        try:
            return self._send_some(views)
        except TimeoutError:
            return 0

    def _send_some(self, views: list[memoryview]) -> int:
        """Send at most a slice; return how many bytes left."""
        if isinstance(self.socket, ssl.SSLSocket):
            return self.socket.send(views[0][:SLICE])
        window, room = [], SLICE
        for view in views:
            window.append(view[:room])
            room -= len(window[-1])
            if not room:
                break
        return self.socket.sendmsg(window)


_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
