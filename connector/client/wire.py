"""One HTTP/1.1 answer, read from a plain socket into Arrow's own memory without copying.

Foreign input: every length is bounded before anything is allocated for it.

Source: RFC 9112; Arrow IPC streaming format.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Mapping

import pyarrow as pa

from schemas.arrow_head import check_message
from schemas.binding.client import Egress
from schemas.errors import DataspaceError, Malformed, PeerUnavailable, TooLarge

MOST_HEAD = 32 << 10
"""Bytes of an answer's head."""
MOST_MESSAGE = 256 << 20
"""Bytes of one Arrow message; Hansa sends about four megabytes."""
MOST_PROBLEM = 64 << 10
"""Bytes of an error document that are read."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):[ \t]*([^\r\n]*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?")
_READ_AHEAD = 64 << 10


class Truncated(PeerUnavailable):
    """The connection broke before the answer ended; asking again from the last row may help."""


def fetch(url: str, headers: Mapping[str, str], egress: Egress, timeout: float) -> Answer:
    """Ask for a URL, and return the answer as soon as its head is there.

    Args:
        url: http or https.
        headers: sent besides Host.
        egress: which addresses may be connected to.
        timeout: seconds for each step.

    Raises:
        EgressForbidden: if the address is not one to connect to.
        PeerUnavailable: if nobody answers there.
        Malformed: if what answers does not speak HTTP/1.1.
    """
    parts, address = egress.check(url)
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any(ord(mark) < 32 or ord(mark) > 126 for line in lines for mark in line) or " " in path:
        raise Malformed("the address of the data holds characters that no URL or ticket has")
    connection: socket.socket | None = None
    try:
        connection = socket.create_connection((address, parts.port or (443 if secure else 80)), timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=parts.hostname)
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return _read_head(connection)
    except (OSError, DataspaceError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, DataspaceError):
            raise
        raise PeerUnavailable(f"no stream from {parts.netloc}: {error}") from None


def _read_head(connection: socket.socket) -> Answer:
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > MOST_HEAD:
            raise TooLarge(f"the head of the answer has more than {MOST_HEAD} bytes")
        more = connection.recv(8192)
        if not more:
            raise Truncated("the connection broke before the answer began")
        data += more
    first, *lines = bytes(data[:end]).split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise Malformed(f"{first[:60]!r} is no answer of HTTP/1.1")
    headers = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise Malformed(f"{line[:60]!r} is no header")
        headers[header[1].decode("ascii").lower()] = header[2].decode("latin-1")
    return Answer(connection, int(status[1]), headers, data[end + 4 :])


class Answer:
    """An answer whose body is read on demand: a file object for Arrow."""

    def __init__(
        self, connection: socket.socket, status: int, headers: Mapping[str, str], ahead: bytearray
    ) -> None:
        self.status, self.headers = status, headers
        self.closed = False
        self._connection, self._ahead = connection, ahead
        self._left = 0
        self._is_chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self._is_first, self._is_over = True, False
        self._announced = -1
        if not self._is_chunked:
            length = headers.get("content-length", "")
            if not (length.isascii() and length.isdecimal() and len(length) <= 15):
                raise Malformed("the answer tells no length; expected chunks or Content-Length")
            self._left = int(length)

    def read(self, size: int) -> pa.Buffer:
        """Read `size` bytes, fewer only at the end of the body.

        Raises:
            TooLarge: if more are asked for than any message may have.
            Truncated: if the connection breaks.
        """
        if not 0 <= size <= MOST_MESSAGE:
            raise TooLarge(f"a message of {size} bytes; at most {MOST_MESSAGE} are read")
        target = pa.allocate_buffer(size)
        view = memoryview(target).cast("B")
        filled = 0
        while filled < size and self._goes_on():
            count = self._receive(view[filled : filled + min(size - filled, self._left)])
            filled += count
            self._left -= count
        self._look(view[:filled])
        return target if filled == size else target.slice(0, filled)

    def _look(self, data: memoryview) -> None:
        """Check the head of each Arrow message: it follows upon four bytes that say how long it is."""
        if len(data) == 4:
            (self._announced,) = struct.unpack("<i", data)
            return
        if len(data) == self._announced:
            check_message(data)
        self._announced = -1

    def _goes_on(self) -> bool:
        if self._left == 0 and self._is_chunked and not self._is_over:
            if not self._is_first:
                self._line()  # the line end after the chunk before
            self._is_first = False
            line = self._line()
            size = _CHUNK.fullmatch(line)
            if size is None:
                raise Malformed(f"{line[:40]!r} is not the head of an HTTP chunk")
            self._left = int(size[1], 16)
            self._is_over = self._left == 0
        return self._left > 0

    def _line(self) -> bytes:
        while (end := self._ahead.find(b"\r\n")) < 0:
            if len(self._ahead) > 1024:
                raise Malformed("the head of an HTTP chunk is too long")
            self._read_ahead()
        line = bytes(self._ahead[:end])
        del self._ahead[: end + 2]
        return line

    def _receive(self, view: memoryview) -> int:
        if not self._ahead and len(view) < _READ_AHEAD:
            self._read_ahead()
        if self._ahead:
            count = min(len(self._ahead), len(view))
            view[:count] = self._ahead[:count]
            del self._ahead[:count]
            return count
        try:
            count = self._connection.recv_into(view)
        except OSError as error:
            raise Truncated(f"the connection broke: {error}") from None
        if count == 0:
            raise Truncated("the connection broke within a block")
        return count

    def _read_ahead(self) -> None:
        try:
            data = self._connection.recv(_READ_AHEAD)
        except OSError as error:
            raise Truncated(f"the connection broke: {error}") from None
        if not data:
            raise Truncated("the connection broke between two blocks")
        self._ahead += data

    def tell(self) -> int:
        """Arrow asks; nothing depends on it."""
        return 0

    def close(self) -> None:
        """Break the connection."""
        self.closed = True
        self._connection.close()
