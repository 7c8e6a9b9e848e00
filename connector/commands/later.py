"""Verbs that are loaded when they are called: neither `--help` nor a server pays for what others need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class Later(TyperCommand):
    """A verb, or group of verbs, of which so far only the name and a sentence are known."""

    def __init__(self, name: str, about: str, load: Callable[[], typer.Typer]) -> None:
        super().__init__(name, help=about)
        self._load = load

    def loaded(self) -> Any:
        """Return the command itself, of Typer's own kind."""
        command = get_command(self._load())
        command.name, command.help = self.name, command.help or self.help
        return command


class Verbs(TyperGroup):
    """A group with verbs that are loaded later; a kind of it says which."""

    later: ClassVar[Mapping[str, tuple[Callable[[], typer.Typer], str]]] = {}
    """By name: what loads it, and a sentence."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        waiting = {name: Later(name, about, load) for name, (load, about) in self.later.items()}
        self.commands = {**waiting, **self.commands}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and what is left of the arguments; the command is loaded now."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.loaded() if isinstance(command, Later) else command, rest
