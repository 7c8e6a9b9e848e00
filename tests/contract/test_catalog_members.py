"""The member list: signed by the authority, its serial never falls, and only what holds is served."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from catalog.adapters.files import FolderMembers, load_key, make_key, make_secret, write_file, write_public
from catalog.members import Authority, Members
from schemas.errors import Forbidden, Malformed, Misconfigured, NotFound, StorageUnavailable, Unauthenticated
from schemas.identity import Member, MemberList, generate_key, sign_members, verify_members

LIFE = timedelta(days=30)
LAB = "did:web:lab.example"


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def key() -> OKPKey:
    return generate_key()


def member(id: str = LAB, until: datetime = datetime(2027, 11, 23, tzinfo=UTC)) -> Member:
    return Member(id=id, thumbprint="t", roles=("provider",), valid_to=until)


def members_in(folder: Path, clock: Clock, **authority: OKPKey | None) -> Members:
    files = FolderMembers(folder / "members.json", folder / "members.jwt")
    return Members(files, clock, Authority(space="test", life=LIFE, **authority))


def test_an_authority_signs_what_it_lists(tmp_path: Path, clock: Clock, key: OKPKey) -> None:
    members = members_in(tmp_path, clock, signer=key)
    assert members.add(member()).serial == 1
    assert members.add(member("did:web:other.example")).serial == 2
    assert [each.id for each in verify_members(members.token(), key, clock()).members] == [
        LAB,
        "did:web:other.example",
    ]
    assert members.find(LAB) == member()
    assert members.find("did:web:stranger.example") is None


def test_a_member_listed_again_is_replaced(tmp_path: Path, clock: Clock, key: OKPKey) -> None:
    members = members_in(tmp_path, clock, signer=key)
    members.add(member())
    members.add(member(until=datetime(2026, 1, 1, tzinfo=UTC)))
    assert len(members.listed().members) == 1
    assert members.find(LAB) is None


def test_the_serial_never_falls_even_if_the_plain_list_is_lost(
    tmp_path: Path, clock: Clock, key: OKPKey
) -> None:
    members = members_in(tmp_path, clock, signer=key)
    for _ in range(3):
        members.sign()
    (tmp_path / "members.json").unlink(missing_ok=True)
    assert members.sign().serial == 4


def test_a_plain_list_changed_by_hand_is_signed_when_it_is_read(
    tmp_path: Path, clock: Clock, key: OKPKey
) -> None:
    members = members_in(tmp_path, clock, signer=key)
    members.add(member())
    assert members.listed().serial == 1
    text = (tmp_path / "members.json").read_text().replace("lab.example", "new-lab.example")
    (tmp_path / "members.json").write_text(text)
    assert members.find("did:web:new-lab.example") is not None
    assert members.find(LAB) is None
    assert members.listed().serial == 2


def test_a_list_that_grows_old_is_signed_anew(tmp_path: Path, clock: Clock, key: OKPKey) -> None:
    members = members_in(tmp_path, clock, signer=key)
    members.add(member())
    clock.at += LIFE * 0.6
    assert members.listed().serial == 2
    assert verify_members(members.token(), key, clock() + LIFE * 0.9).serial == 2


def test_a_given_list_is_served_and_checked(tmp_path: Path, clock: Clock, key: OKPKey) -> None:
    listed = MemberList(space="test", serial=7, members=(member(),))
    (tmp_path / "members.jwt").write_text(sign_members(listed, key, at=clock(), life=LIFE))
    members = members_in(tmp_path, clock, public=key)
    assert members.listed() == listed
    with pytest.raises(Forbidden, match="authority"):
        members.sign()
    clock.at += LIFE + timedelta(minutes=2)
    with pytest.raises(Unauthenticated, match="expired"):
        members.listed()


def test_a_list_of_another_authority_or_space_is_refused(tmp_path: Path, clock: Clock, key: OKPKey) -> None:
    foreign = sign_members(MemberList(space="test", serial=1), generate_key(), at=clock(), life=LIFE)
    (tmp_path / "members.jwt").write_text(foreign)
    with pytest.raises(Unauthenticated, match="not signed by the authority"):
        members_in(tmp_path, clock, public=key).listed()
    other = sign_members(MemberList(space="other", serial=1), key, at=clock(), life=LIFE)
    (tmp_path / "members.jwt").write_text(other)
    with pytest.raises(Malformed, match="'other'"):
        members_in(tmp_path, clock, public=key).listed()


def test_without_a_list_nobody_is_a_member(tmp_path: Path, clock: Clock, key: OKPKey) -> None:
    members = members_in(tmp_path, clock, public=key)
    assert members.find(LAB) is None
    with pytest.raises(NotFound, match="members add"):
        members.token()


def test_secrets_are_for_their_owner_alone_and_stay_the_same(tmp_path: Path) -> None:
    key, secret = make_key(tmp_path / "key.json"), make_secret(tmp_path / "operator.key")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("key.json", "operator.key")] == [
        0o600,
        0o600,
    ]
    assert make_key(tmp_path / "key.json").thumbprint() == key.thumbprint()
    assert make_secret(tmp_path / "operator.key") == secret
    assert len(secret) >= 32


def test_a_key_file_that_cannot_serve_is_named(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_key(path)
    for content in ("{", "{}", '{"kty":"RSA"}', "[]"):
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(Misconfigured, match="not an Ed25519 key"):
            load_key(path)
    write_public(path, generate_key())
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="public key only"):
        load_key(path)
    path.chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load_key(path)
    assert not load_key(path, private=False).is_private


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "members.jwt"
    write_file(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("catalog.adapters.files.os.fsync", full)
        with pytest.raises(StorageUnavailable, match="No space left"):
            write_file(path, b"new")
    assert path.read_bytes() == b"old"
    write_file(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["members.jwt"]
    assert path.read_bytes() == b"new"
