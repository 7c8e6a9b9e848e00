"""What streams have sent, in one small mapped file each: a store into memory, no call of the system.

What is written there outlives the process, since the machine holds the page. It does not surely outlive the
machine, so each file says in which run of the machine it was made, and one of another run proves nothing.
Who writes a file holds a lock on it: a process that lives may send more, so nothing is proven of it either.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from connector.adapters.alive import own_file, run_of_the_machine
from policies.counting import Amount
from schemas.errors import StorageUnavailable

_MAGIC = b"hansa-progress-1"
_ROWS, _BYTES, _SIZE = 8, 9, 80
"""The file: 16 bytes of magic, 48 of the run, and two numbers of 8 bytes, as the machine writes them."""


class FileProgress:
    """A Progress over files in a folder.

    Without a name for the run of the machine (not on Linux) nothing is ever surely known.

    Args:
        folder: Where the files are; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run = run_of_the_machine()
        self._lock = threading.Lock()
        self._open: dict[str, tuple[int, mmap.mmap, memoryview]] = {}

    def begin(self, stream: str) -> Callable[[Amount], None]:
        """Return what is to be told, before anything leaves, how much will then have left in all.

        Raises:
            StorageUnavailable: if the file cannot be made.
        """
        path = self._path(stream)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = own_file(path)
            try:
                os.write(file, (_MAGIC + self._run).ljust(_SIZE, b"\0"))
                mapped = mmap.mmap(file, _SIZE)
            except BaseException:
                os.close(file)
                raise
        except OSError as error:
            raise StorageUnavailable(f"cannot keep the progress of a stream: {error.strerror}") from None
        numbers = memoryview(mapped).cast("Q")
        with self._lock:
            self._open[stream] = (file, mapped, numbers)

        def tell(amount: Amount) -> None:
            # Eight bytes at a time, so that a kill finds either the number before or this one.
            numbers[_ROWS] = amount.rows
            numbers[_BYTES] = amount.bytes

        return tell

    def sent(self, stream: str) -> Amount | None:
        """Return how much left at most, or None if that is not surely known."""
        try:
            with self._path(stream).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                data = file.read(_SIZE + 1)
        except OSError:
            return None  # gone, still written, or unreadable: nothing is proven
        head = (_MAGIC + self._run).ljust(_ROWS * 8, b"\0")
        if not self._run or len(data) != _SIZE or data[: _ROWS * 8] != head:
            return None
        numbers = memoryview(data).cast("Q")
        return Amount(numbers[_ROWS], numbers[_BYTES])

    def forget(self, stream: str) -> None:
        """Keep nothing more of a stream."""
        with self._lock:
            held = self._open.pop(stream, None)
        if held is not None:
            file, mapped, numbers = held
            numbers.release()
            mapped.close()
            os.close(file)
        self._path(stream).unlink(missing_ok=True)

    def tidy(self, keep: Iterable[str]) -> None:
        """Remove what died between settling its stream and forgetting it; what a process writes stays."""
        kept = {self._path(stream) for stream in keep}
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path in kept:
                continue
            with suppress(OSError), path.open("rb") as file:  # still written, or gone: neither is ours
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()

    def _path(self, stream: str) -> Path:
        return self._folder / hashlib.sha256(stream.encode()).hexdigest()[:40]
