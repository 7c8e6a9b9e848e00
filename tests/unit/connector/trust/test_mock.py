"""EDC's mock identity: believed where it was asked for, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connector.settings import load
from connector.trust.mock import MockTrust
from schemas.errors import Misconfigured, Unauthenticated

TEST = 'trust = "edc-mock"\nprofile = "test"\n'


def test_a_header_as_edc_sends_it_is_believed() -> None:
    caller = MockTrust("did:web:me").admit('{"region":"eu","audience":null,"clientId":"provider"}')
    assert caller.id == "provider"
    assert caller.roles == {"provider", "consumer"}


def test_a_header_as_the_conformance_kit_sends_it_is_believed() -> None:
    quoted = json.dumps(json.dumps({"region": "eu", "audience": "x", "clientId": "TCK_PARTICIPANT"}))
    assert MockTrust("did:web:me").admit(quoted).id == "TCK_PARTICIPANT"


def test_what_we_send_is_what_the_other_side_reads() -> None:
    header = MockTrust("did:web:me").prove("provider")
    assert json.loads(header) == {"region": "eu", "audience": "provider", "clientId": "did:web:me"}
    assert MockTrust("did:web:you").admit(header).id == "did:web:me"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer abc",
        "{}",
        "[]",
        '{"clientId": 7}',
        '{"clientId": ""}',
        '{"clientId": "a\\u0000b"}',
        "[" * 3000,
    ],
)
def test_a_header_that_claims_nothing_is_refused(header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="edc-mock"):
        MockTrust("did:web:me").admit(header)


def test_an_endless_header_is_refused_with_both_sizes() -> None:
    with pytest.raises(Unauthenticated, match="5000 characters; at most 4096"):
        MockTrust("did:web:me").admit("x" * 5000)


@pytest.mark.parametrize(
    "lines",
    [
        'trust = "edc-mock"\n',
        TEST + 'host = "0.0.0.0"\n',
        TEST + 'public_url = "https://data.example.org"\n',
    ],
)
def test_settings_refuse_it_outside_a_test_profile_on_loopback(tmp_path: Path, lines: str) -> None:
    file = tmp_path / "hansa.toml"
    file.write_text(lines, encoding="utf-8")
    with pytest.raises(Misconfigured, match="needs profile 'test' and loopback addresses"):
        load(file)


def test_settings_take_it_in_a_test_profile_on_loopback(tmp_path: Path) -> None:
    file = tmp_path / "hansa.toml"
    file.write_text(TEST, encoding="utf-8")
    assert load(file).trust == "edc-mock"
