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
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.theme import Theme

from policies.words.carried import ended, in_words
from policies.words.language import Language, language, message, say
from schemas.errors import (
    DataspaceError,
    EvidenceBroken,
    Malformed,
    Misconfigured,
    PeerRefused,
    StreamEnded,
    UseDenied,
)
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


def plain(text: str) -> str:
    """Return a text that others wrote without what moves cursors, colours, or turns lines around."""
    return "".join(mark if mark.isprintable() or mark in "\n\r\t" else _shape(mark) for mark in text)


def _shape(mark: str) -> str:
    return " " if mark.isspace() else "\N{REPLACEMENT CHARACTER}"


class Screen(Console):
    """A console on which texts are text; only our own markup gives them colours."""

    def print(self, *objects: Any, **how: Any) -> None:
        """Print texts and tables; see `rich.console.Console.print`."""
        super().print(*(plain(one) if isinstance(one, str) else one for one in objects), **how)


out = Screen(theme=THEME, highlight=False, emoji=False, soft_wrap=True)
err = Screen(theme=THEME, highlight=False, emoji=False, soft_wrap=True, stderr=True)

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
        except OSError as error:
            if error.filename is None:
                raise
            tell(_unusable(error))
            raise typer.Exit(1) from None

    return run


def _unusable(error: OSError) -> Misconfigured:
    """Return what a file or folder that was named cannot do, as an error of our tree."""
    return Misconfigured(f"cannot use {error.filename}: {error.strerror}; name another, or mend its rights")


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


def print_warnings(warnings: Iterable[str], lang: Language) -> None:
    """Print what of a policy could be clearer, beside the output, which may go to a file."""
    for text in warnings:
        err.print(f"[waiting]{say(message('label.warning'), lang)}[/] ", end="")
        err.print(in_words(text, lang), markup=False)


def print_json(document: Any) -> None:
    """Print a document for machines."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print aligned columns; numbers to the right; where there is nothing, say how to get something.

    Words wrap, ids and times do not: where these do not fit side by side, each row becomes a block of lines.
    """
    listed = [list(row) for row in rows]
    if not listed:
        out.print(empty, style="faint", markup=False)
        return
    cells = [[_shown(value) for value in row] for row in listed]
    numeric = [all(isinstance(row[index], int | float) for row in listed) for index in range(len(columns))]
    if not out.is_terminal:
        _print_lines(columns, cells, numeric)
        return
    longest = [
        max(cell_len(word) for text in (column, *(row[index] for row in cells)) for word in text.split(" "))
        for index, column in enumerate(columns)
    ]
    if sum(longest) + 2 * len(columns) > out.width:
        _print_blocks(columns, cells)
        return
    table = Table(box=None, pad_edge=False, header_style="accent")
    for index, (column, is_number) in enumerate(zip(columns, numeric, strict=True)):
        whole = not any(" " in row[index] for row in cells)
        table.add_column(
            column, justify="right" if is_number else "left", min_width=longest[index], no_wrap=whole
        )
    for row in cells:
        table.add_row(*map(escape, row))
    out.print(table, soft_wrap=False)


def _print_lines(columns: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
    """Print a row a line, whatever its length, as other programs want it."""
    lines = [list(columns), *map(list, cells)]
    widths = [max(cell_len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        filled = []
        for text, width, is_number in zip(line, widths, numeric, strict=True):
            space = " " * (width - cell_len(text))
            filled.append(space + text if is_number else text + space)
        out.print("  ".join(filled).rstrip(), markup=False)


def _print_blocks(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print one value a line, with its column before it; a blank line parts the rows."""
    before = max(map(len, columns))
    for index, row in enumerate(cells):
        if index:
            out.print()
        for column, text in zip(columns, row, strict=True):
            out.print(f"[accent]{column.strip():<{before}}[/]  {escape(text.strip())}")


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return plain(str(value))


def counted(number: int, thing: str) -> str:
    """Say how many things there are."""
    if number == 1:
        return f"{number:,} {thing}"
    return f"{number:,} {thing[:-1]}ies" if thing.endswith("y") else f"{number:,} {thing}s"


def shorten(text: str, most: int = 40) -> str:
    """Shorten an id in its middle."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
