from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connector.adapters.received import count_rows
from schemas.arrow_head import check_message
from schemas.errors import UnreadableData

ZEROS = pa.record_batch({"at": pa.array([0] * 1_000_000, pa.int64())})


def stream(folder: Path, batch: pa.RecordBatch, **options: Any) -> Path:
    file = folder / "stream.arrow"
    with pa.ipc.new_stream(str(file), batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(batch)
    return file


def test_a_plain_stream_is_read_to_its_end(tmp_path: Path) -> None:
    assert count_rows(stream(tmp_path, ZEROS)) == 1_000_000


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_a_compressed_stream_is_refused_before_it_is_unpacked(tmp_path: Path, codec: str) -> None:
    file = stream(tmp_path, ZEROS, compression=codec)
    assert file.stat().st_size < ZEROS.nbytes / 100
    before = pa.total_allocated_bytes()
    with pytest.raises(UnreadableData, match="compressed"):
        count_rows(file)
    assert pa.total_allocated_bytes() == before


def test_a_compressed_dictionary_is_refused(tmp_path: Path) -> None:
    words = pa.record_batch({"word": pa.array(["x" * 100_000], pa.string()).dictionary_encode()})
    with pytest.raises(UnreadableData, match="compressed"):
        count_rows(stream(tmp_path, words, compression="zstd"))


def test_a_head_that_says_in_the_older_way_that_its_body_is_compressed_is_refused(tmp_path: Path) -> None:
    with pa.memory_map(str(stream(tmp_path, ZEROS))) as opened:
        _, batch = list(pa.ipc.MessageReader.open_stream(opened))[:2]
        head = bytes(memoryview(batch.metadata))
    check_message(head)
    with pytest.raises(UnreadableData, match="compressed"):
        check_message(head + b"ARROW:experimental_compression\x00")
