from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connector.outbox.letter import (
    MOST_SEEN,
    bounded,
    checked_callback,
    letter,
    loggable,
    names,
    readable,
    remember,
    shorten,
    unnamed,
)
from connector.outbox.ports import Outgoing
from connector.transfer.ports import Transfer
from schemas.base import Role
from schemas.dsp.transfer import TransferCompletionMessage, TransferState
from schemas.errors import Malformed
from schemas.usage import UsageKind, UsageRecord

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_letter_goes_to_the_path_of_its_message_below_the_counterpartys_base() -> None:
    transfer = Transfer(
        pid="ours",
        role=Role.CONSUMER,
        counterparty="did:web:them",
        counter_pid="urn:uuid:7/../x",
        callback="https://them.example/dsp/",
        state=TransferState.STARTED,
        agreement="a",
        dataset="d",
        format="f",
        use=None,
        created=NOW,
        updated=NOW,
    )
    message = TransferCompletionMessage(id="m1", provider_pid="urn:uuid:7/../x", consumer_pid="ours")
    written = letter(message, transfer, "transfer", NOW, timedelta(minutes=1))
    assert written.url == "https://them.example/dsp/transfers/urn:uuid:7%2F..%2Fx/completion"
    assert (written.id, written.process, written.recipient) == ("m1", "ours", "did:web:them")
    assert written.deadline == NOW + timedelta(minutes=1)
    with pytest.raises(Malformed, match="no '@id'"):
        letter(message.model_copy(update={"id": None}), transfer, "transfer", NOW, timedelta(minutes=1))


@pytest.mark.parametrize("value", ["", "x" * 513, "ü" * 300, "a\nb", "\x00", '"' * 400, "\ud800"])
def test_an_identifier_that_cannot_be_kept_is_refused_by_name(value: str) -> None:
    with pytest.raises(Malformed, match="your process id"):
        bounded("your process id", value)


def test_a_plain_identifier_is_kept() -> None:
    assert bounded("offer.@id", "CD123:ACN0101:456") == "CD123:ACN0101:456"


@pytest.mark.parametrize(
    "url", [None, "", "ftp://x", "file:///etc/passwd", "http://", "https://x?y", "http://[", "x"]
)
def test_a_callback_that_is_no_http_base_url_is_refused(url: str | None) -> None:
    with pytest.raises(Malformed, match="callbackAddress"):
        checked_callback(url)


def test_reasons_of_any_json_become_short_texts_on_one_line() -> None:
    reasons = ["plain", {"@value": "tagged", "@language": "en"}, {"a": [1]}, 5, "two\nlines\x07", "x" * 5000]
    assert readable(reasons)[:5] == ("plain", "tagged", '{"a": [1]}', "5", "two lines")
    assert len(readable(["y"] * 100)) == 8
    assert all(len(text) <= 400 for text in readable(reasons))


def test_a_record_with_the_longest_foreign_texts_fits_into_the_log() -> None:
    longest = "x" * 512
    hostile = readable(["\N{GRINNING FACE}" * 5000] * 9)
    record = UsageRecord(
        id="urn:uuid:00000000-0000-4000-8000-000000000001",
        at=1,
        kind=UsageKind.NEGOTIATION_TERMINATED,
        log="did:web:" + "l" * 60,
        counterparty="did:web:" + "c" * 60,
        dataset=longest,
        agreement=longest,
        policy="sha256:" + "0" * 64,
        action=longest,
        purpose=longest,
        negotiation="urn:uuid:00000000-0000-4000-8000-000000000002",
        decision="deny",
        reasons=loggable((shorten("p" * 900), *hostile)),
    )
    assert len(record.canonical()) <= 4096


def test_only_the_last_message_ids_are_remembered() -> None:
    seen: tuple[str, ...] = ()
    for number in range(100):
        seen = remember(seen, str(number))
    assert len(seen) == MOST_SEEN
    assert seen[-1] == "99"
    assert remember(seen, None) == seen


@pytest.mark.parametrize("pid", ["", "x" * 513, "\u00fc" * 300, "a\nb", "\x00", 5, None])
def test_an_answer_whose_process_id_cannot_be_kept_opened_no_process(pid: object) -> None:
    wanted = frozenset({"providerPid"})
    assert not names({"providerPid": pid}, wanted)
    assert names({"providerPid": "urn:uuid:1"}, wanted)


def test_an_answer_that_tells_no_stage_has_entered_no_receipt() -> None:
    receipt = Outgoing(
        "urn:r:1",
        "receipt",
        "urn:a:1#receipts",
        "did:web:them",
        "POST",
        "https://peer.example/x",
        {},
        NOW,
        NOW,
        NOW,
    )
    wanted = unnamed(receipt)
    answers: tuple[object, ...] = (None, "taken", [], {}, {"stage": 1}, {"receipt": "urn:r:1"})
    for answer in answers:
        assert not names(answer, wanted)
    assert names({"stage": "fulfilled"}, wanted)
