"""How good a dataset's metadata is: a score compatible with MQA, and how ready it is for AI, both explained.

MQA reads metadata of open portals; where it asks whether a URL answers, a data space has a connector: a
dataset that is negotiated counts as reachable when its endpoint is stated.

Source: data.europa.eu Metadata Quality Assessment (weights and bands; 405 points).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from catalog.shapes import Severity, findings
from schemas.base import IRI_PATTERN
from schemas.dcat import DataService, Dataset
from schemas.vocab import ACCESS_RIGHT, ACCESS_RIGHTS, MEDIA_ARROW_STREAM, MEDIA_PARQUET

_BANDS = ((351, "excellent"), (221, "good"), (121, "sufficient"), (0, "poor"))
_OPEN_FORMATS = frozenset(
    {
        "text/csv",
        "application/json",
        "application/ld+json",
        "text/turtle",
        "application/xml",
        "application/geo+json",
        MEDIA_PARQUET,
        MEDIA_ARROW_STREAM,
    }
)


@dataclass(frozen=True)
class Mark:
    """One thing that is scored: what it earns, at most, and what to do where it earns nothing."""

    dimension: str
    name: str
    points: int
    most: int
    advice: str | None


@dataclass(frozen=True)
class Quality:
    """A score with its reasons; `ready` of `ready_of` things that a trainer needs are there."""

    points: int
    most: int
    band: str
    marks: tuple[Mark, ...]
    ready: int
    ready_of: int
    readiness: tuple[Mark, ...]


_Test = tuple[str, str, int, Callable[[Dataset], object], str]


def _media(dataset: Dataset) -> set[str]:
    return {item.media_type for item in dataset.distribution if item.media_type}


def _streams_arrow(dataset: Dataset) -> bool:
    return any("Arrow" in item.format for item in dataset.distribution)


def _has_endpoint(dataset: Dataset) -> bool:
    services = (item.access_service for item in dataset.distribution)
    return any(isinstance(service, DataService) and service.endpoint_url for service in services)


def _is_valid(dataset: Dataset) -> bool:
    return all(finding.severity is not Severity.VIOLATION for finding in findings(dataset))


def _access_is_known(dataset: Dataset) -> bool:
    return (
        bool(dataset.access_rights) and str(dataset.access_rights).removeprefix(ACCESS_RIGHT) in ACCESS_RIGHTS
    )


_MQA: tuple[_Test, ...] = (
    ("findability", "keywords", 30, lambda d: d.keyword, "Add keywords."),
    ("findability", "theme", 30, lambda d: d.theme, "Add a theme of the EU table."),
    ("findability", "place", 20, lambda d: d.spatial, "Say which place it is about (dct:spatial)."),
    (
        "findability",
        "period",
        20,
        lambda d: False,
        "Say which period it is about; this catalogue cannot read it yet.",
    ),
    ("accessibility", "endpoint stated", 50, _has_endpoint, "State the endpoint of the connector."),
    ("accessibility", "can be fetched", 20, lambda d: d.distribution, "Add a distribution."),
    ("accessibility", "endpoint answers", 30, _has_endpoint, "State the endpoint of the connector."),
    ("interoperability", "format", 20, lambda d: any(i.format for i in d.distribution), "State a format."),
    ("interoperability", "media type", 10, _media, "State the media type of a distribution."),
    (
        "interoperability",
        "media type is registered",
        10,
        lambda d: any("/" in m for m in _media(d)),
        "Use an IANA name.",
    ),
    ("interoperability", "open format", 20, lambda d: _media(d) & _OPEN_FORMATS, "Offer an open format."),
    (
        "interoperability",
        "machine-readable",
        20,
        lambda d: _media(d) & _OPEN_FORMATS,
        "Offer a machine-readable format.",
    ),
    ("interoperability", "DCAT-AP", 30, _is_valid, "Supply what DCAT-AP makes mandatory; see the findings."),
    ("reusability", "licence", 20, lambda d: d.license, "State a licence (dct:license)."),
    (
        "reusability",
        "licence is an IRI",
        10,
        lambda d: d.license and IRI_PATTERN.match(d.license),
        "Name it by its IRI.",
    ),
    ("reusability", "access rights", 10, lambda d: d.access_rights, "State access rights."),
    ("reusability", "access rights are known", 5, _access_is_known, "Use a code of the EU table."),
    (
        "reusability",
        "contact",
        20,
        lambda d: d.landing_page,
        "Give a landing page where the publisher can be asked.",
    ),
    ("reusability", "publisher", 10, lambda d: d.publisher, "Say who publishes it."),
    ("contextuality", "rights", 5, lambda d: d.has_policy, "Attach an offer."),
    (
        "contextuality",
        "size",
        5,
        lambda d: any(i.byte_size for i in d.distribution),
        "State the size in bytes.",
    ),
    ("contextuality", "issued", 5, lambda d: d.issued, "State when it was issued."),
    ("contextuality", "modified", 5, lambda d: d.modified, "State when it was modified."),
)

_READINESS: tuple[_Test, ...] = (
    ("AI readiness", "schema", 1, lambda d: d.columns, "Describe the columns."),
    ("AI readiness", "schema fingerprint", 1, lambda d: d.schema_fingerprint, "State its fingerprint."),
    ("AI readiness", "row count", 1, lambda d: d.rows is not None, "State the number of rows."),
    ("AI readiness", "statistics", 1, lambda d: any(c.statistics for c in d.columns), "Profile the columns."),
    ("AI readiness", "machine-readable terms", 1, lambda d: d.has_policy, "Attach an ODRL offer."),
    ("AI readiness", "columnar stream", 1, _streams_arrow, "Stream Arrow."),
    ("AI readiness", "version", 1, lambda d: d.version or d.modified, "State a version or a date of change."),
)  # fmt: skip


def _marks(dataset: Dataset, tests: tuple[_Test, ...]) -> tuple[Mark, ...]:
    return tuple(
        Mark(dimension, name, most if holds else 0, most, None if holds else advice)
        for dimension, name, most, test, advice in tests
        for holds in (bool(test(dataset)),)
    )


def assess(dataset: Dataset) -> Quality:
    """Score a dataset's metadata and say what each point is for."""
    marks, readiness = _marks(dataset, _MQA), _marks(dataset, _READINESS)
    points = sum(mark.points for mark in marks)
    return Quality(
        points=points,
        most=sum(mark.most for mark in marks),
        band=next(name for least, name in _BANDS if points >= least),
        marks=marks,
        ready=sum(mark.points for mark in readiness),
        ready_of=len(readiness),
        readiness=readiness,
    )
