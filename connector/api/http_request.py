"""Reading the head of one HTTP/1.1 request from a socket: bounded in bytes, lines and time.

Source: RFC 9110, RFC 9112. What is ambiguous there (folded lines, two hosts, a body where none belongs) is
refused here, since proxies disagree about it.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass, field

from schemas.errors import Malformed, TooLarge

MOST_HEAD = 16 << 10
"""Bytes of a request line with its headers."""
MOST_HEADERS = 100

_REQUEST_LINE = re.compile(rb"([A-Z]{3,16}) (/[\x21-\x7e]*) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):[ \t]*([\x20-\x7e\t]*?)[ \t]*")
_SINGLE = ("authorization", "host", "content-length", "transfer-encoding")


@dataclass(frozen=True)
class Request:
    """The head of a request; header names in lower case, path and query as they came."""

    method: str
    path: str
    query: str
    headers: dict[str, str] = field(repr=False)


def read_request(connection: socket.socket, seconds: float) -> Request | None:
    """Read a request's head; None if the caller went away before it said anything.

    Raises:
        Malformed: saying what does not fit.
        OSError: if it does not arrive in time.
    """
    deadline = time.monotonic() + seconds
    head = bytearray()
    while (end := head.find(b"\r\n\r\n")) < 0:
        if len(head) > MOST_HEAD:
            raise TooLarge(f"request head of more than {MOST_HEAD} bytes")
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not arrive in time")
        connection.settimeout(left)
        data = connection.recv(4096)
        if not data:
            if head:
                raise Malformed("the request breaks off before its head ends")
            return None
        head += data
    if end > MOST_HEAD:
        raise TooLarge(f"request head of more than {MOST_HEAD} bytes")
    return parse_head(bytes(head[:end]))


def parse_head(head: bytes) -> Request:
    """Parse a request's head.

    Raises:
        Malformed: saying what does not fit.
    """
    first, *lines = head.split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    if request is None:
        raise Malformed(f"{first[:80]!r} is not a request line of HTTP/1.1")
    if len(lines) > MOST_HEADERS:
        raise TooLarge(f"{len(lines)} headers; at most {MOST_HEADERS}")
    headers: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise Malformed(f"{line[:40]!r} is not a header")
        name = header[1].decode("ascii").lower()
        if name in headers and name in _SINGLE:
            raise Malformed(f"header {name!r} occurs twice")
        headers[name] = header[2].decode("ascii")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise Malformed("a request for a stream has no body")
    path, _, query = request[2].decode("ascii").partition("?")
    return Request(request[1].decode("ascii"), path, query, headers)
