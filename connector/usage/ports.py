"""What the usage log needs from the world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from policies.counting import Amount, Bound
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


Judge = Callable[[UseTotals], Mapping[str, Any]]
"""Decides on the totals that were found; returns the fields of the record that say how, `decision` first."""


@dataclass(frozen=True)
class Reservation:
    """What a stream may send, taken from the agreement before it leaves.

    `total` and `bytes_total` are what the agreement had used, reservations of other streams included, before
    this one. `wait` is how long to wait before asking again, where a rate allows nothing now.
    """

    rows: int
    total: int
    bytes: int = 0
    bytes_total: int = 0
    wait: timedelta = timedelta(0)


@dataclass(frozen=True)
class Sent:
    """What a stream sent in all; `requests` is 0 for one that failed here before it sent anything.

    `last` is when it handed its last rows over; None where that is not known. Units: rows, bytes, requests.
    """

    rows: int = 0
    bytes: int = 0
    requests: int = 1
    last: datetime | None = None


@dataclass(frozen=True)
class LeftOpen:
    """A stream that a process left open when it died, with what was reserved for it. Units: rows, bytes."""

    agreement: str
    stream: str
    rows: int
    bytes: int

    def sent(self, known: Amount | None) -> Sent:
        """Say what it sent: what was reserved, or less where that is surely known."""
        rows, size = self.rows, self.bytes
        if known is not None:
            rows, size = min(rows, known.rows), min(size, known.bytes)
        return Sent(rows, size, requests=1 if rows or size else 0)


class UsageStore(Protocol):
    """Keeps records and the tree over them; every `save` that takes records puts them here too."""

    def append(self, records: Sequence[UsageRecord]) -> None:
        """Save records durably: when this returns, they survive a crash.

        Raises:
            StorageUnavailable: if they were not saved; then nothing may leave.
        """
        ...

    def totals(self, agreement: str, transfer: str | None = None) -> UseTotals:
        """Return what an agreement has used, open reservations included.

        If a transfer is named, an epoch that it has begun and may go on with is counted out.
        """
        ...

    def admit(self, record: UsageRecord, judge: Judge) -> UsageRecord:
        """Decide on the opening of a stream, count it if it is permitted, and save the decision, all at once.

        The record names agreement, transfer and stream, and in its detail `start`, the first row. What the
        judge returns may name in its detail columns of sets that must stay apart: once permitted, they are
        among those `released` for every opening after it, by whichever process. The judge
        is asked once, with totals that nobody changes meanwhile; if the stream goes on with an epoch that was
        begun, they count that one out. The record is filled in with what the judge returns and with those
        totals, and, if it is permitted, with the request and the epoch that it counts for. The same record
        again is returned as it was saved, and counted once; then the judge is not asked.

        Raises:
            StorageUnavailable: if it was not saved; then nothing may leave.
            Exception: whatever the judge raises; then nothing is saved.
        """
        ...

    def reserve(
        self, agreement: str, stream: str, wanted: Amount, most: Bound, record: UsageRecord
    ) -> Reservation:
        """Take up to what is wanted for a stream, so that the agreement's totals never pass `most`.

        The record is saved too; its counts are filled in with what was granted and found. Grants nothing
        (and saves nothing) when one of the two that are wanted is used up, or when a rate lets no row go at
        the time of the record. Exact under any number of threads and processes. The same record again
        is granted what it was granted before, once.

        Raises:
            StaleState: if the stream was settled.
            Forbidden: if the agreement was revoked.
            StorageUnavailable: if nothing was granted.
        """
        ...

    def settle(self, agreement: str, stream: str, sent: Sent, record: UsageRecord) -> None:
        """Replace a stream's reservations by what it sent, and save the record; once per stream.

        The record's counts are filled in, those before with the agreement's totals without this stream's
        reservations. The last delivery is then no earlier than its last rows. With a request that came to
        nothing an epoch is given back in which nothing was sent. A second time nothing happens.
        """
        ...

    def open_streams(self) -> Sequence[LeftOpen]:
        """Return the streams that a process left open when it died."""
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


class Progress(Protocol):
    """Remembers how much streams have sent, cheaply: it outlives the process, not always the machine."""

    def begin(self, stream: str) -> Callable[[Amount], None]:
        """Return what is to be told, before anything leaves, how much will then have left in all.

        Raises:
            StorageUnavailable: if it cannot be kept.
        """
        ...

    def sent(self, stream: str) -> Amount | None:
        """Return how much left at most, or None if that is not surely known."""
        ...

    def forget(self, stream: str) -> None:
        """Keep nothing more of a stream; one that is unknown is no error."""
        ...

    def tidy(self, keep: Iterable[str]) -> None:
        """Forget all streams but these, and those that any process still writes of."""
        ...
