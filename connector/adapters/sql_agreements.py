"""Agreements, in SQL: kept with the negotiation that made them, revoked and changed under a lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from connector.adapters.sql_counts import lock_totals
from connector.adapters.sql_database import Database
from connector.adapters.sql_tables import agreements, to_micros
from connector.adapters.sql_usage import Salts, put_records
from connector.adapters.sql_values import Stored
from connector.negotiation.ports import SignedAgreement
from schemas.base import Role
from schemas.errors import AlreadyExists, NotFound, StaleState
from schemas.usage import UsageRecord

_AGREEMENT = select(agreements.c.value).where(agreements.c.id == bindparam("which"))
_AGREEMENT_LOCKED = _AGREEMENT.with_for_update()


class SqlAgreements:
    """What a NegotiationStore says of agreements."""

    def __init__(self, database: Database, salts: Salts) -> None:
        self.database = database
        self.salts = salts
        self._agreements = Stored(SignedAgreement)
        insert = database.insert(agreements)
        changes = {
            column.name: insert.excluded[column.name] for column in agreements.c if column.name != "id"
        }
        self._put = insert.on_conflict_do_update(index_elements=["id"], set_=changes)
        self._put_new = insert.on_conflict_do_nothing(index_elements=["id"]).returning(agreements.c.id)

    def agreement(self, agreement_id: str) -> SignedAgreement:
        """Return an agreement."""
        with self.database.read() as connection:
            held = self._held(connection, agreement_id)
        if held is None:
            raise NotFound(f"no agreement has the id {agreement_id!r}")
        return held

    def agreements(self, dataset: str | None = None, role: Role | None = None) -> Sequence[SignedAgreement]:
        """Return agreements, newest first."""
        columns = agreements.c
        statement = select(columns.value).order_by(columns.signed.desc(), columns.id)
        if dataset is not None:
            statement = statement.where(columns.dataset == dataset)
        if role is not None:
            statement = statement.where(columns.role == role.value)
        with self.database.read() as connection:
            return [self._agreements.read(value) for value in connection.execute(statement).scalars()]

    def revoke(self, agreement_id: str, why: str, records: Sequence[UsageRecord] = ()) -> SignedAgreement:
        """Mark an agreement revoked and raise its epoch; on a revoked one it changes nothing."""
        return self._changed(
            agreement_id,
            lambda held: replace(held, revoked=why, epoch=held.epoch + 1),
            records,
            reserving=False,
        )

    def bump(self, agreement_id: str, why: str, records: Sequence[UsageRecord] = ()) -> SignedAgreement:
        """Raise an agreement's epoch; on a revoked one it changes nothing."""
        return self._changed(
            agreement_id,
            lambda held: replace(held, changed=why, epoch=held.epoch + 1),
            records,
            reserving=False,
        )

    def plan_end(
        self, agreement_id: str, ends: datetime, why: str, records: Sequence[UsageRecord] = ()
    ) -> SignedAgreement:
        """Note when an agreement will be revoked; the earliest date stands."""

        def planned(held: SignedAgreement) -> SignedAgreement:
            sooner = held.ends is not None and held.ends <= ends
            return held if sooner else replace(held, ends=ends, ends_why=why)

        return self._changed(agreement_id, planned, records, reserving=True)

    def ending(self, at: datetime) -> Sequence[SignedAgreement]:
        """Return agreements whose planned end has come, and that are not revoked yet."""
        columns = agreements.c
        statement = select(columns.value).where(columns.ends <= to_micros(at), columns.revoked.is_(False))
        with self.database.read() as connection:
            return [self._agreements.read(value) for value in connection.execute(statement).scalars()]

    def put_agreement(self, connection: Connection, signed: SignedAgreement) -> None:
        """Save an agreement in a transaction that is under way.

        Raises:
            AlreadyExists: if its id belongs to an agreement with somebody else.
        """
        held = self._held(connection, signed.agreement.id, lock=True)
        if held is not None:
            if (held.negotiation, held.counterparty) != (signed.negotiation, signed.counterparty):
                # The provider chooses the id: it must not replace an agreement with somebody else.
                raise AlreadyExists(f"agreement id {signed.agreement.id!r} is taken; use a fresh id")
            # A revocation that happened meanwhile stays.
            signed = replace(
                signed,
                epoch=max(signed.epoch, held.epoch),
                revoked=held.revoked or signed.revoked,
                changed=held.changed,
                ends=held.ends,
                ends_why=held.ends_why,
            )
        self._write(connection, signed)

    def add_agreement(self, connection: Connection, signed: SignedAgreement) -> None:
        """Save an agreement that was not here when it was decided on, in a transaction that is under way.

        Raises:
            AlreadyExists: if its id belongs to an agreement with somebody else.
            StaleState: if it was saved meanwhile, perhaps with other terms than those that were decided on.
        """
        if connection.execute(self._put_new, self._agreement_row(signed)).first() is not None:
            return
        held = self._held(connection, signed.agreement.id)
        if held is None or (held.negotiation, held.counterparty) != (signed.negotiation, signed.counterparty):
            raise AlreadyExists(f"agreement id {signed.agreement.id!r} is taken; use a fresh id")
        raise StaleState(f"agreement {signed.agreement.id!r} was saved meanwhile; decide again")

    def _changed(
        self,
        agreement_id: str,
        change: Callable[[SignedAgreement], SignedAgreement],
        records: Sequence[UsageRecord],
        *,
        reserving: bool,
    ) -> SignedAgreement:
        """Change an agreement that is not revoked and tell all workers; where nothing changes, do nothing.

        Args:
            agreement_id: which one.
            change: what becomes of it; what it returns unchanged is left alone.
            records: logged with the change.
            reserving: whether rows may be reserved under it meanwhile.
        """
        with self.database.write() as connection:
            held = self._held(connection, agreement_id, lock=True)
            if held is None:
                raise NotFound(f"no agreement has the id {agreement_id!r}")
            changed = held if held.revoked is not None else change(held)
            if changed is held:
                return held
            if not reserving:
                # Whoever reserves rows holds this row too: none are reserved after the record of the change.
                lock_totals(self.database, connection, agreement_id)
            self._write(connection, changed)
            put_records(self.database, connection, records, self.salts)
            self.database.announce(connection, agreement_id)
            return changed

    def _held(
        self, connection: Connection, agreement_id: str, *, lock: bool = False
    ) -> SignedAgreement | None:
        statement = _AGREEMENT_LOCKED if lock else _AGREEMENT
        value = connection.execute(statement, {"which": agreement_id}).scalar_one_or_none()
        return None if value is None else self._agreements.read(value)

    def _write(self, connection: Connection, signed: SignedAgreement) -> None:
        connection.execute(self._put, self._agreement_row(signed))

    def _agreement_row(self, signed: SignedAgreement) -> dict[str, Any]:
        return {
            "id": signed.agreement.id,
            "dataset": signed.agreement.target,
            "role": signed.role.value,
            "signed": to_micros(signed.signed),
            "revoked": signed.revoked is not None,
            "final": signed.final,
            "ends": None if signed.ends is None else to_micros(signed.ends),
            "value": self._agreements.write(signed),
        }
