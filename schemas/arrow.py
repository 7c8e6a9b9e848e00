"""Arrow schemas <-> column descriptions, and a stable fingerprint of a schema.

Types are carried as text, so that this file needs no Arrow library: `connector` gives the names that
pyarrow prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.canonical import digest
from schemas.dcat import Column


class ArrowField(Protocol):
    """The part of `pyarrow.Field` that we read."""

    @property
    def name(self) -> str:
        """The column's name."""
        ...

    @property
    def type(self) -> object:
        """The column's type; its text form is what we keep."""
        ...

    @property
    def nullable(self) -> bool:
        """Whether nulls may occur."""
        ...


def columns_of(schema: Iterable[ArrowField]) -> tuple[Column, ...]:
    """Describe the fields of an Arrow schema, in order."""
    return tuple(
        Column(name=field.name, datatype=str(field.type), nullable=field.nullable) for field in schema
    )


def fingerprint(columns: Sequence[Column]) -> str:
    """Return `sha256:…` over names, types and nullability in order: equal exactly for equal schemas."""
    return digest([[column.name, column.datatype, column.nullable] for column in columns])
