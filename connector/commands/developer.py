"""`hansa data …`: what an AI developer types."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.commands.terminal import err, out, print_json, print_table, reporting, shorten
from schemas.errors import Misconfigured, StreamEnded

if TYPE_CHECKING:
    from connector.client.find import Hit
    from policies.words.language import Language

app = typer.Typer(help="Find data, see whether you may use it, and stream it.", no_args_is_help=True)

Catalogue = Annotated[str, typer.Argument(help="URL of the catalogue.")]
Lang = Annotated[str, typer.Option("--lang", help="Language of reasons and refusals: en or de.")]
Purpose = Annotated[str | None, typer.Option(help="What for, e.g. dpv:ScientificResearch.")]
Action = Annotated[str, typer.Option(help="What you mean to do: train, fineTune, evaluate or analyse.")]


@app.command()
@reporting
def search(  # noqa: PLR0913 - one argument for each option of the verb
    catalogue: Catalogue,
    text: Annotated[str, typer.Argument(help="Words to look for.")] = "",
    purpose: Purpose = None,
    action: Action = "train",
    most: Annotated[int, typer.Option(help="How many to list.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Do not ask through your connector: the answer is anybody's.")
    ] = False,
    lang: Lang = "en",
) -> None:
    """Search a catalogue, and see of each dataset whether you may use it.

    Where HANSA_CONNECTOR names your connector, it asks in your name, and the catalogue decides by what the
    member list states of you. Else what hangs on that is shown as a step.
    """
    from connector.client.asking import find_for_user
    from policies.words.language import language

    wanted = language(lang)
    found = find_for_user(catalogue, text, (purpose, action), most, anonymous=anonymous)
    if as_json:
        print_json(found)
        return
    _print_found(found, wanted)


def _print_found(found: dict[str, Any], lang: Language) -> None:
    """Print hits with the answer for each, then each reason once with the datasets that it is about."""
    from connector.client.find import read_hit
    from policies.words.language import message, say, sentence

    hits = [read_hit(hit) for hit in found["hits"]]
    names = _short_names([hit.id for hit in hits])
    counts = [told.get("rows") for told in found["hits"]]
    rows = [
        (hit.title, name, count, say(message(f"answer.{_known(hit.answer)}"), lang))
        for hit, name, count in zip(hits, names, counts, strict=True)
    ]
    columns = [say(message(f"found.{one}"), lang) for one in ("title", "dataset", "rows", "may")]
    print_table(columns, rows, sentence(message("found.nothing"), lang))
    reasons: dict[tuple[str, str], list[str]] = {}
    for hit, row in zip(hits, rows, strict=True):
        why = _why(hit, lang)
        if why and hit.answer != "yours now":
            reasons.setdefault((row[3], why), []).append(row[1])
    for (answer, why), named in reasons.items():
        out.print(f"{answer}: {why} ({', '.join(named)})", style="faint", markup=False)
    whom = found.get("decidedFor")
    said = message("found.for", whom=str(whom)) if whom else message("found.for nobody")
    out.print(say(said, lang), style="faint", markup=False)
    if found.get("note"):
        err.print(str(found["note"]), style="waiting", markup=False)
    if found["total"] > len(rows):
        out.print(say(message("found.some", shown=len(rows), n=found["total"]), lang), style="faint")


def _known(answer: str) -> str:
    return answer if answer in ("yours now", "after a step", "no") else "unknown"


def _why(hit: Hit, lang: Language) -> str:
    """Say what the next step is, or else why not."""
    from policies.words.carried import in_words

    step = in_words(hit.next or "", lang) if hit.answer == "after a step" else ""
    return shorten(step or "; ".join(in_words(reason, lang) for reason in hit.reasons), 400)


def _short_names(ids: Sequence[str]) -> list[str]:
    """Return the end of each id where it tells it from the others, as `hansa data open` takes it."""
    ends = [id.rpartition(":")[2] or id for id in ids]
    return [end if ends.count(end) == 1 else id for id, end in zip(ids, ends, strict=True)]


@app.command(name="open")
@reporting
def open_(  # noqa: PLR0913 - one argument for each option of the verb
    catalogue: Catalogue,
    dataset: Annotated[str, typer.Argument(help="Id, or the end of an id that fits one dataset.")],
    purpose: Purpose = None,
    action: Action = "train",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write Parquet here; else the first rows are printed."),
    ] = None,
    rows: Annotated[int, typer.Option(help="How many rows to print.")] = 10,
    columns: Annotated[
        str | None, typer.Option(help="Which columns, with commas; else all that the terms release.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Columns to group by, with commas, where only statistics are released.")
    ] = None,
    renegotiate: Annotated[
        bool, typer.Option("--renegotiate", help="Make a new agreement, though one stands for this use.")
    ] = False,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="What to measure of each group, such as count or mean:age; may be repeated."),
    ] = None,
    lang: Lang = "en",
) -> None:
    """Negotiate, transfer and stream a dataset: to a Parquet file, or to look at it.

    Where the terms release statistics only, ask for groups:
    hansa data open CATALOGUE DATASET --action analyse --group sex --measure count --measure mean:age
    """
    import connector

    if output is not None:
        _check_output(output)
    with connector.open(
        catalogue,
        dataset,
        purpose=purpose,
        action=action,
        columns=_names(columns) if columns is not None else None,
        aggregate=_question(group, measure),
        renegotiate=renegotiate,
    ) as stream:
        if output is None:
            _print_rows(stream, rows)
        else:
            _write(stream, output)


def _names(given: str) -> list[str]:
    return [name for name in map(str.strip, given.split(",")) if name]


def _question(group: str | None, measures: list[str] | None) -> dict[str, Any] | None:
    """Return the question to data of which only groups may leave; None where rows are asked for."""
    if group is None and not measures:
        return None
    asked = []
    for one in measures or ["count"]:
        function, colon, column = one.partition(":")
        asked.append({"function": function} | ({"column": column} if colon else {}))
    return {"group": _names(group or ""), "measures": asked}


def _print_rows(stream: Any, most: int) -> None:
    from connector.dataplane.cells import cells_of

    batch = next(iter(stream), None)
    names = stream.schema.names
    columns = [] if batch is None else [cells_of(column) for column in batch.slice(0, most).columns]
    print_table(names, list(zip(*columns, strict=True)), "The terms let no row through.")


def _check_output(output: Path) -> None:
    """Check before anything is agreed or counted that the file can be written.

    Raises:
        Misconfigured: naming the file and what is wrong with it.
    """
    folder = output.parent
    if output.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        wrong = "it is a folder" if output.is_dir() else f"{folder} is no folder that can be written"
        raise Misconfigured(f"cannot write {output}: {wrong}; name another file")


def _write(stream: Any, output: Path) -> None:
    """Write to a part file first: a stream that ends early leaves what it gave, under another name."""
    import pyarrow.parquet as pq

    part = output.with_name(output.name + ".part")
    quiet = not sys.stderr.isatty()
    try:
        with pq.ParquetWriter(part, stream.schema) as writer:
            for batch in stream:
                writer.write_batch(batch)
                if not quiet:
                    err.print(f"\r{stream.rows:,} rows", end="")
    except StreamEnded:
        err.print(f"what came before stands in {part}", style="waiting", markup=False)
        raise
    part.rename(output)
    out.print(f"{stream.rows:,} rows → {output}", markup=False)
    out.print(f"agreement {shorten(stream.agreement, 60)}", style="faint", markup=False)
