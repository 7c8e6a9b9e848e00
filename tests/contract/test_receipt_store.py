"""What every store of our receipts promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from connector.adapters.sql import SqlStores
from connector.obligations.fulfilment import Fulfilments
from connector.obligations.sent import Fate, SentReceipt
from connector.outbox.ports import Delivery, Outgoing
from policies.words.carried import spoken
from policies.words.language import message
from schemas.errors import AlreadyExists, NotFound, StaleState, StorageUnavailable
from schemas.identity import generate_key
from schemas.usage import UsageKind, UsageRecord
from schemas.vocab import ODRL
from schemas.worded import Worded
from tests.store_builders import AGREEMENT, NOW, PEER, record


def receipt(number: int = 1) -> SentReceipt:
    return SentReceipt(
        id=f"urn:receipt:{number}",
        agreement=AGREEMENT,
        counterparty=PEER,
        dataset="urn:dataset:1",
        policy="sha256:00",
        action=ODRL + "delete",
        done=NOW,
        token="ey.ey.sig",
        signed=NOW + timedelta(seconds=number),
    )


def letter(sent: SentReceipt) -> Outgoing:
    return Outgoing(
        id=sent.id,
        kind="receipt",
        process=f"{sent.agreement}#receipts",
        recipient=PEER,
        method="POST",
        url="https://peer.example/dsp/receipts",
        document={"receipt": sent.token},
        created=NOW,
        deadline=NOW + timedelta(days=1),
        due=NOW,
    )


def logged(stores: SqlStores) -> int:
    stores.usage.sequence()
    return stores.usage.size()


def test_a_receipt_comes_back_as_it_was_saved_and_its_mail_waits(stores: SqlStores) -> None:
    sent = receipt()
    stores.receipts.add(sent, letter(sent))
    assert stores.receipts.get(sent.id) == replace(sent, version=1)
    assert [one.id for one in stores.outbox.pending()] == [sent.id]
    with pytest.raises(NotFound, match="urn:receipt:9"):
        stores.receipts.get("urn:receipt:9")


def test_receipts_of_an_agreement_come_oldest_first(stores: SqlStores) -> None:
    for number in (3, 1, 2):
        stores.receipts.add(receipt(number), letter(receipt(number)))
    other = replace(receipt(4), agreement="urn:uuid:other")
    stores.receipts.add(other, letter(other))
    assert [one.id[-1] for one in stores.receipts.of(AGREEMENT)] == ["1", "2", "3"]
    assert [one.id[-1] for one in stores.receipts.recent(3)] == ["4", "3", "2"]


def test_a_receipt_of_the_same_id_is_refused_and_sends_nothing_more(stores: SqlStores) -> None:
    stores.receipts.add(receipt(), letter(receipt()))
    with pytest.raises(AlreadyExists):
        stores.receipts.add(replace(receipt(), token="other"), replace(letter(receipt()), id="urn:letter:2"))
    assert [one.id for one in stores.outbox.pending()] == ["urn:receipt:1"]
    assert stores.receipts.get("urn:receipt:1").token == "ey.ey.sig"


def test_its_fate_and_the_record_of_it_are_one_save_and_the_second_writer_is_told(stores: SqlStores) -> None:
    stores.receipts.add(receipt(), letter(receipt()))
    before = logged(stores)
    held = stores.receipts.get("urn:receipt:1")
    reasons = ("plain", spoken(message("why.nothing")))
    taken = replace(held, fate=Fate.TAKEN, answer={"stage": "fulfilled", "period": 1}, reasons=reasons)
    stores.receipts.save(taken, [record(UsageKind.OBLIGATION_FULFILLED)])
    assert stores.receipts.get("urn:receipt:1") == replace(taken, version=2)
    assert isinstance(stores.receipts.get("urn:receipt:1").reasons[1], Worded)
    assert logged(stores) == before + 1
    with pytest.raises(StaleState, match="version 1"):
        stores.receipts.save(taken, [record(UsageKind.OBLIGATION_FULFILLED)])
    assert logged(stores) == before + 1


def test_neither_receipt_nor_mail_is_saved_where_the_store_fails(
    stores: SqlStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise StorageUnavailable("on purpose")

    with monkeypatch.context() as patched:
        patched.setattr("connector.adapters.sql_receipts.put_outgoing", fails)
        with pytest.raises(StorageUnavailable):
            stores.receipts.add(receipt(), letter(receipt()))
    assert list(stores.receipts.of(AGREEMENT)) == []
    assert list(stores.outbox.pending()) == []
    stores.receipts.add(receipt(), letter(receipt()))
    with monkeypatch.context() as patched:
        patched.setattr("connector.adapters.sql_receipts.put_records", fails)
        with pytest.raises(StorageUnavailable):
            stores.receipts.save(replace(stores.receipts.get("urn:receipt:1"), fate=Fate.TAKEN), [])
    assert stores.receipts.get("urn:receipt:1").fate is Fate.WAITING


def test_what_became_of_a_receipt_is_told_once_however_often_a_crash_has_it_told(stores: SqlStores) -> None:
    class Log:
        def record(self, kind: UsageKind, **_: Any) -> UsageRecord:
            return record(kind)

    unused: Any = None
    fulfilments = Fulfilments(
        agreements=unused, store=stores.receipts, usage=cast(Any, Log()), peers=unused, key=generate_key(),
        did="did:web:us.example", clock=lambda: NOW, new_id=lambda: "urn:receipt:2",
    )  # fmt: skip
    mail, before = letter(receipt()), logged(stores)
    stores.receipts.add(receipt(), mail)
    for _ in range(2):
        fulfilments.delivered(mail, Delivery(200, {"stage": "fulfilled"}))
    fulfilments.undeliverable(mail, "refused as taken before", ())
    assert logged(stores) == before + 1
    held = stores.receipts.get("urn:receipt:1")
    assert (held.fate, held.problem) == (Fate.TAKEN, None)
