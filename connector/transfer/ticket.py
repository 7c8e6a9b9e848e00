"""Pure: the signed pass that a consumer shows where the data is fetched.

It names one transfer under one agreement for one consumer; the stream door trusts nothing else, and
checks its signature, its age, and that the agreement's epoch has not grown since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from joserfc.jwk import OKPKey

from policies.use import Use
from schemas.errors import Unauthenticated
from schemas.identity import sign_claims, verify_claims
from schemas.odrl import Agreement

KIND = "hansa-ticket+jwt"
TICKET_LIFE = timedelta(hours=24)
"""How long a ticket opens streams, at most; the policy may end earlier."""
_TEXTS = ("transfer", "agreement", "consumer", "dataset", "action")


@dataclass(frozen=True)
class Ticket:
    """What a consumer may fetch: one transfer's data, as one use, until `expires` (UTC, whole seconds)."""

    transfer: str
    agreement: str
    consumer: str
    dataset: str
    action: str
    purpose: str | None
    epoch: int
    expires: datetime


def lasting(at: datetime, until: datetime | None) -> datetime:
    """Return when a ticket expires that is issued at `at`, under a permission that ends at `until`."""
    longest = at + TICKET_LIFE
    return min(longest, until) if until else longest


def granted(transfer: str, agreement: Agreement, use: Use, epoch: int, expires: datetime) -> Ticket:
    """Return the ticket for a use that was permitted.

    Args:
        transfer: whose data it opens.
        agreement: under which.
        use: as it was permitted.
        epoch: of the agreement.
        expires: UTC.
    """
    return Ticket(
        transfer=transfer,
        agreement=agreement.id,
        consumer=use.participant,
        dataset=agreement.target,
        action=use.action,
        purpose=use.purpose,
        epoch=epoch,
        expires=expires,
    )


def issue(ticket: Ticket, key: OKPKey) -> str:
    """Sign a ticket."""
    claims = {name: getattr(ticket, name) for name in _TEXTS}
    # Nothing depends on when a ticket was issued; the check of claims wants an `iat` all the same.
    claims |= {"epoch": ticket.epoch, "iat": 0, "exp": int(ticket.expires.timestamp()), "use": KIND}
    if ticket.purpose is not None:
        claims["purpose"] = ticket.purpose
    return sign_claims(key, str(key.kid), claims, kind=KIND)


def verify(text: str, key: OKPKey, at: datetime) -> Ticket:
    """Check a ticket's signature and age, and return what it says.

    Raises:
        Unauthenticated: saying which check failed, with both values.
    """
    try:
        claims = verify_claims(text, key, at)
    except Unauthenticated as error:
        raise Unauthenticated(f"ticket: {error}") from None
    # One key may sign other things too; only a ticket is a ticket.
    if claims.get("use") != KIND:
        raise Unauthenticated(f"ticket: this is {str(claims.get('use'))[:60]!r}, expected {KIND!r}")
    purpose, epoch = claims.get("purpose"), claims.get("epoch")
    texts = {name: claims.get(name) for name in _TEXTS}
    if (
        not all(isinstance(value, str) for value in texts.values())
        or not isinstance(purpose, str | None)
        or not isinstance(epoch, int)
    ):
        raise Unauthenticated("ticket: a claim is missing or of the wrong type; ask for a new transfer")
    return Ticket(
        **{name: str(value) for name, value in texts.items()},
        purpose=purpose,
        epoch=epoch,
        expires=datetime.fromtimestamp(claims["exp"], UTC),
    )
