"""What offering datasets needs from the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from connector.offering.sought import ALL, Sought
from connector.outbox.ports import Outgoing
from policies.plan import DataPlan
from schemas.dcat import Dataset
from schemas.odrl import Offer
from schemas.usage import UsageRecord

if TYPE_CHECKING:  # a participant that only consumes never loads it
    import pyarrow as pa


CONSENT_COLUMNS = ("subject", "purpose", "given_at", "withdrawn_at")
"""The columns of a consent table: who, for what (empty: anything), since when, until when (empty: still)."""


@dataclass(frozen=True)
class Offering:
    """A dataset as published here: its description, and the files behind it (never told to anybody).

    `consent` is the table of who consents to what, where a permission asks for consent.
    """

    dataset: Dataset
    source: str
    published: datetime
    withdrawn: datetime | None = None
    version: int = 0
    consent: str | None = None

    def offer(self, offer_id: str) -> Offer | None:
        """Return the offer of that id."""
        return next((offer for offer in self.dataset.has_policy if offer.id == offer_id), None)

    def at_version(self, version: int) -> Offering:
        """Return the same offering with another version."""
        return replace(self, version=version)


@dataclass(frozen=True)
class SourceFacts:
    """What one look at a file tells.

    Shapes: `schema` as streamed. Units: rows, bytes on disk.
    """

    schema: pa.Schema
    rows: int
    byte_size: int


class Sources(Protocol):
    """Reads data files below the folders that the holder allows.

    A source is named by text, which is checked each time, or by the path that `resolve` gave for it.
    """

    def facts(self, source: str | Path) -> SourceFacts:
        """Look at a file without reading its data.

        Raises:
            UnreadableData: if it is corrupt or of no known kind; the message names the file's name only.
            NotFound: if there is no such file below the allowed folders.
        """
        ...

    def head(self, source: str | Path, plan: DataPlan, most: int) -> pa.Table:
        """Return the first rows that a plan of rows and columns releases, at most `most` of them, unmasked.

        Raises:
            UnreadableData: if the file cannot be read.
        """
        ...

    def count(self, source: str | Path, plan: DataPlan) -> int:
        """Return how many rows a plan of rows and columns releases.

        Raises:
            UnreadableData: if the file cannot be read.
        """
        ...

    def resolve(self, source: str) -> Path:
        """Return the checked path of a source; a path that leaves the allowed folders is NotFound."""
        ...


class OfferingStore(Protocol):
    """Keeps what is offered."""

    def put(
        self,
        offerings: Sequence[Offering],
        *,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
    ) -> None:
        """Save offerings (new, changed or withdrawn) with the mail and records they cause: all or nothing."""
        ...

    def get(self, dataset_id: str) -> Offering:
        """Return an offering, withdrawn ones included.

        Raises:
            NotFound: naming the id.
        """
        ...

    def many(self, dataset_ids: Sequence[str]) -> Mapping[str, Offering]:
        """Return those offerings that exist among some ids, withdrawn ones included."""
        ...

    def page(self, offset: int, limit: int, sought: Sought = ALL) -> Sequence[Offering]:
        """Return offerings that are not withdrawn and are sought, ordered by dataset id."""
        ...

    def told(self, offset: int, limit: int, sought: Sought = ALL) -> Sequence[bytes]:
        """Return the datasets that `page` would find, each as the JSON text (UTF-8) of its `wire()`."""
        ...

    def count(self, sought: Sought = ALL) -> int:
        """Return how many offerings `page` would go through."""
        ...
