"""Keys and member lists as files: private ones readable by their owner only, replaced whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from schemas.errors import Misconfigured, StorageUnavailable
from schemas.identity import generate_key, public_jwk


def write_file(path: Path, content: bytes, *, private: bool = False) -> None:
    """Replace a file, whole or not at all.

    A crash leaves at most a `.new` file beside it, which the next write replaces.

    Raises:
        StorageUnavailable: if the disk does not take it; the old file stands.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        raise StorageUnavailable(
            f"{path} could not be written: {error.strerror}; nothing was changed"
        ) from None


def load_key(path: Path, *, private: bool = True) -> OKPKey:
    """Read an Ed25519 key (JWK).

    Raises:
        Misconfigured: if it is missing, is not such a key, or is a private key that others may read.
    """
    try:
        if private and path.stat().st_mode & 0o077:
            raise Misconfigured(f"{path} holds a private key that others may read; run: chmod 600 {path}")
        loaded = OKPKey.import_key(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise Misconfigured(f"key file {path} cannot be read: {error.strerror}; `init` makes one") from None
    except (ValueError, JoseError, TypeError, KeyError):
        raise Misconfigured(f"{path} is not an Ed25519 key in JWK form") from None
    if private and not loaded.is_private:
        raise Misconfigured(f"{path} holds a public key only; expected the private one")
    return OKPKey.import_key({**loaded.as_dict(private=loaded.is_private), "kid": loaded.thumbprint()})


def make_key(path: Path) -> OKPKey:
    """Return the key of a file, made if there is none."""
    if not path.exists():
        key = generate_key()
        write_file(path, json.dumps(key.as_dict(private=True)).encode(), private=True)
    return load_key(path)


def write_public(path: Path, key: OKPKey) -> None:
    """Write the public half of a key (JWK)."""
    write_file(path, json.dumps(public_jwk(key)).encode())


def make_secret(path: Path) -> str:
    """Return the secret of a file, made if there is none."""
    if not path.exists():
        write_file(path, secrets.token_urlsafe(32).encode(), private=True)
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None


class FolderMembers:
    """The member lists of a data space as two files: one plain (JSON), one signed (JWT)."""

    def __init__(self, plain: Path, signed: Path) -> None:
        """Make the store over two paths."""
        self._plain = plain
        self._signed = signed

    def signed(self) -> tuple[str, object] | None:
        """Return the signed list and a mark that changes with it; None where there is none yet."""
        read = _read(self._signed)
        return None if read is None else (read[0].decode("ascii", "replace").strip(), read[1])

    def plain(self) -> tuple[bytes, object] | None:
        """Return the plain list and a mark that changes with it; None where there is none yet."""
        return _read(self._plain)

    def write_signed(self, token: str) -> None:
        """Replace the signed list, whole or not at all."""
        write_file(self._signed, token.encode())

    def write_plain(self, document: bytes) -> None:
        """Replace the plain list, whole or not at all."""
        write_file(self._plain, document)


def _read(path: Path) -> tuple[bytes, object] | None:
    try:
        status = path.stat()
        return path.read_bytes(), (status.st_mtime_ns, status.st_size, status.st_ino)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be read: {error.strerror}") from None
