"""What the story does to a copied log, to show that it is noticed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import NotFound

_MARK = b'\\"rows\\":'


@dataclass(frozen=True)
class Flipped:
    """Where a byte was flipped: the copy's folder, and the entry whose record it is."""

    folder: Path
    index: int


def flip_a_byte(copies: Path) -> Flipped:
    """Flip the lowest bit of one digit, in the number of rows of a settled stream.

    Raises:
        NotFound: if no copy holds such a record.
    """
    for file in sorted(copies.glob("*/records.jsonl")):
        held = bytearray(file.read_bytes())
        settled = held.find(b"stream.settled")
        start = held.rfind(b"\n", 0, settled) + 1
        place = held.find(_MARK, start)
        if settled < 0 or place < 0:
            continue
        held[place + len(_MARK)] ^= 1
        file.write_bytes(held)
        line = bytes(held[start : held.find(b"\n", start)])
        return Flipped(file.parent, int(json.loads(line)["index"]))
    raise NotFound(f"no copy below {copies} tells of a settled stream")
