"""The question put to a policy, and what has been used so far."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.errors import Malformed


@dataclass(frozen=True, slots=True)
class Use:
    """What somebody means to do: who, which action, for which purpose (absolute IRIs)."""

    participant: str
    action: str
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class UseTotals:
    """What the agreement has used so far, as the usage log counts it.

    Units: rows.

    Raises:
        Malformed: if a total is negative, since that would stretch a limit.
    """

    rows: int = 0

    def __post_init__(self) -> None:
        if self.rows < 0:
            raise Malformed(f"totals: {self.rows} rows used; a total is never below 0")
