"""Which rules of two policies speak of one and the same request, by its action, asset and party.

Requests that the same rules speak of are one kind; there are as many kinds as these rules can tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from policies.odrl.extents import Knowledge
from policies.odrl.model import Permission, Prohibition
from schemas.errors import TooLarge

MOST_KINDS = 4_000
"""Kinds of requests; policies that tell more apart are not compared."""

Rule = Permission | Prohibition


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request: the rules that speak of it."""

    spoken: int
    rules: Sequence[Rule]

    def among(self, rules: Iterable[Rule]) -> list[Rule]:
        """Return those of some rules that speak of it."""
        ours = {id(rule) for at, rule in enumerate(self.rules) if self.spoken >> at & 1}
        return [rule for rule in rules if id(rule) in ours]


def kinds(rules: Sequence[Rule], known: Knowledge) -> list[Kind]:
    """Return every kind of request that some of these rules speak of.

    Raises:
        TooLarge: if there are more than anybody waits for.
    """
    actions = _by_action(rules, known)
    assets = _by_name([rule.target.iri for rule in rules])
    parties = _by_name([rule.assignee.iri for rule in rules])
    if len(actions) * len(assets) * len(parties) > MOST_KINDS:
        raise TooLarge(
            f"the policies speak of more than {MOST_KINDS:,} kinds of requests, so they are not compared; "
            "compare them asset by asset"
        )
    found = {act & asset & party: None for act in actions for asset in assets for party in parties}
    return [Kind(spoken, rules) for spoken in found if spoken]


def _by_name(names: Sequence[str | None]) -> set[int]:
    """Return which rules speak of each thing that is named, and of one that is not; a rule may name none."""
    return {
        sum(1 << at for at, said in enumerate(names) if said is None or said == name)
        for name in (None, *dict.fromkeys(names))
    }


def _by_action(rules: Sequence[Rule], known: Knowledge) -> set[int]:
    """Return which rules speak of each action named or above one named, and of a new one under each."""
    wider: dict[str, list[str]] = {}
    for wide, narrow in known.actions.narrower.items():
        for action in narrow:
            wider.setdefault(action, []).append(wide)
    named = {
        rule.action.iri: _upward(rule.action.iri, wider) for rule in rules if rule.action.iri is not None
    }
    found = {sum(1 << at for at, rule in enumerate(rules) if rule.action.iri is None)}
    for action in frozenset(named).union(*named.values()):
        above = _upward(action, wider)
        below = {name for name, wides in named.items() if action in wides}
        # Of an action that nobody placed it is not known that it lies outside a prohibition.
        is_loose = action not in wider and action not in known.actions.narrower
        for hit in (above, above | below):
            found.add(
                sum(
                    1 << at
                    for at, rule in enumerate(rules)
                    if rule.action.iri is None
                    or rule.action.iri in (above if isinstance(rule, Permission) else hit)
                    or (is_loose and isinstance(rule, Prohibition))
                )
            )
    return found


def _upward(action: str, wider: Mapping[str, Sequence[str]]) -> frozenset[str]:
    found, waiting = {action}, [action]
    while waiting:
        for wide in wider.get(waiting.pop(), ()):
            if wide not in found:
                found.add(wide)
                waiting.append(wide)
    return frozenset(found)
