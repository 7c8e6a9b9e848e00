"""The files of the usage log in a folder; their paths are those of C2SP tlog-tiles."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from connector.adapters.files import make_folder, sync_folder, write_whole
from schemas.errors import Misconfigured, NotFound, StorageUnavailable

_PATH = re.compile(r"(?:[a-z0-9][a-z0-9.]*/)*[a-z0-9][a-z0-9.]*")
_PARTIAL = ".p"


class FileTiles:
    """A Tiles in a folder of the file system.

    Files that a crash left half written have names of their own and are never read; the same files are
    written again by the next step of the log.

    Raises:
        Misconfigured: if the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            make_folder(folder)
        except OSError as error:
            raise Misconfigured(f"cannot make folder {folder} for the log: {error.strerror}") from None

    def read(self, path: str) -> bytes:
        """Return a file."""
        try:
            return self._at(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(f"the log has no file {path[:120]!r}") from None
        except OSError as error:
            raise StorageUnavailable(f"cannot read {path} of the log: {error.strerror}") from None

    def write(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Save files durably; a full tile takes away its partial forms."""
        touched: dict[Path, None] = {}
        try:
            for path, data in files:
                file = self._at(path)
                make_folder(file.parent)
                write_whole(file, data)
                touched[file.parent] = None
                partial = file.with_name(file.name + _PARTIAL)
                if partial.is_dir():
                    shutil.rmtree(partial)
            for folder in touched:
                sync_folder(folder)
        except OSError as error:
            raise StorageUnavailable(f"cannot write the files of the log: {error.strerror}") from None

    def size(self, path: str) -> int | None:
        """Return the length of a file in bytes, None where there is none."""
        try:
            return self._at(path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageUnavailable(f"cannot look at {path} of the log: {error.strerror}") from None

    def _at(self, path: str) -> Path:
        if not _PATH.fullmatch(path):
            raise NotFound(f"the log has no file {path[:120]!r}")
        return self._folder / path
