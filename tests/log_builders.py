"""A log made by hand, with everything an audit looks at: for telling what an audit must find."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policies.audit import AuditReport, Evidence, Opened
from policies.evidence.checkpoint import Checkpoint
from policies.evidence.commitment import commit
from policies.evidence.note import SigningKey, sign
from policies.evidence.tiles import WIDTH, bundles_for, encode_bundle, grown_tiles
from policies.evidence.tree import leaf_hash, root
from policies.findings import Check
from schemas.canonical import digest
from schemas.errors import NotFound
from schemas.odrl import Agreement
from schemas.usage import AgreedTerms, UsageKind, UsageRecord
from schemas.vocab import DPV, HANSA
from tests.policy_builders import LAB, NOON, RESEARCH, limit, rule

HOSPITAL = "did:web:hospital.example"
ORIGIN = "hospital.example/usage"
DATASET = "urn:hansa:hospital:lung"
AGREEMENT = "urn:uuid:agreement-1"
KEY = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"k" * 32))
ROW_BYTES = 10
"""How many bytes each row of these logs has."""
EPOCH = datetime(1970, 1, 1, tzinfo=NOON.tzinfo)


def agreement(*constraints: dict[str, Any], identity: str = AGREEMENT) -> Agreement:
    """What the hospital agreed with the lab: by default research, at most 1,000 rows, until December 2026."""
    terms = constraints or (
        limit("purpose", "isA", DPV + "ResearchAndDevelopment"),
        limit("rowCount", "lteq", 1000),
        limit("dateTime", "lt", "2026-12-01T00:00:00Z"),
    )
    document = {
        "@id": identity,
        "@type": "Agreement",
        "target": DATASET,
        "assigner": HOSPITAL,
        "assignee": LAB,
        "permission": [rule(HANSA + "train", *terms)],
    }
    return Agreement.read(document)


def terms_of(agreed: Agreement) -> AgreedTerms:
    """An agreement as evidence shows it."""
    return AgreedTerms(
        agreement=agreed,
        digest=digest(agreed.wire()),
        role="provider",
        counterparty=LAB,
        negotiation="urn:uuid:negotiation-1",
        final=True,
    )


@dataclass
class Told:
    """Writes records the way a connector does, one second apart, counting as the store counts."""

    agreed: Agreement = field(default_factory=agreement)
    at: datetime = NOON
    records: list[UsageRecord] = field(default_factory=list)
    used: int = 0
    held: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    epochs: int = 0

    @property
    def total(self) -> int:
        """Rows used and reserved."""
        return self.used + sum(self.held.values())

    def tell(self, kind: UsageKind, **fields: Any) -> UsageRecord:
        """Add a record of this agreement."""
        self.at += timedelta(seconds=1)
        known = {
            "id": f"urn:uuid:record-{len(self.records)}",
            "at": (self.at - EPOCH) // timedelta(microseconds=1),
            "log": HOSPITAL,
            "counterparty": LAB,
            "dataset": DATASET,
            "agreement": self.agreed.id,
            "policy": digest(self.agreed.wire()),
            "action": HANSA + "train",
            "purpose": RESEARCH,
        }
        record = UsageRecord(kind=kind, **{**known, **fields})
        self.records.append(record)
        return record

    def finalized(self) -> Told:
        """The agreement stands."""
        self.tell(UsageKind.NEGOTIATION_AGREED)
        self.tell(UsageKind.NEGOTIATION_FINALIZED)
        return self

    def decided(self, stream: str | None, decision: str = "permit", **fields: Any) -> Told:
        """A stream was asked for."""
        own: dict[str, Any] = {
            **self._about(stream),
            "requests_before": self.requests,
            "epochs_before": self.epochs,
            "detail": {"start": 0},
        }
        if decision == "permit":
            own |= {"requests": 1, "epochs": 1}
        told = self.tell(UsageKind.ACCESS_DECISION, decision=decision, **{**own, **fields})
        self.requests += told.requests or 0
        self.epochs += told.epochs or 0
        return self

    def reserved(self, stream: str, rows: int, **fields: Any) -> Told:
        """A stream took rows."""
        own = {**self._about(stream), "rows": rows, "byte_count": ROW_BYTES * rows}
        self.tell(UsageKind.STREAM_RESERVED, **{**own, **fields})
        self.held[stream] = self.held.get(stream, 0) + rows
        return self

    def settled(self, stream: str, rows: int, **fields: Any) -> Told:
        """A stream ended."""
        self.held.pop(stream, None)
        own = {**self._about(stream), "rows": rows, "byte_count": ROW_BYTES * rows}
        self.tell(UsageKind.STREAM_SETTLED, **{**own, **fields})
        self.used += rows
        return self

    def _about(self, stream: str | None) -> dict[str, Any]:
        return {
            "rows_before": self.total,
            "bytes_before": ROW_BYTES * self.total,
            "stream": stream,
            "transfer": "urn:uuid:transfer-1",
        }

    def evidence(self, **changes: Any) -> Evidence:
        """Everything that an audit of this log looks at."""
        opened = [(record.canonical(), salt(at)) for at, record in enumerate(self.records)]
        return replace(evidence(opened, {self.agreed.id: terms_of(self.agreed)}), **changes)


def honest() -> Told:
    """A log without fault: two streams, 700 rows, one denied use."""
    told = Told()
    told.tell(UsageKind.LOG_OPENED, agreement=None, policy=None, counterparty=None, action=None, purpose=None)
    told.finalized().decided("s1").reserved("s1", 400).decided("s2").reserved("s2", 500)
    told.settled("s1", 400).settled("s2", 300)
    return told.decided("s3", "deny", purpose=None)


def found(report: AuditReport) -> set[tuple[Check, int | None]]:
    """What a report found, and where."""
    return {(finding.check, finding.entry) for finding in report.findings}


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    """Data with one bit turned over."""
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def large(count: int) -> Evidence:
    """An honest log of many tiles."""
    told = honest()
    for place in range(count):
        told.tell(UsageKind.ASSET_PUBLISHED, dataset=f"urn:d:{place}", agreement=None, policy=None)
    return told.evidence()


def salt(place: int) -> bytes:
    """The salt of an entry: fixed, so that tests repeat."""
    return hashlib.sha256(f"salt {place}".encode()).digest()


def evidence(opened: list[Opened], agreements: Mapping[str, AgreedTerms]) -> Evidence:
    """Sign a log over these records."""
    entries = [commit(record, salted) for record, salted in opened]
    leaves = [leaf_hash(entry) for entry in entries]
    checkpoint = Checkpoint(ORIGIN, len(leaves), root(leaves))

    def nothing(path: str) -> bytes:
        raise NotFound(path)

    files = {tile.path: data for tile, data in grown_tiles(0, leaves, nothing)}
    for bundle in bundles_for(0, len(leaves)):
        start = bundle.index * WIDTH
        files[bundle.path] = encode_bundle(entries[start : start + bundle.width])
    return Evidence(
        did=HOSPITAL,
        origin=ORIGIN,
        keys=(KEY.verifier,),
        checkpoint=sign(checkpoint.encode(), KEY).encode(),
        files=files,
        records=opened,
        agreements=agreements,
    )
