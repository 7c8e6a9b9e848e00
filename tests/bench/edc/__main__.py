"""`make bench-edc`: Hansa beside Eclipse EDC on this machine, in one table; nothing is asserted."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from tests.bench.edc import bulk, cases, eclipse, table
from tests.bench.edc.cases import tell
from tests.bench.edc.eclipse import Edc
from tests.bench.edc.hansa import Hansa
from tests.bench.edc.peer import Peer
from tests.bench.edc.table import DEFAULTS, HANSA, HANSA_POSTGRES, TUNED, Column
from tests.interop.edc.runtime import class_path
from tests.interop.maven import JarsMissing
from tests.postgres import Databases, running_postgres

SETTINGS = {TUNED: eclipse.TUNED, DEFAULTS: eclipse.DEFAULTS}
MIXED_ROUNDS = {TUNED: 30, DEFAULTS: 10}


def _read() -> argparse.Namespace:
    asked = argparse.ArgumentParser(prog="make bench-edc", description=__doc__)
    kinds = {"sqlite": HANSA, "postgresql": HANSA_POSTGRES, "tuned": TUNED, "defaults": DEFAULTS}
    asked.add_argument("--only", choices=[*kinds, "mixed"], nargs="+", default=[*kinds, "mixed"])
    asked.add_argument("--write", action="store_true", help="put the tables into tests/bench/README.md")
    read = asked.parse_args()
    read.names = [kinds[kind] for kind in kinds if kind in read.only]
    return read


@contextmanager
def _databases(is_wanted: bool) -> Iterator[Databases | None]:
    """A PostgreSQL that writes to the disk, as SQLite does here."""
    if not is_wanted:
        yield None
        return
    with running_postgres(durable=True) as url:
        yield Databases(url)


def _measure(name: str, home: Path, databases: Databases | None) -> Column:
    column = Column(name)
    place = cases.folder(home, column)

    def act() -> None:
        if databases is None or name != HANSA_POSTGRES:
            cases.one_kind(column, lambda part: _peer(name, place / part), bulk.move)
            return
        with _lending(databases) as lend:
            cases.one_kind(column, lambda part: Hansa(place / part, lend()), bulk.move)

    return cases.attempted(column, act)


@contextmanager
def _lending(databases: Databases) -> Iterator[partial[str]]:
    """Lend a database for every process of a column, until all have stopped."""
    with ExitStack() as lent:
        yield partial(lambda: lent.enter_context(databases.fresh()))


def _peer(name: str, place: Path) -> Peer:
    return Edc(place, SETTINGS[name]) if name in SETTINGS else Hansa(place)


def _mixed(home: Path) -> list[Column]:
    """Trade across: what a participant of one kind gets from the other."""
    columns = []
    for kind, settings in SETTINGS.items():
        for ours in (True, False):
            column = Column(f"Hansa from {kind}" if ours else f"{kind} from Hansa")
            place = cases.folder(home, column)
            peers: tuple[Peer, Peer] = Hansa(place / "hansa"), Edc(place / "edc", settings)
            consumer, provider = peers if ours else peers[::-1]
            act = partial(cases.mixed, column, consumer, provider, MIXED_ROUNDS[kind])
            columns.append(cases.attempted(column, act))
    return columns


def main() -> int:
    """Measure what is asked for, print it, and return 0 if everything could be measured."""
    asked = _read()
    out = Console(width=150)
    before = table.loads()
    class_path(eclipse.VERSION)
    across: list[Column] = []
    with tempfile.TemporaryDirectory(prefix="hansa-bench-") as made:
        home = Path(made)
        with _databases(HANSA_POSTGRES in asked.names) as databases:
            columns = [_measure(name, home, databases) for name in asked.names]
        if "mixed" in asked.only:
            across = _mixed(home)
    said = [*table.machine(), f"load before {before['1 min']:.1f}, after {table.loads()['1 min']:.1f}"]
    parts = [
        ("Each beside its own kind", *table.cells(columns, table.ROWS, compared=True)),
        ("Across", *table.cells(across, table.MIXED_ROWS, compared=False)),
    ]
    out.print("\n".join(said))
    for title, heading, lines in parts:
        if lines:
            table.show(out, title, heading, lines)
    notes = [f"{column.name}: {note}" for column in (*columns, *across) for note in column.notes]
    out.print("\n".join(notes))
    if asked.write:
        text = [", ".join(said), *(f"{table.markdown(h, lines)}" for _, h, lines in parts if lines)]
        table.write("\n\n".join([*text, "\n".join(f"- {note}" for note in notes)]))
        tell(f"written to {table.README}")
    return int(any("not measured" in note for note in notes))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (JarsMissing, ValueError) as error:
        Console(stderr=True).print(str(error), style="red")
        sys.exit(2)
