"""Secrets in files of their own: made when first needed, readable by their owner alone."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import stat
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from connector.adapters.files import make_folder, write_once
from schemas.errors import Misconfigured
from schemas.identity import generate_key

SECRET_BYTES = 32
_OWNER_ONLY = 0o600


def load_or_create_key(file: Path) -> OKPKey:
    """Return the Ed25519 key in a file, making key and file if there is none.

    The file holds a private JWK whose `kid` is the key's thumbprint.

    Raises:
        Misconfigured: if others may read the file, it cannot be read or made, or holds no such key. The
            message never shows what is in it.
    """
    made = json.dumps(generate_key().as_dict(private=True), indent=2).encode() + b"\n"
    held = _load(file, made)
    try:
        document = json.loads(held)
        key = OKPKey.import_key(document)
        if document.get("crv") != "Ed25519" or not key.is_private:
            raise _unusable(file)
        return OKPKey.import_key({**key.as_dict(private=True), "kid": key.thumbprint()})
    except (JoseError, ValueError, TypeError, AttributeError, KeyError):
        raise _unusable(file) from None


def load_or_create_secret(file: Path) -> bytes:
    """Return the 32 secret bytes in a file (as base64), making both if there is none.

    Raises:
        Misconfigured: if others may read the file, it cannot be read or made, or holds something else.
    """
    held = _load(file, base64.b64encode(secrets.token_bytes(SECRET_BYTES)) + b"\n")
    try:
        secret = base64.b64decode(held.strip(), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise Misconfigured(
            f"{file} does not hold {SECRET_BYTES} bytes in base64; restore it from a backup: "
            "data masked with it cannot be matched without it"
        )
    return secret


def _load(file: Path, made: bytes) -> bytes:
    try:
        if not file.exists():
            make_folder(file.parent)
            write_once(file, made, _OWNER_ONLY)
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            raise Misconfigured(
                f"{file} has mode {mode:04o}: others may read this secret; say: chmod 600 {file}"
            )
        return file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"cannot read or make {file}: {error.strerror}") from None


def _unusable(file: Path) -> Misconfigured:
    return Misconfigured(
        f"{file} does not hold a private Ed25519 key as a JWK; restore it from a backup, or move it away to "
        "become a participant with a new key"
    )
