"""An auditor with nothing but URLs, and with nothing but a copy."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.auditor import audit_copy, audit_url, audit_urls, fetch, load_copy, save_copy
from policies.findings import Check
from schemas.binding.client import Egress, Http
from schemas.errors import Malformed, NotFound, PeerRefused, PeerUnavailable
from schemas.identity import document_for, generate_key
from schemas.usage import UsageKind
from tests.audited import Audited
from tests.policy_builders import LAB, RESEARCH
from tests.world import Wire


@pytest.fixture
def wire(portal: BlockingPortal) -> Wire:
    return Wire(portal)


@pytest.fixture
def http(wire: Wire) -> Iterator[Http]:
    client = Http(Egress(), transport=wire)
    yield client
    client.close()


@pytest.fixture
def hospital(tmp_path: Path, wire: Wire) -> Iterator[Audited]:
    made = Audited(tmp_path)
    made.live()
    wire.apps["localhost:8109"] = made.app()
    yield made
    made.stores.close()


def test_urls_are_enough_to_say_who_used_what(hospital: Audited, http: Http) -> None:
    (report,) = audit_urls([hospital.evidence_url()], http)
    assert report.holds, report.findings
    assert (report.did, report.size, report.decisions, report.agreements) == (hospital.did, 8, 2, 1)
    (use,) = report.uses
    assert (use.counterparty, use.purpose, use.agreement) == (LAB, RESEARCH, hospital.agreed.id)
    assert (use.rows, use.streams) == (350, 2)


def test_a_log_of_many_pages_and_tiles_is_fetched_whole(hospital: Audited, http: Http) -> None:
    many = [hospital.log.record(UsageKind.ASSET_PUBLISHED, dataset=f"urn:{at}") for at in range(1200)]
    hospital.log.append(*many)
    hospital.log.step()
    report = audit_url(hospital.evidence_url(), http)
    assert report.holds, report.findings
    assert report.size == 1208


def test_a_log_that_grows_while_it_is_fetched_still_holds(hospital: Audited, http: Http, wire: Wire) -> None:
    def grow(request: object) -> None:
        if str(getattr(request, "url", "")).endswith("/checkpoint"):
            return
        told = [hospital.log.record(UsageKind.ASSET_PUBLISHED, dataset="urn:x") for _ in range(130)]
        hospital.log.append(*told)
        hospital.log.step()

    wire.faults.append(grow)
    report = audit_url(hospital.evidence_url(), http)
    assert report.holds, report.findings


def test_without_a_mandate_records_are_refused_with_what_to_do(hospital: Audited, http: Http) -> None:
    with pytest.raises(PeerRefused, match="ask the participant for a new one"):
        audit_url(hospital.evidence_url().partition("#")[0], http)
    with pytest.raises(PeerRefused):
        audit_url(hospital.url + "/evidence#mandate=nonsense", http)


@pytest.mark.parametrize("url", ["", "localhost:8109", "ftp://x/evidence", "file:///etc/passwd"])
def test_what_is_no_evidence_url_is_said_so_without_showing_the_mandate(http: Http, url: str) -> None:
    with pytest.raises(Malformed, match="evidence") as caught:
        audit_url(url + "#mandate=open-sesame", http)
    assert "open-sesame" not in str(caught.value)


def test_a_log_signed_by_another_key_than_the_did_document_lists_is_found(
    hospital: Audited, http: Http, wire: Wire
) -> None:
    other, real = FastAPI(), hospital.app()
    document = document_for(hospital.did, generate_key()).wire()
    other.add_api_route("/.well-known/did.json", lambda: document)
    other.mount("/", real)
    wire.apps["localhost:8109"] = other
    assert audit_url(hospital.evidence_url(), http).failed(Check.SIGNATURE)


def test_a_log_shown_by_another_host_than_its_participants_is_found(
    hospital: Audited, http: Http, wire: Wire
) -> None:
    wire.apps["localhost:9999"] = wire.apps["localhost:8109"]
    report = audit_url(hospital.evidence_url().replace("8109", "9999"), http)
    assert {finding.check for finding in report.findings} == {Check.SIGNATURE}


def test_a_peer_that_is_down_is_said_so(http: Http) -> None:
    with pytest.raises(PeerUnavailable):
        audit_url("http://localhost:1/evidence#mandate=x", http)


# --- copies ------------------------------------------------------------------------------------------


def test_a_copy_can_be_audited_without_the_network(hospital: Audited, http: Http, tmp_path: Path) -> None:
    save_copy(fetch(hospital.evidence_url(), http), tmp_path / "copy")
    report = audit_copy(tmp_path / "copy")
    assert report == audit_url(hospital.evidence_url(), http)
    assert report.holds


def test_a_copy_never_holds_the_mandate(hospital: Audited, http: Http, tmp_path: Path) -> None:
    url = hospital.evidence_url()
    audit_url(url, http, tmp_path / "copies")
    token = url.partition("mandate=")[2].encode()
    for file in (tmp_path / "copies").rglob("*"):
        assert file.is_dir() or token not in file.read_bytes()


def test_a_flipped_byte_in_a_copied_record_is_caught_and_the_entry_named(
    hospital: Audited, http: Http, tmp_path: Path
) -> None:
    save_copy(fetch(hospital.evidence_url(), http), tmp_path)
    file = tmp_path / "records.jsonl"
    lines = file.read_bytes().split(b"\n")
    at = lines[5].index(b"rowsBefore") + 2
    lines[5] = lines[5][:at] + bytes([lines[5][at] ^ 1]) + lines[5][at + 1 :]
    file.write_bytes(b"\n".join(lines))
    report = audit_copy(tmp_path)
    assert not report.holds
    assert {finding.entry for finding in report.findings if finding.check is Check.TREE} == {5}
    assert "entry 5" in str(report.findings[0])


def test_a_salt_that_is_spelled_in_another_way_is_caught_and_the_entry_named(
    hospital: Audited, http: Http, tmp_path: Path
) -> None:
    save_copy(fetch(hospital.evidence_url(), http), tmp_path)
    file = tmp_path / "records.jsonl"
    lines = file.read_bytes().split(b"\n")
    last = lines[3].rindex(b'="') - 1
    alphabet = (string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/").encode()
    spelled = alphabet[alphabet.index(lines[3][last]) + 1]  # differs in a bit that stands for nothing
    lines[3] = lines[3][:last] + bytes([spelled]) + lines[3][last + 1 :]
    file.write_bytes(b"\n".join(lines))
    report = audit_copy(tmp_path)
    assert not report.holds
    assert 3 in {finding.entry for finding in report.findings}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_anywhere_in_a_copied_log_is_caught(
    data: st.DataObject, hospital: Audited, http: Http, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    if not folder.exists():
        save_copy(fetch(hospital.evidence_url(), http), folder)
    entries = [
        folder / "records.jsonl",
        *sorted(file for file in (folder / "tile").rglob("*") if file.is_file()),
    ]
    file = data.draw(st.sampled_from([*entries, folder / "checkpoint"]), label="file")
    good = file.read_bytes()
    at, bit = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 7))
    file.write_bytes(good[:at] + bytes([good[at] ^ (1 << bit)]) + good[at + 1 :])
    try:
        report = audit_copy(folder)
        assert not report.holds
        assert file.name == "checkpoint" or any(finding.entry is not None for finding in report.findings)
    except Malformed:
        if file.name != "checkpoint":  # without a checkpoint there is nothing to audit against
            raise
    finally:
        file.write_bytes(good)


def test_an_auditor_remembers_what_it_saw_and_finds_a_rewritten_log(
    hospital: Audited, http: Http, wire: Wire, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    assert audit_url(hospital.evidence_url(), http, copies).holds
    hospital.read("urn:stream:3", 10)
    hospital.log.step()
    assert audit_url(hospital.evidence_url(), http, copies).holds
    (tmp_path / "other").mkdir()
    forged = Audited(tmp_path / "other")
    forged.key = hospital.key
    forged.log = type(forged.log)(
        store=forged.stores.usage,
        key=hospital.key,
        origin=hospital.log.origin,
        did=hospital.did,
        clock=forged.clock,
        new_id=lambda: f"urn:uuid:forged-{next(forged._numbers)}",
        tiles=forged.log._tiles,
        progress=forged.log._progress,
    )
    forged.live()
    forged.read("urn:stream:3", 10)
    forged.read("urn:stream:4", 10)
    forged.log.step()
    wire.apps["localhost:8109"] = forged.app()
    for _ in range(2):  # what contradicts the past does not become the past
        report = audit_url(forged.evidence_url(), http, copies)
        assert {finding.check for finding in report.findings} == {Check.HISTORY}
    wire.apps["localhost:8109"] = hospital.app()
    assert audit_url(hospital.evidence_url(), http, copies).holds
    forged.stores.close()


def test_a_folder_without_a_copy_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no copy of a log"):
        load_copy(tmp_path)
