"""The log is for everybody, the records behind it for auditors."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from connector.trust.ports import Caller
from policies.evidence.commitment import opens
from policies.evidence.note import VerifierKey, verify_note
from policies.evidence.tiles import verify_tiles
from schemas.binding.client import Egress, Http, Reply
from schemas.errors import NotFound
from tests.audited import Audited
from tests.policy_builders import LAB
from tests.world import Wire

AUDITOR = "Bearer theirs"


class Door:
    """The evidence door of one participant."""

    def __init__(self, hospital: Audited, http: Http) -> None:
        self.hospital, self._http = hospital, http

    def get(self, path: str, authorization: str | None = None) -> Reply:
        headers = {"Authorization": authorization} if authorization else {}
        return self._http.get(f"{self.hospital.url}/evidence/{path}", headers)


@pytest.fixture
def door(tmp_path: Path, portal: BlockingPortal) -> Iterator[Door]:
    wire, hospital = Wire(portal), Audited(tmp_path)
    hospital.live()
    hospital.auditors[AUDITOR] = Caller("did:web:auditor.example", frozenset({"auditor"}))
    hospital.auditors["Bearer lab"] = Caller(LAB, frozenset({"consumer"}))
    wire.apps["localhost:8109"] = hospital.app()
    http = Http(Egress(), transport=wire)
    yield Door(hospital, http)
    http.close()
    hospital.stores.close()


def test_anybody_can_verify_the_log_without_seeing_a_record(door: Door) -> None:
    described = door.get("log.json").json()
    assert (described["did"], described["size"], described["origin"]) == (
        door.hospital.did,
        8,
        "localhost:8109/usage",
    )
    verify_note(door.get("checkpoint").body, [VerifierKey.parse(described["vkey"])])
    head = door.hospital.log.head()
    assert head is not None

    def read(path: str) -> bytes:
        reply = door.get(path)
        if reply.status == 404:
            raise NotFound(path)
        assert LAB.encode() not in reply.body
        return reply.body

    verify_tiles(head.size, head.root, read)


def test_a_log_without_a_checkpoint_says_so(tmp_path: Path, portal: BlockingPortal) -> None:
    wire, hospital = Wire(portal), Audited(tmp_path)
    wire.apps["localhost:8109"] = hospital.app()
    http = Http(Egress(), transport=wire)
    assert Door(hospital, http).get("checkpoint").status == 404
    assert Door(hospital, http).get("log.json").json()["size"] == 0
    http.close()
    hospital.stores.close()


@pytest.mark.parametrize(
    "path", ["entries", "entries?start=2", "agreements/urn:uuid:agreement-1", "agreements/x"]
)
def test_records_and_agreements_are_for_auditors_only(door: Door, path: str) -> None:
    assert door.get(path).status == 401
    assert door.get(path, "Bearer nonsense").status == 401
    refused = door.get(path, "Bearer lab")
    assert refused.status == 403
    assert "auditors" in refused.json()["detail"]


def test_an_auditor_sees_records_that_open_the_commitments(door: Door) -> None:
    entries = door.get("entries?start=2&most=3", AUDITOR).json()["entries"]
    assert [entry["index"] for entry in entries] == [2, 3, 4]
    commitments = door.hospital.stores.usage.entry_bytes(2, 5)
    for entry, commitment in zip(entries, commitments, strict=True):
        assert opens(commitment, entry["record"].encode(), base64.b64decode(entry["salt"]))
        assert json.loads(entry["record"])["log"] == door.hospital.did


def test_a_mandate_in_a_bearer_token_opens_the_same_door(door: Door) -> None:
    token = door.hospital.evidence_url().partition("mandate=")[2]
    assert door.get("entries", f"Bearer {token}").status == 200


def test_an_auditor_sees_an_agreement_and_an_unknown_one_is_not_found(door: Door) -> None:
    shown = door.get("agreements/urn:uuid:agreement-1", AUDITOR).json()
    assert shown["agreement"]["@id"] == "urn:uuid:agreement-1"
    assert shown["digest"].startswith("sha256:")
    assert door.get("agreements/urn:uuid:nowhere", AUDITOR).status == 404


@pytest.mark.parametrize(
    "query", ["start=-1", "start=x", "most=0", "most=100000", "start=99999999999999999999999"]
)
def test_a_page_out_of_bounds_is_refused(door: Door, query: str) -> None:
    assert door.get(f"entries?{query}", AUDITOR).status in (400, 422)


@pytest.mark.parametrize(
    "path", ["tile/0/../../stores.db", "tile/0/0", "tile/x", "tile/0/000.p/0", "tile/0/..%2f..%2fstores.db"]
)
def test_a_path_that_names_no_tile_is_refused(door: Door, path: str) -> None:
    assert door.get(path).status in (400, 404)


def test_full_tiles_may_be_kept_and_partial_ones_may_not(door: Door) -> None:
    def caching(path: str) -> Any:
        return door.get(path).headers["cache-control"]

    assert caching("tile/0/000.p/8") == "no-cache"
    assert caching("checkpoint") == "no-cache"
    many = [door.hospital.log.record("asset.published") for _ in range(300)]  # type: ignore[arg-type]
    door.hospital.log.append(*many)
    door.hospital.log.step()
    assert "immutable" in caching("tile/0/000")
