"""Shared catalogues, asked in our own name: the answer is for us, by what the member list states of us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from connector.outbox.letter import shorten
from connector.trust.ports import TrustProfile
from schemas.binding.client import Http
from schemas.errors import Malformed, NotFound, PeerRefused, PeerUnavailable

MOST_ANSWER = 16 << 20
"""Bytes of an answer: a page of hits with their offers."""
_PLAIN_PORTS = {"http": ":80", "https": ":443"}


class HttpCatalogues:
    """Searches the catalogues of our settings, each by a fresh proof that is meant for it alone.

    Args:
        http: the guarded client.
        trust: how we prove ourselves.
        known: (DID, base URL) of each catalogue; no other is ever shown a proof.
    """

    def __init__(self, http: Http, trust: TrustProfile, known: Sequence[tuple[str, str]]) -> None:
        self._http, self._trust = http, trust
        self._known = {_bare(url): (did, url.rstrip("/")) for did, url in known}

    def search(self, catalogue: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """Search one catalogue as ourselves, and return its answer.

        Raises:
            NotFound: if we know no catalogue at that URL, naming those that we know.
            PeerRefused: if it refuses, saying why.
            PeerUnavailable: if it cannot be reached, or answers nonsense.
        """
        found = self._known.get(_bare(catalogue))
        if found is None:
            known = ", ".join(url for _, url in self._known.values()) or "none"
            raise NotFound(
                f"no catalogue {catalogue[:200]!r} is known to this connector; known: {known}; "
                "add it to its settings under [[catalogs]]"
            )
        did, url = found
        headers = {"Authorization": self._trust.prove(did), "Accept": "application/json"}
        reply = self._http.get(f"{url}/search?{urlencode(asked)}", headers, MOST_ANSWER)
        try:
            document = reply.json()
        except Malformed as error:
            raise PeerUnavailable(f"{url} answered {reply.status} with no JSON: {error}") from None
        if reply.ok and isinstance(document, dict) and isinstance(document.get("hits"), list):
            return document
        told = document.get("detail") if isinstance(document, dict) else None
        problem = f"{url} answered {reply.status}" + (f": {shorten(str(told))}" if told else "")
        if reply.ok or reply.status >= 500:
            raise PeerUnavailable(problem)
        raise PeerRefused(problem, peer_status=reply.status)


def _bare(url: str) -> str:
    """Return a URL as two spellings of it are alike."""
    scheme, mark, rest = url.strip().rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    port = _PLAIN_PORTS.get(scheme.lower(), "")
    return f"{scheme.lower()}{mark}{host.lower().removesuffix(port) if port else host.lower()}{slash}{path}"
