"""What the management door shows of negotiations, transfers, agreements and mail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connector.negotiation.service import Negotiations
from connector.outbox.service import Outbox
from connector.transfer.service import Transfers
from schemas.worded import told_json

if TYPE_CHECKING:
    from schemas.odrl import DeclaredUse


def instant(at: datetime) -> str:
    """Write a time in UTC, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def declared(use: DeclaredUse | None) -> dict[str, Any] | None:
    """Show a declared use."""
    return None if use is None else {"action": use.action, "purpose": use.purpose}


def process(process: Any, room: Negotiations | Transfers, outbox: Outbox) -> dict[str, Any]:
    """Show a negotiation or transfer: above all whose turn it is, since when, why, and the next try.

    While mail of ours waits, it is our turn, whatever the protocol says: nobody else can go on.
    """
    turn, why = room.standing(process)
    mail = next(iter(outbox.pending(process.pid)), None)
    if mail is not None:
        kind = mail.document.get("@type", "message")
        tries = f", {mail.attempts} attempts" if mail.attempts else ""
        turn, why = "us", f"{kind} is on its way{tries}" + (f": {mail.problem}" if mail.problem else "")
    return {
        "pid": process.pid,
        "counterPid": process.counter_pid,
        "role": process.role.value,
        "state": process.state.value,
        "counterparty": process.counterparty,
        "dataset": process.dataset,
        "use": declared(process.use),
        "problem": process.problem,
        "reasons": list(process.reasons),
        "told": told_json(process.reasons),
        "turn": turn,
        "since": instant(process.updated),
        "path": [{"state": station.state, "at": instant(station.at)} for station in process.path],
        "why": why,
        "nextTry": instant(mail.due) if mail is not None else None,
    }


def negotiation(found: Any, room: Negotiations, outbox: Outbox) -> dict[str, Any]:
    """Show a negotiation."""
    agreement = found.agreement.id if found.agreement is not None else None
    return process(found, room, outbox) | {"agreement": agreement, "offer": found.offer.wire()}


def transfer(found: Any, room: Transfers, outbox: Outbox) -> dict[str, Any]:
    """Show a transfer; where the data is (with the ticket) only to its consumer, who asked for it."""
    view = process(found, room, outbox) | {"agreement": found.agreement, "format": found.format}
    if found.role.value == "consumer" and found.address is not None:
        view["dataAddress"] = found.address.wire()
    return view | arrived(found.received)


def arrived(received: Any) -> dict[str, Any]:
    """Show what was pushed to us, if anything was: the file lies in data_dir/received."""
    if received is None:
        return {}
    return {
        "received": {
            "file": received.file,
            "mediaType": received.media_type,
            "bytes": received.byte_count,
            "rows": received.rows,
            "at": instant(received.at),
        }
    }


def flow(found: Any) -> dict[str, Any]:
    """Show a data flow of a foreign control plane; where the data is only where we are its consumer."""
    view = {
        "pid": found.pid,
        "controlPlane": found.control_plane,
        "process": found.process,
        "role": found.role.value,
        "state": found.state.value,
        "provider": found.provider,
        "consumer": found.consumer,
        "agreement": found.agreement,
        "dataset": found.dataset,
        "profile": found.profile,
        "problem": found.problem,
        "reasons": list(found.reasons),
        "told": told_json(found.reasons),
        "since": instant(found.updated),
    }
    if found.role.value == "consumer" and found.address is not None:
        view["dataAddress"] = found.address.wire()
    return view | arrived(found.received)


def agreement(held: Any) -> dict[str, Any]:
    """Show an agreement, with a word on whether it stands."""
    state = "revoked" if held.revoked is not None else "final" if held.final else "not final"
    return {
        "id": held.agreement.id,
        "role": held.role.value,
        "counterparty": held.counterparty,
        "dataset": held.agreement.target,
        "negotiation": held.negotiation,
        "signed": instant(held.signed),
        "state": state,
        "revoked": held.revoked,
        "changed": held.changed,
        "ends": None if held.ends is None else instant(held.ends),
        "endsWhy": held.ends_why,
        "digest": held.digest,
        "use": declared(held.use),
        "policy": held.agreement.wire(),
    }


def obligation(entry: Any) -> dict[str, Any]:
    """Show an entry of the ledger."""
    return {
        "agreement": entry.agreement,
        "duty": entry.place,
        "period": entry.period,
        "action": entry.action,
        "owedBy": entry.counterparty,
        "dataset": entry.dataset,
        "since": instant(entry.since),
        "due": None if entry.due is None else instant(entry.due),
        "stage": entry.stage.value,
        "consequence": entry.consequence.value,
        "fulfilled": None if entry.fulfilled is None else instant(entry.fulfilled),
    }


def mail(outgoing: Any) -> Mapping[str, Any]:
    """Show a message that waits, without what it says."""
    return {
        "to": outgoing.recipient,
        "kind": outgoing.kind,
        "process": outgoing.process,
        "attempts": outgoing.attempts,
        "problem": outgoing.problem,
        "nextTry": instant(outgoing.due),
        "deadline": instant(outgoing.deadline),
    }
