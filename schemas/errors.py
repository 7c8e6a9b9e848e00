"""The one tree of errors.

DataspaceError                      500 internal-error
├── Refused                         400 bad-request            you said something that cannot be taken
│   ├── Malformed                   400 malformed
│   │   ├── UnknownContext          400 unknown-context
│   │   ├── TooLarge                413 too-large
│   │   └── PolicyCycle             400 policy-cycle           a policy that refers back to itself
│   ├── UnknownTerm                 400 unknown-term           a policy word that we cannot honour
│   ├── PolicyMismatch              400 policy-mismatch        a policy that fits neither data nor offer
│   ├── UnreadableData              422 unreadable-data        a file that is not what it says
│   ├── Unauthenticated             401 unauthenticated
│   ├── Forbidden                   403 forbidden
│   │   └── UseDenied               403 use-denied             a policy said no; carries the reasons
│   └── NotFound                    404 not-found              unknown, or not yours: the same answer
├── WorldMoved                      409 world-moved            load again, then decide again
│   ├── StaleState                  409 stale-state
│   ├── IllegalMove                 400 illegal-move           DSP asks for 400
│   └── AlreadyExists               409 already-exists
├── Unavailable                     503 unavailable            try again later; nothing was changed
│   ├── StorageUnavailable          503 storage-unavailable
│   └── PeerUnavailable             502 peer-unavailable
│       └── PeerRefused             502 peer-refused           the peer answered, and said no
├── EgressForbidden                 403 egress-forbidden       an address we will not connect to
├── StreamEnded                     409 stream-ended           a stream that ended before its data did
├── EnginesDisagree                 500 engines-disagree       two engines judge rows otherwise; none leaves
├── Misconfigured                   500 misconfigured          a setting that cannot work
└── EvidenceBroken                  500 evidence-broken        never caught, always reported

`status` is a hint for HTTP doors, `code` a stable word for programs. A message says what happened,
both values, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class DataspaceError(Exception):
    """The root of every error that Hansa raises on purpose."""

    status = 500
    code = "internal-error"


class Refused(DataspaceError):
    """The caller said something that cannot be taken."""

    status = 400
    code = "bad-request"


class Malformed(Refused):
    """A document that is not what its type promises."""

    code = "malformed"


class UnknownContext(Malformed):
    """A JSON-LD context that is not bundled; it is never fetched."""

    code = "unknown-context"


class TooLarge(Malformed):
    """A document or body past the bound of its door."""

    status = 413
    code = "too-large"


class PolicyCycle(Malformed):
    """A policy that inherits from itself, or a constraint, duty or list that holds itself."""

    code = "policy-cycle"


class UnknownTerm(Refused):
    """A policy term that nobody here can enforce, check or promise."""

    code = "unknown-term"


class PolicyMismatch(Refused):
    """A policy that does not fit the data it speaks of, or the offer it answers."""

    code = "policy-mismatch"


class UnreadableData(Refused):
    """A data file that cannot be read as what it claims to be."""

    status = 422
    code = "unreadable-data"


class Unauthenticated(Refused):
    """No token, or one that proves nothing."""

    status = 401
    code = "unauthenticated"


class Forbidden(Refused):
    """A known caller who may not do this."""

    status = 403
    code = "forbidden"


class UseDenied(Forbidden):
    """A policy denied the use; the reasons say why and what would make it pass."""

    code = "use-denied"

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("use denied: " + "; ".join(self.reasons))


class NotFound(Refused):
    """Unknown, or not the caller's: the answer is the same."""

    status = 404
    code = "not-found"


class WorldMoved(DataspaceError):
    """What was asked no longer fits the state of things."""

    status = 409
    code = "world-moved"


class StaleState(WorldMoved):
    """A record changed between reading and writing it; load it again."""

    code = "stale-state"


class IllegalMove(WorldMoved):
    """A message that the protocol's table does not allow in this state."""

    status = 400
    code = "illegal-move"


class AlreadyExists(WorldMoved):
    """Something of that name exists with other content."""

    code = "already-exists"


class Unavailable(DataspaceError):
    """Cannot be done now; nothing was changed; try again later."""

    status = 503
    code = "unavailable"


class StorageUnavailable(Unavailable):
    """The database or the disk did not take a write."""

    code = "storage-unavailable"


class PeerUnavailable(Unavailable):
    """A peer could not be reached, or answered 5xx."""

    status = 502
    code = "peer-unavailable"


class PeerRefused(PeerUnavailable):
    """A peer answered, and refused."""

    code = "peer-refused"

    def __init__(self, message: str, *, peer_status: int = 0, reasons: Sequence[str] = ()) -> None:
        self.peer_status = peer_status
        self.reasons = tuple(reasons)
        super().__init__(message)


class EgressForbidden(DataspaceError):
    """An address that the egress guard does not let us connect to."""

    status = 403
    code = "egress-forbidden"


class StreamEnded(DataspaceError):
    """A stream ended, with a reason, before its data did."""

    status = 409
    code = "stream-ended"

    def __init__(self, reason: str, *, end: str = "aborted", rows: int = 0) -> None:
        self.reason = reason
        self.end = end
        self.rows = rows
        super().__init__(f"stream ended after {rows} rows ({end}): {reason}")


class Misconfigured(DataspaceError):
    """A setting that cannot work; the message names it and a value that would."""

    code = "misconfigured"


class EnginesDisagree(DataspaceError):
    """What one engine would let leave, another one would not: then nothing of it leaves."""

    code = "engines-disagree"


class EvidenceBroken(DataspaceError):
    """The log, a proof or a signature does not hold. Never caught, always reported."""

    code = "evidence-broken"
