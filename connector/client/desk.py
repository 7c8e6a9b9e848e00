"""What is asked of the user's own connector to get at one dataset: an agreement, a transfer, an end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from connector.client.find import Hit
from connector.client.management import Management, quoted
from policies.compiled import compile_policy
from policies.explain import explain
from schemas.dsp.transfer import DataAddress
from schemas.errors import (
    DataspaceError,
    Misconfigured,
    NotFound,
    PeerRefused,
    PeerUnavailable,
    Unauthenticated,
    UseDenied,
)
from schemas.odrl import Agreement
from schemas.vocab import FORMAT_ARROW_HTTP
from schemas.worded import read_told, worded

_OVER = frozenset({"COMPLETED", "TERMINATED"})
PATIENCE = 10.0
"""Seconds of one waiting call; several make up the timeout."""

_log = structlog.get_logger("connector.client")


class Desk:
    """What is asked of the user's own connector to get at one dataset."""

    def __init__(self, management: Management, use: Mapping[str, str | None], timeout: float) -> None:
        self._management, self._use, self._timeout = management, use, timeout

    def _get(self, path: str, **query: str | float | None) -> Any:
        with self._in_words():
            return self._management.get(path, **query)

    def _post(self, path: str, document: Mapping[str, Any]) -> Any:
        with self._in_words():
            return self._management.post(path, document)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Say what the user can do where the own connector cannot be used."""
        try:
            yield
        except Unauthenticated:
            raise Misconfigured(
                f"the connector at {self._management.url} does not know this key; set HANSA_API_KEY_FILE "
                "to the file 'api-key' in its data folder"
            ) from None
        except PeerUnavailable as error:
            if isinstance(error, PeerRefused):
                raise
            raise PeerUnavailable(
                f"your connector at {self._management.url} does not answer ({error}); start it, or set "
                "HANSA_CONNECTOR to where it is"
            ) from None

    def standing(self, hit: Hit) -> str | None:
        """Return an agreement on the dataset that stands, for the same use, if there is one."""
        found = self._get("/agreements", dataset=hit.id, role="consumer")
        for held in found["agreements"]:
            if (
                held["state"] == "final"
                and held["counterparty"] == hit.provider
                and self._is_same_use(held.get("use"))
            ):
                return str(held["id"])
        return None

    def _is_same_use(self, declared: Any) -> bool:
        return isinstance(declared, dict) and all(declared.get(name) == self._use[name] for name in self._use)

    def negotiate(self, hit: Hit) -> str:
        """Ask for the offer that fits best, and return our process id."""
        if not hit.offers:
            raise NotFound(f"{hit.id} has no offer; ask {hit.provider} for one")
        chosen = next((offer for offer in hit.offers if offer.get("@id") == hit.offer), hit.offers[0])
        asked = {
            "provider": hit.provider,
            "endpoint": hit.endpoint,
            "dataset": hit.id,
            "offer": chosen,
            "use": {name: value for name, value in self._use.items() if value},
        }
        return str(self._post("/negotiations", asked)["pid"])

    def agreed(self, pid: str) -> str:
        """Wait for the end of a negotiation, and return the agreement's id."""
        view = self._wait("/negotiations/", pid, "FINALIZED")
        return str(view["agreement"])

    def transfer(self, agreement: str) -> tuple[str, DataAddress]:
        """Ask for the data, and return our process id and where they are."""
        asked = {
            "agreement": agreement,
            "format": FORMAT_ARROW_HTTP,
            "use": {name: value for name, value in self._use.items() if value},
        }
        pid = str(self._post("/transfers", asked)["pid"])
        view = self._wait("/transfers/", pid, "STARTED")
        return pid, DataAddress.read(view.get("dataAddress"))

    def _wait(self, path: str, pid: str, wanted: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + self._timeout
        while True:
            left = deadline - time.monotonic()
            patience = max(0.0, min(PATIENCE, left))
            states = f"{wanted},TERMINATED"
            view: Mapping[str, Any] = self._get(path + quoted(pid), wait=states, timeout=patience)
            if view["state"] == wanted:
                return view
            if view["state"] == "TERMINATED":
                raise _refused(view)
            if left <= 0:
                raise PeerUnavailable(
                    f"{path.strip('/')[:-1]} {pid} stands at {view['state']} after {self._timeout:g} s; "
                    f"turn: {view.get('turn')}, because {view.get('why')}; "
                    "it goes on without you: open again later"
                )

    def terms(self, agreement: str) -> tuple[str, ...]:
        """Return the terms of an agreement in sentences."""
        found = self._get("/agreements")
        held = next((one for one in found["agreements"] if one["id"] == agreement), None)
        if held is None:
            return ()
        policy = compile_policy(Agreement.read(held["policy"]))
        return tuple(sentence.text for sentence in explain(policy))

    def complete(self, transfer: str) -> None:
        """Tell the provider that nothing more is wanted; a transfer that ended already is left as it is."""
        path = f"/transfers/{quoted(transfer)}"
        try:
            if self._management.get(path)["state"] not in _OVER:
                self._management.post(f"{path}/completion", {})
        except DataspaceError as error:
            # The rows are here; only the provider's record stays open, until it ends the transfer itself.
            _log.info("transfer not completed", transfer=transfer, problem=str(error))


def _refused(view: Mapping[str, Any]) -> DataspaceError:
    """Return what the provider's refusal means for the user."""
    problem = str(view.get("problem") or "terminated")
    texts = [str(reason) for reason in view.get("reasons") or ()]
    reasons = worded(texts, read_told(view.get("told"), len(texts)))
    if problem.startswith("use-denied"):
        return UseDenied(reasons or [problem])
    said = "; ".join([problem, *reasons])
    # Our side may not know yet that an agreement was revoked: it is asked for again each time.
    fix = (
        "; open with renegotiate=True (--renegotiate) to ask for a new agreement"
        if problem.startswith("revoked")
        else ""
    )
    return PeerRefused(f"{view.get('counterparty')} ended it: {said}{fix}", reasons=reasons)
