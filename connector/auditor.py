"""The auditor's hand: fetch a log with everything behind it, keep a copy, and let the pure rules judge it.

None of the participant's services is trusted. Its DID document says which key may sign its log; whatever else
it answers is compared with what that key signed.

A copy is a folder: `log.json`, `did.json`, `checkpoint`, `seen` (the last checkpoint that held), the
files below `tile/`, `records.jsonl`, `agreements.jsonl`, `receipts.jsonl`, and in `signers.jsonl` every DID
document that was seen of who signed them: a key that is given up later is known all the same.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from connector.receipts import fetch_receipts, load_shown, load_signers, merged, save_shown
from connector.usage.logkey import verifier_keys
from policies.audit import AuditReport, Evidence, Opened, audit
from policies.evidence.checkpoint import Checkpoint
from policies.evidence.note import MAX_NOTE_BYTES, Note
from policies.evidence.tiles import Bundle, Tile, bundles_for, parse_path, tiles_for
from policies.findings import Check, Finding
from policies.receipts import Shown
from schemas.binding.client import Http, Reply
from schemas.binding.did import MOST_DOCUMENT
from schemas.errors import DataspaceError, Malformed, NotFound, PeerRefused, PeerUnavailable, TooLarge
from schemas.identity import DidDocument, did_host, did_url
from schemas.usage import AgreedTerms, LogDescription, OpenedEntries, OpenedEntry

MOST_ENTRIES = 5_000_000
"""The largest log that is fetched in one go."""
PAGE = 500
_MOST_TILE = 300_000
_MOST_PAGE = PAGE * 30_000
_MOST_AGREEMENT = 1 << 20

_LOG, _DID, _CHECKPOINT, _SEEN = "log.json", "did.json", "checkpoint", "seen"
_RECORDS, _AGREEMENTS = "records.jsonl", "agreements.jsonl"


@dataclass(frozen=True)
class LogCopy:
    """A log as an auditor holds it: described, signed, opened; nothing of it is judged yet."""

    description: LogDescription
    document: DidDocument
    checkpoint: bytes
    files: Mapping[str, bytes] = field(repr=False)
    records: Mapping[int, Opened] = field(repr=False)
    agreements: Mapping[str, AgreedTerms] = field(repr=False)
    seen: bytes | None = None
    notes: tuple[Finding, ...] = ()
    shown: Shown = field(default_factory=Shown, repr=False)

    def judge(self) -> AuditReport:
        """Audit this copy.

        Raises:
            Malformed: if its checkpoint is none.
        """
        size = _checkpoint(self.checkpoint).size
        last = min(size, max(self.records, default=-1) + 1)
        evidence = Evidence(
            did=self.description.did,
            origin=self.description.origin,
            keys=verifier_keys(self.description.origin, self.document),
            checkpoint=self.checkpoint,
            files=self.files,
            records=[self.records.get(place) for place in range(last)],
            agreements=self.agreements,
            seen=_checkpoint(self.seen) if self.seen else None,
            notes=self.notes,
            shown=self.shown,
        )
        return audit(evidence)


def audit_url(url: str, http: Http, copies: Path | None = None, signers: Http | None = None) -> AuditReport:
    """Fetch a log and audit it; with a folder for copies, also against what was seen of it before.

    Args:
        url: Evidence URL with a mandate in its fragment: `https://connector.example/evidence#mandate=…`.
        http: A guarded client.
        copies: Folder that keeps one copy a log.
        signers: The client that fetches the DID documents of those whom the log names; `http` if left out.

    Raises:
        Malformed: if the URL or an answer is not what it should be.
        PeerUnavailable: if something cannot be fetched.
    """
    copy = fetch(url, http, signers)
    if copies is None:
        return copy.judge()
    folder = copies / quote(copy.description.did, safe="")
    known = merged(load_signers(folder), copy.shown.documents)
    copy = replace(copy, seen=_seen(folder), shown=replace(copy.shown, documents=known))
    report = copy.judge()
    save_copy(copy, folder)
    # What contradicts an earlier checkpoint must not take its place.
    if not any(report.failed(check) for check in (Check.SIGNATURE, Check.HISTORY, Check.TREE)):
        (folder / _SEEN).write_bytes(copy.checkpoint)
    return report


def audit_urls(
    urls: Iterable[str], http: Http, copies: Path | None = None, signers: Http | None = None
) -> tuple[AuditReport, ...]:
    """Audit several logs, one report each; see `audit_url`."""
    return tuple(audit_url(url, http, copies, signers) for url in urls)


def audit_copy(folder: Path) -> AuditReport:
    """Audit a copy on disk, without the network.

    Raises:
        NotFound: if the folder holds no copy of a log.
        Malformed: if the parts without which nothing can be checked are not readable.
    """
    return load_copy(folder).judge()


# --- fetching ----------------------------------------------------------------------------------------


def fetch(url: str, http: Http, signers: Http | None = None) -> LogCopy:
    """Fetch a log with its records, agreements and receipts, all bounded.

    Raises:
        Malformed: if the URL or an answer is not what it should be.
        PeerUnavailable: if something cannot be fetched.
    """
    base, headers = _split(url)

    def get(path: str, most: int) -> bytes:
        return _get(http, f"{base}/{path}", headers, most).body

    description = LogDescription.read(_json(get(_LOG, _MOST_AGREEMENT), _LOG))
    document, notes = _document(http, description.did, base)
    checkpoint = get(_CHECKPOINT, MAX_NOTE_BYTES)
    size = _checkpoint(checkpoint).size
    if size > MOST_ENTRIES:
        raise TooLarge(f"{base} has {size} entries; at most {MOST_ENTRIES} are fetched in one audit")
    records = {item.index: opened for item, opened in _fetch_records(get, size)}
    agreements = {}
    for name in _agreements_in(records.values()):
        try:
            agreements[name] = AgreedTerms.read(
                _json(get(f"agreements/{quote(name, safe=':')}", _MOST_AGREEMENT), name)
            )
        except (NotFound, Malformed):
            continue  # the audit says at which entry it is missing
    shown = fetch_receipts(get, signers or http, description.did, records.values())
    return LogCopy(
        description,
        document,
        checkpoint,
        _fetch_files(get, size),
        records,
        agreements,
        notes=notes,
        shown=shown,
    )


def _split(url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        known = "say https://connector.example/evidence#mandate=…"
        raise Malformed(f"{url.partition('#')[0][:120]!r} is not an evidence URL; {known}")
    tokens = parse_qs(parts.fragment).get("mandate", [])
    headers = {"Authorization": f"Bearer {tokens[0]}"} if tokens else {}
    return parts._replace(query="", fragment="").geturl().rstrip("/"), headers


def _get(http: Http, url: str, headers: Mapping[str, str], most: int) -> Reply:
    reply = http.get(url, headers={"Accept": "*/*", **headers}, most=most)
    if reply.status == 404:
        raise NotFound(f"{url} is not there")
    if reply.status in (401, 403):
        raise PeerRefused(
            f"{url} answered {reply.status}: the mandate in the evidence URL is missing, wrong or expired; "
            "ask the participant for a new one",
            peer_status=reply.status,
        )
    if not reply.ok:
        raise PeerUnavailable(f"{url} answered {reply.status}")
    return reply


def _document(http: Http, did: str, base: str) -> tuple[DidDocument, tuple[Finding, ...]]:
    where = did_url(did, plain_http=did_host(did) in ("localhost", "127.0.0.1"))
    document = DidDocument.read(_json(_get(http, where, {}, MOST_DOCUMENT).body, where))
    notes = []
    if document.id != did:
        notes.append(Finding(Check.SIGNATURE, f"{where} is the document of {document.id}, not of {did}"))
    if urlsplit(where).netloc != urlsplit(base).netloc:
        text = f"{urlsplit(base).netloc} shows the log of {did}, which lives at {urlsplit(where).netloc}"
        notes.append(Finding(Check.SIGNATURE, text))
    return document, tuple(notes)


def _fetch_records(get: Callable[[str, int], bytes], size: int) -> Iterator[tuple[OpenedEntry, Opened]]:
    start = 0
    while start < size:
        most = min(PAGE, size - start)
        page = OpenedEntries.read(_json(get(f"entries?start={start}&most={most}", _MOST_PAGE), "entries"))
        wanted = [item for item in page.entries if start <= item.index < start + most]
        if not wanted:
            return  # the audit names what is missing
        for item in wanted:
            opened = _open(item)
            if opened is not None:
                yield item, opened
        start += most


def _fetch_files(get: Callable[[str, int], bytes], size: int) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    named: list[Tile | Bundle] = [*tiles_for(0, size), *bundles_for(0, size)]
    for item in named:
        # A log that has grown meanwhile may have replaced a partial file by the full one.
        for path in dict.fromkeys((item.path, item.full.path)):
            try:
                files[path] = get(path, _MOST_TILE)
                break
            except NotFound:
                continue
    return files


def _agreements_in(records: Iterable[Opened]) -> list[str]:
    found: dict[str, None] = {}
    for record, _ in records:
        try:
            named = json.loads(record).get("agreement")
        except (ValueError, AttributeError, RecursionError):
            continue  # the audit names the record that cannot be read
        if isinstance(named, str) and named:
            found[named] = None
    return list(found)


# --- keeping -----------------------------------------------------------------------------------------


def save_copy(copy: LogCopy, folder: Path) -> None:
    """Write a copy to a folder, over an earlier copy of the same log; what was seen of it before stays."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / _LOG, copy.description.wire())
    _write_json(folder / _DID, copy.document.wire())
    for path, data in copy.files.items():
        file = folder / parse_path(path).path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    lines = [_close(place, opened).wire() for place, opened in sorted(copy.records.items())]
    _write_lines(folder / _RECORDS, lines)
    _write_lines(folder / _AGREEMENTS, [terms.wire() for _, terms in sorted(copy.agreements.items())])
    save_shown(copy.shown, folder)
    (folder / _CHECKPOINT).write_bytes(copy.checkpoint)


def load_copy(folder: Path) -> LogCopy:
    """Read a copy from a folder; a record that cannot be read is left for the audit to name.

    Raises:
        NotFound: if the folder holds no copy of a log.
        Malformed: if the parts without which nothing can be checked are not readable.
    """
    if not (folder / _LOG).is_file():
        raise NotFound(f"{folder} holds no copy of a log; make one with save_copy, or hansa audit --copy")
    checkpoint = (folder / _CHECKPOINT).read_bytes()
    size = _checkpoint(checkpoint).size
    files: dict[str, bytes] = {}
    named: list[Tile | Bundle] = [*tiles_for(0, size), *bundles_for(0, size)]
    for item in named:
        for path in (item.path, item.full.path):
            if (folder / path).is_file():
                files[path] = (folder / path).read_bytes()
    agreements = {}
    for line in (folder / _AGREEMENTS).read_bytes().split(b"\n"):
        try:
            terms = AgreedTerms.read(json.loads(line))
        except (ValueError, DataspaceError, RecursionError):
            continue  # the audit says at which entry it is missing
        agreements[terms.agreement.id] = terms
    return LogCopy(
        LogDescription.read(_json((folder / _LOG).read_bytes(), _LOG)),
        DidDocument.read(_json((folder / _DID).read_bytes(), _DID)),
        checkpoint,
        files,
        dict(_load_records((folder / _RECORDS).read_bytes().split(b"\n"))),
        agreements,
        _seen(folder),
        shown=load_shown(folder),
    )


def _seen(folder: Path) -> bytes | None:
    held = folder / _SEEN
    return held.read_bytes() if held.is_file() else None


def _load_records(lines: Sequence[bytes]) -> Iterator[tuple[int, Opened]]:
    for line in lines:
        try:
            item = OpenedEntry.read(json.loads(line))
        except (ValueError, DataspaceError, RecursionError):
            continue  # the audit names the entry that is missing
        opened = _open(item)
        if opened is not None:
            yield item.index, opened


def _open(item: OpenedEntry) -> Opened | None:
    try:
        salt = base64.b64decode(item.salt, validate=True)
    except (binascii.Error, ValueError):
        return None
    # The last bits of base64 may be unused: another spelling of the same salt is a changed copy all the same.
    return (item.record.encode(), salt) if base64.b64encode(salt).decode() == item.salt else None


def _close(place: int, opened: Opened) -> OpenedEntry:
    record, salt = opened
    return OpenedEntry(index=place, record=record.decode(), salt=base64.b64encode(salt).decode())


def _checkpoint(note: bytes) -> Checkpoint:
    return Checkpoint.parse(Note.parse(note).text)


def _json(data: bytes, what: str) -> object:
    try:
        document: object = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed(f"{what} is not JSON") from None
    return document


def _write_json(file: Path, document: object) -> None:
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _write_lines(file: Path, documents: Iterable[object]) -> None:
    lines = [json.dumps(document, ensure_ascii=False) + "\n" for document in documents]
    file.write_text("".join(lines), encoding="utf-8", newline="\n")
