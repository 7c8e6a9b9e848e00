"""The auditor's hand for receipts: fetch them, and the keys of who signed them; keep both in a copy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from policies.audit import Opened
from policies.receipts import Shown
from schemas.base import Document
from schemas.binding.client import Http
from schemas.binding.did import MOST_DOCUMENT
from schemas.errors import DataspaceError, Malformed, NotFound
from schemas.identity import DidDocument, did_host, did_url
from schemas.receipts import HeldReceipt, HeldReceipts
from schemas.usage import UsageKind

MOST_SIGNERS = 500
"""Participants whose keys are fetched in one audit."""
MOST_KEPT = 20
"""DID documents that are kept of one participant; the oldest go first."""
_MOST_RECEIPTS = 32 << 20
_RECEIPTS, _SIGNERS = "receipts.jsonl", "signers.jsonl"

Documents = Mapping[str, Sequence[DidDocument]]
"""What was seen of participants, by id, the oldest first."""


def fetch_receipts(
    get: Callable[[str, int], bytes], http: Http, did: str, records: Iterable[Opened]
) -> Shown:
    """Fetch the receipts that a log tells of, and the documents of those who signed them.

    What cannot be had is left out: the audit says which entry lacks it.

    Args:
        get: fetches a path below the evidence door, bounded.
        http: the client for the documents.
        did: whose log it is.
        records: the opened records.
    """
    agreements, signers = _told(records)
    held: list[HeldReceipt] = []
    for name in agreements:
        try:
            page = json.loads(get(f"receipts?agreement={quote(name, safe='')}", _MOST_RECEIPTS))
            held += HeldReceipts.read(page).receipts
        except (NotFound, Malformed, ValueError, RecursionError):
            continue  # the audit says which receipt is missing
    documents: dict[str, Sequence[DidDocument]] = {}
    unreachable: dict[str, str] = {}
    # Our own receipts in our own log are signed by ourselves.
    for signer in list(dict.fromkeys((*signers, did)))[:MOST_SIGNERS] if agreements else ():
        try:
            documents[signer] = (_document(http, signer),)
        except DataspaceError as error:
            unreachable[signer] = str(error)[:200]
    return Shown(tuple(held), documents, unreachable)


def _told(records: Iterable[Opened]) -> tuple[list[str], list[str]]:
    """Return the agreements under which a log tells of receipts, and the other sides of those."""
    agreements: dict[str, None] = {}
    signers: dict[str, None] = {}
    for text, _ in records:
        try:
            record = json.loads(text)
            if record.get("kind") != UsageKind.OBLIGATION_FULFILLED:
                continue
        except (ValueError, AttributeError, RecursionError):
            continue  # the audit names the record that cannot be read
        agreement, other = record.get("agreement"), record.get("counterparty")
        if isinstance(agreement, str) and agreement:
            agreements[agreement] = None
            if isinstance(other, str) and other:
                signers[other] = None
    return list(agreements), list(signers)


def _document(http: Http, did: str) -> DidDocument:
    where = did_url(did, plain_http=did_host(did) in ("localhost", "127.0.0.1"))
    reply = http.get(where, most=MOST_DOCUMENT)
    if not reply.ok:
        raise NotFound(f"{where} answered {reply.status}")
    document = DidDocument.read(reply.json())
    if document.id != did:
        raise Malformed(f"{where} is the document of {document.id[:120]!r}")
    return document


def merged(earlier: Documents, later: Documents) -> dict[str, Sequence[DidDocument]]:
    """Return what was seen of each participant, earlier and later, each different document once."""
    found: dict[str, Sequence[DidDocument]] = {}
    for did in (*earlier, *later):
        both = (*earlier.get(did, ()), *later.get(did, ()))
        different = {json.dumps(one.wire(), sort_keys=True): one for one in both}
        found[did] = tuple(different.values())[-MOST_KEPT:]
    return found


def save_shown(shown: Shown, folder: Path) -> None:
    """Write receipts over those of an earlier copy; of documents everything that was ever seen stays."""
    known = merged(load_signers(folder), shown.documents)
    _write(folder / _RECEIPTS, shown.receipts)
    _write(folder / _SIGNERS, [one for documents in known.values() for one in documents])


def load_shown(folder: Path) -> Shown:
    """Read what a copy holds; what cannot be read is left for the audit to name."""
    return Shown(tuple(_read(folder / _RECEIPTS, HeldReceipt.read)), load_signers(folder))


def load_signers(folder: Path) -> Documents:
    """Read the documents that a copy holds."""
    found: dict[str, Sequence[DidDocument]] = {}
    for document in _read(folder / _SIGNERS, DidDocument.read):
        found[document.id] = (*found.get(document.id, ()), document)
    return found


def _write(file: Path, documents: Iterable[Document]) -> None:
    lines = [json.dumps(one.wire(), ensure_ascii=False) + "\n" for one in documents]
    file.write_text("".join(lines), encoding="utf-8", newline="\n")


def _read(file: Path, read: Callable[[Any], Any]) -> Iterator[Any]:
    for line in file.read_bytes().split(b"\n") if file.is_file() else ():
        try:
            yield read(json.loads(line))
        except (ValueError, DataspaceError, RecursionError):
            continue
