"""A consent table beside a data file: who has consented, to what, since when, until when.

Columns: `subject`; `purpose` (a DPV purpose, or empty for any); `given_at`; `withdrawn_at` (empty while it
stands). The table is read again whenever the file changes, so that a withdrawal stops the rows that follow.
A withdrawal ends every consent of that subject to the same purpose that was given before it, on whichever
line it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from duckdb import ConstantExpression

from connector.adapters.duckdb_engine import Engine
from connector.adapters.duckdb_terms import column
from connector.adapters.readings import open_reading, reading
from connector.dataplane.opinion import subjects
from connector.offering.ports import CONSENT_COLUMNS as COLUMNS
from policies.profile import is_narrower_or_equal, purpose_iri
from schemas.errors import EnginesDisagree, UnknownTerm, UnreadableData

_BATCH_BYTES = 4 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Consents:
    """The consent table of one stream, for one purpose; for one thread.

    Who consents is found twice: `standing` by DuckDB, `told` by pyarrow. They are the same people, or no row
    may leave.

    Args:
        path: the table.
        purpose: what the use is for (an IRI); without one only consents to any purpose count.
        engine: gives cursors.
        clock: UTC, aware.

    Raises:
        UnreadableData: if it cannot be read, or has not the columns of a consent table.
    """

    def __init__(
        self, path: Path, purpose: str | None, engine: Engine, clock: Callable[[], datetime]
    ) -> None:
        self._path, self._purpose = path, purpose
        self._cursor, self._clock = engine.cursor(), clock
        self._seen: tuple[int, int, int] | None = None
        self._table = pa.table({})
        self._moments: list[int] = []
        self._until: int | None = None
        self.standing: frozenset[str] = frozenset()
        self.told = pa.array([], pa.string())
        self.refresh()

    def refresh(self) -> bool:
        """Look again who consents now; say whether that has changed.

        Raises:
            UnreadableData: if the table cannot be read any more; then nobody is known to consent.
            EnginesDisagree: if two engines disagree on who consents.
        """
        with reading(self._path):
            stat = self._path.stat()
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        now = _ticks(self._clock())
        if seen == self._seen and (self._until is None or now < self._until):
            return False
        if seen != self._seen:
            self._read()
            self._seen = seen
        before = self.standing
        covering = self._covering()
        standing, told = self._standing(now, covering), self._told(now, covering)
        if standing != frozenset(told.to_pylist()):
            raise EnginesDisagree("two engines disagree on who consents; nothing more leaves; report this")
        self.standing, self.told = standing, told
        self._until = next((moment for moment in self._moments if moment > now), None)
        return before != self.standing

    def _read(self) -> None:
        file = open_reading(self._path)
        lacking = [name for name in COLUMNS if name not in file.schema.names]
        if lacking:
            raise UnreadableData(
                f"{self._path.name!r} has no column {lacking[0]!r}; a consent table has {', '.join(COLUMNS)}"
            )
        with reading(self._path):
            batches = [batch for _, batch in file.read(COLUMNS, file.parts(None), _BATCH_BYTES)]
            table = pa.Table.from_batches(batches, pa.schema([file.schema.field(name) for name in COLUMNS]))
            columns = {
                "c0": subjects(table["subject"]),
                "c1": _purposes(table["purpose"]),
                "c2": _instants(table["given_at"]),
                "c3": _instants(table["withdrawn_at"]),
            }
        self._table = pa.table(columns)
        moments = {*columns["c2"].unique().to_pylist(), *columns["c3"].unique().to_pylist()} - {None}
        self._moments = sorted(moments)

    def _covering(self) -> list[str]:
        """Return the purposes in the table that cover ours; the empty one means any."""
        names = self._table["c1"].unique().to_pylist()
        return ["", *(name for name in names if name and self._purpose and _covers(name, self._purpose))]

    def _standing(self, now: int, covering: list[str]) -> frozenset[str]:
        given, withdrawn, purpose = column("c2"), column("c3"), column("c1")
        moment = ConstantExpression(now)
        is_meant = purpose.isin(*(ConstantExpression(name) for name in covering))
        stands = (given <= moment) & (withdrawn.isnull() | (withdrawn > moment)) & is_meant
        try:
            found = self._cursor.from_arrow(self._table).filter(stands).to_arrow_table()
        except duckdb.Error as error:
            raise UnreadableData(
                f"{self._path.name!r} cannot be read as a consent table ({type(error).__name__})"
            ) from None
        ended = self._table.filter(pc.less_equal(self._table["c3"], now))
        last = ended.group_by(["c0", "c1"]).aggregate([("c3", "max")])
        joined = found.join(last, ["c0", "c1"])
        outlives = pc.fill_null(pc.greater(joined["c2"], joined["c3_max"]), True)
        return frozenset(joined.filter(outlives)["c0"].to_pylist()) - {None}

    def _told(self, now: int, covering: list[str]) -> pa.Array:
        """Find by pyarrow who consents: whose last consent that stands is later than the last withdrawal."""
        table, moment, never = self._table, pa.scalar(now, pa.int64()), pa.scalar(None, pa.int64())
        table = table.filter(pc.is_in(table["c1"], pa.array(covering, pa.string())))
        given, withdrawn = table["c2"], table["c3"]
        ended = pc.fill_null(pc.less_equal(withdrawn, moment), False)
        stands = pc.and_(pc.fill_null(pc.less_equal(given, moment), False), pc.invert(ended))
        by_purpose = pa.table(
            {
                "c0": table["c0"],
                "c1": table["c1"],
                "g": pc.if_else(stands, given, never),
                "w": pc.if_else(ended, withdrawn, never),
            }
        )
        last = by_purpose.group_by(["c0", "c1"], use_threads=False).aggregate([("g", "max"), ("w", "max")])
        # Null where there is no withdrawal, or no consent: only the first of them consents.
        later = pc.fill_null(pc.greater(last["g_max"], last["w_max"]), True)
        kept = last.filter(pc.and_(pc.and_(later, pc.is_valid(last["g_max"])), pc.is_valid(last["c0"])))
        return pc.unique(kept["c0"])


def _purposes(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return purposes in one spelling; the empty text means any, what is unknown stays as it is."""
    texts = pc.fill_null(cells.cast(pa.string()), "").combine_chunks().dictionary_encode()
    named = pa.array([_iri(name) for name in texts.dictionary.to_pylist()], pa.string())
    return pa.chunked_array([named.take(texts.indices)])


def _iri(purpose: str) -> str:
    try:
        return purpose_iri(purpose) if purpose else ""
    except UnknownTerm:
        return purpose


def _covers(consented: str, purpose: str) -> bool:
    try:
        return is_narrower_or_equal(purpose, purpose_iri(consented))
    except UnknownTerm:
        return False


def _instants(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times as microseconds since 1970, UTC; without a zone they are taken as UTC."""
    if pa.types.is_null(cells.type):
        return cells.cast(pa.int64())
    if pa.types.is_timestamp(cells.type):
        return cells.cast(pa.timestamp("us", cells.type.tz), safe=False).cast(pa.int64())
    if pa.types.is_date(cells.type):
        return cells.cast(pa.timestamp("us")).cast(pa.int64())
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        texts = [None if text in (None, "") else _read_instant(text) for text in cells.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.int64())])
    raise UnreadableData(f"times of consent are of type {cells.type}; write timestamps")


def _read_instant(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return _ticks(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)


def _ticks(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
