"""Commitments."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.evidence.commitment import ERASURE_NOTICE, KEY_EVENT, RECORD, SHARD_HEADER, commit, opens
from schemas.errors import Malformed

SALTS = st.binary(min_size=32, max_size=32)


def test_an_entry_is_a_prefix_and_the_salted_hash_of_the_record() -> None:
    salt = bytes(range(32))
    assert commit(b"{}", salt) == b"\x01" + sha256(b"dsaudit/v1\n" + salt + b"{}").digest()
    assert (RECORD, SHARD_HEADER, KEY_EVENT, ERASURE_NOTICE) == (b"\x01", b"\x02", b"\x03", b"\x04")


@given(st.binary(max_size=64), SALTS, st.integers(0))
@settings(max_examples=40, deadline=None)
def test_a_commitment_opens_with_its_record_and_salt_and_with_nothing_else(
    record: bytes, salt: bytes, bit: int
) -> None:
    entry = commit(record, salt)
    assert len(entry) == 33
    assert opens(entry, record, salt)
    assert not opens(entry, record + b" ", salt)
    for spoiled in (entry, salt):
        changed = bytearray(spoiled)
        changed[bit // 8 % len(changed)] ^= 1 << bit % 8
        assert not opens(
            *((bytes(changed), record, salt) if spoiled is entry else (entry, record, bytes(changed)))
        )


def test_a_salt_of_the_wrong_length_commits_to_nothing_and_opens_nothing() -> None:
    with pytest.raises(Malformed, match="32 bytes, not 31"):
        commit(b"{}", bytes(31))
    assert not opens(commit(b"{}", bytes(32)), b"{}", bytes(31))
    assert not opens(b"", b"{}", bytes(32))
