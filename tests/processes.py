"""Server processes for tests: started by the product's own command, awaited, and stopped by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connector.demo.space import LOOPBACK, Place, await_ready, free_ports, start, stop, to_toml
from schemas.binding.client import Egress, Http

__all__ = ["free_ports", "serving", "write_settings"]


def write_settings(folder: Path, settings: Mapping[str, Any]) -> Path:
    """Write a settings file, and return it."""
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    file = folder / "hansa.toml"
    file.write_text(to_toml(settings), encoding="utf-8")
    return file


@contextmanager
def serving(kind: str, config: Path, url: str) -> Iterator[Place]:
    """Serve a `connector` or `catalog` until the end of the block."""
    place = Place(kind, url, config.parent, (kind, "serve"))
    http = Http(Egress.allowing(LOOPBACK), timeout=30)
    try:
        start(place)
        await_ready(place, http)
        yield place
    finally:
        stop(place)
        http.close()
