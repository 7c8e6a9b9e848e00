"""What the usage log needs from the world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from policies.use import UseTotals
from schemas.usage import UsageRecord


@dataclass(frozen=True)
class LoggedRecord:
    """A record with its place in the log; `record` and `salt` open the commitment that the tree holds."""

    index: int
    record: bytes
    salt: bytes


@dataclass(frozen=True)
class LogHead:
    """What was last signed: size in leaves, root (32 bytes), and the signed note."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True)
class Reservation:
    """Rows that a stream may send, taken from the agreement before they leave.

    `total` is what the agreement had used, reservations of other streams included, before this one.
    """

    rows: int
    total: int


class UsageStore(Protocol):
    """Keeps records and the tree over them; every `save` that takes records puts them here too."""

    def append(self, records: Sequence[UsageRecord]) -> None:
        """Save records durably: when this returns, they survive a crash.

        Raises:
            StorageUnavailable: if they were not saved; then nothing may leave.
        """
        ...

    def totals(self, agreement: str) -> UseTotals:
        """Return what an agreement has used, open reservations included."""
        ...

    def reserve(
        self, agreement: str, stream: str, rows: int, most: int | None, record: UsageRecord
    ) -> Reservation:
        """Take up to `rows` rows for a stream, so that the agreement's total never passes `most`.

        The record is saved too; its `rows` and `rows_before` are filled in with what was granted. Grants 0
        rows (and saves nothing) when nothing is left. Exact under any number of threads and processes. The
        same record again is granted what it was granted before, once.

        Raises:
            StaleState: if the stream was settled.
            Forbidden: if the agreement was revoked.
            StorageUnavailable: if nothing was granted.
        """
        ...

    def settle(self, agreement: str, stream: str, rows: int, record: UsageRecord) -> None:
        """Replace a stream's reservations by the rows that it sent, and save the record; once per stream.

        The record's `rows` is filled in, and `rows_before` with the agreement's total without this stream.
        A second time nothing happens.
        """
        ...

    def open_streams(self) -> Sequence[tuple[str, str, int]]:
        """Return (agreement, stream, rows reserved) of streams that a process left open when it died."""
        ...

    def sequence(self, most: int = 1000) -> int:
        """Give the oldest records without a place the next places in the log; return how many.

        One sequencer at a time: a second one gets 0.
        """
        ...

    def backlog(self) -> int:
        """Return how many records have no place yet."""
        ...

    def size(self) -> int:
        """Return how many leaves the log has."""
        ...

    def entries(self, start: int, most: int) -> Sequence[LoggedRecord]:
        """Return records by place, from `start`."""
        ...

    def leaf_hashes(self, start: int, end: int) -> Sequence[bytes]:
        """Return the 32-byte leaf hashes of places start … end - 1."""
        ...

    def entry_bytes(self, start: int, end: int) -> Sequence[bytes]:
        """Return the public leaf entries (commitments) of places start … end - 1."""
        ...

    def head(self) -> LogHead | None:
        """Return the newest signed head."""
        ...

    def stage_head(self, size: int, root: bytes) -> None:
        """Record a head before it is signed.

        Raises:
            EvidenceBroken: if another root was recorded for that size; then never sign.
        """
        ...

    def publish_head(self, head: LogHead) -> None:
        """Save the signed note of a staged head."""
        ...


class Tiles(Protocol):
    """Keeps the files of the log: derived from the store, and made again from it when they are missing."""

    def read(self, path: str) -> bytes:
        """Return a file.

        Raises:
            NotFound: naming the path.
        """
        ...

    def write(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Save files durably; none is ever seen half written. A full tile takes away its partial forms.

        Raises:
            StorageUnavailable: if one was not saved; earlier ones may stand.
        """
        ...

    def size(self, path: str) -> int | None:
        """Return the length of a file in bytes, None where there is none."""
        ...
