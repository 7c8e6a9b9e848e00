"""Who belongs to the data space, and who is calling.

The list is the authority's. Where the catalogue holds the authority's key it signs the list itself, with a
serial that grows with each issue; else it serves the list that it was given, after checking it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from catalog.ports import MemberFiles, Replays
from schemas.binding.did import DidResolver
from schemas.binding.server import parse_json
from schemas.canonical import canonical
from schemas.errors import DataspaceError, Forbidden, Malformed, NotFound, Unauthenticated
from schemas.identity import (
    Claims,
    DidDocument,
    Member,
    MemberList,
    VerificationMethod,
    peek_issuer,
    sign_members,
    verify_members,
    verify_self_issued,
)

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Authority:
    """Who signs the member list of which space: us, if we hold the private key, else somebody we know.

    Units: a signed list holds for `life`.
    """

    space: str
    life: timedelta
    signer: OKPKey | None = None
    public: OKPKey | None = None


@dataclass(frozen=True)
class _Known:
    marks: tuple[object, object]
    token: str
    members: dict[str, Member]
    listed: MemberList
    renew_after: datetime


class Members:
    """The signed member list, read again whenever its files change."""

    def __init__(
        self,
        files: MemberFiles,
        clock: Callable[[], datetime],
        authority: Authority,
    ) -> None:
        """Make it from files, a clock, and what is known of the authority."""
        self._files = files
        self._clock = clock
        self._space = authority.space
        self._life = authority.life
        self._signer = authority.signer
        self._authority = authority.signer or authority.public
        self._lock = threading.Lock()
        self._known: _Known | None = None

    def token(self) -> str:
        """Return the signed list.

        Raises:
            NotFound: if there is none.
        """
        return self._current().token

    def listed(self) -> MemberList:
        """Return the list that holds now.

        Raises:
            NotFound: if there is none.
            Unauthenticated: if the authority did not sign it, or it has expired.
        """
        return self._current().listed

    def find(self, participant: str) -> Member | None:
        """Return a member whose membership holds now; None for everybody else, and where there is no list."""
        try:
            member = self._current().members.get(participant)
        except NotFound:
            return None
        return member if member is not None and member.valid_to > self._clock() else None

    def add(self, member: Member) -> MemberList:
        """Put a member on the list, or replace what it says of one, and sign it if we are the authority."""
        with self._lock:
            old = self._plain_list()
            others = tuple(item for item in old.members if item.id != member.id)
            listed = old.model_copy(update={"members": (*others, member)})
            self._files.write_plain(canonical(listed.wire()))
            return listed if self._signer is None else self._sign(listed, self._signer)

    def sign(self) -> MemberList:
        """Sign the plain list as it stands, with the next serial.

        Raises:
            Forbidden: if the catalogue does not hold the authority's key.
        """
        if self._signer is None:
            raise Forbidden(
                "this catalogue does not hold the authority's key; set members.authority_key_file"
            )
        with self._lock:
            return self._sign(self._plain_list(), self._signer)

    def plain(self) -> MemberList:
        """Return the list as it stands before signing."""
        with self._lock:
            return self._plain_list()

    def _plain_list(self) -> MemberList:
        plain = self._files.plain()
        if plain is None:
            return MemberList(space=self._space, serial=0)
        return MemberList.read(parse_json(plain[0]))

    def _sign(self, listed: MemberList, key: OKPKey) -> MemberList:
        """Sign a list under a serial that never falls, whatever was done to the plain file."""
        before, signed = 0, self._files.signed()
        if signed is not None and self._authority is not None:
            try:
                # An expired list still tells its serial.
                before = verify_members(signed[0], self._authority, _LONG_AGO).serial
            except DataspaceError:
                before = 0
        issued = listed.model_copy(update={"serial": max(listed.serial, before) + 1, "space": self._space})
        self._files.write_signed(sign_members(issued, key, at=self._clock(), life=self._life))
        return issued

    def _current(self) -> _Known:
        with self._lock:
            now = self._clock()
            signed, plain = self._files.signed(), self._files.plain()
            marks = (signed and signed[1], plain and plain[1])
            known = self._known
            if known is not None and known.marks == marks and now < known.renew_after:
                return known
            if self._signer is not None and self._must_sign(signed, plain, now):
                self._sign(self._plain_list(), self._signer)
                signed = self._files.signed()
                marks = (signed and signed[1], marks[1])
            if signed is None:
                raise NotFound(
                    "this catalogue has no member list yet; `members add` and `members sign` make one"
                )
            self._known = self._read(signed[0], marks, now)
            return self._known

    def _verified(self, token: str, now: datetime) -> MemberList:
        if self._authority is None:
            raise Unauthenticated(
                "no authority is known here; set members.authority_file or authority_key_file"
            )
        return verify_members(token, self._authority, now)

    def _must_sign(
        self, signed: tuple[str, object] | None, plain: tuple[bytes, object] | None, now: datetime
    ) -> bool:
        """Whether we, the authority, have a list that is unsigned, differs from the signed one, or ages."""
        if signed is None:
            return plain is not None
        try:
            held = self._verified(signed[0], now + self._life / 2)
        except Unauthenticated:
            return True
        return plain is not None and self._plain_list().members != held.members

    def _read(self, token: str, marks: tuple[object, object], now: datetime) -> _Known:
        listed = self._verified(token, now)
        if listed.space != self._space:
            raise Malformed(
                f"the member list is of space {listed.space!r}; this catalogue serves {self._space!r}"
            )
        # Looked at again from time to time, because a list expires without its file changing.
        renew_after = now + min(self._life / 4, timedelta(minutes=1))
        return _Known(marks, token, {member.id: member for member in listed.members}, listed, renew_after)


class Callers:
    """Finds out which member a token speaks for."""

    def __init__(
        self,
        members: Members,
        resolver: DidResolver,
        replays: Replays,
        did: str,
        clock: Callable[[], datetime],
    ) -> None:
        """Make it for the catalogue whose id is `did`, the audience of every token."""
        self._members = members
        self._resolver = resolver
        self._replays = replays
        self._did = did
        self._clock = clock

    def identify(self, authorization: str | None, role: str | None = None) -> Member:
        """Return the member that a bearer token speaks for.

        A stranger is turned away before its DID document is fetched, so that nobody can send us anywhere.

        Args:
            authorization: the Authorization header.
            role: a role that the member must have.

        Raises:
            Unauthenticated: if there is no token, or it proves nothing.
            Forbidden: if the caller is not a member, or not one in that role.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated(
                f"expected 'Authorization: Bearer <token>', a self-issued token for {self._did}"
            )
        token = token.strip()
        issuer = peek_issuer(token)
        member = self._members.find(issuer)
        if member is None:
            raise Forbidden(
                f"{issuer[:120]!r} is not a member of this data space, or its membership has ended"
            )
        at = self._clock()
        claims = self._verify(token, member, at)
        if not self._replays.first_use(claims.issuer, claims.jti, claims.expires, at):
            raise Unauthenticated(
                f"token {claims.jti[:80]!r} was used before; make a new one for each request"
            )
        if role is not None and role not in member.roles:
            raise Forbidden(
                f"{issuer} is a member as {', '.join(member.roles) or 'nothing'}; this asks for {role}"
            )
        return member

    def _verify(self, token: str, member: Member, at: datetime) -> Claims:
        try:
            return verify_self_issued(token, self._listed_key(member), self._did, at)
        except Unauthenticated as error:
            if "signature" not in str(error):
                raise
            return verify_self_issued(token, self._listed_key(member, fresh=True), self._did, at)

    def _listed_key(self, member: Member, *, fresh: bool = False) -> DidDocument:
        """Only the key that the authority listed may speak; another in the DID document proves nothing."""
        try:
            document = self._resolver.resolve(member.id, fresh=fresh)
        except DataspaceError as error:
            raise Unauthenticated(f"cannot learn the keys of {member.id}: {error}") from None
        listed = tuple(
            method for method in document.verification_method if _thumbprint(method) == member.thumbprint
        )
        if fresh and not listed:
            raise Unauthenticated(
                f"the DID document of {member.id} lacks the key {member.thumbprint} of the member list"
            )
        return document.model_copy(update={"verification_method": listed})


def _thumbprint(method: VerificationMethod) -> str | None:
    try:
        return OKPKey.import_key(dict(method.public_key_jwk)).thumbprint()
    except (JoseError, ValueError, TypeError, KeyError):
        return None
