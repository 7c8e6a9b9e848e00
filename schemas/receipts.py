"""What a consumer signs to show that it kept a duty: a deletion, a usage report, an attribution.

Source: RFC 7515 (compact JWS); ODRL 2.2 (duties). The words are ours.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from joserfc.jwk import OKPKey
from pydantic import Field

from schemas.base import Document
from schemas.errors import Malformed
from schemas.identity import sign_claims

KIND = "hansa-receipt+jwt"
LIFE = timedelta(days=1)
"""How long a receipt may be on its way; once taken, it is kept."""


class Receipt(Document):
    """That a duty of an agreement was kept.

    `policy` is the digest of the agreement, `action` the duty's (absolute IRI), `done` when it was done
    (with its zone). Units: `rows` are rows used since the last report.
    """

    id: str = Field(min_length=1, max_length=200)
    agreement: str = Field(min_length=1, max_length=512)
    policy: str = Field(min_length=1, max_length=100)
    action: str = Field(min_length=1, max_length=200)
    done: datetime
    statement: str | None = Field(default=None, max_length=1000)
    url: str | None = Field(default=None, max_length=1000)
    rows: int | None = Field(default=None, ge=0, lt=2**53)


class HeldReceipt(Document):
    """A receipt as a log's keeper shows it to an auditor.

    `token` is its signed text, `key` the public key (JWK) by which the keeper checked it when it came; `duty`
    and `period` are what it fulfilled in the keeper's ledger. A consumer shows its own, without these three.
    """

    id: str = Field(min_length=1, max_length=200)
    agreement: str = Field(min_length=1, max_length=512)
    token: str = Field(min_length=1, max_length=8192)
    duty: str | None = Field(default=None, max_length=200)
    period: int | None = None
    key: dict[str, str] | None = Field(default=None, max_length=16)


class HeldReceipts(Document):
    """The receipts that were taken under an agreement."""

    receipts: tuple[HeldReceipt, ...] = ()


def sign_receipt(receipt: Receipt, key: OKPKey, did: str, audience: str, at: datetime) -> str:
    """Sign a receipt as the participant `did`, for one provider."""
    issued = int(at.timestamp())
    claims = {
        "iss": did,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(LIFE.total_seconds()),
        "use": KIND,
        "receipt": receipt.wire(),
    }
    return sign_claims(key, f"{did}#{key.kid}", claims, kind=KIND)


def read_receipt(claims: dict[str, Any], issuer: str, audience: str) -> Receipt:
    """Read the receipt in claims whose signature was checked.

    Raises:
        Malformed: saying what does not fit, with both values.
    """
    for name, wanted in (("use", KIND), ("iss", issuer), ("aud", audience)):
        if claims.get(name) != wanted:
            raise Malformed(f"receipt: '{name}' is {str(claims.get(name))[:120]!r}, expected {wanted!r}")
    receipt = Receipt.read(claims.get("receipt"))
    if receipt.done.tzinfo is None:
        raise Malformed(f"receipt: 'done' {receipt.done.isoformat()} has no zone; write it in UTC, with a Z")
    return receipt
