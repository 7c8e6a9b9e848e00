"""A connector is killed at any moment and started again: it finishes or says why; nothing lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from connector.auditor import audit_url
from connector.demo import space as demo_space
from connector.demo.space import Place, Space
from schemas.errors import DataspaceError, PeerUnavailable
from tests.e2e.conftest import FLIGHTS, RESEARCH, Town, await_true, town

pytestmark = pytest.mark.e2e

USE = {
    "action": "https://w3id.org/hansa/policy/1#train",
    "purpose": "https://w3id.org/dpv#ScientificResearch",
}
ENDED = ("FINALIZED", "TERMINATED")


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("fragile")) as made:
        yield made


@pytest.fixture(autouse=True)
def everybody_is_up(fragile: Town) -> Iterator[None]:
    """What one test killed does not fail the next."""
    yield
    for place in fragile.space.places():
        if place.process is None or place.process.poll() is not None:
            start(fragile.space, place)


def kill(place: Place) -> None:
    """Kill a process that this test's space started; nothing is flushed, nothing said."""
    assert place.process is not None
    os.kill(place.process.pid, signal.SIGKILL)
    place.process.wait()


def start(space: Space, place: Place) -> None:
    demo_space.start(place)
    demo_space.await_ready(place, space.http)


def ask(town: Town) -> str:
    """Open a negotiation over the developer's connector, and return its pid there."""
    hit = town.hit("Flights")
    provider = town.space.participants["mobility"]
    wanted = {
        "provider": provider.did,
        "endpoint": f"{provider.url}/dsp/2025-1",
        "dataset": hit["id"],
        "offer": hit["offers"][0],
        "use": USE,
    }
    return str(town.space.management("developer").post("/negotiations", wanted)["pid"])


def view(town: Town, name: str, pid: str) -> dict[str, Any]:
    found: dict[str, Any] = town.space.management(name).get(f"/negotiations/{pid}")
    return found


def ended(town: Town, pid: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        seen = view(town, "developer", pid)
        return seen if seen["state"] in ENDED else None

    return dict(await_true(look, f"an end of {pid}", 60))


def same_on_both_sides(town: Town, pid: str) -> None:
    """Both sides hold the same final state, and the same agreement."""
    mine = ended(town, pid)

    def theirs() -> bool:
        other = view(town, "mobility", mine["counterPid"])
        return bool(other["state"] == mine["state"] and other["agreement"] == mine["agreement"])

    await_true(theirs, f"the same end of {pid} on both sides", 30)
    assert mine["state"] == "FINALIZED" or mine["problem"], mine


def evidence_holds(town: Town, holder: str) -> Any:
    report = audit_url(town.mandate(holder), town.space.http)
    assert report.holds, [str(finding) for finding in report.findings]
    return report


def test_a_negotiation_waits_for_a_provider_that_is_down_and_says_so(fragile: Town) -> None:
    provider = fragile.space.participants["mobility"]
    hit = fragile.hit("Flights")
    kill(provider)
    wanted = {
        "provider": provider.did,
        "endpoint": f"{provider.url}/dsp/2025-1",
        "dataset": hit["id"],
        "offer": hit["offers"][0],
        "use": USE,
    }
    pid = fragile.space.management("developer").post("/negotiations", wanted)["pid"]
    waiting = await_true(
        lambda: (seen := view(fragile, "developer", pid)) and "failed" in seen["why"] and seen, "a failed try"
    )
    assert waiting["state"] == "REQUESTED"
    assert waiting["since"]
    assert waiting["nextTry"]
    assert "Connection refused" in waiting["why"], waiting["why"]
    start(fragile.space, provider)
    same_on_both_sides(fragile, pid)


@pytest.mark.parametrize("victim", ["mobility", "developer"])
def test_a_kill_at_any_moment_of_a_negotiation_loses_and_doubles_nothing(fragile: Town, victim: str) -> None:
    dice = random.Random(f"kill {victim}")  # the same moments every time, as far as a machine can keep them
    place = fragile.space.participants[victim]
    pids = []
    for _ in range(5):
        pids.append(ask(fragile))
        time.sleep(dice.uniform(0.0, 0.08))
        kill(place)
        start(fragile.space, place)
    for pid in pids:
        same_on_both_sides(fragile, pid)
    agreements = [view(fragile, "developer", pid)["agreement"] for pid in pids]
    assert len(set(agreements)) == len(agreements)
    evidence_holds(fragile, "mobility")
    evidence_holds(fragile, "developer")


def test_a_stream_goes_on_after_its_provider_was_killed_with_no_row_twice(fragile: Town) -> None:
    provider = fragile.space.participants["mobility"]
    numbers: list[int] = []
    stream = fragile.open("flights", renegotiate=True)
    agreement = stream.agreement
    batches = iter(stream)
    numbers += next(batches).column("number").to_pylist()
    position = stream.state_dict()
    kill(provider)
    stream.close()
    start(fragile.space, provider)
    with fragile.open("flights", start=len(numbers)) as again:
        assert position
        assert again.agreement == agreement
        for batch in again:
            numbers += batch.column("number").to_pylist()
    assert numbers == list(range(FLIGHTS))

    def told() -> bool:
        """Whether the signed log tells of both streams, settled, and of all rows that came out.

        Signing follows the writing: for a moment the log may know the second opening and none of its rows.
        """
        report = evidence_holds(fragile, "mobility")
        used = next(use for use in report.uses if use.agreement == agreement)
        return used.streams == 2 and not used.open_rows and used.rows >= FLIGHTS

    await_true(told, "two settled streams, and never fewer rows than came out, in the signed log", 30)


def test_an_unreachable_catalogue_stops_no_publication_and_is_told_later(fragile: Town) -> None:
    space = fragile.space
    kill(space.catalog)
    source = fragile.data / "mobility" / "late.parquet"
    source.write_bytes((fragile.data / "lab" / "series1.parquet").read_bytes())
    item = {
        "source": "late.parquet",
        "title": "Late news",
        "offer": {"template": "open-training", "parameters": {}},
    }
    assert space.management("mobility").publish([item])["published"]
    waiting = space.management("mobility").get("/status")["outbox"]
    assert any(mail["kind"] == "publication" for mail in waiting)
    start(space, space.catalog)

    def arrived() -> bool:
        try:
            return bool(fragile.hit("Late news"))
        except (DataspaceError, IndexError):
            return False

    await_true(arrived, "the publication", 60)


def test_an_ended_provider_is_a_clear_error_for_the_developer(fragile: Town) -> None:
    provider = fragile.space.participants["mobility"]
    kill(provider)
    with pytest.raises(PeerUnavailable) as told:
        fragile.open("flights", purpose=RESEARCH, renegotiate=True, timeout=2)
    assert provider.url in str(told.value)
