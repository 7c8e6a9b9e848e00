"""A duty from the agreement to the receipt, between two whole connectors over HTTP, on both databases."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.adapters.courier import HttpCourier
from connector.client.stream import Access, DataStream
from connector.offering.describe import Publication
from connector.outbox.ports import Outgoing
from connector.transfer.ports import Transfer
from policies.words.carried import in_words
from policies.words.language import Language
from schemas.base import Role
from schemas.binding.client import Egress
from schemas.binding.paths import RECEIPTS_PATH
from schemas.dsp.negotiation import NegotiationState as N
from schemas.dsp.transfer import TransferState as T
from schemas.errors import DataspaceError, IllegalMove, PeerRefused
from schemas.identity import generate_key, sign_claims
from schemas.odrl import Offer
from schemas.receipts import Receipt, sign_receipt
from schemas.usage import UsageKind
from schemas.vocab import FORMAT_ARROW_HTTP, HANSA, ODRL
from schemas.worded import reasons_of
from tests.faulty_space import LOOPBACK, FaultySpace, Side, faulty_space
from tests.processes import write_settings

pytestmark = pytest.mark.e2e

PATIENCE = 30.0
DELETE = ODRL + "delete"


def until(true: Callable[[], Any], what: str) -> Any:
    """Wait until another thread has done its part."""
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def duty(action: str, **limits: str) -> dict[str, Any]:
    operands = {"delayPeriod": "odrl", "timeInterval": "odrl", "consequence": "hansa"}
    return {
        "action": action,
        "constraint": [
            {
                "leftOperand": (ODRL if operands[name] == "odrl" else HANSA) + name,
                "operator": "lteq" if name == "delayPeriod" else "eq",
                "rightOperand": value,
            }
            for name, value in limits.items()
        ],
    }


@pytest.fixture
def space(tmp_path: Path, stores_url: str) -> Iterator[FaultySpace]:
    databases = {"hamburg": stores_url} if stores_url.startswith("postgresql") else None
    with faulty_space(tmp_path, None, databases) as running:
        yield running


def agreed(consumer: Side, provider: Side, *duties: dict[str, Any]) -> str:
    """Publish under an offer with duties, and agree to it."""
    offer = Offer.read({"@id": "", "permission": [{"action": "use"}], "obligation": list(duties)})
    made = Publication(source="open.parquet", title="With duties", id="urn:ds:with-duties", offers=(offer,))
    report = provider.connector.offerings.publish([made])
    assert report.published, report
    asked = consumer.ask(provider, "With duties")
    found = consumer.connector.negotiations.wait(asked.pid, {N.FINALIZED, N.TERMINATED}, PATIENCE)
    assert found.agreement is not None, found
    agreement = found.agreement.id
    until(lambda: provider.connector.stores.negotiations.agreement(agreement).final, "not final")
    return agreement


def transferred(consumer: Side, agreement: str) -> Transfer:
    opened = consumer.connector.transfers.request(agreement, None, FORMAT_ARROW_HTTP)
    return consumer.connector.transfers.wait(opened.pid, {T.STARTED, T.TERMINATED}, PATIENCE)


def stream(transfer: Transfer) -> DataStream:
    address = transfer.address
    assert address is not None
    assert address.endpoint is not None
    ticket = next(one.value for one in address.endpoint_properties if one.name == "authorization")
    access = Access(
        endpoint=address.endpoint,
        ticket=ticket,
        dataset=transfer.dataset,
        agreement=transfer.agreement,
        egress=Egress.allowing(LOOPBACK),
    )
    return DataStream(access, 0)


def kinds(side: Side, prefix: str = "obligation") -> list[str]:
    return [record.kind.value for record in side.records() if record.kind.value.startswith(prefix)]


def test_delete_after_from_the_stream_to_the_suspension_and_with_the_receipt_back(space: FaultySpace) -> None:
    provider, consumer = space.sides
    agreement = agreed(consumer, provider, duty("delete", delayPeriod="PT2S"))
    assert provider.connector.promises.ledger.owed() == []
    running = transferred(consumer, agreement)
    with stream(running) as reading:
        assert sum(batch.num_rows for batch in reading) == 5_000
    (owed,) = until(provider.connector.promises.ledger.owed, "nothing was entered")
    assert (owed.action, owed.counterparty, owed.agreement) == (DELETE, consumer.did, agreement)

    transfers = consumer.connector.transfers
    suspended = transfers.wait(running.pid, {T.SUSPENDED}, PATIENCE)
    assert suspended.state is T.SUSPENDED
    assert suspended.reasons[0].startswith("obligation overdue: delete (obligation[0])")
    assert in_words(suspended.reasons[0], Language.DE).startswith("überfällige Verpflichtung: delete")
    with (
        stream(running) as refused,
        pytest.raises(DataspaceError, match="suspended: obligation overdue") as raised,
    ):
        refused.read_all()
    in_german = in_words(reasons_of(raised.value)[0], Language.DE)
    assert "ist ausgesetzt: überfällige Verpflichtung: delete" in in_german
    another = transferred(consumer, agreement)
    assert another.state is T.TERMINATED
    assert f"hansa data deleted {agreement}" in another.reasons[0]

    (told,) = consumer.connector.promises.fulfilments.owed()
    assert (told["says"], told["stage"], told["action"]) == ("provider", "overdue", DELETE)
    taken = consumer.connector.promises.fulfilments.fulfil(
        agreement, DELETE, statement="All copies are gone."
    )
    assert (taken["stage"], taken["to"]) == ("fulfilled", provider.did)
    resumed = transfers.wait(running.pid, {T.STARTED}, PATIENCE)
    assert resumed.state is T.STARTED
    with stream(resumed) as reading:
        assert sum(batch.num_rows for batch in reading) == 5_000
    again = until(provider.connector.promises.ledger.owed, "what was delivered again is not owed again")
    assert again[0].period == 2
    assert kinds(provider)[:3] == ["obligation.due", "obligation.overdue", "obligation.fulfilled"] or kinds(
        provider
    )[:2] == ["obligation.overdue", "obligation.fulfilled"]
    assert kinds(consumer) == ["obligation.fulfilled"]
    logged = next(one for one in provider.records() if one.kind is UsageKind.OBLIGATION_FULFILLED)
    assert logged.detail["statement"] == "All copies are gone."


def test_a_duty_may_end_the_agreement(space: FaultySpace) -> None:
    provider, consumer = space.sides
    agreement = agreed(consumer, provider, duty("delete", delayPeriod="PT2S", consequence="terminate"))
    running = transferred(consumer, agreement)
    with stream(running) as reading:
        reading.read_all()
    ended = consumer.connector.transfers.wait(running.pid, {T.TERMINATED}, PATIENCE)
    assert any("obligation overdue: delete" in reason for reason in ended.reasons), ended
    held = provider.connector.stores.negotiations.agreement(agreement)
    assert str(held.revoked).startswith("obligation overdue: delete")


def forged(space: FaultySpace, agreement: str, **changes: Any) -> str:
    provider, consumer = space.sides
    held = consumer.connector.stores.negotiations.agreement(agreement)
    at = consumer.connector.clock()
    document = {
        "id": "urn:receipt:1",
        "agreement": agreement,
        "policy": held.digest,
        "action": ODRL + "attribute",
        "done": at.isoformat(),
    }
    receipt = Receipt.read(document | changes.get("receipt", {}))
    key = changes.get("key", consumer.connector._key)
    did = changes.get("did", consumer.did)
    return sign_receipt(receipt, key, did, changes.get("audience", provider.did), changes.get("at", at))


def hand_over(space: FaultySpace, token: str) -> Any:
    """Bring a receipt to the provider's door, as our own courier does."""
    provider, consumer = space.sides
    at = consumer.connector.clock()
    letter = Outgoing(
        id="urn:receipt:letter",
        kind="receipt",
        process="urn:test",
        recipient=provider.did,
        method="POST",
        url=provider.dsp + RECEIPTS_PATH,
        document={"receipt": token},
        created=at,
        deadline=at,
        due=at,
    )
    return HttpCourier(consumer.connector._world.http, consumer.connector.trust).carry(letter).document


def read_claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def test_forged_receipts_are_refused_with_the_reason_and_change_nothing(space: FaultySpace) -> None:
    provider, consumer = space.sides
    agreement = agreed(consumer, provider, duty("attribute"))
    until(provider.connector.promises.ledger.owed, "nothing was entered")
    late = "2999-01-01T00:00:00Z"
    good = forged(space, agreement)
    cases = {
        "signature does not hold": forged(space, agreement, key=generate_key()),
        "signature does not hold ": good[:-8] + ("A" * 8),
        "'iss' is": sign_claims(
            consumer.connector._key,
            f"{consumer.did}#{consumer.connector._key.kid}",
            read_claims(good) | {"iss": "did:web:somebody.example"},
        ),
        "InvalidKeyIdError": forged(space, agreement, did="did:web:somebody.example"),
        "'aud' is": forged(space, agreement, audience="did:web:somebody.example"),
        "it is about terms": forged(space, agreement, receipt={"policy": "sha256:" + "0" * 64}),
        "no agreement": forged(space, agreement, receipt={"agreement": "urn:uuid:another"}),
        "no 'delete' is owed": forged(space, agreement, receipt={"action": DELETE}),
        "which is after now": forged(space, agreement, receipt={"done": late}),
        "expected a signed|signature does not hold": "rubbish",
    }
    for reason, token in cases.items():
        with pytest.raises(PeerRefused, match=reason.strip()):
            hand_over(space, token)
    (owed,) = provider.connector.promises.ledger.owed()
    assert owed.version == 1
    assert kinds(provider) == []
    # Somebody else's proof beside a receipt of ours does not help it either.
    with pytest.raises(DataspaceError):
        provider.connector.promises.ledger.receive(provider.did, good)
    first, second = hand_over(space, good), hand_over(space, good)
    assert first == second
    assert kinds(provider) == ["obligation.fulfilled"]
    with pytest.raises(PeerRefused, match="no 'attribute' is owed"):
        hand_over(space, forged(space, agreement, receipt={"id": "urn:receipt:2"}))


def test_only_duties_of_the_agreement_are_signed_and_only_by_who_owes_them(space: FaultySpace) -> None:
    provider, consumer = space.sides
    agreement = agreed(consumer, provider, duty("attribute"))
    with pytest.raises(IllegalMove, match="has no duty"):
        consumer.connector.promises.fulfilments.fulfil(agreement, DELETE)
    with pytest.raises(DataspaceError, match="not us"):
        provider.connector.promises.fulfilments.fulfil(agreement, ODRL + "attribute")
    assert [one.role for one in provider.connector.stores.negotiations.agreements()] == [Role.PROVIDER]
    assert kinds(consumer) == kinds(provider) == []


def hansa(side: Side, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = side.connector.settings
    config = write_settings(
        folder / f"{side.name}-cli", {"port": settings.port, "data_dir": str(settings.data_dir)}
    )
    return subprocess.run(
        [sys.executable, "-m", "connector", *arguments, "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_people_see_what_is_owed_and_send_the_receipt_from_the_command_line(
    space: FaultySpace, tmp_path: Path
) -> None:
    provider, consumer = space.sides
    agreement = agreed(consumer, provider, duty("attribute"))
    until(provider.connector.promises.ledger.owed, "nothing was entered")
    for side, group in ((provider, "connector"), (consumer, "data")):
        shown = hansa(side, tmp_path, group, "obligations")
        assert "attribute" in shown.stdout, shown
        assert "no date" in shown.stdout
    link = ("attributed", agreement, "--url", "https://lab.example/model-card")
    sent = hansa(consumer, tmp_path, "data", *link)
    assert (sent.returncode, "receipt taken" in sent.stdout) == (0, True), sent
    logged = next(one for one in provider.records() if one.kind is UsageKind.OBLIGATION_FULFILLED)
    assert logged.detail["url"] == "https://lab.example/model-card"
    again = hansa(consumer, tmp_path, "data", *link)
    assert again.returncode == 1
    assert "no 'attribute' is owed" in again.stderr.replace("\n", " ")
    assert "Nothing is owed to us" in hansa(provider, tmp_path, "connector", "obligations").stdout
