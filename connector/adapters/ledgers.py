"""The ledgers of providers, over HTTP: below their DSP base URL, with the same proof as a DSP message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from connector.negotiation.ports import SignedAgreement
from connector.outbox.letter import shorten
from connector.trust.ports import TrustProfile
from schemas.binding.client import Http
from schemas.binding.paths import LEDGER_PATH, join
from schemas.errors import EgressForbidden, PeerRefused, PeerUnavailable

MOST_ANSWER = 1 << 20
"""Bytes of an answer."""
MOST_OWED = 1000
_MEMBERS = ("action", "duty", "period", "due", "stage", "consequence", "fulfilled")


class HttpLedgers:
    """A Peers over the guarded client."""

    def __init__(self, http: Http, trust: TrustProfile) -> None:
        self._http, self._trust = http, trust

    def owed(self, agreement: SignedAgreement) -> Sequence[dict[str, Any]]:
        """Return what the provider of an agreement says that we owe under it."""
        asked = f"{LEDGER_PATH}?agreement={quote(agreement.agreement.id, safe='')}"
        document = self._read(agreement, asked)
        rows = document.get("obligations")
        if not isinstance(rows, list):
            raise PeerUnavailable(f"{agreement.counterparty} answered without a list of obligations")
        return [_plain(row) for row in rows[:MOST_OWED] if isinstance(row, dict)]

    def _read(self, agreement: SignedAgreement, path: str) -> dict[str, Any]:
        url = join(agreement.callback, path)
        try:
            proof = self._trust.prove(agreement.counterparty)
            reply = self._http.get(url, {"Authorization": proof}, MOST_ANSWER)
        except EgressForbidden as error:
            raise PeerRefused(str(error)) from None
        document = reply.json() if reply.body else None
        if reply.ok and isinstance(document, dict):
            return document
        said = document if isinstance(document, dict) else {}
        reasons = said.get("reason") or said.get("reasons") or said.get("detail") or []
        texts = tuple(
            shorten(str(one), 400) for one in (reasons if isinstance(reasons, list) else [reasons])[:8]
        )
        problem = f"{agreement.counterparty} answered {reply.status}"
        if reply.status >= 500 or reply.ok:
            raise PeerUnavailable(f"{problem} at {url}")
        keeps_none = "; it keeps no ledger" if reply.status == 404 and not texts else ""
        told = f": {'; '.join(texts)}" if texts else keeps_none
        raise PeerRefused(f"{problem}{told}", peer_status=reply.status, reasons=texts)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Keep the members that we know, as short texts and numbers."""
    kept: dict[str, Any] = {}
    for name in _MEMBERS:
        value = row.get(name)
        kept[name] = value if value is None or isinstance(value, int) else shorten(str(value), 200)
    return kept
