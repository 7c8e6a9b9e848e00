"""EDC's control plane without a data plane of its own: ours serves it, and keeps the agreement in the stream.

A third participant, our connector as consumer, negotiates with EDC over DSP; it never learns whose data plane
it reads from. Numbers in EDC's policies are texts: its validator takes nothing else.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pyarrow as pa
import pytest

from schemas.dsp.transfer import DataAddress
from schemas.vocab import EDC, HANSA
from tests.interop.edc import ours as our_side
from tests.interop.edc.management import ODRL_CONTEXT, EdcRefused
from tests.interop.edc.ours import Ours, await_true
from tests.interop.edc.runtime import EDR_API, EXCLUDED, PARSSON, START_SECONDS, Edc, running
from tests.interop.maven import jars, tool

pytestmark = [pytest.mark.interop, pytest.mark.e2e]

VERSION = "0.15.1"
MODULES = ("controlplane-base-bom", "iam-mock", "data-plane-signaling-client")
TOKEN = "what-edc-has-in-the-url-of-its-data-plane"
DATASET = "urn:t:served-for-edc"
KEPT = [
    {
        "action": "use",
        "constraint": [
            {"leftOperand": f"{HANSA}column/carrier", "operator": "eq", "rightOperand": "C1"},
            {"leftOperand": f"{HANSA}mask/captain", "operator": "eq", "rightOperand": "hash"},
            {"leftOperand": f"{HANSA}rowCount", "operator": "lteq", "rightOperand": "100000"},
        ],
    }
]


@dataclass
class ControlPlane(Edc):
    """An EDC without a data plane; its policies may speak of what only a data plane understands."""

    def start(self) -> None:
        """Start the process and wait until its management API answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write()
        modules = [*(f"org.eclipse.edc:{module}:{self.version}" for module in MODULES), EDR_API, PARSSON]
        library = jars(f"edc-control-{self.version}", modules, EXCLUDED)
        command = [
            *(tool("java"), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            f"-Dedc.fs.config={self.folder / 'edc.properties'}",
            *("-cp", f"{library}/*", "org.eclipse.edc.boot.system.runtime.BaseRuntime"),
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        await_true(self._answers, f"a ready control plane\n{self.log}", START_SECONDS)

    @property
    def control(self) -> str:
        """The base URL of its control API."""
        return f"http://localhost:{self.ports['control']}/control"

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"EDC ended at once:\n{self.tail()}"
        try:
            self.management.get("/v3/dataplanes")
        except (httpx2.HTTPError, EdcRefused):
            return False
        return True

    def use(self, plane: Ours) -> None:
        """Register a data plane, and wait until EDC has seen that it is there."""
        said = {
            "@context": {"@vocab": EDC},
            "@type": "DataPlaneInstance",
            "@id": "hansa",
            "url": f"{plane.url}/signaling/edc/{TOKEN}",
            "allowedSourceTypes": ["HansaDataset"],
            "allowedTransferTypes": ["HttpData-PULL", "HttpData-PUSH"],
        }
        answer = httpx2.post(f"{self.control}/v1/dataplanes", json=said, timeout=30)
        assert answer.is_success, answer.text
        await_true(
            lambda: [one["state"] for one in self.management.get("/v3/dataplanes")] == ["AVAILABLE"],
            "an available data plane",
        )

    def offer(self, dataset: str) -> None:
        """Offer a dataset of our data plane's under a policy that only the data plane can keep."""
        source = {"type": "HansaDataset"}
        self.management.post(
            "/v3/assets", {"@id": dataset, "properties": {"name": "d"}, "dataAddress": source}
        )
        for name, permission in (("seen", [{"action": "use"}]), ("kept", KEPT)):
            policy = {"@context": ODRL_CONTEXT, "@type": "Set", "permission": permission}
            self.management.post("/v3/policydefinitions", {"@id": name, "policy": policy})
        said = {"@id": "offered", "accessPolicyId": "seen", "contractPolicyId": "kept", "assetsSelector": []}
        self.management.post("/v3/contractdefinitions", said)


@dataclass
class Served:
    """EDC, our data plane behind it, and a consumer."""

    edc: ControlPlane
    plane: Ours
    consumer: Ours
    table: pa.Table

    def agree(self) -> str:
        """Let the consumer negotiate with EDC; return its agreement."""
        found = self.consumer.catalog(self.edc.protocol)["dataset"]
        found = found[0] if isinstance(found, list) else found
        offer = found["hasPolicy"]
        offer = offer[0] if isinstance(offer, list) else offer
        pid = self.consumer.negotiate(self.edc.participant, self.edc.protocol, DATASET, offer)
        return str(self.consumer.await_negotiation(pid, "FINALIZED")["agreement"])

    def flow(self, process: str) -> dict[str, Any]:
        """Our data plane's record of what EDC asked for."""
        found = self.plane.management.get("/dataflows")["dataflows"]
        (flow,) = [one for one in found if one["process"] == process]
        return dict(flow)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {"edc.policy.validation.enabled": "false"}
    edc = ControlPlane(VERSION, tmp_path_factory.mktemp("edc"), settings=settings)
    home = tmp_path_factory.mktemp("plane")
    token = home / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    url = f"http://localhost:{edc.ports['management']}/management/v3/contractagreements"
    known = (
        f'{{ id = "edc", url = "{edc.control}", participant = "{edc.participant}", token_file = "{token}", '
        f'dialect = "edc-0.15", agreements = "{url}" }}'
    )
    plane = Ours(home, settings={"signaling": f"{{ control_planes = [{known}] }}"})
    consumer = Ours(tmp_path_factory.mktemp("consumer"))
    with ExitStack() as open_:
        open_.enter_context(running(edc))
        open_.enter_context(our_side.running(plane))
        open_.enter_context(our_side.running(consumer))
        table = our_side.flights(plane.data)
        plane.publish(DATASET)
        edc.use(plane)
        edc.offer(DATASET)
        yield Served(edc, plane, consumer, table)


def pull(address: DataAddress) -> httpx2.Response:
    endpoint = address.endpoint or address.property("endpoint")
    headers = {"Authorization": f"Bearer {address.property('authorization')}"}
    assert endpoint is not None
    return httpx2.get(endpoint, headers=headers, timeout=30)


def rows_of(body: bytes) -> pa.Table:
    with pa.ipc.open_stream(body) as stream:
        return pa.Table.from_batches(list(stream), stream.schema)


def kept(served: Served, table: pa.Table) -> None:
    """Check that a table is what EDC's policy lets through, and no more."""
    carriers = served.table["carrier"].to_pylist()
    assert table["carrier"].to_pylist() == [name for name in carriers if name == "C1"]
    assert not set(table["captain"].to_pylist()) & set(served.table["captain"].to_pylist())


def test_a_consumer_of_edc_pulls_from_our_data_plane_what_the_agreement_shows(served: Served) -> None:
    pid = served.consumer.transfer(served.agree(), "HttpData-PULL")
    started = served.consumer.await_transfer(pid, "STARTED")
    address = DataAddress.read(started["dataAddress"])
    answer = pull(address)
    assert answer.status_code == 200, answer.text
    kept(served, rows_of(answer.content))

    served.edc.management.suspend_transfer(started["counterPid"], "tea")
    served.consumer.await_transfer(pid, "SUSPENDED")
    assert (pull(address).status_code, served.flow(started["counterPid"])["state"]) == (409, "SUSPENDED")

    served.edc.management.resume_transfer(started["counterPid"])
    again = served.consumer.await_transfer(pid, "STARTED")
    kept(served, rows_of(pull(DataAddress.read(again["dataAddress"])).content))

    served.edc.management.end_transfer(started["counterPid"], "enough")
    served.consumer.await_transfer(pid, "TERMINATED")
    assert pull(DataAddress.read(again["dataAddress"])).status_code == 409
    assert served.flow(started["counterPid"])["state"] == "TERMINATED"


def test_our_data_plane_pushes_to_the_consumer_of_edc_and_edc_completes(served: Served) -> None:
    pid = served.consumer.transfer(served.agree(), "HttpData-PUSH")
    done = served.consumer.await_transfer(pid, "COMPLETED")
    shown = await_true(
        lambda: served.consumer.management.get(f"/transfers/{pid}").get("received"), "the pushed file"
    )
    table = rows_of((served.consumer.folder / "state" / "received" / shown["file"]).read_bytes())
    kept(served, table)
    assert shown["rows"] == table.num_rows
    assert served.flow(done["counterPid"])["state"] == "COMPLETED"


def test_only_the_token_in_the_url_that_edc_knows_opens_the_door(served: Served) -> None:
    for token in ("wrong", TOKEN[:-1]):
        answer = httpx2.get(f"{served.plane.url}/signaling/edc/{token}/check", timeout=30)
        assert answer.status_code == 401
    assert httpx2.get(f"{served.plane.url}/signaling/edc/{TOKEN}/check", timeout=30).status_code == 204
