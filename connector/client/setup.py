"""Which connector speaks for the user, and where data may come from."""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from schemas.binding.client import Egress
from schemas.errors import Misconfigured

CONFIG = Path("~/.config/hansa/client.toml")
_SETTINGS = {"connector", "key", "key_file", "egress"}


@dataclass(frozen=True)
class Setup:
    """Where the user's own connector is, the key to it, and networks that streams may come from."""

    connector: str
    key: str = field(repr=False)
    egress: tuple[str, ...] = ()


def setup(connector: str | None = None, key: str | None = None) -> Setup:
    """Find the user's connector: arguments, then HANSA_CONNECTOR and HANSA_API_KEY (or _FILE), then a file.

    Raises:
        Misconfigured: saying what to set.
    """
    saved = _saved()
    environment = os.environ
    url = connector or environment.get("HANSA_CONNECTOR") or saved.get("connector")
    if not url:
        raise Misconfigured(
            "which connector speaks for you? give connector=…, set HANSA_CONNECTOR to its URL, "
            f'or write connector = "http://localhost:8101" into {CONFIG}'
        )
    if urlsplit(str(url)).scheme not in ("http", "https"):
        raise Misconfigured(f"connector is {str(url)[:120]!r}; expected a URL such as http://localhost:8101")
    key_file = environment.get("HANSA_API_KEY_FILE") or saved.get("key_file")
    secret = key or environment.get("HANSA_API_KEY") or saved.get("key")
    if not secret and key_file:
        secret = _read_key(Path(str(key_file)))
    if not secret:
        raise Misconfigured(
            f"no key for the connector at {url}: give key=…, set HANSA_API_KEY, or HANSA_API_KEY_FILE "
            "to the file 'api-key' in its data folder"
        )
    egress = saved.get("egress", ())
    return Setup(str(url).rstrip("/"), str(secret).strip(), tuple(egress) if isinstance(egress, list) else ())


def setup_if_any() -> Setup | None:
    """Find the user's connector, if one is named anywhere; None where nobody speaks for the user.

    Raises:
        Misconfigured: if one is named and cannot be used, saying what to set.
    """
    named = os.environ.get("HANSA_CONNECTOR") or _saved().get("connector")
    return setup() if named else None


def _saved() -> Mapping[str, Any]:
    path = CONFIG.expanduser()
    try:
        saved = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path} cannot be read: {error}") from None
    unknown = sorted(set(saved) - _SETTINGS)
    if unknown:
        raise Misconfigured(f"{path} has {unknown[0]!r}; known: {', '.join(sorted(_SETTINGS))}")
    return saved


def _read_key(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"the key file {path} cannot be read: {error}") from None


def stream_egress(own: Setup) -> Egress:
    """Allow streams from loopback only where the own connector is there too: a data space on one machine."""
    host = urlsplit(own.connector).hostname or ""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    return Egress.allowing((*own.egress, *(("127.0.0.0/8", "::1/128") if is_loopback else ())))
