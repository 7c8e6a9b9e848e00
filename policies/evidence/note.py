"""Signed notes: a text, and below it the signatures of those who stand by it.

```
connector.example/audit/2026                     ┐
20852163                                         │ the text; what it says is the business of `checkpoint`
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=     ┘

— connector.example/audit/2026 Az3grlgt…         a signature: Ed25519 over the text
— witness.example/w1 3xwKNQAA…                   a cosignature: a time, and Ed25519 over time and text
```

A signature line names its key twice, by name and by key id. Lines of unknown keys are skipped; a known key
whose signature fails spoils the whole note.

Source: C2SP signed-note, tlog-cosignature.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.errors import EvidenceBroken, Malformed

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100

_DASH = "\N{EM DASH} "
_SECRET = "PRIVATE+KEY+"  # noqa: S105  the public prefix of every encoded signing key
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Algorithm(IntEnum):
    """How a key signs; the byte that stands in its encoding and in its key id."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name it signs under.

    Args:
        name: Key name; for a log its origin.
        public: The 32 bytes of the Ed25519 key.
        algorithm: What its signatures look like.

    Raises:
        Malformed: The name or the key cannot be one.
    """

    name: str
    public: bytes
    algorithm: Algorithm = Algorithm.ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != 32:
            raise Malformed(f"the Ed25519 key of {self.name!r} has {len(self.public)} bytes, not 32")

    @property
    def key_id(self) -> bytes:
        """The four bytes that name this key in a signature line."""
        return sha256(f"{self.name}\n".encode() + bytes((self.algorithm,)) + self.public).digest()[:4]

    def encode(self) -> str:
        """Write the key as a vkey: name, key id and key, joined by plus signs."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes((self.algorithm,)) + self.public)}"

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read a vkey.

        Raises:
            Malformed: It is not one, is of an unknown algorithm, or its key id is not that of its key.
        """
        name, algorithm, public = _parse_key(vkey)
        key = cls(name, public, algorithm)
        if key.encode() != vkey:
            raise Malformed(f"vkey {vkey[:200]!r} does not agree with itself; its key makes {key.encode()!r}")
        return key


@dataclass(frozen=True)
class SigningKey:
    """A private key with the name it signs under; printing it never shows the secret."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)
    algorithm: Algorithm = Algorithm.ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw(), self.algorithm)

    def encode(self) -> str:
        """Write the key as an skey. The result is a secret."""
        seed = bytes((self.algorithm,)) + self.private.private_bytes_raw()
        return f"{_SECRET}{self.name}+{self.verifier.key_id.hex()}+{to_base64(seed)}"

    @classmethod
    def parse(cls, skey: str) -> SigningKey:
        """Read an skey.

        Raises:
            Malformed: It is not one; the message never repeats it.
        """
        try:
            name, algorithm, seed = _parse_key(skey.removeprefix(_SECRET))
            key = cls(name, Ed25519PrivateKey.from_private_bytes(seed), algorithm)
            if key.encode() == skey:
                return key
        except (Malformed, ValueError):
            pass  # what went wrong would quote the secret
        raise Malformed("not a signing key; say PRIVATE+KEY+<name>+<key id>+<base64>, as `encode` writes it")


@dataclass(frozen=True)
class Signature:
    """One signature line as it stands in a note; nothing is known about it yet."""

    name: str
    key_id: bytes
    value: bytes = field(repr=False)

    def line(self) -> str:
        """Write the line, with its newline."""
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.value)}\n"


@dataclass(frozen=True)
class Signed:
    """A signature that holds: whose it is and, for a cosignature, when it was made."""

    key: VerifierKey
    at: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """What a set of known keys says about a note.

    Args:
        text: The text of the note.
        verified: Signatures of known keys that hold.
        failed: Known keys whose signature does not hold.
        unknown: Signatures of keys that are not known.
    """

    text: str
    verified: tuple[Signed, ...]
    failed: tuple[VerifierKey, ...]
    unknown: tuple[Signature, ...]


@dataclass(frozen=True)
class Note:
    """A text and the signature lines below it."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> str:
        """Write the note."""
        return self.text + "\n" + "".join(signature.line() for signature in self.signatures)

    @classmethod
    def parse(cls, note: str | bytes) -> Note:
        """Read a note without judging its signatures.

        Raises:
            Malformed: It is not a signed note, or has more than `MAX_SIGNATURES` lines of signatures.
        """
        text, lines = _split_note(note)
        if len(lines) > MAX_SIGNATURES:
            raise Malformed(f"a note with {len(lines)} signatures is past the bound of {MAX_SIGNATURES}")
        return cls(text, tuple(_parse_line(line) for line in lines))

    def judge(self, known: Iterable[VerifierKey]) -> Verdict:
        """Check every signature of a known key, and say how it went.

        Raises:
            Malformed: Two different known keys share name and key id; no signature could be told apart.
        """
        by_name: dict[tuple[str, bytes], VerifierKey] = {}
        for key in known:
            if by_name.setdefault((key.name, key.key_id), key) != key:
                raise Malformed(f"two known keys are called {key.name}+{key.key_id.hex()}; drop one of them")
        verified, failed, unknown = [], [], []
        for signature in self.signatures:
            signer = by_name.get((signature.name, signature.key_id))
            if signer is None:
                unknown.append(signature)
            elif (signed := _check_signature(signer, self.text, signature.value)) is None:
                failed.append(signer)
            elif signed not in verified:
                verified.append(signed)
        return Verdict(self.text, tuple(verified), tuple(failed), tuple(unknown))


def sign(text: str, *keys: SigningKey) -> str:
    """Sign a text: the whole note.

    Raises:
        Malformed: The text cannot be signed as a note, no key is given, or one makes cosignatures.
    """
    for key in keys:
        if key.algorithm is not Algorithm.ED25519:
            raise Malformed(f"{key.name} makes cosignatures, which need a time; use cosign")
    made = [Signature(key.name, key.verifier.key_id, key.private.sign(text.encode())) for key in keys]
    note = Note(text, tuple(made))
    if Note.parse(note.encode()) != note:
        raise Malformed(f"{text[:80]!r} cannot be the text of a note; it must end in a newline")
    return note.encode()


def cosign(text: str, key: SigningKey, at: datetime) -> str:
    """Cosign the text of a checkpoint: one signature line, to be put below its note.

    Args:
        text: The text of the checkpoint, as it stands in its note.
        key: A key of the algorithm `COSIGNATURE`.
        at: When the witness saw the checkpoint.

    Raises:
        Malformed: The key is no cosigner's, or the time is before 1970 or not aware.

    Units: seconds since 1970, rounded down.
    """
    if key.algorithm is not Algorithm.COSIGNATURE:
        raise Malformed(f"{key.name} signs notes, not cosignatures; use a key of its own for each purpose")
    if at.tzinfo is None or at < _EPOCH:
        raise Malformed(f"{at.isoformat()} cannot be the time of a cosignature; give an aware one after 1970")
    seconds = (at - _EPOCH) // timedelta(seconds=1)
    value = seconds.to_bytes(8, "big") + key.private.sign(_cosigned(text, seconds))
    return Signature(key.name, key.verifier.key_id, value).line()


def verify_note(note: str | bytes, known: Iterable[VerifierKey]) -> Verdict:
    """Check a note against the keys that we know.

    Raises:
        Malformed: It is not a signed note.
        EvidenceBroken: The signature of a known key does not hold, or no known key signed it.
    """
    verdict = Note.parse(note).judge(known)
    if verdict.failed:
        key = verdict.failed[0].encode()
        raise EvidenceBroken(f"the signature of {key} does not hold for {verdict.text[:200]!r}")
    if not verdict.verified:
        names = ", ".join(signature.name for signature in verdict.unknown[:5])
        raise EvidenceBroken(f"no known key signed {verdict.text[:200]!r}, only {names}")
    return verdict


def to_base64(value: bytes) -> str:
    """Write bytes as notes do."""
    return b64encode(value).decode()


def from_base64(encoded: str) -> bytes:
    """Read base64, but only as `to_base64` writes it: padded, nothing in between, no stray bits.

    Raises:
        Malformed: It is written otherwise, or not base64 at all.
    """
    try:
        value = b64decode(encoded, validate=True)
    except (Base64Error, ValueError) as error:
        raise Malformed(f"{encoded[:80]!r} is not base64") from error
    if to_base64(value) != encoded:
        raise Malformed(f"{encoded[:80]!r} is not how base64 is written")
    return value


def _check_signature(key: VerifierKey, text: str, value: bytes) -> Signed | None:
    """Return the signature if it holds."""
    at, message = None, text.encode()
    if key.algorithm is Algorithm.COSIGNATURE:
        seconds, value = int.from_bytes(value[:8], "big"), value[8:]
        message = _cosigned(text, seconds)
        try:
            at = _EPOCH + timedelta(seconds=seconds)
        except OverflowError:  # a time past the year 9999 is nobody's
            return None
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(value, message)
    except InvalidSignature:
        return None
    return Signed(key, at)


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _split_note(note: str | bytes) -> tuple[str, list[str]]:
    try:
        data = note.encode() if isinstance(note, str) else note
        whole = data.decode()
    except UnicodeError as error:
        raise Malformed("a signed note is valid UTF-8; this is not") from error
    if len(data) > MAX_NOTE_BYTES:
        raise Malformed(f"a note of {len(data)} bytes is past the bound of {MAX_NOTE_BYTES}")
    if _CONTROL.search(whole):
        raise Malformed("a signed note holds no control character but the newline; this one does")
    text, blank, block = whole.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise Malformed("a signed note is a text, an empty line and whole signature lines; this is not")
    return text + "\n", block[:-1].split("\n")


def _parse_line(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH):
        raise Malformed(f"{line[:80]!r} is not a signature line; say '{_DASH}<name> <base64>'")
    _check_name(name)
    value = from_base64(encoded)
    if len(value) < 5:
        raise Malformed(f"the signature of {name!r} has {len(value)} bytes; a key id alone has 4")
    return Signature(name, value[:4], value[4:])


def _parse_key(key: str) -> tuple[str, Algorithm, bytes]:
    name, _, rest = key.partition("+")
    _, plus, encoded = rest.partition("+")
    value = from_base64(encoded) if plus else b""
    if not value or value[0] not in list(Algorithm):
        raise Malformed(f"{key[:200]!r} is not a key that we know how to use; say <name>+<key id>+<base64>")
    return name, Algorithm(value[0]), value[1:]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise Malformed(f"{name[:80]!r} cannot name a key; use a name without spaces and plus signs")
