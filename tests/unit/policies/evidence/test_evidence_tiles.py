"""Tiles: their names, their bytes, and the tree that comes out of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.evidence.checkpoint import Checkpoint
from policies.evidence.note import Note
from policies.evidence.tiles import (
    MAX_ENTRY_BYTES,
    Bundle,
    Tile,
    TileNodes,
    bundles_for,
    decode_bundle,
    encode_bundle,
    encode_tile,
    grown_tiles,
    parse_path,
    read_bundle,
    read_tile,
    root_from_tiles,
    tiles_for,
    verify_tiles,
)
from policies.evidence.tree import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    nodes_of,
    root,
    verify_consistency,
    verify_inclusion,
)
from schemas.errors import DataspaceError, EvidenceBroken, Malformed, NotFound, TooLarge
from tests.shared_data import shared_data


class Files(dict[str, bytes]):
    def read(self, path: str) -> bytes:
        if path not in self:
            raise NotFound(f"no file {path}")
        return self[path]


def entries(count: int, start: int = 0) -> list[bytes]:
    return [b'{"i": %d}' % index for index in range(start, count)]


def grow(files: Files, old_size: int, new_size: int) -> None:
    fresh = [leaf_hash(entry) for entry in entries(new_size, old_size)]
    for tile, data in list(grown_tiles(old_size, fresh, files.read)):
        files[tile.path] = data
    for bundle in bundles_for(old_size, new_size):
        start = bundle.index * 256
        files[bundle.path] = encode_bundle(entries(start + bundle.width, start))


@pytest.fixture(scope="module")
def log_of_70000() -> Files:
    files = Files()
    grow(files, 0, 70_000)
    return files


def tessera(path: str) -> bytes:
    root_folder = shared_data("transparency-log", "tlog-tiles", "tessera-log")
    file: Path = root_folder / path
    if not file.is_file():
        raise NotFound(f"no file {path}")
    return file.read_bytes()


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("tile/0/000", Tile(0, 0)),
        ("tile/0/x001/x234/067", Tile(0, 1_234_067)),
        ("tile/0/x001/x234/067.p/255", Tile(0, 1_234_067, 255)),
        ("tile/2/000.p/1", Tile(2, 0, 1)),
        ("tile/0/x001/000", Tile(0, 1000)),
        ("tile/entries/273.p/112", Bundle(273, 112)),
        ("tile/entries/x999/999", Bundle(999_999)),
    ],
)
def test_a_path_is_written_and_read_as_the_specification_shows(path: str, named: Tile | Bundle) -> None:
    assert named.path == path
    assert parse_path(path) == named


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/8/000.p/1",  # no tree is that high
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/",
        "tile/0/000.p/1\n",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/entries",
        "tile/Entries/000",
        "tile/0/../../etc/passwd",
        "tile/0/%2e%2e",
        "tile/0/" + "x999/" * 5 + "999",
        "tile/0/" + "x999/" * 400_000 + "999",
    ],
)
def test_a_hostile_path_is_refused(path: str) -> None:
    with pytest.raises(Malformed):
        parse_path(path)


@given(st.text(alphabet="tilentrs/x0123456789.p\n", max_size=40))
@settings(max_examples=60, deadline=None)
def test_whatever_path_is_accepted_is_the_only_way_to_write_it(path: str) -> None:
    try:
        named = parse_path("tile/" + path)
    except Malformed:
        return
    assert named.path == "tile/" + path


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    tiles = list(tiles_for(0, 70_000))
    assert [tile for tile in tiles if tile.level == 0 and tile.width == 256] == [
        Tile(0, i) for i in range(273)
    ]
    assert [tile for tile in tiles if tile.level or tile.width < 256] == [
        Tile(0, 273, 112),
        Tile(1, 0),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]


def test_a_tree_of_256_has_a_partial_tile_above_its_full_one() -> None:
    assert list(tiles_for(0, 256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_for(0, 255)) == [Tile(0, 0, 255)]
    assert list(tiles_for(255, 256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_for(256, 257)) == [Tile(0, 1, 1)]
    assert [*tiles_for(0, 0), *tiles_for(7, 7), *bundles_for(0, 0), *bundles_for(7, 7)] == []


def test_a_log_does_not_shrink() -> None:
    with pytest.raises(Malformed, match="from size 2 to size 1"):
        list(tiles_for(2, 1))
    with pytest.raises(Malformed, match="from size 2 to size 1"):
        list(bundles_for(2, 1))


@given(st.lists(st.integers(0, 400), min_size=1, max_size=4))
@example([255, 1, 1])
@example([256, 256, 1])
@settings(max_examples=8, deadline=None)
def test_tiles_recompute_the_root_however_the_log_grew(steps: list[int]) -> None:
    files, size = Files(), 0
    for step in steps:
        before = set(files)
        grow(files, size, size + step)
        written = {tile.path for tile in tiles_for(size, size + step)}
        assert {path for path in set(files) - before if "entries" not in path} == written
        size += step
        expected = root(leaf_hash(entry) for entry in entries(size))
        assert root_from_tiles(size, files.read) == expected
        verify_tiles(size, expected, files.read)


def test_tiles_of_70000_entries_give_the_cross_checked_roots_and_every_proof(log_of_70000: Files) -> None:
    known = json.loads(shared_data("transparency-log", "cross-checked", "tlog-70000.json").read_text())
    roots = {int(size): bytes.fromhex(expected) for size, expected in known["roots_by_size"].items()}
    for size, expected in roots.items():
        assert root_from_tiles(size, log_of_70000.read) == expected
    nodes = TileNodes(70_000, log_of_70000.read)
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        proof = inclusion_proof(index, 70_000, nodes)
        verify_inclusion(leaf_hash(entries(index + 1, index)[0]), index, 70_000, proof, roots[70_000])
    for size in sorted(roots)[1:]:
        proof = consistency_proof(size, 70_000, nodes)
        verify_consistency(size, roots[size], 70_000, roots[70_000], proof)


def test_tiles_answer_every_node_that_a_tree_in_memory_has() -> None:
    files = Files()
    grow(files, 0, 1000)
    in_memory = nodes_of([leaf_hash(entry) for entry in entries(1000)])
    from_tiles = TileNodes(1000, files.read)
    for level in range(10):
        for index in range(1000 >> level):
            assert from_tiles(level, index) == in_memory(level, index)
    for level, index in ((0, 1000), (9, 1), (10, 0), (-1, 0), (0, -1), (64, 0)):
        with pytest.raises(NotFound):
            from_tiles(level, index)


def test_a_partial_file_that_is_gone_is_read_from_the_full_one() -> None:
    files = Files()
    grow(files, 0, 300)
    old_root = root_from_tiles(255, files.read)
    assert "tile/0/000.p/255" not in files
    assert old_root == root(leaf_hash(entry) for entry in entries(255))
    assert read_bundle(Bundle(0, 3), files.read) == tuple(entries(3))
    assert read_tile(Tile(0, 0, 2), files.read) == tuple(leaf_hash(entry) for entry in entries(2))
    del files["tile/entries/001.p/44"]
    with pytest.raises(NotFound):
        read_bundle(Bundle(1, 44), files.read)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_flipped_bit_of_a_log_is_found(data: st.DataObject) -> None:
    files = Files()
    grow(files, 0, 300)
    expected = root_from_tiles(300, files.read)
    path = data.draw(st.sampled_from(sorted(files)))
    bit = data.draw(st.integers(0, len(files[path]) * 8 - 1))
    spoiled = bytearray(files[path])
    spoiled[bit // 8] ^= 1 << bit % 8
    files[path] = bytes(spoiled)
    with pytest.raises(EvidenceBroken):
        verify_tiles(300, expected, files.read)


def test_a_log_that_agrees_with_itself_but_not_with_its_signed_root_is_found() -> None:
    files = Files()
    grow(files, 0, 5)
    with pytest.raises(EvidenceBroken, match="the entries make root"):
        verify_tiles(5, EMPTY_ROOT, files.read)


@pytest.mark.parametrize("size", range(16))
def test_the_tessera_log_has_the_roots_of_its_checkpoints(size: int) -> None:
    checkpoint = Checkpoint.parse(Note.parse(tessera(f"checkpoint.{size}")).text)
    assert checkpoint.size == size
    assert root_from_tiles(size, tessera) == checkpoint.root
    verify_tiles(size, checkpoint.root, tessera)


def test_a_bundle_comes_back_as_it_was_written() -> None:
    held = [b"", b"one", bytes(MAX_ENTRY_BYTES)]
    assert decode_bundle(Bundle(0, 3), encode_bundle(held)) == tuple(held)
    assert encode_bundle([b"one"]) == b"\x00\x03one"


def test_a_foreign_entry_may_be_as_long_as_the_format_allows() -> None:
    longest = b"\xff\xff" + bytes(65_535)
    assert decode_bundle(Bundle(0, 1), longest) == (bytes(65_535),)


def test_an_entry_of_ours_past_the_bound_is_refused() -> None:
    with pytest.raises(TooLarge, match="1025 bytes is past our bound of 1024"):
        encode_bundle([bytes(MAX_ENTRY_BYTES + 1)])


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x01", b"\x00\x01a", b"\x00\x01a\x00", b"\x00\x00" * 3])
def test_a_bundle_that_is_not_what_its_name_says_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceBroken, match=r"tile/entries/000\.p/2"):
        decode_bundle(Bundle(0, 2), data)


def test_a_tile_that_is_not_what_its_name_says_is_refused() -> None:
    with pytest.raises(EvidenceBroken, match=r"tile/0/000\.p/2 has 63 bytes, not 64"):
        read_tile(Tile(0, 0, 2), lambda _: bytes(63))
    with pytest.raises(EvidenceBroken, match="not of 31"):
        encode_tile([bytes(31)])


def test_an_unreadable_disk_is_not_mistaken_for_a_missing_file() -> None:
    def read(path: str) -> bytes:
        raise DataspaceError(path)

    with pytest.raises(DataspaceError, match=r"tile/0/000\.p/2"):
        read_tile(Tile(0, 0, 2), read)
