"""Before the first message to a peer: does it speak our version of the protocol at all?

A peer whose version document names no version that we speak gets no message. One that has no document, or
whose document cannot be had now, is spoken to: its answer will tell.

Source: Dataspace Protocol 2025-1, chapter 4.3 (without a common version, stop communicating).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from schemas.binding.client import Http
from schemas.binding.paths import VERSION_PATH, join
from schemas.dsp.version import VersionDocument, common_version
from schemas.errors import DataspaceError, PeerRefused, PeerUnavailable
from schemas.vocab import DSP_VERSION

FRESH = timedelta(minutes=5)
MOST_DOCUMENT = 64 << 10
MOST_CACHED = 4096


def roots_of(base: str) -> tuple[str, ...]:
    """Return where the version document of an endpoint may hang: its parent, its host, the endpoint itself.

    The protocol does not tell a base URL's root apart from the version's path below it.
    """
    base = base.rstrip("/")
    parts = urlsplit(base)
    host = f"{parts.scheme}://{parts.netloc}"
    parent = base.rpartition("/")[0] if parts.path else host
    return tuple(dict.fromkeys((parent, host, base)))


class Versions:
    """Looks up and remembers which versions peers speak; safe to use from several threads."""

    def __init__(self, http: Http, clock: Callable[[], datetime]) -> None:
        """Make it over a guarded client and a clock."""
        self._http = http
        self._clock = clock
        self._known: OrderedDict[str, tuple[datetime, str | None]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, base: str) -> None:
        """Make sure that we may speak to an endpoint.

        Raises:
            PeerRefused: naming the versions that are spoken there, and ours.
        """
        now = self._clock()
        with self._lock:
            held = self._known.get(base)
        if held is None or now - held[0] >= FRESH:
            try:
                problem = self._look(base)
            except PeerUnavailable:
                return  # nothing is known, so nothing is remembered: the message itself will find out
            held = (now, problem)
            with self._lock:
                self._known[base] = held
                self._known.move_to_end(base)
                if len(self._known) > MOST_CACHED:
                    self._known.popitem(last=False)
        if held[1] is not None:
            raise PeerRefused(held[1])

    def _look(self, base: str) -> str | None:
        """Return why we have no version in common, or nothing if we have, or nobody says.

        Raises:
            PeerUnavailable: if the peer cannot be reached.
        """
        for root in roots_of(base):
            document = self._document(join(root, VERSION_PATH))
            if document is None:
                continue
            if common_version(document, root, base):
                return None
            spoken = ", ".join(dict.fromkeys(entry.version[:40] for entry in document.protocol_versions[:8]))
            return (
                f"{base} speaks {spoken or 'no version of the protocol'} by {join(root, VERSION_PATH)}, "
                f"and we speak {DSP_VERSION}; nothing was sent"
            )
        return None

    def _document(self, url: str) -> VersionDocument | None:
        try:
            reply = self._http.get(url, most=MOST_DOCUMENT)
            return VersionDocument.read(reply.json()) if reply.ok else None
        except PeerUnavailable:
            raise
        except DataspaceError:
            return None  # no version document, whatever it is: as if there were none
