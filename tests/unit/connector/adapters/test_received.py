from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connector.adapters.received import ReceivedFiles, Room, count_rows
from schemas.arrow_head import check_message
from schemas.errors import NoRoom, UnreadableData

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


def test_two_processes_fill_one_folder_hardly_further_than_one_may(tmp_path: Path) -> None:
    folder, most = tmp_path / "received", 1 << 20
    processes = [ReceivedFiles(folder, Room(bytes=most)) for _ in range(2)]
    arriving = [files.begin(f"file{number}") for number, files in enumerate(processes)]
    piece = bytes(most // 64)

    def fill() -> None:
        for _ in range(64):
            for one in arriving:
                one.write(piece)

    with pytest.raises(NoRoom, match="bytes of received files are kept here"):
        fill()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= most * 9 // 8
    for one in arriving:
        one.discard()


def test_room_is_free_again_though_a_file_could_not_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ReceivedFiles(tmp_path / "received", Room(bytes=1000))
    arriving = files.begin("file")
    arriving.write(bytes(900))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("the disk does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        with pytest.raises(OSError, match="does not answer"):
            arriving.discard()
    files.tidy()
    files.begin("next").write(bytes(900))
