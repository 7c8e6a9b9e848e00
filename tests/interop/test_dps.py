"""The 23 pull and push tests of the Data Plane Signaling TCK, over real HTTP, one test an id.

The kit's jar cannot be had from the registry, so each test is transcribed from what the kit's own sources say
that it sends and asserts. `tests/signaling.py` is the control plane that the kit plays. Bodies are judged by
the specification's JSON Schemas where those lie beside the repository. What the kit leaves to the
configuration of the system under test is: which control plane is answered asynchronously (a token of its own
here), that the agreement can be fetched, and what has a consumer's data plane say that it is done (its own
application, at the management door).

Source: eclipse-dataspacetck/dps-tck, verification.dataplane.pull and .push, DataPlaneSignalingPipeline.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, ValidationError
from referencing import Registry, Resource

from tests.shared_data import shared_data
from tests.signaling import (
    LONGEST,
    OTHER_TOKEN,
    PEOPLE,
    DataPlane,
    Pushed,
    data_plane,
    read_stream,
    take_all,
    until,
)

pytestmark = pytest.mark.interop

SIG = "https://w3id.org/dspace-sig/v1.0/"
ADDRESS = "https://w3id.org/dspace/2025/1/transfer/data-address-schema.json"


class Schemas:
    """The specification's schemas, with those that they point to; none where they are absent."""

    def __init__(self) -> None:
        self._by_name: dict[str, Any] = {}
        try:
            self._load()
        except pytest.skip.Exception as absent:
            # The kit's other facts are asserted all the same; a test of its own tells what was left out.
            self.absent: str | None = str(absent)
        else:
            self.absent = None

    def _load(self) -> None:
        folder = shared_data("dsp", "extra", "data-plane-signaling", "specifications", "schemas")
        self._by_name = {file.name: json.loads(file.read_text()) for file in folder.glob("*.json")}
        address = next(
            file
            for file in shared_data("dsp").rglob("data-address-schema.json")
            if "signaling" not in str(file)
        )
        documents = {SIG + name: schema for name, schema in self._by_name.items()}
        documents[ADDRESS] = json.loads(address.read_text())
        self._registry: Registry = Registry().with_resources(
            (url, Resource.from_contents(schema)) for url, schema in documents.items()
        )

    def check(self, name: str, document: Any) -> None:
        """Check a document; the name is that of a message."""
        if self.absent is not None:
            return
        schema = {key: value for key, value in self._by_name[f"{name}.schema.json"].items() if key != "$id"}
        Draft7Validator(schema, registry=self._registry).validate(document)


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    with data_plane(tmp_path_factory.mktemp("dps")) as made:
        yield made


@pytest.fixture
def cut(serving: DataPlane) -> Iterator[DataPlane]:
    """The system under test, with a control plane that remembers nothing of other tests.

    Its sink takes everything, and answers once the test lets it: until then a push is under way.
    """
    plane = serving.plane
    plane.release.clear()

    def holding(request: Any, arrived: Pushed) -> int:
        take_all(request, arrived)
        return 200 if plane.release.wait(LONGEST) else 503

    plane.sink = holding
    yield serving
    plane.release.set()


class Kit:
    """What the kit's pipeline does: send, keep the flow's id and address, check states."""

    def __init__(self, cut: DataPlane, schemas: Schemas, profile: str, *, later: bool = False) -> None:
        self.cut, self.schemas, self.profile = cut, schemas, profile
        self.token = OTHER_TOKEN if later else cut.token
        self.later = later

    def call(self, method: str, path: str, document: Any = None) -> Any:
        status, answer = self.cut.call(method, path, document, token=self.token)
        assert 200 <= status < 300, (status, answer)
        return status, answer

    def _ask(self, what: str, states: tuple[str, str], **more: Any) -> Kit:
        said = self.cut.message(self.profile, **more)
        self.process = said["processId"]
        status, answer = self.call("POST", f"/dataflows/{what}", said)
        self.schemas.check("DataFlowStatusMessage", answer)
        assert answer["dataFlowId"]
        assert answer["state"] == states[1 if self.later else 0]
        assert status == (202 if self.later else 200)
        self.flow, self.address = answer["dataFlowId"], answer.get("dataAddress")
        return self

    def prepare(self) -> Kit:
        return self._ask("prepare", ("PREPARED", "PREPARING"))

    def start(self) -> Kit:
        return self._ask("start", ("STARTED", "STARTING"))

    def start_push(self) -> Kit:
        self.sink = f"/sink/{secrets.token_hex(8)}"
        address = {
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpoint": self.cut.plane.url + self.sink,
        }
        return self._ask("start", ("STARTED", "STARTING"), dataAddress=address)

    def no_address(self) -> Kit:
        assert self.address is None
        return self

    def an_address(self) -> Kit:
        assert self.address is not None
        return self

    def say(self, what: str, **said: Any) -> Kit:
        body = {} if what == "completed" else {"messageId": "m", **said}
        _, answer = self.call("POST", f"/dataflows/{self.flow}/{what}", body)
        if what == "resume":
            self.schemas.check("DataFlowStatusMessage", answer)
            assert answer["state"] == "STARTED"
        return self

    def is_in(self, state: str) -> Kit:
        def found() -> bool:
            _, answer = self.call("GET", f"/dataflows/{self.flow}/status")
            self.schemas.check("DataFlowStatusResponseMessage", answer)
            return bool(answer["state"] == state)

        until(found, f"state {state}")
        return self

    def is_told(self, what: str) -> dict[str, Any]:
        told = self.cut.plane.heard(f"/transfers/{self.process}/dataflow/{what}").document
        self.schemas.check("DataFlowStatusMessage", told)
        assert told["dataFlowId"] == self.flow
        return told


@pytest.fixture
def pull(cut: DataPlane, schemas: Schemas) -> Kit:
    return Kit(cut, schemas, "http-pull")


@pytest.fixture
def push(cut: DataPlane, schemas: Schemas) -> Kit:
    return Kit(cut, schemas, "http-push")


# --- DP_C_PULL: a consumer's data plane, pull -------------------------------------------------------


def test_dp_c_pull_01_01_prepare_then_started(pull: Kit) -> None:
    pull.prepare().no_address().say("started").is_in("STARTED")


def test_dp_c_pull_01_02_prepare_started_terminate(pull: Kit) -> None:
    pull.prepare().no_address().say("started").say("terminate", reason="any").is_in("TERMINATED")


def test_dp_c_pull_02_01_suspend_and_resume(pull: Kit) -> None:
    pull.prepare().no_address().say("started").say("suspend").is_in("SUSPENDED")
    pull.say("resume").is_in("STARTED")


def test_dp_c_pull_02_02_suspend_then_terminate(pull: Kit) -> None:
    pull.prepare().say("started").say("suspend").is_in("SUSPENDED")
    pull.say("terminate", reason="any").is_in("TERMINATED")


def test_dp_c_pull_03_01_the_data_plane_tells_that_it_is_complete(pull: Kit) -> None:
    pull.prepare().is_in("PREPARED").say("started").is_in("STARTED")
    status, shown = pull.cut.management("POST", f"/dataflows/{pull.flow}/completion")
    assert (status, shown["state"]) == (200, "COMPLETED")
    assert pull.is_told("completed")["state"] == "COMPLETED"


def test_dp_c_pull_04_01_prepare_asynchronously(cut: DataPlane, schemas: Schemas) -> None:
    kit = Kit(cut, schemas, "http-pull", later=True).prepare().no_address()
    assert kit.is_told("prepared")["state"] == "PREPARED"
    kit.is_in("PREPARED")


# --- DP_P_PULL: a provider's data plane, pull -------------------------------------------------------


def test_dp_p_pull_01_01_start_then_completed(pull: Kit) -> None:
    pull.start().an_address().is_in("STARTED")
    assert pull.cut.pull(pull.address).equals(PEOPLE)
    pull.say("completed").is_in("COMPLETED")


def test_dp_p_pull_01_02_start_then_terminate(pull: Kit) -> None:
    pull.start().an_address().is_in("STARTED").say("terminate", reason="any").is_in("TERMINATED")


def test_dp_p_pull_02_01_suspend_and_resume(pull: Kit) -> None:
    pull.start().say("suspend").is_in("SUSPENDED").say("resume").is_in("STARTED")


def test_dp_p_pull_02_02_suspend_then_terminate(pull: Kit) -> None:
    pull.start().say("suspend").is_in("SUSPENDED").say("terminate", reason="any").is_in("TERMINATED")


def test_dp_p_pull_04_01_start_asynchronously(cut: DataPlane, schemas: Schemas) -> None:
    kit = Kit(cut, schemas, "http-pull", later=True).start()
    told = kit.is_told("started")
    assert told["state"] == "STARTED"
    kit.is_in("STARTED")
    assert cut.pull(told["dataAddress"]).equals(PEOPLE)


# --- DP_C_PUSH: a consumer's data plane, push -------------------------------------------------------


def test_dp_c_push_01_01_prepare_gives_an_address_then_started(push: Kit) -> None:
    push.prepare().an_address().say("started").is_in("STARTED")


def test_dp_c_push_01_02_prepare_started_terminate(push: Kit) -> None:
    push.prepare().an_address().say("started").say("terminate", reason="any").is_in("TERMINATED")


def test_dp_c_push_02_01_suspend_and_resume(push: Kit) -> None:
    push.prepare().an_address().say("started").say("suspend").is_in("SUSPENDED")
    push.say("resume").is_in("STARTED")


def test_dp_c_push_02_02_suspend_then_terminate(push: Kit) -> None:
    push.prepare().an_address().say("started").say("suspend").is_in("SUSPENDED")
    push.say("terminate", reason="any").is_in("TERMINATED")


def test_dp_c_push_03_01_completed_is_taken(push: Kit) -> None:
    push.prepare().an_address().say("started").is_in("STARTED").say("completed").is_in("COMPLETED")


def test_dp_c_push_04_01_prepare_asynchronously(cut: DataPlane, schemas: Schemas) -> None:
    kit = Kit(cut, schemas, "http-push", later=True).prepare()
    told = kit.is_told("prepared")
    assert told["state"] == "PREPARED"
    assert told["dataAddress"]["endpoint"].startswith(cut.url)
    kit.is_in("PREPARED")


# --- DP_P_PUSH: a provider's data plane, push -------------------------------------------------------


def test_dp_p_push_01_01_start_with_an_address(push: Kit) -> None:
    push.start_push().no_address().is_in("STARTED")


def test_dp_p_push_01_02_start_then_terminate(push: Kit) -> None:
    push.start_push().no_address().is_in("STARTED").say("terminate", reason="any").is_in("TERMINATED")


def test_dp_p_push_02_01_suspend_and_resume(push: Kit) -> None:
    push.start_push().say("suspend").is_in("SUSPENDED").say("resume").is_in("STARTED")


def test_dp_p_push_02_02_suspend_then_terminate(push: Kit) -> None:
    push.start_push().say("suspend").is_in("SUSPENDED").say("terminate", reason="any").is_in("TERMINATED")


def test_dp_p_push_03_01_the_data_plane_tells_that_it_is_complete(push: Kit) -> None:
    push.start_push().is_in("STARTED")
    arrived = push.cut.plane.arrival(push.sink)
    push.cut.plane.release.set()
    assert push.is_told("completed")["state"] == "COMPLETED"
    assert read_stream(arrived.body).equals(PEOPLE)


def test_dp_p_push_04_01_start_asynchronously(cut: DataPlane, schemas: Schemas) -> None:
    kit = Kit(cut, schemas, "http-push", later=True).start_push()
    told = kit.is_told("started")
    assert (told["state"], told.get("dataAddress")) == ("STARTED", None)
    kit.is_in("STARTED")


def test_what_was_answered_and_told_was_judged_by_the_schemas_of_the_specification(schemas: Schemas) -> None:
    if schemas.absent is not None:
        pytest.skip(schemas.absent)
    with pytest.raises(ValidationError, match="dataFlowId"):
        schemas.check("DataFlowStatusMessage", {"messageId": "m", "state": "STARTED"})


def test_every_test_of_the_kit_for_a_data_plane_is_here() -> None:
    counted = {"dp_c_pull": 6, "dp_p_pull": 5, "dp_c_push": 6, "dp_p_push": 6}
    here = Path(__file__).read_text(encoding="utf-8")
    assert {name: here.count(f"def test_{name}_") for name in counted} == counted
