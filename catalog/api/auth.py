"""Who may pass which door."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import Header

from catalog.members import Callers
from schemas.errors import Unauthenticated
from schemas.identity import Member

Authorization = Annotated[str | None, Header()]


def member_door(callers: Callers, role: str | None = None) -> Callable[[str | None], Member]:
    """Return a dependency that lets members pass, in a role if one is named."""

    def check(authorization: Authorization = None) -> Member:
        return callers.identify(authorization, role)

    return check


def operator_door(operator_key: str) -> Callable[[str | None], None]:
    """Return a dependency that lets only the operator of this catalogue pass."""
    expected = operator_key.encode()

    def check(authorization: Authorization = None) -> None:
        scheme, _, said = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(said.strip().encode(), expected):
            raise Unauthenticated(
                "expected 'Authorization: Bearer <operator key>'; the key is in operator.key of data_dir"
            )

    return check
