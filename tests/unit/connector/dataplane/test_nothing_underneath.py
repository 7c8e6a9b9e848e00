"""What a reader could find who looks below the values: under nulls, in last bits, in the words of errors."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connector.dataplane.enforce import exact
from connector.offering.describe import Publication
from schemas.odrl import Offer
from tests.streaming import Provider, limit, offer

SECRET = 0x1122334455667788
NEEDLE = struct.pack("<q", SECRET)


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    return Provider(tmp_path)


def wire(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def padded(kind: pa.DataType, value: int) -> Any:
    if pa.types.is_struct(kind):
        return {"i": value}
    if pa.types.is_list(kind):
        return [None, value]
    return struct.unpack("<d", struct.pack("<q", value))[0] if pa.types.is_floating(kind) else value


KINDS = [
    pa.int64(),
    pa.float64(),
    pa.timestamp("us"),
    pa.struct([("i", pa.int64())]),
    pa.list_(pa.int64()),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_under_an_empty_cell_stands_no_value_that_another_row_may_not_show(
    provider: Provider, kind: pa.DataType
) -> None:
    # The reader of Parquet leaves values of later rows under the nulls of a column without a dictionary.
    cells = pa.array([padded(kind, 1), None, padded(kind, SECRET)] * 50, kind)
    table = pa.table({"keep": ["y", "y", "n"] * 50, "id": range(150), "x": cells})
    own = Offer.read(
        {
            "@id": "",
            "permission": [
                {"action": "use", "constraint": [limit("columns", "isAnyOf", ["id"])]},
                {"action": "use", "constraint": [limit("column/keep", "eq", "y")]},
            ],
        }
    )
    report = provider.publish(table, own, use_dictionary=False)
    out = provider.read(provider.grant(report.published[0], own), columns=["id", "x"])
    assert out["x"].to_pylist() == [cells[0].as_py(), None, None] * 50
    assert NEEDLE in wire(table)
    assert NEEDLE not in wire(out)


@pytest.mark.parametrize("counted", [("rowCount", 60), ("byteCount", 400)], ids=str)
def test_under_an_empty_cell_stands_no_value_from_beyond_a_limit(provider: Provider, counted: Any) -> None:
    table = pa.table({"x": pa.array([None] * 60 + [SECRET] * 90, pa.int64())})
    ticket = provider.ticket(table, limit(counted[0], "lteq", counted[1]), use_dictionary=False)
    out = provider.read(ticket)
    assert 0 < out.num_rows <= 60
    assert NEEDLE not in wire(out)


@pytest.mark.parametrize(
    ("cells", "how"),
    [
        (pa.array([float("inf"), 1.0, float("nan")]), "bucket:10"),
        (pa.array([-(2**63) + 3, 5]), "bucket:10"),
        (pa.array([2**63 - 2, 5]), "round:-3"),
        (pa.array([2**64 - 3, 5], pa.uint64()), "round:-2"),
        (pa.array([2**31 - 1, 5], pa.int32()).cast(pa.date32()), "truncate:day"),
        (pa.array([2**62, 5]).cast(pa.timestamp("s")), "truncate:month"),
    ],
    ids=str,
)
def test_what_has_no_bucket_leaves_nothing_under_its_null(
    provider: Provider, cells: pa.Array, how: str
) -> None:
    provider.data.joinpath("t.arrow").unlink(missing_ok=True)
    with pa.OSFile(str(provider.data / "t.arrow"), "wb") as file:
        table = pa.table({"x": cells})
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    own = offer(limit("mask/x", "eq", how))
    report = provider.offerings.publish([Publication(source="t.arrow", title="T", offers=(own,))])
    assert report.refused == (), report.refused
    with provider.streams.open(provider.grant(report.published[0], own)) as stream:
        ((batch, _),) = list(stream.batches())
    column = batch.column("x")
    assert column.null_count
    valid = column.is_valid().to_pylist()
    data = column.buffers()[1].to_pybytes()
    width = column.type.bit_width // 8
    for index, there in enumerate(valid):
        assert there or data[index * width : (index + 1) * width] == bytes(width)


@pytest.mark.parametrize(
    "kind",
    [
        pa.int8(),
        pa.uint16(),
        pa.int64(),
        pa.float16(),
        pa.float32(),
        pa.date32(),
        pa.date64(),
        pa.timestamp("ns", "UTC"),
        pa.time32("s"),
        pa.duration("s"),
        pa.decimal128(20, 2),
        pa.decimal256(50, 2),
        pa.month_day_nano_interval(),
    ],
    ids=str,
)
def test_of_every_width_exact_buffers_hold_zeros_under_nulls_and_no_more_than_their_rows(
    kind: pa.DataType,
) -> None:
    width = kind.bit_width // 8
    there = pa.py_buffer(bytes([0b10101010, 0b11111111]))
    whole = pa.Array.from_buffers(kind, 16, [there, pa.py_buffer(b"\xff" * width * 16)])
    for cells in (whole, whole.slice(1, 9), whole.slice(3, 5)):
        made = exact(pa.record_batch({"x": cells})).column("x")
        valid = made.is_valid().to_pylist()
        assert valid == cells.is_valid().to_pylist()
        bits, data = (buffer.to_pybytes() for buffer in made.buffers())
        assert int.from_bytes(bits, "little") == sum(1 << at for at, one in enumerate(valid) if one)
        assert data == b"".join((b"\xff" if one else b"\0") * width for one in valid)


@pytest.mark.parametrize("rows", [1, 7, 9, 15])
def test_the_last_byte_of_truth_values_is_not_shared_with_the_rows_after(rows: int) -> None:
    for cells in (pa.array([True] * 16), pa.array([True] * 15 + [None])):
        column = exact(pa.record_batch({"flag": cells}).slice(0, rows)).column("flag")
        assert column.to_pylist() == [True] * rows
        for buffer in column.buffers():
            if buffer is not None:
                bits = int.from_bytes(buffer.to_pybytes(), "little")
                assert bits == (1 << rows) - 1


@pytest.mark.parametrize("line", ["n,SECRETVALUE", "n,SECRETVALUE,3"])
def test_a_reader_of_broken_data_hears_of_no_cell_and_their_holder_does(
    provider: Provider, line: str
) -> None:
    path = provider.data / "t.csv"
    path.write_text("keep,x\ny,1\nn,2\n")
    own = offer(limit("column/keep", "eq", "y"))
    item = Publication(source="t.csv", title="T", offers=(own,))
    ticket = provider.grant(provider.offerings.publish([item]).published[0], own)
    path.write_text("keep,x\n" + "y,1\n" * 300_000 + line + "\n")
    provider.read(ticket)
    assert provider.end is not None
    assert (provider.end.kind, provider.end.passing) == ("failed", False)
    assert "'t.csv' cannot be read as CSV: its content is not what it should be" in provider.end.reason
    assert "SECRET" not in provider.end.reason
    assert not any("SECRET" in record.model_dump_json() for record in provider.records())
    (refused,) = provider.offerings.publish([item]).refused
    assert "SECRETVALUE" in str(refused)


def test_texts_that_are_encoded_inside_of_others_can_be_published_and_read(provider: Provider) -> None:
    nested = pa.struct([("x", pa.dictionary(pa.int32(), pa.string()))])
    cells = [{"x": "seen"} if n % 2 else None for n in range(50)]
    table = pa.table({"n": range(50), "s": pa.array(cells, nested)})
    out = provider.read(provider.ticket(table, row_group_size=7))
    assert out["s"].to_pylist() == cells
    assert out.schema.field("s").type == pa.struct([("x", pa.string())])
