"""What leaves is what the plan lets through: rows, columns, masks, and not a byte of the rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.compare import rows_that_pass
from connector.dataplane.enforce import Enforcement, exact
from connector.dataplane.groups import AnswerCheck
from connector.dataplane.masks import Pseudonyms, mask_key
from connector.dataplane.scanned import Scanned
from policies.kinds.masking import Masking, MaskKind
from policies.plan import Branch, Comparison, DataPlan
from policies.profile import Operator
from schemas.errors import DataspaceError, PolicyMismatch, UnreadableData

KEY = mask_key(b"s" * 32, "urn:agreement:1")


HASH, NULL = Masking(MaskKind.HASH), Masking(MaskKind.NULL)
BY_TEN = Masking(MaskKind.BUCKET, Decimal(10))


def plan(
    columns: list[str] | None = None,
    masks: dict[str, Masking] | None = None,
    *where: tuple[str, Operator, Any],
) -> DataPlan:
    predicate = tuple(
        Comparison(column, operator, value if isinstance(value, tuple) else (value,))
        for column, operator, value in where
    )
    return DataPlan(
        (Branch(tuple(columns) if columns is not None else None, tuple((masks or {}).items()), predicate),)
    )


def said_to_pass(batch: pa.RecordBatch) -> Scanned:
    """What a scan hands over that says of every row that it passes."""
    return Scanned(batch, (pa.repeat(True, batch.num_rows),))


def passing(values: pa.Array, operator: Operator, *operands: Any) -> list[int]:
    """Say which cells pass, by index."""
    mask = rows_that_pass((Comparison("c", operator, operands),), {"c": values})
    assert mask is not None
    return [index for index, passed in enumerate(mask.to_pylist()) if passed]


def wire(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("operator", [*list(Operator)[:6], Operator.IS_ANY_OF, Operator.IS_NONE_OF])
def test_a_null_cell_never_passes_whatever_the_operator(operator: Operator) -> None:
    assert passing(pa.array([None, None], pa.int64()), operator, 1) == []


@pytest.mark.parametrize("operator", [*list(Operator)[:6], Operator.IS_ANY_OF, Operator.IS_NONE_OF])
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_nan_is_a_missing_mark_and_never_passes(operator: Operator, kind: pa.DataType) -> None:
    assert 0 not in passing(pa.array([float("nan"), 1.0, 2.0, None], kind), operator, 1)


def test_nan_from_a_scan_stops_everything() -> None:
    batch = pa.record_batch({"x": [1.0, float("nan")]})
    enforcement = Enforcement.of(plan(["x"], None, ("x", Operator.NEQ, 2)), batch.schema, KEY)
    with pytest.raises(DataspaceError, match="1 of 2 rows"):
        enforcement.apply(said_to_pass(batch))


def test_set_operators_compare_with_all_their_values() -> None:
    cells = pa.array(["a", "b", None, "c"])
    assert passing(cells, Operator.IS_ANY_OF, "a", "c") == [0, 3]
    assert passing(cells, Operator.IS_NONE_OF, "a", "c") == [1]


def test_values_are_compared_in_the_type_of_the_column() -> None:
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    seconds = pa.array([noon], pa.timestamp("s", tz="UTC"))
    assert passing(seconds, Operator.GTEQ, noon) == [0]
    assert passing(seconds, Operator.GTEQ, noon + dt.timedelta(milliseconds=1)) == []
    assert passing(pa.array([noon.replace(tzinfo=None)], pa.timestamp("ns")), Operator.EQ, noon) == [0]
    assert passing(pa.array([1, 2], pa.uint8()), Operator.GT, Decimal("1")) == [1]
    assert passing(pa.array([dt.date(2026, 1, 1)]), Operator.LT, dt.date(2026, 1, 2)) == [0]
    assert passing(pa.array([True, False]), Operator.NEQ, True) == [1]


def test_decimals_are_compared_exactly() -> None:
    cells = pa.array([Decimal("1.50"), Decimal("1.55")], pa.decimal128(38, 2))
    assert passing(cells, Operator.GT, Decimal("1.5499999999")) == [1]
    assert passing(cells, Operator.LT, Decimal("1E+20")) == [0, 1]
    with pytest.raises(PolicyMismatch, match="cannot be compared exactly"):
        passing(cells, Operator.LT, Decimal("1E-100"))


@given(
    st.lists(st.one_of(st.none(), st.integers(-5, 5))),
    st.integers(-5, 5),
    st.sampled_from(list(Operator)[:6]),
)
def test_the_filter_agrees_with_a_plain_loop_over_rows(
    cells: list[int | None], bound: int, operator: Operator
) -> None:
    compare: dict[Operator, Callable[[int], bool]] = {
        Operator.EQ: lambda x: x == bound,
        Operator.NEQ: lambda x: x != bound,
        Operator.LT: lambda x: x < bound,
        Operator.LTEQ: lambda x: x <= bound,
        Operator.GT: lambda x: x > bound,
        Operator.GTEQ: lambda x: x >= bound,
    }
    expected = [index for index, cell in enumerate(cells) if cell is not None and compare[operator](cell)]
    assert passing(pa.array(cells, pa.int64()), operator, bound) == expected


HOSTILE = [
    "'; DROP TABLE t; --",
    'na"me',
    "a.b",
    "a b",
    "ünï",
    "column",
    "*",
    "\x00",
    "${x}",
    "%s",
    "a" * 500,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_values_are_only_names_and_values(name: str) -> None:
    batch = pa.record_batch({name: [name, name], "hidden": ["x", "y"]})
    enforcement = Enforcement.of(plan([name], {}, (name, Operator.EQ, name)), batch.schema, KEY)
    assert enforcement.apply(said_to_pass(batch)).to_pylist() == [{name: name}, {name: name}]


def test_a_row_that_the_scan_should_have_dropped_stops_everything() -> None:
    batch = pa.record_batch({"age": [17, 18]})
    enforcement = Enforcement.of(plan(None, {}, ("age", Operator.GTEQ, 18)), batch.schema, KEY)
    with pytest.raises(DataspaceError, match="1 of 2 rows"):
        enforcement.apply(said_to_pass(batch))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (DataPlan(excluded=((Comparison("age", Operator.GTEQ, (18,)),),)), "a prohibition excludes"),
        (DataPlan(excluded=((Comparison("none", Operator.EQ, (1,)),),)), "a prohibition excludes"),
        (DataPlan((Branch(sample=Decimal("0.0001")),)), "not in the sample"),
        (
            DataPlan((Branch(masks=(("age", Masking(MaskKind.BUCKET, Decimal(10))),)),)),
            "two engines disagree",
        ),
    ],
    ids=["a row", "an empty cell", "a sample", "a mask"],
)
def test_what_one_engine_lets_through_against_the_plan_the_other_stops(wrong: DataPlan, said: str) -> None:
    batch = pa.record_batch({"age": [18, 17], "none": pa.array([None, None], pa.int64())})
    every = tuple(pa.array([True, True]) for _ in wrong.branches)
    told = {("age", BY_TEN): pa.array([18, 10])}
    enforcement = Enforcement.of(wrong, batch.schema, KEY)
    with pytest.raises(DataspaceError, match=said) as stopped:
        enforcement.apply(Scanned(batch, every, told, pa.arange(0, 2)))
    assert "18" not in str(stopped.value)


def test_a_row_that_no_permission_covers_and_one_that_nobody_judged_stop_everything() -> None:
    batch = pa.record_batch({"age": [17, 18]})
    enforcement = Enforcement.of(plan(None, {}, ("age", Operator.GTEQ, 0)), batch.schema, KEY)
    with pytest.raises(DataspaceError, match="1 of 2 rows through that no permission covers"):
        enforcement.apply(Scanned(batch, (pa.array([True, False]),)))
    with pytest.raises(DataspaceError, match="judged no row"):
        enforcement.apply(Scanned(batch))


def test_a_group_that_was_counted_too_small_stops_the_answer() -> None:
    check = AnswerCheck(pa.schema([("ward", pa.string())]), 10, "mark")
    fine = pa.record_batch({"ward": ["A", "B"], "size": pa.array([10, 11])})
    assert check.apply(Scanned(fine)).to_pylist() == [{"ward": "A"}, {"ward": "B"}]
    small = pa.record_batch({"ward": ["A", "B"], "size": pa.array([10, 9])})
    with pytest.raises(DataspaceError, match="smaller than the agreement allows"):
        check.apply(Scanned(small))


def test_rows_are_checked_by_columns_that_are_then_hidden() -> None:
    batch = pa.record_batch({"name": ["a"], "consent": [False]})
    enforcement = Enforcement.of(plan(["name"], {}, ("consent", Operator.EQ, True)), batch.schema, KEY)
    assert enforcement.schema.names == ["name"]
    with pytest.raises(DataspaceError):
        enforcement.apply(said_to_pass(batch))


def test_hidden_columns_and_metadata_do_not_travel() -> None:
    schema = pa.schema(
        [pa.field("shown", pa.int64(), metadata={"note": "HIDDEN"}), pa.field("hidden", pa.string())],
        metadata={"pandas": '{"columns": ["HIDDEN"]}'},
    )
    batch = pa.record_batch([[1], ["HIDDEN"]], schema=schema)
    out = Enforcement.of(plan(["shown"]), schema, KEY).apply(said_to_pass(batch))
    assert b"HIDDEN" not in wire(out)
    assert b"hidden" not in wire(out)


@pytest.mark.parametrize(
    "kind",
    [
        pa.dictionary(pa.int8(), pa.string()),
        pa.string_view(),
        pa.list_(pa.dictionary(pa.int8(), pa.string())),
        pa.struct([("x", pa.string_view())]),
        pa.run_end_encoded(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_shared_buffers_do_not_carry_rows_that_were_left_out(kind: pa.DataType) -> None:
    texts = ["a text that may be seen", "SECRET of another row"]
    if pa.types.is_list(kind):
        whole = pa.array([[text] for text in texts], kind)
    elif pa.types.is_struct(kind):
        whole = pa.array([{"x": text} for text in texts], kind)
    elif pa.types.is_run_end_encoded(kind):
        whole = pa.RunEndEncodedArray.from_arrays([1, 2], texts)
    else:
        whole = (
            pa.array(texts).cast(kind) if kind == pa.string_view() else pa.array(texts).dictionary_encode()
        )
    batch = pa.record_batch([whole, [1, 2]], names=["c", "id"]).slice(0, 1)
    out = Enforcement.of(plan(["c"], {}, ("id", Operator.EQ, 1)), batch.schema, KEY).apply(
        said_to_pass(batch)
    )
    assert b"may be seen" in wire(out)
    assert b"SECRET" not in wire(out)


def test_a_type_that_cannot_be_made_plain_is_refused_by_the_name_of_its_column() -> None:
    schema = pa.schema([("odd", pa.list_(pa.run_end_encoded(pa.int32(), pa.string())))])
    with pytest.raises(UnreadableData, match="'odd'"):
        Enforcement.of(plan(), schema, KEY)


def test_a_hashed_column_is_text_and_carries_no_true_value() -> None:
    batch = pa.record_batch({"name": pa.array(["Ada", "Bob", None, "Ada"]).dictionary_encode()})
    out = Enforcement.of(plan(None, {"name": HASH}), batch.schema, KEY).apply(said_to_pass(batch))
    first, second, third, fourth = out.column("name").to_pylist()
    assert first == fourth != second
    assert third is None
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert out.schema.field("name").type == pa.string()
    assert b"Ada" not in wire(out)


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([1, 2], pa.int8()),
        pa.array([1.5, float("nan")]),
        pa.array([True, False]),
        pa.array([dt.date(2026, 1, 1), dt.date(2026, 1, 2)]),
        pa.array(
            [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)],
            pa.timestamp("ns", tz="Europe/Berlin"),
        ),
        pa.array([Decimal("1.5"), Decimal("2.5")]),
        pa.array([b"\xff\x00", b"\x01\x02"]),
        pa.array([b"ab", b"cd"], pa.binary(2)),
        pa.array(["a", "b"], pa.large_string()),
        pa.array([dt.time(1), dt.time(2)]),
    ],
    ids=lambda cells: str(cells.type),
)
def test_every_plain_type_has_pseudonyms(cells: pa.Array) -> None:
    one, other = Pseudonyms(KEY).of(cells).to_pylist()
    assert one != other
    assert len(one) == len(other) == 16


def test_pseudonyms_are_stable_over_batches_and_differ_between_agreements() -> None:
    names = pa.array(["Ada", "Bob"])
    other = mask_key(b"s" * 32, "urn:agreement:2")
    assert Pseudonyms(KEY).of(names) == Pseudonyms(KEY).of(names)
    assert Pseudonyms(KEY).of(names)[0] != Pseudonyms(other).of(names)[0]


def test_what_has_no_text_cannot_be_hashed_but_can_be_nulled() -> None:
    schema = pa.schema([pa.field("tags", pa.list_(pa.string()), nullable=False)])
    with pytest.raises(PolicyMismatch, match=r"'tags'.*cannot be hashed"):
        Enforcement.of(plan(None, {"tags": HASH}), schema, KEY)
    batch = pa.record_batch([[["x"]]], schema=schema)
    out = Enforcement.of(plan(None, {"tags": NULL}), schema, KEY).apply(said_to_pass(batch))
    assert out.column("tags").to_pylist() == [None]
    out.validate(full=True)


def test_a_null_mask_leaves_nothing_under_the_nulls() -> None:
    batch = pa.record_batch({"name": ["SECRET"], "number": [424242]})
    enforcement = Enforcement.of(plan(None, {"name": NULL, "number": NULL}), batch.schema, KEY)
    sent = wire(enforcement.apply(said_to_pass(batch)))
    assert b"SECRET" not in sent
    assert (424242).to_bytes(8, "little") not in sent


def test_exact_buffers_carry_no_bit_of_the_rows_after_a_batch() -> None:
    columns = {"flag": [True] * 8, "text": ["seen"] * 3 + ["SECRET"] * 5, "n": [1, 2, 3, None] * 2}
    batch = pa.record_batch({**columns, "list": [[1], [2], [3]] + [[0x5ECE7]] * 5})
    for rows in (1, 3):
        first = exact(batch.slice(0, rows))
        assert first.to_pylist() == batch.to_pylist()[:rows]
        sent = first.serialize().to_pybytes()
        assert b"SECRET" not in sent
        assert (0x5ECE7).to_bytes(8, "little") not in sent
        assert first.column("flag").buffers()[1].to_pybytes()[0] == (1 << rows) - 1
    assert exact(exact(batch)).equals(batch)


def test_a_plan_that_names_an_unknown_column_or_releases_nothing_is_refused() -> None:
    schema = pa.schema([("a", pa.int64())])
    for wrong in (
        plan(["b"]),
        plan(None, {"b": NULL}),
        plan(None, {}, ("b", Operator.EQ, 1)),
    ):
        with pytest.raises(PolicyMismatch, match="'b'"):
            Enforcement.of(wrong, schema, KEY)
    with pytest.raises(PolicyMismatch, match="no column"):
        Enforcement.of(plan([]), schema, KEY)
