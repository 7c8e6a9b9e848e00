"""Pushes that are under way: one that fails takes nothing from the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.dataplane.pushes import Pushes
from schemas.dsp.transfer import DataAddress
from schemas.errors import DataspaceError, NotFound, PeerUnavailable
from tests.patience import until

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Waiting:
    """A process whose data is to be pushed."""

    pid: str
    address: DataAddress | None = None
    updated: datetime = NOON


@dataclass
class Room:
    """What is to be pushed; each claim waits at the gate."""

    waiting: list[str]
    gone: set[str] = field(default_factory=set)
    gate: threading.Event = field(default_factory=threading.Event)
    claimed: list[str] = field(default_factory=list)
    alive: list[str] = field(default_factory=list)

    def to_push(self) -> Sequence[Waiting]:
        return [Waiting(pid) for pid in self.waiting]

    def claim(self, pid: str) -> tuple[Waiting, str] | None:
        self.claimed.append(pid)
        self.waiting.remove(pid)
        self.gate.wait(30)
        return None

    def hold(self, pid: str, until: datetime | None) -> None:
        raise AssertionError(f"nothing of {pid} was connected")

    def is_alive(self, pid: str) -> None:
        if pid in self.gone:
            raise NotFound(f"no transfer has the id {pid!r}")
        self.alive.append(pid)

    def pushed(self, claimed: Waiting) -> None:
        raise AssertionError(f"nothing of {claimed.pid} was pushed")

    def not_pushed(self, claimed: Waiting, why: DataspaceError) -> None:
        raise AssertionError(f"{claimed.pid} was given up: {why}")


class Nowhere:
    """Connects to nobody."""

    def connect(self, address: DataAddress) -> Any:
        raise PeerUnavailable("nobody is there")


def pushes_of(room: Room, **more: Any) -> Pushes[Waiting]:
    streams: Any = None  # nothing is opened before a sink is connected to
    return Pushes(room=room, streams=streams, lines=Nowhere(), clock=lambda: NOON, **more)


def test_a_push_that_cannot_be_said_to_live_keeps_no_other_from_it_and_none_from_beginning() -> None:
    room = Room(["a", "b", "c"])
    pushes = pushes_of(room, every=timedelta(0))
    pushes.tick()
    until(lambda: len(room.claimed) == 3)
    room.gone, room.waiting = {"a", "b"}, ["d"]
    pushes.tick()
    assert room.alive == ["c"]
    until(lambda: "d" in room.claimed)
    room.gate.set()
    pushes.stop()


def test_a_push_for_which_there_is_no_thread_waits_and_keeps_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room(["a"])
    room.gate.set()
    pushes = pushes_of(room, most=1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert not pushes.begin("a")
    assert pushes.begin("a")
    until(lambda: room.claimed == ["a"])
    pushes.stop()
