"""The tree against published vectors, and against a definition written straight from the RFC."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.evidence.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_fault,
    consistency_proof,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    node_hash,
    nodes_of,
    root,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from schemas.errors import EvidenceBroken, Malformed, NotFound
from tests.shared_data import shared_data

TWELVE_BYTE_ROOT = "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"
HUGE = 2**63


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % index) for index in range(count)]


def by_definition(hashes: list[bytes]) -> bytes:
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(by_definition(hashes[:split]), by_definition(hashes[split:]))


def vectors(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(shared_data("transparency-log", "rfc6962", name).read_text())
    return loaded


def hashes_of(encoded: list[str] | None) -> list[bytes]:
    return [b64decode(one) for one in encoded or []]


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8 % len(value)] ^= 1 << bit % 8
    return bytes(changed)


def test_every_inclusion_vector_is_judged_as_published() -> None:
    cases = vectors("inclusion.json")
    assert len(cases) == 98
    for case in cases:
        arguments = (
            b64decode(case["leafHash"]),
            case["leafIdx"],
            case["treeSize"],
            hashes_of(case["proof"]),
            b64decode(case["root"]),
        )
        if case["wantErr"]:
            with pytest.raises(EvidenceBroken):
                verify_inclusion(*arguments)
        else:
            verify_inclusion(*arguments)


def test_every_consistency_vector_is_judged_as_published_but_the_one_with_a_root_of_12_bytes() -> None:
    cases = vectors("consistency.json")
    assert len(cases) == 98
    assert TWELVE_BYTE_ROOT in {case["_file"] for case in cases}
    for case in cases:
        arguments = (
            case["size1"],
            b64decode(case["root1"]),
            case["size2"],
            b64decode(case["root2"]),
            hashes_of(case["proof"]),
        )
        if case["wantErr"] or case["_file"] == TWELVE_BYTE_ROOT:
            with pytest.raises(EvidenceBroken):
                verify_consistency(*arguments)
        else:
            verify_consistency(*arguments)


def test_the_published_roots_of_sizes_0_to_8_come_out() -> None:
    published = json.loads(shared_data("transparency-log", "rfc6962", "tree-roots.json").read_text())
    hashes = [leaf_hash(bytes.fromhex(entry)) for entry in published["leaf_inputs_hex"]]
    found = [root(hashes[:size]).hex() for size in range(9)]
    assert found == published["root_hashes_hex_by_size_0_to_8"]


def test_the_cross_checked_roots_up_to_70000_come_out() -> None:
    known = json.loads(shared_data("transparency-log", "cross-checked", "tlog-70000.json").read_text())
    frontier = Frontier()
    for size, expected in sorted((int(size), expected) for size, expected in known["roots_by_size"].items()):
        frontier = frontier.extend(leaf_hash(b'{"i": %d}' % index) for index in range(frontier.size, size))
        assert frontier.root().hex() == expected


@given(st.lists(st.binary(max_size=8), max_size=70), st.integers(0, 70))
@settings(max_examples=40, deadline=None)
def test_a_frontier_has_the_root_of_its_leaves_wherever_it_was_interrupted(
    entries: list[bytes], cut: int
) -> None:
    hashes = [leaf_hash(entry) for entry in entries]
    cut = min(cut, len(hashes))
    at_cut = Frontier().extend(hashes[:cut])
    one_by_one = at_cut
    for one in hashes[cut:]:
        one_by_one = one_by_one.append(one)
    assert one_by_one == at_cut.extend(hashes[cut:])
    assert (
        one_by_one.root() == root(hashes) == by_definition(hashes) == root_at(len(hashes), nodes_of(hashes))
    )
    assert at_cut == frontier_at(cut, nodes_of(hashes))


@given(st.integers(1, 300), st.data())
@settings(max_examples=40, deadline=None)
def test_a_proof_of_inclusion_holds_and_no_flipped_bit_does(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    proof = inclusion_proof(index, size, nodes_of(leaves(size + 7)))
    expected = by_definition(hashes)
    verify_inclusion(hashes[index], index, size, proof, expected)
    spoiled = [hashes[index], *proof, expected]
    at = data.draw(st.integers(0, len(spoiled) - 1))
    spoiled[at] = flipped(spoiled[at], data.draw(st.integers(0, 255)))
    with pytest.raises(EvidenceBroken):
        verify_inclusion(spoiled[0], index, size, spoiled[1:-1], spoiled[-1])


@given(st.integers(2, 300), st.data())
@settings(max_examples=40, deadline=None)
def test_a_proof_of_consistency_holds_and_no_flipped_bit_does(new_size: int, data: st.DataObject) -> None:
    old_size = data.draw(st.integers(1, new_size))
    hashes = leaves(new_size)
    old_root, new_root = by_definition(hashes[:old_size]), by_definition(hashes)
    proof = consistency_proof(old_size, new_size, nodes_of(hashes))
    verify_consistency(old_size, old_root, new_size, new_root, proof)
    spoiled = [old_root, *proof, new_root]
    at = data.draw(st.integers(0, len(spoiled) - 1))
    spoiled[at] = flipped(spoiled[at], data.draw(st.integers(0, 255)))
    with pytest.raises(EvidenceBroken):
        verify_consistency(old_size, spoiled[0], new_size, spoiled[-1], spoiled[1:-1])


def test_a_proof_is_as_long_as_its_position_demands() -> None:
    hashes = leaves(9)
    for size in range(1, 10):
        for index in range(size):
            proof = inclusion_proof(index, size, nodes_of(hashes))
            for wrong in ([*proof, hashes[0]], [hashes[0], *proof], proof[:-1], proof[1:]):
                if tuple(wrong) != proof:
                    with pytest.raises(EvidenceBroken):
                        verify_inclusion(hashes[index], index, size, wrong, root(hashes[:size]))


def test_a_proof_of_consistency_that_is_too_long_or_too_short_is_told_so() -> None:
    hashes = leaves(9)
    old_root, new_root = root(hashes[:5]), root(hashes)
    proof = consistency_proof(5, 9, nodes_of(hashes))
    assert "too many" in str(consistency_fault(5, old_root, 9, new_root, [*proof, hashes[0]]))
    assert "too few" in str(consistency_fault(5, old_root, 9, new_root, proof[:-1]))
    assert "is empty" in str(consistency_fault(5, old_root, 9, new_root, []))


def test_a_proof_at_a_million_leaves_asks_for_few_nodes() -> None:
    asked: list[tuple[int, int]] = []

    def node_at(level: int, index: int) -> bytes:
        asked.append((level, index))
        return sha256(b"%d %d" % (level, index)).digest()

    inclusion_proof(999_999, 1_000_003, node_at)
    consistency_proof(524_289, 1_000_003, node_at)
    assert len(asked) < 100


def test_a_rewritten_leaf_cannot_be_hidden_from_who_kept_the_old_root() -> None:
    honest, rewritten = leaves(20), leaves(20)
    rewritten[3] = leaf_hash(b"another story")
    proof = consistency_proof(11, 20, nodes_of(rewritten))
    fault = consistency_fault(11, root(honest[:11]), 20, root(rewritten), proof)
    assert fault is not None
    assert root(honest[:11]).hex() in fault
    assert root(rewritten[:11]).hex() in fault


def test_an_empty_old_tree_has_an_empty_proof_that_shows_nothing() -> None:
    hashes = leaves(3)
    assert consistency_proof(0, 3, nodes_of(hashes)) == ()
    with pytest.raises(EvidenceBroken, match="from size 0 to size 3"):
        verify_consistency(0, EMPTY_ROOT, 3, root(hashes), ())


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3), (0, -1), (0, HUGE)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(NotFound, match=f"leaf {index} is not in a tree of size {size}"):
        inclusion_proof(index, size, nodes_of(leaves(3)))


@pytest.mark.parametrize(("old_size", "new_size"), [(3, 2), (-1, 2), (1, HUGE)])
def test_a_tree_that_shrinks_has_no_proof(old_size: int, new_size: int) -> None:
    with pytest.raises(Malformed, match="no proof leads"):
        consistency_proof(old_size, new_size, nodes_of(leaves(3)))


@pytest.mark.parametrize(
    ("size", "peaks"),
    [(1, ()), (3, (bytes(32),)), (1, (bytes(31),)), (-1, (bytes(32),)), (HUGE, (bytes(32),))],
)
def test_a_frontier_that_cannot_be_one_is_refused(size: int, peaks: tuple[bytes, ...]) -> None:
    with pytest.raises(EvidenceBroken):
        Frontier(size, peaks)


def test_a_leaf_hash_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(EvidenceBroken, match="31 bytes, not 32"):
        Frontier().append(bytes(31))
