"""The processes of the story: a catalogue, three providers, a consumer; each with its own keys and state.

Every process is started by the same command that an operator would type, from a settings file that an
operator could have written.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import connector
from connector.client.management import Management
from connector.client.stream import DataStream
from connector.settings import API_KEY_FILE, KEY_FILE
from schemas.binding.client import Egress, Http
from schemas.binding.paths import DSP_PREFIX
from schemas.binding.settings import PREFIX
from schemas.errors import Misconfigured, PeerRefused, PeerUnavailable
from schemas.identity import Member, MemberList, did_for, generate_key, public_jwk, sign_members

READY_SECONDS = 60.0
LOOPBACK = ("127.0.0.0/8", "::1/128")

NAMES: dict[str, str] = {
    "mobility": "Hanse Mobility Operator",
    "hospital": "Holsten University Hospital",
    "lab": "Open Statistics Lab",
    "developer": "Kogge AI",
}
"""The participants of the story, and what people call them."""
CRAWLED = "hospital"
"""The provider that tells no catalogue anything: it is crawled. The others push."""


@dataclass
class Place:
    """One process of the space."""

    name: str
    url: str
    folder: Path
    command: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    @property
    def did(self) -> str:
        """The participant's id."""
        return did_for(self.url)

    @property
    def log(self) -> Path:
        """Where the process writes its log."""
        return self.folder / "log.jsonl"


@dataclass
class Space:
    """The running data space."""

    home: Path
    http: Http
    catalog: Place
    participants: dict[str, Place] = field(default_factory=dict)

    def places(self) -> list[Place]:
        """Return every process, the catalogue first."""
        return [self.catalog, *self.participants.values()]

    def management(self, name: str) -> Management:
        """Return a participant's management door, opened with the key in its folder."""
        return Management(self.participants[name].url, self.api_key(name), self.http)

    def api_key(self, name: str) -> str:
        """Return the key of a participant's management door, from the file that only its owner can read."""
        return (self.participants[name].folder / "state" / API_KEY_FILE).read_text(encoding="utf-8").strip()

    def open(self, dataset: str, purpose: str | None, **how: Any) -> DataStream:
        """Open a dataset as the AI developer does, through its own connector."""
        url = self.participants["developer"].url
        key = self.api_key("developer")
        return connector.open(self.catalog.url, dataset, purpose=purpose, connector=url, key=key, **how)

    def crawl(self) -> None:
        """Have the catalogue crawl now, as its operator would."""
        key = (self.catalog.folder / "operator.key").read_text(encoding="utf-8").strip()
        url = f"{self.catalog.url}/origins/{quote(self.participants[CRAWLED].did, safe='')}/crawl"
        reply = self.http.post(url, {}, {"Authorization": f"Bearer {key}"})
        if not reply.ok:
            raise PeerRefused(f"the catalogue answered {reply.status} to a crawl", peer_status=reply.status)

    def held(self, publisher: str = "") -> int:
        """Return how many datasets the catalogue holds, of one publisher or of all."""
        asked = urlencode({"size": 1, **({"publisher": publisher} if publisher else {})})
        return int(self.http.get(f"{self.catalog.url}/search?{asked}").json()["total"])

    def resident_bytes(self) -> int:
        """Return the resident memory of all processes of the space, this one included."""
        pids = [place.process.pid for place in self.places() if place.process]
        return sum(_resident(pid) for pid in [*pids, os.getpid()])


def _resident(pid: int) -> int:
    """Return the proportional set size: pages that processes share are counted once over all of them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise Misconfigured(f"the kernel does not tell the memory of process {pid}")


def free_ports(count: int) -> list[int]:
    """Return ports that are free now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()


def to_toml(values: Mapping[str, Any]) -> str:
    """Write settings as TOML."""
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in values.items())


def _toml_value(value: Any) -> str:
    """JSON's strings, numbers, booleans and arrays are TOML's too; its objects are not."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    return json.dumps(value)


def prepare(
    home: Path,
    data: Path,
    ports: Mapping[str, int] | None = None,
    stated: Mapping[str, Mapping[str, Any]] | None = None,
) -> Space:
    """Write settings, keys and the signed member list of every participant below `home`.

    Args:
        home: an empty folder.
        data: a folder with one folder of data files a provider.
        ports: a port for `catalog` and each participant; free ones where left out.
        stated: what the member list states of participants, such as groups and a region.
    """
    chosen = dict(ports or {})
    missing = [name for name in ("catalog", *NAMES) if name not in chosen]
    chosen.update(zip(missing, free_ports(len(missing)), strict=True))
    authority = generate_key()
    jwk = {name: value for name, value in public_jwk(authority).items() if name in ("kty", "crv", "x", "kid")}
    catalog = Place(
        "catalog",
        f"http://localhost:{chosen['catalog']}",
        home / "catalog",
        ("catalog", "serve"),
    )
    space = Space(home, Http(Egress.allowing(LOOPBACK), timeout=60), catalog)
    thumbprint = _make_key(catalog.folder / KEY_FILE)
    members = [_member(catalog.did, thumbprint, "catalog", "Catalogue of the data space")]
    for name, title in NAMES.items():
        place = Place(name, f"http://localhost:{chosen[name]}", home / name, ("connector", "serve"))
        settings = {"name": title, "port": chosen[name], **_settings(place, catalog, jwk, data / name)}
        place.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        (place.folder / "hansa.toml").write_text(to_toml(settings), encoding="utf-8")
        thumbprint = _make_key(place.folder / "state" / KEY_FILE)
        member = _member(place.did, thumbprint, "consumer" if name == "developer" else "provider", title)
        members.append(member.model_copy(update=dict((stated or {}).get(name, {}))))
        space.participants[name] = place
    _prepare_catalog(space, chosen["catalog"], jwk)
    now = datetime.now(UTC)
    listed = MemberList(space="hansa-demo", serial=1, members=tuple(members))
    signed = sign_members(listed, authority, at=now, life=timedelta(days=30))
    (catalog.folder / "members.jwt").write_text(signed, encoding="ascii")
    return space


def _settings(place: Place, catalog: Place, authority: Mapping[str, Any], data: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "public_url": place.url,
        "members": {"url": f"{catalog.url}/members.jwt", "authority": authority},
        "egress": {"allow": list(LOOPBACK)},
        "log_level": "warning",
        "catalogs": [
            {"id": catalog.did, "url": catalog.url, "push": place.name not in (CRAWLED, "developer")}
        ],
    }
    if place.name != "developer":
        settings["data"] = {"roots": [str(data)]}
        settings["stream"] = {"flight_port": 0} if place.name == "mobility" else {}
    return settings


def _member(did: str, thumbprint: str, role: str, name: str) -> Member:
    until = datetime.now(UTC) + timedelta(days=30)
    return Member.read(
        {"id": did, "thumbprint": thumbprint, "roles": [role], "validTo": until.isoformat(), "name": name}
    )


def _make_key(file: Path) -> str:
    """Make a participant's key, as its server would at its first start, and return the thumbprint."""
    key = generate_key()
    file.parent.mkdir(parents=True, mode=0o700)
    file.touch(mode=0o600)
    file.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")
    return str(key.kid)


def _prepare_catalog(space: Space, port: int, authority: Mapping[str, str]) -> None:
    place, crawled = space.catalog, space.participants[CRAWLED]
    settings = {
        "title": "Catalogue of the demo data space",
        "public_url": place.url,
        "port": port,
        "members": {"space": "hansa-demo", "authority_file": "authority.json", "list_file": "members.jwt"},
        "origins": [{"id": crawled.did, "url": f"{crawled.url}{DSP_PREFIX}"}],
        "egress": {"allow": list(LOOPBACK)},
        "log_level": "warning",
    }
    (place.folder / "hansa.toml").write_text(to_toml(settings), encoding="utf-8")
    (place.folder / "authority.json").write_text(json.dumps(dict(authority)), encoding="utf-8")


def start(place: Place) -> None:
    """Start the process of a place."""
    command = [
        sys.executable,
        "-m",
        "connector",
        *place.command,
        "--config",
        str(place.folder / "hansa.toml"),
    ]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    # Five servers on one small machine: give memory back rather than keep it for the next stream.
    quiet.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    with place.log.open("wb") as log:
        place.process = subprocess.Popen(  # noqa: S603 - our own command, from our own settings
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=quiet, start_new_session=True
        )


def await_ready(place: Place, http: Http, seconds: float = READY_SECONDS) -> None:
    """Wait until a process answers that it is ready.

    Raises:
        Misconfigured: if it stopped, with the end of its log.
        PeerUnavailable: if it is not ready in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        process = place.process
        if process is not None and process.poll() is not None:
            tail = place.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise Misconfigured(f"{place.name} stopped with code {process.returncode}:\n{tail}")
        try:
            if http.get(f"{place.url}/readyz").ok:
                return
        except PeerUnavailable as error:
            if time.monotonic() > deadline:
                raise PeerUnavailable(
                    f"{place.name} is not ready after {seconds:.0f} s: {error}; see {place.log}"
                ) from None
        time.sleep(0.05)


@contextmanager
def running(space: Space, on_ready: Callable[[Place], None] = lambda place: None) -> Iterator[Space]:
    """Start every process, wait until each is ready, and stop them all at the end."""
    try:
        for place in space.places():
            start(place)
        for place in space.places():
            await_ready(place, space.http)
            on_ready(place)
        yield space
    finally:
        stop(*space.places())
        space.http.close()


def stop(*places: Place) -> None:
    """Stop the processes of places, by their ids; insist after ten seconds."""
    alive = [place.process for place in places if place.process and place.process.poll() is None]
    for process in alive:
        process.send_signal(signal.SIGTERM)
    for process in alive:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
