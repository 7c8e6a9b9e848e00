from __future__ import annotations

import itertools

import pytest

from connector.negotiation.machine import MOVES, TURN, Said, move, said
from schemas.base import Role
from schemas.dsp import negotiation as words
from schemas.dsp.negotiation import NegotiationState as State
from schemas.dsp.transfer import TransferStartMessage
from schemas.errors import IllegalMove

C, P = Role.CONSUMER, Role.PROVIDER
BOTH = (C, P)

# The Dataspace Protocol 2025-1, chapter 6.2, written down a second time, in another form:
# (from, who, says) -> to.
SPEC = {
    (None, C, Said.REQUEST): State.REQUESTED,
    (None, P, Said.OFFER): State.OFFERED,
    (State.REQUESTED, P, Said.OFFER): State.OFFERED,
    (State.REQUESTED, P, Said.AGREEMENT): State.AGREED,
    (State.OFFERED, C, Said.REQUEST): State.REQUESTED,
    (State.OFFERED, C, Said.ACCEPTED): State.ACCEPTED,
    (State.ACCEPTED, P, Said.AGREEMENT): State.AGREED,
    (State.AGREED, C, Said.VERIFICATION): State.VERIFIED,
    (State.VERIFIED, P, Said.FINALIZED): State.FINALIZED,
} | {
    (state, role, Said.TERMINATION): State.TERMINATED
    for state in (State.REQUESTED, State.OFFERED, State.ACCEPTED, State.AGREED, State.VERIFIED)
    for role in BOTH
}

EVERYTHING = list(itertools.product([None, *State], BOTH, Said))


@pytest.mark.parametrize(("state", "role", "what"), EVERYTHING)
def test_every_state_role_and_message_is_as_the_protocol_says(
    state: State | None, role: Role, what: Said
) -> None:
    expected = SPEC.get((state, role, what))
    if expected is not None:
        assert move(state, role, what) is expected
        return
    with pytest.raises(IllegalMove) as refused:
        move(state, role, what)
    assert f"{role} said {what.value}" in str(refused.value)
    assert (state.value if state else "no negotiation") in str(refused.value)


def test_a_refusal_says_what_may_be_said_instead() -> None:
    with pytest.raises(
        IllegalMove, match="here provider may say ContractOfferMessage, ContractAgreementMessage"
    ):
        move(State.REQUESTED, P, Said.FINALIZED)


def test_nothing_may_be_said_at_the_end() -> None:
    with pytest.raises(IllegalMove, match="may say nothing"):
        move(State.FINALIZED, C, Said.TERMINATION)


def test_every_state_has_a_row_and_a_turn_and_whose_turn_it_is_can_say_more_than_goodbye() -> None:
    assert set(MOVES) == {None, *State}
    assert set(TURN) == set(State)
    for state in State:
        speakers = {role for role, what in MOVES[state] if what is not Said.TERMINATION}
        assert speakers == (set() if TURN[state] is None else {TURN[state]})


def test_an_event_is_named_by_its_type() -> None:
    event = words.ContractNegotiationEventMessage(provider_pid="p", consumer_pid="c", event_type="FINALIZED")
    assert said(event) is Said.FINALIZED


def test_a_message_of_another_protocol_is_no_part_of_a_negotiation() -> None:
    with pytest.raises(IllegalMove, match="TransferStartMessage is not part of a contract negotiation"):
        said(TransferStartMessage(provider_pid="p", consumer_pid="c"))
