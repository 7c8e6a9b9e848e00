"""May I cosign this checkpoint? The one question of a witness, decided without a clock, a key or a store.

A tree detects rewriting only for somebody who kept an older root: the witness keeps one for each log, and
signs a new one only after a proof that the log has grown from the old one.

Source: C2SP tlog-witness. Its text of 2025 answers a second root for one size with 409, later practice with
422. We say 422: a 409 tells the log to ask again from another size, which cannot help here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policies.evidence.checkpoint import Checkpoint, parse_hash, parse_size
from policies.evidence.note import MAX_NOTE_BYTES, Note, VerifierKey, to_base64
from policies.evidence.tree import EMPTY_ROOT, consistency_fault
from schemas.errors import EvidenceBroken, Malformed

MAX_PROOF_LINES = 63


@dataclass(frozen=True)
class AddCheckpoint:
    """A log asks for a cosignature.

    Args:
        old_size: Size of the checkpoint that the log believes this witness cosigned last; 0 for none.
        proof: Consistency proof from that size to the size of the checkpoint.
        note: The signed checkpoint.
        checkpoint: What its text says; nothing is verified yet.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    def encode(self) -> str:
        """Write the body of the request."""
        proof = "".join(to_base64(value) + "\n" for value in self.proof)
        return f"old {self.old_size}\n{proof}\n{self.note.encode()}"

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read the body of a request.

        Raises:
            Malformed: It is not such a body; the answer to it is 400.
        """
        if len(body) > MAX_NOTE_BYTES:
            raise Malformed(f"a request of {len(body)} bytes is past the bound of {MAX_NOTE_BYTES}")
        head, blank, rest = body.partition(b"\n\n")
        if not blank or not head.isascii():
            raise Malformed("a request is an old size, a proof, an empty line and a checkpoint; this is not")
        old, *proof = head.decode().split("\n")
        if not old.startswith("old "):
            raise Malformed(f"{old[:80]!r} is not the first line of a request; say 'old <size>'")
        if len(proof) > MAX_PROOF_LINES:
            raise Malformed(f"a proof of {len(proof)} lines is past the bound of {MAX_PROOF_LINES}")
        note = Note.parse(rest)
        return cls(
            old_size=parse_size(old.removeprefix("old ")),
            proof=tuple(parse_hash(line) for line in proof),
            note=note,
            checkpoint=Checkpoint.parse(note.text),
        )

    @classmethod
    def of(cls, old_size: int, proof: Sequence[bytes], note: str | bytes) -> AddCheckpoint:
        """Make a request from a signed checkpoint and a proof.

        Raises:
            Malformed: The note is not a signed checkpoint.
        """
        parsed = Note.parse(note)
        return cls(old_size, tuple(proof), parsed, Checkpoint.parse(parsed.text))


@dataclass(frozen=True)
class Cosign:
    """Yes: store the checkpoint as last seen, if `seen` still stands; only then sign `text` and answer."""

    checkpoint: Checkpoint
    text: str


@dataclass(frozen=True)
class Refuse:
    """No, and why.

    Args:
        status: The HTTP status of the answer.
        reason: What is wrong, with both values.
        size: For a 409, the size that this witness cosigned last: it is the body of the answer.
        keep: What the log signed contradicts, or may contradict, what it signed before: keep the request.
    """

    status: int
    reason: str
    size: int | None = None
    keep: bool = False


def may_cosign(
    request: AddCheckpoint, log_keys: Sequence[VerifierKey], seen: Checkpoint | None
) -> Cosign | Refuse:
    """Decide whether a witness may cosign.

    Reading `seen` and storing the new checkpoint must be one step to others, or two requests at once would
    roll the witness back.

    Args:
        request: What the log asks.
        log_keys: The keys of the log that the checkpoint names; none for a log that is not known here.
        seen: The checkpoint of that log that was cosigned last.

    Returns:
        Cosign, or Refuse with 404 (unknown log), 403 (not signed by it), 400 (a proof backwards), 409 (the
        old size is not what was seen last) or 422 (the proof does not hold, or one size has two roots).

    Raises:
        EvidenceBroken: `seen` is of another log.
    """
    new = request.checkpoint
    if not log_keys:
        return Refuse(404, f"log {new.origin!r} is not known here")
    if seen is not None and seen.origin != new.origin:
        raise EvidenceBroken(f"last seen is of log {seen.origin!r}, the request of {new.origin!r}")
    verdict = request.note.judge(log_keys)
    if verdict.failed or not verdict.verified:
        return Refuse(403, f"no known key of {new.origin!r} signed the checkpoint of size {new.size}")
    if request.old_size > new.size:
        return Refuse(
            400, f"old size {request.old_size} is past size {new.size} of the checkpoint; a log only grows"
        )
    last = seen or Checkpoint(new.origin, 0, EMPTY_ROOT)
    forked = new.size == last.size and new.root != last.root
    if request.old_size != last.size:
        reason = f"old size is {request.old_size}, but size {last.size} was cosigned last; prove from there"
        return Refuse(409, reason, size=last.size, keep=forked)
    if fault := _fault(request, last):
        return Refuse(422, fault, keep=True)
    return Cosign(new, request.note.text)


def _fault(request: AddCheckpoint, last: Checkpoint) -> str | None:
    new = request.checkpoint
    if new.size == 0 and new.root != EMPTY_ROOT:
        return f"an empty log has root {EMPTY_ROOT.hex()}, not {new.root.hex()}"
    if last.size == 0:
        return (
            f"a proof from size 0 is empty, not {len(request.proof)} hashes long" if request.proof else None
        )
    return consistency_fault(last.size, last.root, new.size, new.root, request.proof)
