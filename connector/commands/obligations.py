"""What is owed under agreements, to us and by us, and the receipts that we sign."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from connector.commands.participant import HERE, Config, Json, opened
from connector.commands.terminal import out, print_json, print_table, reporting
from connector.settings import load

Agreement = Annotated[str, typer.Argument(help="Id of the agreement.")]
When = Annotated[
    str | None, typer.Option(help="When it was done, as 2026-11-30T12:00:00Z; now, if not said.")
]
Statement = Annotated[str | None, typer.Option(help="A sentence for the provider, kept with the receipt.")]


@reporting
def owed_to_us(config: Config = HERE, as_json: Json = False) -> None:
    """List what others owe this participant: deletions, reports, attributions, and what is overdue."""
    answered = opened(load(config)).get("/obligations")["owedToUs"]
    if as_json:
        print_json(answered)
        return
    rows = [
        (
            row["agreement"],
            _named(row["action"]),
            row["owedBy"],
            row["due"] or "no date",
            row["stage"],
            row["consequence"],
        )
        for row in answered
    ]
    columns = ("agreement", "duty", "owed by", "due", "stage", "if overdue")
    print_table(columns, rows, "Nothing is owed to us.")


@reporting
def owed_by_us(config: Config = HERE, as_json: Json = False) -> None:
    """List what this participant owes to providers, and by when; and receipts that no provider has taken."""
    found = opened(load(config)).get("/obligations")
    answered = found["owedByUs"]
    if as_json:
        print_json(answered)
        return
    rows = [
        (
            row["agreement"],
            _named(row["action"]),
            row["to"],
            row["due"] or "no date",
            row["stage"],
            row["says"],
        )
        for row in answered
    ]
    columns = ("agreement", "duty", "to", "due", "stage", "says")
    print_table(columns, rows, "We owe nothing.")
    for sent in found["receipts"]:
        if sent["fate"] != "taken":
            why = f": {sent['problem']}" if sent["problem"] else ""
            text = (
                f"receipt {sent['receipt']} to {sent['to']} ({_named(sent['action'])}): {sent['fate']}{why}"
            )
            out.print(text, style="waiting" if sent["fate"] == "waiting" else "denied", markup=False)


@reporting
def deleted(
    agreement: Agreement, done: When = None, statement: Statement = None, config: Config = HERE
) -> None:
    """Sign that all data of an agreement was deleted, and send the receipt to its provider."""
    _fulfil(config, agreement, "delete", done=done, statement=statement)


@reporting
def report(
    agreement: Agreement,
    rows: Annotated[int | None, typer.Option(min=0, help="Rows used since the last report.")] = None,
    done: When = None,
    statement: Statement = None,
    config: Config = HERE,
) -> None:
    """Sign a report on how the data of an agreement was used, and send it to its provider."""
    _fulfil(config, agreement, "inform", rows=rows, done=done, statement=statement)


@reporting
def attributed(
    agreement: Agreement,
    url: Annotated[str | None, typer.Option(help="Where the attribution can be read.")] = None,
    done: When = None,
    statement: Statement = None,
    config: Config = HERE,
) -> None:
    """Sign that the source of an agreement's data is named, and send the statement to its provider."""
    _fulfil(config, agreement, "attribute", url=url, done=done, statement=statement)


def _fulfil(config: Path, agreement: str, action: str, **said: Any) -> None:
    document = {"agreement": agreement, "action": action} | {
        name: value for name, value in said.items() if value is not None
    }
    answered = opened(load(config)).post("/obligations/fulfilments", document)
    if answered["fate"] == "waiting":
        out.print(f"[waiting]receipt saved[/], on its way to {answered['to']}: {_named(answered['action'])}")
    else:
        out.print(f"[granted]receipt taken[/] by {answered['to']}: {_named(answered['action'])}")
    out.print(f"receipt {answered['receipt']}", style="faint", markup=False)


def _named(action: str) -> str:
    return action.rpartition("/")[2].rpartition("#")[2]
