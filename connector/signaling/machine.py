"""The data flow protocol as a table: what a control plane may ask, and what the data plane may say itself.

Rule 1: what makes a message legal or illegal stands here and nowhere else.
Rule 2: work that is done at once passes through two rows in one save (`START`, then `IS_STARTED`).

Source: Data Plane Signaling, chapter on the data flow state machine.
"""

from __future__ import annotations

from enum import StrEnum

from schemas.dps import FlowState as State
from schemas.errors import IllegalMove


class By(StrEnum):
    """Who speaks."""

    CONTROL = "the control plane"
    DATA = "the data plane"


class Said(StrEnum):
    """What can be said of a data flow, named as in the paths of the binding."""

    PREPARE = "prepare"
    START = "start"
    STARTED = "started"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    COMPLETED = "completed"
    IS_PREPARED = "dataflow/prepared"
    IS_STARTED = "dataflow/started"
    IS_COMPLETED = "dataflow/completed"
    GIVES_UP = "dataflow/errored"


C, D = By.CONTROL, By.DATA
_END = {(C, Said.TERMINATE): State.TERMINATED, (D, Said.GIVES_UP): State.TERMINATED}

MOVES: dict[State | None, dict[tuple[By, Said], State]] = {
    None: {(C, Said.PREPARE): State.PREPARING, (C, Said.START): State.STARTING},
    State.PREPARING: {(D, Said.IS_PREPARED): State.PREPARED, **_END},
    State.PREPARED: {(C, Said.START): State.STARTING, (C, Said.STARTED): State.STARTED, **_END},
    State.STARTING: {(D, Said.IS_STARTED): State.STARTED, **_END},
    State.STARTED: {
        (C, Said.SUSPEND): State.SUSPENDED,
        (C, Said.COMPLETED): State.COMPLETED,
        (D, Said.IS_COMPLETED): State.COMPLETED,
        **_END,
    },
    State.SUSPENDED: {
        (C, Said.RESUME): State.STARTING,
        # Control planes that know no resumption start a flow once more.
        (C, Said.START): State.STARTING,
        (C, Said.STARTED): State.STARTED,
        **_END,
    },
    State.COMPLETED: {},
    State.TERMINATED: {},
}


REPEATS: dict[Said, frozenset[State]] = {
    Said.PREPARE: frozenset({State.PREPARING, State.PREPARED}),
    Said.START: frozenset({State.STARTING, State.STARTED}),
    Said.STARTED: frozenset({State.STARTED}),
    Said.SUSPEND: frozenset({State.SUSPENDED}),
    Said.RESUME: frozenset({State.STARTING, State.STARTED}),
    Said.COMPLETED: frozenset({State.COMPLETED}),
    Said.TERMINATE: frozenset({State.COMPLETED, State.TERMINATED}),
}
"""Where a control plane asks for what it has already: its first message arrived, the answer was lost."""


def is_repeat(state: State | None, what: Said) -> bool:
    """Return whether what is asked for is so already; then nothing changes, and the answer is the same."""
    return state in REPEATS.get(what, frozenset())


def move(state: State | None, by: By, what: Said) -> State:
    """Return the state that follows.

    Raises:
        IllegalMove: naming what was said, the state, and what the speaker may say there.
    """
    following = MOVES[state].get((by, what))
    if following is None:
        may = ", ".join(said.value for who, said in MOVES[state] if who is by) or "nothing"
        shown = state.value if state else "no data flow"
        raise IllegalMove(f"{by} said {what.value!r} in state {shown}; here {by} may say {may}")
    return following
