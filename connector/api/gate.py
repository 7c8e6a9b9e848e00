"""Who may open a door of the holder's own: whoever shows the API key of this connector."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Request

from schemas.errors import Unauthenticated


def bearer_gate(authorize: Callable[[str], bool]) -> Callable[[Request], Awaitable[None]]:
    """Return what a router depends on: `Authorization: Bearer <API key>`, or nothing of it answers."""

    async def keep_out(request: Request) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not authorize(token.strip()):
            raise Unauthenticated("expected 'Authorization: Bearer <API key>' with the key of this connector")

    return keep_out
