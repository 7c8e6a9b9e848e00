"""`hansa demo`: the story on real data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from connector.commands.terminal import out, reporting
from schemas.binding.lean import bound_heap, hide

app = typer.Typer()


@app.command()
@reporting
def demo(
    prepare: Annotated[bool, typer.Option(help="Only unpack the tables, then stop.")] = False,
    serve: Annotated[
        bool | None, typer.Option(help="Keep serving afterwards; the default is to do so on a terminal.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Keep the data space's files here; default: a temporary folder.")
    ] = None,
) -> None:
    """Run a small data space on real data, and tell its whole story with timings."""
    from connector.demo.story import tell, unpack_tables

    home = unpack_tables(out)
    if not prepare:
        hide("pandas")  # scikit-learn loads it where it is installed: 60 MB, and there are no data frames
        bound_heap()
        keep = sys.stdout.isatty() if serve is None else serve
        tell(out, home, serve=keep, folder=folder)
