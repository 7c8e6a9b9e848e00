"""The door at which data is pushed to us: `POST /sinks/<process>` with the pass of that sink's address.

A body is streamed to a file; nobody sees it before all of it is there. A body that breaks off leaves nothing.
"""

from __future__ import annotations

from anyio import CancelScope, CapacityLimiter, fail_after, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from connector.dataplane.sink import MOST_ARRIVING, PATH, Sinks
from schemas.errors import Malformed

PIECE = 1 << 20
"""Bytes that are written at a time."""


def sink_router(sinks: Sinks, *, stall_seconds: float) -> APIRouter:
    """Return the door; `stall_seconds` is how long a sender may send nothing."""
    router = APIRouter()
    threads = CapacityLimiter(MOST_ARRIVING)

    async def take(request: Request, pid: str) -> JSONResponse:
        authorization = request.headers.get("authorization")
        await to_thread.run_sync(sinks.check, pid, authorization, limiter=threads)
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and (wrong := sinks.too_large(int(declared))) is not None:
            raise wrong
        media_type = request.headers.get("content-type", "application/octet-stream")
        # Database and disk are slow at times: they are never waited for on the event loop.
        taking = sinks.arriving(pid, media_type)
        arrival = await to_thread.run_sync(taking.__enter__, limiter=threads)
        try:
            piece = bytearray()
            body = aiter(request.stream())
            while True:
                try:
                    with fail_after(stall_seconds):
                        data = await anext(body, None)
                except (ClientDisconnect, TimeoutError) as error:
                    why = "broke off" if isinstance(error, ClientDisconnect) else "stalled for too long"
                    raise Malformed(f"the body {why}; nothing was kept, send it again") from None
                piece += data or b""
                if piece and (data is None or len(piece) >= PIECE):
                    await to_thread.run_sync(arrival.write, bytes(piece), limiter=threads)
                    piece.clear()
                if data is None:
                    break
            received = await to_thread.run_sync(arrival.finish, limiter=threads)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(taking.__exit__, None, None, None, limiter=threads)
        return JSONResponse({"bytes": received.byte_count, "rows": received.rows}, status_code=200)

    for method in ("POST", "PUT"):
        router.add_api_route(f"{PATH}{{pid}}", take, methods=[method], response_model=None)
    return router
