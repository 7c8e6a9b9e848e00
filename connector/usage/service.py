"""The tamper-evident usage log: append before release, then a place in the tree, then a signed checkpoint.

```
append, or the save of another store ──► record + salt in the database      "no effect without evidence"
sequence                             ──► the next places in the tree        one at a time, in batches
publish                              ──► tiles ──► head staged ──► signed ──► checkpoint
```

The database is the truth; tiles are made from it. A crash leaves behind records without a place, places
without tiles, or a staged head without a signature: the next `step` goes on from there, and since a head is
staged before it is signed, one size can never be signed with two roots.

Source: C2SP tlog-tiles, tlog-checkpoint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from joserfc.jwk import OKPKey

from connector.usage.logkey import signing_key
from connector.usage.ports import (
    Judge,
    LoggedRecord,
    LogHead,
    Progress,
    Reservation,
    Sent,
    Tiles,
    UsageStore,
)
from policies.counting import Amount, Bound
from policies.evidence.checkpoint import Checkpoint
from policies.evidence.note import sign
from policies.evidence.tiles import (
    WIDTH,
    Bundle,
    TileNodes,
    bundles_for,
    edge_paths,
    encode_bundle,
    grown_tiles,
    parse_path,
)
from policies.evidence.tree import Frontier, inclusion_proof
from policies.use import UseTotals
from schemas.errors import EvidenceBroken, NotFound, Unavailable
from schemas.usage import UsageKind, UsageRecord

CHECKPOINT = "checkpoint"
BATCH = 1000
"""Records that get their places in one transaction."""
MOST_DELAY = 1.0
"""Seconds until records are found that another store, or another process, saved."""

PAUSE = 0.05
"""Seconds between checkpoints under load, so that many records share one."""

_CHUNK = 8192
_log = structlog.get_logger("connector.usage")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LogHealth:
    """How the log is doing.

    `size` leaves are signed, `backlog` records wait for a place; `problem` says what is wrong, if anything.
    """

    size: int
    backlog: int
    problem: str | None


class UsageLog:
    """One participant's usage log; safe to use from many threads.

    Args:
        store: Keeps records, tree and heads.
        key: Signs checkpoints.
        origin: Name of the log, such as `connector.example/audit/2026`.
        did: Whose log this is.
        clock: Tells the time of records.
        new_id: Makes their ids.
        tiles: Keeps the files of the log.
        progress: Remembers what streams have sent, over a crash.
    """

    def __init__(  # noqa: PLR0913  one place where a log is put together
        self,
        *,
        store: UsageStore,
        key: OKPKey,
        origin: str,
        did: str,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        tiles: Tiles,
        progress: Progress,
    ) -> None:
        self.origin = origin
        self.did = did
        self._store = store
        self._key = signing_key(origin, key)
        self._clock = clock
        self._new_id = new_id
        self._tiles = tiles
        self._progress = progress
        self._frontier: Frontier | None = None
        self._edge: dict[str, bytes] = {}  # partial tiles of the right edge, so that none is read back
        self._broken: EvidenceBroken | None = None
        self._problem: str | None = None
        self._stepping = threading.Lock()
        self._work = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def vkey(self) -> str:
        """The public key of the log, as signed notes name it."""
        return self._key.verifier.encode()

    # --- writing -------------------------------------------------------------------------------------

    def record(self, kind: UsageKind, **fields: Any) -> UsageRecord:
        """Make a record with id, time and log filled in; nothing is saved."""
        at = (self._clock() - _EPOCH) // timedelta(microseconds=1)
        return UsageRecord(id=self._new_id(), at=at, kind=kind, log=self.did, **fields)

    def append(self, *records: UsageRecord) -> None:
        """Save records durably; when this returns, they survive a crash.

        Raises:
            StorageUnavailable: if they were not saved; then nothing may leave.
            EvidenceBroken: if this log was found broken; then nothing may leave either.
        """
        self._check()
        self._store.append(records)
        self._work.set()

    def totals(self, agreement: str, transfer: str | None = None) -> UseTotals:
        """Return what an agreement has used; see `UsageStore.totals`."""
        return self._store.totals(agreement, transfer)

    def admit(self, record: UsageRecord, judge: Judge) -> UsageRecord:
        """Decide on the opening of a stream and save the decision at once; see `UsageStore.admit`."""
        self._check()
        told = self._store.admit(record, judge)
        self._work.set()
        return told

    def progress(self, stream: str) -> Callable[[Amount], None]:
        """Return what is to be told, before anything of a stream leaves, how much will then have left."""
        return self._progress.begin(stream)

    def reserve(
        self, agreement: str, stream: str, wanted: Amount, most: Bound, record: UsageRecord
    ) -> Reservation:
        """Take up to what is wanted for a stream before it leaves; see `UsageStore.reserve`."""
        self._check()
        reservation = self._store.reserve(agreement, stream, wanted, most, record)
        self._work.set()
        return reservation

    def settle(self, agreement: str, stream: str, sent: Sent, record: UsageRecord) -> None:
        """Replace a stream's reservations by what it sent, once per stream."""
        self._store.settle(agreement, stream, sent, record)
        self._progress.forget(stream)
        self._work.set()

    # --- growing -------------------------------------------------------------------------------------

    def open(self) -> None:
        """Check the stored tree against what was signed, make missing tiles, close what a crash left open.

        Raises:
            EvidenceBroken: if the stored leaves do not make the root that was signed, or are fewer.
            StorageUnavailable: if the store or the folder of tiles cannot be used.
        """
        with self._stepping:
            if self._frontier is None:
                self._frontier = self._guarded(self._restore)
        self._settle_crashed()
        if self._store.size() == 0 and self._store.backlog() == 0:
            self.append(self.record(UsageKind.LOG_OPENED, detail={"origin": self.origin}))

    def step(self) -> int:
        """Give waiting records their places, publish tiles, and sign a checkpoint if the log has grown.

        Returns:
            How many records got a place.

        Raises:
            EvidenceBroken: if the log contradicts what was signed; then it never signs again.
            StorageUnavailable: if the store or the folder of tiles cannot be used; the next step goes on.
        """
        with self._stepping:
            self._check()
            if self._frontier is None:
                self._frontier = self._guarded(self._restore)
            placed = 0
            while True:
                last = self._store.sequence(BATCH)
                placed += last
                if last < BATCH:
                    break
            self._frontier = self._guarded(self._publish)
            return placed

    def start(self) -> None:
        """Open the log and keep it growing in a thread of its own.

        Raises:
            EvidenceBroken: as `open`.
            StorageUnavailable: as `open`.
        """
        self.open()
        self.step()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="usage-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after a last step."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping.set()
            self._work.set()
            thread.join()

    def health(self) -> LogHealth:
        """Say how the log is doing."""
        head = self.head()
        return LogHealth(head.size if head else 0, self._store.backlog(), self._problem)

    # --- reading -------------------------------------------------------------------------------------

    def head(self) -> LogHead | None:
        """Return the newest signed head."""
        return self._store.head()

    def entries(self, start: int, most: int) -> Sequence[LoggedRecord]:
        """Return records with their salts, from place `start`, as far as they are signed."""
        head = self.head()
        end = min(start + most, head.size if head else 0)
        return self._store.entries(start, end - start) if 0 <= start < end else ()

    def tile(self, path: str) -> bytes:
        """Return a tile or bundle by its path.

        Raises:
            Malformed: if it is no path of a tile.
            NotFound: if the log has no such file.
        """
        path = parse_path(path).path
        try:
            return self._tiles.read(path)
        except NotFound:
            # Another process on the same database may have signed more than we have files for.
            if not self._is_behind():
                raise
            self.step()
            return self._tiles.read(path)

    def entry_proof(self, index: int) -> tuple[bytes, ...]:
        """Prove that an entry is in the log as last signed.

        Raises:
            NotFound: if it is not.
        """
        head = self.head()
        size = head.size if head else 0
        return inclusion_proof(index, size, TileNodes(size, self._tiles.read))

    # --- inside --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._work.wait(MOST_DELAY)
            self._work.clear()
            last = self._stopping.is_set()
            try:
                self.step()
                self._problem = None
            except Unavailable as error:  # nothing was changed: the next turn tries again
                self._problem = str(error)
                self._stopping.wait(MOST_DELAY)
            except EvidenceBroken as error:  # said by health(), and by every append from now on
                self._problem = str(error)
                return
            except Exception as error:
                # A thread that dies would leave records without a place, and nobody would say so.
                _log.exception("the log did not grow")
                self._problem = f"the log did not grow: {type(error).__name__}; it was logged here"
                self._stopping.wait(MOST_DELAY)
            if last:
                return
            self._stopping.wait(PAUSE)

    def _is_behind(self) -> bool:
        head, frontier = self.head(), self._frontier
        return head is not None and (frontier is None or frontier.size < head.size)

    def _check(self) -> None:
        if self._broken is not None:
            raise EvidenceBroken(f"the usage log is broken, so nothing may leave: {self._broken}")

    def _guarded(self, act: Callable[[], Frontier]) -> Frontier:
        try:
            return act()
        except EvidenceBroken as error:
            self._broken = error
            raise

    def _settle_crashed(self) -> None:
        for left in self._store.open_streams():
            known = self._progress.sent(left.stream)
            detail: dict[str, str | int] = {"end": "crashed", "reserved": left.rows}
            fields = {"agreement": left.agreement, "stream": left.stream, "detail": detail}
            record = self.record(UsageKind.STREAM_SETTLED, **fields)
            self.settle(left.agreement, left.stream, left.sent(known), record)
        # Who died between settling and forgetting left a note that nobody asks for any more.
        self._progress.tidy(left.stream for left in self._store.open_streams())

    def _restore(self) -> Frontier:
        """Build the frontier from the stored leaves, compare it with what was signed, complete the files."""
        size, head = self._store.size(), self._store.head()
        if head is not None and head.size > size:
            raise EvidenceBroken(
                f"{self.origin} was signed at size {head.size} but holds {size} entries; restore the database"
            )
        signed = head.size if head else 0
        leaves = list(self._leaves(0, signed))
        frontier = Frontier().extend(leaves)
        if head is not None and frontier.root() != head.root:
            raise EvidenceBroken(
                f"{self.origin} was signed at size {signed} with root {head.root.hex()}, but its stored "
                f"entries make {frontier.root().hex()}; keep the database as evidence and restore a good one"
            )
        self._tiles.write(self._missing(signed, leaves, head))
        return frontier

    def _missing(self, size: int, leaves: list[bytes], head: LogHead | None) -> Iterator[tuple[str, bytes]]:
        self._edge = {}
        for tile, data in grown_tiles(0, leaves, self._tiles.read):
            if tile.width < WIDTH:
                self._edge[tile.path] = data
            if self._tiles.size(tile.path) != len(data):
                yield tile.path, data
        for bundle in bundles_for(0, size):
            if self._tiles.size(bundle.path) is None:
                yield bundle.path, self._bundle(bundle)
        if head is not None:
            yield CHECKPOINT, head.note.encode()

    def _publish(self) -> Frontier:
        frontier, size = self._frontier, self._store.size()
        if frontier is None or size <= frontier.size:
            return frontier or Frontier()
        leaves = list(self._leaves(frontier.size, size))
        grown = frontier.extend(leaves)
        tiles = list(grown_tiles(frontier.size, leaves, self._read_edge))
        self._tiles.write((tile.path, data) for tile, data in tiles)
        self._tiles.write((item.path, self._bundle(item)) for item in bundles_for(frontier.size, size))
        root = grown.root()
        self._store.stage_head(size, root)  # before signing: it refuses a second root for one size
        note = sign(Checkpoint(self.origin, size, root).encode(), self._key)
        self._store.publish_head(LogHead(size, root, note))
        self._tiles.write([(CHECKPOINT, note.encode())])
        held = {**self._edge, **{tile.path: data for tile, data in tiles}}
        self._edge = {path: data for path, data in held.items() if path in edge_paths(size)}
        return grown

    def _read_edge(self, path: str) -> bytes:
        try:
            return self._edge[path]
        except KeyError:
            raise NotFound(f"the right edge of {self.origin} has no tile {path!r}") from None

    def _leaves(self, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, _CHUNK):
            found = self._store.leaf_hashes(at, min(at + _CHUNK, end))
            if len(found) != min(_CHUNK, end - at):
                raise EvidenceBroken(
                    f"{self.origin} lacks entries between {at} and {end}; restore the database"
                )
            yield from found

    def _bundle(self, bundle: Bundle) -> bytes:
        start = bundle.index * WIDTH
        return encode_bundle(self._store.entry_bytes(start, start + bundle.width))
