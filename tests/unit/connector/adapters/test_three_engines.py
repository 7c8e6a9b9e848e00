"""DuckDB, pyarrow and a row loop in Python carry out random plans alike, cell by cell.

Each case is made from one number, which a failure prints; the run is the same every time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.adapters.duckdb_engine import Engine
from connector.adapters.sources import ParquetSources
from connector.dataplane.classes import Census, Classes
from connector.dataplane.compare import rows_that_match, rows_that_pass
from connector.dataplane.enforce import Enforcement
from connector.dataplane.masks import COARSE, coarsened, mask_key
from connector.dataplane.ports import ScanRequest
from connector.dataplane.sample import is_sampled, sample_salt
from connector.dataplane.scanned import Scanned
from connector.offering.columns import only
from policies.kinds.masking import Masking
from policies.plan import Anonymity, Branch, Comparison, DataPlan
from policies.profile import Operator
from tests.naive_plan import carried_out

KEY = mask_key(b"s" * 32, "urn:agreement:1")
SALT = sample_salt(KEY)
ORDER = (Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ)
NAMES = (
    "age",
    "Age",
    'na"me',
    "x'; DROP TABLE c0; --",
    "line\nbreak",
    "a\u0430",  # a Latin and a Cyrillic a
    "\u202egnp.exe",
    "n" * 300,
    "c0",
    "row",
    "p0",
    "sha256(c0)",
    "*",
    "NULL",
    " ",
)
TYPES: Mapping[str, pa.DataType] = {
    "int8": pa.int8(),
    "int64": pa.int64(),
    "uint64": pa.uint64(),
    "double": pa.float64(),
    "float": pa.float32(),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "bool": pa.bool_(),
    "date32": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "zoned": pa.timestamp("ms", "Europe/Berlin"),
    "decimal": pa.decimal128(9, 2),
}
TEXTS = ("", "a", "A", "it's", "ß", "a\x00b", "' OR 1=1 --", "\u0430", "z" * 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def sources(folder: Path) -> ParquetSources:
    return ParquetSources([folder], lambda: datetime(2026, 11, 23, tzinfo=UTC))


def value_of(kind: str, dice: Random) -> Any:
    match kind:
        case "int8":
            return dice.choice([-128, -10, -1, 0, 1, 5, 9, 10, 127])
        case "int64":
            return dice.choice([-(2**63), -(2**53) - 1, -25, -1, 0, 7, 10, 15, 2**53 + 1, 2**63 - 1])
        case "uint64":
            return dice.choice([0, 1, 9, 10, 25, 2**63, 2**64 - 1])
        case "double":
            return dice.choice([-0.0, 0.0, 0.1, -2.5, 2.5, 7.25, 1e15, 3e22, math.nan, math.inf, -math.inf])
        case "float":
            return dice.choice([-0.0, 0.5, -2.5, 1.25, 65504.0, math.nan, math.inf])
        case "string" | "large_string":
            return dice.choice(TEXTS)
        case "bool":
            return dice.random() < 0.5
        case "date32":
            return date(1970, 1, 1) + timedelta(
                days=dice.choice([-719162, -366, -1, 0, 1, 58, 20000, 2932896])
            )
        case "timestamp" | "zoned":
            edges = (-62_135_500_000_000, 253_402_200_000_000)  # near the ends of what Python can tell
            ticks = dice.choice([*edges, -86_400_001, -1, 0, 1, 3_599_999, 86_400_000, 10**12])
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ticks)
            return moment if kind == "zoned" else moment.replace(tzinfo=None)
        case "decimal":
            return Decimal(
                dice.choice(["-9999999.99", "-0.01", "0.00", "0.05", "2.50", "12.25", "9999999.99"])
            )
    raise AssertionError(kind)


def operand_of(kind: str, dice: Random) -> Any:
    """A value to compare with; never NaN, and for decimals and times also between two cells."""
    if kind == "decimal" and dice.random() < 0.4:
        return Decimal(dice.choice(["0.005", "2.4999", "-0.0100001", "123456789012", "-123456789012"]))
    if kind == "zoned" and dice.random() < 0.4:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            microseconds=dice.choice([-1, 1, 999, -86400000500])
        )
    if kind in ("double", "float"):
        return Decimal(dice.choice(["0", "0.1", "-2.5", "2.5", "7.25", "0.5", "1e15"]))
    value = value_of(kind, dice)
    return value.replace(tzinfo=UTC) if kind == "timestamp" else value


def comparison(types: Mapping[str, str], dice: Random) -> Comparison:
    name = dice.choice(list(types))
    kind = types[name]
    choices = [Operator.EQ, Operator.NEQ, Operator.IS_ANY_OF, Operator.IS_NONE_OF]
    operator = dice.choice(choices if kind == "bool" else [*choices, *ORDER])
    count = dice.randint(1, 3) if operator in (Operator.IS_ANY_OF, Operator.IS_NONE_OF) else 1
    return Comparison(name, operator, tuple(operand_of(kind, dice) for _ in range(count)))


def mask_for(kind: str, dice: Random) -> Masking:
    texts = ["null"]
    if kind in ("int8", "int64", "uint64", "string", "large_string", "date32", "bool", "decimal"):
        texts.append("hash")
    if kind in ("string", "large_string"):
        texts.append("redact")
    if kind in ("int8", "int64", "uint64"):
        texts += ["bucket:10", "bucket:7", "round:2", "round:-1", "round:-3"]
    if kind in ("double", "float"):
        texts += ["bucket:10", "bucket:0.1", "bucket:2.5", "round:2", "round:0", "round:-1"]
    if kind == "decimal":
        texts += ["bucket:10", "bucket:0.05", "round:1", "round:2", "round:-2"]
    if kind in ("date32", "timestamp", "zoned"):
        texts += [f"truncate:{unit}" for unit in ("year", "quarter", "month", "week", "day", "hour")]
    return Masking.read(dice.choice(texts))


def branch(types: Mapping[str, str], dice: Random) -> Branch:
    names = list(types)
    columns = None
    if dice.random() < 0.5:
        columns = tuple(dice.sample(names, dice.randint(1, len(names))))
    masks = {name: mask_for(types[name], dice) for name in names if dice.random() < 0.5}
    return Branch(
        columns,
        tuple(sorted((name, mask) for name, mask in masks.items() if columns is None or name in columns)),
        tuple(comparison(types, dice) for _ in range(dice.choice([0, 0, 1, 1, 2]))),
        Decimal(dice.choice(["50", "12.5", "100", "0.001"])) if dice.random() < 0.25 else None,
        Anonymity(dice.randint(2, 3), tuple(dice.sample(names, min(len(names), dice.randint(1, 2)))))
        if dice.random() < 0.25
        else None,
    )


def case(seed: int) -> tuple[pa.Table, Mapping[str, str], DataPlan, Random]:
    dice = Random(seed)
    types = {name: dice.choice(list(TYPES)) for name in dice.sample(NAMES, dice.randint(1, 4))}
    rows = dice.choice([0, 1, 2, 5, 12, 30])
    arrays = [
        pa.array([None if dice.random() < 0.15 else value_of(kind, dice) for _ in range(rows)], TYPES[kind])
        for kind in types.values()
    ]
    table = pa.Table.from_arrays(arrays, names=list(types))
    branches = tuple(branch(types, dice) for _ in range(dice.choice([1, 1, 2, 3])))
    excluded = tuple(
        tuple(comparison(types, dice) for _ in range(dice.randint(1, 2)))
        for _ in range(dice.choice([0, 0, 1, 2]))
    )
    return table, types, DataPlan(branches, excluded), dice


def write(table: pa.Table, folder: Path, dice: Random) -> str:
    if dice.random() < 0.5:
        with pa.OSFile(str(folder / "t.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=dice.choice([3, 100]))
        return "t.arrow"
    pq.write_table(table, folder / "t.parquet", row_group_size=dice.choice([2, 7, 100]))
    return "t.parquet"


def by_duckdb(
    sources: ParquetSources, source: str, plan: DataPlan, request: ScanRequest
) -> tuple[pa.Schema, list[dict[str, Any]]]:
    scan = sources.scan(source, plan, request)
    enforcement = Enforcement.of(plan, scan.schema, KEY)
    rows: list[dict[str, Any]] = []
    for scanned in scan.batches():
        batch = enforcement.apply(scanned)
        batch.validate(full=True)
        rows += batch.to_pylist()
    scan.close()
    return enforcement.schema, rows


def by_pyarrow(table: pa.Table, plan: DataPlan) -> list[dict[str, Any]]:
    """Judge the rows with pyarrow alone, and let the enforcement join the cells."""
    whole = table.combine_chunks()
    cells = {name: column(whole, name) for name in whole.column_names}
    count = whole.num_rows
    passes = [_passing(plan, each, cells, count) for each in plan.branches]
    standing = passes[0]
    for passed in passes[1:]:
        standing = pc.or_(standing, passed)
    schema = only(table.schema, {*plan.visible(table.column_names), *plan.seen})
    batch = pa.RecordBatch.from_arrays([cells[name].filter(standing) for name in schema.names], schema=schema)
    coarse = {
        (name, mask): coarsened(cells[name].filter(standing), mask)
        for each in plan.branches
        for name, mask in each.masks
        if mask.kind in COARSE
    }
    scanned = Scanned(
        batch,
        tuple(passed.filter(standing) for passed in passes),
        coarse,
        pa.array(range(count), pa.int64()).filter(standing),
        classes=tuple(map(partial(_classes, cells), plan.branches, passes)),
    )
    return list(Enforcement.of(plan, schema, KEY).apply(scanned).to_pylist())


def column(table: pa.Table, name: str) -> pa.Array:
    chunked = table[name]
    return chunked.chunk(0) if chunked.num_chunks else pa.array([], chunked.type)


def _passing(plan: DataPlan, each: Branch, cells: Mapping[str, pa.Array], count: int) -> pa.Array:
    passed = rows_that_pass(each.predicate, cells)
    passed = pa.repeat(True, count) if passed is None else passed
    matched = rows_that_match(plan.excluded, cells)
    if matched is not None:
        passed = pc.and_(passed, pc.invert(matched))
    if each.sample is not None:
        drawn = [is_sampled(SALT, row, each.sample) for row in range(count)]
        passed = pc.and_(passed, pa.array(drawn, pa.bool_()))
    if each.anonymity is None:
        return passed
    table = pa.table(
        {str(index): _zeros(cells[name]) for index, name in enumerate(each.anonymity.quasi_identifiers)}
    ).append_column("at", pa.array(range(count), pa.int64()))
    kept = table.filter(passed)
    sizes = kept.group_by(table.column_names[:-1]).aggregate([("at", "list")])
    hidden = {row for rows in sizes["at_list"].to_pylist() if len(rows) >= each.anonymity.k for row in rows}
    return pa.array([row in hidden for row in range(count)], pa.bool_())


def _classes(cells: Mapping[str, pa.Array], each: Branch, hidden: pa.Array) -> Classes | None:
    """Count the classes of rows of which all are hidden among enough others."""
    if each.anonymity is None:
        return None
    census = Census()
    census.add([cells[name] for name in each.anonymity.quasi_identifiers], hidden)
    return census.classes(each.anonymity.k)


def _zeros(cells: pa.Array) -> pa.Array:
    return pc.add(cells, pa.scalar(0.0, cells.type)) if pa.types.is_floating(cells.type) else cells


def alike(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> bool:
    return [list(row) for row in one] == [list(row) for row in other] and all(
        same(a, b)
        for mine, theirs in zip(one, other, strict=True)
        for a, b in zip(mine.values(), theirs.values(), strict=True)
    )


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return (
        bool(one == other)
        and (one is None) == (other is None)
        and isinstance(one, str) == isinstance(other, str)
    )


@given(seed=st.integers(min_value=0, max_value=2**63 - 1))
@settings(
    max_examples=2000,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_three_engines_agree_on_random_plans_and_tables(
    sources: ParquetSources, folder: Path, seed: int
) -> None:
    table, types, plan, dice = case(seed)
    source = write(table, folder, dice)
    expected = carried_out(table.to_pylist(), plan, types, KEY)
    if not plan.visible(table.column_names):
        return
    schema, found = by_duckdb(sources, source, plan, ScanRequest(1 << 20, salt=SALT))
    assert alike(found, expected), (seed, plan, table.to_pylist(), found, expected)
    assert alike(by_pyarrow(table, plan), expected), (seed, plan)
    assert schema.names == plan.visible(table.column_names)
    if seed % 4:
        return
    start = dice.randint(0, len(expected) + 1)
    _, rest = by_duckdb(sources, source, plan, ScanRequest(1 << 20, start=start, salt=SALT))
    assert alike(rest, expected[start:]), (seed, start)


@given(seed=st.integers(min_value=0, max_value=2**63 - 1))
@settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_a_tighter_plan_never_returns_more_rows_or_cells(
    sources: ParquetSources, folder: Path, seed: int
) -> None:
    table, types, plan, dice = case(seed)
    # How many share a class may only grow; a filter would part them, and is no tightening of classes.
    branches = tuple(replace(each, anonymity=None) for each in plan.branches)
    plan = replace(plan, branches=branches)
    numbered = table.append_column("the row", pa.array(range(table.num_rows), pa.int64()))
    shown = tuple(
        replace(each, columns=(*each.columns, "the row") if each.columns is not None else None)
        for each in plan.branches
    )
    wide = replace(plan, branches=shown)
    tight = replace(wide, branches=tuple(tightened(each, types, dice) for each in shown))
    if dice.random() < 0.5:
        tight = replace(tight, excluded=(*tight.excluded, (comparison(types, dice),)))
    source = write(numbered, folder, dice)

    def read(one: DataPlan) -> dict[Any, dict[str, Any]]:
        """Read the cells that are not empty, by their row."""
        rows = by_duckdb(sources, source, one, ScanRequest(1 << 20, salt=SALT))[1]
        return {row["the row"]: {k: v for k, v in row.items() if v is not None} for row in rows}

    before, after = read(wide), read(tight)
    assert set(after) <= set(before), seed
    more = {
        (number, name)
        for number, row in after.items()
        for name, cell in row.items()
        if cell != "[redacted]" and name not in before[number]
    }
    # A mask that lays a value outside of its type leaves nothing, where a less mild one of another branch
    # would leave something: then that branch alone has shown the cell before.
    alone = [read(replace(wide, branches=(each,))) for each in wide.branches] if more else []
    assert all(any(name in one.get(number, {}) for one in alone) for number, name in more), seed


def tightened(each: Branch, types: Mapping[str, str], dice: Random) -> Branch:
    """Add a filter, halve the sample, hide a column, or leave a column empty."""
    match dice.randint(0, 3):
        case 0:
            return replace(each, predicate=(*each.predicate, comparison(types, dice)))
        case 1:
            return replace(each, sample=(each.sample or Decimal(100)) / 2)
        case 2:
            named = each.columns if each.columns is not None else (*types, "the row")
            kept = tuple(name for name in named if name == "the row" or dice.random() < 0.5)
            return replace(each, columns=kept, masks=tuple(one for one in each.masks if one[0] in kept))
        case _:
            hidden = dice.choice(list(types))
            if not each.shows(hidden):
                return each
            others = tuple(one for one in each.masks if one[0] != hidden)
            return replace(each, masks=tuple(sorted((*others, (hidden, Masking.read("null"))))))


@pytest.mark.parametrize(
    ("cells", "operator", "value", "kept"),
    [
        # Nanoseconds: no engine may lose what lies between two microseconds.
        (pa.array([-1, 0, 1, 1000], pa.timestamp("ns")), "lteq", "1970-01-01T00:00:00Z", [0, 1]),
        (pa.array([-1, 0, 1, 1000], pa.timestamp("ns", "UTC")), "gt", "1970-01-01T00:00:00Z", [2, 3]),
        (pa.array([-1, 0, 1], pa.timestamp("s")), "lt", "1970-01-01T00:00:00.5Z", [0, 1]),
        (pa.array([-86400000, 0], pa.date64()), "lt", "1970-01-01", [0]),
        (pa.array([0.5, 1.5, None], pa.float16()), "gteq", Decimal("1.5"), [1]),
        (pa.array([Decimal("1e40"), Decimal(5), None], pa.decimal256(60, 2)), "gt", Decimal(5), [0]),
        (pa.array([2**63, 2**64 - 1], pa.uint64()), "gt", 2**63, [1]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), "eq", "a", [0, 2]),
    ],
)
def test_values_at_the_edges_of_their_types_are_compared_exactly(
    sources: ParquetSources, folder: Path, cells: pa.Array, operator: str, value: Any, kept: list[int]
) -> None:
    table = pa.table({"x": cells, "n": range(len(cells))})
    with pa.OSFile(str(folder / "edge.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    plan = DataPlan((Branch(("n",), (), (Comparison("x", Operator(operator), (value,)),)),))
    _, rows = by_duckdb(sources, "edge.arrow", plan, ScanRequest(1 << 20, salt=SALT))
    assert [row["n"] for row in rows] == kept


def test_nanoseconds_are_truncated_downwards_before_1970_too(sources: ParquetSources, folder: Path) -> None:
    table = pa.table({"x": pa.array([-1, 3_600_000_000_001, -(2**63)], pa.timestamp("ns"))})
    pq.write_table(table, folder / "ns.parquet")
    plan = DataPlan((Branch(None, (("x", Masking.read("truncate:hour")),)),))
    scan = sources.scan("ns.parquet", plan, ScanRequest(1 << 20, salt=SALT))
    (scanned,) = scan.batches()
    found = Enforcement.of(plan, scan.schema, KEY).apply(scanned)
    assert found.column(0).cast(pa.int64()).to_pylist() == [-3_600_000_000_000, 3_600_000_000_000, None]


def test_duckdb_can_open_nothing_and_its_settings_cannot_be_changed(folder: Path) -> None:
    (folder / "secret.csv").write_text("a\n1\n")
    cursor = Engine().cursor()
    for statement in (
        f"SELECT * FROM read_csv('{folder}/secret.csv')",
        f"SELECT * FROM '{folder}/secret.csv'",
        f"ATTACH '{folder}/x.duckdb'",
        f"COPY (SELECT 1) TO '{folder}/out.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET memory_limit = '64GB'",
    ):
        with pytest.raises(duckdb.Error):
            cursor.execute(statement)
    assert not (folder / "out.csv").exists()
