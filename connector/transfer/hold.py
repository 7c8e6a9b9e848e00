"""What is done to the transfers of an agreement together; each verb is harmless again."""

from __future__ import annotations

from collections.abc import Callable

from connector.outbox.letter import shorten
from connector.transfer.ports import Transfer
from connector.transfer.service import Transfers
from schemas.base import Role
from schemas.dsp.transfer import TransferState as State
from schemas.errors import IllegalMove


def suspend_under(transfers: Transfers, agreement: str, why: str) -> int:
    """Suspend every running transfer under an agreement; return how many."""
    found = [one for one in _given(transfers, agreement) if one.state is State.STARTED]
    return sum(_try(lambda pid: transfers.suspend(pid, shorten(why)), one) for one in found)


def resume_under(transfers: Transfers, agreement: str, prefix: str) -> int:
    """Start the transfers under an agreement again that were suspended for a reason with this beginning."""
    found = [
        one
        for one in _given(transfers, agreement)
        if one.state is State.SUSPENDED and (one.held or "").startswith(prefix)
    ]
    return sum(_try(transfers.start, one) for one in found)


def terminate_under(transfers: Transfers, agreement: str, why: str) -> int:
    """End every transfer under an agreement, as when it was revoked; return how many."""
    running = [one for one in transfers.unfinished() if one.agreement == agreement]
    return sum(_try(lambda pid: transfers.terminate(pid, why), one) for one in running)


def _given(transfers: Transfers, agreement: str) -> list[Transfer]:
    return [one for one in transfers.unfinished() if (one.agreement, one.role) == (agreement, Role.PROVIDER)]


def _try(move: Callable[[str], Transfer], transfer: Transfer) -> bool:
    try:
        move(transfer.pid)
    except IllegalMove:
        return False  # it moved meanwhile, and is not what it was
    return True


class Held:
    """What is done under an agreement whose duty is overdue, and how it is lifted (a Consequences).

    Args:
        transfers: that run under agreements.
        revoke: ends an agreement, and what runs under it.
        prefix: how the reason begins with which transfers are suspended.
    """

    def __init__(self, transfers: Transfers, revoke: Callable[[str, str], None], prefix: str) -> None:
        self._transfers, self._revoke, self._prefix = transfers, revoke, prefix

    def suspend(self, agreement: str, why: str) -> None:
        """Suspend every running transfer under an agreement."""
        suspend_under(self._transfers, agreement, why)

    def terminate(self, agreement: str, why: str) -> None:
        """Revoke an agreement, and end what runs under it."""
        self._revoke(agreement, why)

    def resume(self, agreement: str) -> None:
        """Start those transfers again that were suspended for a duty that was overdue."""
        resume_under(self._transfers, agreement, self._prefix)

    def resting(self) -> set[str]:
        """Return the agreements under which transfers are suspended for a duty that was overdue."""
        return {
            one.agreement
            for one in self._transfers.unfinished()
            if one.state is State.SUSPENDED and (one.held or "").startswith(self._prefix)
        }
