"""What goes wrong between two connectors: repeats, refusals, outages, crashes, on either side."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from schemas.vocab import FORMAT_ARROW_HTTP
from tests.interop.edc.conftest import HELD_DATASET, OPEN_DATASET, Trade
from tests.interop.edc.ours import await_true
from tests.interop.edc.relay import Answer

pytestmark = [pytest.mark.interop, pytest.mark.e2e]


def answering(path_end: str, status: int, times: int = 1000) -> Callable[[str, str, bytes], Answer | None]:
    """Return a relay's rule: answer messages to a path so many times in the peer's place."""
    left = [times]

    def rule(_method: str, path: str, _body: bytes) -> Answer | None:
        if not path.endswith(path_end) or left[0] <= 0:
            return None
        left[0] -= 1
        return status, {"code": str(status), "reason": [f"the relay answers {status}"]}

    return rule


# --- repeats -----------------------------------------------------------------------------------------


def test_a_request_of_edcs_that_comes_twice_opens_one_negotiation(trade: Trade) -> None:
    negotiation = trade.negotiate(OPEN_DATASET, trade.through)
    trade.asked.await_negotiation(negotiation, "FINALIZED")
    first, *_ = [  # EDC may itself have said it twice
        one for one in trade.to_us.seen("/negotiations/request") if one.message["consumerPid"] == negotiation
    ]
    again = trade.to_us.replay(first)
    assert again.status_code in (200, 201)
    assert again.json()["providerPid"] == json.loads(first.answer)["providerPid"]
    assert trade.ours.mirror("negotiations", negotiation)["state"] == "FINALIZED"


def test_a_message_of_edcs_that_comes_twice_changes_nothing(trade: Trade) -> None:
    negotiation = trade.negotiate(OPEN_DATASET, trade.through)
    trade.asked.await_negotiation(negotiation, "FINALIZED")
    verification, *_ = [
        one
        for one in trade.to_us.seen("/agreement/verification")
        if one.message["consumerPid"] == negotiation
    ]
    assert trade.to_us.replay(verification).status_code == 200
    assert trade.to_us.replay(verification, **{"@id": "urn:another"}).status_code == 400
    mine = trade.ours.mirror("negotiations", negotiation)
    assert [step["state"] for step in mine["path"]] == ["REQUESTED", "AGREED", "VERIFIED", "FINALIZED"]
    assert trade.asked.await_negotiation(negotiation, "FINALIZED")


def test_messages_of_ours_that_come_twice_change_nothing_at_edc(trade: Trade) -> None:
    transfer = trade.start(OPEN_DATASET)
    address = trade.asked.address_received(transfer)
    start, *_ = [one for one in trade.to_edc.seen("/start") if one.message["consumerPid"] == transfer]
    assert trade.to_edc.replay(start).status_code == 200
    trade.asked.await_transfer(transfer, "STARTED")
    assert trade.asked.address_received(transfer) == address

    negotiation = trade.negotiate(OPEN_DATASET)
    trade.asked.await_negotiation(negotiation, "FINALIZED")
    said = {
        path_end: next(
            one
            for one in trade.to_edc.seen(path_end)
            if one.message["consumerPid"] == negotiation and one.status == 200
        )
        for path_end in ("/events", "/agreement")
    }
    # Of a negotiation EDC knows no message again once it has moved on: it is refused as out of place.
    for one in said.values():
        assert trade.to_edc.replay(one).status_code == 409
    assert trade.asked.await_negotiation(negotiation, "FINALIZED")


def test_a_transfer_request_of_edcs_that_comes_twice_opens_one_transfer(trade: Trade) -> None:
    transfer = trade.start(OPEN_DATASET, trade.through)
    request, *_ = [
        one for one in trade.to_us.seen("/transfers/request") if one.message["consumerPid"] == transfer
    ]
    assert trade.to_us.replay(request).json()["providerPid"] == trade.our_transfer(transfer)


# --- outages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path_end", ["/agreement", "/events"])
def test_an_outage_of_edc_only_delays_what_we_say(trade: Trade, path_end: str) -> None:
    trade.to_edc.rule = answering(path_end, 503, times=3)
    negotiation = trade.negotiate(OPEN_DATASET)
    trade.asked.await_negotiation(negotiation, "FINALIZED")
    mine = trade.ours.mirror("negotiations", negotiation)
    assert (mine["state"], mine["problem"]) == ("FINALIZED", None)
    tried = [one for one in trade.to_edc.seen(path_end) if one.message["consumerPid"] == negotiation]
    assert [one.status for one in tried[:4]] == [503, 503, 503, 200]
    assert len({one.message["@id"] for one in tried}) == 1


@pytest.mark.parametrize("path_end", ["/agreement", "/events", "/start"])
def test_an_answer_of_edcs_that_is_lost_is_no_refusal(trade: Trade, path_end: str) -> None:
    trade.to_edc.lose(path_end)
    negotiation = trade.negotiate(OPEN_DATASET)
    agreement = trade.asked.await_negotiation(negotiation, "FINALIZED")["contractAgreementId"]
    transfer = trade.asked.transfer(trade.ours.did, trade.ours.dsp, agreement, FORMAT_ARROW_HTTP)
    trade.asked.await_transfer(transfer, "STARTED")

    def said() -> list[int]:
        return [one.status for one in trade.to_edc.seen(path_end) if one.message["@id"] in trade.to_edc.lost]

    await_true(lambda: len(said()) == 2, "the message once more")
    assert said()[0] == 503
    for kind, counter_pid, state in (
        ("transfers", transfer, "STARTED"),
        ("negotiations", negotiation, "FINALIZED"),
    ):
        await_true(
            lambda kind=kind, pid=counter_pid: trade.ours.mirror(kind, pid)["nextTry"] is None,
            "the end of the tries",
        )
        mine = trade.ours.mirror(kind, counter_pid)
        assert (mine["state"], mine["problem"]) == (state, None)


def test_an_outage_of_ours_only_delays_what_edc_says(trade: Trade) -> None:
    trade.to_us.rule = answering("/agreement/verification", 503, times=2)
    negotiation = trade.negotiate(OPEN_DATASET, trade.through)
    trade.asked.await_negotiation(negotiation, "FINALIZED")
    assert trade.ours.mirror("negotiations", negotiation)["state"] == "FINALIZED"


def test_we_are_killed_and_come_back_and_the_negotiation_goes_on(trade: Trade) -> None:
    negotiation = trade.negotiate(HELD_DATASET)
    trade.asked.await_negotiation(negotiation, "REQUESTED")
    mine = trade.ours.mirror("negotiations", negotiation)
    trade.ours.stop(signal.SIGKILL)
    trade.ours.start()
    trade.ours.management.post(f"/negotiations/{mine['pid']}/approval", {})
    trade.asked.await_negotiation(negotiation, "FINALIZED")
    trade.ours.await_negotiation(mine["pid"], "FINALIZED")


def test_edc_restarts_without_memory_and_our_side_ends_and_says_why(trade: Trade) -> None:
    negotiation = trade.negotiate(HELD_DATASET)
    trade.asked.await_negotiation(negotiation, "REQUESTED")
    mine = trade.ours.mirror("negotiations", negotiation)
    transfer = trade.our_transfer(trade.start(OPEN_DATASET))
    trade.edc.stop(signal.SIGKILL)
    trade.ours.management.post(f"/negotiations/{mine['pid']}/approval", {})
    waiting = await_true(
        lambda: next(
            (
                one
                for one in trade.ours.management.get("/status")["outbox"]
                if one["process"] == mine["pid"] and one["attempts"]
            ),
            None,
        ),
        "a failed attempt",
    )
    assert "502" in waiting["problem"]
    trade.edc.start()
    ended = trade.ours.await_negotiation(mine["pid"], "TERMINATED")
    assert "answered 404" in ended["problem"]
    # What EDC has forgotten cannot be told to it; our own side still ends.
    trade.ours.management.post(f"/transfers/{transfer}/termination", {"reason": "forgotten"})
    assert trade.ours.await_transfer(transfer, "TERMINATED")["reasons"] == ["forgotten"]
    assert trade.agree(OPEN_DATASET)


# --- refusals ----------------------------------------------------------------------------------------


def test_a_refusal_of_what_we_say_ends_both_sides_with_its_reason(trade: Trade) -> None:
    trade.to_edc.rule = answering("/agreement", 400)
    negotiation = trade.negotiate(OPEN_DATASET)
    trade.asked.await_negotiation(negotiation, "TERMINATED")
    mine = trade.ours.mirror("negotiations", negotiation)
    assert mine["state"] == "TERMINATED"
    assert "the relay answers 400" in mine["problem"]


def test_a_refusal_of_what_edc_says_ends_both_sides(trade: Trade) -> None:
    trade.to_us.rule = answering("/agreement/verification", 400)
    negotiation = trade.negotiate(OPEN_DATASET, trade.through)
    trade.asked.await_negotiation(negotiation, "TERMINATED")
    pid = trade.ours.mirror("negotiations", negotiation)["pid"]
    trade.ours.await_negotiation(pid, "TERMINATED")


def test_a_state_that_edc_has_not_saved_yet_is_waited_for(trade: Trade) -> None:
    trade.to_edc.rule = answering("/events", 409, times=2)
    negotiation = trade.negotiate(OPEN_DATASET)
    trade.asked.await_negotiation(negotiation, "FINALIZED")
    mine = trade.ours.mirror("negotiations", negotiation)
    assert (mine["state"], mine["problem"]) == ("FINALIZED", None)
