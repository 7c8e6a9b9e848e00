"""Our own people's questions to shared catalogues, asked in the name of this participant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query

from connector.api.management import guarded

Ask = Callable[[str, Mapping[str, str]], dict[str, Any]]
"""Searches the catalogue at a URL as ourselves."""

Text = Annotated[str, Query(max_length=512)]


def asking_router(authorize: Callable[[str], bool], ask: Ask) -> APIRouter:
    """Return the door, below `/management`."""
    router = guarded(authorize)

    @router.get("/catalogue/search")
    def search(
        catalogue: Annotated[str, Query(min_length=1, max_length=2048)],
        q: Text = "",
        purpose: Text = "",
        action: Text = "train",
        size: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> dict[str, Any]:
        asked = {"q": q, "purpose": purpose, "action": action, "size": str(size)}
        return ask(catalogue, {name: value for name, value in asked.items() if value})

    return router
