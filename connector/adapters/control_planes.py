"""Control planes over HTTP: their agreements, what they are told, and the secrets between them and us."""

from __future__ import annotations

import hmac
import stat
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from connector.outbox.ports import Courier, Delivery, Kind, Outgoing
from connector.settings import ControlPlaneSettings
from connector.signaling.dialects import SPEECH
from connector.signaling.ports import ControlPlane, DataFlow
from schemas.binding.client import Http
from schemas.binding.paths import join
from schemas.binding.server import check_depth
from schemas.errors import EgressForbidden, Misconfigured, PeerRefused, PeerUnavailable, Unavailable
from schemas.odrl import Agreement

MOST_AGREEMENT = 1 << 20
MOST_ASKED = 16
"""Agreements that one control plane is asked for at a time."""
SHORTEST_TOKEN = 16
_TRANSIENT = frozenset({408, 425, 429})


@dataclass(frozen=True)
class PlaneAccess:
    """A configured control plane with its secrets, which no output shows."""

    plane: ControlPlane
    token: bytes = field(repr=False)
    authorization: str | None = field(repr=False)
    agreements: str | None
    agreement_headers: Mapping[str, str] = field(repr=False)


def plane_access(settings: ControlPlaneSettings) -> PlaneAccess:
    """Read the secrets of a control plane.

    Raises:
        Misconfigured: naming the setting and its file; never what is in it.
    """
    if settings.dialect == "edc-0.15" and settings.agreements is None:
        raise Misconfigured(
            f"signaling.control_planes {settings.id!r}: dialect edc-0.15 needs 'agreements', such as "
            "http://localhost:19193/management/v3/contractagreements: its control API shows none"
        )
    if settings.dialect == "edc-0.15" and settings.asynchronous:
        raise Misconfigured(
            f"signaling.control_planes {settings.id!r}: dialect edc-0.15 has no word for a flow that starts "
            "later; leave 'asynchronous' out"
        )
    for name, url in (("url", settings.url), ("agreements", settings.agreements)):
        if url is not None and not _is_base_url(url):
            shown = "…@" + url.rpartition("@")[2] if "@" in url else url  # a password may stand before it
            raise Misconfigured(
                f"signaling.control_planes {settings.id!r}: {name} is {shown[:120]!r}; write an http(s) "
                "URL without user, query and fragment, such as http://localhost:19192/control"
            )
    if not settings.participant.strip():
        raise Misconfigured(
            f"signaling.control_planes {settings.id!r}: participant is empty; name for whom it speaks"
        )
    token = _secret(settings.token_file)
    if len(token) < SHORTEST_TOKEN:
        raise Misconfigured(
            f"{settings.token_file} holds a token of {len(token)} characters; use at least {SHORTEST_TOKEN}"
        )
    key = None if settings.agreements_key_file is None else _secret(settings.agreements_key_file)
    return PlaneAccess(
        plane=ControlPlane(
            settings.id,
            settings.url.rstrip("/"),
            settings.participant,
            settings.dialect,
            settings.asynchronous,
        ),
        token=token.encode(),
        authorization=None if settings.authorization_file is None else _secret(settings.authorization_file),
        agreements=settings.agreements,
        agreement_headers={} if key is None else {settings.agreements_header: key},
    )


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    more = parts.query or parts.fragment or parts.username or parts.password
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not more


def _secret(file: Path) -> str:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            raise Misconfigured(
                f"{file} has mode {mode:04o}: others may read this secret; say: chmod 600 {file}"
            )
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"cannot read {file}: {error}") from None
    if not text or not text.isprintable():
        raise Misconfigured(f"{file} does not hold one line of text that can travel in a header")
    return text


class KnownPlanes:
    """Who may call the signaling door."""

    def __init__(self, accesses: Sequence[PlaneAccess]) -> None:
        """Know some control planes.

        Raises:
            Misconfigured: if two of them could be taken for each other.
        """
        self._accesses = tuple(accesses)
        for at, access in enumerate(accesses):
            for other in accesses[:at]:
                if other.plane.id == access.plane.id:
                    raise Misconfigured(
                        f"signaling.control_planes: two have the id {access.plane.id!r}; give each its own"
                    )
                if hmac.compare_digest(other.token, access.token):
                    raise Misconfigured(
                        f"signaling.control_planes {other.plane.id!r} and {access.plane.id!r} show the same "
                        "token; give each a token_file of its own"
                    )

    def __call__(self, secret: str) -> str | None:
        """Return the id of the control plane that shows a secret, if there is one.

        Every token is compared, so that the time tells nothing.
        """
        shown, found = secret.encode(errors="replace"), None
        for access in self._accesses:
            if hmac.compare_digest(shown, access.token):
                found = access.plane.id
        return found

    def __len__(self) -> int:
        return len(self._accesses)


class HttpControlPlanes:
    """ControlPlanes over HTTP, and what they are shown when they are told things."""

    def __init__(self, http: Http, accesses: Sequence[PlaneAccess]) -> None:
        """Know some control planes."""
        self._http = http
        self._accesses = {access.plane.id: access for access in accesses}
        self._free = {access.plane.id: threading.Semaphore(MOST_ASKED) for access in accesses}

    def agreement(self, plane: ControlPlane, flow: DataFlow) -> Agreement:
        """Fetch the agreement of a flow."""
        free = self._free[plane.id]
        if not free.acquire(blocking=False):
            # Whoever asks waits in a thread: a control plane that does not answer must not hold all of them.
            raise Unavailable(
                f"control plane {plane.id!r} owes {MOST_ASKED} agreements that were asked for; try again soon"
            )
        try:
            return self._agreement(self._accesses[plane.id], flow)
        finally:
            free.release()

    def _agreement(self, access: PlaneAccess, flow: DataFlow) -> Agreement:
        plane = access.plane
        headers = dict(access.agreement_headers)
        if access.agreements is not None:
            url = join(access.agreements, "/" + quote(flow.agreement, safe=""))
        else:
            url = join(plane.url, f"/transfers/{quote(flow.process, safe=':')}/agreement")
            if access.authorization is not None:
                headers["Authorization"] = access.authorization
        try:
            reply = self._http.get(url, headers, MOST_AGREEMENT)
        except EgressForbidden as error:
            raise PeerRefused(str(error)) from None
        said = (
            f"control plane {plane.id!r} answered {reply.status} when asked for agreement {flow.agreement!r}"
        )
        if reply.status >= 500 or reply.status in _TRANSIENT:
            raise PeerUnavailable(said)
        if not reply.ok:
            raise PeerRefused(said, peer_status=reply.status)
        document = reply.json()
        check_depth(document)
        return SPEECH[plane.dialect].agreement(document)

    def prove(self, audience: str) -> str | None:
        """Return the `Authorization` header for a control plane, if the operator gave one.

        Raises:
            PeerRefused: if it is not configured any more.
        """
        access = self._accesses.get(audience)
        if access is None:
            raise PeerRefused(f"control plane {audience!r} is not configured any more; nothing is sent to it")
        return access.authorization


class CourierByKind:
    """A Courier that leaves some kinds of messages to another."""

    def __init__(self, usual: Courier, others: Mapping[Kind, Courier]) -> None:
        """Know who carries what."""
        self._usual, self._others = usual, others

    def carry(self, outgoing: Outgoing) -> Delivery:
        """Send a message."""
        return self._others.get(outgoing.kind, self._usual).carry(outgoing)

    def standing(self, outgoing: Outgoing) -> str | None:
        """Ask the peer for the state of the process that a message is about."""
        return self._others.get(outgoing.kind, self._usual).standing(outgoing)
