"""An EDC that keeps its state in PostgreSQL is killed and comes back: what was begun goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pyarrow as pa
import pytest

from schemas.dsp.transfer import DataAddress
from schemas.vocab import FORMAT_ARROW_HTTP
from tests.interop.edc import runtime
from tests.interop.edc.conftest import HELD_DATASET, OPEN_DATASET, Store, Trade
from tests.interop.edc.ours import Ours, await_true
from tests.interop.edc.relay import Relay, relaying
from tests.interop.edc.runtime import VERSIONS, Edc, free_ports
from tests.postgres import Databases

pytestmark = [pytest.mark.interop, pytest.mark.e2e, pytest.mark.postgres]


@pytest.fixture(scope="module")
def kept(
    tmp_path_factory: pytest.TempPathFactory,
    our_connector: tuple[Ours, pa.Table],
    postgres_databases: Databases,
) -> Iterator[Trade]:
    """Our connector, and the newest EDC over a database."""
    ours, table = our_connector
    here, there = free_ports(2)
    with ExitStack() as open_:
        database = open_.enter_context(postgres_databases.fresh())
        edc = Edc(
            VERSIONS[0],
            tmp_path_factory.mktemp("kept"),
            participant="did:web:kept.example",
            reached_through=f"http://localhost:{there}",
            database=database,
        )
        to_us = open_.enter_context(relaying(Relay(ours.url, here)))
        to_edc = open_.enter_context(relaying(Relay(edc.root, there)))
        open_.enter_context(runtime.running(edc))
        yield Trade(edc, ours, to_us, to_edc, table)


def test_a_yes_that_was_said_while_edc_was_down_arrives_when_it_is_back(kept: Trade) -> None:
    negotiation = kept.negotiate(HELD_DATASET)
    kept.asked.await_negotiation(negotiation, "REQUESTED")
    pid = kept.ours.mirror("negotiations", negotiation)["pid"]
    kept.edc.stop(signal.SIGKILL)
    kept.ours.management.post(f"/negotiations/{pid}/approval", {})
    await_true(lambda: kept.ours.mirror("negotiations", negotiation)["nextTry"], "a failed try")
    kept.edc.start()
    agreed = kept.asked.await_negotiation(negotiation, "FINALIZED")
    assert kept.ours.await_negotiation(pid, "FINALIZED")["problem"] is None
    transfer = kept.asked.transfer(
        kept.ours.did, kept.ours.dsp, agreed["contractAgreementId"], FORMAT_ARROW_HTTP
    )
    kept.asked.await_transfer(transfer, "STARTED")


def test_a_running_transfer_is_still_edcs_after_its_restart_and_ends_as_it_should(kept: Trade) -> None:
    transfer = kept.start(OPEN_DATASET)
    mine = kept.our_transfer(transfer)
    # Before: EDC keeps addresses in its vault, which is in memory here.
    address = kept.asked.address_received(transfer)
    kept.edc.stop(signal.SIGKILL)
    kept.edc.start()
    shown = {"Authorization": f"Bearer {address.authorization}"}
    assert httpx2.get(address.endpoint, headers=shown, timeout=60).status_code == 200
    kept.ours.management.post(f"/transfers/{mine}/completion", {})
    # EDC's last state after a completion is its own.
    kept.asked.await_transfer(transfer, "COMPLETED", "DEPROVISIONED")
    assert kept.ours.await_transfer(mine, "COMPLETED")["problem"] is None


def test_a_transfer_that_we_ask_for_while_edc_is_down_starts_when_it_is_back(
    kept: Trade, store: Store
) -> None:
    kept.asked.provide("kept", f"{store.url}/kept")
    dataset = kept.ours.catalog(kept.edc.protocol)["dataset"]
    (offer,) = (dataset[0] if isinstance(dataset, list) else dataset)["hasPolicy"]
    pid = kept.ours.negotiate(kept.edc.participant, kept.edc.protocol, "kept", offer)
    agreement = kept.ours.await_negotiation(pid, "FINALIZED")["agreement"]
    kept.asked.await_negotiation(kept.ours.management.get(f"/negotiations/{pid}")["counterPid"], "FINALIZED")
    kept.edc.stop(signal.SIGKILL)
    transfer = kept.ours.transfer(agreement, "HttpData-PULL")
    kept.edc.start()
    address = DataAddress.read(kept.ours.await_transfer(transfer, "STARTED")["dataAddress"])
    answer = httpx2.get(
        str(address.where()), headers={"Authorization": str(address.property("authorization"))}, timeout=60
    )
    assert (answer.status_code, answer.content) == (200, store.content)
