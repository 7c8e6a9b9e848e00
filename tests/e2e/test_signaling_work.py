"""What a data plane has promised a foreign control plane: crashes, and sinks that misbehave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pytest

from connector.settings import Settings
from schemas.dps import FlowState
from tests.catalog_space import free_port
from tests.e2e.conftest import BIG
from tests.signaling import (
    DATASET,
    LONGEST,
    OPEN,
    OTHER_TOKEN,
    PEOPLE,
    ControlPlaneServer,
    DataPlane,
    Pushed,
    chunks,
    limit,
    publish,
    read_stream,
    running,
    settings_for,
    take_all,
    until,
)

pytestmark = pytest.mark.e2e

# --- promised work, and crashes ------------------------------------------------------------------------


def test_an_asynchronous_start_that_is_denied_ends_and_says_why(cut: DataPlane) -> None:
    cut.plane.permission = [{"action": "use", "constraint": [limit("moonPhase", "eq", "full")]}]
    message = cut.message()
    status, answer = cut.call("POST", "/dataflows/start", message, token=OTHER_TOKEN)
    assert (status, answer["state"]) == (202, "STARTING")
    told = cut.plane.heard(f"/transfers/{message['processId']}/dataflow/errored").document
    assert (told["state"], "moonPhase" in told["error"]) == ("TERMINATED", True)


def test_what_was_promised_and_what_is_to_be_told_survive_a_crash(tmp_path: Path) -> None:
    plane = ControlPlaneServer()
    try:
        settings = settings_for(tmp_path, plane, free_port(), stream={"port": free_port()})
        plane.agreement_status = 503
        with running(settings) as connector:
            publish(connector, tmp_path / "data")
            slow = DataPlane(connector, settings.public_url, plane, tmp_path, settings, token=OTHER_TOKEN)
            message = slow.message()
            status, answer = slow.call("POST", "/dataflows/start", message)
            assert (status, answer["state"]) == (202, "STARTING")
        plane.agreement_status = 200
        plane.refusing[:] = [503] * 3
        path = f"/transfers/{message['processId']}/dataflow/started"
        with running(settings) as connector:
            until(lambda: connector.flows.own(answer["dataFlowId"]).state is FlowState.STARTED, "the start")
        assert [told.path for told in plane.told] == []
        plane.refusing.clear()
        with running(settings) as connector:
            told = plane.heard(path)
            until(lambda: not connector.outbox.pending(), "an empty outbox")
            assert slow.pull(told.document["dataAddress"]).equals(PEOPLE)
        assert [one.path for one in plane.told] == [path]
    finally:
        plane.close()


def test_a_push_that_a_stop_broke_off_is_pushed_again_by_the_next_start(tmp_path: Path) -> None:
    plane = ControlPlaneServer()
    try:
        settings = settings_for(tmp_path, plane, free_port())
        plane.sink = never_answers(plane)
        with running(settings) as connector:
            publish(connector, tmp_path / "data")
            made = DataPlane(connector, settings.public_url, plane, tmp_path, settings)
            message, _ = made.start("http-push", dataAddress=made.sink_address())
            plane.arrival()
        plane.release.set()
        plane.sink = take_all
        with running(settings):
            plane.heard(f"/transfers/{message['processId']}/dataflow/completed")
        assert read_stream(plane.pushed[-1].body).equals(PEOPLE)
        assert [told.path.rsplit("/", 1)[-1] for told in plane.told] == ["completed"]
    finally:
        plane.close()


@contextmanager
def process(folder: Path, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run a connector as a process of its own, which a test may kill."""
    planes = [
        {name: str(value) if isinstance(value, Path) else value for name, value in plane.model_dump().items()}
        for plane in settings.signaling.control_planes
    ]
    lines = [
        f'public_url = "{settings.public_url}"',
        f"port = {settings.port}",
        f'data_dir = "{settings.data_dir}"',
        f"data = {{ roots = {json.dumps([str(root) for root in settings.data.roots])} }}",
        'egress = { allow = ["127.0.0.0/8"] }',
        f"stream = {{ port = {settings.stream.port} }}",
    ]
    for plane in planes:
        lines.append("[[signaling.control_planes]]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in plane.items() if value is not None]
    (folder / "hansa.toml").write_text("\n".join(lines))
    command = [
        sys.executable,
        "-m",
        "connector",
        "connector",
        "serve",
        "--config",
        str(folder / "hansa.toml"),
    ]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HANSA_")}
    with (folder / "log").open("ab") as log:
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean)
    try:
        until(lambda: _is_ready(settings), f"a ready connector ({folder / 'log'})", 60)
        yield started
    finally:
        started.kill()
        started.wait()


def _is_ready(settings: Settings) -> bool:
    with suppress(httpx2.HTTPError):
        return bool(httpx2.get(settings.public_url + "/readyz", timeout=5).is_success)
    return False


def test_a_killed_connector_tells_and_pushes_what_it_had_promised(tmp_path: Path) -> None:
    plane = ControlPlaneServer()
    try:
        settings = settings_for(tmp_path, plane, free_port(), stream={"port": free_port()})
        pq.write_table(PEOPLE, tmp_path / "data" / "people.parquet")
        plane.refusing[:] = [503, 503, *[0] * 1000]
        nowhere: Any = None
        made = DataPlane(nowhere, settings.public_url, plane, tmp_path, settings, token=OTHER_TOKEN)
        item = {"id": DATASET, "source": "people.parquet", "title": "People", "offer": {"permission": OPEN}}
        with process(tmp_path, settings) as running_one:
            assert made.management("POST", "/publications", {"items": [item]})[1]["published"] == [DATASET]
            message = made.message()
            _, answer = made.call("POST", "/dataflows/start", message)
            made.comes_to(answer["dataFlowId"], "STARTED")
            pushed = made.message("http-push", dataAddress=made.sink_address())
            plane.sink = reads_nothing(plane)
            made.call("POST", "/dataflows/start", pushed)
            plane.arrival()
            assert plane.unanswered.wait(LONGEST), "a message is on its way"
            running_one.send_signal(signal.SIGKILL)
            running_one.wait()
        plane.refusing.clear()
        plane.release.set()
        plane.sink = take_all
        assert plane.told == []
        with process(tmp_path, settings):
            told = plane.heard(f"/transfers/{message['processId']}/dataflow/started")
            assert made.pull(told.document["dataAddress"]).equals(PEOPLE)
            # Neither what was on its way nor the push waits for the lease of the dead, of a minute.
            plane.heard(f"/transfers/{pushed['processId']}/dataflow/started")
            plane.heard(f"/transfers/{pushed['processId']}/dataflow/completed")
            assert read_stream(plane.arrival(number=2).body).equals(PEOPLE)
            ids = [one.document["messageId"] for one in plane.told]
            assert len(ids) == len(set(ids))
    finally:
        plane.close()


# --- sinks that misbehave ------------------------------------------------------------------------------


def never_answers(plane: ControlPlaneServer) -> Any:
    """A sink that takes everything and says nothing until the test lets it; then it breaks off."""

    def sink(request: Any, arrived: Pushed) -> int:
        take_all(request, arrived)
        plane.release.wait(LONGEST)
        return 0

    return sink


def reads_nothing(plane: ControlPlaneServer) -> Any:
    """A sink that reads one chunk, and no more until the test lets it."""

    def sink(request: Any, arrived: Pushed) -> int:
        arrived.body += next(chunks(request.rfile))
        plane.release.wait(LONGEST)
        return 0

    return sink


def test_a_sink_that_refuses_is_told_of_with_its_status(cut: DataPlane) -> None:
    cut.plane.sink = lambda request, arrived: take_all(request, arrived) and 507
    message, started = cut.start("http-push", dataAddress=cut.sink_address())
    told = cut.plane.heard(f"/transfers/{message['processId']}/dataflow/errored").document
    assert "answered 507" in told["error"]
    # The control plane decides: suspended and resumed, the push is tried once more.
    cut.plane.sink = take_all
    cut.tell(started["dataFlowId"], "suspend")
    assert cut.tell(started["dataFlowId"], "resume")[0] == 200
    cut.plane.heard(f"/transfers/{message['processId']}/dataflow/completed")


def test_a_sink_that_refuses_before_all_was_sent_is_told_of_with_its_status(cut: DataPlane) -> None:
    cut.plane.sink = lambda request, arrived: 401
    message, _ = cut.start("http-push", datasetId=BIG, dataAddress=cut.sink_address())
    told = cut.plane.heard(f"/transfers/{message['processId']}/dataflow/errored").document
    assert "401" in told["error"] or "broke off" in told["error"]


@pytest.mark.parametrize("what", ["suspend", "terminate"])
def test_a_push_under_way_is_cut_when_its_control_plane_says_so(cut: DataPlane, what: str) -> None:
    cut.plane.sink = reads_nothing(cut.plane)
    address = cut.sink_address()
    address["endpoint"] += f"/{what}"
    message, started = cut.start("http-push", datasetId=BIG, dataAddress=address)
    arrived = cut.plane.arrival(f"/sink/{what}")
    assert cut.tell(started["dataFlowId"], what)[0] == 200
    cut.plane.release.set()
    until(lambda: not cut.connector.pushes._running, "the end of the push")
    assert not arrived.whole
    told = [one.path for one in cut.plane.told if message["processId"] in one.path]
    assert told == []


def test_an_endpoint_that_nobody_answers_at_is_tried_again(cut: DataPlane) -> None:
    port = free_port()
    address = {**cut.sink_address(), "endpoint": f"http://127.0.0.1:{port}/sink"}
    _, started = cut.start("http-push", dataAddress=address)
    held = until(lambda: (f := cut.connector.flows.own(started["dataFlowId"])).pushing and f, "a try")
    assert (held.state, held.problem) == (FlowState.STARTED, None)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"endpoint": "http://10.1.2.3/sink"}, "10.1.2.3"),
        ({"endpoint": "file:///etc/passwd"}, "plain http"),
        ({"endpoint": "http://[127.0.0.1/"}, "not a URL"),
        ({"endpoint": "http://user:secret@127.0.0.1/"}, "plain http"),
        ({"endpoint": None}, "no endpoint"),
        ({"headers": ("Host", "evil.example")}, "may not be set"),
        ({"headers": ("X-Key", "a\r\nX-Evil: 1")}, "cannot travel"),
        ({"headers": ("Transfer-Encoding", "identity")}, "may not be set"),
    ],
)
def test_an_address_to_which_we_may_not_push_is_told_of(cut: DataPlane, changes: Any, word: str) -> None:
    name, value = changes.get("headers", ("X-Key", "abc"))
    address = cut.sink_address(authKey=name, authCode=value)
    address["endpoint"] = changes.get("endpoint", address["endpoint"])
    message, _ = cut.start("http-push", dataAddress={k: v for k, v in address.items() if v is not None})
    told = cut.plane.heard(f"/transfers/{message['processId']}/dataflow/errored").document
    assert word in told["error"]
    assert "secret" not in told["error"]
