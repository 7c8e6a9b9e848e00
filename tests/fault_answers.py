"""What a lying network makes of an answer that a connector gave: other bytes, each way a function."""

from __future__ import annotations

import asyncio
import gzip
import re
from functools import cache

BOMB_BYTES = 64 << 20
TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
"""A fatal alert, handshake_failure, where HTTP was expected. Source: RFC 8446, section 6."""
_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)\r\n")


def _parts(answer: bytes) -> tuple[bytes, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + b"\r\n", body


def said(status: str, body: bytes) -> bytes:
    """Answer in the connector's stead."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def as_http_1_0(answer: bytes) -> bytes:
    """Answer in the old HTTP, whose body ends with the connection."""
    head, body = _parts(answer)
    return _LENGTH.sub(b"", head).replace(b"HTTP/1.1", b"HTTP/1.0", 1) + b"\r\n" + body


def too_short(answer: bytes) -> bytes:
    """Declare less than what follows."""
    head, body = _parts(answer)
    return _LENGTH.sub(b"content-length: %d\r\n" % max(0, len(body) - 7), head) + b"\r\n" + body


def contradictory(answer: bytes) -> bytes:
    """Declare two lengths, of which one is wrong."""
    head, body = _parts(answer)
    return head + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body


def repetitive(answer: bytes) -> bytes:
    """Say each header twice."""
    head, body = _parts(answer)
    first, _, headers = head.partition(b"\r\n")
    return first + b"\r\n" + headers + headers + b"\r\n" + body


def informed(answer: bytes) -> bytes:
    """Send provisional answers before the real one."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
    return b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + hints + answer


@cache
def bomb() -> bytes:
    """A short answer that unpacks to 64 MB."""
    body = gzip.compress(b" " * BOMB_BYTES)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    return head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


def redirect(url: str) -> bytes:
    """Send the message elsewhere."""
    head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {url}\r\nContent-Length: 0\r\n"
    return head.encode() + b"Connection: close\r\n\r\n"


async def read_chunks(reader: asyncio.StreamReader, most: int) -> bytes:
    """Read a body in chunks, as it came, framing included."""
    body = b""
    while not body.endswith(b"0\r\n\r\n") and len(body) <= most:
        line = await reader.readuntil(b"\r\n")
        body += line + await reader.readexactly(int(line, 16) + 2)
    return body
