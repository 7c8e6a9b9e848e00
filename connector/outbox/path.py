"""Pure: the states that a process went through, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MOST_STATIONS = 64
"""Stations remembered by a process; one that is paused and resumed for ever forgets the oldest."""


@dataclass(frozen=True)
class Station:
    """A state, and since when (UTC) the process was in it."""

    state: str
    at: datetime


Path = tuple[Station, ...]


def arrive(path: Path, state: str, at: datetime) -> Path:
    """Return the path after the process entered a state."""
    return (*path, Station(state, at))[-MOST_STATIONS:]


def visits(path: Path, state: str) -> int:
    """Return how often the process entered a state, as far as it remembers."""
    return sum(station.state == state for station in path)
