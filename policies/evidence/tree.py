"""The Merkle tree of RFC 6962: hashes, roots, proofs and what is wrong with a proof.

```
size 7            root
             ┌─────┴─────┐
          (2,0)        ┌─┴──┐        node (level, index) spans the leaves
         ┌──┴──┐     (1,2)  │        [index·2^level, (index+1)·2^level)
       (1,0) (1,1)    ┌┴┐   │
        ┌┴┐   ┌┴┐     │ │   │        the frontier of size 7 is its three peaks:
        0 1   2 3     4 5   6        (2,0) (1,2) (0,6)
```

A proof is computed from a `NodeAt`, so tiles, a database or a list can serve it; it asks for O(log n) nodes.

Source: RFC 6962 §2.1; the verification algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256

from schemas.errors import EvidenceBroken, Malformed, NotFound

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
EMPTY_ROOT = sha256(b"").digest()

NodeAt = Callable[[int, int], bytes]
"""Answers (level, index) with the hash of that complete node; only asked for nodes that the tree has."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash one log entry into a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours into their parent."""
    return sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """Compute the root of the tree over these leaves."""
    return Frontier().extend(leaf_hashes).root()


@dataclass(frozen=True)
class Frontier:
    """The right edge of a tree: all that is needed to append to it and to know its root.

    Args:
        size: Number of leaves.
        peaks: Hashes of the complete subtrees that make up the tree, largest first: one a set bit of `size`.

    Raises:
        EvidenceBroken: The peaks do not belong to a tree of that size.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or len(self.peaks) != self.size.bit_count():
            raise EvidenceBroken(
                f"size {self.size} cannot have {len(self.peaks)} peaks; rebuild the frontier"
            )
        for peak in self.peaks:
            _check_hash("a peak of the frontier", peak)

    def append(self, leaf: bytes) -> Frontier:
        """Add one leaf hash and return the grown frontier, in O(log n).

        Raises:
            EvidenceBroken: The leaf hash is not 32 bytes long.
        """
        return self.extend((leaf,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> Frontier:
        """Add leaf hashes in order and return the grown frontier.

        Raises:
            EvidenceBroken: A leaf hash is not 32 bytes long.
        """
        size, peaks = self.size, list(self.peaks)
        for leaf in leaf_hashes:
            _check_hash("a leaf hash", leaf)
            grown = leaf
            # A trailing 1 bit of the old size is a peak of the height that `grown` has just reached.
            carry = size
            while carry & 1:
                grown = node_hash(peaks.pop(), grown)
                carry >>= 1
            peaks.append(grown)
            size += 1
        return Frontier(size, tuple(peaks))

    def root(self) -> bytes:
        """Fold the peaks into the root of the tree."""
        return _fold(self.peaks) if self.peaks else EMPTY_ROOT


def nodes_of(leaf_hashes: Sequence[bytes]) -> NodeAt:
    """Hash a whole tree held in memory, so that proofs can be computed from it.

    Units: about 130 bytes and one hash a leaf.
    """
    rows = [list(leaf_hashes)]
    while len(rows[-1]) > 1:
        rows.append(fold_row(rows[-1]))

    def node_at(level: int, index: int) -> bytes:
        return rows[level][index]

    return node_at


def fold_row(row: Sequence[bytes]) -> list[bytes]:
    """Hash neighbours pairwise into the row above; a last one without neighbour has no node there yet."""
    return [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]


def frontier_at(size: int, node_at: NodeAt) -> Frontier:
    """Read the frontier that the tree had at a size."""
    return Frontier(size, tuple(_peaks(0, size, node_at)))


def root_at(size: int, node_at: NodeAt) -> bytes:
    """Compute the root that the tree had at a size."""
    return frontier_at(size, node_at).root()


def inclusion_proof(index: int, size: int, node_at: NodeAt) -> tuple[bytes, ...]:
    """Prove that leaf `index` is in the tree of `size` leaves.

    Returns:
        The sibling hashes from the leaf up to the root; none for a tree of one leaf.

    Raises:
        NotFound: The tree of that size has no such leaf.

    Source: RFC 6962 §2.1.1.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise NotFound(f"leaf {index} is not in a tree of size {size}; its leaves are 0 to size - 1")
    proof: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_range_hash(middle, high, node_at))
            high = middle
        else:
            proof.append(_range_hash(low, middle, node_at))
            low = middle
    return tuple(reversed(proof))


def consistency_proof(old_size: int, new_size: int, node_at: NodeAt) -> tuple[bytes, ...]:
    """Prove that the tree of `new_size` leaves starts with the tree of `old_size` leaves.

    Returns:
        The proof; empty when the sizes are equal, and when the old tree was empty (there is nothing to prove,
        and `verify_consistency` refuses to pretend otherwise).

    Raises:
        Malformed: The old tree is larger than the new one.

    Source: RFC 6962 §2.1.2; for the empty old tree C2SP tlog-witness.
    """
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise Malformed(f"no proof leads from size {old_size} to size {new_size}; ask from smaller to larger")
    if old_size == 0:
        return ()
    proof: list[bytes] = []
    low, high = 0, new_size
    while high != old_size:
        middle = low + _split(high - low)
        if old_size <= middle:
            proof.append(_range_hash(middle, high, node_at))
            high = middle
        else:
            proof.append(_range_hash(low, middle, node_at))
            low = middle
    if low > 0:  # on the left edge this node is the old root itself, which the verifier knows
        proof.append(_range_hash(low, high, node_at))
    return tuple(reversed(proof))


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """Check that a leaf hash stands at `index` in the tree of `size` leaves with this root.

    Raises:
        EvidenceBroken: It does not; the message names what was expected and what was found.

    Source: RFC 9162 §2.1.3.2.
    """
    if fault := inclusion_fault(leaf, index, size, proof, expected_root):
        raise EvidenceBroken(fault)


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (new_size, new_root) starts with the tree (old_size, old_root).

    An empty old tree is refused: it is a prefix of everything, so nothing would have been shown.

    Raises:
        EvidenceBroken: It does not; the message names what was expected and what was found.

    Source: RFC 9162 §2.1.4.2.
    """
    if fault := consistency_fault(old_size, old_root, new_size, new_root, proof):
        raise EvidenceBroken(fault)


def inclusion_fault(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> str | None:
    """Say what is wrong with an inclusion proof, where a bad proof is an answer and not a surprise.

    Returns:
        The fault in words with both values, or None when the proof holds.
    """
    if not 0 <= index < size <= MAX_SIZE:
        return f"leaf {index} cannot be in a tree of size {size}"
    if fault := _hash_fault(leaf, expected_root, *proof):
        return fault
    found = leaf
    at, last = index, size - 1
    for sibling in proof:
        if last == 0:
            return f"the inclusion proof of leaf {index} in size {size} has {len(proof)} hashes, too many"
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            at, last = _past_left_turns(at, last)
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        return f"the inclusion proof of leaf {index} in size {size} has {len(proof)} hashes, too few"
    if found != expected_root:
        return f"leaf {index} in size {size}: the proof leads to {found.hex()}, not to {expected_root.hex()}"
    return None


def consistency_fault(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> str | None:
    """Say what is wrong with a consistency proof, where a bad proof is an answer and not a surprise.

    Returns:
        The fault in words with both values, or None when the proof holds.
    """
    if not 0 < old_size <= new_size <= MAX_SIZE:
        return f"no consistency can be shown from size {old_size} to size {new_size}"
    if fault := _hash_fault(old_root, new_root, *proof):
        return fault
    if old_size == new_size:
        if proof:
            return f"the proof from size {old_size} to itself must be empty, it has {len(proof)} hashes"
        if old_root != new_root:
            return f"size {old_size} has two roots: {old_root.hex()} and {new_root.hex()}"
        return None
    if not proof:
        return f"the consistency proof from size {old_size} to size {new_size} is empty"
    at, last = _shift_while_odd(old_size - 1, new_size - 1)
    # A whole old tree is a node of the new one: the prover leaves out the root that the verifier already has.
    path = (old_root, *proof) if old_size & (old_size - 1) == 0 else tuple(proof)
    old_found = new_found = path[0]
    for sibling in path[1:]:
        if last == 0:
            return f"the proof from size {old_size} to size {new_size} has {len(proof)} hashes, too many"
        if at & 1 or at == last:
            old_found = node_hash(sibling, old_found)
            new_found = node_hash(sibling, new_found)
            at, last = _past_left_turns(at, last)
        else:
            new_found = node_hash(new_found, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        return f"the proof from size {old_size} to size {new_size} has {len(proof)} hashes, too few"
    if old_found != old_root:
        return f"size {old_size}: the proof leads to root {old_found.hex()}, not to {old_root.hex()}"
    if new_found != new_root:
        return f"size {new_size}: the proof leads to root {new_found.hex()}, not to {new_root.hex()}"
    return None


def _past_left_turns(at: int, last: int) -> tuple[int, int]:
    """Climb the levels on which the right edge has no sibling."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _shift_while_odd(at: int, last: int) -> tuple[int, int]:
    while at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _split(width: int) -> int:
    """Return the largest power of two below `width`: where RFC 6962 splits a tree."""
    return 1 << ((width - 1).bit_length() - 1)


def _peaks(low: int, high: int, node_at: NodeAt) -> Iterable[bytes]:
    while low < high:
        level = (high - low).bit_length() - 1
        yield node_at(level, low >> level)
        low += 1 << level


def _range_hash(low: int, high: int, node_at: NodeAt) -> bytes:
    return _fold(tuple(_peaks(low, high, node_at)))


def _fold(peaks: Sequence[bytes]) -> bytes:
    return reduce(lambda right, left: node_hash(left, right), reversed(peaks))


def _check_hash(what: str, value: bytes) -> None:
    if len(value) != HASH_BYTES:
        raise EvidenceBroken(f"{what} has {len(value)} bytes, not {HASH_BYTES}")


def _hash_fault(*hashes: bytes) -> str | None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            return f"a hash of {len(value)} bytes ({value.hex()}) is not one of {HASH_BYTES} bytes"
    return None
