"""The first trust profile: self-issued tokens of members on a list that the space's authority signed.

A member is admitted if a key of its DID document has the thumbprint on the list, and signed a token
meant for us that was not seen before. Nothing is fetched on behalf of somebody who is not on the list.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from joserfc.jwk import OKPKey

from connector.trust.ports import Caller, ReplayStore, Signed
from policies import use
from policies.claims import stated
from schemas.binding.client import Http
from schemas.binding.did import DidResolver
from schemas.dsp.version import Auth
from schemas.errors import DataspaceError, Forbidden, Malformed, PeerUnavailable, Unauthenticated, Unavailable
from schemas.identity import (
    Claims,
    DidDocument,
    Member,
    MemberList,
    peek_issuer,
    self_issued,
    speaking_keys,
    verify_claims,
    verify_members,
    verify_self_issued,
)

FRESH = timedelta(minutes=5)
FORCED = timedelta(seconds=1)
"""How seldom an unknown caller makes us fetch the list again."""
RETRIED = timedelta(seconds=15)
"""How seldom a list that is not fresh is tried again while its host is down."""
MOST_LIST = 8 << 20
TIDY = timedelta(minutes=1)
"""How often expired token ids are forgotten."""

_log = structlog.get_logger("connector.trust")


@dataclass(frozen=True)
class _Held:
    members: MemberList
    expires: datetime
    fetched: datetime


class FetchedMembers:
    """A verified member list, kept fresh in the background of the calls that need it."""

    def __init__(self, http: Http, url: str, authority: OKPKey, clock: Callable[[], datetime]) -> None:
        """Make a list that is fetched when it is first needed."""
        self._http = http
        self._url = url
        self._authority = authority
        self._clock = clock
        self._held: _Held | None = None
        self._tried: datetime | None = None
        self._fetching = threading.Lock()

    def __call__(self) -> MemberList:
        """Return the list; one older than five minutes is fetched again behind the caller's back.

        Raises:
            Unavailable: if there is no list that has not expired.
        """
        now = self._clock()
        held = self._held
        if held is None or now >= held.expires:
            return self._fetch_now(now).members
        if now - held.fetched >= FRESH and (self._tried is None or now - self._tried >= RETRIED):
            self._tried = now
            threading.Thread(target=self._try_fetch, name="members", daemon=True).start()
        return held.members

    def held(self) -> MemberList | None:
        """Return the list as far as it is here and holds, and have it fetched behind the caller's back.

        None if there is none, or it has expired: then nobody is known to be a member.
        """
        now, held = self._clock(), self._held
        if held is not None and now < held.expires and now - held.fetched < FRESH:
            return held.members
        if self._tried is None or now - self._tried >= RETRIED:
            self._tried = now
            threading.Thread(target=self._try_fetch, name="members", daemon=True).start()
        return held.members if held is not None and now < held.expires else None

    def refresh(self) -> MemberList:
        """Fetch the list now, at most once a second; the held one serves if that fails."""
        now = self._clock()
        if self._tried is None or now - self._tried >= FORCED:
            self._tried = now
            self._try_fetch()
        return self()

    def _fetch_now(self, now: datetime) -> _Held:
        with self._fetching:
            if self._held is not None and now < self._held.expires:
                return self._held
            try:
                return self._fetch(now)
            except DataspaceError as error:
                raise Unavailable(
                    f"no valid member list from {self._url}: {error}; try again later"
                ) from error

    def _try_fetch(self) -> None:
        with self._fetching:
            try:
                self._fetch(self._clock())
            except DataspaceError as error:
                # The held list serves until it expires; whoever runs this connector reads why here.
                _log.warning("member list not refreshed", url=self._url, problem=str(error))

    def _fetch(self, now: datetime) -> _Held:
        reply = self._http.get(self._url, headers={"Accept": "application/jwt"}, most=MOST_LIST)
        if not reply.ok:
            raise PeerUnavailable(f"{self._url} answered {reply.status}; expected the signed member list")
        token = reply.body.decode("ascii", errors="replace").strip()
        members = verify_members(token, self._authority, now)
        if self._held is not None and members.serial < self._held.members.serial:
            newest = self._held.members.serial
            raise Malformed(f"{self._url} serves member list {members.serial}, but {newest} was seen before")
        self._held = _Held(members, _expiry(token), now)
        return self._held


def _expiry(token: str) -> datetime:
    """Return when a token that was verified already expires."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return datetime.fromtimestamp(claims["exp"], UTC)


def fetch_members(http: Http, url: str, authority: OKPKey, clock: Callable[[], datetime]) -> FetchedMembers:
    """Return the member list of a data space, as served at a URL and signed by its authority."""
    return FetchedMembers(http, url, authority, clock)


class MembersTrust:
    """Admits members, and proves us to them (a TrustProfile)."""

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        did: str,
        key: OKPKey,
        resolver: DidResolver,
        replay: ReplayStore,
        members: Callable[[], MemberList],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        """Make the profile of the participant `did`, whose key signs."""
        self._did = did
        self._key = key
        self._resolver = resolver
        self._replay = replay
        self._members = members
        self._clock = clock
        self._new_id = new_id
        self._index: tuple[MemberList, dict[str, Member]] | None = None
        self._tidied: datetime | None = None

    def described(self) -> Auth:
        """Return what the version document tells of this way."""
        return Auth(protocol="hansa-members", version="1", profile=("self-issued-jwt",))

    def claims(self, participant: str, *, wait: bool = True) -> use.Claims:
        """Return what the list that holds now states of a member; nothing of anybody else.

        Without a list nothing is known of anybody: that grants nothing, and lifts no prohibition. Without
        `wait` the list is fetched in the background only.

        Raises:
            Unavailable: without `wait`, if there is no list that holds.
        """
        try:
            member = self._find(participant, self._list(wait=wait))
        except Unavailable as error:
            if not wait:
                raise
            _log.warning("claims not known", participant=participant[:200], problem=str(error))
            return use.NO_CLAIMS
        if member is None or self._clock() >= member.valid_to:
            return use.NO_CLAIMS
        return stated(member)

    def prove(self, audience: str) -> str:
        """Return an `Authorization` header that proves us to one participant, for five minutes."""
        token = self_issued(self._key, self._did, audience, jti=self._new_id(), at=self._clock())
        return f"Bearer {token}"

    def admit(self, authorization: str | None) -> Caller:
        """Return which member sent this header.

        Raises:
            Unauthenticated: saying which check failed.
            Forbidden: for somebody who is not on the list, or not any more.
            Unavailable: if the list or the caller's keys cannot be had now.
        """
        kind, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not token:
            raise Unauthenticated("expected 'Authorization: Bearer <self-issued token>'")
        now = self._clock()
        member = self._member(peek_issuer(token), now)
        claims = self._verify(token, member, now)
        if not self._replay.remember(claims.issuer, claims.jti, claims.expires):
            raise Unauthenticated(f"token {claims.jti!r} was used before; make a new one for each request")
        self._forget(now)
        return Caller(member.id, frozenset(member.roles))

    def standing(self, did: str, *, wait: bool = False) -> str | None:
        """Say why a participant may not stream: it left the list, or its membership ended.

        Without `wait` the list is fetched in the background only.

        Raises:
            Unavailable: if there is no list that holds: nobody is known to be a member then.
        """
        held = self._list(wait=wait)
        try:
            _standing(did, self._find(did, held), self._clock())
        except Forbidden as error:
            return str(error)
        return None

    def verified(self, issuer: str, token: str) -> Signed:
        """Return the claims of a token that a member signed with its listed key, and that key.

        Raises:
            Unauthenticated: saying which check failed.
            Forbidden: if the issuer is no member.
            Unavailable: if the list or its keys cannot be had now.
        """
        now = self._clock()
        member = self._member(issuer, now)
        for fresh in (False, True):
            document = _only_listed(self._resolve(member.id, fresh=fresh), member)
            if document.verification_method:
                claims = verify_claims(token, speaking_keys(document), now)
                key = document.verification_method[0].public_key_jwk
                # Its owner may have written anything beside it, at any length.
                return Signed(claims, {name: key[name] for name in ("kty", "crv", "x")})
        raise Unauthenticated(f"no key of {member.id} has the thumbprint of the member list")

    def _list(self, *, wait: bool) -> MemberList:
        """Return the list that holds; without `wait` a missing one is fetched in the background only."""
        held = self._members.held() if isinstance(self._members, FetchedMembers) else self._members()
        if held is None and wait:
            held = self._members()
        if held is None:
            raise Unavailable("the member list has expired and cannot be had anew; try again later")
        return held

    def _member(self, did: str, now: datetime) -> Member:
        member = self._find(did, self._members())
        if member is None and isinstance(self._members, FetchedMembers):
            member = self._find(did, self._members.refresh())
        return _standing(did, member, now)

    def _find(self, did: str, members: MemberList) -> Member | None:
        index = self._index
        if index is None or index[0] is not members:
            index = (members, {member.id: member for member in members.members})
            self._index = index
        return index[1].get(did)

    def _verify(self, token: str, member: Member, now: datetime) -> Claims:
        for fresh in (False, True):
            document = _only_listed(self._resolve(member.id, fresh=fresh), member)
            if document.verification_method:
                return verify_self_issued(token, document, self._did, now)
        raise Unauthenticated(
            f"no key of {member.id} has the thumbprint {member.thumbprint} of the member list; "
            "publish the listed key, or have the list renewed"
        )

    def _resolve(self, did: str, *, fresh: bool) -> DidDocument:
        try:
            return self._resolver.resolve(did, fresh=fresh)
        except PeerUnavailable as error:
            # Their host being down says nothing about who they are: 503, so that they try again.
            raise Unavailable(f"cannot learn the keys of {did} now: {error}") from error
        except DataspaceError as error:
            raise Unauthenticated(f"cannot learn the keys of {did}: {error}") from error

    def _forget(self, now: datetime) -> None:
        if self._tidied is None or now - self._tidied >= TIDY:
            self._tidied = now
            self._replay.forget_expired(now)


def _standing(did: str, member: Member | None, now: datetime) -> Member:
    """Return a member that stands.

    Raises:
        Forbidden: saying why it does not.
    """
    if member is None:
        raise Forbidden(f"{did[:120]} is no member of this data space")
    if now >= member.valid_to:
        until = member.valid_to.isoformat(timespec="seconds")
        raise Forbidden(f"the membership of {did[:120]} ended at {until}; ask the data space to renew it")
    return member


def _only_listed(document: DidDocument, member: Member) -> DidDocument:
    """Keep only the key that the list names, so that no other key of the document may speak."""
    kept = tuple(
        method
        for method in document.verification_method
        if method.id in document.capability_invocation
        and _thumbprint(method.public_key_jwk) == member.thumbprint
    )
    return document.model_copy(update={"verification_method": kept})


def _thumbprint(jwk: dict[str, str]) -> str | None:
    try:
        return OKPKey.import_key({**jwk}).thumbprint()
    except (ValueError, KeyError, TypeError):
        return None
