"""A trust profile that proves nothing: Eclipse EDC's mock identity, for tests on one machine.

Whoever calls is who it says it is. The settings refuse it outside a test profile on loopback addresses.

Source: Eclipse EDC, extension `iam-mock`: the `Authorization` header is a JSON object, without a scheme; its
`clientId` is the participant id. The Dataspace TCK's sample header is that object once more as a JSON string.
"""

from __future__ import annotations

import json
from typing import Any

from connector.trust.ports import Caller, Signed
from policies.use import NO_CLAIMS, Claims
from schemas.dsp.version import Auth
from schemas.errors import Forbidden, Unauthenticated

MOST_HEADER = 4096
ROLES = frozenset({"provider", "consumer"})


class MockTrust:
    """Believes every caller (a TrustProfile)."""

    def __init__(self, did: str) -> None:
        """Make the profile of the participant `did`."""
        self._did = did

    def described(self) -> Auth:
        """Return what the version document tells of this way: that it proves nothing."""
        return Auth(protocol="edc-mock", version="1")

    def claims(self, participant: str, *, wait: bool = True) -> Claims:
        """Return that nothing is known of anybody."""
        return NO_CLAIMS

    def prove(self, audience: str) -> str:
        """Return an `Authorization` header that claims to be us."""
        return json.dumps({"region": "eu", "audience": audience, "clientId": self._did})

    def admit(self, authorization: str | None) -> Caller:
        """Return who the header claims to be, as a provider and consumer.

        Raises:
            Unauthenticated: if it claims nothing.
        """
        said = _parsed(authorization or "")
        claimed = said.get("clientId") if isinstance(said, dict) else None
        if not isinstance(claimed, str) or not claimed or not claimed.isprintable():
            raise Unauthenticated('expected \'Authorization: {"clientId": "<participant id>"}\' (edc-mock)')
        return Caller(claimed, ROLES)

    def standing(self, did: str, *, wait: bool = False) -> str | None:
        """Say nothing against anybody."""
        return None

    def verified(self, issuer: str, token: str) -> Signed:
        """Refuse: nobody has a key here.

        Raises:
            Forbidden: always.
        """
        raise Forbidden(f"trust is 'edc-mock': no key of {issuer[:120]} is known, so nothing it signed holds")


def _parsed(header: str) -> Any:
    if len(header) > MOST_HEADER:
        raise Unauthenticated(f"Authorization of {len(header)} characters; at most {MOST_HEADER}")
    try:
        said = json.loads(header)
        return json.loads(said) if isinstance(said, str) else said
    except (ValueError, RecursionError):
        return None
