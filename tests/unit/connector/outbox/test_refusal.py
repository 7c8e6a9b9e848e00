"""What a refusal means: for every message of both protocols, and every state that a peer may stand at."""

from __future__ import annotations

from typing import Any

import pytest

from connector.negotiation.machine import MOVES as NEGOTIATION
from connector.outbox.refusal import Verdict, judged
from connector.transfer.machine import MOVES as TRANSFER
from schemas.base import Role
from schemas.dsp.negotiation import NegotiationState as N
from schemas.dsp.transfer import TransferState as T

C, P = Role.CONSUMER, Role.PROVIDER


def said(what: str) -> dict[str, Any]:
    kind, _, event = what.partition(":")
    return {"@type": kind, **({"eventType": event} if event else {})}


@pytest.mark.parametrize(
    ("what", "sender", "ours", "standing"),
    [
        ("ContractAgreementMessage", P, N.AGREED, "AGREED"),
        ("ContractAgreementMessage", P, N.AGREED, "VERIFIED"),
        ("ContractAgreementVerificationMessage", C, N.VERIFIED, "VERIFIED"),
        ("ContractAgreementVerificationMessage", C, N.VERIFIED, "FINALIZED"),
        ("ContractNegotiationEventMessage:ACCEPTED", C, N.ACCEPTED, "AGREED"),
        ("ContractNegotiationEventMessage:FINALIZED", P, N.FINALIZED, "FINALIZED"),
        ("ContractNegotiationTerminationMessage", C, N.TERMINATED, "TERMINATED"),
    ],
)
def test_a_peer_that_stands_where_the_message_leads_or_went_on_from_there_took_it(
    what: str, sender: Role, ours: N, standing: str
) -> None:
    assert judged(NEGOTIATION, said(what), sender, ours, standing) is Verdict.TAKEN


@pytest.mark.parametrize(
    ("what", "sender", "ours", "standing"),
    [
        ("ContractAgreementMessage", P, N.AGREED, "REQUESTED"),
        ("ContractAgreementMessage", P, N.AGREED, "TERMINATED"),
        ("ContractAgreementMessage", P, N.AGREED, None),
        ("ContractAgreementMessage", P, N.AGREED, "no such state"),
        ("ContractAgreementMessage", P, N.TERMINATED, "REQUESTED"),
        ("ContractNegotiationTerminationMessage", C, N.TERMINATED, "FINALIZED"),
        ("ContractNegotiationEventMessage:FINALIZED", P, N.FINALIZED, "TERMINATED"),
        ("ContractNegotiationEventMessage:FINALIZED", P, N.FINALIZED, "AGREED"),
        ("SomethingElse", P, N.AGREED, "AGREED"),
    ],
)
def test_anywhere_else_a_no_is_a_no(what: str, sender: Role, ours: N, standing: str | None) -> None:
    assert judged(NEGOTIATION, said(what), sender, ours, standing) is Verdict.FINAL


@pytest.mark.parametrize("standing", ["REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED"])
def test_a_termination_is_said_again_while_the_peer_waits_for_something_else(standing: str) -> None:
    message = said("ContractNegotiationTerminationMessage")
    assert judged(NEGOTIATION, message, P, N.TERMINATED, standing) is Verdict.AGAIN


def test_a_promise_is_said_again_to_who_waits_for_it() -> None:
    message = said("ContractNegotiationEventMessage:FINALIZED")
    assert judged(NEGOTIATION, message, P, N.FINALIZED, "VERIFIED") is Verdict.AGAIN


@pytest.mark.parametrize(
    ("what", "sender", "ours"),
    [
        ("ContractAgreementMessage", P, N.VERIFIED),
        ("ContractAgreementMessage", P, N.FINALIZED),
        ("ContractRequestMessage", C, N.VERIFIED),
        ("ContractAgreementVerificationMessage", C, N.FINALIZED),
    ],
)
def test_a_peer_that_said_what_can_only_follow_took_it_whatever_it_answered(
    what: str, sender: Role, ours: N
) -> None:
    assert judged(NEGOTIATION, said(what), sender, ours, None) is Verdict.TAKEN


def test_a_transfer_is_judged_by_its_own_table() -> None:
    start, completion = said("TransferStartMessage"), said("TransferCompletionMessage")
    assert judged(TRANSFER, start, P, T.STARTED, "STARTED") is Verdict.TAKEN
    assert judged(TRANSFER, start, P, T.STARTED, "COMPLETED") is Verdict.TAKEN
    assert judged(TRANSFER, start, P, T.STARTED, "REQUESTED") is Verdict.FINAL
    assert judged(TRANSFER, completion, C, T.COMPLETED, "STARTED") is Verdict.AGAIN
    assert judged(TRANSFER, completion, C, T.COMPLETED, "SUSPENDED") is Verdict.FINAL


def test_where_a_peer_may_stand_before_a_message_or_after_its_own_next_one_nothing_is_clear() -> None:
    request, start = said("ContractRequestMessage"), said("TransferStartMessage")
    assert judged(NEGOTIATION, request, C, N.REQUESTED, "OFFERED") is Verdict.UNCLEAR
    assert judged(TRANSFER, start, P, T.STARTED, "SUSPENDED") is Verdict.UNCLEAR


def test_where_a_message_can_be_said_in_one_state_only_a_peer_that_stands_there_means_its_no() -> None:
    start, suspension = said("TransferStartMessage"), said("TransferSuspensionMessage")
    assert judged(TRANSFER, start, C, T.STARTED, "SUSPENDED") is Verdict.FINAL
    assert judged(TRANSFER, suspension, C, T.SUSPENDED, "STARTED") is Verdict.FINAL


def test_a_peer_that_never_heard_of_it_took_nothing_whatever_it_says() -> None:
    for table in (NEGOTIATION, TRANSFER):
        for row in table.values():
            for (who, what), after in row.items():
                verdict = judged(table, said(what.value), who, after, None)
                assert verdict is Verdict.FINAL
