"""The client's side of the binding: one bounded HTTP client behind an egress guard.

No redirects, no proxies from the environment, no address that the guard has not checked: a name is
resolved once, every address is checked, and the connection goes to the address that was checked.
A request ends within a time of its own, however steadily the peer sends a little.
"""

from __future__ import annotations

import ipaddress
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx2

from schemas.binding.clocked import time_limit, transport
from schemas.binding.lookups import Lookups, Resolve
from schemas.errors import EgressForbidden, Malformed, PeerUnavailable, TooLarge

MOST_REPLY = 64 << 20
"""Bytes of an answer; a page of a catalogue is the longest."""
MOST_HOSTS = 256
"""Hosts whose connections are kept alive."""
STEPS = 2.5
"""How many times as long as one step a whole request may take, where nothing else is said."""

ENCODINGS = frozenset({"", "identity", "gzip"})
"""How an answer may be packed: at most once, for each layer makes a thousand times as many bytes."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_EMBEDDING = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
_LOCAL = tuple(map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "fec0::/10", "3fff::/20", "5f00::/16")))
"""Addresses of one site or of none, which `ipaddress` calls global (RFC 8215, 3879, 9637, 9602)."""
_LOOKUPS = Lookups()
"""One for the process: what hangs is counted once, however many guards there are."""


@dataclass(frozen=True)
class Egress:
    """Which addresses we connect to: public ones, and the networks that the operator allows.

    Plain http is for allowed loopback addresses only.
    """

    allowed: tuple[Network, ...] = ()
    resolve: Resolve = _LOOKUPS

    @classmethod
    def allowing(cls, networks: Iterable[str]) -> Egress:
        """Return a guard that allows networks in CIDR form besides public addresses."""
        return cls(tuple(ipaddress.ip_network(network) for network in networks))

    def check(self, url: str) -> tuple[SplitResult, str]:
        """Return the parts of a URL and the checked address to connect to.

        Raises:
            EgressForbidden: naming the URL's host, the address and why it is refused.
            PeerUnavailable: if the name does not resolve.
        """
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise EgressForbidden(f"this is not a URL: {error}") from None
        host = parts.hostname
        if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
            # Without what stands before the @: it may be a password.
            shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            raise EgressForbidden(f"{shown[:120]!r} is not a plain http(s) URL")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            addresses = list(self.resolve(host, port))
        except (OSError, ValueError, UnicodeError) as error:
            raise PeerUnavailable(f"host {host!r} does not resolve: {error}") from None
        if not addresses:
            raise PeerUnavailable(f"host {host!r} has no address")
        for text in addresses:
            self._check_address(host, ipaddress.ip_address(text.split("%")[0]), parts.scheme)
        return parts, addresses[0]

    def _check_address(self, host: str, address: Address, scheme: str) -> None:
        address = _innermost(address)
        if any(address in network for network in self.allowed if network.version == address.version):
            if scheme == "http" and not address.is_loopback:
                raise EgressForbidden(f"{host} is {address}: plain http is for loopback only; use https")
            return
        is_local = address.version == 6 and any(address in network for network in _LOCAL)
        if not address.is_global or address.is_multicast or is_local:
            raise EgressForbidden(
                f"{host} is {address}, not a public address; add its network to egress.allowed if it is meant"
            )
        if scheme == "http":
            raise EgressForbidden(f"{host} is {address}: plain http is for loopback only; use https")


def _innermost(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, however wrapped, else the address itself.

    Source: RFC 4291 (mapped, compatible), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 6052 (NAT64), RFC 7915
    (translated).
    """
    if address.version == 4:
        return address
    if address.teredo is not None:
        return address.teredo[1]
    for wrapped in (address.ipv4_mapped, address.sixtofour):
        if wrapped is not None:
            return wrapped
    if any(address in network for network in _EMBEDDING) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


@dataclass(frozen=True)
class Reply:
    """What a peer answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Parse the body.

        Raises:
            Malformed: if it is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Malformed(f"peer answered {self.status} with a body that is not JSON") from None


class Http:
    """A bounded HTTP client; safe to use from several threads."""

    def __init__(
        self,
        egress: Egress,
        *,
        timeout: float = 10.0,
        total: float | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Make a client.

        Args:
            egress: which addresses we connect to.
            timeout: seconds that a peer may let us wait for its next byte.
            total: seconds that a whole request may take, its answer included.
            transport: joins processes in tests.
        """
        self._egress = egress
        self._timeout = timeout
        self._total = STEPS * timeout if total is None else total
        self._transport = transport
        self._clients: OrderedDict[str, httpx2.Client] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def egress(self) -> Egress:
        """The guard that says where we may connect to."""
        return self._egress

    def _client_for(self, host: str) -> httpx2.Client:
        """Return the client of one host.

        A connection goes to a checked address, and its certificate was checked for one name; so a pool is
        never shared between names, even where they resolve to the same address.
        """
        with self._lock:
            client = self._clients.pop(host, None) or httpx2.Client(
                timeout=self._timeout,
                follow_redirects=False,
                trust_env=False,
                transport=self._transport or transport(),
            )
            self._clients[host] = client
            # The oldest is let go, not closed: a request may be under way on it.
            if len(self._clients) > MOST_HOSTS:
                self._clients.popitem(last=False)
            return client

    def get(self, url: str, headers: Mapping[str, str] | None = None, most: int = MOST_REPLY) -> Reply:
        """Fetch a URL, reading at most `most` bytes."""
        return self._send("GET", url, None, headers, most)

    def post(
        self, url: str, document: Any, headers: Mapping[str, str] | None = None, most: int = MOST_REPLY
    ) -> Reply:
        """Post a JSON document, reading at most `most` bytes of the answer."""
        return self._send("POST", url, document, headers, most)

    def delete(self, url: str, headers: Mapping[str, str] | None = None, most: int = MOST_REPLY) -> Reply:
        """Delete a resource, reading at most `most` bytes of the answer."""
        return self._send("DELETE", url, None, headers, most)

    def _send(
        self, method: str, url: str, document: Any, headers: Mapping[str, str] | None, most: int
    ) -> Reply:
        sent = {"Accept": "application/json", "Accept-Encoding": "gzip", **(headers or {})}
        extensions: dict[str, Any] = {}
        target = url
        if self._transport is None:
            parts, address = self._egress.check(url)
            shown = f"[{address}]" if ":" in address else address
            port = f":{parts.port}" if parts.port else ""
            target = parts._replace(netloc=shown + port).geturl()
            sent["Host"] = parts.netloc
            extensions["sni_hostname"] = parts.hostname
        try:
            with (
                time_limit(self._total),
                self._client_for(urlsplit(url).netloc).stream(
                    method,
                    target,
                    json=document if method == "POST" else None,
                    headers=sent,
                    extensions=extensions,
                ) as response,
            ):
                packed = response.headers.get("content-encoding", "").strip().lower()
                if packed not in ENCODINGS:
                    raise PeerUnavailable(
                        f"{url} answered in the encoding {packed[:40]!r}; we take gzip or none"
                    )
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > most:
                        raise TooLarge(f"{url} answered more than {most} bytes")
                return Reply(response.status_code, dict(response.headers), bytes(body))
        except httpx2.HTTPError as error:
            raise PeerUnavailable(f"{method} {url} failed: {type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()
