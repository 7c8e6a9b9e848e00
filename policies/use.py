"""The question put to a policy, and what has been used so far."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.errors import Malformed
from schemas.odrl import DeclaredUse
from schemas.vocab import ODRL


@dataclass(frozen=True, slots=True)
class Claims:
    """What the data space's authority says of a participant, by its signed member list.

    Groups are IRIs or names, the region is a code such as `DE`, credentials are pairs of claim and value.
    Who stands on a list (`listed`) is in no other group and has no other credential than it states. Where
    there is no list, and where a region or environment is not stated, nothing is known: that grants nothing,
    and lifts no prohibition.
    """

    groups: frozenset[str] = frozenset()
    credentials: tuple[tuple[str, str], ...] = ()
    region: str | None = None
    environment: str | None = None
    listed: bool = False

    @property
    def unless_stated(self) -> bool | None:
        """What is to be made of a group or credential that is not stated."""
        return False if self.listed else None


NO_CLAIMS = Claims()
"""Of whom nothing is known."""


@dataclass(frozen=True, slots=True)
class Use:
    """What somebody means to do: who, which action, for which purpose (absolute IRIs).

    `claims` are what is known of who asks; nobody declares them about themselves.
    """

    participant: str
    action: str
    purpose: str | None = None
    claims: Claims = NO_CLAIMS

    @classmethod
    def declared(cls, participant: str, said: DeclaredUse | None, claims: Claims = NO_CLAIMS) -> Use:
        """Return the use that somebody declared; who declares nothing just uses, without a purpose."""
        if said is None:
            return cls(participant, ODRL + "use", None, claims)
        return cls(participant, said.action, said.purpose, claims)


@dataclass(frozen=True, slots=True)
class UseTotals:
    """What the agreement has used so far, as the usage log counts it, and when; `policies.counting` says how.

    `agreed` is when it was agreed, `first_delivery` and `last_delivery` when rows were reserved for a reader
    for the first and for the last time; None where that has not happened, or is not known. `released` are the
    columns that were let go of sets which must stay apart.

    Units: rows, bytes, requests and epochs are counts; times have a zone.

    Raises:
        Malformed: if a total is negative, since that would stretch a limit, or a time has no zone.
    """

    rows: int = 0
    bytes: int = 0
    requests: int = 0
    epochs: int = 0
    agreed: datetime | None = None
    first_delivery: datetime | None = None
    last_delivery: datetime | None = None
    released: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.rows < 0 or self.bytes < 0 or self.requests < 0 or self.epochs < 0:
            counts = {name: getattr(self, name) for name in ("rows", "bytes", "requests", "epochs")}
            name, count = min(counts.items(), key=lambda item: item[1])
            raise Malformed(f"totals: {count} {name} used; a total is never below 0")
        for at in (self.agreed, self.first_delivery, self.last_delivery):
            if at is not None and at.tzinfo is None:
                raise Malformed(f"totals: time {at.isoformat()} has no zone; give one in UTC")


APART = "apart"
"""In the detail of a decision: which columns it lets go of sets that must stay apart, as a JSON array."""


def released_detail(columns: Iterable[str]) -> dict[str, str]:
    """Return what the log says of columns that are let go of sets which must stay apart."""
    return {APART: json.dumps(sorted(columns))}


def released_in(detail: Mapping[str, str | int]) -> frozenset[str]:
    """Read from a decision's detail which columns it let go of sets that must stay apart.

    Raises:
        Malformed: if it is no JSON array of names.
    """
    said = detail.get(APART, "[]")
    try:
        names = json.loads(said) if isinstance(said, str) else None
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Malformed(f"detail {APART!r} is {str(said)[:80]!r}, not a JSON array of column names")
    return frozenset(names)
