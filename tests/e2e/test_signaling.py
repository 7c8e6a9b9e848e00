"""A foreign control plane uses our data plane: over real sockets, its agreement enforced in the stream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.auditor import audit_url
from connector.settings import Settings
from schemas.binding.client import Egress, Http
from schemas.dps import FlowState
from schemas.odrl import DECLARED_USE
from schemas.vocab import HANSA
from tests.catalog_space import free_port
from tests.signaling import (
    CONSUMER,
    DATASET,
    LONGEST,
    OPEN,
    OTHER_TOKEN,
    PEOPLE,
    PROVIDER,
    ROWS,
    ControlPlaneServer,
    DataPlane,
    Pushed,
    chunks,
    data_plane,
    limit,
    publish,
    read_stream,
    running,
    settings_for,
    take_all,
    until,
)

pytestmark = pytest.mark.e2e

LEASED = 90.0
"""Seconds in which what a dead process held is taken up by the next one."""
BIG, BIG_ROWS = "urn:dataset:big", 400_000
BIG_TABLE = pa.table({"id": pa.array(range(BIG_ROWS), pa.int64()), "text": ["x" * 100] * BIG_ROWS})


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    with data_plane(tmp_path_factory.mktemp("plane"), ((DATASET, PEOPLE), (BIG, BIG_TABLE))) as made:
        yield made


@pytest.fixture
def cut(serving: DataPlane) -> DataPlane:
    """The data plane, with a control plane that is as it was at first."""
    plane = serving.plane
    plane.permission, plane.agreement_status, plane.sink = OPEN, 200, take_all
    plane.change = lambda agreement: agreement
    plane.refusing.clear()
    plane.release.clear()
    return serving


def refused(answer: tuple[int, Any], status: int, *words: str) -> None:
    """Check that an answer is a refusal that says why."""
    assert answer[0] == status, answer
    for word in words:
        assert word in answer[1]["detail"], answer[1]["detail"]


def flows(cut: DataPlane) -> int:
    return len(cut.connector.flows.recent(10_000))


# --- the agreement's policy in the stream -----------------------------------------------------------

MASKED = [
    {
        "action": "use",
        "constraint": [
            limit("column/age", "gteq", 60),
            limit("columns", "isAnyOf", ["id", "age"]),
            limit("mask/id", "eq", "hash"),
            limit("rowCount", "lteq", 1000),
        ],
    }
]


def test_rows_columns_and_masks_of_a_foreign_agreement_are_enforced_in_the_stream(cut: DataPlane) -> None:
    cut.plane.permission = MASKED
    _, started = cut.start()
    table = cut.pull(started["dataAddress"])
    assert table.column_names == ["id", "age"]
    assert table.num_rows == sum(1 for at in range(ROWS) if at % 80 >= 60)
    assert min(table["age"].to_pylist()) == 60
    assert not set(table["id"].to_pylist()) & set(map(str, range(ROWS)))


def test_a_push_carries_exactly_what_the_agreement_shows(cut: DataPlane) -> None:
    cut.plane.permission = MASKED
    message, _ = cut.start("http-push", dataAddress=cut.sink_address(authorization="pass", authType="bearer"))
    told = cut.plane.heard(f"/transfers/{message['processId']}/dataflow/completed")
    assert told.document["state"] == "COMPLETED"
    arrived = [one for one in cut.plane.pushed if one.whole][-1]
    table = read_stream(arrived.body)
    assert table.column_names == ["id", "age"]
    assert min(table["age"].to_pylist()) == 60
    assert arrived.headers["Authorization"] == "Bearer pass"


def test_a_row_limit_ends_a_push_and_the_control_plane_is_told_why(cut: DataPlane) -> None:
    cut.plane.permission = [{"action": "use", "constraint": [limit("rowCount", "lteq", 300)]}]
    message, started = cut.start("http-push", dataAddress=cut.sink_address())
    told = cut.plane.heard(f"/transfers/{message['processId']}/dataflow/errored").document
    assert (told["state"], "300 rows" in told["error"]) == ("STARTED", True)
    assert cut.state(started["dataFlowId"]) == "STARTED"


def test_a_use_that_the_agreement_denies_is_not_started(cut: DataPlane) -> None:
    research = {
        "leftOperand": "purpose",
        "operator": "isA",
        "rightOperand": "https://w3id.org/dpv#ResearchAndDevelopment",
    }
    cut.plane.permission = [{"action": "use", "constraint": [research]}]
    before = flows(cut)
    refused(cut.call("POST", "/dataflows/start", cut.message()), 403, "purpose")
    assert flows(cut) == before
    use = {"action": HANSA + "train", "purpose": "https://w3id.org/dpv#ScientificResearch"}
    _, started = cut.start(metadata={DECLARED_USE: use})
    assert cut.pull(started["dataAddress"]).equals(PEOPLE)


@pytest.mark.parametrize(
    ("permission", "status", "word"),
    [
        ([{"action": "use", "constraint": [limit("moonPhase", "eq", "full")]}], 400, "moonPhase"),
        ([{"action": "use", "constraint": [limit("column/height", "gteq", 5)]}], 400, "height"),
        ([{"action": "use", "constraint": [limit("column/age", "gteq", "old")]}], 400, "old"),
        ([{"action": "juggle"}], 400, "juggle"),
        ([{"action": "use", "duty": [{"action": "sing"}]}], 400, "duty"),
        ([], 400, "permission"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name_and_not_started(
    cut: DataPlane, permission: Any, status: int, word: str
) -> None:
    cut.plane.permission, before = permission, flows(cut)
    refused(cut.call("POST", "/dataflows/start", cut.message()), status, word)
    assert flows(cut) == before


@pytest.mark.parametrize(
    ("member", "word"),
    [("@id", "@id"), ("target", "target"), ("assigner", "assigner"), ("assignee", "assignee")],
)
def test_an_agreement_about_something_else_is_refused(cut: DataPlane, member: str, word: str) -> None:
    cut.plane.change = lambda agreement: {**agreement, member: "urn:somebody:else"}
    refused(cut.call("POST", "/dataflows/start", cut.message()), 400, word, "urn:somebody:else")


@pytest.mark.parametrize(
    "shown", [{}, [], "text", {"@context": ["https://evil.example/c"]}, {"@type": "Offer"}]
)
def test_something_that_is_no_agreement_starts_nothing(cut: DataPlane, shown: Any) -> None:
    cut.plane.change, before = (lambda agreement: shown), flows(cut)
    status, _ = cut.call("POST", "/dataflows/start", cut.message())
    assert (status, flows(cut)) == (400, before)


def test_a_control_plane_that_shows_no_agreement_is_told_so_and_may_try_again(cut: DataPlane) -> None:
    message = cut.message()
    cut.plane.agreement_status = 503
    refused(cut.call("POST", "/dataflows/start", message), 502, "answered 503")
    cut.plane.agreement_status = 404
    refused(cut.call("POST", "/dataflows/start", message), 502, "answered 404")
    cut.plane.agreement_status = 200
    assert cut.call("POST", "/dataflows/start", message)[1]["state"] == "STARTED"


def test_a_dataset_that_is_not_offered_here_is_refused_by_name(cut: DataPlane) -> None:
    refused(
        cut.call("POST", "/dataflows/start", cut.message(datasetId="urn:dataset:none")),
        404,
        "urn:dataset:none",
    )


def test_a_message_of_somebody_for_whom_the_control_plane_does_not_speak_is_refused(cut: DataPlane) -> None:
    refused(
        cut.call("POST", "/dataflows/start", cut.message(participantId="mallory")), 403, "mallory", PROVIDER
    )


def test_terms_that_change_under_one_agreement_are_refused(cut: DataPlane) -> None:
    first, _ = cut.start()
    cut.plane.permission = [{"action": "use", "constraint": [limit("rowCount", "lteq", 10)]}]
    again = cut.message(agreementId=first["agreementId"])
    refused(cut.call("POST", "/dataflows/start", again), 409, "terms do not change")


def test_the_audit_of_the_log_holds_with_foreign_agreements(tmp_path: Path) -> None:
    with data_plane(tmp_path) as made:
        made.plane.permission = MASKED
        _, started = made.start()
        made.pull(started["dataAddress"])
        made.tell(started["dataFlowId"], "completed")
        made.plane.permission = OPEN
        message, _ = made.start("http-push", dataAddress=made.sink_address())
        made.plane.heard(f"/transfers/{message['processId']}/dataflow/completed")
        made.connector.usage.step()
        _, answer = made.management("POST", "/mandates", {"days": 1})
        report = audit_url(answer["url"], Http(Egress.allowing(["127.0.0.0/8"])))
    assert [str(finding) for finding in report.findings] == []
    assert {(use.counterparty, use.rows) for use in report.uses} == {(CONSUMER, 240), (CONSUMER, ROWS)}


# --- ending what runs ---------------------------------------------------------------------------------


class Reader:
    """A consumer that reads a big stream slowly, by hand."""

    def __init__(self, cut: DataPlane, address: dict[str, Any]) -> None:
        properties = {item["name"]: item["value"] for item in address["endpointProperties"]}
        headers = {"Authorization": f"Bearer {properties['authorization']}"}
        self._stream = cut.http.stream("GET", address["endpoint"], headers=headers)
        self._reply = self._stream.__enter__()
        assert self._reply.status_code == 200
        self._bytes = self._reply.iter_raw()
        self.size = len(next(self._bytes))

    def rest(self) -> int:
        """Read until it ends or breaks; return how many bytes there were in all."""
        try:
            for piece in self._bytes:
                self.size += len(piece)
        except httpx2.HTTPError:
            return self.size
        raise AssertionError("the stream ended as a complete one does")


@pytest.mark.parametrize("what", ["suspend", "terminate"])
def test_what_the_control_plane_ends_stops_an_open_stream(cut: DataPlane, what: str) -> None:
    _, started = cut.start(datasetId=BIG)
    reader = Reader(cut, started["dataAddress"])
    assert cut.tell(started["dataFlowId"], what, reason="enough")[0] == 200
    assert reader.rest() < BIG_TABLE.nbytes / 2
    reply = cut.http.get(
        started["dataAddress"]["endpoint"],
        headers={"Authorization": f"Bearer {started['dataAddress']['endpointProperties'][0]['value']}"},
    )
    assert (reply.status_code, "enough" in reply.text) == (409, True)


def test_a_revocation_stops_an_open_stream_and_the_control_plane_is_told(cut: DataPlane) -> None:
    message, started = cut.start(datasetId=BIG)
    reader = Reader(cut, started["dataAddress"])
    path = f"/agreements/{message['agreementId']}/revocation"
    status, answer = cut.management("POST", path, {"reason": "the patient said no"})
    assert (status, answer["transfersEnded"]) == (200, 1)
    assert reader.rest() < BIG_TABLE.nbytes / 2
    told = cut.plane.heard(f"/transfers/{message['processId']}/dataflow/errored").document
    assert (told["state"], "the patient said no" in told["error"]) == ("TERMINATED", True)
    again = cut.message(agreementId=message["agreementId"], datasetId=BIG)
    refused(cut.call("POST", "/dataflows/start", again), 403, "was revoked: the patient said no")


def test_a_suspended_flow_resumes_with_a_fresh_ticket_after_a_fresh_decision(cut: DataPlane) -> None:
    _, started = cut.start()
    flow = started["dataFlowId"]
    cut.tell(flow, "suspend", reason="tea")
    status, resumed = cut.tell(flow, "resume")
    assert (status, resumed["state"]) == (200, "STARTED")
    assert cut.pull(resumed["dataAddress"]).equals(PEOPLE)
    cut.tell(flow, "suspend")
    cut.plane.agreement_status = 404
    refused(cut.tell(flow, "resume"), 502, "answered 404")
    assert cut.state(flow) == "SUSPENDED"


def test_repeats_change_nothing_and_are_answered_alike(cut: DataPlane) -> None:
    message, started = cut.start()
    flow, before = started["dataFlowId"], flows(cut)
    _, again = cut.call("POST", "/dataflows/start", message)
    assert (again["dataFlowId"], again["state"], flows(cut)) == (flow, "STARTED", before)
    for what, state in (("suspend", "SUSPENDED"), ("terminate", "TERMINATED")):
        assert [cut.tell(flow, what)[0] for _ in range(2)] == [200, 200]
        assert cut.state(flow) == state
    refused(cut.tell(flow, "resume"), 400, "TERMINATED")
    refused(cut.call("POST", "/dataflows/start", message), 400, "TERMINATED")
    refused(cut.call("POST", "/dataflows/start", {**message, "datasetId": BIG}), 409, "datasetId")


def test_many_starts_of_one_process_at_once_make_one_flow(cut: DataPlane) -> None:
    message, before, answers = cut.message(), flows(cut), []

    def start() -> None:
        answers.append(cut.call("POST", "/dataflows/start", message))

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert len({answer["dataFlowId"] for _, answer in answers}) == 1
    assert flows(cut) == before + 1


# --- who may call -------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "wrong", "the-token-of-the-control-plan", "é"])
def test_who_shows_no_token_that_the_operator_set_is_not_listened_to(cut: DataPlane, token: str) -> None:
    before = flows(cut)
    headers = {"Authorization": f"Bearer {token}".encode("latin-1")} if token else {}
    for path in ("/dataflows/start", "/dataflows/prepare", "/edc/start", f"/edc/{token or 'x'}/start"):
        reply = cut.http.post(f"{cut.url}/signaling{path}", json=cut.message(), headers=headers)
        assert reply.status_code == 401, path
    assert flows(cut) == before


def test_a_flow_of_another_control_plane_is_as_if_it_were_not_there(cut: DataPlane) -> None:
    _, started = cut.start()
    path = f"/dataflows/{started['dataFlowId']}"
    refused(cut.call("GET", f"{path}/status", token=OTHER_TOKEN), 404, "of yours")
    refused(cut.call("POST", f"{path}/terminate", {}, token=OTHER_TOKEN), 404, "of yours")
    assert cut.state(started["dataFlowId"]) == "STARTED"


def test_without_a_configured_control_plane_the_door_says_what_to_set(tmp_path: Path) -> None:
    settings = Settings(
        public_url=f"http://127.0.0.1:{(port := free_port())}", port=port, data_dir=tmp_path / "state"
    )
    with running(settings), httpx2.Client(trust_env=False) as http:
        for path in ("/dataflows/start", "/edc/x/start"):
            reply = http.post(settings.public_url + "/signaling" + path, json={})
            assert (reply.status_code, "signaling.control_planes" in reply.text) == (403, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"x"', b"[" * 5000, b'{"processId": NaN}'])
def test_a_body_that_is_no_message_is_refused(cut: DataPlane, body: bytes) -> None:
    for path in ("/dataflows/start", "/dataflows/prepare"):
        status, _ = cut.call("POST", path, body)
        assert status in (400, 413)


def test_an_address_where_none_belongs_and_none_where_one_does_are_refused(cut: DataPlane) -> None:
    start, prepare = "/dataflows/start", "/dataflows/prepare"
    address = {"dataAddress": cut.sink_address()}
    refused(cut.call("POST", start, cut.message("http-pull", **address)), 400, "does not belong")
    refused(cut.call("POST", prepare, cut.message("http-push", **address)), 400, "does not belong")
    refused(cut.call("POST", start, cut.message("http-push")), 400, "needs the dataAddress")
    refused(cut.call("POST", start, cut.message("mqtt-push", **address)), 404, "mqtt-push", "http-push")


def test_started_does_not_get_a_provider_past_its_decision(cut: DataPlane) -> None:
    _, started = cut.start()
    cut.tell(started["dataFlowId"], "suspend")
    refused(cut.tell(started["dataFlowId"], "started"), 400, "consumer's data plane")
    assert cut.state(started["dataFlowId"]) == "SUSPENDED"


def test_a_control_plane_registers_only_as_the_operator_configured_it(cut: DataPlane) -> None:
    said = {"controlplaneId": "tck", "endpoint": cut.plane.url, "authorization": {}}
    assert cut.call("PUT", "/controlplanes", said)[0] == 200
    evil = {**said, "endpoint": "http://evil.example"}
    refused(cut.call("PUT", "/controlplanes", evil), 403, "evil.example")
    refused(cut.call("PUT", "/controlplanes", {**said, "controlplaneId": "slow"}), 403, "controlplaneId")
    refused(cut.call("DELETE", "/controlplanes?controlplaneId=slow"), 404, "slow")
    assert cut.call("DELETE", "/controlplanes?controlplaneId=tck")[0] == 204
    refused(cut.call("POST", "/dataflows/start", cut.message()), 403, "took its leave")
    assert cut.call("PUT", "/controlplanes", said)[0] == 200
    cut.start()


def test_nobody_is_called_at_a_url_that_stands_in_a_message(cut: DataPlane) -> None:
    elsewhere = ControlPlaneServer()
    try:
        message, _ = cut.start("http-push", dataAddress=cut.sink_address(), callbackAddress=elsewhere.url)
        cut.plane.heard(f"/transfers/{message['processId']}/dataflow/completed")
        assert (elsewhere.told, elsewhere.asked) == ([], [])
    finally:
        elsewhere.close()


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
        plane.refusing[:] = [503] * 10_000
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
            running_one.send_signal(signal.SIGKILL)
            running_one.wait()
        plane.release.set()
        plane.refusing.clear()
        assert plane.told == []
        with process(tmp_path, settings):
            told = plane.heard(f"/transfers/{message['processId']}/dataflow/started", LEASED)
            assert made.pull(told.document["dataAddress"]).equals(PEOPLE)
            plane.heard(f"/transfers/{pushed['processId']}/dataflow/started", LEASED)
            ids = [one.document["messageId"] for one in plane.told]
            assert len(ids) == len(set(ids))
            # The push itself is begun again once the lease of the dead one runs out.
            flow = made.call("POST", "/dataflows/start", pushed)[1]
            assert (flow["state"], flow.get("error")) == ("STARTED", None)
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


# --- what is pushed to us ------------------------------------------------------------------------------


@pytest.fixture
def sink(cut: DataPlane) -> tuple[str, str, str]:
    """The flow, the URL and the pass of a sink of ours."""
    status, answer = cut.call("POST", "/dataflows/prepare", cut.message("http-push"))
    assert status == 200
    address = answer["dataAddress"]
    token = next(item["value"] for item in address["endpointProperties"] if item["name"] == "authorization")
    return answer["dataFlowId"], address["endpoint"], token


def arrow(table: pa.Table = PEOPLE) -> bytes:
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, table.schema) as writer:
        writer.write_table(table)
    return bytes(target.getvalue())


ARROW = "application/vnd.apache.arrow.stream"


def send(cut: DataPlane, url: str, token: str, body: Any, media: str = ARROW) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": media}
    return cut.http.post(url, content=body, headers=headers)


def received(cut: DataPlane) -> set[str]:
    folder = cut.settings.data_dir / "received"
    return {file.name for file in folder.iterdir()} if folder.exists() else set()


def test_an_arrow_stream_that_is_pushed_to_us_is_checked_kept_and_shown(
    cut: DataPlane, sink: tuple[str, str, str]
) -> None:
    flow, url, token = sink
    reply = send(cut, url, token, arrow())
    assert (reply.status_code, reply.json()) == (200, {"bytes": len(arrow()), "rows": ROWS})
    _, shown = cut.management("GET", f"/dataflows/{flow}")
    file = cut.settings.data_dir / "received" / shown["received"]["file"]
    assert file.suffix == ".arrow"
    assert read_stream(file.read_bytes()).equals(PEOPLE)
    assert (shown["received"]["rows"], file.stat().st_mode & 0o777) == (ROWS, 0o600)


def test_bytes_of_another_kind_are_kept_as_they_are(cut: DataPlane, sink: tuple[str, str, str]) -> None:
    flow, url, token = sink
    for body in (b"a,b\n1,2\n", b"\xff\xff\xff\xff but no Arrow", b""):
        assert send(cut, url, token, body, "text/csv").json() == {"bytes": len(body), "rows": None}
        _, shown = cut.management("GET", f"/dataflows/{flow}")
        file = cut.settings.data_dir / "received" / shown["received"]["file"]
        assert (file.suffix, file.read_bytes()) == (".bin", body)


@pytest.mark.parametrize(
    "body", [b"", b"text", arrow()[:-200], arrow()[:5000], arrow().replace(b"\x00" * 8, b"\xff" * 8, 40)]
)
def test_what_says_that_it_is_arrow_and_is_not_is_refused_and_not_kept(
    cut: DataPlane, sink: tuple[str, str, str], body: bytes
) -> None:
    flow, url, token = sink
    before = received(cut)
    reply = send(cut, url, token, body)
    assert (reply.status_code, received(cut)) == (422, before), reply.text
    assert "received" not in cut.management("GET", f"/dataflows/{flow}")[1]


@pytest.mark.parametrize("token", ["none", "wrong", "0" * 64])
def test_a_sink_takes_nothing_without_its_pass(
    cut: DataPlane, sink: tuple[str, str, str], token: str
) -> None:
    before = received(cut)
    assert send(cut, sink[1], token, arrow()).status_code == 401
    other = cut.call("POST", "/dataflows/prepare", cut.message("http-push"))[1]["dataAddress"]["endpoint"]
    assert send(cut, other, sink[2], arrow()).status_code == 401
    assert send(cut, sink[1] + "x", sink[2], arrow()).status_code == 401
    assert cut.http.post(sink[1], content=arrow()).status_code == 401
    assert received(cut) == before


def test_a_body_that_breaks_off_leaves_nothing(cut: DataPlane, sink: tuple[str, str, str]) -> None:
    _, url, token = sink
    before = received(cut)

    def breaking() -> Iterator[bytes]:
        yield arrow()[:5000]
        raise ConnectionError("the sender died")

    with pytest.raises(ConnectionError):
        send(cut, url, token, breaking())
    cut.http.close()
    cut.http = httpx2.Client(timeout=LONGEST, trust_env=False)
    until(lambda: not cut.connector.sinks._arriving, "the end of the arrival")
    assert received(cut) == before
    assert send(cut, url, token, arrow()).status_code == 200, "and it may be sent again"


@pytest.mark.parametrize("what", ["terminate", "suspend"])
def test_a_sink_is_closed_when_its_flow_ends_also_in_the_middle_of_a_body(
    cut: DataPlane, sink: tuple[str, str, str], what: str
) -> None:
    flow, url, token = sink
    cut.tell(flow, "started")
    before = received(cut)

    def endless() -> Iterator[bytes]:
        yield b"x" * (1 << 20)
        until(lambda: cut.connector.sinks._arriving, "the arrival")
        assert cut.tell(flow, what)[0] == 200
        for _ in range(64):
            yield b"x" * (1 << 20)

    try:
        reply = send(cut, url, token, endless(), "application/octet-stream")
    except httpx2.HTTPError:
        pass  # it closed the connection while we were sending
    else:
        assert (reply.status_code, "any more" in reply.text) == (409, True)
    until(lambda: not cut.connector.sinks._arriving, "the end of the arrival")
    assert received(cut) == before
    assert send(cut, url, token, arrow()).status_code == 409


def test_a_file_that_is_too_large_is_refused_whether_it_says_so_or_not(tmp_path: Path) -> None:
    with data_plane(tmp_path, receive={"most_bytes": 10_000}) as made:
        answer = made.call("POST", "/dataflows/prepare", made.message("http-push"))[1]
        url = answer["dataAddress"]["endpoint"]
        token = answer["dataAddress"]["endpointProperties"][0]["value"]
        for body in (b"x" * 10_001, iter([b"x" * 6_000, b"x" * 6_000])):
            reply = send(made, url, token, body, "application/octet-stream")
            assert (reply.status_code, "receive.most_bytes" in reply.text) == (413, True)
        assert received(made) == set()
        assert send(made, url, token, b"x" * 10_000, "application/octet-stream").status_code == 200


def test_a_sender_that_stalls_is_given_up(tmp_path: Path) -> None:
    with data_plane(tmp_path, receive={"stall_seconds": 0.2}) as made:
        answer = made.call("POST", "/dataflows/prepare", made.message("http-push"))[1]
        url = answer["dataAddress"]["endpoint"]
        token = answer["dataAddress"]["endpointProperties"][0]["value"]
        stalled = threading.Event()

        def slow() -> Iterator[bytes]:
            yield b"x" * 100
            until(lambda: bool(made.connector.sinks._arriving), "the arrival")
            until(lambda: not made.connector.sinks._arriving, "the end of the arrival")
            stalled.set()
            yield b"y"

        try:
            reply = send(made, url, token, slow(), "text/plain")
        except httpx2.HTTPError:
            pass
        else:
            assert (reply.status_code, "stalled" in reply.text) == (400, True)
        assert stalled.is_set()
        assert received(made) == set()


def test_what_we_push_to_ourselves_arrives_whole(cut: DataPlane, sink: tuple[str, str, str]) -> None:
    flow, url, token = sink
    properties = {"authorization": token, "authType": "bearer"}
    address = {
        "endpointType": "HttpData",
        "endpoint": url,
        "endpointProperties": [{"name": name, "value": value} for name, value in properties.items()],
    }
    message, _ = cut.start("HttpData-PUSH", dataAddress=address)
    cut.plane.heard(f"/transfers/{message['processId']}/dataflow/completed")
    shown = cut.management("GET", f"/dataflows/{flow}")[1]["received"]
    assert (shown["rows"], shown["file"].endswith(".arrow")) == (ROWS, True)
    assert cut.management("POST", f"/dataflows/{flow}/completion")[0] == 400
    cut.tell(flow, "started")
    assert cut.management("POST", f"/dataflows/{flow}/completion")[1]["state"] == "COMPLETED"
