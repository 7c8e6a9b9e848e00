"""Files that are pushed to us: written beside their place, made durable, checked, then renamed.

What lies in the folder is bounded in number and in bytes, whole files and half ones together. What the
operator takes away makes room at once: the folder is counted anew before something is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from connector.adapters.files import make_folder, sync_folder
from schemas.arrow_head import check_message
from schemas.errors import Malformed, NoRoom, StorageUnavailable, UnreadableData

ARROW, BYTES = ".arrow", ".bin"
_NEW = ".new-"
_MARK = b"\xff\xff\xff\xff"
"""How a message of an Arrow stream begins. Source: Arrow IPC, encapsulated message format."""
_UNCOUNTED = 64 << 20
"""Bytes that may arrive before the folder is looked through again: other processes write there too."""
_UNFIT = re.compile(r"[^0-9A-Za-z._-]+")


@dataclass(frozen=True)
class Room:
    """How much a folder may hold: files, and bytes of all of them together."""

    files: int = 10_000
    bytes: int = 100 << 30


class ReceivedFiles:
    """A Landing in a folder of its own, readable by its owner alone; safe to use from many threads.

    A crash leaves behind a file whose name starts with `.new-`; nobody reads those, and `tidy` removes them.
    Who writes one holds a lock on it, so that another process does not take it for left behind.
    """

    def __init__(self, folder: Path, room: Room | None = None) -> None:
        """Use a folder; it is made when the first file arrives."""
        self._folder, self._room = folder, room or Room()
        self._lock = threading.Lock()
        self._arriving: dict[str, int] = {}
        self._kept = self._uncounted = 0

    def begin(self, name: str) -> ReceivedFile:
        """Begin a file; `name` is an id of ours.

        Raises:
            NoRoom: if as many files lie here as may.
        """
        plain = _UNFIT.sub("-", name).strip("-.")
        if not plain:
            raise StorageUnavailable(f"{name[:80]!r} makes no file name")
        try:
            make_folder(self._folder)
            self._folder.chmod(0o700)
            with self._lock:
                files = self._count()
                if files >= self._room.files:
                    raise NoRoom(
                        f"{files} received files are kept here, as many as may; take some away, or raise "
                        "receive.most_files"
                    )
                return ReceivedFile(self._folder, plain, self)
        except OSError as error:
            raise StorageUnavailable(f"cannot write in {self._folder}: {error.strerror}") from None

    def tidy(self) -> None:
        """Remove what broke off when a process died; what a living process writes stays."""
        for path in self._folder.glob(f"{_NEW}*"):
            with suppress(OSError), path.open("rb") as file:  # still written, or gone: neither is ours
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()

    def reserve(self, fresh: str, size: int) -> None:
        """Take room for so many more bytes of an arriving file.

        Raises:
            NoRoom: if there is no room for them; nothing was taken.
        """
        with self._lock:
            self._uncounted += size
            # Something may have been taken away meanwhile, or another process may have brought something.
            if not self._fits(size) or self._uncounted > min(_UNCOUNTED, self._room.bytes // 16):
                self._count()
            if not self._fits(size):
                raise NoRoom(
                    f"{self._kept + sum(self._arriving.values())} bytes of received files are kept here, and "
                    f"{size} more would be more than {self._room.bytes}; take some away, or raise "
                    "receive.most_bytes_kept"
                )
            self._arriving[fresh] = self._arriving.get(fresh, 0) + size

    def settle(self, fresh: str, *, kept: bool) -> None:
        """Take note that a file arrives no more: it is kept, or gone."""
        with self._lock:
            size = self._arriving.pop(fresh, 0)
            self._kept += size if kept else 0

    def _fits(self, size: int) -> bool:
        return self._kept + sum(self._arriving.values()) + size <= self._room.bytes

    def _count(self) -> int:
        """Count what lies here besides what is arriving; return how many files lie here in all."""
        files, self._kept, self._uncounted = 0, 0, 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                files += 1
                if entry.name not in self._arriving:
                    with suppress(FileNotFoundError):
                        self._kept += entry.stat(follow_symlinks=False).st_size
        return files


class ReceivedFile:
    """An Incoming over a file."""

    def __init__(self, folder: Path, name: str, files: ReceivedFiles) -> None:
        """Make the file under a name that nobody reads."""
        self._folder, self._name, self._files = folder, name, files
        self._fresh = folder / f"{_NEW}{secrets.token_hex(8)}"
        handle = os.open(self._fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._file: BinaryIO | None = os.fdopen(handle, "wb")
        self._size = 0
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not os.fstat(handle).st_nlink:
            self._file.close()
            raise FileNotFoundError(errno.ENOENT, "the file that was begun was tidied away; send it again")

    @property
    def byte_count(self) -> int:
        """Bytes written so far."""
        return self._size

    def write(self, data: bytes) -> None:
        """Append bytes."""
        if self._file is None:
            raise StorageUnavailable("this file was finished already")
        self._files.reserve(self._fresh.name, len(data))
        try:
            self._file.write(data)
        except OSError as error:
            raise StorageUnavailable(f"cannot write in {self._folder}: {error.strerror}") from None
        self._size += len(data)

    def finish(self, is_arrow: bool | None) -> tuple[str, int | None]:
        """Keep the file under its name."""
        opened, self._file = self._file, None
        if opened is None:
            raise StorageUnavailable("this file was finished already")
        try:
            with opened:
                opened.flush()
                os.fsync(opened.fileno())
                rows = self._rows(is_arrow)
                name = self._name + (BYTES if rows is None else ARROW)
                self._fresh.replace(self._folder / name)
            self._files.settle(self._fresh.name, kept=True)
            sync_folder(self._folder)
        except OSError as error:
            raise StorageUnavailable(f"cannot keep a file in {self._folder}: {error.strerror}") from None
        return name, rows

    def discard(self) -> None:
        """Keep nothing."""
        opened, self._file = self._file, None
        if opened is not None:
            with suppress(OSError):  # a full disk takes no rest; it is thrown away all the same
                opened.close()
        try:
            self._fresh.unlink(missing_ok=True)
        finally:  # what could not be removed is counted where it lies, and tidied away later
            self._files.settle(self._fresh.name, kept=False)

    def _rows(self, is_arrow: bool | None) -> int | None:
        """Count the rows of an Arrow stream; None where it is none and need not be."""
        with self._fresh.open("rb") as begun:
            if is_arrow is None and begun.read(len(_MARK)) != _MARK:
                return None
        try:
            return count_rows(self._fresh)
        except UnreadableData:
            if is_arrow:
                raise
            return None


def count_rows(file: Path) -> int:
    """Read an Arrow stream to its end, checking every value of every batch, and return its rows.

    Raises:
        UnreadableData: if it is none, is compressed, holds a value that does not fit, or says itself that
            it is not complete.
    """
    rows, end = 0, None
    try:
        _check_heads(file)
        with pa.memory_map(str(file)) as opened, pa.ipc.open_stream(opened) as stream:
            for batch, metadata in _batches(stream):
                batch.validate(full=True)
                rows += batch.num_rows
                end = (metadata or {}).get(b"end", end)
    except (pa.ArrowException, OSError, ValueError, MemoryError, Malformed) as error:
        raise UnreadableData(f"this is no Arrow stream that can be read: {str(error)[:200]}") from None
    if end not in (None, b"complete"):
        raise UnreadableData(f"the Arrow stream says that it ended otherwise than complete: {end[:40]!r}")
    return rows


def _check_heads(file: Path) -> None:
    """Look at every message of an Arrow stream before anything of it is unpacked."""
    with pa.memory_map(str(file)) as opened:
        for message in pa.ipc.MessageReader.open_stream(opened):
            check_message(memoryview(message.metadata))


def _batches(stream: pa.RecordBatchStreamReader) -> Iterator[tuple[pa.RecordBatch, Any]]:
    while True:
        try:
            item = stream.read_next_batch_with_custom_metadata()
        except StopIteration:
            return
        yield item.batch, item.custom_metadata
