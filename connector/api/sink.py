"""The door at which data is pushed to us: `POST /sinks/<process>` with the pass of that sink's address.

A body is streamed to a file; nobody sees it before all of it is there. A body that breaks off leaves nothing,
and so does one that comes too slowly: a sender that drips would hold a place for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from anyio import CancelScope, CapacityLimiter, current_time, fail_after, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from connector.dataplane.sink import MOST_ARRIVING, PATH, Sinks
from schemas.errors import Malformed

PIECE = 1 << 20
"""Bytes that are written at a time."""


@dataclass(frozen=True)
class Pace:
    """How fast a body has to come: `least_bytes` within every `stall_seconds`, all in `most_seconds`."""

    stall_seconds: float = 60.0
    least_bytes: int = 1 << 10
    most_seconds: float = 6 * 3600.0


class _Watch:
    """Measures the pace of one body; waiting for our own disk counts only against the whole."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._end = current_time() + pace.most_seconds
        self.rest()

    def rest(self) -> None:
        """Begin to measure anew."""
        self._due, self._brought = current_time() + self._pace.stall_seconds, 0

    def came(self, size: int) -> None:
        """Take note of bytes."""
        self._brought += size
        if self._brought >= self._pace.least_bytes:
            self.rest()

    def left(self) -> float:
        """Return for how many seconds the next bytes may be waited for."""
        return max(0.0, min(self._due, self._end) - current_time())

    def why(self) -> str:
        """Say what was too slow, once the time is over."""
        if self._end <= self._due:
            return f"took longer than {self._pace.most_seconds:g} s in all (receive.most_seconds)"
        return (
            f"stalled: {self._brought} bytes in {self._pace.stall_seconds:g} s, at least "
            f"{self._pace.least_bytes} are expected (receive.stall_seconds, receive.least_bytes)"
        )


def sink_router(sinks: Sinks, pace: Pace) -> APIRouter:
    """Return the door; who sends slower than `pace` is given up."""
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
            piece, watch = bytearray(), _Watch(pace)
            body = aiter(request.stream())
            while True:
                try:
                    with fail_after(watch.left()):
                        data = await anext(body, None)
                except (ClientDisconnect, TimeoutError) as error:
                    why = "broke off" if isinstance(error, ClientDisconnect) else watch.why()
                    raise Malformed(f"the body {why}; nothing was kept, send it again") from None
                watch.came(len(data or b""))
                piece += data or b""
                if piece and (data is None or len(piece) >= PIECE):
                    await to_thread.run_sync(arrival.write, bytes(piece), limiter=threads)
                    piece.clear()
                    watch.rest()
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
