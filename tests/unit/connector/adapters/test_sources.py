"""Files are read below the allowed folders only, in one order, and with nothing that the plan withholds."""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.adapters.rebatch import bytes_per_row, rebatched
from connector.adapters.sources import ParquetSources
from connector.dataplane.ports import ScanRequest
from policies.plan import Branch, Comparison, DataPlan
from policies.profile import Operator
from schemas.errors import NotFound, PolicyMismatch, UnreadableData
from tests.streaming import write

ALL = DataPlan()


def rows_of(
    sources: ParquetSources, source: str, plan: DataPlan = ALL, start: int = 0, size: int = 64 << 10
) -> pa.Table:
    scan = sources.scan(source, plan, ScanRequest(size, start))
    batches = [scanned.batch for scanned in scan.batches()]
    scan.close()
    assert all(batch.num_rows for batch in batches)
    return pa.Table.from_batches(batches, scan.schema)


def where(column: str, operator: Operator, *values: Any) -> DataPlan:
    return DataPlan((Branch(None, (), (Comparison(column, operator, values),)),))


@pytest.fixture
def sources(tmp_path: Path) -> ParquetSources:
    (tmp_path / "data").mkdir()
    return ParquetSources([tmp_path / "data"], lambda: dt.datetime(2026, 11, 23, tzinfo=dt.UTC))


@pytest.fixture
def table() -> pa.Table:
    return pa.table(
        {"id": range(5000), "text": [f"row {i}" for i in range(5000)], "half": [i % 2 for i in range(5000)]}
    )


@pytest.mark.parametrize("reader", ["quick", "slow"])
def test_a_long_file_is_read_without_keeping_what_was_read_or_reading_far_ahead(
    sources: ParquetSources, tmp_path: Path, reader: str
) -> None:
    numbers = random.Random(7)
    groups, rows = 96, 1 << 17  # 100 MB
    schema = pa.schema({"x": pa.float64()})
    with pq.ParquetWriter(tmp_path / "data" / "long.parquet", schema, use_dictionary=False) as file:
        for _ in range(groups):
            noise = pa.py_buffer(numbers.randbytes(8 * rows))
            column = pa.Array.from_buffers(pa.int64(), rows, [None, noise]).cast(pa.float64(), safe=False)
            file.write_table(pa.table({"x": column}, schema))
    size = (tmp_path / "data" / "long.parquet").stat().st_size
    scan = sources.scan("long.parquet", ALL, ScanRequest(1 << 20))
    before, most, read = pa.total_allocated_bytes(), 0, 0
    for number, scanned in enumerate(scan.batches()):
        batch = scanned.batch
        if reader == "slow" and number < 10:
            time.sleep(0.05)  # the threads that read ahead have all the time that they want
        read += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    scan.close()
    assert read == groups * rows
    assert most < size // 2


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_rows_that_are_wide_are_judged_few_at_a_time(
    suffix: str, sources: ParquetSources, tmp_path: Path
) -> None:
    groups, rows, width = 100, 16, 100_000  # 160 MB
    schema = pa.schema({"id": pa.int64(), "note": pa.binary()})
    path = tmp_path / "data" / f"wide.{suffix}"
    numbers = random.Random(11)
    with (
        pq.ParquetWriter(path, schema, use_dictionary=False)
        if suffix == "parquet"
        else pa.ipc.new_file(str(path), schema)
    ) as file:
        for group in range(groups):
            ids, notes = range(group * rows, group * rows + rows), numbers.randbytes(width)
            file.write_table(pa.table({"id": ids, "note": [notes] * rows}, schema))
    scan = sources.scan(path.name, where("id", Operator.GTEQ, 1), ScanRequest(1 << 20))
    before, most, read = pa.total_allocated_bytes(), 0, 0
    for scanned in scan.batches():
        read += scanned.batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    scan.close()
    assert read == groups * rows - 1
    assert most < path.stat().st_size // 2


def test_a_file_is_found_below_its_root_by_relative_and_absolute_name(
    sources: ParquetSources, tmp_path: Path
) -> None:
    path = write(tmp_path / "data" / "a.parquet", pa.table({"x": [1]}))
    assert sources.resolve("a.parquet") == sources.resolve(str(path)) == path.resolve()


def test_whatever_leaves_the_roots_is_not_found(sources: ParquetSources, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside.parquet", pa.table({"x": [1]}))
    (tmp_path / "data" / "link.parquet").symlink_to(outside)
    (tmp_path / "data" / "folder").symlink_to(tmp_path)
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data" / "loop")
    for source in (
        "../outside.parquet",
        str(outside),
        "link.parquet",
        "folder/outside.parquet",
        "loop",
        "missing.parquet",
        ".",
        "",
        "a\x00b",
        "x" * 5000,
    ):
        with pytest.raises(NotFound):
            sources.resolve(source)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv"])
def test_three_kinds_of_files_tell_the_same(
    kind: str, sources: ParquetSources, tmp_path: Path, table: pa.Table
) -> None:
    path = tmp_path / "data" / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=700)
    elif kind == "arrow":
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=700)
    else:
        pa.csv.write_csv(table, path)
    facts = sources.facts(path.name)
    assert (facts.rows, facts.schema, facts.byte_size) == (5000, table.schema, path.stat().st_size)
    assert rows_of(sources, path.name).equals(table)
    branch = Branch(
        ("text",), (), (Comparison("id", Operator.GTEQ, (4000,)), Comparison("half", Operator.EQ, (1,)))
    )
    plan = DataPlan((branch,))
    found = rows_of(sources, path.name, plan)
    assert found.column_names == ["id", "text", "half"]
    assert found["id"].to_pylist() == list(range(4001, 5000, 2))
    assert sources.count(path.name, plan) == 500
    assert sources.head(path.name, plan, 2).to_pylist() == [
        {"text": "row 4001"},
        {"text": "row 4003"},
    ]


def test_a_scan_can_begin_at_any_row_of_what_the_plan_shows(
    sources: ParquetSources, tmp_path: Path, table: pa.Table
) -> None:
    write(tmp_path / "data" / "t.parquet", table, row_group_size=700)
    for plan in (ALL, where("half", Operator.EQ, 1)):
        whole = rows_of(sources, "t.parquet", plan)
        for start in (0, 1, 349, 350, 351, 699, 700, 701, 2499, 2500, 4999, 5000, 9999):
            assert rows_of(sources, "t.parquet", plan, start).equals(whole.slice(start)), start


def test_columns_of_every_type_are_filtered_in_the_scan(sources: ParquetSources, tmp_path: Path) -> None:
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    table = pa.table(
        {
            "n": [1, 2, 3],
            "text": ["a", "b", None],
            "big": pa.array(["a", "b", None], pa.large_string()),
            "view": pa.array(["a", "b", None], pa.string_view()),
            "dict": pa.array(["a", "b", None]).dictionary_encode(),
            "when": pa.array([noon, noon + dt.timedelta(hours=1), None], pa.timestamp("ms", tz="UTC")),
            "day": [dt.date(2026, 1, 1), dt.date(2026, 1, 2), None],
            "flag": [True, False, None],
            "price": pa.array([Decimal("1.50"), Decimal("2.50"), None], pa.decimal128(30, 2)),
            "real": pa.array([1.5, 2.5, None], pa.float32()),
            "odd.\"na'me": [1, 2, None],
        }
    )
    write(tmp_path / "data" / "t.parquet", table)
    for column, value in (
        ("text", "b"),
        ("big", "b"),
        ("view", "b"),
        ("dict", "b"),
        ("when", noon + dt.timedelta(hours=1)),
        ("day", dt.date(2026, 1, 2)),
        ("flag", False),
        ("price", Decimal("2.5")),
        ("real", Decimal("2.5")),
        ("odd.\"na'me", 2),
    ):
        assert rows_of(sources, "t.parquet", where(column, Operator.EQ, value))["n"].to_pylist() == [2], (
            column
        )
        assert rows_of(sources, "t.parquet", where(column, Operator.IS_NONE_OF, value))["n"].to_pylist() == [
            1
        ], column


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(st.none(), st.sampled_from(["a", "b", "' OR 1=1 --", "\x00", "c"])), min_size=1, max_size=40
    ),
    st.sampled_from([Operator.EQ, Operator.NEQ, Operator.LT, Operator.GTEQ]),
    st.sampled_from(["a", "b", "' OR 1=1 --"]),
)
def test_the_scan_agrees_with_a_plain_loop(
    sources: ParquetSources, tmp_path: Path, cells: list[str | None], operator: Operator, bound: str
) -> None:
    compare: dict[Operator, Callable[[str], bool]] = {
        Operator.EQ: lambda x: x == bound,
        Operator.NEQ: lambda x: x != bound,
        Operator.LT: lambda x: x < bound,
        Operator.GTEQ: lambda x: x >= bound,
    }
    write(tmp_path / "data" / "h.parquet", pa.table({"c": pa.array(cells, pa.string())}), row_group_size=7)
    expected = [cell for cell in cells if cell is not None and compare[operator](cell)]
    assert rows_of(sources, "h.parquet", where("c", operator, bound))["c"].to_pylist() == expected


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_nan_passes_no_filter(suffix: str, sources: ParquetSources, tmp_path: Path) -> None:
    kinds = (pa.float32(), pa.float64())
    table = pa.table({str(kind): pa.array([float("nan"), 1.0, 1.0, None], kind) for kind in kinds})
    path = tmp_path / "data" / f"t.{suffix}"
    if suffix == "parquet":
        write(path, table)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    for column in table.column_names:
        for operator, value, rows in (
            (Operator.NEQ, 2, 2),
            (Operator.IS_NONE_OF, 2, 2),
            (Operator.IS_ANY_OF, 1, 2),
            (Operator.EQ, 1, 2),
            (Operator.LTEQ, 1, 2),
            (Operator.GTEQ, 1, 2),
            (Operator.LT, 1, 0),
        ):
            found = rows_of(sources, path.name, where(column, operator, value))
            assert found[column].to_pylist() == [1.0] * rows, (column, operator)


def test_a_plan_for_a_column_that_the_file_lacks_is_refused(sources: ParquetSources, tmp_path: Path) -> None:
    write(tmp_path / "data" / "t.parquet", pa.table({"a": [1]}))
    with pytest.raises(PolicyMismatch, match="'b'"):
        sources.scan("t.parquet", DataPlan((Branch(("b",)),)), ScanRequest(1000))


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.csv", "t.txt"])
def test_a_file_that_is_not_what_it_says_is_unreadable_by_name_only(
    name: str, sources: ParquetSources, tmp_path: Path
) -> None:
    (tmp_path / "data" / name).write_bytes(
        b"\x00\x01 not data \xff\xfe" if name != "t.csv" else b"a,b\n1,2\n3\n"
    )
    with pytest.raises(UnreadableData, match=name) as caught:
        sources.facts(name)
    assert str(tmp_path) not in str(caught.value)


def test_a_parquet_file_that_breaks_in_the_middle_is_unreadable_when_it_is_read(
    sources: ParquetSources, tmp_path: Path, table: pa.Table
) -> None:
    path = write(tmp_path / "data" / "t.parquet", table, compression="snappy", use_dictionary=False)
    broken = bytearray(path.read_bytes())
    broken[200:4000] = bytes(3800)
    path.write_bytes(broken)
    with pytest.raises(UnreadableData, match=r"t\.parquet"):
        rows_of(sources, "t.parquet")


def test_small_batches_are_joined_and_large_ones_split_without_losing_a_row() -> None:
    schema = pa.schema([("n", pa.int64())])
    small = [pa.record_batch([[i]], schema=schema) for i in range(100)]
    joined = list(rebatched(small, 400, bytes_per_row(schema, {}), 3))
    assert [row for batch in joined for row in batch.column(0).to_pylist()] == list(range(3, 100))
    assert len(joined) < 10
    wide = pa.record_batch({"t": ["x" * 1000] * 100})
    split = list(rebatched([wide], 4000, 24, 0))
    assert max(batch.num_rows for batch in split) <= 4
    assert sum(batch.num_rows for batch in split) == 100
