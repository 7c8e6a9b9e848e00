"""`make tck`: runs the official conformance kit of the Dataspace Protocol, and tells how each test ended."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.interop.maven import JarsMissing
from tests.interop.tck import suite
from tests.interop.tck.fixture import known_ids
from tests.postgres import Databases, running_postgres

out = Console()


def _read() -> argparse.Namespace:
    asked = argparse.ArgumentParser(prog="make tck", description=__doc__)
    asked.add_argument("prefix", nargs="*", help="only tests whose id starts so, for example CN:01 or TP_C")
    asked.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    asked.add_argument(
        "--runs", type=int, default=1, help="how many times in a row; stops at the first failure"
    )
    asked.add_argument("--keep", type=Path, help="keep logs below this folder; default: a temporary one")
    return asked.parse_args()


@contextmanager
def _databases(kind: str) -> Iterator[Databases | None]:
    if kind == "sqlite":
        yield None
        return
    with running_postgres() as url:
        yield Databases(url)


def _show(kind: str, run: int, outcomes: list[suite.Outcome], asked: tuple[str, ...]) -> bool:
    table = Table("test", "outcome", "ms", "why", title=f"DSP TCK {suite.VERSION} on {kind}, run {run}")
    for one in outcomes:
        colour = {"passed": "green", "failed": "red"}.get(one.outcome, "yellow")
        table.add_row(one.id, f"[{colour}]{one.outcome}", f"{one.milliseconds:,}", one.why[:200])
    passed = [one for one in outcomes if one.passed]
    missing = set() if asked else set(known_ids()) - {one.id for one in passed}
    well = not missing and not any(one.outcome == "failed" for one in outcomes)
    if run == 1 or not well:
        out.print(table)
    seconds = sum(one.milliseconds for one in outcomes) / 1000
    out.print(f"{kind}, run {run}: {len(passed)} passed in {seconds:.1f} s", style="green" if well else "red")
    if missing:
        out.print(f"not passed: {', '.join(sorted(missing))}", style="red")
    return well


def main() -> int:
    """Run the kit as asked, and return 0 if every test passed each time."""
    asked = _read()
    kinds = ("sqlite", "postgresql") if asked.database == "both" else (asked.database,)
    with (
        tempfile.TemporaryDirectory(prefix="hansa-tck-") as temporary,
        _databases(asked.database) as databases,
    ):
        home = asked.keep or Path(temporary)
        for run in range(1, asked.runs + 1):
            for kind in kinds:
                folder = home / f"{kind}-{run}"
                if kind == "sqlite" or databases is None:
                    outcomes = suite.run(folder, None, tuple(asked.prefix))
                else:
                    with databases.fresh() as url:
                        outcomes = suite.run(folder, url, tuple(asked.prefix))
                if not _show(kind, run, outcomes, tuple(asked.prefix)):
                    return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (JarsMissing, RuntimeError) as error:
        out.print(str(error), style="red")
        sys.exit(2)
