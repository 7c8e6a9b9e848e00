"""How a serving process tells what it does: one JSON object a line on standard error, libraries included."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def log_as_json(level: str) -> None:
    """Write everything from `level` (debug, info, warning or error) on as JSON lines to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    least = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    # Of libraries only what may need a hand: their routine is not ours to tell.
    logging.basicConfig(handlers=[handler], level=max(least, logging.WARNING), force=True)
