"""Verify a log, then replay every use with the very `decide` that allowed it.

Three copies of each entry must agree: the record with its salt, the entry in its bundle, and the leaf in its
tile; and all leaves together must make the root that was signed. Where two of three agree, the third is the
one that was changed. A log that cannot be verified is replayed all the same, so that a report says
everything that is wrong, not only the first thing.

Source: C2SP tlog-tiles; RFC 6962.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from policies.account import UseSummary
from policies.duties import Duties, DutySummary
from policies.evidence.checkpoint import Checkpoint, verify_checkpoint
from policies.evidence.commitment import SALT_BYTES, commit
from policies.evidence.note import Note, VerifierKey
from policies.evidence.tiles import (
    WIDTH,
    Bundle,
    Read,
    Tile,
    encode_bundle,
    grown_tiles,
    read_bundle,
    read_tile,
)
from policies.evidence.tree import leaf_hash, root
from policies.findings import Check, Finding
from policies.receipts import Receipts, ReceiptSummary, Shown
from policies.replay import Refusal, Replay
from schemas.canonical import canonical
from schemas.errors import DataspaceError, EvidenceBroken, Malformed, NotFound
from schemas.usage import AgreedTerms, UsageRecord

N = TypeVar("N", Bundle, Tile)

Opened = tuple[bytes, bytes]
"""A record's canonical bytes, and its salt."""


@dataclass(frozen=True)
class Evidence:
    """Everything that an audit looks at; it asks nobody for more.

    Args:
        did: Whose log it is.
        origin: Name of the log.
        keys: The keys that may sign it, from the participant's DID document.
        checkpoint: The signed note.
        files: Tiles and bundles by path.
        records: What opens each entry, by place; None where it could not be read.
        agreements: What was agreed, by id.
        seen: The last checkpoint that this auditor saw of the log.
        notes: What was wrong already while the evidence was gathered.
        shown: The receipts behind the log, and the keys of who signed them.
    """

    did: str
    origin: str
    keys: tuple[VerifierKey, ...]
    checkpoint: bytes
    files: Mapping[str, bytes]
    records: Sequence[Opened | None]
    agreements: Mapping[str, AgreedTerms]
    seen: Checkpoint | None = None
    notes: tuple[Finding, ...] = ()
    shown: Shown = field(default_factory=Shown)


@dataclass(frozen=True)
class AuditReport:
    """What an audit found. `size` and `root` are what the checkpoint swears to."""

    did: str
    origin: str
    size: int
    root: bytes
    findings: tuple[Finding, ...]
    uses: tuple[UseSummary, ...]
    refusals: tuple[Refusal, ...]
    decisions: int
    agreements: int
    open_streams: int
    duties: tuple[DutySummary, ...] = ()
    receipts: tuple[ReceiptSummary, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def failed(self, check: Check) -> bool:
        """Whether a check found something."""
        return any(finding.check is check for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "did": self.did,
            "origin": self.origin,
            "size": self.size,
            "root": self.root.hex(),
            "holds": self.holds,
            "decisions": self.decisions,
            "agreements": self.agreements,
            "openStreams": self.open_streams,
            "findings": [
                {"check": item.check, "entry": item.entry, "agreement": item.agreement, "what": item.what}
                for item in self.findings
            ],
            "uses": [
                {
                    "counterparty": use.counterparty,
                    "dataset": use.dataset,
                    "agreement": use.agreement,
                    "action": use.action,
                    "purpose": use.purpose,
                    "streams": use.streams,
                    "denied": use.denied,
                    "rows": use.rows,
                    "bytes": use.bytes,
                    "openRows": use.open_rows,
                    "first": use.first.isoformat() if use.first else None,
                    "last": use.last.isoformat() if use.last else None,
                }
                for use in self.uses
            ],
            "duties": [duty.as_json() for duty in self.duties],
            "receipts": [receipt.as_json() for receipt in self.receipts],
            "refusals": [
                {
                    "entry": refusal.entry,
                    "at": refusal.at.isoformat(),
                    "counterparty": refusal.counterparty,
                    "dataset": refusal.dataset,
                    "action": refusal.action,
                    "purpose": refusal.purpose,
                    "reasons": list(refusal.reasons),
                }
                for refusal in self.refusals
            ],
        }


def audit(evidence: Evidence) -> AuditReport:
    """Check a log from its signature down to each use.

    Raises:
        Malformed: if the checkpoint is none; then there is nothing to check against.
    """
    findings = list(evidence.notes)
    checkpoint = Checkpoint.parse(Note.parse(evidence.checkpoint).text)
    try:
        verify_checkpoint(evidence.checkpoint, evidence.origin, evidence.keys)
    except (EvidenceBroken, Malformed) as error:
        findings.append(Finding(Check.SIGNATURE, str(error)))
    leaves, wrong = _leaves(evidence, checkpoint.size)
    findings += wrong
    findings += _check_root(checkpoint, leaves)
    findings += _check_history(checkpoint, evidence.seen, leaves)
    findings += _check_tiles(evidence, leaves)
    replay, duties = Replay(evidence.did, evidence.agreements), Duties()
    receipts = Receipts(evidence.did, evidence.agreements, evidence.shown)
    for entry, opened in enumerate(evidence.records[: checkpoint.size]):
        if opened is not None:
            record = _read_record(opened[0], entry, findings)
            if record is not None:
                replay.take(entry, record)
                duties.take(entry, record)
                receipts.take(entry, record)
    return AuditReport(
        did=evidence.did,
        origin=evidence.origin,
        size=checkpoint.size,
        root=checkpoint.root,
        findings=(*findings, *replay.findings, *duties.findings, *receipts.findings),
        uses=replay.summaries,
        refusals=tuple(replay.refusals),
        decisions=replay.decisions,
        agreements=len(evidence.agreements),
        open_streams=replay.open_streams,
        duties=duties.summaries,
        receipts=tuple(receipts.summaries),
    )


def _leaves(evidence: Evidence, size: int) -> tuple[list[bytes] | None, list[Finding]]:
    """Compare the three copies of every entry, and return the leaves that most of them vouch for."""
    leaves: list[bytes] = []
    findings: list[Finding] = []
    for index in range(-(-size // WIDTH)):
        width = min(WIDTH, size - index * WIDTH)
        bundle, tile = Bundle(index, width), Tile(0, index, width)
        entries, hashes = _read(read_bundle, bundle, evidence), _read(read_tile, tile, evidence)
        if isinstance(entries, str):
            findings.append(Finding(Check.TILES, entries, _first_change(bundle, evidence)))
        if isinstance(hashes, str):
            findings.append(Finding(Check.TILES, hashes))
        for at in range(width):
            place = index * WIDTH + at
            opened = evidence.records[place] if place < len(evidence.records) else None
            entry = None if isinstance(entries, str) else entries[at]
            held = None if isinstance(hashes, str) else hashes[at]
            leaf, wrong = _leaf(opened, entry, held, (bundle, tile))
            if wrong:
                findings.append(Finding(wrong[0], wrong[1], place))
            if leaf is None:
                return None, findings
            leaves.append(leaf)
    return leaves, findings


def _leaf(
    opened: Opened | None, entry: bytes | None, held: bytes | None, files: tuple[Bundle, Tile]
) -> tuple[bytes | None, tuple[Check, str] | None]:
    """Return the leaf hash of one entry, and which of its copies was changed."""
    bundle, tile = files
    by_record = _commit(opened)
    by_entry = leaf_hash(entry) if entry is not None else None
    votes = [value for value in (by_record, by_entry, held) if value is not None]
    leaf = max(votes, key=votes.count, default=None)
    if opened is None:
        return leaf, (Check.RECORD, "its record is missing or cannot be read")
    if by_record == by_entry == held or len(votes) < 2:
        return leaf, None
    if len(votes) == 3 and len(set(votes)) == 3:
        return held, (Check.TREE, f"its record, {bundle.path} and {tile.path} all disagree")
    if by_record != leaf or (len(votes) == 2 and len(set(votes)) == 2):
        return votes[-1], (Check.TREE, "its record or salt is not what the log committed to")
    if by_entry is not None and by_entry != leaf:
        return leaf, (Check.TILES, f"{bundle.path} holds another commitment than the record makes")
    if held is not None and held != leaf:
        return leaf, (Check.TILES, f"{tile.path} holds another leaf than the record makes")
    return leaf, None  # a whole file is missing, which is said once


def _first_change(bundle: Bundle, evidence: Evidence) -> int | None:
    """Return the first entry at which a bundle that cannot be read differs from what the records make."""
    held, place, at = evidence.files.get(bundle.path), bundle.index * WIDTH, 0
    for opened in evidence.records[place : place + bundle.width]:
        if held is None or opened is None or len(opened[1]) != SALT_BYTES:
            return None
        made = encode_bundle([commit(*opened)])
        if held[at : at + len(made)] != made:
            return place
        place, at = place + 1, at + len(made)
    return None


def _commit(opened: Opened | None) -> bytes | None:
    if opened is None:
        return None
    try:
        return leaf_hash(commit(*opened))
    except Malformed:
        return leaf_hash(b"")  # a salt of another length opens nothing


def _check_root(checkpoint: Checkpoint, leaves: list[bytes] | None) -> Iterator[Finding]:
    if leaves is None:
        yield Finding(Check.TREE, f"the entries up to size {checkpoint.size} are not all there")
    elif (found := root(leaves)) != checkpoint.root:
        signed = checkpoint.root.hex()
        text = f"size {checkpoint.size} was signed with root {signed}, its entries make {found.hex()}"
        yield Finding(Check.TREE, text)


def _check_history(
    checkpoint: Checkpoint, seen: Checkpoint | None, leaves: list[bytes] | None
) -> Iterator[Finding]:
    if seen is None:
        return
    if seen.size > checkpoint.size:
        text = f"the log had {seen.size} entries when it was last seen; now it has {checkpoint.size}"
        yield Finding(Check.HISTORY, text)
    elif leaves is not None and (found := root(leaves[: seen.size])) != seen.root:
        text = (
            f"size {seen.size} had root {seen.root.hex()} when last seen; now its entries make {found.hex()}"
        )
        yield Finding(Check.HISTORY, text)


def _check_tiles(evidence: Evidence, leaves: list[bytes] | None) -> Iterator[Finding]:
    """Compare the tiles above the leaves; those of the leaves were compared entry by entry."""
    for tile, data in grown_tiles(0, leaves or [], _reader(evidence)):
        if tile.level == 0:
            continue
        held = _read(read_tile, tile, evidence)
        if isinstance(held, str):
            yield Finding(Check.TILES, held)
        elif b"".join(held) != data:
            yield Finding(Check.TILES, f"{tile.path} is not what the tiles below it make")


def _read_record(data: bytes, entry: int, findings: list[Finding]) -> UsageRecord | None:
    try:
        document = json.loads(data)
        record = UsageRecord.read(document)
        if canonical(document) != data:
            findings.append(Finding(Check.RECORD, "the record is not in canonical form", entry))
    except (DataspaceError, ValueError, RecursionError) as error:
        findings.append(Finding(Check.RECORD, f"the record cannot be read: {str(error)[:200]}", entry))
        return None
    return record


def _reader(evidence: Evidence) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        try:
            return evidence.files[path]
        except KeyError:
            raise NotFound(f"{path} is missing") from None

    return read


def _read(
    read: Callable[[N, Read], tuple[bytes, ...]], file: N, evidence: Evidence
) -> tuple[bytes, ...] | str:
    try:
        return read(file, _reader(evidence))
    except NotFound:
        return f"{file.path} is missing"
    except EvidenceBroken as error:
        return str(error)
