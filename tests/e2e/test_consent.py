"""Consent withdrawn under the hands of a reader: from the holder's command to the rows that never leave."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.offering.describe import Publication
from schemas.dsp.negotiation import NegotiationState as N
from schemas.errors import DataspaceError
from schemas.odrl import Offer
from schemas.usage import UsageKind
from schemas.vocab import HANSA
from tests.e2e.test_obligations import PATIENCE, hansa, stream, transferred, until
from tests.faulty_space import SCIENCE, FaultySpace, Side, faulty_space

pytestmark = pytest.mark.e2e

DATASET = "urn:ds:patients"
ROWS = 120_000
GIVEN = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = {"leftOperand": HANSA + "consent/who", "operator": "eq", "rightOperand": "given"}


@pytest.fixture
def space(tmp_path: Path, stores_url: str) -> Iterator[FaultySpace]:
    databases = {"hamburg": stores_url} if stores_url.startswith("postgresql") else None
    with faulty_space(tmp_path, None, databases) as running:
        yield running


def table_of(side: Side) -> Path:
    return Path(side.connector.settings.data.roots[0]) / "consents.parquet"


def consent(side: Side, **withdrawn: datetime | None) -> None:
    """Write who consents, and since when no more, as a whole."""
    fresh = table_of(side).with_name("fresh.parquet")
    table = pa.table(
        {
            "subject": list(withdrawn),
            "purpose": pa.array([SCIENCE] * len(withdrawn)),
            "given_at": pa.array([GIVEN] * len(withdrawn), pa.timestamp("us", "UTC")),
            "withdrawn_at": pa.array(list(withdrawn.values()), pa.timestamp("us", "UTC")),
        }
    )
    pq.write_table(table, fresh)
    fresh.replace(table_of(side))


def agreed(consumer: Side, provider: Side) -> str:
    data = Path(provider.connector.settings.data.roots[0])
    rows = pa.table({"who": ["ann", "bob"] * (ROWS // 2), "note": ["x" * 200] * ROWS})
    pq.write_table(rows, data / "patients.parquet", row_group_size=4096, use_dictionary=False)
    offer = Offer.read({"@id": "", "permission": [{"action": "use", "constraint": [ASKED]}]})
    made = Publication("patients.parquet", "Patients", (offer,), DATASET, consent="consents.parquet")
    report = provider.connector.offerings.publish([made])
    assert report.published, report
    asked = consumer.ask(provider, "Patients")
    found = consumer.connector.negotiations.wait(asked.pid, {N.FINALIZED, N.TERMINATED}, PATIENCE)
    assert found.agreement is not None, found
    agreement = found.agreement.id
    until(lambda: provider.connector.stores.negotiations.agreement(agreement).final, "not final")
    return agreement


def test_a_withdrawal_ends_the_stream_and_who_comes_again_reads_what_is_left(
    space: FaultySpace, tmp_path: Path
) -> None:
    provider, consumer = space.sides
    consent(provider, ann=None, bob=None)
    agreement = agreed(consumer, provider)
    running = transferred(consumer, agreement)
    with stream(running) as reading:
        first = next(iter(reading))
        assert set(first["who"].to_pylist()) == {"ann", "bob"}
        consent(provider, ann=None, bob=provider.connector.clock() - timedelta(seconds=1))
        said = hansa(provider, tmp_path, "connector", "consent-withdrawn", DATASET, "--reason", "bob said no")
        assert said.returncode == 0, said
        got = [first]
        # Told at the end of a batch, or to who asks again since one broke off in its middle.
        with pytest.raises(DataspaceError, match="bob said no"):
            got.extend(reading)
    rows = sum(batch.num_rows for batch in got)
    (settled,) = until(
        lambda: [one for one in provider.records() if one.kind is UsageKind.STREAM_SETTLED], "not settled"
    )
    assert settled.detail["end"] == "revoked"
    assert rows <= (settled.rows or 0) < ROWS

    with (
        stream(running) as refused,
        pytest.raises(DataspaceError, match=r"epoch 1 \(bob said no\)"),
    ):
        refused.read_all()
    with stream(transferred(consumer, agreement)) as again:
        assert set(again.read_all()["who"].to_pylist()) == {"ann"}
    changed = [one for one in provider.records() if one.kind is UsageKind.AGREEMENT_CHANGED]
    assert [one.reasons for one in changed] == [("consent withdrawn", "bob said no")]
    report = provider.audit()
    assert report.findings == (), report.findings


def test_the_table_alone_stops_the_rows_that_follow(space: FaultySpace) -> None:
    provider, consumer = space.sides
    consent(provider, ann=None, bob=None)
    agreement = agreed(consumer, provider)
    seen = {"ann": 0, "bob": 0}
    with stream(transferred(consumer, agreement)) as reading:
        for batch in reading:
            if not seen["bob"]:
                consent(provider, ann=None, bob=provider.connector.clock() - timedelta(seconds=1))
            for who in seen:
                seen[who] += batch["who"].to_pylist().count(who)
    assert seen["ann"] == ROWS // 2
    assert 0 < seen["bob"] < ROWS // 2


def test_where_nobody_consents_a_stream_is_complete_and_empty(space: FaultySpace) -> None:
    provider, consumer = space.sides
    consent(provider, ann=GIVEN)
    agreement = agreed(consumer, provider)
    with stream(transferred(consumer, agreement)) as reading:
        assert reading.read_all().num_rows == 0
