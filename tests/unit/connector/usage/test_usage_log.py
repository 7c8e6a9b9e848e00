"""The usage log grows, is signed, and survives what may happen to it."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from connector.adapters.progress import FileProgress
from connector.adapters.sql import SqlStores
from connector.adapters.tiles import FileTiles
from connector.usage.logkey import verifier_keys
from connector.usage.service import CHECKPOINT, UsageLog
from policies.counting import Amount, Bound
from policies.evidence.checkpoint import Checkpoint, verify_checkpoint
from policies.evidence.commitment import commit
from policies.evidence.note import VerifierKey
from policies.evidence.tiles import verify_tiles
from policies.evidence.tree import leaf_hash, root, verify_inclusion
from schemas.errors import EvidenceBroken, Malformed, NotFound, StorageUnavailable
from schemas.identity import document_for, generate_key
from schemas.usage import UsageKind, UsageRecord
from tests.policy_builders import NOON

US = "did:web:us.example"
ORIGIN = "us.example/usage"
KEY = generate_key()
AGREEMENT = "urn:uuid:agreement-1"


class Bench:
    """A log that can be opened again over the same database and folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[SqlStores] = []
        self._numbers = itertools.count()

    def log(self, tiles: str = "log") -> UsageLog:
        stores = SqlStores(f"sqlite:///{self.folder}/stores.db")
        self.opened.append(stores)
        return UsageLog(
            store=stores.usage,
            key=KEY,
            origin=ORIGIN,
            did=US,
            clock=lambda: NOON,
            new_id=lambda: f"urn:record:{next(self._numbers)}",
            tiles=FileTiles(self.folder / tiles),
            progress=FileProgress(self.folder / "progress"),
        )

    @property
    def stores(self) -> SqlStores:
        return self.opened[-1]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for stores in made.opened:
        stores.close()


def tell(log: UsageLog, count: int) -> None:
    log.append(*[log.record(UsageKind.ASSET_PUBLISHED, dataset=f"urn:d:{at}") for at in range(count)])


def verified(log: UsageLog) -> Checkpoint:
    """Check a log as anybody can: the note, and every file down to the entries."""
    note = log.head()
    assert note is not None
    checkpoint = verify_checkpoint(note.note, ORIGIN, verifier_keys(ORIGIN, document_for(US, KEY))).checkpoint
    verify_tiles(checkpoint.size, checkpoint.root, log.tile)
    assert (checkpoint.size, checkpoint.root) == (note.size, note.root)
    return checkpoint


def test_a_new_log_opens_with_an_entry_that_says_so(bench: Bench) -> None:
    log = bench.log()
    log.open()
    assert log.step() == 1
    assert verified(log).size == 1
    (entry,) = log.entries(0, 10)
    assert UsageRecord.model_validate_json(entry.record).kind is UsageKind.LOG_OPENED


def test_a_log_of_any_growth_can_be_verified_by_anybody(bench: Bench) -> None:
    log = bench.log()
    log.open()
    for count in (0, 4, 250, 1, 1, 300, 1600):
        tell(log, count)
        assert log.step() == count + (1 if count == 0 else 0)
        verified(log)
    assert verified(log).size == 2157


def test_nothing_is_signed_again_when_nothing_happened(bench: Bench) -> None:
    log = bench.log()
    log.open()
    log.step()
    before = log.head()
    assert log.step() == 0
    assert log.head() == before


def test_the_key_of_the_log_is_the_one_in_the_did_document(bench: Bench) -> None:
    log = bench.log()
    assert (VerifierKey.parse(log.vkey),) == verifier_keys(ORIGIN, document_for(US, KEY))


def test_an_entry_can_be_proved_to_be_in_the_log(bench: Bench) -> None:
    log = bench.log()
    log.open()
    tell(log, 300)
    log.step()
    checkpoint = verified(log)
    for index in (0, 7, 256, 300):
        (entry,) = log.entries(index, 1)
        leaf = leaf_hash(commit(entry.record, entry.salt))
        verify_inclusion(leaf, index, checkpoint.size, log.entry_proof(index), checkpoint.root)
    with pytest.raises(NotFound):
        log.entry_proof(301)


def test_what_is_not_signed_yet_is_not_shown(bench: Bench) -> None:
    log = bench.log()
    log.open()
    log.step()
    tell(log, 5)
    assert len(log.entries(0, 100)) == 1
    assert log.entries(-1, 5) == ()
    assert log.entries(1, 5) == ()
    assert log.health().backlog == 5


@pytest.mark.parametrize(
    "path", ["tile/0/../../stores.db", "tile/0/0", "checkpoint", "/etc/passwd", "tile/9/abc"]
)
def test_a_path_that_names_no_tile_is_refused(bench: Bench, path: str) -> None:
    log = bench.log()
    log.open()
    log.step()
    with pytest.raises(Malformed):
        log.tile(path)


def test_a_tile_that_does_not_exist_is_not_found(bench: Bench) -> None:
    log = bench.log()
    log.open()
    log.step()
    with pytest.raises(NotFound):
        log.tile("tile/0/005")


def test_missing_files_are_made_again_when_the_log_opens(bench: Bench) -> None:
    log = bench.log()
    log.open()
    tell(log, 700)
    log.step()
    before = {path: path.read_bytes() for path in sorted((bench.folder / "log").rglob("*")) if path.is_file()}
    shutil.rmtree(bench.folder / "log" / "tile" / "0")
    (bench.folder / "log" / "tile" / "entries" / "001").unlink()
    (bench.folder / "log" / CHECKPOINT).unlink()
    again = bench.log()
    again.open()
    after = {path: path.read_bytes() for path in sorted((bench.folder / "log").rglob("*")) if path.is_file()}
    assert after == before
    tell(again, 70)
    again.step()
    verified(again)


def test_partial_tiles_go_when_the_full_one_stands(bench: Bench) -> None:
    log = bench.log()
    log.open()
    tell(log, 9)
    log.step()
    assert (bench.folder / "log/tile/0/000.p/10").is_file()
    tell(log, 246)
    log.step()
    assert not (bench.folder / "log/tile/0/000.p").exists()
    assert not (bench.folder / "log/tile/entries/000.p").exists()
    verified(log)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE log_leaves SET leaf = zeroblob(32) WHERE place = 3",
        "DELETE FROM log_leaves WHERE place = 3",
        "DELETE FROM log_leaves WHERE place > 3",
    ],
)
def test_a_log_that_contradicts_its_signature_does_not_open(bench: Bench, damage: str) -> None:
    log = bench.log()
    log.open()
    tell(log, 9)
    log.step()
    with bench.stores.database.write() as connection:
        connection.execute(text(damage))
    again = bench.log()
    with pytest.raises(EvidenceBroken):
        again.open()
    with pytest.raises(EvidenceBroken, match="nothing may leave"):
        tell(again, 1)
    with pytest.raises(EvidenceBroken, match="nothing may leave"):
        again.reserve(AGREEMENT, "urn:s", Amount(1), Bound(), again.record(UsageKind.STREAM_RESERVED))


def test_a_second_root_for_a_signed_size_is_never_signed(bench: Bench) -> None:
    log = bench.log()
    log.open()
    log.step()
    bench.stores.usage.stage_head(3, b"x" * 32)
    tell(log, 2)
    with pytest.raises(EvidenceBroken, match="size 3"):
        log.step()
    assert verified_size(log) == 1
    with pytest.raises(EvidenceBroken):
        tell(log, 1)


def verified_size(log: UsageLog) -> int:
    head = log.head()
    return head.size if head else 0


def test_a_crash_after_staging_a_head_is_repaired_by_the_next_start(bench: Bench) -> None:
    log = bench.log()
    log.open()
    log.step()
    tell(log, 2)
    bench.stores.usage.sequence()
    leaves = bench.stores.usage.leaf_hashes(0, 3)
    bench.stores.usage.stage_head(3, root(leaves))
    again = bench.log()
    again.open()
    again.step()
    assert verified(again).size == 3


def test_two_processes_on_one_database_sign_one_log(bench: Bench) -> None:
    one, other = bench.log("one"), bench.log("other")
    one.open()
    one.step()
    other.open()
    for count in range(1, 6):
        for log in (one, other):
            tell(log, count)
            log.step()
            verified(log)
    verified(one)  # the other signed last: the missing files are made on demand
    assert len({item.record for item in one.entries(0, 100)}) == 31


def test_a_full_disk_stops_the_log_and_it_goes_on_by_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = bench.log()
    log.open()
    log.step()
    tell(log, 5)

    def full(*_: object) -> None:
        raise StorageUnavailable("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FileTiles, "write", full)
        with pytest.raises(StorageUnavailable):
            log.step()
        assert verified(log).size == 1
    tell(log, 5)
    log.step()
    assert verified(log).size == 11


def test_streams_left_by_a_crash_are_settled_with_all_that_they_reserved(bench: Bench) -> None:
    log = bench.log()
    log.open()
    record = log.record(UsageKind.STREAM_RESERVED, agreement=AGREEMENT, stream="urn:s")
    log.reserve(AGREEMENT, "urn:s", Amount(40), Bound(100), record)
    again = bench.log()
    again.open()
    again.step()
    assert again.totals(AGREEMENT).rows == 40
    last = UsageRecord.model_validate_json(again.entries(2, 1)[0].record)
    assert (last.kind, last.stream, last.rows) == (UsageKind.STREAM_SETTLED, "urn:s", 40)
    assert last.detail == {"end": "crashed", "reserved": 40}
    third = bench.log()
    third.open()
    third.step()
    assert verified(third).size == 3


def test_a_running_log_signs_soon_after_an_append_and_under_load(bench: Bench) -> None:
    log = bench.log()
    log.start()
    try:

        def write() -> None:
            for _ in range(10):
                tell(log, 1)

        writers = [threading.Thread(target=write) for _ in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        began = time.monotonic()
        while verified_size(log) < 81 and time.monotonic() < began + 10:
            pass
        assert verified_size(log) == 81
        assert log.health().problem is None
    finally:
        log.stop()
    assert verified(log).size == 81


def test_stopping_signs_what_was_appended_last(bench: Bench) -> None:
    log = bench.log()
    log.start()
    tell(log, 3)
    log.stop()
    assert verified(log).size == 4


def test_a_running_log_that_breaks_says_so_and_takes_nothing_more(bench: Bench) -> None:
    log = bench.log()
    log.start()
    try:
        bench.stores.usage.stage_head(2, b"x" * 32)
        tell(log, 1)
        began = time.monotonic()
        while log.health().problem is None and time.monotonic() < began + 10:
            pass
        assert "size 2" in str(log.health().problem)
        with pytest.raises(EvidenceBroken):
            tell(log, 1)
    finally:
        log.stop()
