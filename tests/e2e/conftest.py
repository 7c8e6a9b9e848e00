"""A small data space of real processes: the demo's own, on tables made here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import connector
from connector.app.world import utc_now
from connector.client.find import search
from connector.client.stream import DataStream
from connector.demo.space import Space, prepare, running
from tests.signaling import DATASET, OPEN, PEOPLE, DataPlane, data_plane, take_all

FLIGHTS, PATIENTS = 60_000, 3_000
RESEARCH = "dpv:ScientificResearch"
MOST_ROWS = 1_000
BIG, BIG_ROWS = "urn:dataset:big", 400_000
BIG_TABLE = pa.table({"id": pa.array(range(BIG_ROWS), pa.int64()), "text": ["x" * 100] * BIG_ROWS})


@dataclass
class Town:
    """A running space with its datasets published, and the verbs that tests use."""

    space: Space
    data: Path
    urls: list[str] = field(default_factory=list)

    @property
    def catalogue(self) -> str:
        """URL of the catalogue."""
        return self.space.catalog.url

    def open(self, dataset: str, purpose: str | None = RESEARCH, **options: Any) -> DataStream:
        """Open a dataset as the AI developer."""
        door = self.space.participants["developer"]
        return connector.open(
            self.catalogue,
            dataset,
            purpose=purpose,
            connector=door.url,
            key=self.space.api_key("developer"),
            **options,
        )

    def mandate(self, holder: str) -> str:
        """A URL for the auditor."""
        return str(self.space.management(holder).post("/mandates", {"days": 1})["url"])

    def hit(self, text: str) -> dict[str, Any]:
        """The first hit of a search."""
        found: dict[str, Any] = search(self.catalogue, text, purpose=RESEARCH)["hits"][0]
        return found


def make_tables(folder: Path) -> None:
    """Write the files of three holders."""
    for holder in ("mobility", "hospital", "lab"):
        (folder / holder).mkdir(parents=True)
    rows = range(FLIGHTS)
    flights = pa.table(
        {
            "number": pa.array(rows),
            "delay": pa.array([n % 97 / 7 for n in rows]),
            "carrier": [f"C{n % 5}" for n in rows],
        }
    )
    pq.write_table(flights, folder / "mobility" / "flights.parquet", row_group_size=8192)
    patients = pa.table(
        {
            "id": pa.array([1000 + n // 2 for n in range(PATIENTS)]),
            "age": pa.array([None if n % 50 == 0 else 20 + n % 70 for n in range(PATIENTS)]),
            "bmi": pa.array([18 + n % 20 for n in range(PATIENTS)]),
            "case.id": pa.array(range(PATIENTS)),
        }
    )
    pq.write_table(patients, folder / "hospital" / "patients.parquet")
    for number in range(6):
        table = pa.table(
            {"x": pa.array(range(10 + number)), "label": [f"row {n}" for n in range(10 + number)]}
        )
        pq.write_table(table, folder / "lab" / f"series{number}.parquet")


def publish(space: Space) -> None:
    """Let the holders publish everything that they have."""
    now = utc_now()
    mobility = {
        "source": "flights.parquet",
        "title": "Flights of a year",
        "offer": {"template": "research-only", "parameters": {}},
    }
    patients = {
        "source": "patients.parquet",
        "title": "Liver patients",
        "offer": {
            "template": "health-secondary-use",
            "parameters": {
                "purposes": [RESEARCH],
                "not_before": (now - timedelta(days=1)).isoformat(),
                "not_after": (now + timedelta(days=30)).isoformat(),
                "visible_columns": ["id", "age", "bmi"],
                "mask_columns": ["id"],
                "filter_column": "age",
                "filter_operator": "gteq",
                "filter_value": 50,
                "max_rows": MOST_ROWS,
            },
        },
    }
    lab = [
        {
            "source": f"series{number}.parquet",
            "title": f"Series {number}",
            "offer": {"template": "open-training", "parameters": {}},
        }
        for number in range(6)
    ]
    for holder, items in (("mobility", [mobility]), ("hospital", [patients]), ("lab", lab)):
        answered = space.management(holder).publish(items)
        assert not answered["refused"], answered
    space.crawl()
    await_true(lambda: search(space.catalog.url, "", size=1)["total"] == 8, "eight datasets in the catalogue")


def await_true(question: Any, what: str, seconds: float = 30.0) -> Any:
    """Ask until the answer is true; fail saying what never came."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.05)
    return answer


@contextmanager
def town(home: Path, settings: dict[str, str] | None = None) -> Iterator[Town]:
    """Run a space with its datasets published; `settings` adds lines to a participant's settings file."""
    data = home / "data"
    make_tables(data)
    space = prepare(home / "space", data)
    for name, lines in (settings or {}).items():
        file = space.participants[name].folder / "hansa.toml"
        file.write_text(lines + "\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    with running(space):
        publish(space)
        yield Town(space, data)


@pytest.fixture(scope="module")
def running_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One space for the tests of a file."""
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    with data_plane(tmp_path_factory.mktemp("plane"), ((DATASET, PEOPLE), (BIG, BIG_TABLE))) as made:
        yield made


@pytest.fixture
def cut(serving: DataPlane) -> DataPlane:
    """The data plane, with a control plane that is as it was at first."""
    plane = serving.plane
    plane.permission, plane.agreement_status, plane.sink = OPEN, 200, take_all
    plane.change = lambda agreement: agreement
    plane.refusing.clear()
    plane.release.clear()
    return serving
