"""A control plane, a sender or a sink that means ill, or an operator who changed the settings meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connector.adapters.control_planes import MOST_ASKED
from connector.app.connector import build
from connector.settings import NegotiationSettings, Settings, SignalingSettings
from schemas.dps import FlowState
from schemas.errors import Misconfigured
from schemas.usage import UsageKind
from tests.catalog_space import free_port
from tests.signaling import (
    LONGEST,
    OTHER_TOKEN,
    TOKEN,
    ControlPlaneServer,
    DataPlane,
    Pushed,
    data_plane,
    limit,
    running,
    settings_for,
    take_all,
    until,
)

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


def without_planes(cut: DataPlane) -> Settings:
    """The same settings after the operator took the control planes out."""
    return cut.settings.model_copy(update={"signaling": SignalingSettings()})


def test_what_a_control_plane_left_behind_is_ended_once_it_is_not_configured_any_more(tmp_path: Path) -> None:
    """Its mail goes nowhere, its promised work is not done, and the work of others does not stop for it."""
    with data_plane(tmp_path) as cut:
        cut.token = OTHER_TOKEN
        cut.plane.agreement_status = 503
        _, waiting = cut.start()
        cut.token = TOKEN
        _, answer = cut.call("POST", "/dataflows/prepare", cut.message("http-push"))
        prepared = answer["dataFlowId"]
        cut.plane.refusing[:] = [503] * 1000
        cut.connector.flows.give_up(prepared, "the disk is full")
        assert cut.connector.outbox.pending()
    settings = without_planes(cut).model_copy(
        update={"negotiation": NegotiationSettings(deadline_seconds=0.001)}
    )
    with running(settings) as again:
        flow = waiting["dataFlowId"]
        until(lambda: again.flows.own(flow).state is FlowState.TERMINATED, "the end of the flow")
        assert again.flows.own(flow).problem == "control plane 'slow' is not configured any more"
        until(lambda: not again.outbox.pending(), "the end of the mail")


def test_nothing_is_pushed_for_a_control_plane_that_is_not_configured_any_more(tmp_path: Path) -> None:
    with data_plane(tmp_path) as cut:
        cut.plane.sink = lambda request, arrived: cut.plane.release.wait(LONGEST) and 0
        _, started = cut.start("http-push", dataAddress=cut.sink_address())
        cut.plane.arrival()
    with running(without_planes(cut)) as again:
        assert again.flows.own(started["dataFlowId"]).state is FlowState.STARTED
        assert again.flows.to_push() == []
        assert again.flows.claim(started["dataFlowId"]) is None


def test_a_control_plane_that_does_not_answer_delays_nobody_else(tmp_path: Path) -> None:
    """Its agreements are owed; meanwhile the chores of the others are done, and few of our threads wait."""
    with data_plane(tmp_path) as cut:
        asked, release = threading.Event(), threading.Event()

        def stall(agreement: dict[str, Any]) -> dict[str, Any]:
            asked.set()
            release.wait(LONGEST)
            return agreement

        cut.plane.change = stall
        messages = [cut.message() for _ in range(MOST_ASKED + 1)]
        answers: list[Any] = []

        def start(said: dict[str, Any]) -> None:
            answers.append(cut.call("POST", "/dataflows/start", said))

        threads = [threading.Thread(target=start, args=(one,)) for one in messages]
        for thread in threads:
            thread.start()
        try:
            until(lambda: answers, "the answer to the one that is too many")
            assert answers[0][0] == 503
            assert "try again soon" in answers[0][1]["detail"]
        finally:
            release.set()
            for thread in threads:
                thread.join()
        assert sorted(status for status, _ in answers) == [200] * MOST_ASKED + [503]


def test_an_agreement_that_nests_without_end_is_refused(cut: DataPlane) -> None:
    deep: Any = {"action": "use"}
    for _ in range(200):
        deep = {"constraint": [deep]}
    cut.plane.shown = lambda path: (200, deep)  # type: ignore[method-assign]
    status, said = cut.call("POST", "/dataflows/start", cut.message())
    assert (status, "nests deeper" in said["detail"]) == (413, True), said


def test_a_push_that_was_stopped_and_started_anew_arrives_at_the_new_address(cut: DataPlane) -> None:
    """What the old sink says in the end, good or bad, is nothing about the new one."""
    for number, status in enumerate((200, 500)):
        answering = threading.Event()

        def late(request: Any, arrived: Pushed, status: int = status, go: threading.Event = answering) -> int:
            take_all(request, arrived)
            assert "new" in arrived.path or go.wait(LONGEST)
            return 200 if "new" in arrived.path else status

        cut.plane.sink = late
        old, new = (
            {**cut.sink_address(), "endpoint": f"{cut.plane.url}/sink/{word}-{number}"}
            for word in ("old", "new")
        )
        message, started = cut.start("http-push", dataAddress=old)
        arrived = cut.plane.arrival(f"/sink/old-{number}")
        until(partial(getattr, arrived, "whole"), "the whole push")
        assert cut.tell(started["dataFlowId"], "suspend")[0] == 200
        assert cut.call("POST", "/dataflows/start", {**message, "dataAddress": new})[0] == 200
        answering.set()
        cut.plane.heard(f"/transfers/{message['processId']}/dataflow/completed")
        assert cut.plane.arrival(f"/sink/new-{number}").whole
        assert not [one for one in cut.plane.told if one.path.endswith("errored")]


@pytest.mark.parametrize("member", ["processId", "agreementId"])
@pytest.mark.parametrize("name", [".", ".."])
def test_an_id_that_would_lead_elsewhere_at_the_control_plane_is_refused(
    cut: DataPlane, member: str, name: str
) -> None:
    status, said = cut.call("POST", "/dataflows/start", {**cut.message(), member: name})
    assert (status, f"{member} is {name!r}" in said["detail"]) == (400, True), said
    assert cut.plane.asked == []


def test_a_profile_that_names_no_direction_is_refused_at_the_start(tmp_path: Path) -> None:
    plane = ControlPlaneServer()
    try:
        settings = settings_for(tmp_path, plane, free_port(), signaling={"profiles": ("http-pul",)})
        with pytest.raises(Misconfigured, match="'http-pul' names no direction"):
            build(settings)
    finally:
        plane.close()
