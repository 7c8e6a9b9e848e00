"""What a policy means for text and data mining, in the words of others: TDMRep, and the W3C AI vocabulary.

A reservation stands unless some offer lets anybody mine and train, now and without a condition: who wants
more is sent to the policy, and asks.

Source: TDM Reservation Protocol, Community Group final report 2024-05-10; W3C AI vocabulary draft 2026-07.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from policies.compiled import CompiledPolicy
from policies.profile import ANALYSE, RAG, TRAIN, TRAIN_GENERATIVE, USE, is_action_within


class Stand(StrEnum):
    """How a policy stands to an action."""

    ALLOWED = "allowed"
    CONDITIONAL = "allowed under conditions"
    PROHIBITED = "prohibited"
    NOT_PERMITTED = "not permitted"


AI_ACTIONS = {
    "data mining": ANALYSE,
    "AI training": TRAIN,
    "generative AI training": TRAIN_GENERATIVE,
    "AI augmentation": RAG,
    "index": USE,
    "search": USE,
}
"""Actions of the W3C AI vocabulary, and the one of ours that each of them is."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """`reserved` as TDMRep writes it (1 or 0), and where the policy can be read."""

    reserved: int
    policy: str | None

    def headers(self) -> dict[str, str]:
        """Return the two HTTP headers of the protocol."""
        told = {"tdm-reservation": str(self.reserved)}
        return told | {"tdm-policy": self.policy} if self.policy is not None else told


def ai_uses(policy: CompiledPolicy) -> dict[str, Stand]:
    """Return how a policy stands to each action of the W3C AI vocabulary."""
    return {name: _stand(policy, action) for name, action in AI_ACTIONS.items()}


def _stand(policy: CompiledPolicy, action: str) -> Stand:
    against = [rule for rule in policy.prohibitions if not rule.is_promise]
    over = [rule for rule in against if is_action_within(action, rule.action)]
    if any(not rule.conditions and not rule.filters for rule in over):
        return Stand.PROHIBITED
    permitting = [rule for rule in policy.permissions if is_action_within(action, rule.action)]
    if not permitting:
        return Stand.NOT_PERMITTED
    partly = over or any(is_action_within(rule.action, action) for rule in against)
    bare = any(not rule.conditions and not rule.limits for rule in permitting)
    return Stand.ALLOWED if bare and not partly and not policy.duties else Stand.CONDITIONAL


def reservation(policies: Iterable[CompiledPolicy], url: str) -> Reservation:
    """Return the reservation of data under several offers.

    Args:
        policies: the offers; whoever wants the data chooses one.
        url: where they can be read.
    """
    wanted = ("data mining", "AI training")
    for policy in policies:
        stands = ai_uses(policy)
        if policy.assignee is None and all(stands[name] is Stand.ALLOWED for name in wanted):
            return Reservation(0, None)
    return Reservation(1, url)
