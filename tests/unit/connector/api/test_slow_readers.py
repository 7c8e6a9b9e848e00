"""A slow reader holds a stream no longer than it may, and gets no more than may leave."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.errors import Forbidden
from schemas.usage import UsageKind
from tests.streaming import Provider, limit


def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until another thread has done its part."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[Provider]:
    """A provider whose batches are far larger than what the kernel holds."""
    made = Provider(tmp_path, block_rows=1 << 20, batch_bytes=16 << 20)
    yield made
    made.close()


@contextmanager
def slowly(provider: Provider, ticket: str) -> Iterator[socket.socket]:
    """A reader with a small receive buffer that has taken the first 64 kB."""
    host, port = provider.url.split("/")[2].split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
        connection.settimeout(5)
        connection.connect((host, int(port)))
        connection.sendall(
            f"GET /streams/{provider.transfer} HTTP/1.1\r\nAuthorization: Bearer {ticket}\r\n\r\n".encode()
        )
        taken = 0
        while taken < 64 << 10:
            taken += len(connection.recv(8192))
        yield connection


BLOBS = pa.table({"text": ["x" * 1000] * 16_000})


@pytest.mark.parametrize("way", ["revoked", "expired"])
def test_a_slow_reader_gets_no_rest_of_a_batch_that_may_not_leave(wide: Provider, way: str) -> None:
    ends = (wide.now + timedelta(minutes=1)).isoformat()
    ticket = wide.ticket(BLOBS, limit("dateTime", "lt", {"@type": "xsd:dateTime", "@value": ends}))
    with wide.door(), slowly(wide, ticket) as connection:
        time.sleep(0.1)  # the door fills the buffers, and waits
        if way == "revoked":
            wide.stores.negotiations.revoke(wide.agreement, "contract breach")
            wide.streams.look_again(wide.agreement)
        else:
            wide.now += timedelta(minutes=2)
        data = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert len(data) < 1 << 20
        assert not data.endswith(b"0\r\n\r\n")
        until(lambda: wide.streams.count == 0)
        if way == "revoked":
            with wide.client(ticket) as again, pytest.raises(Forbidden, match="contract breach"):
                again.read_all()
    settled = next(one for one in wide.records() if one.kind is UsageKind.STREAM_SETTLED)
    assert settled.detail["end"] == way
    assert ("contract breach" if way == "revoked" else "ended at") in str(settled.detail["reason"])


def test_a_reader_cannot_stretch_a_batch_at_will(wide: Provider) -> None:
    ticket = wide.ticket(BLOBS)
    with wide.door(send_seconds=0.3), slowly(wide, ticket) as connection:
        begun = time.monotonic()
        with suppress(OSError):
            while wide.streams.count and connection.recv(4096):
                time.sleep(0.005)
        assert time.monotonic() - begun < 2.0
        until(lambda: wide.streams.count == 0)
    assert "too little" in str(wide.records()[-1].detail["reason"])
