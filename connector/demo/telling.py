"""Prints the story, and keeps the time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@dataclass
class Telling:
    """Prints the story, and keeps the time."""

    console: Console
    started: float = field(default_factory=time.perf_counter)

    def chapter(self, number: int, title: str) -> None:
        """Begin a chapter."""
        at = time.perf_counter() - self.started
        self.console.print(f"\n[accent]{number}. {title}[/]  [faint]{at:.1f} s[/]")

    def say(self, text: str) -> None:
        """Print a line of the story."""
        self.console.print(f"   {text}")

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Any]:
        """Show progress on a terminal, and nothing when piped."""
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        ) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)
