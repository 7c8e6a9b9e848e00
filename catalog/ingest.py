"""The one door for metadata, pushed or crawled.

A document under the DSP context is read as plain JSON (no RDF in the path), what is unchanged is recognised
by its digest before anything is parsed, and everything else is saved in one transaction. A dataset that
cannot be taken is refused by name and does not hold up the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalog.ports import Records
from catalog.records import (
    Entry,
    Origin,
    Surroundings,
    as_list,
    dataset_id,
    document_text,
    entry_from,
    standing_alone,
)
from schemas.errors import Forbidden, Malformed, NotFound, Refused
from schemas.jsonld import compact_form

MOST_AT_ONCE = 1000
"""Datasets of one transaction: others who write wait for no more than these."""


@dataclass(frozen=True)
class RefusedDataset:
    """A dataset that was not taken, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Taken:
    """What became of a document: `accepted` counts new, changed and restored datasets."""

    accepted: int
    unchanged: int
    refused: tuple[RefusedDataset, ...] = ()


class Ingest:
    """Takes catalogue documents in, and datasets out."""

    def __init__(self, records: Records, clock: Callable[[], datetime]) -> None:
        """Make the door over a store and a clock."""
        self._records = records
        self._clock = clock

    def take(self, document: Any, origin: Origin, *, run: int | None = None) -> Taken:
        """Take a catalogue document of a participant.

        Args:
            document: the catalogue as JSON.
            origin: whose it must be, and how it came.
            run: the number of the crawl that brought it, if one did.

        Raises:
            Malformed: if the document as a whole is not a catalogue that can be read.
            Forbidden: if it speaks for another participant.
            StorageUnavailable: if nothing could be saved.
        """
        catalogue = compact_form(document)
        if catalogue.get("@type") != "Catalog":
            raise Malformed(f"expected '@type': 'Catalog', got {str(catalogue.get('@type'))[:80]!r}")
        said = catalogue.get("participantId")
        if said != origin.participant:
            raise Forbidden(
                f"the catalogue is of {str(said)[:120]!r}, but was given by {origin.participant!r}"
            )
        batch = _Batch(origin.participant)
        batch.read(catalogue, Surroundings(origin.participant))
        batch.sort(self._records)
        accepted = unchanged = 0
        for entries, same in batch.parts():
            saved = self._records.save(origin, entries, same, run=run, at=self._clock())
            accepted += saved.added + saved.changed + saved.restored
            unchanged += saved.unchanged
        return Taken(accepted, unchanged, tuple(batch.refused))

    def withdraw(self, participant: str, dataset: str, reason: str) -> None:
        """Take a dataset out; its tombstone stays.

        Raises:
            NotFound: if the participant has no such dataset here.
        """
        if not self._records.withdraw(participant, dataset, reason, self._clock()):
            raise NotFound(f"{participant} has no dataset {dataset[:120]!r} here")

    def withdraw_unseen(self, participant: str, run: int) -> int:
        """Take out what a finished crawl no longer saw; returns how many."""
        reason = "no longer in its provider's catalogue"
        return self._records.withdraw_unseen(participant, run, reason, self._clock())

    def withdraw_origin(self, participant: str) -> int:
        """Take out what was crawled from an origin that is no longer crawled; returns how many."""
        return self._records.withdraw_all(participant, "its provider is no longer crawled", self._clock())


class _Batch:
    """The datasets of one document, sorted into new, same and refused."""

    def __init__(self, participant: str) -> None:
        self.participant = participant
        self.entries: list[Entry] = []
        self.same: list[str] = []
        self.refused: list[RefusedDataset] = []
        self._read: dict[str, tuple[Mapping[str, Any], str, Surroundings]] = {}

    def read(self, catalogue: Mapping[str, Any], outer: Surroundings) -> None:
        """Read the datasets of a catalogue, and of the participant's own catalogues nested in it."""
        around = outer.within(catalogue)
        for raw in as_list(catalogue.get("dataset")):
            self._read_one(raw, around)
        for nested in as_list(catalogue.get("catalog")):
            if (
                isinstance(nested, Mapping)
                and nested.get("participantId", self.participant) == self.participant
            ):
                self.read(nested, around)

    def _read_one(self, raw: Any, around: Surroundings) -> None:
        said = raw.get("@id") if isinstance(raw, Mapping) else None
        try:
            dataset = dataset_id(raw)
            if dataset in self._read:
                raise Malformed("the same '@id' stands twice in one catalogue")
            document = standing_alone(raw, around.services)
            self._read[dataset] = (document, document_text(document), around)
        except Refused as error:
            self.refused.append(RefusedDataset(str(said)[:512], str(error)))

    def parts(self) -> Iterator[tuple[list[Entry], list[str]]]:
        """Return what is to be saved in parts: a push is one, a long page of a crawl is several."""
        most = max(len(self.entries), len(self.same))
        for start in range(0, most, MOST_AT_ONCE):
            end = start + MOST_AT_ONCE
            yield self.entries[start:end], self.same[start:end]

    def sort(self, records: Records) -> None:
        """Find out what is unchanged, and read the rest."""
        held = records.digests(self.participant, self._read.keys())
        for dataset, (document, text, around) in self._read.items():
            if held.get(dataset) == around.digest(text):
                self.same.append(dataset)
                continue
            try:
                self.entries.append(entry_from(document, text, around))
            except Refused as error:
                self.refused.append(RefusedDataset(dataset, str(error)))
