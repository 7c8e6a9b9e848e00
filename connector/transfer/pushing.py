"""Transfers whose data we push to where the consumer takes it: what is pushed, and what became of it.

What a crash leaves behind: a push that counts as under way until its process is known to have died, or its
lease is over; then it is begun again, from the first row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from connector.outbox.letter import shorten
from connector.outbox.process import Stepped
from connector.transfer.direction import direction_of
from connector.transfer.judge import Say
from connector.transfer.lease import PUSH_LEASE, is_free, renewed
from connector.transfer.machine import Said
from connector.transfer.ports import Transfer
from connector.transfer.service import Transfers
from connector.transfer.untaken import untaken
from schemas.base import Role
from schemas.dsp.transfer import TransferState as State
from schemas.errors import DataspaceError, StaleState
from schemas.vocab import FORMAT_ARROW_HTTP, FORMAT_HTTP_PUSH

NOT_PUSHED = "not-pushed"

_log = structlog.get_logger("connector.transfer")


class PushedTransfers(Transfers):
    """Transfers, and as provider the pushes among them (a PushRoom).

    Args:
        pushes: whether we push at all; else consumers pull.
        worker: the name under which this process shows that it lives, if it does.
        given: as for `Transfers`.
    """

    def __init__(self, *, pushes: bool, worker: str | None = None, **given: Any) -> None:
        super().__init__(**given)
        self._pushes, self._worker = pushes, worker

    def is_pushed(self, transfer: Transfer) -> bool:
        """Return whether the data of a transfer is to be pushed, by whomever."""
        return (
            self._pushes
            and transfer.role is Role.PROVIDER
            and transfer.state is State.STARTED
            and direction_of(transfer.format) == "push"
        )

    def to_push(self) -> Sequence[Transfer]:
        """Return the transfers whose data is to be pushed and at which nobody is at work."""
        now = self._clock()
        return [one for one in self.unfinished() if self._waits(one, now)]

    def claim(self, pid: str) -> tuple[Transfer, str] | None:
        """Take the push of a transfer for a while, and return it with its ticket, if there is one to do."""
        transfer, now = self.own(pid), self._clock()
        if not self._waits(transfer, now):
            return None
        try:
            taken = replace(transfer, pushing=now + PUSH_LEASE, pusher=self._worker)
            held = self._store.save(taken, seen=transfer.version)
        except StaleState:
            return None  # somebody else was quicker
        return held, self._starts.ticket(held)

    def hold(self, pid: str, until: datetime | None) -> None:
        """Say until when a push is under way, or is not to be tried again; None lets it go."""
        self._move(pid, lambda one: (replace(one, pushing=until), None) if self._is_at(one) else None)

    def is_alive(self, pid: str) -> None:
        """Say that a push is under way still."""

        def step(transfer: Transfer) -> Stepped[Transfer]:
            until = renewed(transfer.pushing, self._clock()) if self._is_at(transfer) else None
            return None if until is None else (replace(transfer, pushing=until), None)

        self._move(pid, step)

    def pushed(self, claimed: Transfer) -> None:
        """Take note that all data of a claimed push was taken, and say that the transfer is complete."""
        self._settle(claimed, Say(Said.COMPLETION))

    def not_pushed(self, claimed: Transfer, why: DataspaceError) -> None:
        """Take note that a claimed push failed, and end the transfer.

        We keep the whole reason; the consumer is told as much of it as is its own affair.
        """
        _log.warning("push failed", transfer=claimed.pid, problem=str(why), code=why.code)
        self._settle(claimed, Say(Said.TERMINATION, code=NOT_PUSHED, reasons=untaken(why)), why)

    def _settle(self, claimed: Transfer, say: Say, why: DataspaceError | None = None) -> None:
        def step(transfer: Transfer) -> Stepped[Transfer]:
            if transfer.state is not State.STARTED or transfer.updated != claimed.updated:
                # It was stopped since; it may be started anew, and others may be at it.
                return (replace(transfer, pushing=None), None) if self._is_at(transfer) else None
            moved, message = self._say(replace(transfer, pushing=None), say)
            if why is not None:
                moved = replace(moved, problem=shorten(f"{NOT_PUSHED}: {why}"))
            return moved, message

        self._move(claimed.pid, step)

    def _is_at(self, transfer: Transfer) -> bool:
        """Whether this process is at work on a push; its lease may have run out, and others have taken it."""
        return transfer.pushing is not None and transfer.pusher == self._worker

    def _waits(self, transfer: Transfer, now: datetime) -> bool:
        return self.is_pushed(transfer) and is_free(transfer.pushing, now)

    def _formats(self, dataset: str) -> tuple[str, ...]:
        """Return the formats that are served: what goes over HTTP can be pushed too, if we push."""
        told = tuple(one for one in super()._formats(dataset) if direction_of(one) != "push")
        return (*told, FORMAT_HTTP_PUSH) if self._pushes and FORMAT_ARROW_HTTP in told else told
