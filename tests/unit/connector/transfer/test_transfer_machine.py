from __future__ import annotations

import itertools

import pytest

from connector.transfer.machine import MOVES, TURN, Said, move, said
from schemas.base import Role
from schemas.dsp.negotiation import ContractAgreementVerificationMessage
from schemas.dsp.transfer import TransferState as State
from schemas.errors import IllegalMove

C, P = Role.CONSUMER, Role.PROVIDER
BOTH = (C, P)

# The Dataspace Protocol 2025-1, chapter 8.2, written down a second time, in another form:
# (from, who, says) -> to.
SPEC = (
    {
        (None, C, Said.REQUEST): State.REQUESTED,
        (State.REQUESTED, P, Said.START): State.STARTED,
    }
    | {(State.STARTED, role, Said.COMPLETION): State.COMPLETED for role in BOTH}
    | {(State.STARTED, role, Said.SUSPENSION): State.SUSPENDED for role in BOTH}
    | {(State.SUSPENDED, role, Said.START): State.STARTED for role in BOTH}
    | {
        (state, role, Said.TERMINATION): State.TERMINATED
        for state in (State.REQUESTED, State.STARTED, State.SUSPENDED)
        for role in BOTH
    }
)

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
    assert (state.value if state else "no transfer") in str(refused.value)


def test_every_state_has_a_row_and_a_turn() -> None:
    assert set(MOVES) == {None, *State}
    assert set(TURN) == set(State)


def test_a_message_of_another_protocol_is_no_part_of_a_transfer() -> None:
    with pytest.raises(IllegalMove, match="is not part of a transfer"):
        said(ContractAgreementVerificationMessage(provider_pid="p", consumer_pid="c"))
