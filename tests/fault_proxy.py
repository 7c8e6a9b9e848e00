"""A bad network between connectors: a real HTTP proxy on loopback that loses, doubles, delays and lies.

One proxy has any number of front doors; each leads to one connector, and stands in its public URL, so that
what peers send to each other, and only that, goes through it. A seeded schedule draws the faults as the
messages arrive: the same seed gives the same faults, and threads decide which message meets which.

No message (by its `@id`) meets more than a few faults, so that a patient sender gets through; but a few
processes are cut off for good from some message on, in one direction or both.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

HARMED = "/dsp/"
"""Only what travels below this path meets faults: keys and member lists are not peers' messages."""
MOST_REQUEST = 1 << 20
MOST_ENDLESS = 64 << 20
"""Bytes of an endless answer, if nobody hangs up."""
MOST_DRIP = 20.0
"""Seconds that an answer drips, if nobody hangs up."""
DRIP = 0.1
LATE = 2.0
"""Seconds after which a message that was held back is delivered, if no later one passed."""


class Fault(StrEnum):
    """What may happen to a message, or to its answer."""

    DELAY = "delayed"
    LOSE = "lost before delivery"
    LOSE_ANSWER = "delivered, answer lost"
    DOUBLE = "delivered twice, first answer"
    DOUBLE_SECOND = "delivered twice, second answer"
    OVERTAKEN = "given up, delivered after a later one"
    TRUNCATE = "delivered, answer cut short"
    GARBAGE = "delivered, answered 200 with rubbish"
    REFUSE = "answered 400, not delivered"
    REFUSE_TAKEN = "delivered, answered 409"
    FAIL = "answered 503, not delivered"
    FAIL_TAKEN = "delivered, answered 500"
    DRIP = "delivered, answer drips"
    ENDLESS = "delivered, answer never ends"
    DEAD = "cut off for good"


WEIGHTS: dict[Fault, int] = {
    Fault.DELAY: 60,
    Fault.LOSE: 30,
    Fault.LOSE_ANSWER: 30,
    Fault.DOUBLE: 30,
    Fault.DOUBLE_SECOND: 10,
    Fault.OVERTAKEN: 20,
    Fault.TRUNCATE: 20,
    Fault.GARBAGE: 10,
    Fault.REFUSE: 4,
    Fault.REFUSE_TAKEN: 10,
    Fault.FAIL: 20,
    Fault.FAIL_TAKEN: 20,
    Fault.DRIP: 4,
    Fault.ENDLESS: 4,
}


@dataclass(frozen=True)
class Sent:
    """A request as it came to a front door."""

    door: str
    method: str
    path: str
    raw: bytes = field(repr=False)
    message: str = ""
    process: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Seen:
    """What the proxy did with a request."""

    sent: Sent
    fault: Fault | None
    status: int


class Schedule:
    """Draws a fault for each message, from a seed.

    Args:
        seed: names the run.
        share: of messages that meet a fault.
        dead: share of processes that are cut off for good from some message on.
        most: faults that one message meets, at most.
    """

    def __init__(self, seed: str, *, share: float = 0.25, dead: float = 0.03, most: int = 3) -> None:
        self._dice = random.Random(seed)
        self._share, self._dead, self._most = share, dead, most
        self._met: Counter[str] = Counter()
        self._cut: dict[str, tuple[int, frozenset[str]] | None] = {}
        self._count: Counter[str] = Counter()
        self._doors: list[str] = []

    def know(self, door: str) -> None:
        """Take note of a front door, so that a direction can be cut off."""
        self._doors.append(door)

    def draw(self, sent: Sent) -> Fault | None:
        """Return what happens to a message."""
        if sent.process and self._is_cut(sent):
            return Fault.DEAD
        key = sent.message or f"{sent.method} {sent.path}"
        if self._met[key] >= self._most or self._dice.random() >= self._share:
            return None
        self._met[key] += 1
        return self._dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]

    def pause(self) -> float:
        """Return the seconds of a delay."""
        return self._dice.uniform(0.01, 0.3)

    def _is_cut(self, sent: Sent) -> bool:
        if sent.process not in self._cut:
            doors = self._dice.choice([[door] for door in self._doors] + [self._doors])
            after = self._dice.randrange(1, 8)
            dies = self._dice.random() < self._dead
            self._cut[sent.process] = (after, frozenset(doors)) if dies else None
        self._count[sent.process] += 1
        cut = self._cut[sent.process]
        return cut is not None and self._count[sent.process] > cut[0] and sent.door in cut[1]

    @property
    def dead(self) -> set[str]:
        """The processes (by the consumer's id) that were chosen to be cut off."""
        return {process for process, cut in self._cut.items() if cut is not None}


class FaultProxy:
    """Runs front doors in a thread of its own, until it is stopped.

    Args:
        schedule: what happens to which message; None harms nothing.
    """

    def __init__(self, schedule: Schedule | None) -> None:
        self.schedule = schedule
        self.seen: list[Seen] = []
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._held: dict[str, list[asyncio.Event]] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()

    def open(self, name: str, backend: int) -> int:
        """Open a front door to a port of loopback, and return its own port."""
        if self.schedule is not None:
            self.schedule.know(name)

        async def serve() -> int:
            server = await asyncio.start_server(
                lambda reader, writer: self._serve(name, backend, reader, writer),
                "127.0.0.1",
                0,
                limit=1 << 18,
            )
            self._servers.append(server)
            return int(server.sockets[0].getsockname()[1])

        return int(self._run(serve()))

    def stop(self) -> None:
        """Close every door and end the thread; what is held back is dropped."""

        async def end() -> None:
            for server in self._servers:
                server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def heal(self) -> None:
        """From now on harm nothing."""
        self.schedule = None

    def counts(self) -> dict[str, int]:
        """How often each fault was met; "none" for messages that passed unharmed."""
        return dict(Counter(seen.fault.value if seen.fault else "none" for seen in self.seen).most_common())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    # --- one connection --------------------------------------------------------------------------

    async def _serve(
        self, name: str, backend: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(60):
                sent = await _read_request(name, reader)
                if sent is not None:
                    await self._pass(sent, backend, writer)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            pass  # a peer that hung up, or was cut off, is what this proxy is about
        finally:
            writer.close()

    async def _pass(self, sent: Sent, backend: int, writer: asyncio.StreamWriter) -> None:
        schedule = self.schedule if sent.path.startswith(HARMED) else None
        fault = schedule.draw(sent) if schedule is not None else None
        if fault is Fault.DELAY and schedule is not None:
            await asyncio.sleep(schedule.pause())
        answer = b""
        if fault in _NOT_DELIVERED:
            answer = _INSTEAD.get(fault, b"") if fault else b""
        elif fault is Fault.OVERTAKEN:
            self._later(self._overtaken(sent, backend))
        else:
            answer = await _forward(sent, backend)
            self._release(sent)
            if fault is Fault.DOUBLE:
                self._later(_forward(sent, backend))
            elif fault is Fault.DOUBLE_SECOND:
                answer = await _forward(sent, backend)
        self.seen.append(Seen(sent, fault, _status(answer)))
        await _answer(writer, fault, answer)

    async def _overtaken(self, sent: Sent, backend: int) -> None:
        """Deliver a message once a later one of its process has passed."""
        passed = asyncio.Event()
        self._held.setdefault(sent.process, []).append(passed)
        with suppress(TimeoutError):
            await asyncio.wait_for(passed.wait(), LATE)
        await _forward(sent, backend)

    def _release(self, sent: Sent) -> None:
        for passed in self._held.pop(sent.process, []):
            passed.set()

    def _later(self, work: Coroutine[Any, Any, Any]) -> None:
        async def quietly() -> None:
            with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
                await work

        task = self._loop.create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_NOT_DELIVERED = frozenset({Fault.LOSE, Fault.DEAD, Fault.REFUSE, Fault.FAIL})


def _said(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


_INSTEAD: dict[Fault, bytes] = {
    Fault.GARBAGE: _said("200 OK", b"<html>It works!</html>"),
    Fault.REFUSE: _said("400 Bad Request", b'{"detail": "the network says no"}'),
    Fault.REFUSE_TAKEN: _said("409 Conflict", b'{"detail": "the network says no, but it was delivered"}'),
    Fault.FAIL: _said("503 Service Unavailable", b""),
    Fault.FAIL_TAKEN: _said("500 Internal Server Error", b"Traceback"),
}
"""What is answered in the connector's stead."""


async def _answer(writer: asyncio.StreamWriter, fault: Fault | None, answer: bytes) -> None:
    """Send an answer back, as far as the fault lets it through."""
    if fault in (Fault.LOSE, Fault.DEAD, Fault.LOSE_ANSWER, Fault.OVERTAKEN):
        return
    if fault is Fault.TRUNCATE:
        answer = answer[:-7]
    elif fault is Fault.DRIP:
        for byte in answer[: int(MOST_DRIP / DRIP)]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(DRIP)
        return
    elif fault is Fault.ENDLESS:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n[")
        for _ in range(MOST_ENDLESS >> 16):
            writer.write(b" " * (1 << 16))
            await writer.drain()
        return
    elif fault in _INSTEAD and fault is not None:
        answer = _INSTEAD[fault]
    writer.write(answer)
    await writer.drain()


async def _read_request(door: str, reader: asyncio.StreamReader) -> Sent | None:
    """Read one request; None if the connection was closed before one came."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, _, rest = head.partition(b"\r\n")
    method, path, _ = first.decode("latin-1").split(" ")
    found = re.search(rb"(?i)^content-length: *(\d+)", rest, re.MULTILINE)
    size = int(found[1]) if found else 0
    if size > MOST_REQUEST:
        raise ValueError(f"a request of {size} bytes; at most {MOST_REQUEST}")
    body = await reader.readexactly(size)
    headers = re.sub(rb"(?im)^connection:.*\r\n", b"", rest)
    raw = first + b"\r\nConnection: close\r\n" + headers + body
    said: Any = json.loads(body) if body else {}
    said = said if isinstance(said, dict) else {}
    message, process = str(said.get("@id", "")), str(said.get("consumerPid", ""))
    return Sent(door, method, path, raw, message, process, str(said.get("@type", "")))


async def _forward(sent: Sent, backend: int) -> bytes:
    """Deliver a request to the connector behind a door, and return its whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", backend)
    try:
        writer.write(sent.raw)
        await writer.drain()
        return await reader.read(-1)
    finally:
        writer.close()


def _status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return int(found[1]) if found else 0
