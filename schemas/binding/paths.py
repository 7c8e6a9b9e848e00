"""ONE table: which message goes by which method to which path, who sends it, and what success looks like.

Paths are relative to the receiver's base URL; `{pid}` is the receiver's own process id.

Source: Dataspace Protocol 2025-1, HTTPS binding.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from schemas.base import Message, Role
from schemas.dsp import catalog, negotiation, transfer
from schemas.errors import Malformed
from schemas.vocab import DSP_VERSION

DSP_PREFIX = f"/dsp/{DSP_VERSION}"
"""Where our own endpoints of the protocol hang below a participant's URL."""
VERSION_PATH = "/.well-known/dspace-version"
DATASET_PATH = "/catalog/datasets/{id}"
NEGOTIATION_PATH = "/negotiations/{pid}"
TRANSFER_PATH = "/transfers/{pid}"

LEDGER_PATH = "/obligations"
RECEIPTS_PATH = "/obligations/receipts"
"""Not of the protocol: where a provider tells what is owed to it, and takes receipts."""

BOTH = frozenset(Role)


@dataclass(frozen=True)
class Route:
    """One row of the table; `opens` is true where the message starts a process."""

    message: type[Message]
    path: str
    senders: frozenset[Role]
    opens: bool = False

    @property
    def status(self) -> int:
        """The HTTP status of success."""
        return 201 if self.opens else 200


_C = frozenset({Role.CONSUMER})
_P = frozenset({Role.PROVIDER})

ROUTES: tuple[Route, ...] = (
    Route(catalog.CatalogRequestMessage, "/catalog/request", _C),
    Route(negotiation.ContractRequestMessage, "/negotiations/request", _C, opens=True),
    Route(negotiation.ContractRequestMessage, "/negotiations/{pid}/request", _C),
    Route(negotiation.ContractOfferMessage, "/negotiations/offers", _P, opens=True),
    Route(negotiation.ContractOfferMessage, "/negotiations/{pid}/offers", _P),
    Route(negotiation.ContractAgreementMessage, "/negotiations/{pid}/agreement", _P),
    Route(negotiation.ContractAgreementVerificationMessage, "/negotiations/{pid}/agreement/verification", _C),
    Route(negotiation.ContractNegotiationEventMessage, "/negotiations/{pid}/events", BOTH),
    Route(negotiation.ContractNegotiationTerminationMessage, "/negotiations/{pid}/termination", BOTH),
    Route(transfer.TransferRequestMessage, "/transfers/request", _C, opens=True),
    Route(transfer.TransferStartMessage, "/transfers/{pid}/start", BOTH),
    Route(transfer.TransferCompletionMessage, "/transfers/{pid}/completion", BOTH),
    Route(transfer.TransferSuspensionMessage, "/transfers/{pid}/suspension", BOTH),
    Route(transfer.TransferTerminationMessage, "/transfers/{pid}/termination", BOTH),
)


def path_for(message: Message, receiver_pid: str | None) -> str:
    """Return the path at the receiver; without its pid, the path that opens a process.

    Raises:
        Malformed: if the message cannot travel that way.
    """
    for route in ROUTES:
        if type(message) is route.message and ("{pid}" in route.path) == (receiver_pid is not None):
            return route.path.replace("{pid}", quote(receiver_pid or "", safe=":"))
    known = "with" if receiver_pid else "without"
    raise Malformed(f"{type(message).__name__} has no path {known} a receiver's process id")


def opening_base(url: str) -> str | None:
    """Return the base URL of a peer from where a message that opens a process is sent; None for any other."""
    for route in ROUTES:
        if route.opens and url.endswith(route.path):
            return url.removesuffix(route.path)
    return None


def state_url(url: str) -> str | None:
    """Return where a peer tells the state of the process that a message is sent to; None if it opens one."""
    for route in ROUTES:
        head, mark, tail = route.path.partition("{pid}")
        base, slash, pid = url.removesuffix(tail).rpartition("/")
        if mark and url.endswith(tail) and (base + slash).endswith(head) and pid:
            return url.removesuffix(tail)
    return None


def join(base: str, path: str) -> str:
    """Append a path to a base URL, whether or not the base ends in a slash."""
    return base.rstrip("/") + path
