"""Suspension, resumption, completion and termination, from each side; the stream follows the state."""

from __future__ import annotations

import httpx2
import pytest

from tests.interop.edc.conftest import HELD_DATASET, OPEN_DATASET, Trade
from tests.interop.edc.management import Address
from tests.interop.edc.ours import await_true

pytestmark = [pytest.mark.interop, pytest.mark.e2e]


def status_of(address: Address) -> int:
    """Ask for a stream, and return only what was answered."""
    shown = {"Authorization": f"Bearer {address.authorization}"}
    return httpx2.get(address.endpoint, headers=shown, timeout=30).status_code


def test_edc_suspends_and_resumes_a_transfer_and_the_stream_follows(trade: Trade) -> None:
    transfer = trade.start(OPEN_DATASET)
    mine = trade.our_transfer(transfer)
    before = trade.asked.address_received(transfer)
    assert status_of(before) == 200

    trade.asked.suspend_transfer(transfer, "a pause")
    trade.asked.await_transfer(transfer, "SUSPENDED")
    assert trade.ours.await_transfer(mine, "SUSPENDED")["reasons"] == ["a pause"]
    assert status_of(before) in (401, 403, 409)

    trade.asked.resume_transfer(transfer)
    trade.ours.await_transfer(mine, "STARTED")
    trade.asked.await_transfer(transfer, "STARTED")
    assert status_of(trade.asked.address_received(transfer)) == 200


def test_we_suspend_and_resume_a_transfer_and_edc_follows(trade: Trade) -> None:
    transfer = trade.start(OPEN_DATASET)
    mine = trade.our_transfer(transfer)
    door = trade.ours.management
    door.post(f"/transfers/{mine}/suspension", {"reason": "maintenance"})
    trade.asked.await_transfer(transfer, "SUSPENDED")
    door.post(f"/transfers/{mine}/start", {})
    trade.asked.await_transfer(transfer, "STARTED")
    trade.ours.await_transfer(mine, "STARTED")
    await_true(lambda: status_of(trade.asked.address_received(transfer)) == 200, "an open stream again")


def test_we_complete_a_transfer_and_edc_has_completed_it(trade: Trade) -> None:
    transfer = trade.start(OPEN_DATASET)
    mine, address = trade.our_transfer(transfer), trade.asked.address_received(transfer)
    trade.ours.management.post(f"/transfers/{mine}/completion", {})
    # EDC's last state after a completion is its own.
    trade.asked.await_transfer(transfer, "COMPLETED", "DEPROVISIONED")
    assert trade.ours.await_transfer(mine, "COMPLETED")["problem"] is None
    assert status_of(address) in (401, 403, 409)


@pytest.mark.parametrize("who", ["edc", "we"])
def test_either_side_ends_a_transfer_and_the_pass_is_worth_nothing(trade: Trade, who: str) -> None:
    transfer = trade.start(OPEN_DATASET)
    mine, address = trade.our_transfer(transfer), trade.asked.address_received(transfer)
    if who == "edc":
        trade.asked.end_transfer(transfer, "no longer needed")
    else:
        trade.ours.management.post(f"/transfers/{mine}/termination", {"reason": "no longer needed"})
    ended = trade.ours.await_transfer(mine, "TERMINATED")
    assert ended["reasons"] == ["no longer needed"]
    trade.asked.await_transfer(transfer, "TERMINATED")
    assert status_of(address) in (401, 403, 409)


@pytest.mark.parametrize("who", ["edc", "we"])
def test_either_side_ends_a_negotiation_that_waits_for_a_person(trade: Trade, who: str) -> None:
    negotiation = trade.negotiate(HELD_DATASET)
    trade.asked.await_negotiation(negotiation, "REQUESTED")
    await_true(
        lambda: trade.ours.mirror("negotiations", negotiation)["why"] == "a person looks",
        "the hold of our rule",
    )
    mine = trade.ours.mirror("negotiations", negotiation)
    assert mine["state"] == "REQUESTED"
    if who == "edc":
        trade.asked.end_negotiation(negotiation, "found elsewhere")
    else:
        trade.ours.management.post(f"/negotiations/{mine['pid']}/termination", {"reason": "found elsewhere"})
    ended = trade.ours.await_negotiation(mine["pid"], "TERMINATED")
    assert ended["reasons"] == ["found elsewhere"]
    trade.asked.await_negotiation(negotiation, "TERMINATED")


def test_a_person_says_yes_and_edc_is_told(trade: Trade) -> None:
    negotiation = trade.negotiate(HELD_DATASET)
    trade.asked.await_negotiation(negotiation, "REQUESTED")
    pid = trade.ours.mirror("negotiations", negotiation)["pid"]
    trade.ours.management.post(f"/negotiations/{pid}/approval", {})
    trade.asked.await_negotiation(negotiation, "FINALIZED")
    trade.ours.await_negotiation(pid, "FINALIZED")
