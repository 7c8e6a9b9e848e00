"""How pages write numbers, times, ids and small charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from schemas.dcat import Column

NONE = "\N{EN DASH}"
"""What stands where there is no value."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_MOST_BARS = 24
WIDTH, HEIGHT = 96, 24
"""Size of a small chart, in CSS pixels."""


def count(number: int | None) -> str:
    """Write a count with thousands parted, or a dash for none."""
    return NONE if number is None else f"{number:,}"


def size(number: int | None) -> str:
    """Write bytes in binary units."""
    if number is None:
        return NONE
    value, unit = float(number), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{number} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def when(at: datetime | None) -> str:
    """Write a time in UTC; the reader's local time is shown on hover by the page's script."""
    if at is None:
        return NONE
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), f"{utc:%Y-%m-%d %H:%M} UTC"
    )


def day(at: datetime | None) -> str:
    """Write a day in UTC."""
    return NONE if at is None else f"{at.astimezone(UTC):%Y-%m-%d}"


def short(text: str, most: int = 44) -> str:
    """Shorten an id in the middle."""
    half = most // 2
    return text if len(text) <= most else f"{text[: half - 1]}…{text[-half:]}"


def link(iri: str | None) -> str | None:
    """Return an IRI that may stand in a link: foreign metadata must not bring `javascript:` and the like."""
    return iri if iri and iri.lower().startswith(("https://", "http://")) else None


@dataclass(frozen=True)
class Bar:
    """One bar of a small chart, in CSS pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Bars:
    """A small chart with the sentence that says the same in words."""

    bars: tuple[Bar, ...]
    text: str


def bars(column: Column) -> Bars | None:
    """Draw a column's distribution; None where there is nothing to draw."""
    statistics = column.statistics
    if statistics is None or not statistics.histogram:
        return None
    heights = [max(value, 0) for value in statistics.histogram[:_MOST_BARS]]
    tallest = max(heights)
    if tallest == 0:
        return None
    step = WIDTH / len(heights)
    drawn = tuple(
        Bar(round(place * step, 2), round(HEIGHT - tall, 2), round(max(step - 1, 1), 2), tall)
        for place, value in enumerate(heights)
        for tall in (round(max(value / tallest * (HEIGHT - 1), 1 if value else 0), 2),)
    )
    if statistics.top:
        pairs = zip(statistics.top, statistics.histogram, strict=False)
        text = "rows per value: " + ", ".join(f"{name[:40]} {number:,}" for name, number in pairs)
    else:
        text = f"rows from {statistics.minimum or '?'} to {statistics.maximum or '?'}"
    return Bars(drawn, f"{column.name}, {text}")
