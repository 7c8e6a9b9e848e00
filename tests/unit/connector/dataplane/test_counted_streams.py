"""Counted limits in the stream: cut at the bound, paced, and given back what never left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.meter import rows_within
from connector.dataplane.stream import MOST_WAIT, OpenStream
from schemas.dsp.transfer import TransferState
from schemas.errors import PolicyMismatch, StreamEnded, UnreadableData, UseDenied
from schemas.usage import UsageKind
from schemas.vocab import HANSA, ODRL
from tests.streaming import Provider, end_of, limit, offer

ROWS = 5_000
TABLE = pa.table({"id": range(ROWS), "name": [f"name {i % 7}" * (i % 3) for i in range(ROWS)]})


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path, batch_bytes=16 << 10)
    yield made
    made.close()


@pytest.fixture
def paced(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """Waiting moves the provider's clock; returns how long was waited."""
    waited: list[timedelta] = []

    def wait(_: threading.Event, most: timedelta) -> None:
        waited.append(most)
        provider.now += most

    monkeypatch.setattr(provider.streams, "wait", wait)
    return waited


def counted(most: int, unit: str | None = None, operator: str = "lteq") -> list[dict[str, Any]]:
    """Terms that count requests, or what is named."""
    terms = [{"leftOperand": ODRL + "count", "operator": operator, "rightOperand": most}]
    if unit is not None:
        terms.append({"leftOperand": ODRL + "unitOfCount", "operator": "eq", "rightOperand": HANSA + unit})
    return terms


class TestBytes:
    """At most so many bytes over the life of an agreement."""

    @pytest.mark.parametrize("most", [21, 999, 4_096, 50_001])
    def test_a_stream_is_cut_before_the_row_that_would_pass_the_bound(
        self, provider: Provider, most: int
    ) -> None:
        found = provider.read(provider.ticket(TABLE, limit("byteCount", "lteq", most)))
        assert found.equals(TABLE.slice(0, found.num_rows))
        assert (provider.end.kind, provider.end.rows) == ("byte-limit", found.num_rows)
        assert f"{most:,} bytes in all" in provider.end.reason
        used = provider.usage.totals(provider.agreement).bytes
        assert most - 80 < used <= most, "no row has more than 80 bytes"
        settled = provider.records()[-1]
        assert (settled.rows, settled.byte_count) == (found.num_rows, used)

    def test_a_bound_that_the_data_do_not_reach_is_none(self, provider: Provider) -> None:
        assert provider.read(provider.ticket(TABLE, limit("byteCount", "lteq", 10**7))).equals(TABLE)
        assert provider.end.kind == "complete"

    def test_bytes_that_are_too_few_for_a_row_let_none_leave_and_are_kept(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE, limit("byteCount", "lteq", 7))
        assert provider.read(ticket).num_rows == 0
        assert provider.end.kind == "byte-limit"
        assert provider.usage.totals(provider.agreement).bytes == 0

    def test_readers_of_one_agreement_share_its_bytes(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE, limit("byteCount", "lteq", 60_000))
        sizes: list[int] = []

        def read(stream: OpenStream) -> None:
            with stream:
                sizes.extend(batch.nbytes for batch, _ in stream.batches())

        streams = [provider.streams.open(ticket) for _ in range(8)]
        readers = [threading.Thread(target=read, args=(stream,)) for stream in streams]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        used = provider.usage.totals(provider.agreement).bytes
        assert sum(sizes) == used <= 60_000

    def test_no_byte_of_the_row_after_the_bound_leaves(self, provider: Provider) -> None:
        table = pa.table({"text": ["seen", "SECRET"] * 50})
        ticket = provider.ticket(table, limit("byteCount", "lteq", 14))
        with provider.streams.open(ticket) as stream:
            ((batch, _),) = list(stream.batches())
        assert batch.num_rows == 1
        assert b"SECRET" not in batch.serialize().to_pybytes()

    def test_bytes_are_counted_where_nothing_limits_them(self, provider: Provider) -> None:
        with provider.streams.open(provider.ticket(TABLE)) as stream:
            sizes = [batch.nbytes for batch, _ in stream.batches()]
        assert provider.usage.totals(provider.agreement).bytes == sum(sizes)


@given(st.lists(st.none() | st.text(max_size=40), min_size=1, max_size=60), st.integers(0, 600))
def test_the_most_rows_that_fit_are_taken(texts: list[str | None], most: int) -> None:
    batch = pa.record_batch({"text": pa.array(texts, pa.string()), "id": range(len(texts))})
    rows = rows_within(batch, most)
    assert rows == max(n for n in range(len(texts) + 1) if n == 0 or batch.slice(0, n).nbytes <= most)


class TestRequests:
    """At most so many openings."""

    @pytest.mark.parametrize(("operator", "allowed"), [("lteq", 3), ("lt", 2)])
    def test_the_one_that_is_asked_for_counts(self, provider: Provider, operator: str, allowed: int) -> None:
        ticket = provider.ticket(TABLE, *counted(3, operator=operator))
        for _ in range(allowed):
            provider.read(ticket)
        with pytest.raises(UseDenied, match=f"{allowed} of {allowed} requests"):
            provider.streams.open(ticket)
        assert provider.usage.totals(provider.agreement).requests == allowed
        denied = provider.records()[-1]
        assert (denied.kind, denied.decision, denied.requests_before) == (
            UsageKind.ACCESS_DECISION,
            "deny",
            allowed,
        )

    def test_two_openings_at_once_cannot_both_take_the_last(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE, *counted(5))
        said: list[str] = []
        start = threading.Barrier(16)

        def ask() -> None:
            start.wait()
            try:
                provider.read(ticket)
                said.append("read")
            except UseDenied:
                said.append("denied")

        readers = [threading.Thread(target=ask) for _ in range(16)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert (said.count("read"), said.count("denied")) == (5, 11)

    def test_a_request_that_failed_at_the_provider_is_given_back(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE, *counted(1))
        file = provider.data / "t.parquet"
        good = file.read_bytes()
        file.write_bytes(b"PAR1")
        with pytest.raises(UnreadableData):
            provider.streams.open(ticket)
        file.write_bytes(good)
        with pytest.raises(PolicyMismatch):
            provider.streams.open(ticket, columns=["sesame"])
        settled = provider.records()[-1]
        assert (settled.kind, settled.rows, settled.requests) == (UsageKind.STREAM_SETTLED, 0, 0)
        assert "sesame" in str(settled.detail["reason"])
        assert provider.read(ticket).equals(TABLE)
        assert provider.usage.totals(provider.agreement).requests == 1

    def test_a_reader_that_goes_away_has_had_its_request(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE, *counted(1))
        with provider.streams.open(ticket):
            pass
        with pytest.raises(UseDenied):
            provider.streams.open(ticket)


class TestEpochs:
    """The data are read from the first row on so many times."""

    def test_a_broken_stream_goes_on_and_a_second_reading_is_denied(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE, *counted(1, "epoch"))
        with provider.streams.open(ticket) as stream:
            batches = stream.batches()
            (first, at), _ = next(batches), next(batches)
        broken = stream.position
        start = broken - broken // 9
        rest = provider.read(ticket, start)
        assert rest.equals(TABLE.slice(start))
        assert at == first.num_rows
        for again in (0, start):
            with pytest.raises(UseDenied, match="1 of 1 epochs"):
                provider.streams.open(ticket, again)

    @pytest.mark.parametrize("columns", [["no such column"], []])
    def test_what_could_not_be_opened_costs_no_epoch_of_any_transfer(
        self, provider: Provider, columns: list[str]
    ) -> None:
        own = offer(*counted(1, "epoch"))
        dataset = provider.publish(TABLE, own).published[0]
        first = provider.grant(dataset, own)
        with pytest.raises(PolicyMismatch):
            provider.streams.open(first, 0, columns)
        assert provider.usage.totals(provider.agreement).epochs == 0
        other = provider.start(provider.agreement, dataset)
        assert provider.read(other).equals(TABLE)
        with pytest.raises(UseDenied, match="1 of 1 epochs"):
            provider.streams.open(first)

    @pytest.mark.usefixtures("paced")
    def test_while_one_reads_no_other_begins(self, provider: Provider) -> None:
        ticket = provider.ticket(TABLE, *counted(2, "epoch"))
        with (
            provider.streams.open(ticket),
            provider.streams.open(ticket, 10),
            pytest.raises(UseDenied, match="2 of 2 epochs"),
        ):
            provider.streams.open(ticket, 20)

    def test_a_reader_that_comes_back_at_once_is_waited_for_until_its_stream_has_ended(
        self, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ticket = provider.ticket(TABLE, *counted(1, "epoch"))
        stream = provider.streams.open(ticket)
        batches = stream.batches()  # held: a reading that nobody holds has ended
        next(batches)
        start = stream.position
        waited = threading.Event()
        real = provider.streams.wait

        def wait(look: threading.Event, most: timedelta) -> None:
            waited.set()
            real(look, most)

        def break_off() -> None:
            waited.wait(10)
            stream.close()

        monkeypatch.setattr(provider.streams, "wait", wait)
        breaks = threading.Thread(target=break_off)
        breaks.start()
        assert provider.read(ticket, start).equals(TABLE.slice(start))
        assert waited.is_set()
        breaks.join()


class TestRate:
    """At most so many rows a period."""

    def test_a_stream_waits_for_its_rate_instead_of_failing(
        self, provider: Provider, paced: list[timedelta]
    ) -> None:
        ticket = provider.ticket(TABLE, limit("rate", "lteq", "1000/PT10S"))
        began = provider.now
        assert provider.read(ticket).equals(TABLE)
        assert provider.end.kind == "complete"
        assert provider.now - began == timedelta(seconds=40), "the first thousand come at once"
        assert max(paced) <= timedelta(seconds=0.5), "it looks meanwhile whether it may go on"

    def test_no_period_has_more_rows_than_the_rate_however_many_read(
        self, provider: Provider, paced: list[timedelta]
    ) -> None:
        ticket = provider.ticket(TABLE, limit("rate", "lteq", "1000/PT10S"))
        streams = [provider.streams.open(ticket) for _ in range(3)]
        ways = [stream.batches() for stream in streams]
        left: list[tuple[Any, int]] = []
        for turn in range(60):
            batch, _ = next(ways[turn % 3])
            left.append((provider.now, batch.num_rows))
        for stream in streams:
            stream.close()
        for first, (since, _) in enumerate(left):
            for last in range(first, len(left)):
                rows = sum(rows for _, rows in left[first : last + 1])
                assert rows <= 1000 + (left[last][0] - since) / timedelta(seconds=10) * 1000
        assert paced

    def test_a_stream_that_waits_still_halts(
        self, provider: Provider, paced: list[timedelta], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = provider.streams.open(provider.ticket(TABLE, limit("rate", "lteq", "1000/PT10S")))
        ways = stream.batches()
        while stream.position < 800:
            next(ways)
        sent = stream.position
        assert not paced

        def wait(_: threading.Event, most: timedelta) -> None:
            provider.now += most
            provider.move(TransferState.SUSPENDED, reasons=("maintenance",))
            monkeypatch.undo()

        monkeypatch.setattr(provider.streams, "wait", wait)
        assert next(ways, None) is None
        assert (end_of(stream).kind, end_of(stream).rows) == ("suspended", sent)

    def test_a_stream_that_would_wait_for_long_ends_and_says_when_to_go_on(
        self, provider: Provider, paced: list[timedelta]
    ) -> None:
        ticket = provider.ticket(TABLE, limit("rate", "lteq", "10/P1D"))
        assert provider.read(ticket).num_rows == 10
        assert (provider.end.kind, provider.end.passing) == ("rate-limit", False)
        assert "10 rows in 1 day" in provider.end.reason
        assert (provider.now + timedelta(days=0.1)).isoformat(timespec="seconds") in provider.end.reason
        assert sum(paced, timedelta(0)) <= MOST_WAIT

    def test_a_wait_ends_as_soon_as_somebody_asks_the_stream_to_look(self, provider: Provider) -> None:
        look = threading.Event()
        look.set()
        provider.streams.wait(look, timedelta(days=1))

    def test_a_reader_over_the_wire_is_told_the_rows_and_the_time_to_come_again(
        self, provider: Provider
    ) -> None:
        ticket = provider.ticket(TABLE, limit("rate", "lteq", "10/P1D"))
        with provider.door():
            client = provider.client(ticket)
            with pytest.raises(StreamEnded, match="go on from 2026-11-23T14:24:00") as ended:
                client.read_all()
            client.close()
        assert (ended.value.rows, ended.value.end) == (10, "rate-limit")
        assert provider.usage.totals(provider.agreement).requests == 1
