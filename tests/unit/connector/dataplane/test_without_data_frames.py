"""Nanoseconds are shown and grouped where no pandas is installed, or a server hides it: Python has none."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

HIDDEN = """
import json, sys
from schemas.binding.lean import starting
with starting():
    import pyarrow as pa
    from connector.dataplane.cells import cells_of, rows_as_text
    from connector.dataplane.groups import GroupedScan
ZONED = pa.timestamp("ns", "Europe/Berlin")
FINE = {
    "day": pa.array([1_234_567_891, None], pa.timestamp("ns")),
    "zoned": pa.array([1_234_567_891, None], ZONED),
    "time": pa.array([1_234_567_891, None], pa.time64("ns")),
    "span": pa.array([1_234_567_891, None], pa.duration("ns")),
}
"""


def without_pandas(program: str) -> Any:
    ran = subprocess.run(
        [sys.executable, "-c", HIDDEN + program], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)


def test_a_preview_shows_all_digits_of_a_time() -> None:
    shown = without_pandas("print(json.dumps(rows_as_text(pa.table(FINE))))")
    assert shown == [
        [
            "1970-01-01 00:00:01.234567891",
            "1970-01-01 01:00:01.234567891+0100",
            "00:00:01.234567891",
            "1234567891",
        ],
        [None, None, None, None],
    ]


def test_times_within_lists_and_structs_are_shown_to_the_microsecond() -> None:
    shown = without_pandas("""
within = pa.struct([("at", ZONED), ("n", pa.int8())])
inner = pa.array([[{"at": 1_234_567_891, "n": 1}], None], pa.list_(within))
kept = pa.array([[("a", 1_234_567_891)], None], pa.map_(pa.string(), pa.time64("ns")))
few = pa.array([[1_234_567_891, None], None], pa.list_(pa.duration("ns"), 2))
print(json.dumps([str(cells_of(one)[0]) for one in (inner, kept, few)]))
""")
    assert "datetime.datetime(1970, 1, 1, 1, 0, 1, 234567" in shown[0]
    assert "datetime.time(0, 0, 1, 234567)" in shown[1]
    assert "datetime.timedelta(seconds=1, microseconds=234567)" in shown[2]


def test_groups_by_a_time_of_nanoseconds_are_told_apart_by_all_of_them() -> None:
    told = without_pandas("""
from connector.dataplane.groups import keys_of
near = pa.table({"at": pa.array([1_234_567_891, 1_234_567_892, None], pa.timestamp("ns"))})
print(json.dumps([len(set(keys_of(near, 1))), keys_of(near, 0)]))
""")
    assert told == [3, [[], [], []]], "three instants; one group where nothing is asked for"
