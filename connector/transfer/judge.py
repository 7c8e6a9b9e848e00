"""Pure: what we say in a transfer when there is something to decide.

Whether a use is allowed is not decided here: a start that the judge says is given only where the policy
permits the use. `Judge` starts what a consumer asks for, or holds it for a person; `RuledJudge` asks the
operator's rules first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connector.outbox.rules import Do, Hold, Rule, Rules, Where, possible
from connector.transfer.machine import MOVES, TURN, Said
from schemas.dsp.transfer import DataAddress
from schemas.dsp.transfer import TransferState as State


@dataclass(frozen=True)
class Case:
    """What a judge is told: the situation (`where.about` is the agreement), since when, and the time now."""

    where: Where
    since: datetime
    at: datetime


@dataclass(frozen=True)
class Say:
    """Say this now; `address` goes with a start, `code` and `reasons` with a suspension or termination."""

    what: Said
    address: DataAddress | None = None
    code: str | None = None
    reasons: tuple[str, ...] = ()


Verdict = Say | Hold


class Judging(Protocol):
    """Decides what we say."""

    def speaks(self, where: Where) -> bool:
        """Return whether there is something to decide; `where.about` is the agreement."""
        ...

    def __call__(self, case: Case) -> Verdict:
        """Return what we say in a situation in which there is something to decide."""
        ...


@dataclass(frozen=True)
class Judge:
    """`automatic` starts what the policy permits; otherwise a person is asked."""

    automatic: bool = True

    def speaks(self, where: Where) -> bool:
        """Return whether it is our turn."""
        return TURN[State(where.state)] is where.role

    def __call__(self, case: Case) -> Verdict:
        """Return the start that a consumer asked for, or wait for a person."""
        if self.automatic:
            return Say(Said.START)
        return Hold(f"a person decides whether to start the transfer for {case.where.counterparty}")


_SAID = {
    Do.END: Said.TERMINATION,
    Do.COMPLETE: Said.COMPLETION,
    Do.SUSPEND: Said.SUSPENSION,
    Do.RESUME: Said.START,
}


_MAY = possible(MOVES, TURN, _SAID) | {Do.RESUME: lambda _role, state: state == State.SUSPENDED}


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
        if (held := rule.holding(case.since, case.at)) is not None:
            return held
        match rule.do:
            case Do.END:
                return Say(Said.TERMINATION, code="ended-by-rule", reasons=(rule.reason,))
            case Do.SUSPEND:
                return Say(Said.SUSPENSION, code="suspended", reasons=(rule.reason,))
            case Do.COMPLETE:
                return Say(Said.COMPLETION)
            case _:
                return Say(Said.START)
