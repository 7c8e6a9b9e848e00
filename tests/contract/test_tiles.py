"""The promises of Tiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connector.adapters.tiles import FileTiles
from schemas.errors import Misconfigured, NotFound, StorageUnavailable


def test_a_file_comes_back_as_it_was_written_also_later(tmp_path: Path) -> None:
    FileTiles(tmp_path / "deep" / "log").write([("tile/0/x001/067.p/3", b"abc"), ("checkpoint", b"note")])
    again = FileTiles(tmp_path / "deep" / "log")
    assert again.read("tile/0/x001/067.p/3") == b"abc"
    assert again.read("checkpoint") == b"note"
    assert again.size("checkpoint") == 4


def test_writing_again_replaces(tmp_path: Path) -> None:
    tiles = FileTiles(tmp_path)
    tiles.write([("checkpoint", b"old note")])
    tiles.write([("checkpoint", b"new")])
    assert tiles.read("checkpoint") == b"new"


def test_a_missing_file_is_not_found_by_name(tmp_path: Path) -> None:
    tiles = FileTiles(tmp_path)
    tiles.write([("tile/0/000.p/1", b"a")])
    for path in ("tile/0/001", "tile/0", "tile/0/000.p/1/2"):
        with pytest.raises(NotFound, match=path):
            tiles.read(path)
    assert tiles.size("tile/0/001") is None


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "tile/../../secret", "", ".new-abc", "a//b", "a\x00b"]
)
def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("open-sesame")
    tiles = FileTiles(tmp_path / "log")
    with pytest.raises(NotFound):
        tiles.read(path)
    with pytest.raises(NotFound):
        tiles.size(path)
    with pytest.raises(NotFound):
        tiles.write([(path, b"x")])


def test_a_full_tile_takes_its_partial_forms_away(tmp_path: Path) -> None:
    tiles = FileTiles(tmp_path)
    tiles.write([("tile/0/000.p/1", b"a"), ("tile/0/000.p/2", b"ab")])
    tiles.write([("tile/0/000", b"abc")])
    assert tiles.size("tile/0/000.p/1") is None
    assert tiles.read("tile/0/000") == b"abc"


def test_a_disk_that_is_full_is_said_so_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles = FileTiles(tmp_path)
    tiles.write([("checkpoint", b"old")])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageUnavailable, match="No space left"):
            tiles.write([("checkpoint", b"new")])
    assert tiles.read("checkpoint") == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]
    tiles.write([("checkpoint", b"new")])
    assert tiles.read("checkpoint") == b"new"


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="cannot make folder"):
        FileTiles(tmp_path / "file" / "log")
