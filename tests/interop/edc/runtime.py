"""An EDC runtime: its jars, our small extension, its settings, and its process."""

from __future__ import annotations

import hashlib
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.interop.edc.management import EdcManagement, EdcRefused
from tests.interop.maven import cache_folder, jars, tool

VERSIONS = ("0.15.1", "0.14.0")
"""The newest that the registry serves first; another one is tried by adding it here."""

MODULES = (
    "controlplane-base-bom",
    "iam-mock",
    "data-plane-core",
    "data-plane-http",
    "data-plane-iam",
    "data-plane-self-registration",
    "data-plane-signaling-api",
    "data-plane-signaling-client",
    "control-plane-api-client",
    "validator-data-address-http-data",
)
CRAWLER = ("federated-catalog-core", "federated-catalog-core-2025", "federated-catalog-api")
CRAWLING = frozenset({"0.15.1"})
"""Versions whose crawler can be started: the jar of 0.14.0 names an extension class that it does not hold."""
SQL = (
    "controlplane-feature-sql-bom",
    "dataplane-feature-sql-bom",
    "sql-pool-apache-commons",
    "transaction-local",
)
POSTGRES = "org.postgresql:postgresql:42.7.4"
# The one version of it that is served; it fits the newer one as well, without what it would bring.
EDR_API = "org.eclipse.edc:edr-cache-api:0.14.0@jar"
PARSSON = "org.eclipse.parsson:parsson:1.1.7"
EXCLUDED = ("org.eclipse.jetty.websocket:jetty-websocket", "org.eclipse.edc:edr-cache-api")

JAVA = Path(__file__).parent / "java"
SERVICE_FILE = "META-INF/services/org.eclipse.edc.spi.system.ServiceExtension"
EXTENSION, CRAWL_EXTENSION = "InteropExtension", "CrawlExtension"
START_SECONDS = 90
CONTEXTS = ("default", "management", "protocol", "control", "version", "catalog", "public")


def class_path(version: str, *, sql: bool = False) -> str:
    """Return the class path of a runtime of this version, our extensions included."""
    crawls = version in CRAWLING
    modules = (*MODULES, *(CRAWLER if crawls else ()), *(SQL if sql else ()))
    coordinates = [*(f"org.eclipse.edc:{module}:{version}" for module in modules), EDR_API, PARSSON]
    library = jars(f"edc-{version}", [*coordinates, *([POSTGRES] if sql else [])], EXCLUDED)
    return f"{library}/*:{_compiled(library, (EXTENSION, CRAWL_EXTENSION) if crawls else (EXTENSION,))}"


def _compiled(library: Path, extensions: Sequence[str]) -> Path:
    """Compile our extensions against a runtime's jars, once."""
    sources = [JAVA / f"{name}.java" for name in extensions]
    said = b"".join(file.read_bytes() for file in sources) + library.name.encode()
    place = cache_folder("edc-extension", hashlib.sha256(said).hexdigest()[:16])
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as made:
        out = Path(made) / "classes"
        (out / SERVICE_FILE).parent.mkdir(parents=True)
        named = "".join(f"hansa.interop.{name}\n" for name in extensions)
        (out / SERVICE_FILE).write_text(named, encoding="utf-8")
        command = [tool("javac"), "-proc:none", "-cp", f"{library}/*", "-d", str(out), *map(str, sources)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise RuntimeError(f"javac failed on {JAVA}:\n{ran.stdout}{ran.stderr}")
        try:
            out.rename(place)
        except OSError:
            if not place.is_dir():  # another process was quicker
                raise
    return place


def free_ports(count: int) -> list[int]:
    """Return free ports of loopback, no two alike.

    They lie below those that the kernel gives to outgoing connections, so that none of these takes one before
    the server listens, or while it is restarted.
    """
    free: list[int] = []
    while len(free) < count:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in free:
            free.append(port)
    return free


@dataclass
class Edc:
    """One EDC participant: control plane and data plane in one process.

    `database` is the URL of an empty PostgreSQL database; without one, everything is in memory.
    `reached_through` is the base URL of a relay that stands before its protocol endpoints.
    """

    version: str
    folder: Path
    participant: str = "did:web:edc.example"
    crawled: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    reached_through: str | None = None
    database: str | None = None
    ports: dict[str, int] = field(
        default_factory=lambda: dict(zip(CONTEXTS, free_ports(len(CONTEXTS)), strict=True))
    )
    log_level: str = "INFO"
    process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> str:
        """Scheme, host and port of its DSP endpoints."""
        return f"http://localhost:{self.ports['protocol']}"

    @property
    def protocol(self) -> str:
        """The base URL of its DSP endpoints, as peers are told."""
        return f"{self.reached_through or self.root}/protocol/2025-1"

    @property
    def log(self) -> Path:
        """Where the process writes what it does."""
        return self.folder / "edc.log"

    @property
    def management(self) -> EdcManagement:
        """Its management API."""
        return EdcManagement(
            f"http://localhost:{self.ports['management']}/management",
            f"http://localhost:{self.ports['catalog']}/catalog",
            self.tail,
        )

    def tail(self) -> str:
        """The end of the log, for a message that says why something failed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write()
        command = [
            *(tool("java"), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
            f"-Dedc.fs.config={self.folder / 'edc.properties'}",
            *("-cp", class_path(self.version, sql=self.database is not None)),
            "org.eclipse.edc.boot.system.runtime.BaseRuntime",
            f"--log-level={self.log_level}",
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            assert self.process.poll() is None, f"EDC {self.version} ended at once:\n{self.tail()}"
            assert time.monotonic() < deadline, (
                f"EDC {self.version} is not ready after {START_SECONDS} s:\n{self.tail()}"
            )
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the process; with it goes everything that it knew."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _is_ready(self) -> bool:
        """EDC says that it is ready before its doors answer, and before its data plane may be chosen."""
        version = f"{self.root}/protocol/.well-known/dspace-version"
        try:
            planes = self.management.get("/v3/dataplanes")
            chosen = any(one["state"] == "AVAILABLE" for one in planes)
            return chosen and httpx2.get(version, timeout=5).is_success
        except (httpx2.HTTPError, EdcRefused):
            return False

    def _write(self) -> None:
        """Write settings, keys, and whom to crawl."""
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (self.folder / "private-key.pem").write_bytes(secret)
        (self.folder / "public-key.pem").write_bytes(public)
        targets = "\n".join(f"{name} {url}" for name, url in self.crawled.items())
        (self.folder / "crawled.txt").write_text(targets, encoding="utf-8")
        values = {
            "edc.participant.id": self.participant,
            # The same after a restart, so that it takes up again what it had leased to itself.
            "edc.runtime.id": "edc-runtime",
            "edc.component.id": "edc-component",
            "edc.dsp.callback.address": f"{self.reached_through or self.root}/protocol",
            "edc.transfer.proxy.token.signer.privatekey.alias": "private-key",
            "edc.transfer.proxy.token.verifier.publickey.alias": "public-key",
            "edc.negotiation.consumer.state-machine.iteration-wait-millis": "50",
            "edc.negotiation.provider.state-machine.iteration-wait-millis": "50",
            "edc.transfer.state-machine.iteration-wait-millis": "50",
            "edc.dataplane.state-machine.iteration-wait-millis": "50",
            "edc.data.plane.selector.state-machine.iteration-wait-millis": "50",
            "edc.negotiation.consumer.send.retry.base-delay.ms": "100",
            "edc.negotiation.provider.send.retry.base-delay.ms": "100",
            "edc.transfer.send.retry.base-delay.ms": "100",
            "edc.catalog.cache.execution.enabled": str(bool(self.crawled)).lower(),
            "interop.private-key": str(self.folder / "private-key.pem"),
            "interop.public-key": str(self.folder / "public-key.pem"),
            "interop.public.port": str(self.ports["public"]),
            "interop.crawled": str(self.folder / "crawled.txt"),
        }
        for context in CONTEXTS[:-1]:
            prefix = "web.http" if context == "default" else f"web.http.{context}"
            values[f"{prefix}.port"] = str(self.ports[context])
            values[f"{prefix}.path"] = "/api" if context == "default" else f"/{context}"
        if self.database is not None:
            url = urlsplit(self.database)
            values |= {
                "edc.datasource.default.url": f"jdbc:postgresql://{url.hostname}:{url.port}{url.path}",
                "edc.datasource.default.user": url.username or "",
                "edc.datasource.default.password": "",
                "edc.sql.schema.autocreate": "true",
            }
        values |= self.settings
        lines = [f"{name}={value}\n" for name, value in values.items()]
        (self.folder / "edc.properties").write_text("".join(lines), encoding="utf-8")


@contextmanager
def running(edc: Edc) -> Iterator[Edc]:
    """Run an EDC participant until the block ends."""
    try:
        edc.start()
        yield edc
    finally:
        edc.stop()
