"""The question put to a policy, and what has been used so far."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.errors import Malformed
from schemas.odrl import DeclaredUse
from schemas.vocab import ODRL


@dataclass(frozen=True, slots=True)
class Use:
    """What somebody means to do: who, which action, for which purpose (absolute IRIs)."""

    participant: str
    action: str
    purpose: str | None = None

    @classmethod
    def declared(cls, participant: str, said: DeclaredUse | None) -> Use:
        """Return the use that somebody declared; who declares nothing just uses, without a purpose."""
        return cls(participant, said.action, said.purpose) if said else cls(participant, ODRL + "use")


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
