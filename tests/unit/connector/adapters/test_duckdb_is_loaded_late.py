"""A connector whose policies set no conditions on rows does not pay for DuckDB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

READ = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from connector.adapters.sources import ParquetSources
from connector.dataplane.ports import ScanRequest
from policies.plan import Branch, Comparison, DataPlan
from policies.profile import Operator
import connector.app.connector

sources = ParquetSources([Path(sys.argv[1])], lambda: datetime(2026, 1, 1, tzinfo=UTC))
plain = DataPlan()
filtered = DataPlan((Branch(predicate=(Comparison("id", Operator.LT, (3,)),)),))
for plan in (plain, filtered):
    scan = sources.scan("some.parquet", plan, ScanRequest(1 << 20, salt="0" * 64))
    rows = sum(one.batch.num_rows for one in scan.batches())
    scan.close()
    print(rows, "duckdb" in sys.modules)
"""


def test_duckdb_is_loaded_with_the_first_plan_that_needs_it(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2, 3, 4]}), tmp_path / "some.parquet")
    told = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert told.stdout.split("\n")[:2] == ["4 False", "2 True"]
