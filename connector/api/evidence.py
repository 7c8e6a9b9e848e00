"""The evidence door: the log for everybody, the records behind it for auditors.

```
GET /evidence/checkpoint             signed note                       everybody
GET /evidence/tile/…                 tiles and entry bundles           everybody
GET /evidence/log.json               what the log says about itself    everybody
GET /evidence/entries?start=&most=   records and salts                 auditors
GET /evidence/agreements/{id}        an agreement                      auditors
GET /evidence/receipts?agreement=    the receipts taken under it       auditors
```

Source: C2SP tlog-tiles.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse

from connector.usage.mandate import AuditGate
from connector.usage.service import UsageLog
from schemas.binding.server import answer
from schemas.errors import NotFound
from schemas.receipts import HeldReceipt, HeldReceipts
from schemas.usage import AgreedTerms, LogDescription, OpenedEntries, OpenedEntry

PREFIX = "/evidence"
MOST_ENTRIES = 1000
"""Records in one answer."""

_FULL = "public, max-age=31536000, immutable"  # a full tile never changes
_FRESH = "no-cache"

Authorization = Annotated[str | None, Header()]


def evidence_router(
    *,
    log: UsageLog,
    agreement: Callable[[str], AgreedTerms],
    receipts: Callable[[str], Sequence[HeldReceipt]],
    gate: AuditGate,
) -> APIRouter:
    """Make the door.

    Args:
        log: The usage log.
        agreement: Returns an agreement by its id, or raises NotFound.
        receipts: Returns the receipts that were taken under an agreement.
        gate: Says who may read records.
    """
    router = APIRouter(prefix=PREFIX, tags=["evidence"])
    _open_to_all(router, log)
    _open_to_auditors(router, log, agreement, receipts, gate)
    return router


def _opened(index: int, record: bytes, salt: bytes) -> OpenedEntry:
    return OpenedEntry(index=index, record=record.decode(), salt=base64.b64encode(salt).decode())


def _open_to_all(router: APIRouter, log: UsageLog) -> None:
    @router.get("/checkpoint")
    def checkpoint() -> Response:
        head = log.head()
        if head is None:
            raise NotFound("the log has no signed checkpoint yet; ask again in a second")
        return Response(head.note, media_type="text/plain; charset=utf-8", headers={"Cache-Control": _FRESH})

    @router.get("/tile/{path:path}")
    def tile(path: str) -> Response:
        held = log.tile(f"tile/{path}")
        caching = _FRESH if ".p/" in path else _FULL
        return Response(held, media_type="application/octet-stream", headers={"Cache-Control": caching})

    @router.get("/log.json")
    def description() -> JSONResponse:
        head = log.head()
        size = head.size if head else 0
        return answer(LogDescription(origin=log.origin, vkey=log.vkey, did=log.did, size=size))


def _open_to_auditors(
    router: APIRouter,
    log: UsageLog,
    agreement: Callable[[str], AgreedTerms],
    receipts: Callable[[str], Sequence[HeldReceipt]],
    gate: AuditGate,
) -> None:
    @router.get("/entries")
    def entries(
        start: Annotated[int, Query(ge=0, lt=2**62)] = 0,
        most: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = MOST_ENTRIES,
        authorization: Authorization = None,
    ) -> JSONResponse:
        gate.check(authorization)
        held = log.entries(start, most)
        return answer(OpenedEntries(entries=tuple(_opened(one.index, one.record, one.salt) for one in held)))

    @router.get("/agreements/{agreement_id:path}")
    def agreed(agreement_id: str, authorization: Authorization = None) -> JSONResponse:
        gate.check(authorization)
        return answer(agreement(agreement_id))

    @router.get("/receipts")
    def shown(
        agreement: Annotated[str, Query(min_length=1, max_length=512)], authorization: Authorization = None
    ) -> JSONResponse:
        gate.check(authorization)
        return answer(HeldReceipts(receipts=tuple(receipts(agreement))))
