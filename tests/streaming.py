"""A provider that streams: real stores, log, data plane and door, with tickets made by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from joserfc.jwk import OKPKey

from connector.adapters.progress import FileProgress
from connector.adapters.sources import ParquetSources
from connector.adapters.sql import SqlStores
from connector.adapters.tiles import FileTiles
from connector.api.arrow_http import ArrowHttpDoor
from connector.client.stream import Access, DataStream
from connector.dataplane.service import Streams
from connector.dataplane.stream import End, OpenStream
from connector.dataplane.watch import Watcher
from connector.negotiation.ports import Negotiation, SignedAgreement
from connector.offering.describe import Holder, Publication
from connector.offering.service import Offerings, PublishReport
from connector.outbox.ports import Outgoing
from connector.transfer.ports import Transfer
from connector.transfer.ticket import Ticket, issue
from connector.usage.service import UsageLog
from policies.use import NO_CLAIMS, Claims
from schemas.base import Role
from schemas.binding.client import Egress
from schemas.canonical import digest
from schemas.dsp.negotiation import NegotiationState
from schemas.dsp.transfer import TransferState
from schemas.errors import StorageUnavailable
from schemas.identity import generate_key
from schemas.odrl import Agreement, Offer, terms
from schemas.usage import UsageRecord
from schemas.vocab import FORMAT_ARROW_HTTP, HANSA

PROVIDER, CONSUMER = "did:web:provider.example", "did:web:lab.example"
TRAIN = HANSA + "train"
LOOPBACK = Egress.allowing(["127.0.0.0/8"])


def limit(left: str, operator: str, right: Any) -> dict[str, Any]:
    """One constraint; `left` is a term of ODRL core, or of our profile."""
    known = left in ("dateTime", "purpose", "percentage")
    return {"leftOperand": left if known else HANSA + left, "operator": operator, "rightOperand": right}


def offer(*constraints: dict[str, Any], action: str = "use") -> Offer:
    """An offer of one permission."""
    return Offer.read({"@id": "", "permission": [{"action": action, "constraint": list(constraints)}]})


def write(path: Path, table: pa.Table, **options: Any) -> Path:
    """Write a table as Parquet."""
    pq.write_table(table, path, **options)
    return path


@dataclass
class FullDisk:
    """A usage log whose writes fail from some write on; everything else is the real one."""

    real: UsageLog
    writes: int = 10**9

    def _write(self) -> None:
        self.writes -= 1
        if self.writes < 0:
            raise StorageUnavailable("the disk is full; free some space")

    def admit(self, *arguments: Any) -> Any:
        self._write()
        return self.real.admit(*arguments)

    def reserve(self, *arguments: Any) -> Any:
        self._write()
        return self.real.reserve(*arguments)

    def settle(self, *arguments: Any) -> None:
        self._write()
        self.real.settle(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def end_of(stream: OpenStream) -> End:
    """Return how a stream ended, which it must have."""
    assert stream.end is not None, "the stream goes on"
    return stream.end


@dataclass
class Provider:
    """One participant with data, and a clock that is moved by hand."""

    folder: Path
    block_rows: int = 1000
    batch_bytes: int = 64 << 10
    now: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    key: OKPKey = field(default_factory=generate_key)
    told: list[tuple[list[str], list[str]]] = field(default_factory=list)
    database: str | None = None
    standing: Callable[[str], str | None] = lambda _: None
    claims: Claims = NO_CLAIMS

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self.data = self.folder / "data"
        self.data.mkdir(exist_ok=True)
        self.database = self.database or f"sqlite:///{self.folder}/provider.sqlite"
        self.stores = SqlStores(self.database)
        self.sources = ParquetSources([self.data], lambda: self.now)
        log = UsageLog(
            store=self.stores.usage,
            key=self.key,
            origin="provider.example/usage",
            did=PROVIDER,
            clock=self.clock,
            new_id=self.new_id,
            tiles=FileTiles(self.folder / "tiles"),
            progress=FileProgress(self.folder / "progress"),
        )
        self.usage = FullDisk(log)
        self.offerings = Offerings(
            store=self.stores.offerings,
            sources=self.sources,
            usage_record=log.record,
            announce=self._announce,
            clock=self.clock,
            holder=Holder(PROVIDER, "A provider", "https://provider.example/dsp/2025-1"),
        )
        self.streams = Streams(
            agreements=self.stores.negotiations,
            transfers=self.stores.transfers,
            offerings=self.stores.offerings,
            usage=self.usage,
            scans=self.sources,
            ticket_key=self.key,
            mask_secret=b"m" * 32,
            clock=self.clock,
            new_id=self.new_id,
            claims=lambda _: self.claims,
            block_rows=self.block_rows,
            batch_bytes=self.batch_bytes,
            standing=lambda did: self.standing(did),
        )

    def clock(self) -> datetime:
        return self.now

    def new_id(self) -> str:
        return f"urn:uuid:00000000-0000-4000-8000-{next(self._numbers):012d}"

    def _announce(self, offered: Sequence[Any], withdrawn: Sequence[str]) -> Sequence[Outgoing]:
        self.told.append(([one.dataset.id for one in offered], list(withdrawn)))
        return ()

    def publish(self, table: pa.Table, *offers: Offer, name: str = "t", **options: Any) -> PublishReport:
        """Write a table and publish it."""
        path = write(self.data / f"{name}.parquet", table, **options)
        return self.offerings.publish([Publication(source=path.name, title=f"Table {name}", offers=offers)])

    def ticket(self, table: pa.Table, *constraints: dict[str, Any], **given: Any) -> str:
        """Publish a table under an offer, agree to it, start a transfer, and return its ticket."""
        own = offer(*constraints)
        report = self.publish(table, own, **given)
        assert report.refused == (), report.refused
        return self.grant((report.published + report.unchanged)[0], own)

    def grant(self, dataset: str, own: Offer, purpose: str | None = None, action: str = TRAIN) -> str:
        """Save a final agreement and a started transfer, and return the ticket."""
        agreement = Agreement.read(
            {
                **terms(own),
                "@id": self.new_id(),
                "target": dataset,
                "assigner": PROVIDER,
                "assignee": CONSUMER,
            }
        )
        negotiation = Negotiation(
            pid=self.new_id(),
            role=Role.PROVIDER,
            counterparty=CONSUMER,
            counter_pid=self.new_id(),
            callback="https://lab.example/dsp",
            state=NegotiationState.VERIFIED,
            dataset=dataset,
            offer=own,
            use=None,
            created=self.now,
            updated=self.now,
        )
        self.stores.negotiations.add(negotiation)
        signed = SignedAgreement(
            agreement=agreement,
            role=Role.PROVIDER,
            counterparty=CONSUMER,
            callback=negotiation.callback,
            negotiation=negotiation.pid,
            digest=digest(agreement.wire()),
            use=None,
            signed=self.now,
            final=True,
        )
        finalized = replace(negotiation, state=NegotiationState.FINALIZED, agreement=agreement)
        stored = self.stores.negotiations.get(negotiation.pid)
        self.stores.negotiations.save(finalized, seen=stored.version, agreement=signed)
        return self.start(agreement.id, dataset, purpose, action)

    def start(self, agreement: str, dataset: str, purpose: str | None = None, action: str = TRAIN) -> str:
        """Save a started transfer under an agreement, and return its ticket."""
        transfer = Transfer(
            pid=self.new_id(),
            role=Role.PROVIDER,
            counterparty=CONSUMER,
            counter_pid=self.new_id(),
            callback="https://lab.example/dsp",
            state=TransferState.STARTED,
            agreement=agreement,
            dataset=dataset,
            format=FORMAT_ARROW_HTTP,
            use=None,
            created=self.now,
            updated=self.now,
        )
        self.stores.transfers.add(transfer)
        self.transfer, self.agreement = transfer.pid, agreement
        ticket = Ticket(
            transfer=transfer.pid,
            agreement=agreement,
            consumer=CONSUMER,
            dataset=dataset,
            action=action,
            purpose=purpose,
            epoch=0,
            expires=self.now + timedelta(hours=1),
        )
        return issue(ticket, self.key)

    def move(self, state: TransferState, **changes: Any) -> None:
        """Save the last transfer in another state."""
        held = self.stores.transfers.get(self.transfer)
        self.stores.transfers.save(replace(held, state=state, **changes), seen=held.version)

    def read(self, ticket: str, start: int = 0, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a whole stream in this process."""
        with self.streams.open(ticket, start, columns) as stream:
            batches = [batch for batch, _ in stream.batches()]
            self.end = end_of(stream)
        return pa.Table.from_batches(batches, stream.schema).replace_schema_metadata(None)

    def records(self) -> list[UsageRecord]:
        """Return what the usage log tells, in order."""
        self.stores.usage.sequence()
        return [
            UsageRecord.model_validate_json(entry.record) for entry in self.stores.usage.entries(0, 10_000)
        ]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have open streams watched, as a served connector does."""
        watcher = Watcher(
            changes=self.stores.changes,
            opened=lambda: self.streams.opened,
            standing=lambda did: self.standing(did),
            claims=lambda _: self.claims,
        )
        watcher.start()
        try:
            yield
        finally:
            watcher.stop()

    @contextmanager
    def door(self, **options: Any) -> Iterator[ArrowHttpDoor]:
        """Open the HTTP door on a free port."""
        door = ArrowHttpDoor(streams=self.streams, **options)
        host, port = door.start()
        self.url = f"http://{host}:{port}/streams/"
        try:
            yield door
        finally:
            door.stop()

    def client(self, ticket: str, start: int = 0, **given: Any) -> DataStream:
        """A client's stream through the open door."""
        dataset = self.stores.transfers.get(self.transfer).dataset
        access = Access(
            endpoint=self.url + self.transfer,
            ticket=ticket,
            dataset=dataset,
            agreement=self.agreement,
            egress=LOOPBACK,
            timeout=5.0,
            **given,
        )
        return DataStream(access, start)

    def close(self) -> None:
        self.stores.close()
