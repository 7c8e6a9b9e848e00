"""The command line of Hansa.

Whatever is registered under the entry-point group `hansa.commands` is mounted beside our own verbs, so that
no import crosses the wall between connector and catalogue.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated

import typer

from connector.commands import checks, developer, evidence, obligations, participant, policy, trials
from connector.commands.terminal import out, reporting
from schemas.binding.lean import bound_heap, hide

app = typer.Typer(
    name="hansa",
    help="Publish, find, agree, stream and audit datasets, under policies that are kept.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start with: hansa demo",
)
participant.app.command("obligations")(obligations.owed_to_us)
developer.app.command("obligations")(obligations.owed_by_us)
for verb in (obligations.deleted, obligations.report, obligations.attributed):
    developer.app.command()(verb)
app.add_typer(participant.app, name="connector")
app.add_typer(developer.app, name="data")
for trial in (trials.diff, trials.simulate):
    policy.app.command()(trial)
app.add_typer(policy.app, name="policy")
app.command()(evidence.audit)
app.command()(checks.doctor)


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
        hide(
            "pandas"
        )  # scikit-learn loads it where it is installed: 60 MB, and the story makes no data frames
        bound_heap()
        keep = sys.stdout.isatty() if serve is None else serve
        tell(out, home, serve=keep, folder=folder)


@app.callback(invoke_without_command=True)
def root(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Answer questions about the program itself."""
    if show_version:
        out.print(f"hansa {version('hansa')}", markup=False)
        raise typer.Exit


def main() -> None:
    """Mount what is registered, then run."""
    for entry in entry_points(group="hansa.commands"):
        app.add_typer(entry.load(), name=entry.name)
    app()
