"""Our own checks of what DCAT-AP asks of a dataset, as findings in plain words.

First depth: the mandatory and recommended properties of Dataset, Distribution and Agent, and the code lists
that `schemas.vocab` holds. Nothing is refused for a finding: the score tells.

Source: DCAT-AP 3.0.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.dcat import Dataset
from schemas.vocab import ACCESS_RIGHT, ACCESS_RIGHTS, DATA_THEME, DATA_THEMES


class Severity(StrEnum):
    """How much a finding matters to DCAT-AP."""

    VIOLATION = "missing"
    WARNING = "recommended"


@dataclass(frozen=True)
class Finding:
    """One thing that DCAT-AP asks for and the dataset lacks; `member` is the property's name."""

    severity: Severity
    member: str
    text: str


def findings(dataset: Dataset) -> tuple[Finding, ...]:
    """Check a dataset; an empty answer means that nothing mandatory or recommended is missing."""
    found: list[Finding] = []

    def check(holds: object, severity: Severity, member: str, text: str) -> None:
        if not holds:
            found.append(Finding(severity, member, text))

    must, should = Severity.VIOLATION, Severity.WARNING
    check(any(text.value.strip() for text in dataset.title), must, "dct:title", "It has no title.")
    check(
        any(text.value.strip() for text in dataset.description),
        must,
        "dct:description",
        "It has no description.",
    )
    check(dataset.distribution, must, "dcat:distribution", "It has no distribution.")
    check(dataset.publisher, should, "dct:publisher", "It does not say who publishes it.")
    if dataset.publisher is not None:
        check(dataset.publisher.name, must, "foaf:name", "Its publisher has no name.")
    check(dataset.keyword, should, "dcat:keyword", "It has no keywords.")
    check(dataset.theme, should, "dcat:theme", "It has no theme.")
    check(dataset.spatial, should, "dct:spatial", "It does not say which place it is about.")
    for theme in dataset.theme:
        known = theme.startswith(DATA_THEME) and theme.removeprefix(DATA_THEME) in DATA_THEMES
        check(known, should, "dcat:theme", f"Its theme {theme} is not in the EU table of data themes.")
    if dataset.access_rights is not None:
        code = dataset.access_rights.removeprefix(ACCESS_RIGHT)
        text = f"Its access rights {dataset.access_rights} are not in the EU table."
        check(code in ACCESS_RIGHTS, should, "dct:accessRights", text)
    for distribution in dataset.distribution:
        check(
            distribution.media_type,
            should,
            "dcat:mediaType",
            f"Distribution {distribution.format} has no media type.",
        )
    return tuple(dict.fromkeys(found))
