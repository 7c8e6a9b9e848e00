"""Carries messages to peers over the guarded HTTP client, each with a fresh proof of who we are."""

from __future__ import annotations

from typing import Any

from connector.outbox.ports import Delivery, Outgoing
from connector.trust.ports import TrustProfile
from schemas.binding.client import Http, Reply
from schemas.errors import EgressForbidden, Malformed, PeerRefused, PeerUnavailable, TooLarge

MOST_ANSWER = 1 << 20
"""Bytes of an answer to a message."""
TRANSIENT = frozenset({408, 425, 429})
"""Statuses below 500 that are worth another try."""


class HttpCourier:
    """A Courier over HTTP; `transient` are the 4xx statuses that do not end a process."""

    def __init__(self, http: Http, trust: TrustProfile, *, transient: frozenset[int] = TRANSIENT) -> None:
        """Make a courier that proves us by a trust profile."""
        self._http = http
        self._trust = trust
        self._transient = transient

    def carry(self, outgoing: Outgoing) -> Delivery:
        """Send a message.

        Raises:
            PeerUnavailable: if another try may help.
            PeerRefused: if the peer will not take it, or we may not connect to it.
        """
        headers = {"Authorization": self._trust.prove(outgoing.recipient)}
        try:
            if outgoing.method == "DELETE":
                reply = self._http.delete(outgoing.url, headers, MOST_ANSWER)
            else:
                reply = self._http.post(outgoing.url, outgoing.document, headers, MOST_ANSWER)
        except EgressForbidden as error:
            raise PeerRefused(str(error)) from None
        except TooLarge as error:
            raise PeerUnavailable(str(error)) from None
        if reply.ok:
            return Delivery(reply.status, _document(reply))
        problem, reasons = _problem(reply)
        if reply.status >= 500 or reply.status in self._transient:
            raise PeerUnavailable(f"{outgoing.url} answered {reply.status}{problem}")
        raise PeerRefused(
            f"{outgoing.url} answered {reply.status}{problem}", peer_status=reply.status, reasons=reasons
        )


def _document(reply: Reply) -> Any:
    try:
        return reply.json() if reply.body else None
    except Malformed:
        return None


def _problem(reply: Reply) -> tuple[str, tuple[str, ...]]:
    """Read what a peer says about a refusal: DSP error bodies, problem+json, or nothing."""
    said = _document(reply)
    if not isinstance(said, dict):
        return "", ()
    reason = said.get("reason") or said.get("reasons") or said.get("detail") or ()
    reasons = tuple(str(item)[:400] for item in (reason if isinstance(reason, list) else [reason])[:8])
    code = said.get("code") or said.get("title")
    words = "; ".join(filter(None, (f"({str(code)[:80]})" if code else "", *reasons[:2])))
    return (f" {words}" if words else ""), reasons
