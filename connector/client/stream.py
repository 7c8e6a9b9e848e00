"""A stream of record batches from a provider, as an AI developer holds it: iterate, resume, close.

It ends without error only if the provider says that all rows were sent; whatever else ends it is an error
with the reason, raised after the rows that came before it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import pyarrow as pa

from connector.client.wire import MOST_PROBLEM, Answer, Truncated, fetch
from schemas import errors
from schemas.binding.client import Egress
from schemas.errors import (
    DataspaceError,
    Forbidden,
    Malformed,
    PeerRefused,
    PeerUnavailable,
    StreamEnded,
    UnreadableData,
    UseDenied,
    WorldMoved,
)
from schemas.vocab import MEDIA_ARROW_STREAM
from schemas.worded import read_told, worded, wording

MOST_TRIES = 8
"""Connections in a row that may bring nothing before a stream is given up; a provider may restart in it."""
FIRST_PAUSE = 0.1
"""Seconds before the second try; twice as many before each one after."""
MOST_ROWS = 2**31 - 1
"""Rows of one batch."""


@dataclass(frozen=True)
class Access:
    """What a stream needs to be opened, and opened again.

    `question` asks for groups instead of rows. `renew` gets a fresh ticket where the old one has run out,
    `complete` tells that nothing more is wanted.
    """

    endpoint: str
    ticket: str = field(repr=False)
    dataset: str
    agreement: str
    egress: Egress
    columns: tuple[str, ...] | None = None
    question: Mapping[str, Any] | None = None
    timeout: float = 30.0
    renew: Callable[[], tuple[str, str]] | None = field(default=None, repr=False)
    complete: Callable[[], None] | None = field(default=None, repr=False)
    terms: tuple[str, ...] = ()


class DataStream:
    """Rows of a dataset, batch by batch; for one thread.

    Attributes:
        agreement: id of the agreement under which the rows come.
        terms: the terms of that agreement, in sentences.
        timings: milliseconds of each step that led here, in order.
        position: row after the last one that was handed out, from the start of the data.
        rows: rows handed out by this object.
    """

    def __init__(self, access: Access, start: int = 0, timings: Mapping[str, float] | None = None) -> None:
        self.dataset, self.agreement, self.terms = access.dataset, access.agreement, access.terms
        self.timings: dict[str, float] = dict(timings or {})
        self.position, self.rows = start, 0
        self._access = access
        self._schema: pa.Schema | None = None
        self._answer: Answer | None = None
        self._reader: pa.RecordBatchStreamReader | None = None
        self._ahead: pa.RecordBatch | None = None
        self._got = 0
        self._follows: int | None = None
        self._tries = 0
        self._is_over = self._is_closed = False
        self._ended: StreamEnded | None = None

    @property
    def schema(self) -> pa.Schema:
        """The columns of every batch."""
        if self._schema is None:
            self.prefetch()
        if self._schema is None:
            raise PeerUnavailable("the stream ended before it told its columns")
        return self._schema

    def prefetch(self) -> None:
        """Have the first batch at hand, so that what is wrong shows now."""
        if self._ahead is None and not self._is_over:
            self._ahead = self._receive()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Iterate over the batches from `position` on."""
        return self

    def __next__(self) -> pa.RecordBatch:
        """Return the next batch.

        Raises:
            StreamEnded: with the reason, if the data end early.
            PeerUnavailable: if the provider cannot be reached any more.
            UnreadableData: if what it sends is not sound.
        """
        if self._is_closed:
            raise ValueError("the stream is closed; open it again")
        batch, self._ahead = self._ahead, None
        if batch is None and not self._is_over:
            batch = self._receive()
        if batch is None:
            if self._ended is not None:
                raise self._ended
            raise StopIteration
        self.position = self.position + batch.num_rows if self._follows is None else self._follows
        self._follows = None
        self.rows += batch.num_rows
        return batch

    def _receive(self) -> pa.RecordBatch | None:
        """Return the next batch, connecting again where the connection broke; None at the end."""
        while True:
            try:
                if self._reader is None:
                    self._connect()
                batch = self._read()
            except DataspaceError as error:
                self._disconnect()
                if self._schema is not None and isinstance(error, Forbidden | WorldMoved):
                    self._end_refused(error)
                    return None
                self._tries += 1
                is_passing = isinstance(error, PeerUnavailable) and not isinstance(error, PeerRefused)
                if not is_passing or self._tries >= MOST_TRIES:
                    raise
                time.sleep(FIRST_PAUSE * 2 ** (self._tries - 1))
            else:
                self._tries = 0
                return batch

    def _connect(self) -> None:
        endpoint, ticket = self._access.endpoint, self._access.ticket
        answer = self._ask(endpoint, ticket)
        if answer.status == 401 and self._access.renew is not None:
            answer.close()
            answer = self._ask(*self._access.renew())
        if answer.status != 200:
            raise _refusal(answer)
        if answer.headers.get("content-type", "").split(";")[0].strip() != MEDIA_ARROW_STREAM:
            raise Malformed(
                f"expected {MEDIA_ARROW_STREAM}, got {answer.headers.get('content-type', 'nothing')[:80]!r}"
            )
        self._answer, self._got = answer, 0
        reader = _guarded(lambda: pa.ipc.open_stream(pa.PythonFile(answer, mode="r")))
        schema = reader.schema.remove_metadata()
        if self._schema is not None and schema != self._schema:
            raise UnreadableData("the provider now sends other columns than before; open the data again")
        self._schema, self._reader = schema, reader

    def _ask(self, endpoint: str, ticket: str) -> Answer:
        query = f"{'&' if '?' in endpoint else '?'}start={self.position}"
        if self._access.columns is not None:
            query += "&columns=" + ",".join(quote(column, safe="") for column in self._access.columns)
        if self._access.question is not None:
            query += "&aggregate=" + quote(json.dumps(self._access.question), safe="")
        headers = {"Authorization": f"Bearer {ticket}", "Accept": MEDIA_ARROW_STREAM}
        return fetch(endpoint + query, headers, self._access.egress, self._access.timeout)

    def _read(self) -> pa.RecordBatch | None:
        reader = self._reader
        while reader is not None:
            try:
                batch, told = _guarded(reader.read_next_batch_with_custom_metadata)
            except StopIteration:
                raise Truncated("the stream broke off without a word") from None
            if told is not None and b"end" in told:
                self._end(told)
                return None
            if batch.num_rows > MOST_ROWS:
                raise UnreadableData(f"a batch of {batch.num_rows} rows; at most {MOST_ROWS}")
            # Arrow trusts offsets inside a message; foreign ones may point anywhere until they are checked.
            _guarded(partial(batch.validate, full=True))
            if batch.num_rows:
                self._got += batch.num_rows
                self._follows = _position(told)
                plain: pa.RecordBatch = batch.replace_schema_metadata(None)
                return plain
        return None

    def _end(self, told: Mapping[bytes, bytes]) -> None:
        kind = told[b"end"].decode(errors="replace")[:40]
        reason = told.get(b"reason", b"").decode(errors="replace")[:500]
        said, got = told.get(b"rows", b"").decode(errors="replace")[:20], self._got
        self._is_over = True
        self._disconnect()
        if kind != "complete":
            carried = told.get(b"told", b"").decode(errors="replace")
            (reason,) = worded((reason,), read_told(f"[{carried}]", 1))
            self._ended = StreamEnded(reason or "no reason was given", end=kind, rows=self.rows)
        elif said != str(got):
            raise UnreadableData(f"the provider says that it sent {said!r} rows, but {got} arrived")

    def _end_refused(self, error: Forbidden | WorldMoved) -> None:
        """End a stream that was cut within a batch, where no end fits in; who comes again is told why."""
        self._is_over = True
        reasons = error.reasons if isinstance(error, UseDenied) else (wording(error),)
        reason = reasons[0] if len(reasons) == 1 else "; ".join(reasons)
        self._ended = StreamEnded(reason, end="refused", rows=self.rows)
        self._ended.__cause__ = error

    def _disconnect(self) -> None:
        answer, self._answer, self._reader = self._answer, None, None
        if answer is not None:
            answer.close()

    def read_all(self) -> pa.Table:
        """Return all rows that are left, as a table.

        Raises:
            StreamEnded: if the data end early; iterate to have the rows before it.
        """
        return pa.Table.from_batches(list(self), self.schema)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand the stream to any library that speaks Arrow: Polars, DuckDB, pandas and others.

        Source: Arrow PyCapsule interface.
        """
        reader = pa.RecordBatchReader.from_batches(self.schema, iter(self))
        return reader.__arrow_c_stream__(requested_schema)

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream is, for `load_state_dict`; plain values only."""
        columns = self._access.columns
        return {
            "dataset": self.dataset,
            "agreement": self.agreement,
            "columns": list(columns) if columns is not None else None,
            "position": self.position,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on at the row where another stream of the same data was.

        Raises:
            Malformed: if the state is of other data, naming both.
        """
        own = self.state_dict()
        for name in ("dataset", "columns"):
            if state.get(name) != own[name]:
                raise Malformed(f"the state is of {name} {state.get(name)!r}, this stream of {own[name]!r}")
        position = state.get("position")
        if isinstance(position, bool) or not isinstance(position, int) or position < 0:
            raise Malformed(f"position {position!r} is not a row number")
        self._disconnect()
        self.position, self._ahead, self._ended, self._is_over, self._tries = position, None, None, False, 0

    def close(self) -> None:
        """Break the connection and tell the provider that nothing more is wanted; harmless if repeated."""
        if self._is_closed:
            return
        self._is_closed = True
        self._disconnect()
        if self._access.complete is not None:
            self._access.complete()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _position(told: Mapping[bytes, bytes] | None) -> int | None:
    """Return the position after a batch, where the provider says that rows before it kept their numbers."""
    said = (told or {}).get(b"position")
    if said is None:
        return None
    if not (said.isdigit() and len(said) <= 16):
        raise UnreadableData(f"the provider says that the position is {said[:40]!r}, which is no row number")
    return int(said)


def _guarded(read: Callable[[], Any]) -> Any:
    """Turn what Arrow says of broken bytes into one error."""
    try:
        return read()
    except (pa.ArrowException, OSError, OverflowError, UnicodeError) as error:
        raise UnreadableData(f"the stream is not sound Arrow: {str(error)[:200]}") from None


def _by_code() -> dict[str, type[DataspaceError]]:
    found: dict[str, type[DataspaceError]] = {}
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, DataspaceError):
            found[value.code] = value
    return found


_ERRORS = _by_code()


def _refusal(answer: Answer) -> DataspaceError:
    """Read the provider's problem document into the error that it tells of."""
    body = bytes(answer.read(min(MOST_PROBLEM, int(answer.headers.get("content-length", "0") or 0))))
    answer.close()
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = {}
    told: Mapping[str, Any] = said if isinstance(said, dict) else {}
    return error_from(answer.status, told)


def error_from(status: int, told: Mapping[str, Any]) -> DataspaceError:
    """Return the error that a problem document tells of.

    Source: RFC 9457.
    """
    text = str(told.get("detail") or f"the provider answered {status}")[:2000]
    said = told.get("reasons")
    texts = [str(reason)[:500] for reason in said[:20]] if isinstance(said, list) else [text]
    reasons: Sequence[str] = worded(texts, read_told(told.get("told"), len(texts)))
    kind = _ERRORS.get(str(told.get("title")))
    if kind is UseDenied:
        return UseDenied(reasons)
    if status == 503:
        return PeerUnavailable(text)
    if kind is None or kind in (PeerRefused, StreamEnded) or status >= 500:
        return PeerRefused(text, peer_status=status, reasons=reasons)
    return kind(reasons[0] if len(reasons) == 1 else text)
