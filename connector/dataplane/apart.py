"""Columns that must stay apart, over all readings of an agreement: who had some never gets the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from connector.dataplane.asked import Asked, narrowed
from policies.compiled import CompiledPolicy
from policies.plan import DataPlan
from policies.refusals.refusal import refusal
from policies.rules import NotTogether
from policies.use import UseTotals, released_detail
from schemas.errors import DataspaceError, PolicyMismatch


class Apart:
    """What one opening lets go of columns that must stay apart, beside what others let go before.

    Args:
        described: the columns that were described at publication.
    """

    def __init__(self, described: Sequence[str]) -> None:
        self._described = described
        self._why: str | None = None

    @classmethod
    def of(cls, policy: CompiledPolicy, described: Callable[[], Sequence[str]]) -> Apart:
        """Make ready for a policy; the columns are asked for only where it keeps some apart."""
        keeps = any(isinstance(limit, NotTogether) for rule in policy.permissions for limit in rule.limits)
        return cls(described() if keeps else ())

    def detail(self, plan: DataPlan, asked: Asked, totals: UseTotals) -> Mapping[str, str]:
        """Return what the log says of an opening: which of them it lets go, none if it has to be refused.

        To be called while nobody else changes the totals.
        """
        if not plan.apart:
            return {}
        try:
            shown = narrowed(plan, self._described, asked.wanted(plan.visible(self._described)))
        except DataspaceError:
            return released_detail(())  # it is not opened, and whoever opens it says why
        wanted = shown.shown_apart(shown.visible(self._described))
        whole = plan.whole_set(totals.released | wanted)
        if whole is not None and plan.whole_set(wanted) is None:
            before = ", ".join(map(repr, sorted(totals.released.intersection(whole) - wanted)))
            self._why = refusal("read apart", columns=", ".join(map(repr, whole)), before=before)
        return released_detail(() if whole is not None else wanted)

    def check(self) -> None:
        """Refuse the opening, if it would complete a set.

        Raises:
            PolicyMismatch: naming the set, and what was read of it.
        """
        if self._why is not None:
            raise PolicyMismatch(self._why)
