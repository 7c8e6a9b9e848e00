"""Who speaks: participant ids (did:web), self-issued tokens, and the signed member list.

Keys and the clock are given. Algorithms are always named: Ed25519 only.

Source: did:web method; DCP 1.0.1 (self-issued tokens); RFC 7519, 7638, 8037, 9864.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, OKPKey
from joserfc.jws import JWSRegistry
from pydantic import Field

from schemas.base import Document
from schemas.errors import Malformed, Unauthenticated

ALGORITHM = "Ed25519"
# Peers may still write the name that RFC 9864 retired.
_ACCEPTED = [ALGORITHM, "EdDSA"]
LEEWAY = timedelta(seconds=30)
TOKEN_LIFE = timedelta(minutes=5)
LONGEST_LIFE = timedelta(hours=1)
MOST_TOKEN = 8192
_LATEST = 253_402_300_799  # the last second of the year 9999

_REGISTRY = JWSRegistry(algorithms=_ACCEPTED, strict_check_header=False)


class VerificationMethod(Document):
    """A public key in a DID document."""

    id: str
    type: str = "JsonWebKey2020"
    controller: str
    public_key_jwk: dict[str, str]


class DidService(Document):
    """A service in a DID document."""

    id: str
    type: str
    service_endpoint: str


class DidDocument(Document):
    """A DID document with the keys that may speak for a participant."""

    context: tuple[str, ...] = Field(
        default=("https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1"),
        alias="@context",
    )
    id: str
    verification_method: tuple[VerificationMethod, ...] = ()
    authentication: tuple[str, ...] = ()
    assertion_method: tuple[str, ...] = ()
    capability_invocation: tuple[str, ...] = ()
    service: tuple[DidService, ...] = ()


def did_url(did: str, *, plain_http: bool = False) -> str:
    """Return where a did:web document lives.

    Args:
        did: for example `did:web:example.org` or `did:web:localhost%3A8101:hospital`.
        plain_http: true only for loopback hosts in a sandbox.

    Raises:
        Malformed: if it is not a did:web with a plain host, port and path.
    """
    if not did.startswith("did:web:") or len(did) > 512:
        raise Malformed(f"{did[:80]!r} is not a did:web id such as did:web:example.org")
    host, *path = did.removeprefix("did:web:").split(":")
    host = unquote(host)
    if not host or any(mark in host for mark in "/?#@\\ ") or host.startswith((":", "[")):
        raise Malformed(f"{did[:80]!r} does not name a plain host")
    for step in path:
        if (
            not step
            or unquote(step) != step
            or any(mark in step for mark in "/?#@\\ ")
            or step in (".", "..")
        ):
            raise Malformed(f"{did[:80]!r} has a path step that is not a plain name: {step!r}")
    scheme = "http" if plain_http else "https"
    where = "/".join(path) if path else ".well-known"
    return f"{scheme}://{host}/{where}/did.json"


def did_host(did: str) -> str:
    """Return the host name (without port) of a did:web id."""
    return did_url(did).split("/")[2].rsplit(":", 1)[0]


def did_for(public_url: str) -> str:
    """Return the did:web id of a participant whose documents are served at the root of `public_url`."""
    host = public_url.split("://", 1)[-1].split("/", 1)[0]
    return "did:web:" + host.replace(":", "%3A")


def generate_key() -> OKPKey:
    """Make a fresh Ed25519 key whose `kid` is its thumbprint (RFC 7638)."""
    key = OKPKey.generate_key("Ed25519", private=True)
    return OKPKey.import_key({**key.as_dict(private=True), "kid": key.thumbprint()})


def public_jwk(key: OKPKey) -> dict[str, str]:
    """Return the public half of a key as a JWK with its `kid`."""
    return {**{k: str(v) for k, v in key.as_dict(private=False).items()}, "kid": str(key.kid)}


def document_for(did: str, key: OKPKey, services: tuple[DidService, ...] = ()) -> DidDocument:
    """Return the DID document that publishes a key."""
    method = f"{did}#{key.kid}"
    return DidDocument(
        id=did,
        verification_method=(VerificationMethod(id=method, controller=did, public_key_jwk=public_jwk(key)),),
        authentication=(method,),
        assertion_method=(method,),
        capability_invocation=(method,),
        service=services,
    )


def speaking_keys(document: DidDocument) -> KeySet:
    """Return the Ed25519 keys that a DID document lists for capability invocation, by `kid`."""
    keys: list[Key] = []
    for method in document.verification_method:
        if method.id not in document.capability_invocation:
            continue
        if method.public_key_jwk.get("crv") != "Ed25519":
            continue
        keys.append(OKPKey.import_key({**method.public_key_jwk, "kid": method.id}))
    return KeySet(keys)


@dataclass(frozen=True)
class Claims:
    """What a verified token says.

    `expires` bounds how long the `jti` has to be remembered against replay.
    """

    issuer: str
    audience: str
    jti: str
    expires: datetime


def sign_claims(key: OKPKey, key_id: str, claims: dict[str, Any], kind: str = "JWT") -> str:
    """Sign claims as a compact JWS."""
    return jwt.encode(
        {"alg": ALGORITHM, "kid": key_id, "typ": kind},
        claims,
        key,
        algorithms=[ALGORITHM],
        registry=_REGISTRY,
    )


def self_issued(key: OKPKey, did: str, audience: str, *, jti: str, at: datetime) -> str:
    """Make the token by which a participant proves itself to exactly one other, for five minutes."""
    issued = int(at.timestamp())
    claims = {
        "iss": did,
        "sub": did,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(TOKEN_LIFE.total_seconds()),
        "jti": jti,
    }
    return sign_claims(key, f"{did}#{key.kid}", claims)


def verify_claims(token: str, keys: KeySet | OKPKey, at: datetime) -> dict[str, Any]:
    """Check a signature and the validity period, and return the claims.

    Raises:
        Unauthenticated: saying which check failed, with both values.
    """
    if len(token) > MOST_TOKEN:
        raise Unauthenticated(f"token of {len(token)} characters; at most {MOST_TOKEN}")
    try:
        claims = dict(jwt.decode(token, keys, algorithms=_ACCEPTED, registry=_REGISTRY).claims)
    except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unauthenticated(f"token signature does not hold ({type(error).__name__})") from None
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, None if name != "nbf" else 0)
        if type(value) is not int or not 0 <= value <= _LATEST:
            raise Unauthenticated(f"token has no usable '{name}': a whole number of seconds since 1970")
    now = at.timestamp()
    if now > claims["exp"] + LEEWAY.total_seconds():
        raise Unauthenticated(f"token expired at {_instant(claims['exp'])}; now it is {_instant(now)}")
    for name in ("iat", "nbf"):
        if name in claims and now < claims[name] - LEEWAY.total_seconds():
            raise Unauthenticated(f"token starts at {_instant(claims[name])}; now it is {_instant(now)}")
    return claims


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def peek_issuer(token: str) -> str:
    """Return who a token claims to be from, unverified, so that the right keys can be fetched.

    Raises:
        Unauthenticated: if it is not a JWT with an `iss`.
    """
    if len(token) > MOST_TOKEN:
        raise Unauthenticated(f"token of {len(token)} characters; at most {MOST_TOKEN}")
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issuer = claims["iss"]
    except (IndexError, ValueError, KeyError, TypeError, RecursionError):
        raise Unauthenticated("expected a signed token (JWT) with an 'iss' claim") from None
    if not isinstance(issuer, str):
        raise Unauthenticated("token claim 'iss' is not text")
    return issuer


def verify_self_issued(token: str, document: DidDocument, audience: str, at: datetime) -> Claims:
    """Check a self-issued token against its issuer's DID document.

    Replay is the caller's to check: remember `jti` until `expires`.

    Raises:
        Unauthenticated: saying which check failed, with both values.
    """
    claims = verify_claims(token, speaking_keys(document), at)
    issuer, subject, meant = claims.get("iss"), claims.get("sub"), claims.get("aud")
    if issuer != subject:
        raise Unauthenticated(f"token 'iss' {issuer!r} and 'sub' {subject!r} differ; both must be the sender")
    if issuer != document.id:
        raise Unauthenticated(f"token is from {issuer!r}, but the key belongs to {document.id!r}")
    if meant != audience:
        raise Unauthenticated(f"token is meant for {meant!r}, not for {audience!r}")
    life = claims["exp"] - claims["iat"]
    if life > LONGEST_LIFE.total_seconds():
        # Its id has to be remembered until it expires, so it may not be good for years.
        raise Unauthenticated(f"token holds for {life} s; at most {LONGEST_LIFE.total_seconds():.0f} s")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 256:
        raise Unauthenticated("token has no usable 'jti'")
    return Claims(
        issuer=str(issuer),
        audience=str(meant),
        jti=jti,
        expires=datetime.fromtimestamp(claims["exp"], UTC) + LEEWAY,
    )


MOST_CLAIMS = 64
"""The most groups, credentials, or values of one credential, that a list states of a member."""

ClaimText = Annotated[str, Field(min_length=1, max_length=200)]


class Member(Document):
    """A member of the data space: who, which key, in which roles, until when, and what is known of it.

    `groups` are names or IRIs, `credentials` values by the name of the claim, `region` an ISO 3166-1 code
    such as `DE`; `environment` is what it attested to the authority about where it processes data.
    """

    id: str
    thumbprint: str
    roles: tuple[Literal["provider", "consumer", "catalog", "auditor"], ...] = ()
    valid_to: datetime
    name: str | None = None
    groups: tuple[ClaimText, ...] = Field(default=(), max_length=MOST_CLAIMS)
    credentials: dict[ClaimText, Annotated[tuple[ClaimText, ...], Field(max_length=MOST_CLAIMS)]] = Field(
        default_factory=dict, max_length=MOST_CLAIMS
    )
    region: Annotated[str, Field(max_length=16)] | None = None
    environment: ClaimText | None = None


class MemberList(Document):
    """Who belongs to a data space, as its authority signed it; `serial` grows with each issue."""

    space: str
    serial: int
    members: tuple[Member, ...] = ()


def sign_members(members: MemberList, key: OKPKey, *, at: datetime, life: timedelta) -> str:
    """Sign a member list as the authority of a data space."""
    issued = int(at.timestamp())
    claims = {
        "iss": members.space,
        "iat": issued,
        "exp": issued + int(life.total_seconds()),
        "members": members.wire(),
    }
    return sign_claims(key, str(key.kid), claims, kind="hansa-members+jwt")


def verify_members(token: str, authority: OKPKey, at: datetime) -> MemberList:
    """Check the authority's signature over a member list.

    Raises:
        Unauthenticated: if it is not signed by this authority, or has expired.
        Malformed: if the list inside is not one.
    """
    # A list may hold thousands of members, so the bound for caller tokens does not apply here.
    try:
        claims = dict(jwt.decode(token, authority, algorithms=_ACCEPTED, registry=_REGISTRY).claims)
    except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unauthenticated(
            f"member list is not signed by the authority ({type(error).__name__})"
        ) from None
    expires = claims.get("exp")
    if not isinstance(expires, int) or at.timestamp() > expires:
        raise Unauthenticated(
            f"member list expired at {expires}; now it is {int(at.timestamp())}; ask for a new one"
        )
    return MemberList.read(claims.get("members"))
