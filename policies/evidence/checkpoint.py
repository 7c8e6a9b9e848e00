"""Checkpoints: what a log swears to, and what its witnesses have seen.

```
connector.example/audit/2026                     origin
20852163                                         size
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=     root
```

These three lines are the text of a signed note. An Ed25519 cosignature does not cover the name of its
cosigner, so witnesses are counted by key, never by name.

Source: C2SP tlog-checkpoint, tlog-cosignature.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from policies.evidence.note import Signed, VerifierKey, from_base64, to_base64, verify_note
from policies.evidence.tree import HASH_BYTES, MAX_SIZE
from schemas.errors import EvidenceBroken, Malformed

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a log: its origin, how many entries it has, and the root over them.

    Args:
        origin: The name of the log.
        size: Number of entries.
        root: Root of the tree over them.
        extensions: Further lines of a foreign checkpoint; we write none.

    Raises:
        Malformed: It cannot be written as a checkpoint.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise Malformed(f"a log cannot have size {self.size}; the bound is {MAX_SIZE}")
        if len(self.root) != HASH_BYTES:
            raise Malformed(f"the root of {self.origin!r} has {len(self.root)} bytes, not {HASH_BYTES}")
        for line in (self.origin, *self.extensions):
            if not line or any(character < " " for character in line):
                raise Malformed(f"{line[:80]!r} cannot be a line of a checkpoint")

    def encode(self) -> str:
        """Write the text that is signed."""
        return "\n".join((self.origin, str(self.size), to_base64(self.root), *self.extensions, ""))

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note as a checkpoint.

        Raises:
            Malformed: It is not exactly what `encode` writes.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1]:
            raise Malformed(
                f"a checkpoint is an origin, a size and a root, a line each; this is {text[:80]!r}"
            )
        origin, size, root, *extensions = lines[:-1]
        return cls(origin, parse_size(size), parse_hash(root), tuple(extensions))


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint whose signatures were checked, and who signed it."""

    checkpoint: Checkpoint
    signatures: tuple[Signed, ...]


def verify_checkpoint(
    note: str | bytes,
    origin: str,
    log_keys: Sequence[VerifierKey],
    witness_keys: Sequence[VerifierKey] = (),
    quorum: int = 0,
) -> SignedCheckpoint:
    """Check that a log signed this checkpoint, and that enough witnesses saw it.

    Args:
        note: The signed checkpoint.
        origin: The log that it must be from.
        log_keys: The keys of that log.
        witness_keys: The keys of the witnesses that count.
        quorum: How many of them must have cosigned.

    Raises:
        Malformed: It is not a signed checkpoint.
        EvidenceBroken: It is of another log, not signed by this one, or not cosigned by enough witnesses.
    """
    verdict = verify_note(note, (*log_keys, *witness_keys))
    checkpoint = Checkpoint.parse(verdict.text)
    if checkpoint.origin != origin:
        raise EvidenceBroken(f"the checkpoint is of log {checkpoint.origin!r}, not of {origin!r}")
    if not any(signed.key in log_keys for signed in verdict.verified):
        raise EvidenceBroken(f"the checkpoint of {origin} at size {checkpoint.size} is not signed by its log")
    witnesses = {signed.key.public for signed in verdict.verified if signed.key in witness_keys and signed.at}
    witnesses -= {key.public for key in log_keys}  # a log is no witness of itself
    if len(witnesses) < quorum:
        raise EvidenceBroken(
            f"{len(witnesses)} known witnesses cosigned {origin} at size {checkpoint.size}, not {quorum}"
        )
    return SignedCheckpoint(checkpoint, verdict.verified)


def parse_size(line: str) -> int:
    """Read a size as checkpoints write it: decimal, without leading zeroes.

    Raises:
        Malformed: It is written otherwise, or is past the bound.
    """
    if not _DECIMAL.fullmatch(line) or int(line) > MAX_SIZE:
        raise Malformed(f"{line[:40]!r} is not a size; say a decimal number up to {MAX_SIZE}")
    return int(line)


def parse_hash(line: str) -> bytes:
    """Read a hash as checkpoints write it: 32 bytes in base64.

    Raises:
        Malformed: It is written otherwise.
    """
    value = from_base64(line)
    if len(value) != HASH_BYTES:
        raise Malformed(f"{line[:80]!r} is a hash of {len(value)} bytes, not {HASH_BYTES}")
    return value
