"""An operator's rules and a person's yes, over real processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from connector.cli import app
from connector.client.management import Management
from tests.e2e.conftest import Town, await_true, town
from tests.e2e.test_crashes import USE

pytestmark = pytest.mark.e2e

SETTINGS = """
transfer = { automatic = false }
negotiation = { rules = [
  { when = "REQUESTED", do = "hold", about = "*nothing-of-ours*" },
  { when = "REQUESTED", do = "end", counterparty = "*", visit = 1, after = 0.2, why = "closed on Sundays" },
] }
"""
HOLDING = "transfer = { automatic = false }"


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A space in which the mobility operator starts transfers by hand, and the lab agrees to nothing."""
    settings = {"mobility": HOLDING, "lab": SETTINGS}
    with town(tmp_path_factory.mktemp("careful"), settings) as made:
        yield made


def negotiate(made: Town, text: str, holder: str) -> dict[str, Any]:
    door, hit = made.space.management("developer"), made.hit(text)
    provider = made.space.participants[holder]
    asked = {
        "provider": provider.did,
        "endpoint": f"{provider.url}/dsp/2025-1",
        "dataset": hit["id"],
        "offer": hit["offers"][0],
        "use": USE,
    }
    pid = door.post("/negotiations", asked)["pid"]
    found: dict[str, Any] = door.get(f"/negotiations/{pid}", wait="FINALIZED,TERMINATED", timeout=30)
    return found


def test_a_rule_ends_a_negotiation_in_its_time_with_its_reason(careful: Town) -> None:
    ended = negotiate(careful, "Series 1", "lab")
    assert (ended["state"], ended["reasons"]) == ("TERMINATED", ["closed on Sundays"])
    assert [station["state"] for station in ended["path"]] == ["REQUESTED", "TERMINATED"]


def test_a_transfer_waits_for_a_person_who_says_yes_on_the_command_line(careful: Town) -> None:
    agreed = negotiate(careful, "Flights", "mobility")
    developer: Management = careful.space.management("developer")
    opened = developer.post("/transfers", {"agreement": agreed["agreement"], "format": "ArrowStream-PULL"})
    config = ["--config", str(careful.space.participants["mobility"].folder / "hansa.toml")]
    waiting = await_true(
        lambda: [
            one
            for one in careful.space.management("mobility").get("/status")["transfers"]
            if one["counterPid"] == opened["pid"] and "a person decides" in one["why"]
        ],
        "the transfer to wait for a person",
    )[0]
    assert waiting["turn"] == "us"
    assert waiting["why"].startswith("a person decides whether to start the transfer for ")
    said = CliRunner().invoke(app, ["connector", "approve", waiting["pid"], *config])
    assert (said.exit_code, "approved" in said.output) == (0, True), said.output
    started = developer.get(f"/transfers/{opened['pid']}", wait="STARTED", timeout=30)
    assert started["state"] == "STARTED"
    assert started["dataAddress"]["endpoint"]


def test_approving_what_is_not_there_says_so(careful: Town) -> None:
    config = ["--config", str(careful.space.participants["mobility"].folder / "hansa.toml")]
    said = CliRunner().invoke(app, ["connector", "approve", "urn:uuid:nothing", *config])
    assert said.exit_code == 1
    assert "urn:uuid:nothing" in said.output
