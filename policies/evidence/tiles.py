"""The log as static files: tiles of 256 hashes and bundles of 256 entries.

```
size 70 000    tile/2/000.p/1                                    one root of 65 536 leaves
               tile/1/000      tile/1/001.p/17                   roots of 256 leaves
               tile/0/000 …    tile/0/272      tile/0/273.p/112  leaf hashes
               tile/entries/…  the same shape, with the entries
```

Level *l* of a tree of size *s* has `s >> 8·l` hashes; the nodes between are folded from them when needed.

Source: C2SP tlog-tiles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from policies.evidence.tree import HASH_BYTES, MAX_SIZE, Frontier, fold_row, leaf_hash, root, root_at
from schemas.errors import EvidenceBroken, Malformed, NotFound, TooLarge

HEIGHT = 8
WIDTH = 1 << HEIGHT
MAX_ENTRY_BYTES = 1024
"""The bound of our own entries; the format itself ends at 65 535 bytes."""

Read = Callable[[str], bytes]
"""Answers a path with the bytes of the file, or raises NotFound; any other error passes through."""

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True)
class Tile:
    """The name of a tile of hashes.

    Args:
        level: 0 for leaf hashes; each level above holds the roots of the full tiles below it.
        index: Position in its level.
        width: Number of hashes, 1 to 256; below 256 the tile is partial.

    Raises:
        Malformed: No log can have such a tile.
    """

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        possible = 0 <= self.level <= 63 and self.index >= 0 and 1 <= self.width <= WIDTH
        if not possible or (self.index * WIDTH + self.width) << (HEIGHT * self.level) > MAX_SIZE:
            raise Malformed(f"no log has tile {self.index} of level {self.level} and width {self.width}")

    @property
    def path(self) -> str:
        """Where the tile is served, below the prefix of the log."""
        return f"tile/{self.level}/{_index_path(self.index, self.width)}"

    @property
    def full(self) -> Tile:
        """The tile that this one becomes once it is full."""
        return Tile(self.level, self.index)


@dataclass(frozen=True)
class Bundle:
    """The name of a bundle of log entries; it stands beside the level 0 tile of the same index and width.

    Raises:
        Malformed: No log can have such a bundle.
    """

    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        Tile(0, self.index, self.width)

    @property
    def path(self) -> str:
        """Where the bundle is served, below the prefix of the log."""
        return f"tile/entries/{_index_path(self.index, self.width)}"

    @property
    def full(self) -> Bundle:
        """The bundle that this one becomes once it is full."""
        return Bundle(self.index)


def parse_path(path: str) -> Tile | Bundle:
    """Read the path of a tile or bundle, as strictly as it is written: one name, one file.

    Raises:
        Malformed: It is not such a path, or not the only way to write it.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise Malformed(f"{path[:80]!r} is no path of a tile; say tile/<level|entries>/<index>[.p/<width>]")
    index, width = int(re.sub("[x/]", "", found["index"])), int(found["width"] or WIDTH)
    level = found["level"]
    named = Bundle(index, width) if level == "entries" else Tile(int(level), index, width)
    if named.path != path:
        raise Malformed(f"{path!r} is not how the path is written; say {named.path!r}")
    return named


def tiles_for(old_size: int, new_size: int) -> Iterator[Tile]:
    """Name the tiles to write when the tree grows; from size 0 that is every tile of the tree.

    Raises:
        Malformed: The tree would shrink.
    """
    _check_growth(old_size, new_size)
    level, had, has = 0, old_size, new_size
    while has > had:
        for index in range(had // WIDTH, (has + WIDTH - 1) // WIDTH):
            yield Tile(level, index, min(WIDTH, has - index * WIDTH))
        level, had, has = level + 1, had >> HEIGHT, has >> HEIGHT


def bundles_for(old_size: int, new_size: int) -> Iterator[Bundle]:
    """Name the entry bundles to write when the tree grows; from size 0 that is every bundle of the log.

    Raises:
        Malformed: The tree would shrink.
    """
    _check_growth(old_size, new_size)
    if new_size > old_size:
        for index in range(old_size // WIDTH, (new_size + WIDTH - 1) // WIDTH):
            yield Bundle(index, min(WIDTH, new_size - index * WIDTH))


def grown_tiles(old_size: int, leaf_hashes: Iterable[bytes], read: Read) -> Iterator[tuple[Tile, bytes]]:
    """Compute the tiles of `tiles_for` with their bytes; of the old tree only its partial tiles are read.

    Args:
        old_size: Size of the tree whose tiles stand already.
        leaf_hashes: The leaves that are new.
        read: Reads the tiles that stand already.

    Raises:
        EvidenceBroken: A tile of the old tree is damaged, or a leaf hash is not 32 bytes long.
    """
    level, count, fresh = 0, old_size, list(leaf_hashes)
    while fresh:
        first, kept = divmod(count, WIDTH)
        row = [*(read_tile(Tile(level, first, kept), read) if kept else ()), *fresh]
        above = []
        for at in range(0, len(row), WIDTH):
            hashes = row[at : at + WIDTH]
            yield Tile(level, first + at // WIDTH, len(hashes)), encode_tile(hashes)
            if len(hashes) == WIDTH:
                above.append(root(hashes))
        level, count, fresh = level + 1, first, above


def encode_tile(hashes: Sequence[bytes]) -> bytes:
    """Write the bytes of a tile.

    Raises:
        EvidenceBroken: A hash is not 32 bytes long.
    """
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise EvidenceBroken(f"a tile holds hashes of {HASH_BYTES} bytes, not of {len(value)}")
    return b"".join(hashes)


def decode_tile(tile: Tile, data: bytes) -> tuple[bytes, ...]:
    """Read the hashes of a tile.

    Raises:
        EvidenceBroken: It has more or fewer bytes than its name says.
    """
    if len(data) != tile.width * HASH_BYTES:
        raise EvidenceBroken(f"{tile.path} has {len(data)} bytes, not {tile.width * HASH_BYTES}; rebuild it")
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Write the bytes of an entry bundle.

    Raises:
        TooLarge: An entry has more than `MAX_ENTRY_BYTES`.
    """
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise TooLarge(
                f"an entry of {len(entry)} bytes is past our bound of {MAX_ENTRY_BYTES}; log its hash"
            )
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(bundle: Bundle, data: bytes) -> tuple[bytes, ...]:
    """Read the entries of a bundle.

    Raises:
        EvidenceBroken: It ends early, or has more or fewer entries than its name says.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        end = start + int.from_bytes(data[at:start], "big")
        if end > len(data):
            raise EvidenceBroken(f"{bundle.path} ends at byte {len(data)}, inside entry {len(entries)}")
        entries.append(data[start:end])
        at = end
    if len(entries) != bundle.width:
        raise EvidenceBroken(f"{bundle.path} has {len(entries)} entries, not {bundle.width}")
    return tuple(entries)


class TileNodes:
    """The nodes of a tree, folded from its tiles: the `NodeAt` of a log that is served as files.

    It remembers the tiles that it used last, so it belongs to one size of one log. The hashes are those that
    the tiles claim: a proof made from them shows nothing until it is verified against a signed root.

    Args:
        size: Size of the tree; partial tiles are read at the width they have there.
        read: Reads one tile; when a partial tile is gone, the full one is read in its place.

    Raises:
        EvidenceBroken: A tile is damaged.
        NotFound: The tree has no such node, or a tile is missing.
    """

    def __init__(self, size: int, read: Read) -> None:
        self.size = size
        self._read = read
        self._rows = lru_cache(maxsize=64)(self._fold_tile)

    def __call__(self, level: int, index: int) -> bytes:
        """Return the hash of node (level, index)."""
        if level < 0 or index < 0 or (index + 1) << level > self.size:
            raise NotFound(f"a tree of size {self.size} has no complete node {index} at level {level}")
        tile_level, height = divmod(level, HEIGHT)
        per_tile = WIDTH >> height
        return self._rows(tile_level, index // per_tile)[height][index % per_tile]

    def _fold_tile(self, level: int, index: int) -> list[Sequence[bytes]]:
        width = min(WIDTH, (self.size >> (HEIGHT * level)) - index * WIDTH)
        rows: list[Sequence[bytes]] = [read_tile(Tile(level, index, width), self._read)]
        for _ in range(HEIGHT - 1):
            rows.append(fold_row(rows[-1]))
        return rows


def root_from_tiles(size: int, read: Read) -> bytes:
    """Compute the root that the tiles of a log claim for a size.

    Raises:
        EvidenceBroken: A tile is damaged.
        NotFound: A tile is missing.
    """
    return root_at(size, TileNodes(size, read))


def read_tile(tile: Tile, read: Read) -> tuple[bytes, ...]:
    """Read the hashes of a tile; when a partial tile is gone, from the full one that replaced it.

    Raises:
        EvidenceBroken: The tile is damaged.
        NotFound: The tile is missing.
    """
    try:
        return decode_tile(tile, read(tile.path))
    except NotFound:
        if tile.width == WIDTH:
            raise
        return decode_tile(tile.full, read(tile.full.path))[: tile.width]


def read_bundle(bundle: Bundle, read: Read) -> tuple[bytes, ...]:
    """Read the entries of a bundle; when a partial bundle is gone, from the full one that replaced it.

    Raises:
        EvidenceBroken: The bundle is damaged.
        NotFound: The bundle is missing.
    """
    try:
        return decode_bundle(bundle, read(bundle.path))
    except NotFound:
        if bundle.width == WIDTH:
            raise
        return decode_bundle(bundle.full, read(bundle.full.path))[: bundle.width]


def verify_tiles(size: int, expected_root: bytes, read: Read) -> None:
    """Hash every entry again and compare every tile, up to the root.

    Proofs do not notice a flipped bit in an entry that nobody asks about; this does, and names the file.

    Raises:
        EvidenceBroken: A file or the root is not what the entries make it.
        NotFound: A file is missing.
    """
    frontier = Frontier()
    roots: list[list[bytes]] = [[]]  # roots[l]: what the full tiles below level l amount to
    for tile in tiles_for(0, size):
        if tile.level == 0:
            made = [leaf_hash(entry) for entry in read_bundle(Bundle(tile.index, tile.width), read)]
            frontier = frontier.extend(made)
        else:
            made = roots[tile.level][tile.index * WIDTH : tile.index * WIDTH + tile.width]
        for at, (held, expected) in enumerate(zip(read_tile(tile, read), made, strict=True)):
            if held != expected:
                raise EvidenceBroken(
                    f"{tile.path} has {held.hex()} at {at}, its entries make {expected.hex()}"
                )
        if len(roots) == tile.level + 1:
            roots.append([])
        if tile.width == WIDTH:
            roots[tile.level + 1].append(root(made))
    found = frontier.root()
    if found != expected_root:
        raise EvidenceBroken(f"size {size}: the entries make root {found.hex()}, not {expected_root.hex()}")


def _index_path(index: int, width: int) -> str:
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    partial = f".p/{width}" if width < WIDTH else ""
    return "/".join(["x" + group for group in groups[:-1]] + [groups[-1]]) + partial


def _check_growth(old_size: int, new_size: int) -> None:
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise Malformed(f"a log cannot go from size {old_size} to size {new_size}; it only grows")


def edge_paths(size: int) -> set[str]:
    """Name the partial tiles of a tree: at most one a level."""
    paths, level = set(), 0
    while size:
        index, width = divmod(size, WIDTH)
        if width:
            paths.add(Tile(level, index, width).path)
        size, level = size >> HEIGHT, level + 1
    return paths
