"""Where data is pushed to us: a sink for each process that receives, its pass, and what may arrive when.

A sink's pass is made from a secret of ours and the process's id, so nothing is kept that could be stolen from
the database, and it opens nothing once its process has ended. What a crash leaves behind is a file that
nobody sees; the sender sends again.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import quote

from connector.dataplane.ports import Incoming, Inlets, Landing
from connector.transfer.ports import Received
from schemas.dsp.transfer import DataAddress, EndpointProperty
from schemas.errors import NotFound, TooLarge, Unauthenticated, Unavailable, WorldMoved
from schemas.vocab import EDC, ENDPOINT_HTTP, MEDIA_ARROW_STREAM

PATH = "/sinks/"
MOST_ARRIVING = 16
"""Files that arrive at a time."""
LOOK_BYTES = 4 << 20
"""Bytes after which a sink looks whether its process still receives."""

_HTTP_DATA = "HttpData"
_MOST_MEDIA = 200


def pass_for(secret: bytes, pid: str) -> str:
    """Return the pass of a process's sink."""
    return hmac.digest(secret, b"hansa-sink-1\x00" + pid.encode(), "sha256").hex()


class Sinks:
    """The sinks of one participant; safe to use from many threads.

    Args:
        secret: at least 32 bytes; passes hang on it.
        inlets: the rooms whose processes receive.
        landing: keeps files.
        url: the public base URL of this connector.
        most_bytes: of one file.
        clock: UTC, aware.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        secret: bytes,
        inlets: Callable[[], Sequence[Inlets]],
        landing: Landing,
        url: str,
        most_bytes: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._secret, self._inlets, self._landing = secret, inlets, landing
        self._url, self._most, self._clock = url.rstrip("/"), most_bytes, clock
        self._lock = threading.Lock()
        self._arriving: set[str] = set()

    def address(self, pid: str, format: str) -> DataAddress:
        """Return the address of a process's sink, with its pass.

        EDC's data planes read only the properties, under names of their own; `authKey` is the header that
        they set to `authCode`. Source: EDC 0.15.1, data-plane-http (BaseCommonHttpParamsDecorator).
        """
        url, token = f"{self._url}{PATH}{quote(pid, safe=':')}", pass_for(self._secret, pid)
        edc = {"type": _HTTP_DATA, "baseUrl": url, "authKey": "Authorization", "authCode": f"Bearer {token}"}
        values = {"authorization": token, "authType": "bearer", **edc}
        values |= {EDC + name: value for name, value in edc.items()}
        return DataAddress(
            endpoint_type=_HTTP_DATA if format.startswith(_HTTP_DATA) else ENDPOINT_HTTP,
            endpoint=url,
            endpoint_properties=tuple(
                EndpointProperty(name=name, value=value) for name, value in values.items()
            ),
        )

    def check(self, pid: str, authorization: str | None) -> None:
        """Check that a file may arrive for a process.

        Raises:
            Unauthenticated: if the pass is not the one of this sink.
            WorldMoved: if the process does not receive (any more).
        """
        token = (authorization or "").removeprefix("Bearer ").removeprefix("bearer ").strip()
        if not hmac.compare_digest(token.encode(), pass_for(self._secret, pid).encode()):
            # Before anything is looked up: who has no pass is not told what exists.
            raise Unauthenticated(
                "expected 'Authorization: Bearer <pass>' with the pass of this sink's address"
            )
        self._room(pid)

    @contextmanager
    def arriving(self, pid: str, media_type: str) -> Iterator[Arrival]:
        """Take in a file; whatever was not finished at the end of the block is discarded.

        Raises:
            WorldMoved: if one is arriving already.
            Unavailable: if too many are.
        """
        room = self._room(pid)
        with self._lock:
            if pid in self._arriving:
                raise WorldMoved(f"data is arriving for {pid} already; send it once at a time")
            if len(self._arriving) >= MOST_ARRIVING:
                raise Unavailable(f"{MOST_ARRIVING} files are arriving, as many as may; try again soon")
            self._arriving.add(pid)
        try:
            incoming = self._landing.begin(pid)
            try:
                yield Arrival(self, room, pid, incoming, media_type[:_MOST_MEDIA])
            finally:
                incoming.discard()
        finally:
            with self._lock:
                self._arriving.discard(pid)

    def too_large(self, size: int) -> TooLarge | None:
        """Say whether so many bytes are more than a sink takes."""
        if size <= self._most:
            return None
        return TooLarge(f"more than {self._most} bytes; ask for receive.most_bytes to be raised")

    def now(self) -> datetime:
        """Return the time, UTC."""
        return self._clock()

    def _room(self, pid: str) -> Inlets:
        """Return the room whose process receives now."""
        for room in self._inlets():
            try:
                why = room.may_receive(pid)
            except NotFound:
                continue
            if why is not None:
                raise WorldMoved(f"nothing is taken here now: {why}")
            return room
        raise NotFound(f"nothing is received here for {pid[:120]!r}")


class Arrival:
    """A file on its way in; one thread at a time."""

    def __init__(self, sinks: Sinks, room: Inlets, pid: str, incoming: Incoming, media_type: str) -> None:
        self._sinks, self._room, self._pid = sinks, room, pid
        self._incoming, self._media_type = incoming, media_type
        self._looked = 0

    def write(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            TooLarge: if the file grows too long.
            WorldMoved: if the process does not receive any more.
            StorageUnavailable: if they could not be written.
        """
        wrong = self._sinks.too_large(self._incoming.byte_count + len(data))
        if wrong is not None:
            raise wrong
        self._incoming.write(data)
        if self._incoming.byte_count - self._looked >= LOOK_BYTES:
            self._looked = self._incoming.byte_count
            self._check()

    def finish(self) -> Received:
        """Keep the file, and tell the process.

        Raises:
            UnreadableData: if it says that it is an Arrow stream, and is none.
            WorldMoved: if the process does not receive any more; nothing is kept.
        """
        self._check()
        size = self._incoming.byte_count
        said = self._media_type.partition(";")[0].strip().lower()
        name, rows = self._incoming.finish(True if said == MEDIA_ARROW_STREAM else None)
        received = Received(name, self._media_type, size, rows, self._sinks.now())
        self._room.landed(self._pid, received)
        return received

    def _check(self) -> None:
        why = self._room.may_receive(self._pid)
        if why is not None:
            raise WorldMoved(f"nothing is taken here any more: {why}")
