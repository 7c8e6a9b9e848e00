"""Whatever moment a connector is killed at: what was acknowledged is in the log, once, and the log holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from connector.adapters.keys import load_or_create_key
from connector.adapters.sql import SqlStores
from connector.adapters.sql_tables import log_heads
from connector.usage.logkey import verifier_keys
from connector.usage.service import UsageLog
from policies.evidence.checkpoint import verify_checkpoint
from policies.evidence.tiles import verify_tiles
from policies.evidence.tree import root
from schemas.identity import document_for
from schemas.usage import UsageKind, UsageRecord
from tests.e2e.log_writer import AGREEMENT, DID, ORIGIN, open_log

WRITER = Path(__file__).with_name("log_writer.py")
ROOT = Path(__file__).resolve().parents[2]
KILLED_AFTER = (0.05, 0.31, 0.7)
"""Seconds of writing; the moments are not chosen well, and that is the point."""


def write_and_die(url: str, folder: Path, run: int, seconds: float) -> list[list[str]]:
    """Run a writer, kill it without warning, and return what it had said by then."""
    writer = subprocess.Popen(
        [sys.executable, str(WRITER), url, str(folder), str(run)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"started\n"
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    said = writer.stdout.read().decode()
    writer.stdout.close()
    writer.wait()
    return [line.split() for line in said.splitlines() if line]


def all_records(log: UsageLog) -> Iterator[UsageRecord]:
    start = 0
    while page := log.entries(start, 1000):
        yield from (UsageRecord.model_validate_json(item.record) for item in page)
        start += len(page)


def check_tree(stores: SqlStores, log: UsageLog, folder: Path) -> None:
    """Check the newest checkpoint down to the files, and that every one before it is a part of it."""
    head = log.head()
    assert head is not None
    document = document_for(DID, load_or_create_key(folder / "key.json"))
    verify_checkpoint(head.note, ORIGIN, verifier_keys(ORIGIN, document))
    verify_tiles(head.size, head.root, log.tile)
    leaves = stores.usage.leaf_hashes(0, head.size)
    with stores.database.read() as connection:
        for row in connection.execute(select(log_heads)):
            assert root(leaves[: row.size]) == row.root, f"size {row.size}"


@pytest.mark.e2e
def test_acknowledged_records_are_in_the_log_once_however_often_its_writer_is_killed(
    stores_url: str, tmp_path: Path
) -> None:
    said: list[list[str]] = []
    for run, seconds in enumerate(KILLED_AFTER):
        said += write_and_die(stores_url, tmp_path, run, seconds)
    stores, log = open_log(stores_url, tmp_path, "checker")
    try:
        deadline = time.monotonic() + 10  # a server takes a moment to notice that a connection ended
        while True:
            log.open()
            log.step()
            records = list(all_records(log))
            settled = {item.stream for item in records if item.kind is UsageKind.STREAM_SETTLED}
            reserved = {item.stream for item in records if item.kind is UsageKind.STREAM_RESERVED}
            if reserved == settled or time.monotonic() > deadline:
                break
        acknowledged = [words[1] for words in said]
        assert len(acknowledged) > 20, "the writers hardly wrote"
        ids = [item.id for item in records]
        assert len(ids) == len(set(ids))
        assert set(acknowledged) <= set(ids)
        check_tree(stores, log, tmp_path)
        assert reserved == settled
        rows = sum(item.rows or 0 for item in records if item.kind is UsageKind.STREAM_SETTLED)
        assert log.totals(AGREEMENT).rows == rows
        crashed = [item for item in records if item.detail.get("end") == "crashed"]
        assert crashed
        assert all(item.rows == 10 for item in crashed)
        assert stores.usage.open_streams() == []
    finally:
        stores.close()
