"""The rows of the comparison, the columns that fill them, and how both are shown."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from connector.app.world import utc_now
from tests.bench.edc import eclipse
from tests.interop.maven import tool

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- begin: make bench-edc -->", "<!-- end: make bench-edc -->"

HANSA, HANSA_POSTGRES, TUNED, DEFAULTS = "Hansa, SQLite", "Hansa, PostgreSQL", "EDC, tuned", "EDC, defaults"
ABSENT = "-"


@dataclass(frozen=True)
class Row:
    """One thing that is measured: `more` of it is better; if not `compared`, a ratio would mean nothing."""

    name: str
    unit: str
    more: bool = False
    compared: bool = True


@dataclass
class Column:
    """What was found at one kind of participant: values by row name, and what has to be said of it."""

    name: str
    values: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, row: Row, value: float) -> None:
        """Keep what was measured."""
        self.values[row.name] = value


SIZES = (100, 1_000, 10_000)
OWN_PAGE, LONG_PAGE = 50, 250


def page_row(size: int, limit: int) -> Row:
    """The time of one page of a catalogue."""
    return Row(f"catalogue of {size:,}: page of {min(size, limit)}, p50", "ms")


WHOLE = {size: Row(f"catalogue of {size:,}: all of it", "ms") for size in SIZES}
SENT = Row(f"page of {LONG_PAGE}: bytes sent", "kB", compared=False)
UNPACKED = Row(f"page of {LONG_PAGE}: bytes unpacked", "kB", compared=False)
AGREED, AGREED_99 = Row("negotiation to FINALIZED, p50", "ms"), Row("negotiation to FINALIZED, p99", "ms")
AT_ONCE = (1, 10, 50)
RATES = {count: Row(f"negotiations a second, {count} at a time", "1/s", more=True) for count in AT_ONCE}
STARTED, STARTED_99 = Row("transfer to its address, p50", "ms"), Row("transfer to its address, p99", "ms")
PULLED = Row("1 GB: Arrow pulled, checked and logged", "MB/s", more=True, compared=False)
PUSHED = Row("1 GB: opaque bytes pushed", "MB/s", more=True, compared=False)
READY = Row("start of the process until ready", "ms")
RSS, PSS = Row("provider's memory after start, RSS", "MB"), Row("provider's memory after start, PSS", "MB")
RSS_AGREED = Row("provider's memory after negotiations, RSS", "MB")
PSS_AGREED = Row("provider's memory after negotiations, PSS", "MB")
RSS_ALL, PSS_ALL = (
    Row("provider's memory after all, RSS", "MB"),
    Row("provider's memory after all, PSS", "MB"),
)

ROWS = (
    *(page_row(size, limit) for size in SIZES for limit in (OWN_PAGE, LONG_PAGE)),
    *WHOLE.values(),
    SENT,
    UNPACKED,
    AGREED,
    AGREED_99,
    *RATES.values(),
    STARTED,
    STARTED_99,
    PULLED,
    PUSHED,
    READY,
    RSS,
    PSS,
    RSS_AGREED,
    PSS_AGREED,
    RSS_ALL,
    PSS_ALL,
)
MIXED_ROWS = (AGREED, AGREED_99, STARTED, STARTED_99)


def _shown(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _ratio(row: Row, ours: float | None, theirs: float | None) -> str:
    """How many times better ours is; less than 1 means that we are behind."""
    if not row.compared or not ours or not theirs:
        return ABSENT
    times = ours / theirs if row.more else theirs / ours
    return f"{times:,.0f}x" if times >= 10 else f"{times:.1f}x"


def cells(
    columns: Sequence[Column], rows: Iterable[Row], compared: bool
) -> tuple[list[str], list[list[str]]]:
    """Lay the table out: a heading, and a line a row; with ratios of the first column if asked for."""
    by_name = {column.name: column for column in columns}
    against = [name for name in (TUNED, DEFAULTS) if compared and name in by_name and HANSA in by_name]
    heading = ["", "unit", *by_name, *(f"Hansa : {name}" for name in against)]
    lines = []
    for row in rows:
        found = [column.values.get(row.name) for column in columns]
        if all(value is None for value in found):
            continue
        ratios = [
            _ratio(row, by_name[HANSA].values.get(row.name), by_name[name].values.get(row.name))
            for name in against
        ]
        lines.append([row.name, row.unit, *map(_shown, found), *ratios])
    return heading, lines


def show(out: Console, title: str, heading: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print one table."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for number, name in enumerate(heading):
        table.add_column(name, justify="left" if number < 2 else "right", no_wrap=number < 2)
    for line in lines:
        table.add_row(*line)
    out.print(table)


def markdown(heading: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Write one table for a README."""
    rules = [":--" if number < 2 else "--:" for number in range(len(heading))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, rules, *lines))


def machine() -> list[str]:
    """Say where and when this was measured."""
    information = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*: (.*)", information)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    java = subprocess.run([tool("java"), "-version"], capture_output=True, text=True, check=True).stderr
    return [
        f"{utc_now():%Y-%m-%d %H:%M} UTC",
        f"{os.cpu_count()} x {model[1] if model else platform.machine()}, {memory:.0f} GB, "
        f"Linux {platform.release().split('-')[0]}",
        f"Hansa {version('hansa')} on Python {platform.python_version()}",
        f"EDC {eclipse.VERSION} on {java.splitlines()[0]}",
    ]


def write(text: str) -> None:
    """Put the newest tables into the README, between the marks that stand there.

    Raises:
        ValueError: if the marks are not there.
    """
    readme = README.read_text(encoding="utf-8")
    before, begun, rest = readme.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{README.name} has no {BEGIN} … {END}: the tables were printed, not written")
    README.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}", encoding="utf-8")


def loads() -> Mapping[str, float]:
    """Return the machine's load averages, which say whether others were busy on it."""
    return dict(zip(("1 min", "5 min", "15 min"), os.getloadavg(), strict=True))
