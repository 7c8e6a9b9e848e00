"""The door at the root of a participant: its DID document."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from schemas.identity import DidDocument


def identity_router(document: DidDocument) -> APIRouter:
    """Return the door that publishes the keys that speak for this participant."""
    router = APIRouter()
    body = document.wire()

    @router.get("/.well-known/did.json")
    def did() -> JSONResponse:
        return JSONResponse(body, media_type="application/did+json")

    return router
