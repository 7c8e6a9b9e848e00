"""EDC's federated catalogue visits our connector and our catalogue: all arrives once, and a visit ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from schemas.binding.paths import DSP_PREFIX
from tests.catalog_space import Provider, Space, catalogue, dataset, running_catalogue, serving
from tests.interop.edc import ours as our_side
from tests.interop.edc import runtime
from tests.interop.edc.ours import Ours, await_true, flights
from tests.interop.edc.relay import Exchange, Relay, relaying
from tests.interop.edc.runtime import CRAWLING, Edc, free_ports

pytestmark = [pytest.mark.interop, pytest.mark.e2e]

MANY = 250
PAGE = 100
"""What EDC's crawler asks for at a time."""
WIDE, SMALL = "urn:many:", "urn:small:"


@dataclass
class Visit:
    """An EDC that crawls, whom it crawls, and the relays that see what it asks them."""

    edc: Edc
    wide: Ours
    small: Ours
    shared: Space
    to_wide: Relay
    to_shared: Relay

    def held(self, participant: str) -> list[str]:
        """Return the ids of the datasets that EDC holds of one participant."""
        return [
            one["@id"]
            for found in self.edc.management.crawled()
            if found["participantId"] == participant
            for one in found.get("dataset", [])
        ]


def offsets(relay: Relay) -> list[int]:
    """Return the offsets that were asked for, in order; every answer was good."""
    asked: list[Exchange] = relay.seen("/catalog/request")
    assert {one.status for one in asked} <= {200}
    return [one.message["filter"][0]["offset"] for one in asked]


def publish(ours: Ours, prefix: str, count: int) -> None:
    """Offer the flights many times over."""
    flights(ours.data)
    items: list[dict[str, Any]] = [
        {
            "id": f"{prefix}{number}",
            "source": "flights.parquet",
            "title": f"Flights {number}",
            "offer": {"permission": our_side.FILTERED},
        }
        for number in range(count)
    ]
    answered = ours.management.publish(items)
    assert (len(answered["published"]), answered["refused"]) == (count, [])


def push(shared: Space, member: Provider, ours: Ours, endpoint: str, prefix: str, count: int) -> None:
    """Tell the shared catalogue of a connector's datasets, as the member that owns them."""
    document = catalogue(member.did, [dataset(f"{prefix}{n}") for n in range(count)], endpoint)
    answer = httpx2.post(f"{shared.url}/publish", json=document, headers=shared.as_(member), timeout=30)
    assert answer.json()["accepted"] == count, answer.text


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """Two connectors, a catalogue that knows both, and an EDC that crawls one of them and the catalogue."""
    home: Path = tmp_path_factory.mktemp("crawl")
    (home / "shared").mkdir()
    # Members prove themselves to the catalogue; the relay lets EDC in as one, which has a mock identity only.
    # In order: the second stands on a later page than the first.
    first, second = sorted((Provider(), Provider()), key=lambda one: one.did)
    reader = Provider()
    with ExitStack() as open_:
        for member in (first, second, reader):
            open_.enter_context(serving(member.app(), member.port))
        wide, small = (open_.enter_context(our_side.running(Ours(home / name))) for name in ("wide", "small"))
        members = (first.member("provider"), second.member("provider"), reader.member("consumer"))
        shared = open_.enter_context(running_catalogue(home / "shared", *members))
        publish(wide, WIDE, MANY)
        publish(small, SMALL, 3)
        ports = free_ports(2)
        to_wide = open_.enter_context(relaying(Relay(wide.url, ports[0])))
        to_shared = open_.enter_context(
            relaying(Relay(shared.url, ports[1], identify=lambda: f"Bearer {shared.token(reader)}"))
        )
        push(shared, first, wide, wide.dsp, WIDE, MANY)
        push(shared, second, small, small.dsp, SMALL, 3)
        edc = Edc(
            sorted(CRAWLING)[-1],
            home / "edc",
            crawled={wide.did: to_wide.url + DSP_PREFIX, shared.did: to_shared.url + DSP_PREFIX},
            settings={
                "edc.catalog.cache.execution.period.seconds": "2",
                "edc.catalog.cache.execution.delay.seconds": "0",
            },
        )
        open_.enter_context(runtime.running(edc))
        yield Visit(edc, wide, small, shared, to_wide, to_shared)


def test_250_datasets_of_a_connector_arrive_once_in_as_many_pages_as_they_need(visit: Visit) -> None:
    expected = Counter(f"{WIDE}{n}" for n in range(MANY))
    await_true(lambda: len(visit.held(visit.wide.did)) == MANY, f"{MANY} datasets of the connector")
    # Two whole visits, so that an end was seen: a visit without one asks for ever larger offsets.
    await_true(lambda: offsets(visit.to_wide).count(2 * PAGE) >= 2, "a second visit")
    assert set(offsets(visit.to_wide)) == {0, PAGE, 2 * PAGE}
    # While EDC replaces what it holds, it holds less for a moment.
    await_true(lambda: Counter(visit.held(visit.wide.did)) == expected, "each of them once")


def test_the_shared_catalogue_leads_edc_to_every_participant_and_all_arrives_once(visit: Visit) -> None:
    expected = Counter([*(f"{WIDE}{n}" for n in range(MANY)), *(f"{SMALL}{n}" for n in range(3))])
    await_true(
        lambda: len(visit.held(visit.shared.did)) == expected.total(), "the datasets of both participants"
    )
    await_true(lambda: len(offsets(visit.to_shared)) >= 3, "more visits")
    assert set(offsets(visit.to_shared)) == {0}
    await_true(lambda: Counter(visit.held(visit.shared.did)) == expected, "each of them once")
