"""How a serving process stays small and starts quickly: what it never loads, and what it gives back."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

UNUSED = ("pandas", "numpy", "pydantic.v1")
"""What our libraries load at any time, merely because it is installed: 12 MB, or 70 with data frames."""
UNUSED_AT_START = ("cloudpickle", "dateutil", "pygments", "attr", "greenlet")
"""What they load while they are loaded themselves; later it may be needed: pygments shows tracebacks."""

GROWN = 8 << 20
"""Bytes that a process may have grown by before it looks for what it can give back."""

# `mallopt` of the GNU C library, the same as the variables of the environment; whose word goes first.
# What is freed below the thresholds stays with the process: small enough not to matter, large enough that
# the buffers of a stream are not asked from the kernel anew for each batch.
_MALLOPT = (
    ("MALLOC_ARENA_MAX", -8, 2),
    ("MALLOC_TRIM_THRESHOLD_", -1, 4 << 20),
    ("MALLOC_MMAP_THRESHOLD_", -3, 4 << 20),
)


class _Absent:
    """Says of some packages that they are not there, and nothing of any other."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse a hidden package.

        Raises:
            ModuleNotFoundError: as if it were not installed.
        """
        if name in self._names:
            raise ModuleNotFoundError(f"{name} is not used in this process", name=name)


def hide(*names: str) -> Callable[[], None]:
    """Make optional imports of these packages fail in this process, unless they are loaded already.

    For programs only, never for a library.

    Returns:
        shows them again.
    """
    absent = _Absent(frozenset(names))
    sys.meta_path.insert(0, absent)
    return lambda: sys.meta_path.remove(absent)


def bound_heap() -> None:
    """Have the C library keep less of what is freed; where the environment says how much, that stands."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for variable, parameter, value in _MALLOPT:
            if variable not in os.environ:
                mallopt(parameter, value)


@contextmanager
def starting() -> Iterator[None]:
    """Load and put together a server: without what no server uses, the collector at rest.

    What was made by then lives as long as the process; later collections pass it over, so they take
    a few milliseconds instead of a tenth of a second.
    """
    hide(*UNUSED)
    show = hide(*UNUSED_AT_START)
    bound_heap()
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        show()
        gc.enable()


def resident_bytes() -> int:
    """Return how much memory of this process is resident; 0 where the kernel does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Return to the kernel what was freed and is still held, by Arrow's pool and by the C library."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None:
        pyarrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Surplus:
    """What a process holds after a stream or a publication, and gives back when it is quiet.

    Args:
        is_busy: says whether it is not; while memory is in use, returning it would only cost.
        held: resident bytes.
        release: returns what is free.
    """

    def __init__(
        self,
        is_busy: Callable[[], bool],
        held: Callable[[], int] = resident_bytes,
        release: Callable[[], None] = give_back,
    ) -> None:
        self._is_busy, self._held, self._release = is_busy, held, release
        self._least = held()

    def tick(self) -> None:
        """Give back, if the process has grown since it did so last."""
        held = self._held()
        if held - self._least < GROWN:
            self._least = min(self._least, held)
        elif not self._is_busy():
            self._release()
            self._least = self._held()
