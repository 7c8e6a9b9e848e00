"""The command line of Hansa.

Whatever is registered under the entry-point group `hansa.commands` is mounted beside our own verbs, so that
no import crosses the wall between connector and catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from connector.commands.later import Verbs


def _audit() -> typer.Typer:
    from connector.commands.evidence import app as verb

    return verb


def _doctor() -> typer.Typer:
    from connector.commands.checks import app as verb

    return verb


def _demo() -> typer.Typer:
    from connector.commands.demo import app as verb

    return verb


@cache
def _connector() -> typer.Typer:
    from connector.commands import obligations, participant

    participant.app.command("obligations")(obligations.owed_to_us)
    return participant.app


@cache
def _data() -> typer.Typer:
    from connector.commands import developer, obligations

    developer.app.command("obligations")(obligations.owed_by_us)
    for verb in (obligations.deleted, obligations.report, obligations.attributed):
        developer.app.command()(verb)
    return developer.app


@cache
def _policy() -> typer.Typer:
    from connector.commands import policy, trials

    for verb in (trials.diff, trials.simulate):
        policy.app.command()(verb)
    return policy.app


VERBS: dict[str, tuple[Callable[[], typer.Typer], str]] = {
    "audit": (_audit, "Verify usage logs, replay every use against its agreement, and say who used what."),
    "doctor": (_doctor, "Check what a connector needs, and say how to mend what is not well."),
    "demo": (_demo, "Run a small data space on real data, and tell its whole story with timings."),
    "connector": (_connector, "Run a participant's connector, and publish through it."),
    "data": (_data, "Find data, see whether you may use it, and stream it."),
    "policy": (_policy, "Write policies, read them in sentences, and try them before they are published."),
}


class Hansa(Verbs):
    """What `hansa` can do."""

    later = VERBS


app = typer.Typer(
    name="hansa",
    cls=Hansa,
    help="Publish, find, agree, stream and audit datasets, under policies that are kept.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start with: hansa demo",
)


@app.callback(invoke_without_command=True)
def root(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Answer questions about the program itself."""
    if show_version:
        typer.echo(f"hansa {version('hansa')}")
        raise typer.Exit


def main() -> None:
    """Mount what is registered, then run."""
    for entry in entry_points(group="hansa.commands"):
        app.add_typer(entry.load(), name=entry.name)
    app()
