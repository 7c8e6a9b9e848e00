"""A control plane, a sender or a sink that means ill, or an operator who changed the settings meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.usage import UsageKind
from tests.signaling import DataPlane, data_plane, limit

pytestmark = pytest.mark.e2e


@pytest.fixture
def cut(tmp_path: Path) -> Iterator[DataPlane]:
    with data_plane(tmp_path) as made:
        yield made


def logged(cut: DataPlane, kind: UsageKind) -> int:
    """Count the records of a kind in the usage log, once all of it has been given its place."""
    usage = cut.connector.stores.usage
    while usage.backlog():
        usage.sequence(10_000)
    return sum(f'"{kind.value}"'.encode() in entry.record for entry in usage.entries(0, usage.size()))


def test_two_flows_at_once_cannot_bring_two_versions_of_one_agreement(cut: DataPlane) -> None:
    """The terms that came second never stand, however close behind they came."""
    both, number, answers = threading.Barrier(2), iter(range(9)), []

    def shown(agreement: dict[str, Any]) -> dict[str, Any]:
        at = next(number)
        if at < 2:
            both.wait(10)  # neither is saved before both were shown
        permission = [{"action": "use", "constraint": [limit("rowCount", "lteq", 10 + at)]}]
        return {**agreement, "permission": permission}

    cut.plane.change = shown

    def start(said: dict[str, Any]) -> None:
        answers.append(cut.call("POST", "/dataflows/start", said))

    messages = [cut.message(agreementId="one-agreement") for _ in range(2)]
    threads = [
        threading.Thread(
            target=lambda said: answers.append(cut.call("POST", "/dataflows/start", said)), args=(one,)
        )
        for one in messages
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200, 409], answers
    detail = next(said["detail"] for status, said in answers if status == 409)
    assert "terms do not change under the same id" in detail
    assert len(cut.connector.flows.recent()) == 1
    assert logged(cut, UsageKind.NEGOTIATION_FINALIZED) == 1
