"""Wherever a process is killed: no row that left is uncounted, and what never left is given back."""

from __future__ import annotations

import array
import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from connector.adapters.progress import FileProgress
from connector.usage.service import UsageLog
from policies.counting import Amount
from schemas.usage import UsageKind, UsageRecord
from tests.e2e.counted_reader import BLOCK, MOST, PIECE, ROW_BYTES
from tests.e2e.log_writer import AGREEMENT, open_log

PIPE = 60_000
"""Bytes at which a pipe of 64 KiB takes hardly more."""

READER = Path(__file__).with_name("counted_reader.py")
ROOT = Path(__file__).resolve().parents[2]


def read_and_die(url: str, folder: Path, run: int, lines: int, *, stuck: bool) -> dict[str, int]:
    """Run a reader, kill it once it said so many lines, and return what it had let go by then, by stream.

    `stuck` waits until it can say no more, so that it dies between two pieces and not while it reserves.
    """
    reader = subprocess.Popen(
        [sys.executable, str(READER), url, str(folder), str(run)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"started\n"
    said = b"".join(reader.stdout.readline() for _ in range(lines))
    if stuck:
        deadline = time.monotonic() + 30
        while waiting(reader.stdout.fileno()) < PIPE:
            assert time.monotonic() < deadline, "the reader does not go on"
            time.sleep(0.01)
    reader.send_signal(signal.SIGKILL)
    said += reader.stdout.read()
    reader.stdout.close()
    reader.wait()
    left: dict[str, int] = {}
    for line in said.decode().splitlines():
        _, stream, rows = line.split()
        left[stream] = max(left.get(stream, 0), int(rows))
    return left


def waiting(pipe: int) -> int:
    """Count the bytes that were written to a pipe and not read."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def records(log: UsageLog) -> list[UsageRecord]:
    """Everything in the log."""
    log.step()
    found: list[UsageRecord] = []
    while page := log.entries(len(found), 1000):
        found += [UsageRecord.model_validate_json(item.record) for item in page]
    return found


@pytest.mark.e2e
def test_what_a_crash_left_unspent_is_given_back_and_what_left_is_counted(
    stores_url: str, tmp_path: Path
) -> None:
    left: dict[str, int] = {}
    for run, lines in enumerate((100, 1000, 2000)):
        left |= read_and_die(stores_url, tmp_path, run, lines, stuck=run == 2)
    stores, log = open_log(stores_url, tmp_path, "checker")
    try:
        deadline = time.monotonic() + 10  # a server takes a moment to notice that a connection ended
        while True:
            log.open()
            told = records(log)
            opened = {item.stream for item in told if item.kind is UsageKind.ACCESS_DECISION}
            settled = {item.stream: item for item in told if item.kind is UsageKind.STREAM_SETTLED}
            if opened == set(settled) or time.monotonic() > deadline:
                break
        assert opened == set(settled)
        assert len(left) > 6, "the readers hardly read"
        for stream, rows in left.items():
            counted = settled[stream].rows or 0
            assert rows <= counted <= rows + PIECE, stream
            assert settled[stream].byte_count == counted * ROW_BYTES
        crashed = [item for item in settled.values() if item.detail.get("end") == "crashed"]
        assert any((item.rows or 0) % BLOCK for item in crashed), "none was killed within a block"
        totals = log.totals(AGREEMENT)
        assert totals.rows == sum(item.rows or 0 for item in settled.values())
        assert totals.bytes == totals.rows * ROW_BYTES
        assert totals.requests == len(opened) - sum(item.requests == 0 for item in settled.values())
        assert not list((tmp_path / "progress").iterdir())
        record = log.record(UsageKind.STREAM_RESERVED, agreement=AGREEMENT, stream="urn:last")
        last = log.reserve(AGREEMENT, "urn:last", Amount(10**7, 1), MOST, record)
        assert last.rows == (MOST.rows or 0) - totals.rows, "everything that is left can be used"
    finally:
        stores.close()


class TestProgress:
    """The promises of Progress."""

    def test_of_a_stream_that_is_still_written_nothing_is_known(self, tmp_path: Path) -> None:
        own, other = FileProgress(tmp_path), FileProgress(tmp_path)
        own.begin("s")(Amount(5, 50))
        assert other.sent("s") is None
        own.forget("s")
        assert other.sent("s") is None
        own.forget("s")

    def test_what_nobody_writes_and_nobody_keeps_is_tidied_away(self, tmp_path: Path) -> None:
        script = (
            "import sys; from pathlib import Path; from policies.counting import Amount;"
            "from connector.adapters.progress import FileProgress; kept = FileProgress(Path(sys.argv[1]));"
            "kept.begin('settled')(Amount(5, 50)); kept.begin('open')(Amount(6, 60)); import os; os._exit(1)"
        )
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=False)
        writer, other = FileProgress(tmp_path), FileProgress(tmp_path)
        writer.begin("written")(Amount(7, 70))
        other.tidy(["open"])
        assert other.sent("settled") is None
        assert other.sent("open") == Amount(6, 60)
        assert len(list(tmp_path.iterdir())) == 2, "what is still written stays"
        writer.forget("written")

    def test_nothing_is_known_of_a_stream_from_another_run_of_the_machine(self, tmp_path: Path) -> None:
        script = (
            "import sys; from pathlib import Path; from policies.counting import Amount;"
            "from connector.adapters.progress import FileProgress;"
            "FileProgress(Path(sys.argv[1])).begin('s')(Amount(5, 50)); import os; os._exit(1)"
        )
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=False)
        assert FileProgress(tmp_path).sent("s") == Amount(5, 50)
        (file,) = tmp_path.iterdir()
        data = bytearray(file.read_bytes())
        data[20] ^= 1  # within the name of the run
        file.write_bytes(data)
        assert FileProgress(tmp_path).sent("s") is None
        file.write_bytes(data[:-1])
        assert FileProgress(tmp_path).sent("s") is None
