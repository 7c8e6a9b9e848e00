"""The key of a log: the participant's own, under the name of the log."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from policies.evidence.note import SigningKey, VerifierKey
from schemas.errors import Malformed
from schemas.identity import DidDocument


def signing_key(origin: str, key: OKPKey) -> SigningKey:
    """Return the key that signs the checkpoints of a log."""
    return SigningKey(origin, Ed25519PrivateKey.from_private_bytes(_raw(key.as_dict(private=True)["d"])))


def verifier_keys(origin: str, document: DidDocument) -> tuple[VerifierKey, ...]:
    """Return the keys that may sign a log, as its participant's DID document lists them for assertions.

    Raises:
        Malformed: if a key in it is not an Ed25519 key.
    """
    keys: list[Mapping[str, str]] = [
        method.public_key_jwk
        for method in document.verification_method
        if method.id in document.assertion_method and method.public_key_jwk.get("crv") == "Ed25519"
    ]
    return tuple(VerifierKey(origin, _raw(jwk.get("x"))) for jwk in keys)


def _raw(member: object) -> bytes:
    try:
        text = str(member)
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise Malformed("a JWK whose members are not base64url") from None
