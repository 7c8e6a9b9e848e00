"""What a policy is evaluated over: a request, the state of the world, and how to behave where sources differ.

Source: ODRL formal semantics (Community Group draft of 2026-06-23), section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from policies.odrl.compare import NOTHING_KNOWN, Knowledge, Values


@dataclass(frozen=True, slots=True)
class Request:
    """Who means to do what to what. What is left out is not known.

    `values` are further facts, by the IRI of the operand that asks for them; `action_values`,
    `party_values` and `target_values` are the facts that refinements of each ask for first. `id` and
    `rule_id` name the request and the rule in it, for reports.
    """

    action: str | None = None
    target: str | None = None
    assignee: str | None = None
    assigner: str | None = None
    values: Mapping[str, Values] = field(default_factory=dict)
    action_values: Mapping[str, Values] = field(default_factory=dict)
    party_values: Mapping[str, Values] = field(default_factory=dict)
    target_values: Mapping[str, Values] = field(default_factory=dict)
    id: str | None = None
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done; `duty` names the duty that it was done for, where that is known."""

    at: datetime
    what: Request
    duty: str | None = None


class Deontic(StrEnum):
    """What has become of a duty."""

    FULFILLED = "Fulfilled"
    VIOLATED = "Violated"
    NOT_SET = "NonSet"


@dataclass(frozen=True, slots=True)
class World:
    """The state of the world.

    Attributes:
        now: the time, with a zone; None if it is not known.
        values: facts by the IRI of the operand that asks for them.
        properties: facts about one action, party or asset, by its IRI.
        members: member -> collections, of assets and parties, directly.
        actions: action -> wider actions, beyond ODRL's vocabulary.
        knowledge: the hierarchies of terms.
        duties: what earlier reports say of duties, by their id.
        events: what was done, in any order; only what lies before `now` counts.
        counts: how often a rule was exercised before, by its id.
        references: what a right operand reference stands for.
    """

    now: datetime | None = None
    values: Mapping[str, Values] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    actions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    knowledge: Knowledge = NOTHING_KNOWN
    duties: Mapping[str, Deontic] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    references: Mapping[str, Values] = field(default_factory=dict)


NOWHERE = World()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Where the published sources differ; the default fails closed, the rest is for their suites.

    Attributes:
        closed: what nothing permits is denied.
        duties_fulfilled: a permission waits until its duties are fulfilled; else until none is violated.
        offers: an Offer is evaluated like a Set; else it grants nothing.
        mismatch_deactivates: a rule about another target, party or action is inactive; else it stays
            active, and only the control state says deny.
        unknown_prohibits: a prohibition whose premises cannot be known applies.
        wider_request_hits: the prohibition of a narrow action meets a request for a wider one.
        anyone_performs: a duty that names nobody may be performed by anybody; else by the assignee of its
            permission only.
        parties_matter: the parties of a rule are compared with those of the request.
        believe_status: where nothing else is known of an operand, the `status` of the constraint stands for
            it; else it decides nothing, since it was so when the policy was written.
        profiles: the profiles that are understood besides the core; None takes any.
    """

    closed: bool = True
    duties_fulfilled: bool = True
    offers: bool = False
    mismatch_deactivates: bool = True
    unknown_prohibits: bool = True
    wider_request_hits: bool = True
    anyone_performs: bool = False
    parties_matter: bool = True
    believe_status: bool = False
    profiles: frozenset[str] | None = field(default=frozenset())


FAIL_CLOSED = Behaviour()
