"""What FlowStore promises beyond what all process stores do: agreements beside our own, and leave taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.adapters.sql import SqlStores
from schemas.dps import FlowState
from schemas.errors import AlreadyExists, NotFound, StaleState, StorageUnavailable
from tests.contract.conftest import Fail, Open
from tests.store_builders import AGREEMENT, NOW, data_flow, negotiation, outgoing, record, signed

MARK = "urn:hansa:control-plane:edc"


def test_a_flow_and_its_agreement_are_added_together(stores: SqlStores, open_stores: Open) -> None:
    flow, held = data_flow(), signed(MARK, final=True)
    stores.flows.add(flow, agreement=held, outgoing=[outgoing()], records=[record()])
    again = open_stores()
    assert again.flows.get(flow.pid) == flow
    assert again.negotiations.agreement(AGREEMENT) == held
    assert (len(again.outbox.pending()), again.usage.backlog()) == (1, 1)


def test_a_flow_whose_agreement_has_the_id_of_one_of_ours_is_not_saved_at_all(stores: SqlStores) -> None:
    process = negotiation()
    stores.negotiations.add(process)
    ours = signed(process.pid, final=True)
    stores.negotiations.save(process, seen=0, agreement=ours)
    flow = data_flow()
    with pytest.raises(AlreadyExists, match=AGREEMENT):
        stores.flows.add(flow, agreement=signed(MARK), outgoing=[outgoing()], records=[record()])
    with pytest.raises(NotFound):
        stores.flows.get(flow.pid)
    stores.flows.add(flow)
    with pytest.raises(AlreadyExists):
        stores.flows.save(replace(flow, state=FlowState.STARTED), seen=0, agreement=signed(MARK))
    assert stores.flows.get(flow.pid) == flow
    assert stores.negotiations.agreement(AGREEMENT) == ours
    assert (stores.outbox.pending(), stores.usage.backlog()) == ([], 0)


def test_saving_at_an_old_version_saves_no_agreement_either(stores: SqlStores) -> None:
    flow = data_flow()
    stores.flows.add(flow)
    stores.flows.save(flow, seen=0)
    with pytest.raises(StaleState):
        stores.flows.save(flow, seen=0, agreement=signed(MARK))
    with pytest.raises(NotFound):
        stores.negotiations.agreement(AGREEMENT)


def test_an_agreement_that_another_flow_brought_meanwhile_is_not_replaced(
    stores: SqlStores, open_stores: Open
) -> None:
    """Each of two flows found no agreement; the terms of the first stand, and the second decides again."""
    held = signed(MARK, digest="sha256:11")
    stores.flows.add(data_flow(), agreement=held)
    second, later = open_stores(), data_flow(pid="urn:uuid:later", process="later")
    other = signed(MARK, digest="sha256:22")
    with pytest.raises(StaleState, match="saved meanwhile"):
        second.flows.add(later, agreement=other, outgoing=[outgoing()], records=[record()])
    with pytest.raises(NotFound):
        second.flows.get(later.pid)
    second.flows.add(later)
    with pytest.raises(StaleState, match="saved meanwhile"):
        second.flows.save(replace(later, state=FlowState.STARTED), seen=0, agreement=other)
    assert stores.flows.get(later.pid).state is later.state
    assert stores.negotiations.agreement(AGREEMENT) == held
    assert (stores.outbox.pending(), stores.usage.backlog()) == ([], 0)


def test_a_failed_write_leaves_neither_flow_nor_agreement(stores: SqlStores, not_stored: Fail) -> None:
    flow = data_flow()
    with not_stored(stores), pytest.raises(StorageUnavailable):
        stores.flows.add(flow, agreement=signed(MARK))
    with pytest.raises(NotFound):
        stores.negotiations.agreement(AGREEMENT)
    with pytest.raises(NotFound):
        stores.flows.get(flow.pid)


def test_a_control_plane_takes_its_leave_and_comes_back(stores: SqlStores, open_stores: Open) -> None:
    assert not stores.flows.has_left("edc")
    for _ in range(2):
        stores.flows.leave("edc", True)
    assert open_stores().flows.has_left("edc")
    assert not stores.flows.has_left("another")
    for _ in range(2):
        stores.flows.leave("edc", False)
    assert not open_stores().flows.has_left("edc")


def test_streams_find_transfers_and_flows_alike(stores: SqlStores) -> None:
    flow = data_flow(state=FlowState.SUSPENDED, reasons=("tea",), problem="http://10.0.0.1 did not answer")
    stores.flows.add(flow)
    found = stores.started.get(flow.pid)
    assert (found.pid, found.state.value, found.agreement) == (flow.pid, "SUSPENDED", flow.agreement)
    assert (found.counterparty, found.reasons, found.created) == ("consumer", ("tea",), NOW)
    assert found.problem is None  # a consumer is told why its stream ends, and nothing of our network
    with pytest.raises(NotFound):
        stores.started.get("urn:uuid:nobody")
