"""ODRL 2.2 policies in the form that the Dataspace Protocol writes.

Members that we do not know are kept (`model_extra`), so that `policies.compiled` can refuse them by
name: dropping a refinement or a duty silently would widen what a policy allows.

Source: ODRL Information Model 2.2; Dataspace Protocol 2025-1, contract-schema.json.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from schemas.base import Document, Many, Plain
from schemas.vocab import HANSA

DECLARED_USE = HANSA + "use"
"""The member under which a consumer declares what it means to do; foreign peers ignore it."""


class _OdrlDocument(Document):
    model_config = ConfigDict(extra="allow")


class Constraint(_OdrlDocument):
    """Either one comparison, or a combination of constraints under and / or / xone / andSequence."""

    left_operand: str | None = None
    operator: str | None = None
    right_operand: Any = None
    and_: Annotated[tuple[Constraint, ...], Many] = Field(default=(), alias="and")
    or_: Annotated[tuple[Constraint, ...], Many] = Field(default=(), alias="or")
    xone: Annotated[tuple[Constraint, ...], Many] = ()
    and_sequence: Annotated[tuple[Constraint, ...], Many] = ()

    @model_validator(mode="after")
    def _exactly_one_form(self) -> Self:
        atomic = (self.left_operand, self.operator, self.right_operand)
        forms = [bool(self.and_), bool(self.or_), bool(self.xone), bool(self.and_sequence)]
        if all(part is not None for part in atomic) and not any(forms):
            return self
        if all(part is None for part in atomic) and sum(forms) == 1:
            return self
        raise ValueError(
            "a constraint is leftOperand, operator and rightOperand, or one of and/or/xone/andSequence"
        )


class Rule(_OdrlDocument):
    """What permission, prohibition and duty share: an action under constraints."""

    action: str
    constraint: Annotated[tuple[Constraint, ...], Many] = ()


class Permission(Rule):
    """Allows an action while its constraints hold."""


class Prohibition(Rule):
    """Forbids an action while its constraints hold."""


class Duty(Rule):
    """Obliges to an action."""


class Policy(_OdrlDocument):
    """What offers and agreements share."""

    id: str = Field(alias="@id")
    profile: Annotated[tuple[str, ...], Many] = ()
    permission: Annotated[tuple[Permission, ...], Many] = ()
    prohibition: Annotated[tuple[Prohibition, ...], Many] = ()
    obligation: Annotated[tuple[Duty, ...], Many] = ()
    target: str | None = None
    assigner: str | None = None
    assignee: str | None = None


class Offer(Policy):
    """What a provider offers; `target` is left out inside a dataset, and stated inside a message."""

    type: Literal["Offer"] = Field(default="Offer", alias="@type")


class Agreement(Policy):
    """What both sides agreed; `timestamp` is RFC 3339 in UTC."""

    type: Literal["Agreement"] = Field(default="Agreement", alias="@type")
    target: str
    assigner: str
    assignee: str
    timestamp: Annotated[str | None, Plain] = None


class DeclaredUse(Document):
    """What a consumer says it means to do: an action and, where asked, a purpose (absolute IRIs)."""

    action: str
    purpose: str | None = None


_TERMS = ("profile", "permission", "prohibition", "obligation")


def terms(policy: Policy) -> dict[str, Any]:
    """Return only what a policy says, without id, type, target and parties: the part to compare or digest."""
    wired = policy.wire()
    return {key: wired[key] for key in _TERMS if key in wired}
