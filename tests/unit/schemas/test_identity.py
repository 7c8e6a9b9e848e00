"""Who speaks: tokens, DID documents and the member list."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import Malformed, Unauthenticated
from schemas.identity import (
    TOKEN_LIFE,
    DidDocument,
    Member,
    MemberList,
    did_for,
    did_url,
    document_for,
    generate_key,
    peek_issuer,
    self_issued,
    sign_claims,
    sign_members,
    verify_members,
    verify_self_issued,
)

ME, PEER = "did:web:me.example", "did:web:peer.example"
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = generate_key()
DOCUMENT = DidDocument.read(document_for(ME, KEY).wire())
SECONDS = int(AT.timestamp())


def token(**changed: object) -> str:
    claims = {"iss": ME, "sub": ME, "aud": PEER, "jti": "1", "iat": SECONDS, "exp": SECONDS + 60, **changed}
    return sign_claims(KEY, f"{ME}#{KEY.kid}", {k: v for k, v in claims.items() if v is not None})


def test_a_self_issued_token_proves_its_sender_to_one_audience() -> None:
    made = self_issued(KEY, ME, PEER, jti="a", at=AT)
    claims = verify_self_issued(made, DOCUMENT, PEER, AT)
    assert (claims.issuer, claims.audience, claims.jti) == (ME, PEER, "a")
    assert claims.expires > AT + TOKEN_LIFE


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"aud": "did:web:other.example"}, "meant for"),
        ({"aud": [PEER]}, "meant for"),
        ({"sub": PEER}, "differ"),
        ({"iss": PEER, "sub": PEER}, "belongs to"),
        ({"exp": SECONDS - 600}, "expired"),
        ({"iat": SECONDS + 600, "exp": SECONDS + 700}, "starts at"),
        ({"nbf": SECONDS + 600}, "starts at"),
        ({"exp": None}, "'exp'"),
        ({"iat": "now"}, "'iat'"),
        ({"nbf": "x"}, "'nbf'"),
        ({"exp": 10**30}, "'exp'"),
        ({"exp": True}, "'exp'"),
        ({"exp": SECONDS + 95 * 365 * 86400}, "holds for"),
        ({"jti": None}, "jti"),
        ({"jti": "x" * 300}, "jti"),
    ],
)
def test_a_token_that_does_not_hold_is_refused_with_the_check_that_failed(
    changed: dict[str, object], said: str
) -> None:
    with pytest.raises(Unauthenticated, match=said):
        verify_self_issued(token(**changed), DOCUMENT, PEER, AT)


def test_a_token_under_another_key_or_altered_is_refused() -> None:
    stranger = document_for(ME, generate_key())
    with pytest.raises(Unauthenticated, match="signature"):
        verify_self_issued(token(), stranger, PEER, AT)
    head, body, signature = token().split(".")
    flipped = body[:-2] + ("A" if body[-2] != "A" else "B") + body[-1]
    with pytest.raises(Unauthenticated, match="signature"):
        verify_self_issued(f"{head}.{flipped}.{signature}", DOCUMENT, PEER, AT)


def test_a_key_that_may_not_speak_for_the_participant_proves_nothing() -> None:
    silent = DOCUMENT.model_copy(update={"capability_invocation": ()})
    with pytest.raises(Unauthenticated, match="signature"):
        verify_self_issued(token(), silent, PEER, AT)


@pytest.mark.parametrize("body", [b"[" * 5900, b"{}", b"not json", b'{"iss": 5}', b"\xff"])
def test_hostile_tokens_are_refused_and_never_crash(body: bytes) -> None:
    hostile = f"a.{base64.urlsafe_b64encode(body).decode()}.c"
    with pytest.raises(Unauthenticated):
        peek_issuer(hostile)
    with pytest.raises(Unauthenticated):
        verify_self_issued(hostile, DOCUMENT, PEER, AT)


def test_a_token_past_the_bound_is_not_even_read() -> None:
    with pytest.raises(Unauthenticated, match="at most"):
        peek_issuer("a." + "b" * 10_000 + ".c")


@pytest.mark.parametrize(
    ("did", "url"),
    [
        ("did:web:example.org", "https://example.org/.well-known/did.json"),
        ("did:web:example.org%3A8443", "https://example.org:8443/.well-known/did.json"),
        ("did:web:example.org:a:b", "https://example.org/a/b/did.json"),
    ],
)
def test_a_did_web_names_where_its_document_lives(did: str, url: str) -> None:
    assert did_url(did) == url


@pytest.mark.parametrize(
    "did",
    [
        "did:key:z6Mk",
        "did:web:",
        "did:web:a@b.example",
        "did:web:example.org%2Fevil",
        "did:web:example.org:..:x",
        "did:web:example.org:a%2Fb",
        "did:web:example.org::x",
        "did:web:" + "a" * 600,
    ],
)
def test_a_did_that_could_lead_elsewhere_is_refused(did: str) -> None:
    with pytest.raises(Malformed):
        did_url(did)


def test_a_participants_id_follows_from_its_url() -> None:
    assert did_for("http://localhost:8101") == "did:web:localhost%3A8101"


def test_a_member_list_holds_only_under_its_authority_and_until_it_expires() -> None:
    authority = generate_key()
    member = Member(id=ME, thumbprint=str(KEY.kid), roles=("provider",), valid_to=AT + timedelta(days=9))
    listed = MemberList(space="s", serial=3, members=(member,))
    signed = sign_members(listed, authority, at=AT, life=timedelta(days=1))
    assert verify_members(signed, authority, AT) == listed
    with pytest.raises(Unauthenticated, match="authority"):
        verify_members(signed, generate_key(), AT)
    with pytest.raises(Unauthenticated, match="expired"):
        verify_members(signed, authority, AT + timedelta(days=2))
