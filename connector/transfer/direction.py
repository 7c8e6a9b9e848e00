"""Pure: which way the data of a transfer format goes.

A format ends in the direction, or has it before the type of an answer: `ArrowStream-PULL`, `HttpData-PUSH`,
`http-pull`, `com.test.mqtt-push-com.test.mqtt`.

Source: Data Plane Signaling, transfer profiles; EDC, TransferTypeParserImpl
(`DESTTYPE-{PULL,PUSH}[-RESPONSETYPE]`).
"""

from __future__ import annotations

import re
from typing import Literal

Direction = Literal["pull", "push"]

_DIRECTION = re.compile(r"(?:^|-)(pull|push)(?:-|$)", re.IGNORECASE)


def direction_of(format: str) -> Direction | None:
    """Return which way the data goes; None if the format does not say."""
    found = _DIRECTION.search(format)
    if found is None:
        return None
    return "pull" if found[1].lower() == "pull" else "push"
