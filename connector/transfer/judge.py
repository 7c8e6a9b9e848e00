"""Pure: what we say in a transfer when there is something to decide.

Whether a use is allowed is not decided here: a start that the judge says is given only where the policy
permits the use. `Judge` starts what a consumer asks for, or holds it for a person; `RuledJudge` asks the
operator's rules first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connector.outbox.rules import Do, May, Rule, Rules, Where
from connector.transfer.machine import MOVES, TURN, Said
from schemas.base import Role
from schemas.dsp.transfer import TransferState as State


@dataclass(frozen=True)
class Case:
    """What a judge is told: the situation (`where.about` is the agreement), since when, and the time now."""

    where: Where
    since: datetime
    at: datetime


@dataclass(frozen=True)
class Answer:
    """Say this now; `why` goes with a suspension or termination."""

    what: Said
    why: str = ""


@dataclass(frozen=True)
class Hold:
    """Say nothing yet: until a person decides, or until a time at which to ask again."""

    why: str
    until: datetime | None = None


Verdict = Answer | Hold


class Judging(Protocol):
    """Decides what we say."""

    def speaks(self, where: Where) -> bool:
        """Return whether there is something to decide; `where.about` is the agreement."""
        ...

    def __call__(self, case: Case) -> Verdict:
        """Return what we say in a situation in which there is something to decide."""
        ...


def _turn(role: Role, state: str) -> bool:
    return TURN[State(state)] is role


@dataclass(frozen=True)
class Judge:
    """`automatic` starts what the policy permits; otherwise a person is asked."""

    automatic: bool = True

    def speaks(self, where: Where) -> bool:
        """Return whether it is our turn."""
        return _turn(where.role, where.state)

    def __call__(self, case: Case) -> Verdict:
        """Return the start that a consumer asked for, or wait for a person."""
        if self.automatic:
            return Answer(Said.START)
        return Hold(f"a person decides whether to start the transfer for {case.where.counterparty}")


_SAID = {
    Do.END: Said.TERMINATION,
    Do.COMPLETE: Said.COMPLETION,
    Do.SUSPEND: Said.SUSPENSION,
    Do.RESUME: Said.START,
}


def _may(what: Said) -> May:
    return lambda role, state: (role, what) in MOVES[State(state)]


_MAY: dict[Do, May] = {
    Do.PROCEED: _turn,
    Do.HOLD: _turn,
    **{do: _may(what) for do, what in _SAID.items()},
    Do.RESUME: lambda _role, state: state == State.SUSPENDED,
}


def rules_of(*rules: Rule) -> Rules:
    """Return rules for transfers.

    Raises:
        Misconfigured: naming a rule that could never act, and what is possible in its state.
    """
    return Rules("transfer.rules", tuple(State), _MAY, rules)


@dataclass(frozen=True)
class RuledJudge:
    """Asks the operator's rules first, and otherwise another judge."""

    rules: Rules
    otherwise: Judge = Judge()

    def speaks(self, where: Where) -> bool:
        """Return whether it is our turn, or a rule acts unasked."""
        return self.otherwise.speaks(where) or self.rules.fitting(where) is not None

    def __call__(self, case: Case) -> Verdict:
        """Return what the first rule that fits says, once its time has come."""
        rule = self.rules.fitting(case.where)
        if rule is None:
            return self.otherwise(case)
        if case.at < rule.due(case.since):
            return Hold(f"a rule waits {rule.after:g} s before it goes on", until=rule.due(case.since))
        if rule.do is Do.HOLD:
            return Hold(rule.why or f"a person decides in {case.where.state}, as a rule says")
        return Answer(_SAID.get(rule.do, Said.START), rule.reason)
