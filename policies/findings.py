"""What an audit finds wrong, where, and by which check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """The checks of an audit."""

    SIGNATURE = "signature"
    HISTORY = "history"
    TREE = "tree"
    TILES = "tiles"
    RECORD = "record"
    AGREEMENT = "agreement"
    DECISION = "decision"
    LIMIT = "limit"
    STREAM = "stream"
    RECEIPT = "receipt"


MEANING: dict[Check, str] = {
    Check.SIGNATURE: "the checkpoint is signed by the participant's own key",
    Check.HISTORY: "the log still starts with what was seen of it before",
    Check.TREE: "the records make the root that was signed",
    Check.TILES: "the published files say the same as the records",
    Check.RECORD: "every record can be read, is of this log, says what it must, and is not dated back",
    Check.AGREEMENT: "every agreement that was used is at hand, is the one that was signed, and fits the use",
    Check.DECISION: "every decision comes out the same when it is made again",
    Check.LIMIT: "no row went past a limit, a date or a revocation",
    Check.STREAM: "every stream was permitted, and settled once",
    Check.RECEIPT: "every receipt that is told of is there, signed by who owed, and says what the log says",
}
"""What it means that a check holds."""


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold, with the entry of the log or the agreement where it shows."""

    check: Check
    what: str
    entry: int | None = None
    agreement: str | None = None

    def __str__(self) -> str:
        where = f"entry {self.entry}: " if self.entry is not None else ""
        return f"{self.check}: {where}{self.what}"
