"""A serving process loads what it uses, and gives back what it does not."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest

from schemas.binding.lean import GROWN, UNUSED, UNUSED_AT_START, Surplus

LATE = ("duckdb", "psycopg", "pyarrow.flight", "pyld", "pyoxigraph", "rdflib", "scipy")
"""What a server loads when it is first needed, or never."""
STARTED = """
import gc, json, sys
from schemas.binding.lean import starting
with starting():
    held = gc.isenabled()
    __import__(sys.argv[1])
print(json.dumps([held, gc.isenabled(), gc.get_freeze_count(), sorted(sys.modules)]))
"""
GIVEN_BACK = """
from schemas.binding.lean import give_back, resident_bytes
pieces = [bytes(50_000) for _ in range(2_000)]
del pieces[:1_900]
before = resident_bytes()
give_back()
print(before - resident_bytes())
"""


FAILS = """
import typer
from schemas.binding.lean import starting
app = typer.Typer()
@app.command()
def serve() -> None:
    with starting():
        import connector.app.connector
    raise RuntimeError("a mistake of ours")
app()
"""


def _run(program: str, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return ran.stdout


@pytest.mark.parametrize("app", ["connector.app.connector", "catalog.app"])
def test_a_server_starts_without_what_no_server_uses(app: str) -> None:
    collected, collects, frozen, loaded = json.loads(_run(STARTED, app))
    assert app in loaded
    assert not {*UNUSED, *UNUSED_AT_START, *LATE} & set(loaded)
    assert (collected, collects) == (False, True)
    assert frozen > 50_000  # what was loaded is passed over by every later collection


def test_a_server_that_fails_shows_its_own_mistake_and_not_what_it_hides() -> None:
    ran = subprocess.run([sys.executable, "-c", FAILS], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "a mistake of ours" in ran.stderr
    assert "excepthook" not in ran.stderr
    assert "not used in this process" not in ran.stderr


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs the GNU C library")
def test_what_was_freed_goes_back_to_the_kernel() -> None:
    assert int(_run(GIVEN_BACK)) > 50_000_000


class Process:
    """How much a process holds, and how often it gave back."""

    def __init__(self) -> None:
        self.held, self.returned, self.is_busy = 100 << 20, 0, False
        self.surplus = Surplus(lambda: self.is_busy, lambda: self.held, self.release)

    def release(self) -> None:
        self.returned += 1
        self.held -= 4 << 20


def test_a_process_that_has_not_grown_gives_nothing_back() -> None:
    process = Process()
    process.held += GROWN - 1
    process.surplus.tick()
    assert process.returned == 0


def test_a_process_gives_back_when_it_is_quiet_again_and_then_rests() -> None:
    process = Process()
    process.held += GROWN
    process.is_busy = True
    process.surplus.tick()
    assert process.returned == 0
    process.is_busy = False
    for _ in range(3):
        process.surplus.tick()
    assert process.returned == 1


def test_growth_counts_from_the_least_that_was_held() -> None:
    process = Process()
    process.held -= 2 * GROWN
    process.surplus.tick()
    process.held += GROWN
    process.surplus.tick()
    assert process.returned == 1


def test_where_the_kernel_tells_nothing_nothing_is_done() -> None:
    process = Process()
    process.held = 0
    surplus = Surplus(lambda: False, lambda: 0, process.release)
    surplus.tick()
    assert process.returned == 0
