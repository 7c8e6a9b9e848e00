"""Catalogue messages of the Dataspace Protocol 2025-1, chapter 5."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from schemas.base import Many, Message


class CatalogRequestMessage(Message):
    """Asks for a catalogue; `filter` is a list of implementation-specific objects."""

    TYPE: ClassVar[str] = "CatalogRequestMessage"

    filter: Annotated[tuple[Any, ...], Many] = ()


class CatalogError(Message):
    """Says why a catalogue or a dataset cannot be had."""

    TYPE: ClassVar[str] = "CatalogError"

    code: str | None = None
    reason: Annotated[tuple[Any, ...], Many] = ()
