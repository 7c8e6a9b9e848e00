"""Who may read the records behind the log: an auditor by role, or who holds a mandate from the participant.

A mandate is a token that the participant signs and hands over, often inside a URL:
`https://connector.example/evidence#mandate=…`. The fragment never reaches a server's log.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta

from joserfc.jwk import OKPKey

from connector.trust.ports import Caller
from schemas.errors import Forbidden, Malformed, Unauthenticated
from schemas.identity import sign_claims, verify_claims

KIND = "hansa-mandate+jwt"
SCOPE = "audit"
AUDITOR = "auditor"
MOST_DAYS = 366


def mandate(key: OKPKey, did: str, at: datetime, days: int) -> str:
    """Issue a mandate to audit this participant's log.

    Args:
        key: The participant's key.
        did: The participant.
        at: When it is issued.
        days: How long it holds, 1 to 366.

    Raises:
        Malformed: if it would hold shorter or longer than that.
    """
    if not 1 <= days <= MOST_DAYS:
        raise Malformed(f"a mandate for {days} days; say 1 to {MOST_DAYS}")
    issued = int(at.timestamp())
    expires = issued + int(timedelta(days=days).total_seconds())
    claims = {"iss": did, "aud": did, "scope": SCOPE, "iat": issued, "exp": expires}
    return sign_claims(key, f"{did}#{key.kid}", claims, kind=KIND)


def verify_mandate(token: str, key: OKPKey, did: str, at: datetime) -> None:
    """Check that a token is a mandate that we issued and that still holds.

    Raises:
        Unauthenticated: saying which check failed.
    """
    if _kind_of(token) != KIND:
        raise Unauthenticated(f"token is not a mandate (typ {KIND}); ask the participant for one")
    claims = verify_claims(token, key, at)
    for name, meant in (("iss", did), ("aud", did), ("scope", SCOPE)):
        if claims.get(name) != meant:
            raise Unauthenticated(f"mandate says {name} {str(claims.get(name))[:80]!r}, not {meant!r}")


class AuditGate:
    """Lets auditors in: by mandate, or by their role in the data space.

    Args:
        key: Our key.
        did: Who we are.
        clock: Tells the time.
        admit: Checks a self-issued token and says who sent it.
    """

    def __init__(
        self,
        *,
        key: OKPKey,
        did: str,
        clock: Callable[[], datetime],
        admit: Callable[[str | None], Caller],
    ) -> None:
        self._key = key
        self._did = did
        self._clock = clock
        self._admit = admit

    def check(self, authorization: str | None) -> None:
        """Check an `Authorization` header.

        Raises:
            Unauthenticated: if it proves nothing.
            Forbidden: if the sender is no auditor.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and _kind_of(token) == KIND:
            verify_mandate(token, self._key, self._did, self._clock())
            return
        caller = self._admit(authorization)
        if AUDITOR not in caller.roles:
            held = ", ".join(sorted(caller.roles)) or "no role"
            raise Forbidden(f"{caller.id} has {held}; records are for auditors, or for who holds a mandate")


def _kind_of(token: str) -> str | None:
    header = token.split(".", 1)[0]
    try:
        said = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
        return str(said["typ"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
