"""The receipts behind a log: signed by who owed, for who was owed, and saying what the log says.

A signature is checked by the keys that its signer publishes, as the auditor saw them today or at an earlier
audit. Where only the key that the log's keeper put by fits, nobody but the keeper says whose it was: the
signer may have changed its key, or the keeper made one up. Such a receipt is told as unconfirmed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from policies.findings import Check, Finding
from schemas.errors import DataspaceError, Malformed, Unauthenticated
from schemas.identity import DidDocument, speaking_keys, verify_claims
from schemas.receipts import HeldReceipt, Receipt, read_receipt
from schemas.usage import AgreedTerms, UsageKind, UsageRecord
from schemas.vocab import ODRL

LEEWAY = timedelta(minutes=5)
"""How far the clock of a signer may be ahead of the log's."""
RACE = timedelta(seconds=60)
"""How long rows may leave while a deletion is being taken."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DELETE = ODRL + "delete"
_DELIVERIES = frozenset({UsageKind.STREAM_RESERVED, UsageKind.STREAM_SETTLED})


class Standing(StrEnum):
    """What an auditor makes of a receipt."""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    BROKEN = "broken"


@dataclass(frozen=True)
class ReceiptSummary:
    """One receipt that the log tells of: who signed that what was done when, and whether that holds.

    `note` says why a receipt is not confirmed.
    """

    entry: int
    receipt: str
    agreement: str
    signer: str
    action: str
    done: str
    standing: Standing
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "entry": self.entry,
            "receipt": self.receipt,
            "agreement": self.agreement,
            "signer": self.signer,
            "action": self.action,
            "done": self.done,
            "standing": self.standing.value,
            "note": self.note,
        }


@dataclass(frozen=True)
class Shown:
    """What an auditor has beside the log: receipts, and the documents that their signers publish.

    `documents` are those that this auditor saw, today's and earlier ones, by id; `unreachable` says of whom
    none could be had today, and why.
    """

    receipts: Sequence[HeldReceipt] = ()
    documents: Mapping[str, Sequence[DidDocument]] = field(default_factory=dict)
    unreachable: Mapping[str, str] = field(default_factory=dict)


class Receipts:
    """One pass over the records of a log, in order, each receipt held against its record."""

    def __init__(self, did: str, agreements: Mapping[str, AgreedTerms], shown: Shown) -> None:
        self.findings: list[Finding] = []
        self.summaries: list[ReceiptSummary] = []
        self._did, self._agreements, self._shown = did, agreements, shown
        self._held = {(one.agreement, one.id): one for one in shown.receipts}
        self._delivered: dict[str, datetime] = {}
        self._told: dict[tuple[str, str], int] = {}

    def take(self, entry: int, record: UsageRecord) -> None:
        """Take the next record."""
        if record.kind in _DELIVERIES and record.rows and record.agreement:
            self._delivered[record.agreement] = max(
                self._delivered.get(record.agreement, _EPOCH), _left_at(record)
            )
        if record.kind is UsageKind.OBLIGATION_FULFILLED:
            self._fulfilled(entry, record)

    def _fulfilled(self, entry: int, record: UsageRecord) -> None:
        agreement, named = record.agreement or "", str(record.detail.get("receipt") or "")
        signer, audience = self._parties(record)
        wrong, note = [], None
        before = self._told.setdefault((agreement, named), entry)
        held = self._held.get((agreement, named))
        if not named:
            wrong.append("the duty is told as kept, and no receipt is named")
        elif before != entry:
            wrong.append(f"receipt {named} was told before, at entry {before}")
        elif held is None:
            wrong.append(f"receipt {named} is missing: the log tells of it, and it is not shown")
        else:
            try:
                receipt, issued, note = self._read(held, signer, audience)
                wrong += self._differences(record, held, receipt)
                wrong += self._times(record, receipt, issued)
            except DataspaceError as error:
                wrong.append(f"receipt {named}: {error}")
        self.findings += [Finding(Check.RECEIPT, text, entry, record.agreement) for text in wrong]
        standing = Standing.BROKEN if wrong else Standing.UNCONFIRMED if note else Standing.CONFIRMED
        done = str(record.detail.get("done") or "")
        self.summaries.append(
            ReceiptSummary(entry, named, agreement, signer, record.action or "", done, standing, note)
        )

    def _parties(self, record: UsageRecord) -> tuple[str, str]:
        """Return who owed and who was owed: whoever took an agreement owes to whoever gave it."""
        other = record.counterparty or ""
        terms = self._agreements.get(record.agreement or "")
        # Only a keeper of a ledger names the duty; where the agreement is missing, which is said, that tells.
        gave = terms.role == "provider" if terms is not None else "duty" in record.detail
        return (other, self._did) if gave else (self._did, other)

    def _read(self, held: HeldReceipt, signer: str, audience: str) -> tuple[Receipt, datetime, str | None]:
        """Check a signature; return what it signs, when it was made, and why it is not confirmed, if so.

        Raises:
            Unauthenticated: if it was made by no key of the signer that anybody knows.
            Malformed: if it signs something else than a receipt between the two.
        """
        issued = _issued(held.token)
        for document in self._shown.documents.get(signer, ()):
            if document.id != signer:
                continue
            try:
                claims = verify_claims(held.token, speaking_keys(document), issued)
            except (Unauthenticated, JoseError, ValueError):
                continue
            return read_receipt(claims, signer, audience), issued, None
        claims = verify_claims(held.token, _kept(held, signer), issued)
        why = self._shown.unreachable.get(signer)
        note = (
            f"the keys of {signer} could not be had: {why}"
            if why
            else (f"{signer} does not publish the key that signed it, or not any more")
        )
        note += "; it fits the key that the keeper of this log put by, and nobody else vouches for that"
        return read_receipt(claims, signer, audience), issued, note

    def _differences(self, record: UsageRecord, held: HeldReceipt, receipt: Receipt) -> Iterator[str]:
        told = record.detail
        pairs = [
            ("id", receipt.id, told.get("receipt")),
            ("agreement", receipt.agreement, record.agreement),
            ("policy", receipt.policy, record.policy),
            ("action", receipt.action, record.action),
            ("done", receipt.done.isoformat(), told.get("done")),
            ("rows", receipt.rows, told.get("rowsReported")),
        ]
        if "duty" in told:
            pairs += [("duty", held.duty, told["duty"]), ("period", held.period, told.get("period"))]
            for name in ("statement", "url"):
                pairs.append((name, _shortened(getattr(receipt, name)), _shortened(told.get(name))))
        else:
            pairs.pop(5)  # a consumer's own record does not repeat what its receipt says
        for name, signed, said in pairs:
            if signed != said:
                yield (
                    f"receipt {receipt.id}: {name} is {str(signed)[:120]!r} there, and {str(said)[:120]!r} "
                    "in the log"
                )

    def _times(self, record: UsageRecord, receipt: Receipt, issued: datetime) -> Iterator[str]:
        at = _time(record)
        for what, when in (("done", receipt.done), ("signed", issued)):
            if when > at + LEEWAY:
                yield (
                    f"receipt {receipt.id}: {what} at {when.isoformat()}, and logged before, at "
                    f"{at.isoformat()}"
                )
        last = self._delivered.get(record.agreement or "")
        if receipt.action == _DELETE and last is not None and receipt.done < last - RACE:
            yield (
                f"receipt {receipt.id}: deleted at {receipt.done.isoformat()}, before rows that left at "
                f"{last.isoformat()}"
            )


def _issued(token: str) -> datetime:
    """Return when a token says that it was made, before its signature is checked.

    Raises:
        Malformed: if it says nothing of the kind.
    """
    try:
        payload = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iat"]
        return datetime.fromtimestamp(int(said), UTC)
    except (IndexError, ValueError, KeyError, TypeError, RecursionError, OverflowError, OSError):
        raise Malformed("it is no signed receipt; it says not when it was made") from None


def _kept(held: HeldReceipt, signer: str) -> OKPKey:
    if held.key is None:
        raise Unauthenticated(f"no key that {signer} publishes made its signature: it is forged or altered")
    try:
        return OKPKey.import_key(dict(held.key))
    except (JoseError, ValueError, TypeError, KeyError):
        raise Unauthenticated("the key that is kept beside it is no Ed25519 key") from None


def _shortened(text: Any) -> str | None:
    """Return a text as the log cuts it, up to where it may be cut."""
    if text is None:
        return None
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in str(text)).split())
    return line[:299]


def _left_at(record: UsageRecord) -> datetime:
    """Return when rows left last, as a reservation or a settlement tells.

    A settlement may be logged long after: it says when they left. Of a stream that broke with its process
    nobody knows: then what was reserved counts, as of when it was.
    """
    at, said = _time(record), record.detail.get("last")
    if record.kind is UsageKind.STREAM_SETTLED and record.detail.get("end") == "crashed":
        return _EPOCH
    try:
        last = datetime.fromisoformat(said) if isinstance(said, str) else at
    except ValueError:
        return at
    return min(at, last) if last.tzinfo is not None else at


def _time(record: UsageRecord) -> datetime:
    return _EPOCH + timedelta(microseconds=record.at)
