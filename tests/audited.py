"""A participant with a usage log behind its evidence door, for auditors to look at; no data is streamed."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI

from connector.adapters.progress import FileProgress
from connector.adapters.sql import SqlStores
from connector.adapters.tiles import FileTiles
from connector.api.evidence import evidence_router
from connector.api.identity import identity_router
from connector.negotiation.ports import SignedAgreement
from connector.trust.ports import Caller
from connector.usage.mandate import AuditGate, mandate
from connector.usage.ports import Sent
from connector.usage.service import UsageLog
from policies.counting import Amount, Bound
from schemas.base import Role
from schemas.binding.server import install_errors
from schemas.canonical import digest
from schemas.errors import Unauthenticated
from schemas.identity import did_for, document_for, generate_key
from schemas.odrl import DeclaredUse
from schemas.receipts import HeldReceipt
from schemas.usage import UsageKind, UsageRecord
from schemas.vocab import HANSA
from tests.log_builders import DATASET, agreement
from tests.policy_builders import LAB, NOON, RESEARCH
from tests.store_builders import negotiation


class Audited:
    """A hospital that agreed with a lab, let it read, and shows its log."""

    def __init__(self, folder: Path, url: str = "http://localhost:8109") -> None:
        self.url, self.did, self.key = url, did_for(url), generate_key()
        self.now = NOON
        self.stores = SqlStores(f"sqlite:///{folder}/stores.db")
        self._numbers = itertools.count()
        self.log = UsageLog(
            store=self.stores.usage,
            key=self.key,
            origin=urlsplit(url).netloc + "/usage",
            did=self.did,
            clock=self.clock,
            new_id=lambda: f"urn:uuid:record-{next(self._numbers)}",
            tiles=FileTiles(folder / "log"),
            progress=FileProgress(folder / "progress"),
        )
        self.agreed = agreement().model_copy(update={"assigner": self.did})
        self.auditors: dict[str, Caller] = {}
        self.receipts: list[HeldReceipt] = []

    def clock(self) -> datetime:
        """Tell the time, which passes at every look."""
        self.now += timedelta(milliseconds=10)
        return self.now

    def tell(self, kind: UsageKind, **fields: Any) -> UsageRecord:
        """Make a record about the agreement."""
        known = {
            "counterparty": LAB,
            "dataset": DATASET,
            "agreement": self.agreed.id,
            "policy": digest(self.agreed.wire()),
            "action": HANSA + "train",
            "purpose": RESEARCH,
            "transfer": "urn:uuid:transfer-1",
        }
        return self.log.record(kind, **{**known, **fields})

    def agree(self) -> None:
        """Sign the agreement, as negotiation does."""
        process = negotiation(counterparty=LAB, dataset=DATASET)
        self.stores.negotiations.add(process)
        held = SignedAgreement(
            agreement=self.agreed,
            role=Role.PROVIDER,
            counterparty=LAB,
            callback="https://lab.example/dsp",
            negotiation=process.pid,
            digest=digest(self.agreed.wire()),
            use=DeclaredUse(action=HANSA + "train", purpose=RESEARCH),
            signed=self.now,
            final=True,
        )
        told = [self.tell(UsageKind.NEGOTIATION_FINALIZED)]
        self.stores.negotiations.save(process, seen=0, records=told, agreement=held)

    def read(self, stream: str, rows: int, sent: int | None = None) -> None:
        """Let the lab read, as a stream does."""
        asked = self.tell(UsageKind.ACCESS_DECISION, stream=stream, detail={"start": 0})
        self.log.admit(asked, lambda _: {"decision": "permit"})
        told = self.tell(UsageKind.STREAM_RESERVED, stream=stream)
        self.log.reserve(self.agreed.id, stream, Amount(rows, 10 * rows), Bound(1000), told)
        settled = self.tell(UsageKind.STREAM_SETTLED, stream=stream)
        left = rows if sent is None else sent
        self.log.settle(self.agreed.id, stream, Sent(left, 10 * left), settled)

    def live(self) -> None:
        """Agree, let the lab read twice, and sign."""
        self.log.open()
        self.agree()
        self.read("urn:stream:1", 300)
        self.read("urn:stream:2", 400, sent=50)
        self.log.step()

    def admit(self, authorization: str | None) -> Caller:
        """Know the callers that a test names."""
        if authorization not in self.auditors:
            raise Unauthenticated("no token that we know")
        return self.auditors[authorization]

    def app(self) -> FastAPI:
        """Make the doors."""
        app = FastAPI()
        gate = AuditGate(key=self.key, did=self.did, clock=self.clock, admit=self.admit)
        app.include_router(
            evidence_router(
                log=self.log,
                agreement=lambda name: self.stores.negotiations.agreement(name).as_evidence(),
                receipts=lambda name: [one for one in self.receipts if one.agreement == name],
                gate=gate,
            )
        )
        app.include_router(identity_router(document_for(self.did, self.key)))
        install_errors(app, "/dsp")
        return app

    def evidence_url(self) -> str:
        """What an auditor is given."""
        return f"{self.url}/evidence#mandate={mandate(self.key, self.did, self.now, days=1)}"
