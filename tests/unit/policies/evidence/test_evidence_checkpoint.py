"""Checkpoints: their text, and who must have signed them."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.evidence.checkpoint import Checkpoint, verify_checkpoint
from policies.evidence.note import Algorithm, SigningKey, VerifierKey, cosign, sign
from policies.evidence.tree import EMPTY_ROOT
from schemas.errors import EvidenceBroken, Malformed
from tests.shared_data import shared_data

# The public half of the key that Tessera's test data is signed with; its checkpoints do not carry it.
TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
ORIGIN = "log.example/1"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HASH = b64encode(bytes(32)).decode()


def key(name: str, seed: int, algorithm: Algorithm = Algorithm.ED25519) -> SigningKey:
    return SigningKey(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32), algorithm)


LOG = key(ORIGIN, 7)
WITNESSES = [key(f"witness.example/{seed}", seed, Algorithm.COSIGNATURE) for seed in (11, 12, 13)]
CHECKPOINT = Checkpoint(ORIGIN, 42, bytes(32))


def cosigned(*witnesses: SigningKey) -> str:
    text = CHECKPOINT.encode()
    return sign(text, LOG) + "".join(cosign(text, witness, NOON) for witness in witnesses)


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), max_size=2),
)
@settings(max_examples=40, deadline=None)
def test_a_checkpoint_comes_back_as_it_was_written(
    origin: str, size: int, root: bytes, more: list[str]
) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(more))
    assert Checkpoint.parse(checkpoint.encode()) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ORIGIN}\n1\n{HASH}",
        f"\n1\n{HASH}\n",
        f"{ORIGIN}\n01\n{HASH}\n",
        f"{ORIGIN}\n-1\n{HASH}\n",
        f"{ORIGIN}\n+1\n{HASH}\n",
        f"{ORIGIN}\n\u0661\n{HASH}\n",
        f"{ORIGIN}\n1 \n{HASH}\n",
        f"{ORIGIN}\n{2**63}\n{HASH}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{HASH}\n",
        f"{ORIGIN}\n1\n{HASH[:-1]}\n",
        f"{ORIGIN}\n1\n{HASH[:-2]}B=\n",
        f"{ORIGIN}\n1\nAAAA\n",
        f"{ORIGIN}\n1\n{HASH}\n\n",
        f"{ORIGIN}\n1\n{HASH}\n\nmore\n",
    ],
)
def test_a_checkpoint_is_read_strictly(text: str) -> None:
    with pytest.raises(Malformed):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    ("origin", "size", "root", "more"),
    [
        ("", 1, bytes(32), ()),
        ("a\nb", 1, bytes(32), ()),
        ("a", -1, bytes(32), ()),
        ("a", 1, b"", ()),
        ("a", 1, bytes(32), ("",)),
    ],
)
def test_what_cannot_be_written_cannot_be_made(
    origin: str, size: int, root: bytes, more: tuple[str, ...]
) -> None:
    with pytest.raises(Malformed):
        Checkpoint(origin, size, root, more)


@pytest.mark.parametrize("size", range(16))
def test_the_tessera_checkpoints_are_signed_by_their_log(size: int) -> None:
    note = shared_data("transparency-log", "tlog-tiles", "tessera-log", f"checkpoint.{size}").read_bytes()
    log = VerifierKey.parse(TESSERA_VKEY)
    signed = verify_checkpoint(note, log.name, [log])
    assert signed.checkpoint.size == size
    assert size > 0 or signed.checkpoint.root == EMPTY_ROOT


def test_the_cross_checked_checkpoints_are_signed_and_witnessed() -> None:
    known = json.loads(shared_data("transparency-log", "cross-checked", "tlog-70000.json").read_text())
    log, witness = VerifierKey.parse(known["log_vkey"]), VerifierKey.parse(known["witness_vkey"])
    for size, note in known["checkpoints"].items():
        checkpoint = verify_checkpoint(note, log.name, [log], [witness], quorum=1).checkpoint
        assert checkpoint.size == int(size)
        if size in known["roots_by_size"]:
            assert checkpoint.root.hex() == known["roots_by_size"][size]


def test_a_quorum_counts_the_known_witnesses_that_cosigned() -> None:
    known = [witness.verifier for witness in WITNESSES]
    note = cosigned(*WITNESSES[:2])
    signed = verify_checkpoint(note, ORIGIN, [LOG.verifier], known, quorum=2)
    assert signed.checkpoint == CHECKPOINT
    assert [one.key.name for one in signed.signatures] == [ORIGIN, WITNESSES[0].name, WITNESSES[1].name]
    assert [one.at for one in signed.signatures] == [None, NOON, NOON]
    with pytest.raises(EvidenceBroken, match=r"2 known witnesses cosigned log\.example/1 at size 42, not 3"):
        verify_checkpoint(note, ORIGIN, [LOG.verifier], known, quorum=3)
    with pytest.raises(EvidenceBroken, match="1 known witnesses"):
        verify_checkpoint(note, ORIGIN, [LOG.verifier], known[:1], quorum=2)


def test_a_witness_under_two_names_counts_once_and_a_log_not_at_all() -> None:
    alias = SigningKey("witness.example/alias", WITNESSES[0].private, Algorithm.COSIGNATURE)
    itself = SigningKey(ORIGIN, LOG.private, Algorithm.COSIGNATURE)
    note = cosigned(WITNESSES[0], alias, itself)
    known = [WITNESSES[0].verifier, alias.verifier, itself.verifier]
    with pytest.raises(EvidenceBroken, match="1 known witnesses"):
        verify_checkpoint(note, ORIGIN, [LOG.verifier], known, quorum=2)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(EvidenceBroken, match=r"of log 'log\.example/1', not of 'log\.example/2'"):
        verify_checkpoint(cosigned(), "log.example/2", [LOG.verifier])


def test_witnesses_alone_do_not_make_a_checkpoint() -> None:
    text = CHECKPOINT.encode()
    other = key("log.example/other", 9)
    note = sign(text, other) + cosign(text, WITNESSES[0], NOON)
    with pytest.raises(EvidenceBroken, match="not signed by its log"):
        verify_checkpoint(note, ORIGIN, [LOG.verifier], [WITNESSES[0].verifier], quorum=1)
