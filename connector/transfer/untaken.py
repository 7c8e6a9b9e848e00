"""Pure: what a consumer is told of a push that failed."""

from __future__ import annotations

from connector.outbox.letter import MOST_REASONS, shorten
from policies.words.carried import ended, spoken
from policies.words.language import message
from schemas.errors import DataspaceError, EgressForbidden, PeerUnavailable, Refused, StreamEnded
from schemas.worded import reasons_of


def untaken(why: DataspaceError) -> tuple[str, ...]:
    """Return the reasons with which a transfer ends whose push failed.

    Of policies, revocations and its own request a consumer is told as a reader is; of our network nothing,
    since an answer that differed by address would let it look around there.
    """
    match why:
        case StreamEnded():
            reasons = [ended(why)]
        case Refused():
            reasons = reasons_of(why)
        case PeerUnavailable() | EgressForbidden():
            reasons = [spoken(message("end.untaken"))]
        case _:
            reasons = [spoken(message("end.failed"))]
    return tuple(map(shorten, reasons[:MOST_REASONS]))
