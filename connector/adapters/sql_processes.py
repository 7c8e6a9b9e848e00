"""Negotiations, transfers and data flows, in SQL.

Who writes second is told: `save` changes a row only while it stands at the version that was read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, Table, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError

from connector.adapters.sql_agreements import SqlAgreements
from connector.adapters.sql_database import Database
from connector.adapters.sql_outbox import put_outgoing
from connector.adapters.sql_tables import (
    flows,
    left_planes,
    negotiations,
    to_micros,
    transfers,
)
from connector.adapters.sql_usage import Salts, put_records
from connector.adapters.sql_values import Stored
from connector.negotiation.ports import Negotiation, SignedAgreement
from connector.outbox.ports import Outgoing
from connector.signaling.ports import DataFlow
from connector.transfer.ports import Transfer
from schemas.dps import FlowState
from schemas.dsp.negotiation import NegotiationState
from schemas.dsp.transfer import TransferState
from schemas.errors import AlreadyExists, NotFound, StaleState
from schemas.usage import UsageRecord

P = TypeVar("P", Negotiation, Transfer, DataFlow)
M = TypeVar("M", Transfer, DataFlow)


_RUNNING = frozenset({"REQUESTED", "STARTING", "STARTED"})
"""States in which a stream may run, or may yet: moving into any other one may end some."""


class _Processes(Generic[P]):
    """What negotiations and transfers share: rows of one table, moved one version at a time."""

    def __init__(
        self, database: Database, salts: Salts, table: Table, kind: type[P], ends: frozenset[str]
    ) -> None:
        self.database = database
        self.salts = salts
        self._table = table
        self._word = kind.__name__
        self._stored: Stored[P] = Stored(kind)
        self._ends = ends
        # Written once: to put a statement together costs several times as much as to run it.
        columns = table.c
        self._get = select(table).where(columns.pid == bindparam("which"))
        self._find = select(table).where(
            columns.counterparty == bindparam("with_whom"), columns.counter_pid == bindparam("which")
        )
        self._move = update(table).where(
            columns.pid == bindparam("which"), columns.version == bindparam("seen")
        )

    def add(
        self, process: P, *, outgoing: Sequence[Outgoing] = (), records: Sequence[UsageRecord] = ()
    ) -> None:
        """Save a new process with the mail and records it causes: all or nothing."""
        with self.database.write() as connection:
            self.put_new(connection, process)
            self.put_effects(connection, outgoing, records)

    def put_new(self, connection: Connection, process: P) -> None:
        """Save a new process in a transaction that is under way.

        Raises:
            AlreadyExists: if its ids are taken.
        """
        try:
            connection.execute(self._table.insert(), self._to_row(process, process.version))
        except IntegrityError:
            raise self._taken(process) from None

    def get(self, pid: str) -> P:
        """Return a process by our own pid."""
        with self.database.read() as connection:
            row = connection.execute(self._get, {"which": pid}).first()
        if row is None:
            raise NotFound(f"no {self._word.lower()} has the id {pid!r}")
        return self._from_row(row)

    def find(self, counterparty: str, counter_pid: str) -> P | None:
        """Return the process that a counterparty knows under its pid."""
        with self.database.read() as connection:
            row = connection.execute(self._find, {"with_whom": counterparty, "which": counter_pid}).first()
        return None if row is None else self._from_row(row)

    def move(self, connection: Connection, process: P, seen: int) -> P:
        """Write a process if it stands at version `seen`."""
        columns = self._table.c
        changes = {"which": process.pid, "seen": seen, **self._to_row(process, seen + 1)}
        try:
            changed = connection.execute(self._move, changes).rowcount
        except IntegrityError:
            raise self._taken(process) from None
        if changed != 1:
            held = connection.execute(
                select(columns.version).where(columns.pid == process.pid)
            ).scalar_one_or_none()
            if held is None:
                raise NotFound(f"no {self._word.lower()} has the id {process.pid!r}")
            raise StaleState(
                f"{self._word} {process.pid} was read at version {seen} but stands at {held}; load it again"
            )
        if process.state not in _RUNNING:
            self.database.announce(connection, process.pid)
        return replace(process, version=seen + 1)

    def put_effects(
        self, connection: Connection, outgoing: Sequence[Outgoing], records: Sequence[UsageRecord]
    ) -> None:
        """Save the mail and the records that a move causes, in its transaction."""
        put_outgoing(self.database, connection, outgoing)
        put_records(self.database, connection, records, self.salts)

    def unfinished(self) -> Sequence[P]:
        """Return processes that have not ended, oldest first."""
        columns = self._table.c
        statement = select(self._table).where(columns.finished.is_(False))
        return self._all(statement.order_by(columns.created, columns.pid))

    def recent(self, most: int = 100) -> Sequence[P]:
        """Return processes, last changed first."""
        columns = self._table.c
        return self._all(select(self._table).order_by(columns.updated.desc(), columns.pid).limit(most))

    def _all(self, statement: Any) -> Sequence[P]:
        with self.database.read() as connection:
            rows = connection.execute(statement).all()
        return [self._from_row(row) for row in rows]

    def _to_row(self, process: P, version: int) -> dict[str, Any]:
        return {
            "pid": process.pid,
            "counterparty": process.counterparty,
            "counter_pid": process.counter_pid,
            "finished": process.state in self._ends,
            "created": to_micros(process.created),
            "updated": to_micros(process.updated),
            "version": version,
            "value": self._stored.write(process),
        }

    def _from_row(self, row: Row[Any]) -> P:
        return replace(self._stored.read(row.value), version=row.version)

    def _taken(self, process: P) -> AlreadyExists:
        return AlreadyExists(
            f"{process.counterparty} has a {self._word.lower()} with the id {process.counter_pid!r} already, "
            f"or our own id {process.pid!r} is taken; use a fresh id"
        )


class SqlNegotiations(_Processes[Negotiation], SqlAgreements):
    """A NegotiationStore."""

    def __init__(self, database: Database, salts: Salts) -> None:
        ends = frozenset({NegotiationState.FINALIZED, NegotiationState.TERMINATED})
        _Processes.__init__(self, database, salts, negotiations, Negotiation, ends)
        SqlAgreements.__init__(self, database, salts)

    def save(
        self,
        negotiation: Negotiation,
        *,
        seen: int,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
        agreement: SignedAgreement | None = None,
    ) -> Negotiation:
        """Save a moved negotiation with its mail, records and agreement: all or nothing."""
        with self.database.write() as connection:
            moved = self.move(connection, negotiation, seen)
            if agreement is not None:
                self.put_agreement(connection, agreement)
            self.put_effects(connection, outgoing, records)
            return moved


class _Pushed(_Processes[M]):
    """What transfers and data flows share: somebody may be at work on a push."""

    def take_back(self, dead: Collection[str]) -> None:
        """End every push of processes that have surely died.

        Raises:
            StaleState: if one was moved meanwhile; then nothing was changed.
        """
        pushed = [one for one in self.unfinished() if one.pushing is not None and one.pusher in dead]
        if pushed:
            with self.database.write() as connection:
                for each in pushed:
                    self.move(connection, replace(each, pushing=None, pusher=None), each.version)


class SqlTransfers(_Pushed[Transfer]):
    """A TransferStore."""

    def __init__(self, database: Database, salts: Salts) -> None:
        ends = frozenset({TransferState.COMPLETED, TransferState.TERMINATED})
        super().__init__(database, salts, transfers, Transfer, ends)

    def save(
        self,
        transfer: Transfer,
        *,
        seen: int,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
    ) -> Transfer:
        """Save a moved transfer with its mail and records: all or nothing."""
        with self.database.write() as connection:
            moved = self.move(connection, transfer, seen)
            self.put_effects(connection, outgoing, records)
            return moved


class SqlFlows(_Pushed[DataFlow]):
    """A FlowStore."""

    def __init__(self, database: Database, salts: Salts, beside: SqlAgreements) -> None:
        """Keep flows; their agreements are kept beside our own."""
        ends = frozenset({FlowState.COMPLETED, FlowState.TERMINATED})
        super().__init__(database, salts, flows, DataFlow, ends)
        self._beside = beside
        self._leave = database.insert(left_planes).on_conflict_do_nothing()

    def add(
        self,
        process: DataFlow,
        *,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
        agreement: SignedAgreement | None = None,
    ) -> None:
        """Save a new flow with the mail, records and agreement that it causes: all or nothing."""
        with self.database.write() as connection:
            self.put_new(connection, process)
            if agreement is not None:
                self._beside.add_agreement(connection, agreement)
            self.put_effects(connection, outgoing, records)

    def save(
        self,
        flow: DataFlow,
        *,
        seen: int,
        outgoing: Sequence[Outgoing] = (),
        records: Sequence[UsageRecord] = (),
        agreement: SignedAgreement | None = None,
    ) -> DataFlow:
        """Save a moved flow with its mail, records and agreement: all or nothing."""
        with self.database.write() as connection:
            moved = self.move(connection, flow, seen)
            if agreement is not None:
                self._beside.add_agreement(connection, agreement)
            self.put_effects(connection, outgoing, records)
            return moved

    def leave(self, control_plane: str, gone: bool) -> None:
        """Remember that a control plane took its leave, or came back."""
        with self.database.write() as connection:
            if gone:
                connection.execute(self._leave, {"id": control_plane})
            else:
                connection.execute(delete(left_planes).where(left_planes.c.id == control_plane))

    def has_left(self, control_plane: str) -> bool:
        """Return whether a control plane took its leave."""
        statement = select(left_planes.c.id).where(left_planes.c.id == control_plane)
        with self.database.read() as connection:
            return connection.execute(statement).first() is not None
