"""What cannot be kept on the data is refused when they are published, by term, place and column."""

from __future__ import annotations

from typing import Any

import pytest

from policies.fitting import fit_to_columns
from schemas.dcat import Column
from schemas.errors import PolicyMismatch
from tests.policy_builders import allowing, compiled, limit, rule
from tests.profile_terms import COLUMNS

WIDE = (
    *COLUMNS,
    Column(name="ok", datatype="bool"),
    Column(name="seen", datatype="timestamp[us, tz=UTC]"),
    Column(name="tags", datatype="list<item: string>"),
    Column(name="Café", datatype="string"),
    Column(name="code", datatype="dictionary<values=string, indices=int32, ordered=0>"),
)


def anonymous(*names: str) -> list[dict[str, Any]]:
    return [limit("kAnonymity", "gteq", "5"), limit("quasiIdentifiers", "isAllOf", list(names))]


@pytest.mark.parametrize(
    "constraints",
    [
        [limit("mask/code", "eq", "redact")],
        [limit("mask/seen", "eq", "truncate:hour")],
        [limit("mask/income", "eq", "bucket:0.5")],
        [limit("mask/tags", "eq", "null")],
        [limit("rowSpatial/code", "isPartOf", "EU")],
        anonymous("ok", "seen", "code"),
        [limit("consent/age", "eq", "given")],
    ],
)
def test_a_term_fits_every_type_that_it_can_be_kept_on(constraints: list[dict[str, Any]]) -> None:
    fit_to_columns(allowing(*constraints), WIDE)


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        ([limit("mask/age", "eq", "redact")], "it takes a column of text; write null for others"),
        ([limit("mask/name", "eq", "bucket:10")], "it takes a column of numbers"),
        ([limit("mask/age", "eq", "bucket:0.5")], "write a whole number as the width"),
        ([limit("mask/name", "eq", "round:1")], "it takes a column of numbers"),
        ([limit("mask/ok", "eq", "bucket:1")], "it takes a column of numbers"),
        ([limit("mask/born", "eq", "truncate:hour")], "dates have no hours"),
        ([limit("mask/age", "eq", "truncate:year")], "it takes a column of dates or timestamps"),
        ([limit("mask/tags", "eq", "hash")], "mask 'hash' cannot be kept on column 'tags'"),
        ([limit("rowSpatial/age", "isPartOf", "EU")], "it takes a column of text with region codes"),
        ([limit("consent/income", "eq", "given")], "cannot name subjects"),
        (anonymous("tags"), "rows cannot be grouped by column 'tags'"),
        (
            [limit("aggregateOnly", "eq", "true"), limit("subject", "eq", "born")],
            "cannot name subjects",
        ),
        ([limit("notTogether", "isAllOf", ["name", "nome"])], "names column 'nome', which the data lack"),
        (anonymous("age", "zip"), "names column 'zip', which the data lack"),
        ([limit("column/Age", "gt", "5")], "names column 'Age', which the data lack; did you mean 'age'?"),
        (
            [limit("mask/Cafe%CC%81", "eq", "hash")],
            "which the data lack; did you mean 'Caf\\xe9'?",
        ),
    ],
)
def test_a_term_that_cannot_be_kept_on_a_column_is_refused(
    constraints: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(PolicyMismatch) as refused:
        fit_to_columns(allowing(*constraints), WIDE)
    assert words in str(refused.value)
    assert "permission[0].constraint[" in str(refused.value)


def test_the_rows_of_a_prohibition_are_checked_as_well() -> None:
    policy = compiled(rule("use"), prohibition=[rule("use", limit("column/shoe", "eq", "5"))])
    with pytest.raises(PolicyMismatch, match=r"prohibition\[0\].constraint\[0\] names column 'shoe'"):
        fit_to_columns(policy, WIDE)


def test_statistics_need_something_besides_the_subjects() -> None:
    policy = allowing(limit("aggregateOnly", "eq", "true"), limit("subject", "eq", "name"))
    with pytest.raises(PolicyMismatch, match="no column to make statistics of"):
        fit_to_columns(policy, (Column(name="name", datatype="string"),))
