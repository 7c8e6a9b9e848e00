"""Which processes of this connector live: each holds a lock on a file of its own until it has ended.

The kernel lets go of the lock when the process ends, however it ends, and never before: neither a process
that stands still nor a database that was away looks like a death. Each file says in which run of the machine
it was made. A file of another run, on a disk that machines share, proves nothing, and neither does a file
that is not there: then nobody knows, and leases are waited for.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from schemas.errors import StorageUnavailable

_RUN = Path("/proc/sys/kernel/random/boot_id")


class SignOfLife:
    """Shows that this process lives, and tells which ones of the same folder have died.

    Without a name for the run of the machine (not on Linux) nobody is ever surely dead.

    Args:
        folder: Where processes of one connector show that they live; made if it is missing.

    Raises:
        StorageUnavailable: if the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run = run_of_the_machine()
        self.name = secrets.token_hex(16)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Never closed: what this process has under way may outlast the stores that it was taken from.
            os.write(own_file(folder / self.name), self._run)
        except OSError as error:
            raise StorageUnavailable(f"cannot show in {folder} that we live: {error.strerror}") from None

    def dead(self) -> frozenset[str]:
        """Return the names of processes that have surely ended.

        Each is returned until it is forgotten. What proves nothing is removed here.

        Raises:
            StorageUnavailable: if the folder cannot be read.
        """
        try:
            paths = list(self._folder.iterdir())
        except OSError as error:
            raise StorageUnavailable(f"cannot see in {self._folder} who lives: {error.strerror}") from None
        found = set()
        for path in paths:
            with suppress(OSError), path.open("rb") as file:  # it lives, or others have forgotten it already
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._run and file.read(len(self._run) + 1) == self._run:
                    found.add(path.name)
                else:
                    path.unlink()
        return frozenset(found)

    def forget(self, names: Iterable[str]) -> None:
        """Remove what is left of dead processes, once nothing is held in their names any more.

        Raises:
            StorageUnavailable: if it cannot be removed.
        """
        try:
            for name in names:
                (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise StorageUnavailable(
                f"cannot forget in {self._folder} who has died: {error.strerror}"
            ) from None


def own_file(path: Path) -> int:
    """Make a file and lock it; one that was tidied away before it was locked is made again."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def run_of_the_machine() -> bytes:
    """Name this run of the machine; empty where it has no name."""
    try:
        return _RUN.read_bytes().strip()[:48]
    except OSError:
        return b""
