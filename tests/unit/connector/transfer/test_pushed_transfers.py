"""A provider pushes to us over DSP: the sink in our request, what may arrive when, and where it is shown."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from connector.api.views import transfer as view
from connector.transfer.direction import direction_of
from connector.transfer.ports import Transfer
from schemas.base import LangString
from schemas.dcat import Dataset, Distribution
from schemas.dsp.transfer import DataAddress, TransferState
from schemas.vocab import EDC, FORMAT_ARROW_HTTP
from tests.store_builders import NOW, offering
from tests.world import Party, World, open_offer

DATASET, PUSH = "urn:ds:pushed", "HttpData-PUSH"


@pytest.fixture
def agreement(provider: Party, consumer: Party) -> str:
    """The id of a final agreement about a dataset whose provider pushes."""
    described = Dataset(
        id=DATASET,
        title=(LangString(value="Pushed"),),
        has_policy=(open_offer(),),
        distribution=(Distribution(format=PUSH, access_service=provider.dsp),),
    )
    provider.stores.offerings.put([offering(DATASET, dataset=described, published=NOW)])
    agreed = consumer.agree(provider, DATASET, open_offer()).agreement
    assert agreed is not None
    return agreed.id


@pytest.fixture
def asked(consumer: Party, agreement: str) -> tuple[Transfer, DataAddress]:
    """A transfer that we asked for, and the address that its request carries."""
    transfer = consumer.transfers.request(agreement, None, PUSH)
    (mail,) = consumer.outbox.pending(transfer.pid)
    return transfer, DataAddress.read(mail.document["dataAddress"])


def push(world: World, address: DataAddress, body: bytes, **headers: str) -> httpx2.Response:
    """Push as EDC's data plane does: by what it finds under its own names."""
    key, code = address.property("authKey"), address.property("authCode")
    url = address.property("baseUrl")
    assert key is not None
    assert code is not None
    assert url is not None
    with httpx2.Client(transport=world.wire) as client:
        return client.post(url, content=body, headers={key: code, "Content-Type": "text/csv", **headers})


def test_the_request_carries_a_sink_under_the_names_of_both_dsp_and_edc(
    consumer: Party, asked: tuple[Transfer, DataAddress]
) -> None:
    transfer, address = asked
    assert address.endpoint_type == "HttpData"
    assert address.endpoint == f"{consumer.url}/sinks/{transfer.pid}"
    names = {item.name for item in address.endpoint_properties}
    assert {"authorization", "authType"} <= names
    assert {EDC + name for name in ("type", "baseUrl", "authKey", "authCode")} <= names
    assert address.property("authCode") == f"Bearer {address.property('authorization')}"


def test_a_pull_carries_no_sink(consumer: Party, provider: Party) -> None:
    provider.publish("urn:ds:pulled", open_offer("offer-pulled"))
    agreed = consumer.agree(provider, "urn:ds:pulled", open_offer("offer-pulled")).agreement
    assert agreed is not None
    transfer = consumer.transfers.request(agreed.id, None, FORMAT_ARROW_HTTP)
    (mail,) = consumer.outbox.pending(transfer.pid)
    assert "dataAddress" not in mail.document


def test_what_arrives_is_shown_with_the_transfer_before_and_after_its_start(
    world: World, consumer: Party, asked: tuple[Transfer, DataAddress]
) -> None:
    transfer, address = asked
    assert push(world, address, b"early").status_code == 200
    world.settle()
    assert consumer.transfers.own(transfer.pid).state is TransferState.STARTED
    assert push(world, address, b"a,b\n1,2\n").status_code == 200
    shown = view(consumer.transfers.own(transfer.pid), consumer.transfers, consumer.outbox)["received"]
    assert (shown["bytes"], shown["rows"], shown["mediaType"]) == (8, None, "text/csv")
    (file,) = (world._folder / "consumer-got").iterdir()
    assert (file.name, file.read_bytes()) == (shown["file"], b"a,b\n1,2\n")


@pytest.mark.parametrize("end", ["terminate", "complete", "suspend"])
def test_nothing_arrives_once_the_transfer_ended_or_rests(
    world: World, consumer: Party, asked: tuple[Transfer, DataAddress], end: str
) -> None:
    transfer, address = asked
    world.settle()
    verb: Any = getattr(consumer.transfers, end)
    verb(transfer.pid, *(["tea"] if end != "complete" else []))
    reply = push(world, address, b"late")
    assert (reply.status_code, "nothing is taken" in reply.text) == (409, True)
    assert not (world._folder / "consumer-got").exists()
    assert consumer.transfers.own(transfer.pid).received is None


def test_the_pass_of_one_sink_opens_no_other_and_a_providers_transfer_receives_nothing(
    world: World, provider: Party, consumer: Party, asked: tuple[Transfer, DataAddress], agreement: str
) -> None:
    transfer, address = asked
    world.settle()
    other = consumer.transfers.request(agreement, None, PUSH)
    url = f"{consumer.url}/sinks/{other.pid}"
    code = str(address.property("authCode"))
    with httpx2.Client(transport=world.wire) as client:
        assert client.post(url, content=b"x", headers={"Authorization": code}).status_code == 401
        theirs = provider.transfers.own(str(consumer.transfers.own(transfer.pid).counter_pid))
        url = f"{provider.url}/sinks/{theirs.pid}"
        assert client.post(url, content=b"x", headers={"Authorization": code}).status_code == 401
    assert not (world._folder / "consumer-got").exists()


@pytest.mark.parametrize(
    ("format", "direction"),
    [
        ("ArrowStream-PULL", "pull"),
        ("HttpData-PUSH", "push"),
        ("HttpData-PUSH-HttpData", "push"),
        ("com.test.mqtt-push-com.test.mqtt", "push"),
        ("http-pull", "pull"),
        ("push", "push"),
        ("pushover", None),
        ("http-pusher", None),
        ("", None),
    ],
)
def test_a_format_says_which_way_its_data_goes(format: str, direction: str | None) -> None:
    assert direction_of(format) == direction
