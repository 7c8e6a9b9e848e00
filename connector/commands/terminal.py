"""How the terminal looks and speaks: one accent colour, aligned columns, `--json` for machines.

Quiet when piped: no colours, no progress, no boxes. Exit codes: 0 done, 1 refused or failed, 2 wrong usage,
3 denied by a policy, 4 evidence broken.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.theme import Theme

from policies.words.carried import ended, in_words
from policies.words.language import Language, language
from schemas.errors import DataspaceError, EvidenceBroken, Malformed, PeerRefused, StreamEnded, UseDenied
from schemas.worded import Worded, wording

ACCENT = "#1F5A8C"
THEME = Theme(
    {
        "accent": f"bold {ACCENT}",
        "granted": "#3B7A57",
        "denied": "#A63D2F",
        "waiting": "#C98A1B",
        "faint": "dim",
    }
)

out = Console(theme=THEME, highlight=False, soft_wrap=True)
err = Console(theme=THEME, highlight=False, soft_wrap=True, stderr=True)

P = ParamSpec("P")
R = TypeVar("R")


def exit_code(error: DataspaceError) -> int:
    """Return the exit code that tells a script what kind of error it was."""
    if isinstance(error, UseDenied):
        return 3
    return 4 if isinstance(error, EvidenceBroken) else 1


def reporting(command: Callable[P, R]) -> Callable[P, R]:
    """Print an error of our tree as a sentence, not as a traceback; in the language of `--lang`."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except DataspaceError as error:
            tell(error, spoken_language(kwargs.get("lang")))
            raise typer.Exit(exit_code(error)) from None

    return run


def spoken_language(name: object) -> Language:
    """Return the language of a command; English where it has none, or one that we do not speak."""
    try:
        return language(name) if isinstance(name, str) else Language.EN
    except Malformed:
        return Language.EN


def tell(error: DataspaceError, lang: Language = Language.EN) -> None:
    """Print an error: its code, then what happened; a denial one reason a line."""
    if isinstance(error, UseDenied):
        err.print(f"[denied]denied[/] ({error.code})")
        for reason in error.reasons:
            err.print(f"  {in_words(reason, lang)}", markup=False)
        return
    err.print(f"[denied]{error.code}[/]: ", end="")
    err.print(_said(error, lang), markup=False)


def _said(error: DataspaceError, lang: Language) -> str:
    if isinstance(error, StreamEnded):
        return in_words(ended(error), lang)
    if isinstance(error, PeerRefused) and lang is not Language.EN:
        carried = [in_words(reason, lang) for reason in error.reasons if isinstance(reason, Worded)]
        return "\n  ".join((str(error), *carried))
    return in_words(wording(error), lang)


def print_json(document: Any) -> None:
    """Print a document for machines."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print aligned columns; numbers to the right; where there is nothing, say how to get something."""
    listed = [list(row) for row in rows]
    if not listed:
        out.print(empty, style="faint", markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="accent")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in listed)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(_shown(value) for value in row))
    out.print(table)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    # A file name or title may hold what looks like markup.
    return str(value).replace("[", r"\[")


def counted(number: int, thing: str) -> str:
    """Say how many things there are."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def shorten(text: str, most: int = 40) -> str:
    """Shorten an id in its middle."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
