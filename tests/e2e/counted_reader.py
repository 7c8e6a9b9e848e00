"""A process whose streams let rows go until it is killed, and which says of each row that it left."""

from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path

from connector.usage.ports import Sent
from connector.usage.service import UsageLog
from policies.counting import Amount, Bound
from schemas.usage import UsageKind
from tests.e2e.log_writer import AGREEMENT, open_log, say

READERS, BLOCK, PIECE, LONG = 4, 1000, 10, 2500
MOST = Bound(rows=1_000_000, bytes=20_000_000)
ROW_BYTES = 20


def read(log: UsageLog, run: str, reader: int) -> None:
    """Open one stream after the other, as the data plane does; every third is left as it is."""
    for turn in itertools.count():
        stream = f"urn:stream:{run}:{reader}:{turn}"
        named = {"agreement": AGREEMENT, "transfer": f"urn:t:{reader}", "stream": stream}
        asked = log.record(UsageKind.ACCESS_DECISION, **named, detail={"start": 0})
        log.admit(asked, lambda _: {"decision": "permit"})
        tell, sent, reserved = log.progress(stream), 0, 0
        while sent < LONG:
            if sent == reserved:
                record = log.record(UsageKind.STREAM_RESERVED, **named)
                wanted = Amount(BLOCK, BLOCK * ROW_BYTES)
                reserved += log.reserve(AGREEMENT, stream, wanted, MOST, record).rows
            sent += PIECE
            tell(Amount(sent, sent * ROW_BYTES))
            say(f"left {stream} {sent}")
        if turn % 3:
            record = log.record(UsageKind.STREAM_SETTLED, **named)
            log.settle(AGREEMENT, stream, Sent(sent, sent * ROW_BYTES), record)


def main(url: str, folder: Path, run: str) -> None:
    """Let rows go until killed."""
    _, log = open_log(url, folder, run)
    log.start()
    say("started")
    readers = [threading.Thread(target=read, args=(log, run, at), daemon=True) for at in range(READERS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
