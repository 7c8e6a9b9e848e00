"""A process that writes into a usage log until it is killed, and says what was acknowledged."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from connector.adapters.keys import load_or_create_key
from connector.adapters.progress import FileProgress
from connector.adapters.sql import SqlStores
from connector.adapters.tiles import FileTiles
from connector.usage.ports import Sent
from connector.usage.service import UsageLog
from policies.counting import Amount, Bound
from schemas.usage import UsageKind

ORIGIN, DID, AGREEMENT = "us.example/usage", "did:web:us.example", "urn:uuid:agreement-1"
WRITERS = 4


def open_log(url: str, folder: Path, run: str) -> tuple[SqlStores, UsageLog]:
    """Open the log as the run that is named; each run makes ids of its own."""
    numbers = itertools.count()
    stores = SqlStores(url)
    log = UsageLog(
        store=stores.usage,
        key=load_or_create_key(folder / "key.json"),
        origin=ORIGIN,
        did=DID,
        clock=lambda: datetime.fromtimestamp(time.monotonic(), UTC),
        new_id=lambda: f"urn:run:{run}:{next(numbers)}",
        tiles=FileTiles(folder / "log"),
        progress=FileProgress(folder / "progress"),
    )
    return stores, log


def say(line: str) -> None:
    """Tell the parent at once; one write is never torn."""
    os.write(1, line.encode() + b"\n")


def write(log: UsageLog, run: str, writer: int) -> None:
    """Append, reserve and settle, and say each id once it was acknowledged."""
    for turn in itertools.count():
        told = log.record(UsageKind.ASSET_PUBLISHED, dataset=f"urn:d:{turn}")
        log.append(told)
        say(f"record {told.id}")
        stream = f"urn:stream:{run}:{writer}:{turn}"
        told = log.record(UsageKind.STREAM_RESERVED, agreement=AGREEMENT, stream=stream)
        rows = log.reserve(AGREEMENT, stream, Amount(10, 100), Bound(), told).rows
        say(f"reserved {told.id} {stream} {rows}")
        if turn % 3:
            told = log.record(UsageKind.STREAM_SETTLED, agreement=AGREEMENT, stream=stream)
            log.settle(AGREEMENT, stream, Sent(7, 70), told)
            say(f"settled {told.id} {stream} 7")


def main(url: str, folder: Path, run: str) -> None:
    """Write until killed."""
    _, log = open_log(url, folder, run)
    log.start()
    say("started")
    writers = [threading.Thread(target=write, args=(log, run, at), daemon=True) for at in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
