"""Pure: rules by which an operator lets negotiations and transfers go on, wait or end by themselves.

A rule says what to do in one state. It never overrides a policy: `proceed` is what the room would do by
itself, with all its checks. The first rule that fits decides; where none fits, the room does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from connector.outbox.refusal import Table
from schemas.base import Role
from schemas.errors import Misconfigured

MOST_VISITS = 20
"""How often rules without a delay act in one state of a process: what pauses and resumes would never end."""
AT_ONCE = 1.0
"""Seconds below which a rule has no delay to speak of."""


class Do(StrEnum):
    """What a rule does."""

    PROCEED = "proceed"
    HOLD = "hold"
    END = "end"
    OFFER = "offer"
    COUNTER = "counter"
    COMPLETE = "complete"
    SUSPEND = "suspend"
    RESUME = "resume"


@dataclass(frozen=True)
class Hold:
    """Say nothing yet: until a person decides, or until a time (UTC) at which to ask again."""

    why: str
    until: datetime | None = None


@dataclass(frozen=True)
class Rule:
    """In state `when`, do this, `after` seconds since the state was entered.

    `about` is a pattern (`*` stands for anything) of the dataset in a negotiation, of the agreement in a
    transfer; `visit` counts how often the state was entered; what is None fits everything. `why` is told to
    the counterparty where the rule ends or pauses something.
    """

    when: str
    do: Do
    role: Role | None = None
    about: str = "*"
    counterparty: str = "*"
    visit: int | None = None
    after: float = 0.0
    why: str = ""

    def fits(self, where: Where) -> bool:
        """Return whether the rule speaks of this situation."""
        return (
            self.when == where.state
            and self.role in (None, where.role)
            and self.visit in (None, where.visit)
            and (self.after >= AT_ONCE or where.visit <= MOST_VISITS)
            and fnmatchcase(where.about, self.about)
            and fnmatchcase(where.counterparty, self.counterparty)
        )

    def holding(self, since: datetime, at: datetime) -> Hold | None:
        """Return what the rule waits for in a state that was entered at `since`: its time, or a person."""
        due = since + timedelta(seconds=self.after)
        if at < due:
            return Hold(f"a rule waits {self.after:g} s before it goes on", until=due)
        if self.do is Do.HOLD:
            return Hold(self.why or f"a person decides in {self.when}, as a rule says")
        return None

    @property
    def reason(self) -> str:
        """Why something was ended or paused, in words for the counterparty."""
        return self.why or f"a rule of this participant says so: {self.do} in {self.when}"


@dataclass(frozen=True)
class Where:
    """The situation that rules are asked about."""

    role: Role
    state: str
    about: str
    counterparty: str
    visit: int


May = Callable[[Role, str], bool]
"""Whether a role may do something in a state."""


def possible(moves: Table, turn: Mapping[Any, Role | None], said: Mapping[Do, Any]) -> dict[Do, May]:
    """Return what rules can do under a protocol.

    Args:
        moves: the protocol as a table.
        turn: whose turn it is in each state; there a rule may also proceed or hold.
        said: the message that does a thing, for whatever else a rule may do.
    """

    def may(what: Any) -> May:
        return lambda role, state: (role, what) in moves[state]

    def ours(role: Role, state: str) -> bool:
        return turn[state] is role

    return {Do.PROCEED: ours, Do.HOLD: ours, **{do: may(what) for do, what in said.items()}}


@dataclass(frozen=True)
class Rules:
    """The rules of one room, and what can be done there.

    Args:
        name: of the setting, for messages.
        states: of the protocol.
        may: for each thing that a rule may do, whether a role may do it in a state.
        rules: as the operator wrote them.

    Raises:
        Misconfigured: naming a rule that could never act, what it says, and what is possible there.
    """

    name: str
    states: tuple[str, ...]
    may: Mapping[Do, May]
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        for number, rule in enumerate(self.rules, start=1):
            where = f"{self.name}: rule {number}"
            if rule.when not in self.states:
                known = ", ".join(self.states)
                raise Misconfigured(f"{where}: there is no state {rule.when!r}; known: {known}")
            roles = (rule.role,) if rule.role else tuple(Role)
            possible = [do for do, may in self.may.items() if any(may(role, rule.when) for role in roles)]
            if rule.do not in possible:
                raise Misconfigured(
                    f"{where}: cannot {rule.do} in {rule.when} as {rule.role or 'any role'}; "
                    f"possible there: {', '.join(possible) or 'nothing'}"
                )

    def fitting(self, where: Where) -> Rule | None:
        """Return the first rule that fits and can act."""
        return next(
            (rule for rule in self.rules if rule.fits(where) and self.may[rule.do](where.role, where.state)),
            None,
        )
