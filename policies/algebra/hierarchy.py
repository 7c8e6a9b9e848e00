"""Hierarchies of terms: purposes under purposes, places in places, languages by their prefix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from policies.algebra.regions import Bounded, Opaque, Region, Terms


@dataclass(frozen=True, slots=True)
class Poset:
    """A hierarchy of terms: what lies directly under what. A term may lie under several.

    Args:
        narrower: for each term that has any, the terms directly under it.
        closed: whether the hierarchy says everything: then terms that are not under one another are
            different things, and what is under no common term is disjoint. Otherwise we do not know.
        apart: terms, in groups, of which a hierarchy that does not say everything knows that nothing lies
            under two of a group.
        separator: where terms are themselves a hierarchy, such as BCP 47 tags: `de-AT` lies under `de`.
    """

    narrower: Mapping[Any, tuple[Any, ...]]
    closed: bool = False
    separator: str | None = None
    apart: tuple[tuple[Any, ...], ...] = ()

    def is_under(self, term: Any, wide: Any) -> bool:
        """Say whether a term is another, or lies under it at any depth."""
        return term == wide or term in self._down(wide) or self._is_spelt_under(term, wide)

    def _is_spelt_under(self, term: Any, wide: Any) -> bool:
        if self.separator is None or not (isinstance(term, str) and isinstance(wide, str)):
            return False
        return term.lower().startswith(wide.lower() + self.separator)

    def _down(self, wide: Any) -> frozenset[Any]:
        found = {wide}
        waiting = [wide]
        while waiting:
            for term in self.narrower.get(waiting.pop(), ()):
                if term not in found:
                    found.add(term)
                    waiting.append(term)
        return frozenset(found)

    def known(self, mentioned: Iterable[Any]) -> frozenset[Any]:
        """Return the terms of the hierarchy and these, with one unnamed term under each of a spelt one."""
        named = {*self.narrower, *(term for under in self.narrower.values() for term in under), *mentioned}
        if self.separator is not None:
            named |= {f"{term}{self.separator}x-unnamed" for term in named if isinstance(term, str)}
        return frozenset(named)

    def below(self, wide: Any, mentioned: Iterable[Any]) -> frozenset[Any]:
        """Return the known terms that are this one or lie under it."""
        down = self._down(wide)
        return frozenset(t for t in self.known(mentioned) if t in down or self._is_spelt_under(t, wide)) | {
            wide
        }

    def above(self, narrow: Any, mentioned: Iterable[Any]) -> frozenset[Any]:
        """Return the known terms that are this one or have it under them."""
        return frozenset(t for t in self.known(mentioned) if self.is_under(narrow, t)) | {narrow}

    def region(self, operator: str, terms: tuple[Any, ...], mentioned: Iterable[Any]) -> Region:
        """Return the terms that stand so to the given ones.

        Args:
            operator: `eq`, `isA`, `isPartOf`, `hasPart`, `isAnyOf` or `isAllOf`; `neq` and `isNoneOf` are
                the complements of `eq` and `isAnyOf`.
            terms: the right operand.
            mentioned: every term that is compared, so that those which no hierarchy knows count too.
        """
        mentioned = frozenset(mentioned) | set(terms)
        match operator:
            case "eq" if len(set(terms)) > 1:
                return Opaque("a value cannot be equal to several different ones")
            case "isAllOf" if len(set(terms)) > 1:
                return Opaque("isAllOf speaks of a set of values, which one value does not decide")
            case "eq" | "isAllOf" | "isAnyOf":
                return self._listed(terms)
            case "isA" | "isPartOf" | "hasPart":
                walk = self.above if operator == "hasPart" else self.below
                sure = Terms(frozenset[Any]().union(*(walk(term, mentioned) for term in terms)))
                possible = self._possible(terms)
                return sure if self.closed else Bounded(sure, possible, downward=operator != "hasPart")
            case _:
                return Opaque(f"the operator {operator} does not compare terms")

    def _listed(self, terms: tuple[Any, ...]) -> Region:
        sure = Terms.of(*terms)
        return sure if self.closed else Bounded(sure, self._possible(terms), listed=True)

    def _possible(self, terms: tuple[Any, ...]) -> Terms:
        """Return everything that is not known to be apart from each of the terms."""
        ruled_out = [self._apart_from(term) for term in set(terms)]
        return Terms.but(*frozenset.intersection(*ruled_out)) if ruled_out else Terms.but()

    def _apart_from(self, term: Any) -> frozenset[Any]:
        found: frozenset[Any] = frozenset()
        for group in self.apart:
            if any(self.is_under(term, one) for one in group):
                found |= found.union(*(self._down(one) for one in group if not self.is_under(term, one)))
        return found
