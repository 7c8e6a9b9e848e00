"""Rows <-> values: how records and changes stand in their tables."""

from __future__ import annotations

import json
import re
from typing import Any

from sqlalchemy import Row, select

from catalog.adapters.tables import documents, from_micros, moment, records, to_micros
from catalog.records import CatalogRecord, Change, ChangeKind, Entry, Origin, Way


def values_of(entry: Entry, origin: Origin) -> dict[str, Any]:
    """Return the columns of a record that an entry fills."""
    return {
        "participant": origin.participant,
        "dataset": entry.dataset,
        "way": origin.way.value,
        "digest": entry.digest,
        "title": entry.title,
        "language": entry.language,
        "description": entry.description,
        "publisher": entry.publisher,
        "identifier": entry.identifier,
        "endpoint": entry.endpoint,
        "rows": entry.rows,
        "byte_size": entry.byte_size,
        "access": entry.access,
        "themes": json.dumps(entry.themes),
        "keywords": json.dumps(entry.keywords),
        "offers": entry.offers,
        "folded_id": entry.dataset.lower(),
        "folded_title": entry.title.lower(),
        "tail": re.split(r"[^\w]+", entry.dataset.lower())[-1],
    }


def record_of(row: Row[Any]) -> CatalogRecord:
    """Return the record of a row that `WHOLE` selected."""
    held = row._mapping
    entry = Entry(
        **{name: held[name] for name in _PLAIN},
        themes=tuple(json.loads(held["themes"])),
        keywords=tuple(json.loads(held["keywords"])),
    )
    return CatalogRecord(
        entry=entry,
        origin=Origin(held["participant"], Way(held["way"])),
        version=held["version"],
        first_seen=moment(held["first_seen"]),
        changed=moment(held["changed"]),
        withdrawn=from_micros(held["withdrawn"]),
        reason=held["reason"],
    )


_PLAIN = (
    "dataset", "document", "digest", "title", "language", "description", "publisher", "identifier",
    "endpoint", "rows", "byte_size", "access", "offers",
)  # fmt: skip

WHOLE = select(records, documents.c.document).join(documents, documents.c.record == records.c.key)
"""Selects what `record_of` reads."""


def facet_rows(key: int, entry: Entry) -> list[dict[str, Any]]:
    """Return the facets of an entry."""
    pairs = {
        ("publisher", entry.publisher),
        ("access", entry.access),
        *(("theme", theme) for theme in entry.themes),
    }
    return [{"kind": kind, "value": value, "record": key} for kind, value in sorted(pairs)]


def change_row(change: Change) -> dict[str, Any]:
    """Return the columns of a change."""
    return {
        "participant": change.participant,
        "dataset": change.dataset,
        "kind": change.kind.value,
        "version": change.version,
        "at": to_micros(change.at),
        "members": json.dumps(change.members),
    }


def change_of(row: Row[Any]) -> Change:
    """Return the change of a row."""
    held = row._mapping
    return Change(
        participant=held["participant"],
        dataset=held["dataset"],
        kind=ChangeKind(held["kind"]),
        version=held["version"],
        at=moment(held["at"]),
        members=tuple(json.loads(held["members"])),
    )
