"""Files that are pushed to us: written beside their place, made durable, checked, then renamed."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from connector.adapters.files import make_folder, sync_folder
from schemas.arrow_head import check_message
from schemas.errors import Malformed, StorageUnavailable, UnreadableData

ARROW, BYTES = ".arrow", ".bin"
_NEW = ".new-"
_MARK = b"\xff\xff\xff\xff"
"""How a message of an Arrow stream begins. Source: Arrow IPC, encapsulated message format."""
_UNFIT = re.compile(r"[^0-9A-Za-z._-]+")


class ReceivedFiles:
    """A Landing in a folder of its own, readable by its owner alone.

    A crash leaves behind a file whose name starts with `.new-`; nobody reads those.
    """

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is made when the first file arrives."""
        self._folder = folder

    def begin(self, name: str) -> ReceivedFile:
        """Begin a file; `name` is an id of ours."""
        plain = _UNFIT.sub("-", name).strip("-.")
        if not plain:
            raise StorageUnavailable(f"{name[:80]!r} makes no file name")
        try:
            make_folder(self._folder)
            self._folder.chmod(0o700)
            return ReceivedFile(self._folder, plain)
        except OSError as error:
            raise StorageUnavailable(f"cannot write in {self._folder}: {error.strerror}") from None


class ReceivedFile:
    """An Incoming over a file."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make the file under a name that nobody reads."""
        self._folder, self._name = folder, name
        self._fresh = folder / f"{_NEW}{secrets.token_hex(8)}"
        handle = os.open(self._fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._file: BinaryIO | None = os.fdopen(handle, "wb")
        self._size = 0

    @property
    def byte_count(self) -> int:
        """Bytes written so far."""
        return self._size

    def write(self, data: bytes) -> None:
        """Append bytes."""
        if self._file is None:
            raise StorageUnavailable("this file was finished already")
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
            sync_folder(self._folder)
        except OSError as error:
            raise StorageUnavailable(f"cannot keep a file in {self._folder}: {error.strerror}") from None
        return name, rows

    def discard(self) -> None:
        """Keep nothing."""
        opened, self._file = self._file, None
        if opened is not None:
            opened.close()
        self._fresh.unlink(missing_ok=True)

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
