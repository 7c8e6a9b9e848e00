"""The ODRL 2.2 information model as values: a policy expanded to atomic rules, everything in absolute IRIs.

This is what a policy says, whoever wrote it; whether we can keep it is `policies.compiled`'s question.

Source: ODRL Information Model 2.2, sections 2.1 to 2.10.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from policies.algebra.lengths import Months


@dataclass(frozen=True, slots=True)
class Iri:
    """A named thing; it never equals a text of the same letters."""

    value: str


@dataclass(frozen=True, slots=True)
class Typed:
    """A literal whose datatype we do not compute with, such as xsd:gDay: equal to itself only."""

    text: str
    datatype: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A day, month or year in its zone, from its first to its last microsecond; or a time of day.

    A time of day stands on the day by which XML Schema orders them, and has an order among its kind only.
    Both ends are in UTC, or both without a zone.
    """

    first: datetime
    last: datetime
    datatype: str
    text: str = field(default="", compare=False)


Value = Iri | str | bool | int | Decimal | date | datetime | Stretch | timedelta | Months | Typed
"""A right operand, or a value of the state of the world.

A `date` is a day in UTC. A `datetime` without a zone may be that of any zone.
"""


class PolicyKind(StrEnum):
    """What a policy is for; only a Set and an Agreement grant anything."""

    SET = "Set"
    OFFER = "Offer"
    AGREEMENT = "Agreement"
    REQUEST = "Request"
    ASSERTION = "Assertion"


class ConflictStrategy(StrEnum):
    """What wins where a permission and a prohibition meet; ODRL's default is that the policy is void."""

    PERMIT = "perm"
    PROHIBIT = "prohibit"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A comparison of the value of an operand with one or more given values.

    `operand` and `operator` are absolute IRIs; `unit` and `datatype` too, where they are written.
    `reference` is the IRI of a right operand that has to be looked up (`rightOperandReference`).
    """

    id: str
    operand: str
    operator: str
    values: tuple[Value, ...]
    unit: str | None = None
    datatype: str | None = None
    reference: str | None = None
    status: Value | None = None


@dataclass(frozen=True, slots=True)
class Logical:
    """Constraints of which all, any, exactly one must hold, or all in the order of their fulfilment."""

    id: str
    form: Literal["and", "or", "xone", "andSequence"]
    parts: tuple[Condition, ...]


Condition = Constraint | Logical


@dataclass(frozen=True, slots=True)
class Refined:
    """An action, asset or party, narrowed by refinements that must all hold.

    `iri` None means any; `collection` says that members of `iri` are meant too. `source` is another name
    of a collection, by which its members may be known; `id` is the name of the node that the refinements
    stand on, if it has one.
    """

    iri: str | None
    refinements: tuple[Condition, ...] = ()
    collection: bool = False
    source: str | None = None
    id: str | None = None


ANYTHING = Refined(None)


class DutyRole(StrEnum):
    """What a duty is, by the property that points at it."""

    OBLIGATION = "obligation"
    DUTY = "duty"
    CONSEQUENCE = "consequence"
    REMEDY = "remedy"


@dataclass(frozen=True, slots=True)
class Duty:
    """An action that somebody has to perform; `consequences` are owed too if it is not performed in time."""

    id: str
    role: DutyRole
    action: Refined
    target: Refined = ANYTHING
    assigner: Refined = ANYTHING
    assignee: Refined = ANYTHING
    constraints: tuple[Condition, ...] = ()
    consequences: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True)
class Permission:
    """An action that is allowed while the constraints hold, once the duties are fulfilled."""

    id: str
    action: Refined
    target: Refined = ANYTHING
    assigner: Refined = ANYTHING
    assignee: Refined = ANYTHING
    constraints: tuple[Condition, ...] = ()
    duties: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True)
class Prohibition:
    """An action that is forbidden while the constraints hold; `remedies` clear an infringement."""

    id: str
    action: Refined
    target: Refined = ANYTHING
    assigner: Refined = ANYTHING
    assignee: Refined = ANYTHING
    constraints: tuple[Condition, ...] = ()
    remedies: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True)
class Shared:
    """What a policy states once for all of its rules, and for those that inherit from it."""

    actions: tuple[Refined, ...] = ()
    targets: tuple[Refined, ...] = ()
    assigners: tuple[Refined, ...] = ()
    assignees: tuple[Refined, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyModel:
    """A policy, its compact form expanded: each rule has one action, target, assigner and assignee.

    Several atomic rules may carry the id of the rule that they were written as. `conflict` is the default
    unless `conflict_stated`; `void` says why the whole policy is void, if it is; `inherits` names the
    parents that are not merged in yet (`policies.odrl.inherit`).
    """

    id: str
    kind: PolicyKind
    profiles: tuple[str, ...] = ()
    conflict: ConflictStrategy = ConflictStrategy.INVALID
    inherits: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()
    prohibitions: tuple[Prohibition, ...] = ()
    obligations: tuple[Duty, ...] = ()
    shared: Shared = Shared()
    conflict_stated: bool = False
    void: str | None = None
