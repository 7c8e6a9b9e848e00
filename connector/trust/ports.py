"""What trust between connectors needs from the world."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from policies.use import Claims
from schemas.dsp.version import Auth


@dataclass(frozen=True)
class Caller:
    """A participant that proved itself: its DID, and its roles in the data space."""

    id: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Signed:
    """The claims of a token whose signature was checked, and the key that made it (public JWK)."""

    claims: dict[str, Any]
    key: dict[str, str]


class TrustProfile(Protocol):
    """One way in which participants prove themselves to each other."""

    def described(self) -> Auth:
        """Return what the version document tells of this way."""
        ...

    def claims(self, participant: str, *, wait: bool = True) -> Claims:
        """Return what is known of a participant now; nothing of whom nobody vouches for.

        Without `wait` nothing is fetched while the caller waits.

        Raises:
            Unavailable: without `wait`, if nobody can say now.
        """
        ...

    def prove(self, audience: str) -> str:
        """Return an `Authorization` header that proves us to `audience` (a DID), and to nobody else."""
        ...

    def admit(self, authorization: str | None) -> Caller:
        """Return who sent this `Authorization` header.

        A header is good once: a replayed one is refused.

        Raises:
            Unauthenticated: saying which check failed.
            Forbidden: for a participant that is known, but no member of this data space (any more).
        """
        ...

    def standing(self, did: str, *, wait: bool = False) -> str | None:
        """Say why a participant may not stream (any more); None if it may.

        Without `wait` nothing is fetched while the caller waits.

        Raises:
            Unavailable: if nobody can say now who is a member.
        """
        ...

    def verified(self, issuer: str, token: str) -> Signed:
        """Return the claims of a token that a participant signed, whoever brought it.

        Raises:
            Unauthenticated: saying which check failed.
            Forbidden: if the issuer is no member of this data space.
        """
        ...


class ReplayStore(Protocol):
    """Remembers token ids until they expire."""

    def remember(self, issuer: str, jti: str, until: datetime) -> bool:
        """Record a token id; true exactly once for each (issuer, jti), also from many processes."""
        ...

    def forget_expired(self, at: datetime) -> None:
        """Drop ids that expired before `at`; they could not be replayed any more."""
        ...
