"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterable
from pathlib import Path


def write_whole(file: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file: written beside it, made durable, then renamed.

    The rename is durable once `sync_folder` was called for its folder. A crash before may leave a file whose
    name starts with `.new-`; nobody reads those.
    """
    fresh = _write_beside(file, data, mode)
    try:
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def write_once(file: Path, data: bytes, mode: int) -> bool:
    """Make a file if there is none; false if somebody else made one first."""
    fresh = _write_beside(file, data, mode)
    try:
        os.link(fresh, file)
    except FileExistsError:
        return False
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(file.parent)
    return True


MOST_SEEN = 50_000
"""Names of files and folders that `files_below` looks at."""


def files_below(roots: Iterable[Path], suffixes: Collection[str], most: int = 500) -> list[str]:
    """Return the names of files below some folders, relative to each, the first so many in order.

    Folders and files whose name starts with a dot are left out, and so are links: they may lead elsewhere. Of
    very large trees only the beginning is looked at.
    """
    found: list[str] = []
    seen = 0
    for root in roots:
        for folder, inner, names in os.walk(root):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            seen += len(names) + len(inner)
            if seen > MOST_SEEN:
                return found
            for name in sorted(names):
                file = Path(folder, name)
                if file.suffix.lower() in suffixes and not name.startswith(".") and not file.is_symlink():
                    found.append(file.relative_to(root).as_posix())
                if len(found) >= most:
                    return found
    return found


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    missing = [step for step in (folder, *folder.parents) if not step.exists()]
    for step in reversed(missing):
        step.mkdir(exist_ok=True)
        sync_folder(step.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_beside(file: Path, data: bytes, mode: int) -> Path:
    fresh = file.with_name(f".new-{secrets.token_hex(8)}")
    handle = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fresh
