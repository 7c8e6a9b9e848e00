"""A dataset as the catalogue holds it: where it came from, its version, and what changed.

Pure: foreign documents in, values out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.base import LangString
from schemas.dcat import DataService, Dataset
from schemas.errors import Malformed, TooLarge
from schemas.vocab import ACCESS_RIGHT, DATA_THEME, FOAF

MOST_DOCUMENT = 2 << 20
"""Bytes of one dataset's document."""
_MOST_COUNT = 2**53
UNSTATED = "UNSTATED"
"""The access facet of a dataset that does not state its access rights."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Way(StrEnum):
    """The two ways into the catalogue."""

    PUSHED = "pushed"
    CRAWLED = "crawled"


@dataclass(frozen=True)
class Origin:
    """Where a record came from: whose dataset it is (DID), and by which way it came in."""

    participant: str
    way: Way


@dataclass(frozen=True)
class Entry:
    """What a provider said about one dataset, ready to be held and searched.

    `document` is the compact DSP form as JSON text with sorted keys; it stands alone, because its access
    services are written out. `offers` is the part of it that says what may be done, likewise.

    Units: `rows` counts rows, `byte_size` bytes of the largest distribution.
    """

    dataset: str
    document: str = field(repr=False)
    digest: str
    title: str
    language: str | None
    description: str
    publisher: str
    identifier: str | None
    endpoint: str | None
    rows: int | None
    byte_size: int | None
    access: str
    themes: tuple[str, ...]
    keywords: tuple[str, ...]
    offers: str = field(repr=False)
    texts: str = field(default="", repr=False)
    """Titles and keywords in every language: what a search weighs most."""
    details: str = field(default="", repr=False)
    """Descriptions and names of columns: what a search weighs least. Only the index keeps both texts."""


@dataclass(frozen=True)
class CatalogRecord:
    """An entry with its origin and its history here; times are UTC and aware.

    A withdrawn record is a tombstone: it is found by nobody, but it says when and why it went.
    """

    entry: Entry
    origin: Origin
    version: int
    first_seen: datetime
    changed: datetime
    withdrawn: datetime | None = None
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the dataset in the compact DSP form."""
        parsed: dict[str, Any] = json.loads(self.entry.document)
        return parsed


class ChangeKind(StrEnum):
    """What can happen to a record."""

    ADDED = "added"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    RESTORED = "restored"


@dataclass(frozen=True)
class Change:
    """One step in the history of a record; `members` names what differs, in plain words."""

    participant: str
    dataset: str
    kind: ChangeKind
    version: int
    at: datetime
    members: tuple[str, ...] = ()


_PLAIN_NAMES = {
    "hasPolicy": "offers",
    "distribution": "distributions",
    "column": "columns",
    "@type": "type",
}


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the members in which two documents differ, in plain words and in order."""
    differing = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    plain = {re.split(r"[#/:]", key)[-1] for key in differing}
    return tuple(sorted(_PLAIN_NAMES.get(name, name) for name in plain))


def _chosen(texts: Sequence[LangString], wanted: str = "en") -> LangString | None:
    for text in texts:
        if text.language and text.language.split("-")[0].lower() == wanted:
            return text
    return next((text for text in texts if text.language is None), texts[0] if texts else None)


def as_list(value: Any) -> list[Any]:
    """Return a JSON-LD set as a list: a set of one may travel without its brackets."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def code_of(iri: str, table: str) -> str:
    """Return the code of an IRI of an EU authority table; another IRI stays as it is."""
    return iri.removeprefix(table) if iri.startswith(table) else iri


def _plain_service(document: Mapping[str, Any]) -> dict[str, Any]:
    """Write an endpoint that is an IRI node as plain text, as the Dataspace Protocol does."""
    url = document.get("endpointURL")
    plain = url.get("@id", url.get("@value")) if isinstance(url, Mapping) else url
    return {**document, "endpointURL": plain}


def services_of(documents: Iterable[Any]) -> dict[str, DataService]:
    """Read the data services that a catalogue names, by id; what cannot be read is left out."""
    found: dict[str, DataService] = {}
    for document in documents:
        try:
            service = DataService.read(
                _plain_service(document) if isinstance(document, Mapping) else document
            )
        except Malformed:
            continue
        found[service.id] = service
    return found


def _written_out(access: Any, services: Mapping[str, DataService]) -> Any:
    if isinstance(access, Mapping):
        if access.get("endpointURL"):
            return _plain_service(access)
        named = services.get(str(access.get("@id")))
        return named.wire() if named else access
    return services[access].wire() if isinstance(access, str) and access in services else access


def standing_alone(raw: Mapping[str, Any], services: Mapping[str, DataService]) -> dict[str, Any]:
    """Return a dataset's document in a form that needs nothing around it: its services are written out."""
    document = {key: value for key, value in raw.items() if key != "@context"}
    document["@type"] = "Dataset"
    document["hasPolicy"] = as_list(raw.get("hasPolicy"))
    document["distribution"] = [
        {**item, "accessService": _written_out(item.get("accessService"), services)}
        if isinstance(item, Mapping)
        else item
        for item in as_list(raw.get("distribution"))
    ]
    return document


def document_text(document: Mapping[str, Any]) -> str:
    """Return a document as stable JSON text.

    Raises:
        TooLarge: naming both sizes.
        Malformed: if it holds what is no text.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Malformed("its document holds half a surrogate pair, which is no text") from None
    if size > MOST_DOCUMENT:
        raise TooLarge(f"its document has {size} bytes; at most {MOST_DOCUMENT}")
    return text


def dataset_id(raw: Any) -> str:
    """Return the id of a dataset document.

    Raises:
        Malformed: if it has none that can be used.
    """
    said = raw.get("@id") if isinstance(raw, Mapping) else None
    if not isinstance(said, str) or not said.strip():
        raise Malformed("a dataset needs an '@id', a non-empty text")
    if len(said) > 512 or _CONTROL.search(said):
        raise Malformed(f"'@id' {said[:60]!r} is longer than 512 characters or holds control characters")
    return said


def _clean(text: str) -> str:
    """Return a text without control characters, which no page, log or database wants."""
    return _CONTROL.sub(" ", text).strip()


@dataclass(frozen=True)
class Surroundings:
    """What a dataset may leave to the catalogue around it: its services, and who publishes."""

    publisher: str
    services: Mapping[str, DataService] = field(default_factory=dict)

    def within(self, catalogue: Mapping[str, Any]) -> Surroundings:
        """Return the surroundings inside a catalogue document."""
        said = catalogue.get("dct:publisher")
        name = said.get(FOAF + "name") if isinstance(said, Mapping) else None
        return Surroundings(
            publisher=name[:200] if isinstance(name, str) and name.strip() else self.publisher,
            services={**self.services, **services_of(as_list(catalogue.get("service")))},
        )

    @property
    def endpoint(self) -> str | None:
        """The endpoint of a dataset that names no service of its own."""
        return next((item.endpoint_url for item in self.services.values() if item.endpoint_url), None)

    def digest(self, text: str) -> str:
        """Return the digest of a dataset in these surroundings: it changes with what it takes from them."""
        return hashlib.sha256(f"{text}\n{self.endpoint}\n{self.publisher}".encode()).hexdigest()


def _endpoint(dataset: Dataset, around: Surroundings) -> str | None:
    for candidate in (item.access_service for item in dataset.distribution):
        service = candidate if isinstance(candidate, DataService) else around.services.get(candidate)
        if service is not None and service.endpoint_url:
            return service.endpoint_url
    return around.endpoint


def _checked_endpoint(dataset: Dataset, around: Surroundings) -> str:
    """Return where a dataset is negotiated, once it has what the Dataspace Protocol asks of it."""
    if not dataset.distribution:
        raise Malformed("it has no distribution; the Dataspace Protocol asks for at least one")
    if not dataset.has_policy and not any(item.has_policy for item in dataset.distribution):
        raise Malformed("it has no offer (hasPolicy); the Dataspace Protocol asks for at least one")
    for number in (dataset.rows, *(item.byte_size for item in dataset.distribution)):
        if number is not None and not 0 <= number <= _MOST_COUNT:
            raise Malformed(f"a count of {str(number)[:40]} rows or bytes; between 0 and {_MOST_COUNT}")
    endpoint = _endpoint(dataset, around)
    if endpoint is None or not endpoint.startswith(("http://", "https://")):
        raise Malformed(
            f"no distribution names a data service with an http(s) endpointURL; found {endpoint!r}"
        )
    return endpoint


def entry_from(document: Mapping[str, Any], text: str, around: Surroundings) -> Entry:
    """Read one dataset.

    Args:
        document: what `standing_alone` made of what its provider wrote.
        text: what `document_text` made of that.
        around: what it leaves to the catalogue around it.

    Raises:
        Malformed: naming what is missing or does not fit.
    """
    dataset = Dataset.read(document)
    endpoint = _checked_endpoint(dataset, around)
    title, description = _chosen(dataset.title), _chosen(dataset.description)
    publisher = dataset.publisher
    sizes = [item.byte_size for item in dataset.distribution if item.byte_size is not None]
    keywords = tuple(dict.fromkeys(_clean(text.value) for text in dataset.keyword))
    offered = document["hasPolicy"] or [
        offer for item in document["distribution"] for offer in as_list(item.get("hasPolicy"))
    ]
    return Entry(
        dataset=dataset.id,
        document=text,
        digest=around.digest(text),
        title=(title and _clean(title.value)) or dataset.identifier or dataset.id,
        language=title.language if title else None,
        description=_clean(description.value) if description else "",
        publisher=_clean((publisher and (publisher.name or publisher.id)) or around.publisher),
        identifier=_clean(dataset.identifier) if dataset.identifier else None,
        endpoint=endpoint,
        rows=dataset.rows,
        byte_size=max(sizes) if sizes else None,
        access=code_of(dataset.access_rights, ACCESS_RIGHT) if dataset.access_rights else UNSTATED,
        themes=tuple(dict.fromkeys(code_of(theme, DATA_THEME) for theme in dataset.theme)),
        keywords=keywords,
        offers=json.dumps(offered, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        texts=_clean(" · ".join([*(text.value for text in dataset.title), *keywords])),
        details=_clean(
            " · ".join(
                [*(text.value for text in dataset.description), *(item.name for item in dataset.columns)]
            )
        ),
    )
