"""A transport whose requests end in time: the limit holds for the whole, not only for each step.

A peer that sends a byte now and then never lets a step time out. So every step of a request gets no more
than what is left of the whole. The request's thread does all its input and output, and knows its limit.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import httpcore2
import httpx2

MOST_CONNECTIONS = 64
MOST_IDLE = 32
IDLE_SECONDS = 30.0
"""Connections to one host, those of them that are kept for later, and for how long."""

_limit = threading.local()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let what this thread sends and receives inside the block take so many seconds in all.

    Of several limits around each other the earliest holds.
    """
    before: tuple[float, float] | None = getattr(_limit, "now", None)
    own = (seconds, monotonic() + seconds)
    _limit.now = own if before is None else min(own, before, key=lambda limit: limit[1])
    try:
        yield
    finally:
        _limit.now = before


def _left(timeout: float | None, late: type[httpcore2.TimeoutException]) -> float | None:
    """Return how long the next step may take.

    Raises:
        TimeoutException: of the given kind, if nothing is left.
    """
    limit: tuple[float, float] | None = getattr(_limit, "now", None)
    if limit is None:
        return timeout
    seconds, end = limit
    left = end - monotonic()
    if left <= 0:
        raise late(f"not done after {seconds:g} s")
    return left if timeout is None else min(timeout, left)


class _ClockedStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _ClockedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _ClockedBackend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _ClockedStream(super().connect_tcp(host, port, left, local_address, socket_options))


class _ClockedTransport(httpx2.HTTPTransport):
    def __init__(self) -> None:
        trusted = httpx2.create_ssl_context(trust_env=False)
        super().__init__(verify=trusted, trust_env=False)
        # httpx2 has no way to hand a backend through; test_egress.py notices if this breaks.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=trusted,
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_IDLE,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=_ClockedBackend(),
        )


def transport() -> httpx2.BaseTransport:
    """Return a transport for one host that keeps to `time_limit`."""
    return _ClockedTransport()
