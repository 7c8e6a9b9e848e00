"""Signed notes, their keys, and cosignatures."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.evidence.note import (
    MAX_NOTE_BYTES,
    Algorithm,
    Note,
    Signature,
    Signed,
    SigningKey,
    VerifierKey,
    cosign,
    sign,
    verify_note,
)
from schemas.errors import DataspaceError, EvidenceBroken, Malformed
from tests.shared_data import shared_data

LOG = SigningKey("log.example/1", Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
OTHER = SigningKey("log.example/2", Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32))
WITNESS = SigningKey(
    "witness.example/w", Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32), Algorithm.COSIGNATURE
)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEXT = "log.example/1\n1\nAAAA\n"
SIGNED = sign(TEXT, LOG)


def published() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        shared_data("transparency-log", "signed-note", "note-cases.json").read_text()
    )
    return loaded


def cross_checked() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        shared_data("transparency-log", "cross-checked", "tlog-70000.json").read_text()
    )
    return loaded


def test_every_published_note_is_judged_as_published() -> None:
    cases = published()["cases"]
    assert len(cases) == 12
    for case in cases:
        known = [VerifierKey.parse(vkey) for vkey in case["vkeys"]]
        expected = {
            "malformed": Malformed,
            "invalid signature": EvidenceBroken,
            "no verifiable signatures": EvidenceBroken,
        }
        if "error" in case:
            with pytest.raises(expected[case["error"]]):
                verify_note(case["note"], known)
        else:
            verdict = verify_note(case["note"], known)
            assert [signed.key.name for signed in verdict.verified] == case["verified"]
            assert [signature.name for signature in verdict.unknown] == case["unverified"]


def test_every_published_bad_vkey_is_refused() -> None:
    for vkey in published()["bad_vkeys"]:
        with pytest.raises(Malformed):
            VerifierKey.parse(vkey)


def test_the_published_byte_that_is_not_utf_8_is_refused() -> None:
    prefix = bytes.fromhex(published()["invalid_utf8_case_hex_prefix"])
    with pytest.raises(Malformed, match="UTF-8"):
        Note.parse(prefix + published()["cases"][0]["note"].encode())


def test_the_cross_checked_checkpoints_come_out_byte_for_byte() -> None:
    known = cross_checked()
    log, witness = VerifierKey.parse(known["log_vkey"]), VerifierKey.parse(known["witness_vkey"])
    log_key = SigningKey(
        log.name, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(known["log_ed25519_seed_hex"]))
    )
    witness_key = SigningKey(
        witness.name,
        Ed25519PrivateKey.from_private_bytes(bytes.fromhex(known["witness_ed25519_seed_hex"])),
        Algorithm.COSIGNATURE,
    )
    assert (log_key.verifier, witness_key.verifier) == (log, witness)
    at = datetime.fromtimestamp(known["witness_time"], UTC)
    for note in known["checkpoints"].values():
        text = Note.parse(note).text
        assert sign(text, log_key) + cosign(text, witness_key, at) == note
        assert verify_note(note, [log, witness]).verified == (Signed(log), Signed(witness, at))


@pytest.mark.parametrize("key", [LOG, WITNESS])
def test_keys_come_back_as_they_were_written(key: SigningKey) -> None:
    assert VerifierKey.parse(key.verifier.encode()) == key.verifier
    assert SigningKey.parse(key.encode()).verifier == key.verifier
    assert key.encode().startswith("PRIVATE+KEY+" + key.name)


@given(st.integers(0), st.integers(0, 127))
@settings(max_examples=80, deadline=None)
def test_any_changed_or_missing_character_of_a_key_is_refused(at: int, other: int) -> None:
    for encoded, parse in ((LOG.verifier.encode(), VerifierKey.parse), (LOG.encode(), SigningKey.parse)):
        here = at % len(encoded)
        changed = encoded[:here] + chr(other) + encoded[here + 1 :]
        for wrong in (changed, encoded[:here], encoded[here + 1 :]):
            if wrong != encoded:
                with pytest.raises(Malformed):
                    parse(wrong)


def test_a_secret_is_shown_neither_by_its_key_nor_by_the_error_about_it() -> None:
    secret = b64encode(b"\x01" + bytes([7]) * 32).decode()
    assert secret in LOG.encode()
    assert secret not in repr(LOG)
    with pytest.raises(Malformed) as refused:
        SigningKey.parse(LOG.encode()[:-1] + "!")
    assert secret[:20] not in str(refused.value)
    assert refused.value.__context__ is None


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\u2028b", "a\x01b"])
def test_a_key_name_that_would_break_its_line_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        VerifierKey(name, bytes(32))
    with pytest.raises(Malformed):
        SigningKey(name, LOG.private)


@given(st.integers(0), st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_any_flipped_bit_of_a_note_is_refused(at: int, bit: int) -> None:
    spoiled = bytearray(SIGNED.encode())
    spoiled[at % len(spoiled)] ^= 1 << bit
    with pytest.raises((Malformed, EvidenceBroken)):
        verify_note(bytes(spoiled), [LOG.verifier])


@given(st.integers(0))
@settings(max_examples=50, deadline=None)
def test_a_note_that_was_cut_short_is_refused(at: int) -> None:
    with pytest.raises((Malformed, EvidenceBroken)):
        verify_note(SIGNED[: at % len(SIGNED)], [LOG.verifier])


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_arbitrary_bytes_are_refused_in_our_own_words(data: bytes) -> None:
    with pytest.raises(DataspaceError):
        verify_note(data, [LOG.verifier])


def test_unknown_keys_are_skipped_but_a_known_one_that_fails_spoils_the_note() -> None:
    note = sign(TEXT, LOG, OTHER)
    verdict = verify_note(note, [LOG.verifier])
    assert verdict.verified == (Signed(LOG.verifier),)
    assert [signature.name for signature in verdict.unknown] == [OTHER.name]
    forged = SIGNED + Signature(OTHER.name, OTHER.verifier.key_id, bytes(64)).line()
    assert verify_note(forged, [LOG.verifier]).verified == (Signed(LOG.verifier),)
    with pytest.raises(EvidenceBroken, match=OTHER.name):
        verify_note(forged, [LOG.verifier, OTHER.verifier])
    with pytest.raises(EvidenceBroken, match="no known key signed"):
        verify_note(note, [])


def test_a_key_of_the_same_name_is_another_key() -> None:
    namesake = SigningKey(LOG.name, OTHER.private)
    with pytest.raises(EvidenceBroken, match="no known key"):
        verify_note(SIGNED, [namesake.verifier])


def test_a_note_may_carry_up_to_100_signatures() -> None:
    line = SIGNED.removeprefix(TEXT + "\n")
    assert len(Note.parse(SIGNED + line * 99).signatures) == 100
    assert verify_note(SIGNED + line * 99, [LOG.verifier]).verified == (Signed(LOG.verifier),)
    with pytest.raises(Malformed, match="101 signatures"):
        Note.parse(SIGNED + line * 100)


def test_a_note_may_hold_empty_lines_and_ends_its_text_at_the_last() -> None:
    text = "one\n\n\n— not.a.signature AAAA\n\ntwo\n"
    assert verify_note(sign(text, LOG), [LOG.verifier]).text == text


@pytest.mark.parametrize("text", ["", "no newline", "tab\there\n", "line\u0000\n", "return\r\n"])
def test_a_text_that_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(Malformed):
        sign(text, LOG)


def test_a_note_without_signer_or_past_the_bound_is_refused() -> None:
    with pytest.raises(Malformed):
        sign(TEXT)
    with pytest.raises(Malformed, match="past the bound"):
        Note.parse("a" * MAX_NOTE_BYTES + "\n" + SIGNED)
    with pytest.raises(Malformed, match="UTF-8"):
        Note.parse("\ud800" + SIGNED)


@pytest.mark.parametrize(
    "line", ["— x AAAA\n", "— x AAAAAA=\n", "— x AAAAAAB=\n", "— x  AAAAAAAA\n", "- x AAAAAAAA\n"]
)
def test_a_signature_line_is_read_strictly(line: str) -> None:
    Note.parse(TEXT + "\n— x AAAAAAAA\n")
    with pytest.raises(Malformed):
        Note.parse(TEXT + "\n" + line)


def test_a_cosignature_says_when_and_holds_for_no_other_time() -> None:
    line = cosign(TEXT, WITNESS, NOON + timedelta(microseconds=999_999))
    assert verify_note(SIGNED + line, [WITNESS.verifier]).verified == (Signed(WITNESS.verifier, NOON),)
    signature = Note.parse(SIGNED + line).signatures[1]
    later = (int.from_bytes(signature.value[:8], "big") + 1).to_bytes(8, "big")
    for value in (
        later + signature.value[8:],
        b"\xff" * 8 + signature.value[8:],
        signature.value[:8],
        b"\x00",
    ):
        moved = Signature(signature.name, signature.key_id, value).line()
        with pytest.raises(EvidenceBroken):
            verify_note(SIGNED + moved, [WITNESS.verifier])


def test_a_cosignature_is_the_same_in_every_time_zone() -> None:
    assert cosign(TEXT, WITNESS, NOON) == cosign(TEXT, WITNESS, NOON.astimezone(timezone(timedelta(hours=5))))


@pytest.mark.parametrize("at", [NOON.replace(tzinfo=None), datetime(1969, 12, 31, tzinfo=UTC)])
def test_a_time_that_means_nothing_is_not_cosigned(at: datetime) -> None:
    with pytest.raises(Malformed):
        cosign(TEXT, WITNESS, at)


def test_a_key_signs_in_its_own_way_only() -> None:
    with pytest.raises(Malformed, match="use cosign"):
        sign(TEXT, WITNESS)
    with pytest.raises(Malformed, match="not cosignatures"):
        cosign(TEXT, LOG, NOON)


def test_a_plain_signature_is_not_taken_for_a_cosignature() -> None:
    both = SigningKey(LOG.name, LOG.private, Algorithm.COSIGNATURE)
    assert both.verifier.key_id != LOG.verifier.key_id
    plain = Note.parse(SIGNED).signatures[0]
    disguised = Signature(plain.name, both.verifier.key_id, bytes(8) + plain.value).line()
    with pytest.raises(EvidenceBroken):
        verify_note(TEXT + "\n" + disguised, [both.verifier])
