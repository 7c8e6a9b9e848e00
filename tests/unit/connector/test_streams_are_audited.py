"""What the data plane logs is what an audit replays: real streams, judged from their log alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from connector.auditor import LogCopy
from policies.audit import AuditReport
from policies.evidence.tiles import Bundle, Tile, bundles_for, tiles_for
from schemas.errors import DataspaceError, UseDenied
from schemas.identity import document_for
from schemas.usage import LogDescription, UsageKind
from schemas.vocab import DPV
from tests.streaming import PROVIDER, Provider, limit

TABLE = pa.table({"id": range(5000), "name": [f"row {at}" for at in range(5000)]})


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path, block_rows=150, batch_bytes=2 << 10)
    yield made
    made.close()


def finalize(provider: Provider) -> None:
    """Log what negotiation logs when an agreement stands."""
    held = provider.stores.negotiations.agreement(provider.agreement)
    told = provider.usage.record(
        UsageKind.NEGOTIATION_FINALIZED, agreement=held.agreement.id, policy=held.digest
    )
    provider.usage.append(told)


def audited(provider: Provider) -> AuditReport:
    """Audit the log as it stands, from what its doors would show."""
    log = provider.usage
    log.open()
    log.step()
    head = log.head()
    files: list[Tile | Bundle] = [*tiles_for(0, head.size), *bundles_for(0, head.size)]
    agreements = {held.agreement.id: held.as_evidence() for held in provider.stores.negotiations.agreements()}
    return LogCopy(
        LogDescription(origin=log.origin, vkey=log.vkey, did=PROVIDER, size=head.size),
        document_for(PROVIDER, provider.key),
        head.note.encode(),
        {file.path: log.tile(file.path) for file in files},
        {item.index: (item.record, item.salt) for item in log.entries(0, head.size)},
        agreements,
    ).judge()


def test_a_stream_a_limit_and_a_denial_are_replayed_alike(provider: Provider) -> None:
    research = limit("purpose", "isA", DPV + "ResearchAndDevelopment")
    ticket = provider.ticket(TABLE, research, limit("rowCount", "lteq", 1200))
    finalize(provider)
    with pytest.raises(UseDenied):
        provider.read(ticket)
    dataset = provider.stores.transfers.get(provider.transfer).dataset
    ticket = provider.start(provider.agreement, dataset, purpose=DPV + "ScientificResearch")
    assert provider.read(ticket).num_rows == 1200
    with pytest.raises(UseDenied):
        provider.read(ticket)
    report = audited(provider)
    assert report.holds, report.findings
    assert {(use.purpose, use.rows, use.streams, use.denied) for use in report.uses} == {
        (None, 0, 0, 1),
        (DPV + "ScientificResearch", 1200, 1, 1),
    }


def test_many_streams_at_once_under_one_limit_are_replayed_alike(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, limit("rowCount", "lteq", 3000))
    finalize(provider)
    rows: list[int] = []

    def read() -> None:
        try:
            with provider.streams.open(ticket) as stream:
                rows.extend(batch.num_rows for batch, _ in stream.batches())
        except UseDenied:
            rows.append(0)

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(rows) <= 3000
    report = audited(provider)
    assert report.holds, report.findings
    assert sum(use.rows for use in report.uses) == sum(rows)


def test_a_revocation_under_way_is_replayed_alike(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, limit("rowCount", "lteq", 100_000))
    finalize(provider)
    with provider.streams.open(ticket) as stream:
        batches = stream.batches()
        first, _ = next(batches)
        told = provider.usage.record(UsageKind.AGREEMENT_REVOKED, agreement=provider.agreement)
        provider.stores.negotiations.revoke(provider.agreement, "trial ended", [told])
        provider.now += timedelta(seconds=1)
        rest = sum(batch.num_rows for batch, _ in batches)
    assert first.num_rows + rest < TABLE.num_rows
    with pytest.raises(DataspaceError):
        provider.read(ticket)
    report = audited(provider)
    assert report.holds, report.findings


def test_a_permission_that_ends_under_way_is_replayed_alike(provider: Provider) -> None:
    until = (provider.now + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    ticket = provider.ticket(TABLE, limit("dateTime", "lt", until))
    finalize(provider)
    with provider.streams.open(ticket) as stream:
        for batch, _ in stream.batches():
            assert batch.num_rows
            provider.now += timedelta(seconds=20)
    assert stream.end is not None
    assert stream.end.kind == "expired"
    assert audited(provider).holds


def test_a_provider_that_forgets_to_count_is_found_out(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, limit("rowCount", "lteq", 500))
    finalize(provider)
    provider.read(ticket)
    stream = provider.records()[-1].stream
    told = provider.usage.record(
        UsageKind.STREAM_RESERVED, agreement=provider.agreement, stream=stream, rows=400, rows_before=0
    )
    provider.usage.append(told)
    assert not audited(provider).holds
