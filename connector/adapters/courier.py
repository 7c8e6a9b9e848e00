"""Carries messages to peers over the guarded HTTP client, each with a fresh proof of who we are."""

from __future__ import annotations

from typing import Any, Protocol

from connector.outbox.ports import DSP_KINDS, Delivery, Outgoing
from schemas.binding.client import Http, Reply
from schemas.binding.clocked import time_limit
from schemas.binding.paths import opening_base, state_url
from schemas.binding.versions import Versions
from schemas.errors import (
    EgressForbidden,
    Malformed,
    PeerRefused,
    PeerUnavailable,
    TooLarge,
)
from schemas.worded import TOLD, read_told, worded

MOST_ANSWER = 1 << 20
"""Bytes of an answer to a message."""
MOST_SECONDS = 30.0
"""How long a message, and the question where it stands, may each take with all that has to be asked before:
both together less than a lease of the outbox.
"""
TRANSIENT = frozenset({408, 425, 429})
"""Statuses below 500 that are worth another try."""
MOST_STATE = 64
"""Characters of a state; it is kept with what could not be delivered, and logged."""
SILENT = frozenset({404, 405, 501})
"""Statuses of a peer that knows no such process, or lets nobody read states."""


class Proof(Protocol):
    """What a recipient is shown."""

    def prove(self, audience: str) -> str | None:
        """Return an `Authorization` header; None where the recipient wants none."""
        ...


class HttpCourier:
    """A Courier over HTTP.

    Args:
        http: the guarded client.
        trust: proves us to peers, or shows what else a recipient wants to see.
        transient: the 4xx statuses that do not end a process.
        versions: asked before a message that opens a process; without it, every peer is spoken to.
        seconds: that a message may take, with all that is asked before it.
    """

    def __init__(
        self,
        http: Http,
        trust: Proof,
        *,
        transient: frozenset[int] = TRANSIENT,
        versions: Versions | None = None,
        seconds: float = MOST_SECONDS,
    ) -> None:
        self._http = http
        self._trust = trust
        self._transient = transient
        self._versions = versions
        self._seconds = seconds

    def carry(self, outgoing: Outgoing) -> Delivery:
        """Send a message.

        Raises:
            PeerUnavailable: if another try may help.
            PeerRefused: if the peer will not take it, or we may not connect to it.
        """
        with time_limit(self._seconds):
            return self._state_of(outgoing) if outgoing.method == "GET" else self._carried(outgoing)

    def _carried(self, outgoing: Outgoing) -> Delivery:
        base = opening_base(outgoing.url) if outgoing.kind in DSP_KINDS else None
        if base is not None and self._versions is not None:
            self._versions.check(base)
        headers = self._shown(outgoing)
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
            document = _document(reply)
            return Delivery(reply.status, document, rubbish=document is None and bool(reply.body.strip()))
        problem, reasons = _problem(reply)
        if self._may_pass(reply):
            raise PeerUnavailable(f"{outgoing.url} answered {reply.status}{problem}")
        raise PeerRefused(
            f"{outgoing.url} answered {reply.status}{problem}", peer_status=reply.status, reasons=reasons
        )

    def _shown(self, outgoing: Outgoing) -> dict[str, str]:
        proof = self._trust.prove(outgoing.recipient)
        return {} if proof is None else {"Authorization": proof}

    def standing(self, outgoing: Outgoing) -> str | None:
        """Ask the peer for the state of the process that a message is about; None where it has none to tell.

        Raises:
            PeerUnavailable: if another try may help.
            PeerRefused: if it answers with something else than a state, or we may not connect to it.
        """
        with time_limit(self._seconds):
            return self._standing(outgoing)

    def _standing(self, outgoing: Outgoing) -> str | None:
        url = outgoing.url if outgoing.method == "GET" else state_url(outgoing.url)
        if url is None or outgoing.kind not in DSP_KINDS:
            return None
        try:
            reply = self._http.get(url, self._shown(outgoing), MOST_ANSWER)
        except EgressForbidden as error:
            raise PeerRefused(str(error)) from None
        except TooLarge as error:
            raise PeerUnavailable(str(error)) from None
        if reply.status in SILENT:
            return None
        if self._may_pass(reply):
            raise PeerUnavailable(f"{url} answered {reply.status}")
        said = _document(reply) if reply.ok else None
        state = said.get("state") if isinstance(said, dict) else None
        if not isinstance(state, str) or len(state) > MOST_STATE or not state.isprintable():
            raise PeerRefused(f"{url} answered {reply.status} without a state", peer_status=reply.status)
        return state

    def _may_pass(self, reply: Reply) -> bool:
        """Return whether another try may help. Who redirects has not refused, but is never followed."""
        return reply.status >= 500 or 300 <= reply.status < 400 or reply.status in self._transient

    def _state_of(self, outgoing: Outgoing) -> Delivery:
        state = self._standing(outgoing)
        if state is None:
            raise PeerRefused(f"{outgoing.url} shows no process", peer_status=404)
        return Delivery(200, {"state": state})


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
    reason = said.get("reason") or said.get("reasons") or said.get("detail") or []
    texts = tuple(str(item)[:400] for item in (reason if isinstance(reason, list) else [reason])[:8])
    reasons = worded(texts, read_told(said.get(TOLD, said.get("told")), len(texts)))
    code = said.get("code") or said.get("title")
    words = "; ".join(filter(None, (f"({str(code)[:80]})" if code else "", *reasons[:2])))
    return (f" {words}" if words else ""), reasons
