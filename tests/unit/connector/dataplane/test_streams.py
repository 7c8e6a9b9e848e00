"""A stream lets go what its ticket, agreement, decision and log allow, and tells how it ended."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connector.dataplane.stream import OpenStream
from connector.transfer.ticket import Ticket, issue, verify
from policies.use import Claims
from schemas.dsp.transfer import TransferState
from schemas.errors import (
    Forbidden,
    Malformed,
    NotFound,
    PolicyMismatch,
    StorageUnavailable,
    Unauthenticated,
    UnreadableData,
    UseDenied,
    WorldMoved,
)
from schemas.identity import generate_key
from schemas.usage import UsageKind
from schemas.vocab import DPV
from tests.streaming import Provider, end_of, limit, offer, write

ROWS = 10_000
TABLE = pa.table(
    {
        "id": range(ROWS),
        "name": [f"name {i % 7}" for i in range(ROWS)],
        "secret": [f"SECRET {i}" for i in range(ROWS)],
        "age": [None if i % 10 == 9 else i % 90 for i in range(ROWS)],
    }
)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    yield made
    made.close()


def changed(provider: Provider, ticket: str, **changes: Any) -> str:
    held = verify(ticket, provider.key, provider.now)
    return issue(replace(held, **changes), provider.key)


def test_an_open_dataset_streams_whole_and_the_log_covers_it(provider: Provider) -> None:
    ticket = provider.ticket(TABLE)
    assert provider.read(ticket).equals(TABLE)
    assert (provider.end.kind, provider.end.rows) == ("complete", ROWS)
    records = provider.records()[1:]
    assert [record.kind for record in records[:2]] == [UsageKind.ACCESS_DECISION, UsageKind.STREAM_RESERVED]
    decision, settled = records[0], records[-1]
    assert (decision.decision, decision.rows_before, decision.action) == ("permit", 0, settled.action)
    assert (settled.kind, settled.rows, settled.detail["end"]) == (UsageKind.STREAM_SETTLED, ROWS, "complete")
    assert sum(record.rows or 0 for record in records if record.kind is UsageKind.STREAM_RESERVED) == ROWS
    assert provider.usage.totals(provider.agreement).rows == ROWS
    assert provider.streams.count == 0


def test_filter_mask_and_hidden_columns_hold_together(provider: Provider) -> None:
    ticket = provider.ticket(
        TABLE,
        limit("column/age", "gteq", 18),
        limit("columns", "isAnyOf", ["id", "name"]),
        limit("mask/name", "eq", "hash"),
    )
    found = provider.read(ticket)
    ages = TABLE["age"].to_pylist()
    assert found.column_names == ["id", "name"]
    assert found["id"].to_pylist() == [i for i in range(ROWS) if ages[i] is not None and ages[i] >= 18]
    assert len(set(found["name"].to_pylist())) == 7
    assert not set(found["name"].to_pylist()) & set(TABLE["name"].to_pylist())


def test_a_resumed_stream_gives_the_same_rows_from_any_row_on(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, limit("column/age", "lt", 50), row_group_size=1500)
    whole = provider.read(ticket)
    with provider.streams.open(ticket) as stream:
        ends = [position for _, position in stream.batches()]
    for start in [
        *ends,
        1,
        ends[0] + 1,
        ends[0] // 2,
        whole.num_rows - 1,
        whole.num_rows,
        whole.num_rows + 5,
    ]:
        assert provider.read(ticket, start).equals(whole.slice(start)), start


def test_a_choice_of_columns_is_a_choice_among_the_released(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, limit("columns", "isAnyOf", ["id", "name"]))
    assert provider.read(ticket, columns=["name"]).column_names == ["name"]
    with pytest.raises(
        PolicyMismatch, match="'secret' is not among those that you may read: id, name"
    ) as hidden:
        provider.read(ticket, columns=["secret"])
    with pytest.raises(PolicyMismatch) as unknown:
        provider.read(ticket, columns=["sesame"])
    assert str(hidden.value).replace("secret", "sesame") == str(unknown.value)


def test_a_column_that_came_into_the_file_later_is_not_released(provider: Provider) -> None:
    ticket = provider.ticket(TABLE.select(["id", "name"]))
    write(provider.data / "t.parquet", TABLE)
    assert provider.read(ticket).column_names == ["id", "name"]
    write(provider.data / "t.parquet", TABLE.select(["id"]))
    with pytest.raises(PolicyMismatch, match="'name'"):
        provider.read(ticket)


class TestRowLimit:
    """At most so many rows over the life of an agreement."""

    @pytest.mark.parametrize("most", [1, 999, 1000, 1001, 2500, ROWS - 1])
    def test_a_stream_is_cut_exactly_at_the_limit_and_says_so(self, provider: Provider, most: int) -> None:
        ticket = provider.ticket(TABLE, limit("rowCount", "lteq", most))
        assert provider.read(ticket).equals(TABLE.slice(0, most))
        assert (provider.end.kind, provider.end.rows) == ("row-limit", most)
        assert f"{most:,} rows in all" in provider.end.reason
        assert provider.usage.totals(provider.agreement).rows == most

    def test_a_limit_that_the_data_just_reach_is_no_limit(self, provider: Provider) -> None:
        provider.read(provider.ticket(TABLE, limit("rowCount", "lteq", ROWS)))
        assert provider.end.kind == "complete"

    def test_what_is_used_up_is_denied_with_the_reason_and_logged(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE, limit("rowCount", "lteq", 5))
        provider.read(ticket)
        with pytest.raises(UseDenied, match="5"):
            provider.read(ticket)
        last = provider.records()[-1]
        assert (last.kind, last.decision, last.rows_before) == (UsageKind.ACCESS_DECISION, "deny", 5)

    def test_two_readers_of_one_agreement_share_its_limit(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE, limit("rowCount", "lteq", 2500))
        first, second = provider.streams.open(ticket), provider.streams.open(ticket)
        ways = [first.batches(), second.batches()]
        rows = 0
        while ways:
            for way in list(ways):
                item = next(way, None)
                rows += item[0].num_rows if item else 0
                if item is None:
                    ways.remove(way)
        assert rows == 2500 == provider.usage.totals(provider.agreement).rows

    def test_no_byte_of_the_row_after_the_limit_leaves(self, provider: Provider) -> None:
        table = pa.table({"text": ["seen", "SECRET"] * 50, "flag": [True] * 100})
        ticket = provider.ticket(table, limit("rowCount", "lteq", 1))
        with provider.streams.open(ticket) as stream:
            ((batch, _),) = list(stream.batches())
        assert b"SECRET" not in batch.serialize().to_pybytes()

    def test_no_byte_of_a_row_that_the_filter_drops_leaves(self, provider: Provider) -> None:
        texts = [f"seen {i:04}" for i in range(2000)] + ["SECRET"] * 2000
        table = pa.table({"text": texts, "open": [True] * 2000 + [False] * 2000})
        ticket = provider.ticket(table, limit("column/open", "eq", True), row_group_size=1000)
        with provider.streams.open(ticket) as stream:
            sent = b"".join(batch.serialize().to_pybytes() for batch, _ in stream.batches())
        assert b"seen 1999" in sent
        assert b"SECRET" not in sent


class TestEnds:
    """What ends a stream before its data do."""

    def begun(
        self, provider: Provider, *terms: dict[str, Any]
    ) -> tuple[OpenStream, Generator[Any, None, None]]:
        stream = provider.streams.open(provider.ticket(TABLE, *terms))
        batches = stream.batches()
        next(batches)
        assert isinstance(batches, Generator)
        return stream, batches

    def test_an_agreement_that_is_revoked_ends_its_streams_with_the_reason(self, provider: Provider) -> None:
        stream, batches = self.begun(provider)
        provider.stores.negotiations.revoke(provider.agreement, "contract breach")
        provider.streams.look_again(provider.agreement)
        assert next(batches, None) is None
        assert end_of(stream).kind == "revoked"
        assert "contract breach" in end_of(stream).reason
        assert provider.records()[-1].detail["end"] == "revoked"

    def test_a_duty_that_is_overdue_ends_a_stream_whether_or_not_anybody_suspended_it(
        self, provider: Provider
    ) -> None:
        stream, batches = self.begun(provider)
        provider.streams._hindrance = lambda agreement: f"obligation overdue: delete of {agreement}"
        provider.now += timedelta(milliseconds=500)
        assert next(batches, None) is None
        assert stream.end is not None
        assert (end_of(stream).kind, "obligation overdue: delete" in end_of(stream).reason) == (
            "suspended",
            True,
        )

    def test_a_stream_looks_by_itself_after_half_a_second(self, provider: Provider) -> None:
        stream, batches = self.begun(provider)
        provider.stores.negotiations.revoke(provider.agreement, "contract breach")
        assert next(batches, None) is not None
        provider.now += timedelta(seconds=0.5)
        assert next(batches, None) is None
        assert end_of(stream).kind == "revoked"

    @pytest.mark.parametrize(
        ("state", "kind"),
        [
            (TransferState.SUSPENDED, "suspended"),
            (TransferState.TERMINATED, "terminated"),
            (TransferState.COMPLETED, "terminated"),
        ],
    )
    def test_a_transfer_that_stops_ends_its_streams(
        self, provider: Provider, state: TransferState, kind: str
    ) -> None:
        stream, batches = self.begun(provider)
        provider.move(state, reasons=("maintenance",))
        provider.streams.look_again(provider.transfer)
        assert next(batches, None) is None
        assert end_of(stream).kind == kind

    def test_the_end_of_the_permission_ends_the_stream(self, provider: Provider) -> None:
        stream, batches = self.begun(provider, limit("dateTime", "lt", "2026-11-23T12:10:00Z"))
        provider.now += timedelta(minutes=10)
        assert next(batches, None) is None
        assert end_of(stream).kind == "expired"
        assert "12:10:00" in end_of(stream).reason

    def test_a_log_that_cannot_be_written_lets_nothing_leave(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE)
        provider.usage.writes = 0
        with pytest.raises(StorageUnavailable):
            provider.streams.open(ticket)
        provider.usage.writes = 1
        with pytest.raises(StorageUnavailable), provider.streams.open(ticket) as stream:
            next(stream.batches())
        assert provider.usage.totals(provider.agreement).rows == 0
        provider.usage.writes = 100
        assert provider.read(ticket).num_rows == ROWS

    def test_a_log_that_fails_in_the_middle_ends_the_stream_with_the_reason(self, provider: Provider) -> None:
        stream = provider.streams.open(provider.ticket(TABLE, limit("rowCount", "lteq", ROWS)))
        provider.usage.writes = 3
        rows = sum(batch.num_rows for batch, _ in stream.batches())
        assert 0 < rows < ROWS
        assert end_of(stream).kind == "failed"
        assert "disk is full" in end_of(stream).reason

    def test_what_could_not_be_settled_is_settled_exactly_once_the_log_takes_it(
        self, provider: Provider
    ) -> None:
        stream = provider.streams.open(provider.ticket(TABLE, limit("rowCount", "lteq", ROWS)))
        provider.usage.writes = 3
        rows = sum(batch.num_rows for batch, _ in stream.batches())
        assert end_of(stream).passing, "a reader that comes again may go on"
        reserved = provider.usage.totals(provider.agreement).rows
        provider.streams.tick()
        assert provider.usage.totals(provider.agreement).rows == reserved, "the log still fails"
        provider.usage.writes = 100
        for _ in range(2):
            provider.streams.tick()
        settled = [record for record in provider.records() if record.kind is UsageKind.STREAM_SETTLED]
        assert [(record.rows, record.stream) for record in settled] == [(rows, stream.id)]
        assert provider.usage.totals(provider.agreement).rows == rows

    def test_a_file_that_breaks_in_the_middle_ends_the_stream_with_the_reason(
        self, provider: Provider
    ) -> None:
        ticket = provider.ticket(TABLE, row_group_size=1000, use_dictionary=False, compression="snappy")
        path = provider.data / "t.parquet"
        broken = bytearray(path.read_bytes())
        # The reader works some row groups ahead, and tells of a broken one at once: so break it late.
        late = len(broken) * 4 // 5
        broken[late : late + 5_000] = bytes(5_000)
        path.write_bytes(broken)
        stream = provider.streams.open(ticket)
        rows = sum(batch.num_rows for batch, _ in stream.batches())
        assert 0 < rows < ROWS
        assert end_of(stream).kind == "failed"
        assert "t.parquet" in end_of(stream).reason
        assert str(provider.folder) not in end_of(stream).reason

    def test_a_file_that_is_broken_from_the_start_is_an_error(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE)
        (provider.data / "t.parquet").write_bytes(b"PAR1")
        with pytest.raises(UnreadableData):
            provider.streams.open(ticket)

    def test_a_reader_that_goes_away_is_settled_for_what_it_got(self, provider: Provider) -> None:
        stream, batches = self.begun(provider)
        got = stream.position
        stream.close()
        batches.close()
        last = provider.records()[-1]
        assert (last.kind, last.rows, last.detail["end"]) == (UsageKind.STREAM_SETTLED, got, "failed")
        assert provider.usage.totals(provider.agreement).rows == got
        assert provider.streams.count == 0


class TestTickets:
    """Who may open a stream."""

    def test_an_altered_or_foreign_ticket_proves_nothing(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE)
        head, body, mark = ticket.split(".")
        held = verify(ticket, provider.key, provider.now)
        for wrong in (
            "",
            "x",
            f"{head}.{body}.{mark[:-4]}AAAA",
            f"{head}.{body[:-4]}AAAA.{mark}",
            issue(held, generate_key()),
        ):
            with pytest.raises(Unauthenticated):
                provider.streams.open(wrong)

    def test_a_ticket_is_good_for_its_time_only(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE)
        provider.now += timedelta(hours=2)
        with pytest.raises(Unauthenticated, match="expired"):
            provider.streams.open(ticket)

    def test_a_ticket_is_bound_to_transfer_agreement_and_consumer(self, provider: Provider) -> None:
        first = provider.ticket(TABLE)
        agreement = provider.agreement
        ticket = provider.grant(provider.offerings.page(0, 1)[0].dataset.id, offer())
        for change in (
            {"agreement": agreement},
            {"consumer": "did:web:other.example"},
            {"dataset": "urn:other"},
        ):
            with pytest.raises(Unauthenticated):
                provider.streams.open(changed(provider, ticket, **change))
        with pytest.raises(NotFound):
            provider.streams.open(first, transfer=provider.transfer)
        with pytest.raises(NotFound):
            provider.streams.open(changed(provider, ticket, transfer="urn:none"))

    def test_a_ticket_of_an_older_epoch_or_a_revoked_agreement_opens_nothing(
        self, provider: Provider
    ) -> None:
        ticket = provider.ticket(TABLE)
        with pytest.raises(Forbidden, match="epoch"):
            provider.streams.open(changed(provider, ticket, epoch=7))
        provider.stores.negotiations.revoke(provider.agreement, "breach")
        with pytest.raises(Forbidden, match="breach"):
            provider.streams.open(ticket)

    def test_a_transfer_that_is_not_started_opens_nothing(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE)
        provider.move(TransferState.SUSPENDED)
        with pytest.raises(WorldMoved, match="suspended"):
            provider.streams.open(ticket)

    def test_the_policy_decides_on_the_use_that_the_ticket_names(self, provider: Provider) -> None:
        terms = offer(limit("purpose", "isA", DPV + "ResearchAndDevelopment"))
        (dataset,) = provider.publish(TABLE, terms).published
        ticket = provider.grant(dataset, terms, purpose=DPV + "Marketing")
        with pytest.raises(UseDenied, match="Marketing"):
            provider.streams.open(ticket)
        denied = provider.records()[-1]
        assert (denied.decision, denied.purpose) == ("deny", DPV + "Marketing")
        assert denied.reasons
        fine = provider.start(provider.agreement, dataset, purpose=DPV + "ScientificResearch")
        assert provider.read(fine).num_rows == ROWS

    def test_a_start_that_is_no_row_is_refused(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE)
        for start in (-1, 2**60):
            with pytest.raises(Malformed):
                provider.streams.open(ticket, start)


def test_the_schema_says_which_stream_it_is_and_nothing_of_the_file(provider: Provider) -> None:
    table = TABLE.replace_schema_metadata({"pandas": "SECRET", "path": str(provider.folder)})
    with provider.streams.open(provider.ticket(table)) as stream:
        assert set(stream.schema.metadata) == {b"transfer", b"agreement", b"stream", b"watermark"}
        assert isinstance(stream.ticket, Ticket)


def test_a_stream_opens_by_what_is_known_of_the_consumer_now_and_the_log_keeps_it(provider: Provider) -> None:
    group = limit("participantGroup", "isPartOf", "labs")
    ticket = provider.ticket(TABLE, group)
    with pytest.raises(UseDenied, match="is not known to be in labs"):
        provider.read(ticket)
    provider.claims = Claims(frozenset({"labs", "others"}), region="DE", listed=True)
    assert provider.read(ticket).equals(TABLE)
    provider.claims = Claims(listed=True)
    with pytest.raises(UseDenied, match="is not known to be in labs"):
        provider.read(ticket)
    decisions = [record for record in provider.records() if record.kind is UsageKind.ACCESS_DECISION]
    assert [record.decision for record in decisions] == ["deny", "permit", "deny"]
    assert [record.detail.get("claims") for record in decisions] == [
        None,
        '{"groups":["labs"],"listed":true}',
        '{"listed":true}',
    ]


def test_rows_that_were_reserved_at_once_are_delivered_when_they_leave(provider: Provider) -> None:
    provider.block_rows = provider.streams.block_rows = 1 << 20
    with provider.streams.open(provider.ticket(TABLE, row_group_size=1000)) as stream:
        batches = stream.batches()
        next(batches)
        begun = provider.now
        provider.now += timedelta(seconds=90)
        next(batches)
        left = provider.now
        provider.now += timedelta(seconds=90)
    totals = provider.stores.usage.totals(provider.agreement)
    assert (totals.first_delivery, totals.last_delivery) == (begun, left)


def test_a_stream_ends_its_time_after_the_delivery_that_it_is_itself(provider: Provider) -> None:
    ticket = provider.ticket(TABLE, limit("elapsedSinceDelivery", "lteq", "PT10M"), row_group_size=1000)
    begun = provider.now
    with provider.streams.open(ticket) as stream:
        batches = stream.batches()
        next(batches)
        provider.now = begun + timedelta(minutes=10)
        assert next(batches, None) is not None
        provider.now = begun + timedelta(minutes=10, seconds=1)
        assert next(batches, None) is None
        assert stream.end is not None
        assert end_of(stream).kind == "expired"
    with pytest.raises(UseDenied):
        provider.streams.open(ticket)
