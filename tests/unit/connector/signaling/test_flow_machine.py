from __future__ import annotations

import itertools

import pytest

from connector.signaling.machine import MOVES, By, Said, is_repeat, move
from schemas.dps import FlowState as State
from schemas.errors import IllegalMove

C, D = By.CONTROL, By.DATA
ENDS = (State.COMPLETED, State.TERMINATED)

# Data Plane Signaling, the state machine of a data flow, written down a second time: (from, who, says) -> to.
SPEC = {
    (None, C, Said.PREPARE): State.PREPARING,
    (State.PREPARING, D, Said.IS_PREPARED): State.PREPARED,
    (None, C, Said.START): State.STARTING,
    (State.PREPARED, C, Said.START): State.STARTING,
    (State.STARTING, D, Said.IS_STARTED): State.STARTED,
    (State.PREPARED, C, Said.STARTED): State.STARTED,
    (State.STARTED, C, Said.SUSPEND): State.SUSPENDED,
    (State.SUSPENDED, C, Said.RESUME): State.STARTING,
    (State.SUSPENDED, C, Said.START): State.STARTING,
    (State.SUSPENDED, C, Said.STARTED): State.STARTED,
    (State.STARTED, C, Said.COMPLETED): State.COMPLETED,
    (State.STARTED, D, Said.IS_COMPLETED): State.COMPLETED,
} | {
    (state, by, what): State.TERMINATED
    for state in State
    if state not in ENDS
    for by, what in ((C, Said.TERMINATE), (D, Said.GIVES_UP))
}


@pytest.mark.parametrize(("state", "by", "what"), list(itertools.product([None, *State], By, Said)))
def test_every_state_speaker_and_message_is_as_the_specification_says(
    state: State | None, by: By, what: Said
) -> None:
    expected = SPEC.get((state, by, what))
    if expected is not None:
        assert move(state, by, what) is expected
        return
    with pytest.raises(IllegalMove) as refused:
        move(state, by, what)
    assert f"{by} said {what.value!r}" in str(refused.value)
    assert (state.value if state else "no data flow") in str(refused.value)


def test_every_state_has_a_row_and_an_end_has_an_empty_one() -> None:
    assert set(MOVES) == {None, *State}
    assert all(not MOVES[state] for state in ENDS)


# What a control plane asks for, and the states in which it has that already.
HAS_ALREADY = {
    Said.PREPARE: {State.PREPARING, State.PREPARED},
    Said.START: {State.STARTING, State.STARTED},
    Said.STARTED: {State.STARTED},
    Said.SUSPEND: {State.SUSPENDED},
    Said.RESUME: {State.STARTING, State.STARTED},
    Said.COMPLETED: {State.COMPLETED},
    Said.TERMINATE: {State.COMPLETED, State.TERMINATED},
}


@pytest.mark.parametrize(("state", "what"), list(itertools.product([None, *State], Said)))
def test_only_what_is_so_already_is_a_repeat(state: State | None, what: Said) -> None:
    assert is_repeat(state, what) is (state in HAS_ALREADY.get(what, ()))
