"""The witness: when it cosigns, and how it refuses."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.evidence.checkpoint import Checkpoint
from policies.evidence.note import Signature, SigningKey, sign
from policies.evidence.tree import EMPTY_ROOT, consistency_proof, leaf_hash, nodes_of, root
from policies.evidence.witness import AddCheckpoint, Cosign, Refuse, may_cosign
from schemas.errors import EvidenceBroken, Malformed

ORIGIN = "log.example/1"
LOG = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
STRANGER = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32))
LEAVES = [leaf_hash(b"%d" % index) for index in range(40)]
FORKED = [leaf_hash(b"forked"), *LEAVES[1:]]


def checkpoint(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root(leaves[:size]))


def ask(
    old: int,
    new: int,
    leaves: list[bytes] = LEAVES,
    proof: tuple[bytes, ...] | None = None,
    by: SigningKey = LOG,
) -> AddCheckpoint:
    if proof is None:
        proof = consistency_proof(old, new, nodes_of(leaves)) if old <= new else ()
    return AddCheckpoint.of(old, proof, sign(checkpoint(new, leaves).encode(), by))


def answer(request: AddCheckpoint, seen: Checkpoint | None) -> Cosign | Refuse:
    return may_cosign(request, [LOG.verifier], seen)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_a_log_that_only_grows_is_always_cosigned(sizes: list[int]) -> None:
    seen: Checkpoint | None = None
    for size in sorted(sizes):
        match answer(ask(seen.size if seen else 0, size), seen):
            case Cosign(new, text):
                assert new == checkpoint(size)
                assert text == new.encode()
                seen = new
            case Refuse() as refused:
                raise AssertionError(refused)


def test_the_same_checkpoint_may_be_cosigned_again() -> None:
    assert answer(ask(9, 9), checkpoint(9)) == Cosign(checkpoint(9), checkpoint(9).encode())


def test_a_log_that_is_not_known_is_answered_404() -> None:
    match may_cosign(ask(0, 3), [], None):
        case Refuse(404, reason, None, False):
            assert ORIGIN in reason
        case other:
            raise AssertionError(other)


def test_a_checkpoint_that_its_log_did_not_sign_is_answered_403() -> None:
    assert isinstance(refused := answer(ask(0, 3, by=STRANGER), None), Refuse)
    assert (refused.status, refused.keep) == (403, False)


def test_a_signature_of_the_log_that_does_not_hold_is_answered_403() -> None:
    spoiled = Signature(ORIGIN, LOG.verifier.key_id, bytes(64)).line()
    note = sign(checkpoint(3).encode(), LOG) + spoiled
    assert isinstance(refused := answer(AddCheckpoint.of(0, (), note), None), Refuse)
    assert refused.status == 403


def test_a_proof_backwards_is_answered_400() -> None:
    assert isinstance(refused := answer(ask(9, 3), checkpoint(9)), Refuse)
    assert (refused.status, refused.reason) == (
        400,
        "old size 9 is past size 3 of the checkpoint; a log only grows",
    )


@pytest.mark.parametrize(("old", "seen"), [(0, 5), (4, 5), (5, 4), (5, 0)])
def test_another_old_size_than_was_seen_is_answered_409_with_the_size_that_was(old: int, seen: int) -> None:
    assert isinstance(refused := answer(ask(old, 9), checkpoint(seen)), Refuse)
    assert (refused.status, refused.size, refused.keep) == (409, seen, False)
    assert f"old size is {old}, but size {seen}" in refused.reason


def test_a_witness_that_has_seen_nothing_has_seen_size_0() -> None:
    assert isinstance(refused := answer(ask(5, 9), None), Refuse)
    assert (refused.status, refused.size) == (409, 0)


def test_a_second_root_for_one_size_is_answered_422_and_kept_as_evidence() -> None:
    assert isinstance(refused := answer(ask(9, 9, FORKED), checkpoint(9)), Refuse)
    assert (refused.status, refused.size, refused.keep) == (422, None, True)
    assert root(LEAVES[:9]).hex() in refused.reason
    assert root(FORKED[:9]).hex() in refused.reason


def test_a_second_root_for_one_size_is_kept_even_when_the_old_size_is_wrong() -> None:
    assert isinstance(refused := answer(ask(3, 9, FORKED), checkpoint(9)), Refuse)
    assert (refused.status, refused.size, refused.keep) == (409, 9, True)


def test_a_log_that_rewrote_its_past_is_answered_422_and_kept_as_evidence() -> None:
    assert isinstance(refused := answer(ask(9, 20, FORKED), checkpoint(9)), Refuse)
    assert (refused.status, refused.keep) == (422, True)


def test_a_proof_where_none_belongs_is_answered_422() -> None:
    for request, seen in (
        (ask(0, 3, proof=(bytes(32),)), None),
        (ask(3, 3, proof=(bytes(32),)), checkpoint(3)),
    ):
        assert isinstance(refused := answer(request, seen), Refuse)
        assert refused.status == 422


def test_an_empty_log_with_a_root_of_something_is_answered_422() -> None:
    lie = sign(Checkpoint(ORIGIN, 0, bytes(32)).encode(), LOG)
    assert isinstance(refused := answer(AddCheckpoint.of(0, (), lie), None), Refuse)
    assert refused.status == 422
    assert isinstance(answer(ask(0, 0), None), Cosign)
    assert checkpoint(0).root == EMPTY_ROOT


def test_what_was_seen_of_one_log_says_nothing_about_another() -> None:
    with pytest.raises(EvidenceBroken, match=r"other\.example"):
        answer(ask(0, 3), Checkpoint("other.example", 0, EMPTY_ROOT))


@pytest.mark.parametrize(("old", "new"), [(0, 3), (3, 3), (5, 33)])
def test_a_request_comes_back_as_it_was_written(old: int, new: int) -> None:
    request = ask(old, new)
    assert AddCheckpoint.parse(request.encode().encode()) == request


def test_a_request_is_written_as_the_specification_shows() -> None:
    lines = ask(3, 4).encode().split("\n")
    assert lines[0] == "old 3"
    assert lines[1:4] == [line for line in lines[1:4] if len(line) == 44]
    assert lines[4:7] == ["", ORIGIN, "4"]


BODY = ask(3, 4).encode()
PROOF_LINE = BODY.split("\n")[1] + "\n"


@pytest.mark.parametrize(
    "body",
    [
        "",
        BODY.replace("old 3", "old 03"),
        BODY.replace("old 3", "old  3"),
        BODY.replace("old 3", "new 3"),
        BODY.replace("old 3", "old -3"),
        BODY.replace("old 3", "old \u0663"),
        BODY.replace(PROOF_LINE, PROOF_LINE[:-2] + "\n"),
        BODY.replace(PROOF_LINE, "AAAA\n"),
        BODY.replace(PROOF_LINE, PROOF_LINE * 62),
        BODY.replace("\n\n", "\n"),
        "\n" + BODY,
        BODY[:-1],
        BODY.replace(f"{ORIGIN}\n4", f"{ORIGIN}\nfour"),
        BODY + "a" * 1_000_000,
    ],
)
def test_a_request_that_is_not_one_is_malformed(body: str) -> None:
    with pytest.raises(Malformed):
        AddCheckpoint.parse(body.encode())


def test_a_proof_may_have_63_lines() -> None:
    assert len(AddCheckpoint.parse(BODY.replace(PROOF_LINE, PROOF_LINE * 61).encode()).proof) == 63
