"""What both sides are asked with: one HTTP client a thread, kept alive, and one way to ask for catalogues."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from schemas.vocab import EDC

DSP_CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
TIMEOUT = 120.0

_mine = threading.local()


class Failed(RuntimeError):
    """A peer did not do what it was asked; the message has its own words."""


class Ended(Failed):
    """A process ended before it came to where it should."""


def http() -> httpx2.Client:
    """Return this thread's client; its connections stay open."""
    if not hasattr(_mine, "client"):
        _mine.client = httpx2.Client(timeout=TIMEOUT)
    client: httpx2.Client = _mine.client
    return client


def forget() -> None:
    """Close this thread's connections: a peer that is stopped waits for none."""
    if hasattr(_mine, "client"):
        _mine.client.close()
        del _mine.client


def read(answer: httpx2.Response) -> Any:
    """Return the document of an answer.

    Raises:
        Failed: if the answer is an error, with its words.
    """
    if not answer.is_success:
        asked = answer.request
        raise Failed(f"{asked.method} {asked.url} was answered {answer.status_code}: {answer.text[:2000]}")
    return answer.json() if answer.content else None


@dataclass(frozen=True)
class Answer:
    """One page of a catalogue. Units: seconds; bytes on the wire, and unpacked."""

    seconds: float
    datasets: int
    sent: int
    unpacked: int
    next: str | None
    ids: frozenset[str]


class Reader:
    """A client of the Dataspace Protocol with the mock identity, which both sides take."""

    def __init__(self, participant: str) -> None:
        self._participant = participant

    def headers(self, url: str) -> dict[str, str]:
        """Say who asks."""
        said = {"region": "eu", "audience": url, "clientId": self._participant}
        return {"Authorization": json.dumps(said), "Content-Type": "application/json"}

    def page(self, base: str, limit: int, url: str | None = None) -> Answer:
        """Ask for one page of a catalogue; `url` is the link to a later one."""
        query = {"@type": f"{EDC}QuerySpec", f"{EDC}offset": 0, f"{EDC}limit": limit}
        asked = {"@context": [DSP_CONTEXT], "@type": "CatalogRequestMessage", "filter": query}
        body = json.dumps(asked).encode()
        headers = self.headers(base)
        begun = time.perf_counter()
        # Unpacked by hand, after the clock has stopped: the bytes on the wire are told as well.
        with http().stream("POST", url or f"{base}/catalog/request", content=body, headers=headers) as answer:
            content = b"".join(answer.iter_raw())
        taken = time.perf_counter() - begun
        sent = len(content)
        if answer.headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        if not answer.is_success:
            raise Failed(f"{base} answered {answer.status_code} to a catalogue request: {content[:2000]!r}")
        document = json.loads(content)
        ids = [one["@id"] for one in _datasets(document)]
        link = _next(answer.headers.get("link"))
        return Answer(taken, len(ids), sent, len(content), link, frozenset(ids))

    def dataset(self, base: str, dataset: str) -> dict[str, Any]:
        """Ask for one dataset, as a consumer does before it negotiates."""
        url = f"{base}/catalog/datasets/{dataset}"
        found: dict[str, Any] = read(http().get(url, headers=self.headers(base)))
        return found


def _datasets(document: Mapping[str, Any]) -> list[Any]:
    """A list of one may be written without its brackets."""
    found = document.get("dataset", [])
    return found if isinstance(found, list) else [found]


def _next(link: str | None) -> str | None:
    """Read the address of the next page from a Link header."""
    for part in (link or "").split(","):
        address, _, said = part.strip().partition(">")
        if 'rel="next"' in said.replace("rel=next", 'rel="next"'):
            return address.removeprefix("<")
    return None
