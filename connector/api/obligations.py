"""The doors of the ledger: for counterparties beside the protocol's, for our own people below `/management`.

A counterparty proves itself as for any message of the protocol, sees what it owes itself, and hands over
receipts. Nothing in a receipt is ever fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from connector.api import views
from connector.api.catalog_page import Admit
from connector.api.management import Said, guarded
from connector.negotiation.revocation import Revocations
from connector.obligations.fulfilment import Fulfilments
from connector.obligations.service import Ledger
from policies.profile import action_named
from schemas.base import Document
from schemas.binding.paths import LEDGER_PATH, RECEIPTS_PATH
from schemas.binding.server import bounded_body, parse_json
from schemas.errors import Malformed

MOST_RECEIPT = 16 << 10
"""Bytes of the body that brings a receipt."""


class Handed(Document):
    """A receipt as a counterparty hands it over: a compact JWS."""

    receipt: str = Field(min_length=1, max_length=8192)


class Fulfil(Document):
    """That a duty of ours was kept; `done` is now where it is missing."""

    agreement: str
    action: str
    done: datetime | None = None
    statement: str | None = Field(default=None, max_length=1000)
    url: str | None = Field(default=None, max_length=1000)
    rows: int | None = Field(default=None, ge=0)


class Withdrawal(Document):
    """That consent was withdrawn by a subject of a dataset."""

    dataset: str
    reason: str = Field(default="consent was withdrawn", min_length=1, max_length=200)


async def _body(request: Request) -> Any:
    return parse_json(await bounded_body(request, MOST_RECEIPT))


Brought = Annotated[Any, Depends(_body)]


def ledger_router(admit: Admit, ledger: Ledger) -> APIRouter:
    """Return the doors for counterparties, below the base path of the protocol."""
    router = APIRouter()

    @router.get(LEDGER_PATH)
    def owed(request: Request, agreement: Annotated[str | None, Query(max_length=512)] = None) -> Any:
        caller = admit(request.headers.get("authorization"))
        entries = ledger.owed_under(agreement, caller.id) if agreement else ledger.owed(caller.id)
        return {"obligations": [views.obligation(one) for one in entries]}

    @router.post(RECEIPTS_PATH)
    def receipts(request: Request, said: Brought) -> Any:
        caller = admit(request.headers.get("authorization"))
        return views.obligation(ledger.receive(caller.id, Handed.read(said).receipt))

    return router


def obligations_router(
    *,
    authorize: Callable[[str], bool],
    ledger: Ledger,
    fulfilments: Fulfilments,
    revocations: Revocations,
) -> APIRouter:
    """Return the doors for our own people, below `/management`."""
    router = guarded(authorize)

    @router.get("/obligations")
    def owed() -> Any:
        return {
            "owedToUs": [views.obligation(one) for one in ledger.owed()],
            "owedByUs": list(fulfilments.owed()),
            "receipts": list(fulfilments.sent()),
        }

    @router.post("/obligations/fulfilments", status_code=201)
    def fulfil(said: Said) -> Any:
        wanted = Fulfil.read(said)
        action = action_named(wanted.action)
        if action is None:
            raise Malformed(f"action {wanted.action[:80]!r} is not known; write delete, inform or attribute")
        done = wanted.done
        if done is not None and done.tzinfo is None:
            raise Malformed(f"done {done.isoformat()} has no zone; write it in UTC, with a Z")
        return fulfilments.fulfil(
            wanted.agreement,
            action.iri,
            done=None if done is None else done.isoformat(),
            statement=wanted.statement,
            url=wanted.url,
            rows=wanted.rows,
        )

    @router.post("/consents/withdrawal")
    def withdraw(said: Said) -> Any:
        wanted = Withdrawal.read(said)
        changed = revocations.consent_withdrawn(wanted.dataset, wanted.reason)
        return {"agreementsChanged": list(changed)}

    return router
