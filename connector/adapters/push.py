"""Pushing a stream to a foreign HTTP endpoint: bounded in time, breakable at any moment, guarded.

Source: RFC 9112; Arrow IPC streaming format; EDC's names for headers (`authKey`, `authCode`).
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import suppress
from urllib.parse import SplitResult

import pyarrow as pa

from connector.dataplane.ports import Readable
from schemas.binding.client import Egress
from schemas.dsp.transfer import DataAddress
from schemas.errors import Malformed, PeerRefused, PeerUnavailable, StreamEnded
from schemas.vocab import MEDIA_ARROW_STREAM

CONNECT_SECONDS = 10.0
SEND_SECONDS = 60.0
"""Seconds that a sink may take nothing before it is given up."""
CHUNK_TIMES = 3
"""How many times as long a sink may take for a whole chunk, however steadily it takes a little."""
LOOK_SECONDS = 0.25
"""How often a stream is asked whether it may go on while the sink takes nothing."""
ANSWER_SECONDS = 60.0
"""Seconds in which the answer has to arrive, once everything was sent."""
SLICE = 256 << 10
"""Bytes that are sent before the stream is asked again whether it may go on."""
MOST_ANSWER = 16 << 10

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_FIXED = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "trailer", "te"}
)
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")


class HttpPushLines:
    """PushLines over HTTP/1.1.

    Args:
        egress: says where we may connect to.
        send_seconds: how long a sink may take nothing.
        answer_seconds: how long it may take to answer.
    """

    def __init__(
        self, egress: Egress, *, send_seconds: float = SEND_SECONDS, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._egress = egress
        self._send_seconds, self._answer_seconds = send_seconds, answer_seconds

    def connect(self, address: DataAddress) -> HttpPushLine:
        """Connect to a data address."""
        url = address.endpoint or address.property("endpoint") or address.property("baseUrl")
        if not url:
            raise Malformed("the dataAddress names no endpoint to push to")
        headers = _headers(address)
        parts, host = self._egress.check(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            connection = socket.create_connection((host, port), CONNECT_SECONDS)
            try:
                if parts.scheme == "https":
                    context = ssl.create_default_context()
                    connection = context.wrap_socket(connection, server_hostname=parts.hostname)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except BaseException:
                connection.close()
                raise
        except OSError as error:
            raise PeerUnavailable(f"cannot connect to {parts.netloc}: {error}") from None
        return HttpPushLine(connection, parts, headers, self._send_seconds, self._answer_seconds)


def _headers(address: DataAddress) -> dict[str, str]:
    """Return the header that proves us to the sink, as its address says.

    Raises:
        Malformed: if it is one that may not be set, or holds what no header can.
    """
    name, value = address.property("authKey"), address.property("authCode")
    if name is None or value is None:
        name, value = "Authorization", address.property("authorization")
        if value is not None and (address.property("authType") or "").lower() == "bearer":
            value = f"Bearer {value}"
    if value is None:
        return {}
    if not _NAME.fullmatch(name) or name.lower() in _FIXED:
        raise Malformed(f"authKey is {name[:80]!r}; a header of that name may not be set")
    if not (value.isascii() and value.isprintable() and len(value) <= 8192):
        raise Malformed(f"the value for header {name} cannot travel in a header")
    return {name: value}


class HttpPushLine:
    """A PushLine: one connection for one request."""

    def __init__(
        self,
        connection: socket.socket,
        parts: SplitResult,
        headers: dict[str, str],
        send_seconds: float,
        answer_seconds: float,
    ) -> None:
        self._socket, self._parts, self._headers = connection, parts, headers
        self._send_seconds, self._answer_seconds = send_seconds, answer_seconds
        self.shown = parts.netloc

    def send(self, stream: Readable) -> None:
        """Send a stream, and wait until it was taken."""
        try:
            try:
                self._send_all(stream)
            except OSError as error:
                # A sink that refuses may say so at once, and close: what it said is worth more than our
                # EPIPE.
                status = self._early_answer()
                if status is None:
                    raise PeerUnavailable(f"pushing to {self.shown} broke off: {error}") from None
                raise self._refusal(status) from None
            status = self._answer(self._answer_seconds)
        finally:
            self.close()
        if not 200 <= status < 300:
            raise self._refusal(status)

    def close(self) -> None:
        """Break the connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _refusal(self, status: int) -> PeerRefused:
        return PeerRefused(f"{self.shown} answered {status} to what was pushed", peer_status=status)

    def _send_all(self, stream: Readable) -> None:
        parts = _Parts()
        batches = stream.batches()
        first = next(batches, None)
        self._send([self._head()], stream)
        writer = pa.ipc.new_stream(pa.PythonFile(parts, mode="w"), stream.schema)
        item = first
        while item is not None:
            writer.write_batch(item[0])
            self._chunk(parts.take(), stream)
            item = next(batches, None)
        end = stream.end
        if end is None or not _is_complete(stream):
            raise _ended(stream)
        empty = pa.RecordBatch.from_pylist([], schema=stream.schema)
        said = {"end": end.kind, "reason": end.reason, "rows": str(end.rows)}
        writer.write_batch(empty, custom_metadata=said)
        writer.close()
        self._chunk(parts.take(), None)
        self._send([b"0\r\n\r\n"], None)

    def _head(self) -> bytes:
        target = self._parts.path or "/"
        if self._parts.query:
            target += f"?{self._parts.query}"
        if not (target.isascii() and target.isprintable() and " " not in target):
            raise Malformed(f"endpoint path {target[:80]!r} holds characters that have to be escaped")
        lines = [
            f"POST {target} HTTP/1.1",
            f"Host: {self._parts.netloc}",
            f"Content-Type: {MEDIA_ARROW_STREAM}",
            "Transfer-Encoding: chunked",
            "Connection: close",
            *(f"{name}: {value}" for name, value in self._headers.items()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def _chunk(self, parts: list[bytes], stream: Readable | None) -> None:
        size = sum(map(len, parts))
        if size:
            self._send([f"{size:x}\r\n".encode(), *parts, b"\r\n"], stream)

    def _send(self, parts: list[bytes], stream: Readable | None) -> None:
        """Send parts slice by slice, asking the stream before each whether it may go on.

        Raises:
            OSError: if the connection breaks, or the sink takes nothing, or too little, for too long.
            StreamEnded: if the stream may not go on, also while the sink takes nothing.
        """
        begun = taken = time.monotonic()
        for part in parts:
            view = memoryview(part).cast("B")
            while view:
                if stream is not None and not stream.may_go_on() and not _is_complete(stream):
                    raise _ended(stream)
                until = min(taken + self._send_seconds, begun + self._send_seconds * CHUNK_TIMES)
                if (left := until - time.monotonic()) <= 0:
                    raise TimeoutError("the sink took nothing, or too little of one chunk, for too long")
                self._socket.settimeout(min(LOOK_SECONDS, left))
                try:
                    sent = self._socket.send(view[:SLICE])
                except TimeoutError:
                    continue
                view, taken = view[sent:], time.monotonic()

    def _early_answer(self) -> int | None:
        with suppress(OSError, PeerUnavailable):
            return self._answer(1.0)
        return None

    def _answer(self, seconds: float) -> int:
        """Read the status of the final answer; its body is of no interest.

        Raises:
            PeerUnavailable: if it does not come in time, or is no HTTP.
        """
        deadline, head = time.monotonic() + seconds, bytearray()
        while True:
            end = head.find(b"\r\n\r\n")
            if end >= 0:
                status = _STATUS.match(head)
                if status is None:
                    raise PeerUnavailable(f"{self.shown} did not answer in HTTP/1.1")
                if status[1][:1] != b"1":
                    return int(status[1])
                del head[: end + 4]  # 100 Continue and its like
                continue
            left = deadline - time.monotonic()
            if left <= 0 or len(head) > MOST_ANSWER:
                raise PeerUnavailable(
                    f"{self.shown} did not answer within {seconds:.0f} s, or at too great length"
                )
            try:
                self._socket.settimeout(left)
                data = self._socket.recv(4096)
            except OSError as error:
                raise PeerUnavailable(f"{self.shown} did not answer: {error}") from None
            if not data:
                raise PeerUnavailable(f"{self.shown} closed the connection without an answer")
            head += data


def _is_complete(stream: Readable) -> bool:
    return stream.end is not None and stream.end.kind == "complete"


def _ended(stream: Readable) -> StreamEnded:
    end = stream.end
    if end is None:
        return StreamEnded("the stream stopped without an end")
    return StreamEnded(end.reason, end=end.kind, rows=end.rows)


class _Parts:
    """Takes what Arrow writes, buffer by buffer, without copying."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """What was written stays to be taken."""

    def take(self) -> list[bytes]:
        taken, self._parts = self._parts, []
        return taken
