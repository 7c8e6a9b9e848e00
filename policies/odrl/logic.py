"""Three-valued logic and the verdict: true, false, and None for what cannot be known.

What cannot be known never grants, and never lifts a prohibition. Both layers of `policies` decide by this
file.

Source: Kleene's strong logic; ODRL Information Model 2.2, sections 2.5.2 and 2.10.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from policies.odrl.model import ConflictStrategy


class Verdict(StrEnum):
    """What is said of a request: it is permitted, it is denied, or the policy is void."""

    PERMIT = "permit"
    DENY = "deny"
    VOID = "void"


def all_of(states: Iterable[bool | None]) -> bool | None:
    """False if any is false, else None if any is unknown, else True; True of nothing."""
    unknown = False
    for state in states:
        if state is False:
            return False
        unknown = unknown or state is None
    return None if unknown else True


def any_of(states: Iterable[bool | None]) -> bool | None:
    """True if any is true, else None if any is unknown, else False; False of nothing."""
    unknown = False
    for state in states:
        if state is True:
            return True
        unknown = unknown or state is None
    return None if unknown else False


def exactly_one_of(states: Iterable[bool | None]) -> bool | None:
    """False once two are true, else None if any is unknown, else whether one is true."""
    true, unknown = 0, False
    for state in states:
        true += state is True
        unknown = unknown or state is None
        if true > 1:
            return False
    return None if unknown else true == 1


def negated(state: bool | None) -> bool | None:
    """Turn true and false round; the unknown stays unknown."""
    return None if state is None else not state


def grants(state: bool | None) -> bool:
    """Say whether a permission in this state grants: what cannot be known never does."""
    return state is True


def forbids(state: bool | None, unknown_forbids: bool = True) -> bool:
    """Say whether a prohibition in this state stands: what cannot be known does, too."""
    return state is True or (state is None and unknown_forbids)


COMBINED = {"and": all_of, "or": any_of, "xone": exactly_one_of}
"""The combinations that look at one moment; `andSequence` needs several."""


def verdict(
    permitted: bool,
    prohibited: bool,
    conflict: ConflictStrategy = ConflictStrategy.PROHIBIT,
    closed: bool = True,
) -> Verdict:
    """Say what active rules come to.

    Args:
        permitted: a permission is active.
        prohibited: a prohibition is active, or cannot be shown not to be.
        conflict: what wins where both are.
        closed: what nothing speaks of is denied.
    """
    if permitted and prohibited:
        if conflict is ConflictStrategy.INVALID:
            return Verdict.VOID
        return Verdict.PERMIT if conflict is ConflictStrategy.PERMIT else Verdict.DENY
    if prohibited:
        return Verdict.DENY
    return Verdict.PERMIT if permitted or not closed else Verdict.DENY
