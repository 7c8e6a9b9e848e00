"""What a holder has in hand after the agreement: figures instead of rows, what is owed to it, and the end."""

from __future__ import annotations

import time

import pyarrow as pa

from connector.client.management import quoted
from connector.client.stream import DataStream
from connector.demo import holdings
from connector.demo.space import NAMES, Space
from connector.demo.telling import Telling
from schemas.errors import StreamEnded
from schemas.vocab import compact_iri

GROUPED_BY = ("sex", "stage")
QUESTION = {
    "group": list(GROUPED_BY),
    "measures": [{"function": "count"}, {"function": "mean", "column": "age"}],
}
READER = "de"
"""The language of the sentences that are shown as another reader gets them."""


def last_word(telling: Telling, space: Space, purpose: str) -> None:
    """Tell of statistics, of terms in the reader's language, of what is owed, and of a revocation."""
    telling.chapter(6, "The holder keeps the last word: figures only, what is owed, revocation")
    with space.open(holdings.FIGURES, purpose, action="analyse", aggregate=QUESTION) as stream:
        _statistics(telling, stream)
        _in_german(telling, space, stream.dataset)
    _owed(telling, space)
    _revoked(telling, space, purpose)


def _statistics(telling: Telling, stream: DataStream) -> None:
    """Show figures over groups, of a dataset of which no row leaves."""
    table = pa.Table.from_batches(list(stream), schema=stream.schema)
    groups = table.sort_by([(name, "ascending") for name in GROUPED_BY]).to_pylist()
    telling.say(
        f"no row of {holdings.FIGURES} leaves, only figures over at least {holdings.LEAST_GROUP} rows; asked "
        f"for {', '.join(table.schema.names)}, {table.num_rows} groups are told:"
    )
    for group in groups[:2]:
        telling.say("  " + "  ".join(_cell(value) for value in group.values()))


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _in_german(telling: Telling, space: Space, dataset: str) -> None:
    """Show its terms as a German reader gets them, with who keeps each."""
    (found,) = space.management("hospital").get("/policies", id=dataset, lang=READER)["policies"]
    telling.say("its terms, as a German reader gets them, each with its label:")
    for sentence in found["sentences"][:3]:
        telling.say(f"  {sentence['text']} [faint]({sentence['label']})[/]")


def _owed(telling: Telling, space: Space) -> None:
    """Show the hospital's ledger of what consumers promised."""
    owed = space.management("hospital").get("/obligations")["owedToUs"]
    actions = ", ".join(sorted({compact_iri(duty["action"]) for duty in owed}))
    telling.say(f"{NAMES['developer']} owes the hospital, by its ledger: [waiting]{actions}[/]")


def _revoked(telling: Telling, space: Space, purpose: str) -> None:
    """Revoke an agreement while its rows are on their way; one of its own, so that the first one stands."""
    with space.open(holdings.FLIGHTS, purpose, action="evaluate") as stream:
        rows = next(iter(stream)).num_rows
        start = time.perf_counter()
        space.management("mobility").post(
            f"/agreements/{quoted(stream.agreement)}/revocation", {"reason": "the operator changed its mind"}
        )
        try:
            rows += sum(batch.num_rows for batch in stream)
            telling.say(f"[denied]all {rows:,} rows came after the revocation[/]")
        except StreamEnded as end:
            took = (time.perf_counter() - start) * 1000
            telling.say(f"revoked by the operator while it streams: [denied]ended[/] after {took:.0f} ms:")
            telling.say(f"  {end.reason}")
