"""Pure: a receipt of ours, from its signature to the provider's answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.reasons import Reasons


class Fate(StrEnum):
    """What became of a receipt."""

    WAITING = "waiting"
    TAKEN = "taken"
    REFUSED = "refused"


@dataclass(frozen=True)
class SentReceipt:
    """A receipt that we signed under an agreement, for its provider.

    `token` is its signed text, `done` when the duty was kept. `answer` is what the provider said that it
    fulfilled, `problem` and `reasons` are why it was not taken. `version` counts saves.
    """

    id: str
    agreement: str
    counterparty: str
    dataset: str
    policy: str
    action: str
    done: datetime
    token: str
    signed: datetime
    fate: Fate = Fate.WAITING
    answer: dict[str, Any] | None = None
    problem: str | None = None
    reasons: Reasons = ()
    version: int = 0
