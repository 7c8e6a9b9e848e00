"""The doors for those who keep it running: alive, ready, and figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector

from connector.outbox.service import Outbox
from connector.usage.service import UsageLog

MOST_BACKLOG = 10_000
"""Records without a place in the log, beyond which a connector is not ready: its log cannot keep up."""


class _Figures:
    """Reads the figures when they are asked for, so that nothing is counted twice."""

    def __init__(self, usage: UsageLog, outbox: Outbox, streams: Callable[[], int]) -> None:
        self._usage = usage
        self._outbox = outbox
        self._streams = streams

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield each figure with its meaning."""
        health = self._usage.health()
        pending = self._outbox.pending()
        worst = max((outgoing.attempts for outgoing in pending), default=0)
        for name, meaning, value in (
            ("hansa_log_size", "leaves of the usage log that are signed", health.size),
            ("hansa_log_backlog", "usage records that wait for a place in the log", health.backlog),
            ("hansa_log_broken", "1 if the usage log does not hold", int(health.problem is not None)),
            ("hansa_outbox_pending", "messages that wait to be delivered", len(pending)),
            ("hansa_outbox_most_attempts", "attempts of the message that failed most often", worst),
            ("hansa_streams_open", "data streams that are open", self._streams()),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)


def health_router(usage: UsageLog, outbox: Outbox, streams: Callable[[], int]) -> APIRouter:
    """Return `/healthz`, `/readyz` and `/metrics`."""
    registry = CollectorRegistry()
    registry.register(_Figures(usage, outbox, streams))
    ProcessCollector(registry=registry)
    router = APIRouter()

    @router.get("/healthz")
    def alive() -> JSONResponse:
        return JSONResponse({"status": "alive"})

    @router.get("/readyz")
    def ready() -> JSONResponse:
        health = usage.health()
        problem = health.problem
        if problem is None and health.backlog > MOST_BACKLOG:
            problem = f"{health.backlog} usage records wait for a place in the log; at most {MOST_BACKLOG}"
        body = {"status": "ready" if problem is None else "not ready", "problem": problem}
        return JSONResponse(body, status_code=200 if problem is None else 503)

    @router.get("/metrics")
    def figures() -> PlainTextResponse:
        return PlainTextResponse(generate_latest(registry).decode(), media_type="text/plain; version=0.0.4")

    return router
