"""Fetching peers' catalogues over the guarded client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urljoin, urlsplit

from joserfc.jwk import OKPKey

from catalog.ports import PeerPage
from schemas.binding.client import Http, Reply
from schemas.binding.paths import join
from schemas.binding.server import check_depth
from schemas.binding.versions import Versions
from schemas.dsp.catalog import CatalogRequestMessage
from schemas.errors import Malformed, PeerRefused, PeerUnavailable
from schemas.foreign import linked
from schemas.identity import self_issued

_REQUEST_PATH = "/catalog/request"
_MOST_LINK = 16 << 10


class HttpPeers:
    """Asks peers by DSP `catalog/request`, each time with a fresh token meant for that peer alone."""

    def __init__(
        self, http: Http, key: OKPKey, did: str, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        """Make the asker from a guarded client, the catalogue's key and id, a clock and a source of ids."""
        self._http = http
        self._versions = Versions(http, clock)
        self._key = key
        self._did = did
        self._clock = clock
        self._new_id = new_id

    def catalog_page(self, participant: str, base: str, page: str | None) -> PeerPage:
        """Ask for the first page of a catalogue, or for the one at `page`."""
        first = join(base, _REQUEST_PATH)
        url = first if page is None else page
        token = self_issued(self._key, self._did, participant, jti=self._new_id(), at=self._clock())
        # Loopback links may come and go with a restart, so a stored page is checked like a fresh one.
        _same_place(url, base)
        if page is None:
            self._versions.check(base)
        reply = self._http.post(
            url,
            CatalogRequestMessage(id=self._new_id()).wire(),
            {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"},
        )
        if not reply.ok:
            raise _refusal(url, reply)
        document = reply.json()
        check_depth(document)
        if not isinstance(document, dict):
            raise Malformed(f"{url} answered a JSON {type(document).__name__}; expected a catalogue")
        links = reply.headers.get("link", "")
        if len(links) > _MOST_LINK:
            # Cut off, it might lack its next page, and what stands there would be taken for withdrawn.
            raise Malformed(f"{url} answered a Link header of {len(links)} bytes; at most {_MOST_LINK}")
        link = linked(links, "next")
        if link is None:
            return PeerPage(document, None)
        following = urljoin(url, link)
        _same_place(following, base)
        if following == url:
            raise Malformed(f"{url} names itself as its next page")
        return PeerPage(document, following)


def _same_place(url: str, base: str) -> None:
    """A page may not lead us, and our token, to another server."""
    theirs, ours = urlsplit(url), urlsplit(base)
    if (theirs.scheme, theirs.netloc) != (ours.scheme, ours.netloc):
        raise Malformed(
            f"next page {url[:200]!r} is not at {ours.scheme}://{ours.netloc}, where the catalogue is"
        )


def _refusal(url: str, reply: Reply) -> PeerUnavailable:
    if reply.status >= 500 or reply.status == 429:
        return PeerUnavailable(f"{url} answered {reply.status}")
    reasons: list[str] = []
    try:
        document = reply.json()
    except Malformed:
        document = None
    if isinstance(document, dict):
        said = document.get("reason") or document.get("detail") or ()
        reasons = [str(item)[:300] for item in (said if isinstance(said, list) else [said])][:3]
    tail = f": {'; '.join(reasons)}" if reasons else ""
    return PeerRefused(f"{url} answered {reply.status}{tail}", peer_status=reply.status, reasons=reasons)
