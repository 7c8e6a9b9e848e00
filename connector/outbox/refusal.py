"""Pure: what a peer's refusal means, seen from where the peer says it stands.

A 4xx is not always a no. Where the answer to a message was lost, its repeat may be a conflict; something
between us and the peer may answer in its stead. So before a refusal ends a process, the peer is asked for its
state, which the protocol lets both sides do.

Source: Dataspace Protocol 2025-1, chapters 7.2.2, 9.2.2: the state of a process can be read by GET.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from schemas.base import Role


class Verdict(StrEnum):
    """What a refusal means: the peer took the message all the same, may take it later, or never will.

    `UNCLEAR` where both fits: before the message, or after it and the peer's next one.
    """

    TAKEN = "taken"
    AGAIN = "again"
    UNCLEAR = "unclear"
    FINAL = "final"


Table = Mapping[Any, Mapping[tuple[Role, Any], Any]]
"""A protocol as a table: state -> (who, what is said) -> the state that follows."""


def judged(
    table: Table, document: Mapping[str, Any], sender: Role, state: StrEnum, standing: str | None
) -> Verdict:
    """Judge the refusal of a message.

    Args:
        table: the protocol.
        document: the message.
        sender: our role.
        state: where we stand.
        standing: where the peer says that it stands; None if it does not tell.
    """
    said = ":".join(filter(None, (document.get("@type"), document.get("eventType"))))
    moves = [
        (before, after)
        for before, row in table.items()
        for (who, what), after in row.items()
        if what == said and who is sender
    ]
    if not moves:
        return Verdict.FINAL
    before, after = {before for before, _ in moves}, moves[0][1]
    # The peer may have gone on already; but not where it could have gone without our message.
    elsewhere = before | _next(table, before, sender)
    follows = _next(table, {after}, sender)
    ahead = follows - elsewhere
    if standing == after or standing in ahead or state in _onward(table, ahead) - elsewhere:
        return Verdict.TAKEN
    if standing in before and state == after and not table[after]:
        # Our last word: nothing else could be said any more, and the peer still waits for it.
        return Verdict.AGAIN
    if standing in follows & before and before - {standing}:
        return Verdict.UNCLEAR  # it may never have moved, or have come from elsewhere by way of our message
    return Verdict.FINAL


def _next(table: Table, states: set[Any], sender: Role) -> set[Any]:
    """Return the states to which the sender's counterparty can go from some states."""
    return {after for state in states for (who, _), after in table[state].items() if who is not sender}


def _onward(table: Table, states: set[Any]) -> set[Any]:
    """Return some states, and all that may follow them."""
    found, edge = set(states), set(states)
    while edge:
        edge = {after for state in edge for after in table[state].values()} - found
        found |= edge
    return found
