"""Resolving did:web documents over the guarded client, with a bounded cache."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.binding.client import Http
from schemas.errors import DataspaceError, Malformed, PeerUnavailable, Unauthenticated
from schemas.identity import Claims, DidDocument, did_host, did_url, peek_issuer, verify_self_issued

FRESH = timedelta(minutes=5)
STALE = timedelta(hours=1)
MOST_DOCUMENT = 64 << 10
MOST_CACHED = 4096


@dataclass(frozen=True)
class _Cached:
    document: DidDocument
    fetched: datetime


class DidResolver:
    """Fetches DID documents; a cached one serves for five minutes, and for an hour if its host is down."""

    def __init__(self, http: Http, clock: Callable[[], datetime]) -> None:
        """Make a resolver over a guarded client and a clock."""
        self._http = http
        self._clock = clock
        self._cache: dict[str, _Cached] = {}
        self._lock = threading.Lock()

    def resolve(self, did: str, *, fresh: bool = False) -> DidDocument:
        """Return the document of a did:web id.

        Args:
            did: the id to resolve.
            fresh: fetch even if a cached document would do, as when its keys did not fit.

        Raises:
            Malformed: if the id or the document is not one.
            PeerUnavailable: if the document cannot be had.
        """
        now = self._clock()
        with self._lock:
            held = self._cache.get(did)
        if held and not fresh and now - held.fetched < FRESH:
            return held.document
        try:
            document = self._fetch(did)
        except PeerUnavailable:
            if held and now - held.fetched < STALE:
                return held.document
            raise
        with self._lock:
            if len(self._cache) >= MOST_CACHED:
                del self._cache[min(self._cache, key=lambda key: self._cache[key].fetched)]
            self._cache[did] = _Cached(document, now)
        return document

    def _fetch(self, did: str) -> DidDocument:
        loopback = did_host(did) in ("localhost", "127.0.0.1")
        url = did_url(did, plain_http=loopback)
        reply = self._http.get(url, most=MOST_DOCUMENT)
        if not reply.ok:
            raise PeerUnavailable(f"{url} answered {reply.status}; expected the DID document of {did}")
        document = DidDocument.read(reply.json())
        if document.id != did:
            raise Malformed(f"{url} is the document of {document.id!r}, not of {did!r}")
        return document

    def verify(self, token: str, audience: str) -> Claims:
        """Check a self-issued token; a key that is not in the cached document is looked up once more.

        Raises:
            Unauthenticated: saying which check failed.
        """
        issuer = peek_issuer(token)
        at = self._clock()
        try:
            return verify_self_issued(token, self.resolve(issuer), audience, at)
        except Unauthenticated as error:
            if "signature" not in str(error):
                raise
            return verify_self_issued(token, self._again(issuer), audience, at)
        except (Malformed, PeerUnavailable) as error:
            raise Unauthenticated(f"cannot learn the keys of {issuer[:120]!r}: {error}") from None

    def _again(self, issuer: str) -> DidDocument:
        try:
            return self.resolve(issuer, fresh=True)
        except DataspaceError as error:
            raise Unauthenticated(f"cannot learn the keys of {issuer[:120]!r}: {error}") from None
