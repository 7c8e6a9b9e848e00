"""Telling the shared catalogues what is offered: messages for the outbox, and what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from connector.offering.describe import Holder
from connector.offering.ports import Offering
from connector.outbox.ports import Delivery, Outgoing
from connector.outbox.refusal import Verdict
from schemas.base import LangString
from schemas.dcat import Agent, Catalog, DataService, Dataset

PROCESS = "publication"
MOST_DATASETS = 500
"""Datasets of one message."""
MOST_BYTES = 4 << 20
"""Bytes of one message; a single dataset may be longer."""
# Measured on two thousand tables, and rounded up: to write a message twice only to weigh it would cost more.
_BYTES_PER_DATASET, _BYTES_PER_COLUMN = 6000, 700

LIFE = timedelta(days=7)
"""How long a catalogue may be away before a message is given up; a later crawl brings it what it missed."""


def catalog_of(holder: Holder, datasets: Sequence[Dataset]) -> Catalog:
    """Return a catalogue document of the holder with these datasets."""
    return Catalog(
        id=f"{holder.dsp_url}/catalog",
        participant_id=holder.did,
        title=(LangString(value=f"Datasets of {holder.name}", language="en"),),
        description=(
            LangString(value=f"What {holder.name} offers to members of the data space.", language="en"),
        ),
        publisher=Agent(id=holder.did, name=holder.name),
        dataset=tuple(datasets),
        service=(
            DataService(
                id=f"{holder.dsp_url}#service",
                endpoint_url=holder.dsp_url,
                title=(LangString(value=f"Connector of {holder.name}", language="en"),),
                endpoint_description="dspace:connector",
            ),
        ),
    )


class CatalogPush:
    """Builds the messages to the shared catalogues, and is told what became of them (a `Sender`).

    Args:
        catalogs: (DID, base URL) of each catalogue that is told.
        holder: in whose name.
        clock: UTC, aware.
        new_id: makes message ids.
    """

    def __init__(
        self,
        *,
        catalogs: Sequence[tuple[str, str]],
        holder: Holder,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._catalogs = tuple((did, url.rstrip("/")) for did, url in catalogs)
        self._holder, self._clock, self._new_id = holder, clock, new_id
        self._lock = threading.Lock()
        self._problems: dict[str, tuple[str, ...]] = {}

    def __call__(self, offered: Sequence[Offering], withdrawn: Sequence[str]) -> Sequence[Outgoing]:
        """Return the messages that tell every catalogue of offered datasets and of withdrawn ids."""
        if not self._catalogs:
            return ()
        told = [
            catalog_of(self._holder, part).wire()
            for part in _parts([offering.dataset for offering in offered])
        ]
        return [
            message
            for did, url in self._catalogs
            for message in (
                *(self._message(did, "POST", f"{url}/publish", document) for document in told),
                *(
                    self._message(did, "DELETE", f"{url}/publish/datasets/{quote(one, safe='')}", {})
                    for one in withdrawn
                ),
            )
        ]

    def _message(self, did: str, method: Any, url: str, document: dict[str, Any]) -> Outgoing:
        now = self._clock()
        return Outgoing(
            id=self._new_id(),
            kind="publication",
            process=f"{PROCESS} {did}",
            recipient=did,
            method=method,
            url=url,
            document=document,
            created=now,
            deadline=now + LIFE,
            due=now,
        )

    def delivered(self, outgoing: Outgoing, delivery: Delivery) -> None:
        """Note what the catalogue said of the datasets: it may take some and refuse others."""
        said = delivery.document.get("refused") if isinstance(delivery.document, dict) else None
        refused = tuple(_refusal(item) for item in said[:20]) if isinstance(said, list) else ()
        with self._lock:
            if refused:
                self._problems[outgoing.recipient] = refused
            else:
                self._problems.pop(outgoing.recipient, None)

    def refused(self, outgoing: Outgoing, standing: str | None) -> Verdict:
        """Take a catalogue at its word."""
        return Verdict.FINAL

    def undeliverable(self, outgoing: Outgoing, problem: str, reasons: Sequence[str]) -> None:
        """Note that a catalogue was not told; what is offered stays offered."""
        with self._lock:
            self._problems[outgoing.recipient] = (problem, *reasons)[:20]

    def problems(self) -> dict[str, tuple[str, ...]]:
        """Return, for each catalogue that did not take all, what it said."""
        with self._lock:
            return dict(self._problems)


def _refusal(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)[:300]
    named = item.get("dataset") or item.get("id") or item.get("source") or "a dataset"
    return f"{str(named)[:120]}: {str(item.get('reason') or item.get('problem') or item)[:300]}"


def _parts(datasets: Sequence[Dataset]) -> Iterator[list[Dataset]]:
    part: list[Dataset] = []
    size = 0
    for dataset in datasets:
        length = _BYTES_PER_DATASET + _BYTES_PER_COLUMN * len(dataset.columns)
        if part and (len(part) == MOST_DATASETS or size + length > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(dataset)
        size += length
    if part:
        yield part
