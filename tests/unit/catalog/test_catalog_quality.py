"""The score adds up, says what would help, and finds what DCAT-AP misses."""

from __future__ import annotations

from typing import Any

from catalog.quality import assess
from catalog.shapes import Severity, findings
from schemas.dcat import Dataset
from schemas.vocab import ACCESS_RIGHT, DATA_THEME, HANSA
from tests.catalog_space import dataset, flights


def read(**members: Any) -> Dataset:
    return Dataset.read(flights(**members))


def test_the_scale_is_that_of_mqa() -> None:
    quality = assess(read())
    by_dimension: dict[str, int] = {}
    for mark in quality.marks:
        by_dimension[mark.dimension] = by_dimension.get(mark.dimension, 0) + mark.most
    assert quality.most == 405
    assert by_dimension == {
        "findability": 100,
        "accessibility": 100,
        "interoperability": 110,
        "reusability": 75,
        "contextuality": 20,
    }


def test_every_point_that_is_missing_says_what_would_help() -> None:
    quality = assess(Dataset.read(dataset("urn:a")))
    assert quality.points == sum(mark.points for mark in quality.marks) < 200
    assert all(mark.advice for mark in quality.marks if mark.points == 0)
    assert not any(mark.advice for mark in quality.marks if mark.points)


def test_a_better_description_scores_higher() -> None:
    poor, rich = assess(Dataset.read(dataset("urn:a"))), assess(read())
    assert rich.points > poor.points
    assert rich.ready > poor.ready
    assert rich.band == "good"


def test_readiness_asks_for_what_a_trainer_needs() -> None:
    assert assess(read(**{HANSA + "rows": None})).ready == assess(read()).ready - 1


def test_a_bare_dataset_lacks_what_dcat_ap_makes_mandatory() -> None:
    found = findings(Dataset.read(dataset("urn:a")))
    assert [item.member for item in found if item.severity is Severity.VIOLATION] == ["dct:description"]
    assert "dcat:keyword" in {item.member for item in found}


def test_codes_outside_the_tables_are_named() -> None:
    strange = read(
        **{"dcat:theme": [{"@id": DATA_THEME + "MOON"}], "dct:accessRights": {"@id": ACCESS_RIGHT + "MAYBE"}}
    )
    texts = " ".join(item.text for item in findings(strange))
    assert "MOON" in texts
    assert "MAYBE" in texts
