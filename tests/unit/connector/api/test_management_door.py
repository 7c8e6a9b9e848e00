from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI

from connector.adapters.progress import FileProgress
from connector.adapters.sources import ParquetSources
from connector.adapters.tiles import FileTiles
from connector.api.management import management_router
from connector.negotiation.revocation import Revocations
from connector.offering.describe import Holder
from connector.offering.service import Offerings
from connector.transfer.hold import terminate_under
from connector.usage.service import UsageLog
from schemas.binding.server import install_errors
from schemas.identity import generate_key
from schemas.vocab import FORMAT_ARROW_HTTP
from tests.world import PREFIX, RESEARCH, SCIENCE, TRAIN, Party, World

KEY = "the-api-key-of-this-test"


class Door:
    """The management door of one participant, as its own programs call it."""

    def __init__(self, party: Party, folder: Path) -> None:
        folder.mkdir()
        table = pa.table({"id": list(range(100)), "name": [f"n{index}" for index in range(100)]})
        pq.write_table(table, folder / "flights.parquet")
        (folder / "broken.parquet").write_bytes(b"PAR1 but not really")
        clock, new_id = party.world.clock, party.world.new_id
        usage = UsageLog(
            store=party.stores.usage,
            key=generate_key(),
            origin="localhost/log",
            did=party.did,
            clock=clock,
            new_id=new_id,
            tiles=FileTiles(folder / "tiles"),
            progress=FileProgress(folder / "progress"),
        )
        offerings = Offerings(
            store=party.stores.offerings,
            sources=ParquetSources([folder], lambda: datetime(2026, 11, 23, tzinfo=UTC)),
            usage_record=usage.record,
            announce=lambda offered, withdrawn: (),
            clock=clock,
            holder=Holder(party.did, "Provider", party.dsp),
        )
        app = FastAPI()
        app.include_router(
            management_router(
                authorize=lambda token: hmac.compare_digest(token.encode(), KEY.encode()),
                participant=party.did,
                negotiations=party.negotiations,
                revocations=Revocations(
                    store=party.stores.negotiations,
                    record=usage.record,
                    clock=party.world.clock,
                    remind=lambda due: None,
                    ended=partial(terminate_under, party.transfers),
                ),
                transfers=party.transfers,
                offerings=offerings,
                outbox=party.outbox,
                usage=usage,
                mandate=lambda days: f"http://localhost/evidence#mandate={days}",
            )
        )
        install_errors(app, PREFIX)
        self.host = party.url.removeprefix("http://localhost:8") + ".management"
        party.world.wire.apps[self.host] = app
        self.wire = party.world.wire

    def __call__(self, method: str, path: str, document: Any = None, *, key: str = KEY) -> tuple[int, Any]:
        with httpx2.Client(transport=self.wire) as client:
            reply = client.request(
                method,
                f"http://{self.host}/management{path}",
                content=None if document is None else json.dumps(document),
                headers={"Authorization": f"Bearer {key}"},
            )
        return reply.status_code, json.loads(reply.content) if reply.content else None


@pytest.fixture
def provide(provider: Party, tmp_path: Path) -> Door:
    return Door(provider, tmp_path / "provider-data")


@pytest.fixture
def consume(consumer: Party, tmp_path: Path) -> Door:
    return Door(consumer, tmp_path / "consumer-data")


@pytest.fixture
def published(provide: Door) -> dict[str, Any]:
    """A dataset for research, as the catalogue tells it."""
    constraint = {"leftOperand": "purpose", "operator": "isA", "rightOperand": RESEARCH}
    offer = {"permission": [{"action": "hansa:train", "constraint": [constraint]}]}
    item = {"source": "flights.parquet", "id": "urn:ds:flights", "title": "Flights", "offer": offer}
    status, report = provide("POST", "/publications", {"items": [item]})
    assert (status, report["published"], report["refused"]) == (200, ["urn:ds:flights"], [])
    _, listed = provide("GET", "/offers")
    dataset: dict[str, Any] = listed["datasets"][0]
    return dataset


def ask(provider: Party, dataset: dict[str, Any], purpose: str = "ScientificResearch") -> dict[str, Any]:
    return {
        "provider": provider.did,
        "endpoint": provider.dsp,
        "dataset": dataset["@id"],
        "offer": dataset["hasPolicy"][0],
        "use": {"action": "train", "purpose": purpose},
    }


@pytest.mark.parametrize("key", ["", "wrong", KEY + "x"])
def test_without_the_key_every_path_is_closed(provide: Door, key: str) -> None:
    for method, path in (
        ("GET", "/status"),
        ("POST", "/publications"),
        ("DELETE", "/offers/x"),
        ("GET", "/agreements"),
    ):
        status, problem = provide(method, path, key=key)
        assert (status, problem["title"]) == (401, "unauthenticated")


def test_files_are_published_listed_found_and_withdrawn(provide: Door, published: dict[str, Any]) -> None:
    assert published["@id"] == "urn:ds:flights"
    assert provide("GET", "/offers?q=flights")[1]["total"] == 1
    assert provide("GET", "/offers?q=trains")[1] == {"datasets": [], "total": 0}
    assert provide("GET", "/offers?offset=1&limit=1")[1] == {"datasets": [], "total": 1}
    assert provide("DELETE", f"/offers/{quote('urn:ds:flights', safe='')}")[0] == 200
    assert provide("DELETE", "/offers/urn:ds:flights")[0] == 404
    assert provide("GET", "/offers")[1]["total"] == 0


def test_each_file_that_cannot_be_published_says_why_and_stops_no_other(provide: Door) -> None:
    moon = {"leftOperand": "dx:moonPhase", "operator": "eq", "rightOperand": "full"}
    column = {"leftOperand": "hansa:column/altitude", "operator": "gt", "rightOperand": "5"}
    template = {"template": "open-training", "parameters": {}}
    status, report = provide(
        "POST",
        "/publications",
        {
            "items": [
                {"source": "flights.parquet", "title": "ok", "offer": template},
                {"source": "broken.parquet", "title": "x", "offer": template},
                {"source": "../../etc/passwd", "title": "x", "offer": template},
                {"source": "a", "title": "x", "offer": {"template": "nonsense"}},
                {"source": "b", "title": "x", "offer": {"template": "open-training", "permision": []}},
                {
                    "source": "flights.parquet",
                    "id": "urn:2",
                    "title": "x",
                    "offer": {"permission": [{"action": "use", "constraint": [moon]}]},
                },
                {
                    "source": "flights.parquet",
                    "id": "urn:3",
                    "title": "x",
                    "offer": {"permission": [{"action": "use", "constraint": [column]}]},
                },
                {"source": "c", "offer": template},
            ]
        },
    )
    assert status == 200
    assert len(report["published"]) == 1
    reasons = " | ".join(refused["reason"] for refused in report["refused"])
    assert len(report["refused"]) == 7
    for said in ("broken.parquet", "nonsense", "permision", "dx:moonPhase", "altitude", "title"):
        assert said in reasons
    assert "passwd" not in reasons.replace("../../etc/passwd", "")


def test_a_negotiation_is_opened_watched_and_becomes_an_agreement(
    world: World, provider: Party, consume: Door, provide: Door, published: dict[str, Any]
) -> None:
    status, opened = consume("POST", "/negotiations", ask(provider, published))
    assert status == 201
    assert (opened["state"], opened["turn"], opened["counterPid"]) == ("REQUESTED", "us", None)
    assert "ContractRequestMessage is on its way" in opened["why"]
    assert opened["use"] == {"action": TRAIN, "purpose": SCIENCE}
    world.settle()
    status, done = consume("GET", f"/negotiations/{opened['pid']}?wait=FINALIZED,TERMINATED&timeout=10")
    assert (status, done["state"], done["turn"], done["nextTry"]) == (200, "FINALIZED", None, None)
    (held,) = consume("GET", "/agreements?dataset=urn:ds:flights&role=consumer")[1]["agreements"]
    assert (held["id"], held["state"], held["counterparty"]) == (done["agreement"], "final", provider.did)
    assert consume("GET", "/agreements?role=provider")[1] == {"agreements": []}
    assert provide("GET", "/negotiations")[1]["negotiations"][0]["state"] == "FINALIZED"


def test_a_denied_negotiation_shows_the_reasons_that_the_provider_gave(
    world: World, provider: Party, consume: Door, published: dict[str, Any]
) -> None:
    _, opened = consume("POST", "/negotiations", ask(provider, published, "Marketing"))
    world.settle()
    _, done = consume("GET", f"/negotiations/{opened['pid']}")
    assert done["state"] == "TERMINATED"
    assert done["problem"].startswith("use-denied")
    assert "ScientificResearch" in done["reasons"][0]


def test_a_misspelt_purpose_is_refused_before_anything_is_sent(
    provider: Party, consume: Door, published: dict[str, Any]
) -> None:
    status, problem = consume("POST", "/negotiations", ask(provider, published, "SientificResearch"))
    assert (status, problem["title"]) == (400, "unknown-term")
    assert consume("GET", "/negotiations")[1] == {"negotiations": []}


def test_what_waits_is_shown_with_whose_turn_since_when_why_and_the_next_try(
    world: World, provider: Party, consume: Door, published: dict[str, Any]
) -> None:
    app = world.wire.apps.pop(provider.url.removeprefix("http://"))
    _, opened = consume("POST", "/negotiations", ask(provider, published))
    world.settle()
    _, status = consume("GET", "/status")
    (waiting,) = status["negotiations"]
    assert (waiting["pid"], waiting["turn"]) == (opened["pid"], "us")
    assert "1 attempts" in waiting["why"]
    assert "nobody answers" in waiting["why"]
    assert waiting["since"] == "2026-11-23T12:00:00.000Z"
    assert waiting["nextTry"] > waiting["since"]
    (mail,) = status["outbox"]
    assert (mail["to"], mail["kind"], mail["attempts"]) == (provider.did, "negotiation", 1)
    assert "document" not in mail
    assert set(status["log"]) >= {"size", "backlog"}
    world.wire.apps[provider.url.removeprefix("http://")] = app
    world.pass_time(1)
    world.settle()
    assert consume("GET", "/status")[1]["negotiations"] == []


def test_a_person_approves_or_ends_what_waits_for_one(
    world: World, provider: Party, consume: Door, published: dict[str, Any]
) -> None:
    other = dict(published["hasPolicy"][0])
    other["prohibition"] = [{"action": "odrl:sell"}]
    for verb, document, state in (
        ("approval", None, "FINALIZED"),
        ("termination", {"reason": "no"}, "TERMINATED"),
    ):
        _, opened = consume("POST", "/negotiations", {**ask(provider, published), "offer": other})
        world.settle()
        _, held = consume("GET", f"/negotiations/{opened['pid']}")
        assert (held["state"], held["turn"]) == ("OFFERED", "us")
        assert "a person accepts or ends it" in held["why"]
        assert consume("POST", f"/negotiations/{opened['pid']}/{verb}", document)[0] == 200
        world.settle()
        assert consume("GET", f"/negotiations/{opened['pid']}")[1]["state"] == state


def test_a_transfer_is_opened_paused_resumed_and_completed_and_only_its_consumer_sees_the_pass(
    world: World, provider: Party, consume: Door, provide: Door, published: dict[str, Any]
) -> None:
    _, opened = consume("POST", "/negotiations", ask(provider, published))
    world.settle()
    _, agreed = consume("GET", f"/negotiations/{opened['pid']}")
    status, fetching = consume(
        "POST", "/transfers", {"agreement": agreed["agreement"], "format": FORMAT_ARROW_HTTP}
    )
    assert status == 201
    world.settle()
    _, running = consume("GET", f"/transfers/{fetching['pid']}?wait=STARTED,TERMINATED&timeout=10")
    assert running["state"] == "STARTED"
    assert running["dataAddress"]["endpointProperties"][0]["name"] == "authorization"
    theirs = f"/transfers/{running['counterPid']}"
    assert "dataAddress" not in provide("GET", theirs)[1]
    assert provide("GET", "/status")[1]["transfers"][0]["why"] == "the transfer is STARTED"
    for door, verb, document, state in (
        (provide, "suspension", {"reason": "under review"}, "SUSPENDED"),
        (provide, "start", None, "STARTED"),
        (consume, "completion", None, "COMPLETED"),
    ):
        path = theirs if door is provide else f"/transfers/{fetching['pid']}"
        assert door("POST", f"{path}/{verb}", document)[0] == 200
        world.settle()
        assert consume("GET", f"/transfers/{fetching['pid']}")[1]["state"] == state
    status, problem = consume("POST", f"/transfers/{fetching['pid']}/termination", {"reason": "late"})
    assert (status, problem["title"]) == (400, "illegal-move")


def test_a_revocation_ends_the_agreement_and_its_transfers(
    world: World, provider: Party, consume: Door, provide: Door, published: dict[str, Any]
) -> None:
    _, opened = consume("POST", "/negotiations", ask(provider, published))
    world.settle()
    _, agreed = consume("GET", f"/negotiations/{opened['pid']}")
    _, fetching = consume(
        "POST", "/transfers", {"agreement": agreed["agreement"], "format": FORMAT_ARROW_HTTP}
    )
    world.settle()
    path = f"/agreements/{quote(agreed['agreement'], safe='')}/revocation"
    assert consume("POST", path, {"reason": "x"})[0] == 403
    status, revoked = provide("POST", path, {"reason": "the study ended"})
    assert (status, revoked["state"], revoked["transfersEnded"]) == (200, "revoked", 1)
    world.settle()
    ended = consume("GET", f"/transfers/{fetching['pid']}")[1]
    assert (ended["state"], ended["reasons"]) == (
        "TERMINATED",
        ["the agreement was revoked: the study ended"],
    )


@pytest.mark.parametrize(
    ("method", "path", "document", "status"),
    [
        ("GET", "/negotiations/urn:uuid:none", None, 404),
        ("GET", "/negotiations/urn:uuid:none?wait=FINALIZED&timeout=5", None, 404),
        ("GET", "/negotiations/urn:uuid:none?wait=FINALIZED&timeout=1e9", None, 400),
        ("POST", "/negotiations", {"provider": "x"}, 400),
        ("POST", "/negotiations/urn:uuid:none/termination", {}, 400),
        ("POST", "/transfers", {"agreement": "urn:uuid:none", "format": "x"}, 404),
        ("POST", "/agreements/urn:uuid:none/revocation", {"reason": "x"}, 404),
        ("POST", "/publications", {"items": "x"}, 400),
        ("POST", "/publications", ["x"], 400),
    ],
)
def test_what_cannot_be_done_says_so_with_the_right_status(
    consume: Door, method: str, path: str, document: Any, status: int
) -> None:
    found, problem = consume(method, path, document)
    assert found == status
    assert problem["detail"]
