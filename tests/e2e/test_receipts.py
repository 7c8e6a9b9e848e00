"""Receipts over real processes: handed over whoever is killed, once, and checked by an auditor."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connector.auditor import audit_url
from connector.cli import app
from policies.findings import Check
from policies.receipts import Standing
from schemas.errors import DataspaceError
from schemas.vocab import HANSA, ODRL
from tests.e2e.conftest import Town, await_true, town
from tests.e2e.test_crashes import kill, start

pytestmark = pytest.mark.e2e

ATTRIBUTE = ODRL + "attribute"
PROVIDER, CONSUMER = "mobility", "developer"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("receipts")) as running:
        yield running


def agree(made: Town, name: str) -> str:
    """Publish under an offer that asks for an attribution, and agree to it."""
    offer = {
        "@id": f"urn:offer:{name}",
        "@type": "Offer",
        "permission": [{"action": HANSA + "train"}],
        "obligation": [{"action": ATTRIBUTE}],
    }
    dataset = f"urn:dataset:{name}"
    item = {"source": "flights.parquet", "title": name, "id": dataset, "offer": offer}
    answered = made.space.management(PROVIDER).publish([item])
    assert not answered["refused"], answered
    provider = made.space.participants[PROVIDER]
    asked = {
        "provider": provider.did,
        "endpoint": f"{provider.url}/dsp/2025-1",
        "dataset": dataset,
        "offer": offer | {"target": dataset},
        "use": {"action": HANSA + "train"},
    }
    door = made.space.management(CONSUMER)
    pid = door.post("/negotiations", asked)["pid"]
    found = door.get(f"/negotiations/{pid}", wait="FINALIZED,TERMINATED", timeout=30)
    assert found["state"] == "FINALIZED", found
    agreement = str(found["agreement"])
    await_true(lambda: owed(made, agreement), "the duty to be entered")
    return agreement


def owed(made: Town, agreement: str) -> list[Any]:
    rows = made.space.management(PROVIDER).get("/obligations")["owedToUs"]
    return [row for row in rows if row["agreement"] == agreement]


def fulfilled(made: Town, who: str, agreement: str) -> int:
    """How often a participant's log tells that the duty was kept."""
    report = audit_url(made.mandate(who), made.space.http)
    return sum(one.agreement == agreement for one in report.receipts)


def fulfil(made: Town, agreement: str) -> dict[str, Any]:
    wanted = {"agreement": agreement, "action": ATTRIBUTE, "url": "https://lab.example/card"}
    answered: dict[str, Any] = made.space.management(CONSUMER).post("/obligations/fulfilments", wanted)
    return answered


def settled(made: Town, agreement: str) -> None:
    """The provider has the receipt, and each log tells of it exactly once."""
    await_true(lambda: not owed(made, agreement), "the receipt to be taken", 150)
    for who in (CONSUMER, PROVIDER):
        await_true(lambda who=who: fulfilled(made, who, agreement), f"the record of {who}", 150)
        assert fulfilled(made, who, agreement) == 1


def test_a_receipt_is_taken_and_confirmed_by_the_auditor_of_either_side(made: Town) -> None:
    agreement = agree(made, "plain")
    assert fulfil(made, agreement)["fate"] == "taken"
    settled(made, agreement)
    consumer = made.space.participants[CONSUMER].did
    for who in (PROVIDER, CONSUMER):
        report = audit_url(made.mandate(who), made.space.http)
        assert report.holds, [str(finding) for finding in report.findings]
        (found,) = [one for one in report.receipts if one.agreement == agreement]
        assert (found.standing, found.signer) == (Standing.CONFIRMED, consumer)
    said = CliRunner().invoke(app, ["audit", made.mandate(PROVIDER)])
    assert said.exit_code == 0, said.output
    assert f"from {consumer}: confirmed" in said.output


def test_a_receipt_waits_for_a_provider_that_is_down_and_for_a_consumer_that_is_killed(made: Town) -> None:
    agreement = agree(made, "down")
    provider, consumer = (made.space.participants[name] for name in (PROVIDER, CONSUMER))
    kill(provider)
    waiting = fulfil(made, agreement)
    assert waiting["fate"] == "waiting"
    kill(consumer)
    start(made.space, consumer)
    start(made.space, provider)
    settled(made, agreement)


def test_however_either_side_is_killed_each_log_tells_once_that_the_duty_was_kept(made: Town) -> None:
    chance = random.Random(20261126)
    for number in range(4):
        agreement = agree(made, f"killed-{number}")
        place = made.space.participants[(PROVIDER, CONSUMER)[number % 2]]
        asking = threading.Thread(target=lambda agreement=agreement: _try(made, agreement), daemon=True)
        asking.start()
        time.sleep(chance.uniform(0, 0.08))
        kill(place)
        asking.join(30)
        start(made.space, place)
        if not any(row["agreement"] == agreement for row in _sent(made)):
            fulfil(made, agreement)  # killed before the receipt was saved: nothing was promised to anybody
        settled(made, agreement)


def _try(made: Town, agreement: str) -> None:
    try:
        fulfil(made, agreement)
    except DataspaceError:
        return  # killed under way; what was saved goes on


def _sent(made: Town) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.space.management(CONSUMER).get("/obligations")["receipts"]
    return found


def test_whoever_changes_a_kept_receipt_is_found_out_by_the_entry_of_the_log(
    made: Town, tmp_path: Path
) -> None:
    agreement = agree(made, "tampered")
    assert fulfil(made, agreement)["fate"] == "taken"
    settled(made, agreement)
    place = made.space.participants[PROVIDER]
    kill(place)
    with sqlite3.connect(place.folder / "state" / "connector.sqlite") as database:
        row = database.execute(
            "select id, value from obligations where agreement = ?", (agreement,)
        ).fetchone()
        value = json.loads(row[1])
        head, body, signature = value["receipt"].split(".")
        value["receipt"] = f"{head}.{body}.{signature[:-4]}AAAA"
        database.execute("update obligations set value = ? where id = ?", (json.dumps(value), row[0]))
    start(made.space, place)
    report = audit_url(made.mandate(PROVIDER), made.space.http, tmp_path)
    (finding,) = report.findings
    assert (finding.check, finding.agreement) == (Check.RECEIPT, agreement)
    assert finding.entry is not None
    assert "signature does not hold" in finding.what
    said = CliRunner().invoke(app, ["audit", made.mandate(PROVIDER)])
    assert said.exit_code == 4
    assert f"receipt: entry {finding.entry}" in said.output
