"""A foreign control plane uses our data plane: over real sockets, its agreement enforced in the stream."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest

from connector.auditor import audit_url
from connector.settings import Settings
from schemas.binding.client import Egress, Http
from schemas.odrl import DECLARED_USE
from schemas.vocab import HANSA
from tests.catalog_space import free_port
from tests.e2e.conftest import BIG, BIG_TABLE
from tests.signaling import (
    CONSUMER,
    OPEN,
    OTHER_TOKEN,
    PEOPLE,
    PROVIDER,
    ROWS,
    ControlPlaneServer,
    DataPlane,
    data_plane,
    limit,
    read_stream,
    running,
)

pytestmark = pytest.mark.e2e


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
    headers = [(b"Authorization", f"Bearer {token}".encode("latin-1"))] if token else []
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
